"""The part of a session that finishes objects, or drops them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from samslice.session.choosing import Choosing
from samslice.session.history import merge
from samslice.session.painter import Painted
from samslice.session.state import Key, Place, items_of

if TYPE_CHECKING:
    import pandas as pd


class Finishing(Choosing):
    """Commit, discard and the table; see `samslice.session.session.Session`."""

    def _chosen(self, object_ids: Iterable[int] | int | None) -> list[int]:
        if object_ids is None:
            return [self._state.current]
        if isinstance(object_ids, Iterable):
            return sorted({self._checked_id(o) for o in object_ids})
        return [self._checked_id(object_ids)]

    def commit(self, object_ids: Iterable[int] | int | None = None) -> list[int]:
        """Finish objects: their pixels are kept, and nothing takes them any more.

        The next free id becomes current if the current object is among them.

        Parameters
        ----------
        object_ids : iterable of int, optional
            The objects; the current one if left out.

        Returns
        -------
        list of int
            What was finished.

        Raises
        ------
        ValueError
            If there is nothing of one of them yet, or it is finished.
        """
        chosen = self._chosen(object_ids)
        open_ids = self.pending
        for object_id in chosen:
            if object_id not in open_ids:
                done = object_id in self._state.finished
                why = "is finished already" if done else "has neither prompts nor pixels"
                raise ValueError(f"object {object_id} {why}; pending are {sorted(open_ids)}.")
        self._used_ids.update(chosen)  # their pixels stay, whatever becomes of their prompts
        after = replace(self._state, finished=self._state.finished | set(chosen))
        if after.current in chosen:
            after = replace(after, current=self._first_free())
        records = self._painter.settle(chosen)
        edit = self._edit("commit", after)
        merge(edit.records, records)
        return chosen

    def discard(self, object_ids: Iterable[int] | int | None = None) -> list[int]:
        """Drop objects: their prompts and strokes, and the pixels they took since they were opened.

        What they covered is there again. Pixels of a finished object stay.

        Parameters
        ----------
        object_ids : iterable of int, optional
            The objects; the current one if left out.

        Returns
        -------
        list of int
            What was dropped.
        """
        chosen = set(self._chosen(object_ids))
        state = self._state
        items = [i for o in chosen for i in items_of(state, o)]
        records = self._painter.records
        held = [key for key in records if key.object_id in chosen]
        held.sort(key=lambda key: records[key].number, reverse=True)
        after = replace(
            state,
            prompts=tuple(i for i in state.prompts if i.object_id not in chosen),
            finished=state.finished - chosen,
            ends=frozenset(k for k in state.ends if k.object_id not in chosen),
            choices={k: v for k, v in state.choices.items() if k.object_id not in chosen},
            corrections={k: v for k, v in state.corrections.items() if k.object_id not in chosen},
        )
        dropped = chosen & self.pending or items or held
        if not dropped and len(after.ends) == len(state.ends):
            return sorted(chosen)
        places = {item.place for item in items}
        edit = self._edit("discard", after, places)
        for key in held:  # the latest first: it may cover the earlier
            painted = self._painter.paint(
                key.place, (), (), lambda *_: [], gone=[key.object_id], pending=self.pending
            )
            self._attach(painted, {key: None}, edit)
        rows = dict.fromkeys(key for key in self._table.rows if key.object_id in chosen)
        shown = dict.fromkeys(key for key in self._shown if key.object_id in chosen)
        self._attach(Painted(None, {}), rows, edit, shown)
        self._follow_up(places)
        return sorted(chosen)

    @property
    def overwrite(self) -> bool:
        """Whether pending objects may take pixels of finished ones."""
        return self._overwrite

    @overwrite.setter
    def overwrite(self, value: bool) -> None:
        if bool(value) == self._overwrite:
            return
        self._overwrite = bool(value)
        self._follow_up(self._prompted_places())

    def _prompted_places(self) -> list[Place]:
        open_ids = self.pending
        found = {item.place: None for item in self._state.prompts if item.object_id in open_ids}
        return list(found)

    @property
    def table(self) -> pd.DataFrame:
        """Object by plane of this view: status, reason, score; see `PropagateResult.table`."""
        return self._table.frame(self._view)

    def doubtful(
        self, after: tuple[int, int] | None = None, *, order: str = "plane"
    ) -> tuple[int, int] | None:
        """Find the next mask that deserves a look.

        Parameters
        ----------
        after : tuple of int, optional
            (object, plane) to go on from.
        order : str, optional
            ``"plane"``: in the order of planes; ``"score"``: the lowest first.

        Returns
        -------
        tuple of int or None
            (object, plane), beginning anew after the last; None if there is
            nothing doubtful.

        Raises
        ------
        ValueError
            If the order is another.
        """
        return self._table.doubtful(self._view, after, order)

    def shows(self, object_id: int, plane: int) -> bool:
        """Whether a plane has pixels of an object; searches it the first time only.

        Parameters
        ----------
        object_id : int
            The object.
        plane : int
            Plane of the view.

        Returns
        -------
        bool
            In the labels, whoever wrote them; tell of foreign changes with
            `note_other_changes`.
        """
        key = Key(self._checked_id(object_id), *self._checked_place(plane))
        return self._painter.extents.shows(key)

    def pixels(self, object_id: int, plane: int) -> int:
        """Count the pixels of an object on a plane.

        Parameters
        ----------
        object_id : int
            The object.
        plane : int
            Plane of the view.

        Returns
        -------
        int
            In the labels, whoever wrote them.
        """
        key = Key(self._checked_id(object_id), *self._checked_place(plane))
        return int(self._painter.pixels_of(key).sum())
