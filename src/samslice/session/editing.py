"""The part of a session that can be taken back: edits, undo, redo, brush strokes."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from samslice.session.following import Following
from samslice.session.history import Edit, merge, swap
from samslice.session.painter import Painted
from samslice.session.state import Key, Place, State
from samslice.session.strokes import add_stroke, corrections_of, windows_of
from samslice.session.table import Row

if TYPE_CHECKING:
    from samslice.session.history import Changes
    from samslice.session.labels import Patch


class Editing(Following):
    """Edits of a session; see `samslice.session.session.Session`."""

    def _edit(self, label: str, after: State, places: Iterable[Place] = ()) -> Edit:
        """Move on to another state, in a way that can be taken back."""
        if self._closed:
            raise RuntimeError("the session is closed; make a new one.")
        before, self._state = self._state, after
        edit = self._history.top if self._batch is not None else None
        if edit is None:
            edit = Edit(label, before, after)
            self._history.push(edit)
        edit.after = after
        edit.places.update(places)
        self._state_moved()
        return edit

    def _state_moved(self) -> None:
        self.state_changed.emit()
        self.history_changed.emit()

    @contextmanager
    def batch(self, label: str) -> Generator[None, None, None]:
        """Make several actions one step of the history.

        Parameters
        ----------
        label : str
            What undo is to call it.

        Yields
        ------
        None
            Masks are made when the block is left.
        """
        if self._batch is not None:
            yield
            return
        edit = Edit(label, self._state, self._state)
        self._history.push(edit)
        self._batch = set()
        try:
            yield
        finally:
            places, self._batch = self._batch, None
            if edit.is_empty:
                self._history.drop(edit)
                self.history_changed.emit()
            self._follow_up(places)

    def forget_history(self) -> None:
        """Make what stands now the beginning: it cannot be taken back."""
        self._history.clear()
        self.history_changed.emit()

    def undo(self) -> bool:
        """Take the latest edit back: a click's mask, a commit, a whole propagation.

        Returns
        -------
        bool
            Whether there was one.
        """
        edit = self._history.undo()
        if edit is None:
            return False
        if edit.open:
            self._stop_open(edit)
        for patch in reversed(edit.patches):
            patch.revert(self.target)
            self._painter.extents.forget(np.unique(patch.before).tolist())
        self._travel(edit, edit.before, 0)
        return True

    def redo(self) -> bool:
        """Do the latest undone edit again.

        Returns
        -------
        bool
            Whether there was one.
        """
        edit = self._history.redo()
        if edit is None:
            return False
        for patch in edit.patches:
            patch.apply(self.target)
            self._painter.extents.forget(np.unique(patch.after).tolist())
        self._travel(edit, edit.after, 1)
        return True

    def _travel(self, edit: Edit, state: State, which: int) -> None:
        self._painter.replace(edit.records, which=which)
        self._table.replace(edit.rows, which=which)
        swap(self._shown, edit.shown, which)
        self._state = state
        self._state_moved()
        keys = {key for key in (*edit.records, *edit.rows) if isinstance(key, Key)}
        for key in sorted(keys, key=lambda k: (k.plane, k.object_id)):
            self.mask_changed.emit(key.object_id, key.plane)
        self.table_changed.emit()
        self._follow_up(edit.places | {key.place for key in keys})

    @property
    def undo_label(self) -> str:
        """What `undo` would take back; empty if nothing."""
        return self._history.undo_label

    @property
    def redo_label(self) -> str:
        """What `redo` would do again; empty if nothing."""
        return self._history.redo_label

    def _stop_open(self, edit: Edit) -> None:
        """Stop the job that still adds to an edit; the part that has jobs says how."""

    def note_other_changes(self) -> None:
        """Take note that somebody else may have changed the labels, who does not say where."""
        self._painter.extents.forget()

    def note_stroke(self, patches: Iterable[Patch]) -> None:
        """Take note of what the user has painted or erased in the labels.

        What was painted becomes a correction of the objects: it goes over
        their masks from now on.

        Parameters
        ----------
        patches : iterable of Patch
            One stroke; the labels are already changed.

        Raises
        ------
        ValueError
            If a patch does not fit the labels.
        """
        patches = [p for p in patches if bool((p.before != p.after).any())]
        windows = [w for patch in patches for w in windows_of(self._view, patch, self.target.shape)]
        if not patches:
            return
        corrections = dict(self._state.corrections)
        rows: dict[Key, Row | None] = {}
        for place, region, before, after in windows:
            for object_id, stroke in corrections_of(region, before, after).items():
                key = Key(object_id, *place)
                add_stroke(corrections, key, stroke)
                row = rows.get(key, self._table.rows.get(key))
                if row is not None:
                    gained = np.count_nonzero(stroke.add) - np.count_nonzero(stroke.erase)
                    rows[key] = Row.shown(1.0, row.area + int(gained))
        edit = self._edit("brush", replace(self._state, corrections=corrections))
        records: Changes = {}
        for window in windows:  # an object is pending by the stroke that made it
            merge(records, self._painter.note_stroke(*window, self.pending))
        edit.patches.extend(patches)
        self._attach(Painted(None, records), rows, edit)
