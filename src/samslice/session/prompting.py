"""The part of a session that takes prompts: clicks, boxes, masks, scribbles, labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from samslice.engine.types import Prompt
from samslice.session.context import with_context
from samslice.session.editing import Editing
from samslice.session.labels import ids_in
from samslice.session.state import Items, Key, Place, PromptItem, State, context_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from samslice.engine.types import Box
    from samslice.session.context import Context


class Prompting(Editing):
    """Prompts of a session; see `samslice.session.session.Session`."""

    def _prepare(self) -> None:
        super()._prepare()
        self._uids = count(1)
        self._state = State(current=self._first_free())

    # ------------------------------------------------------------------ objects

    @property
    def current(self) -> int:
        """The object that new prompts belong to. Prompts to a finished one reopen it."""
        return self._state.current

    @current.setter
    def current(self, object_id: int) -> None:
        object_id = self._checked_id(object_id)
        if object_id != self._state.current:
            self._state = replace(self._state, current=object_id)
            self.state_changed.emit()

    def _checked_id(self, object_id: int) -> int:
        limit = int(np.iinfo(self.target.dtype).max)
        whole = np.asarray(object_id).dtype.kind in "iu"
        if not whole or not 1 <= object_id <= limit:
            raise ValueError(
                f"object id is {object_id!r}; allowed are integers from 1 to {limit}, which labels "
                f"of dtype {self.target.dtype} hold."
            )
        return int(object_id)

    def next_object(self) -> int:
        """Make the first free id the current object.

        Returns
        -------
        int
            The id: neither in the labels nor among the prompts.
        """
        self.current = self._first_free()
        return self.current

    def _first_free(self) -> int:
        used = self._used_ids
        used |= {item.object_id for item in self._state.prompts}
        used |= {key.object_id for key in self._state.corrections}
        used |= self._painter.holders
        return next(i for i in range(1, len(used) + 2) if i not in used)

    @property
    def _used_ids(self) -> set[int]:
        """Ids that are taken, those of the labels too."""
        if self._used is None:
            self._used = ids_in(self.target)
        return self._used

    # ------------------------------------------------------------------ prompts

    def add_point(
        self, coord: Sequence[float], positive: bool = True, object_id: int | None = None
    ) -> int:
        """Add a click. The first one on a plane that shows the object corrects what is there.

        Parameters
        ----------
        coord : sequence of float
            In data pixels of the image, one entry for each axis but the
            channels'.
        positive : bool, optional
            Whether it lies inside the object.
        object_id : int, optional
            The object; the current one if left out.

        Returns
        -------
        int
            Number of the prompt.

        Raises
        ------
        ValueError
            If it lies outside the image.
        """
        place, points = self._point_at(coord)
        return self._add("click", place, object_id, "point", points=points, positive=positive)

    def add_box(self, plane: int, box: Sequence[float], object_id: int | None = None) -> int:
        """Add a box.

        Parameters
        ----------
        plane : int
            Plane of the view.
        box : sequence of float
            (row0, col0, row1, col1), half-open, in data pixels of the plane.
        object_id : int, optional
            The object; the current one if left out.

        Returns
        -------
        int
            Number of the prompt.

        Raises
        ------
        ValueError
            If it is empty or lies outside the plane.
        """
        place = self._checked_place(plane)
        return self._add(
            "box", place, object_id, "box", box=Prompt(box=cast("Box", tuple(box))).box
        )

    def add_mask(self, plane: int, mask: ArrayLike, object_id: int | None = None) -> int:
        """Add a rough mask, for instance a drawn polygon.

        Parameters
        ----------
        plane : int
            Plane of the view.
        mask : array-like of shape (rows, columns)
            Bool or integer, as large as the plane.
        object_id : int, optional
            The object; the current one if left out.

        Returns
        -------
        int
            Number of the prompt.

        Raises
        ------
        ValueError
            If it is empty or of another shape.
        """
        place = self._checked_place(plane)
        given = Prompt(mask=np.asarray(mask)).mask
        return self._add("mask", place, object_id, "mask", mask=given)

    def add_scribble(
        self,
        plane: int,
        path: ArrayLike,
        positive: bool = True,
        object_id: int | None = None,
    ) -> int:
        """Add a scribble; a few points along it go to the model.

        Parameters
        ----------
        plane : int
            Plane of the view.
        path : array-like of shape (n, 2)
            Its vertices, (row, col) in data pixels of the plane.
        positive : bool, optional
            Whether it lies inside the object.
        object_id : int, optional
            The object; the current one if left out.

        Returns
        -------
        int
            Number of the prompt.

        Raises
        ------
        ValueError
            If it has no vertices or leaves the plane.
        """
        place = self._checked_place(plane)
        points = Prompt(points=np.asarray(path, np.float64)).points
        return self._add("scribble", place, object_id, "scribble", points=points, positive=positive)

    def use_label(self, object_id: int, plane: int) -> int:
        """Make an existing label's pixels on a plane the mask prompt of that object.

        Parameters
        ----------
        object_id : int
            The label; it becomes the current object.
        plane : int
            Plane of the view.

        Returns
        -------
        int
            Number of the prompt.

        Raises
        ------
        ValueError
            If the plane has no pixels of it.
        """
        place = self._checked_place(plane)
        object_id = self._checked_id(object_id)
        mask = self._painter.pixels_of(Key(object_id, *place))
        if not mask.any():
            raise ValueError(
                f"plane {plane} has no pixels of label {object_id}; go to a plane that shows it."
            )
        with self.batch("use label"):
            self._state = replace(self._state, current=object_id)
            return self._add("use label", place, object_id, "mask", mask=mask)

    def move_prompt(
        self,
        uid: int,
        coord: Sequence[float] | None = None,
        *,
        plane: int | None = None,
        box: Sequence[float] | None = None,
        mask: ArrayLike | None = None,
        path: ArrayLike | None = None,
    ) -> None:
        """Move or reshape a prompt.

        Parameters
        ----------
        uid : int
            Number of the prompt.
        coord : sequence of float, optional
            Where a click is now, in data pixels of the image.
        plane : int, optional
            Where another prompt is now; its own plane if left out.
        box, mask, path : optional
            What it is now; give the one that fits its kind.

        Raises
        ------
        ValueError
            If there is no such prompt, what is given does not fit its kind,
            or it lies outside.
        """
        old = self._item(uid)
        given = {"point": coord, "box": box, "mask": mask, "scribble": path}
        wrong = [name for name, value in given.items() if value is not None and name != old.kind]
        if wrong or given[old.kind] is None:
            names = {"point": "coord", "box": "box", "mask": "mask", "scribble": "path"}
            raise ValueError(f"prompt {uid} is a {old.kind}; give {names[old.kind]}= alone.")
        place = old.place if plane is None else self._checked_place(plane)
        if coord is not None:
            place, points = self._point_at(coord)
            new = replace(old, points=points, view=place.view, plane=place.plane)
        elif old.kind == "scribble":
            points = Prompt(points=np.asarray(path, np.float64)).points
            new = replace(old, points=points, plane=place.plane, view=place.view)
        elif box is not None:
            new = replace(
                old, box=Prompt(box=cast("Box", tuple(box))).box, plane=place.plane, view=place.view
            )
        else:
            drawn = Prompt(mask=np.asarray(mask)).mask
            new = replace(old, mask=drawn, plane=place.plane, view=place.view)
        self._check_inside(new)
        self._replace_items("move", {uid: new})

    def set_positive(self, uid: int | Iterable[int], positive: bool) -> None:
        """Turn clicks or scribbles positive or negative.

        Parameters
        ----------
        uid : int or iterable of int
            Numbers of the prompts.
        positive : bool
            Whether they lie inside the object.
        """
        items = [self._item(one) for one in _numbers(uid)]
        changed = [item for item in items if item.positive != bool(positive)]
        if changed:
            new: dict[int, PromptItem | None] = {
                i.uid: replace(i, positive=bool(positive)) for i in changed
            }
            self._replace_items("change sign", new)

    def remove_prompt(self, uid: int | Iterable[int]) -> None:
        """Take prompts away; the masks follow.

        Parameters
        ----------
        uid : int or iterable of int
            Numbers of the prompts: one step of the history.
        """
        items = [self._item(one) for one in _numbers(uid)]
        if items:
            self._replace_items("delete", dict.fromkeys(item.uid for item in items))

    def _item(self, uid: int) -> PromptItem:
        for item in self._state.prompts:
            if item.uid == uid:
                return item
        raise ValueError(
            f"there is no prompt {uid}; there are {[i.uid for i in self._state.prompts]}."
        )

    def _point_at(self, coord: Sequence[float]) -> tuple[Place, Any]:
        shape = self.scene.shape
        if len(coord) != len(shape):
            raise ValueError(
                f"the coordinate has {len(coord)} entries; the image has {len(shape)} axes "
                "without channels: give one in data pixels for each."
            )
        low, high = -0.5, np.array(shape) - 0.5
        values = np.asarray(coord, np.float64)
        if not (np.isfinite(values).all() and (values >= low).all() and (values <= high).all()):
            raise ValueError(
                f"point {tuple(values.tolist())} lies outside the image of shape {shape}."
            )
        whole = np.clip(np.floor(values + 0.5).astype(int), 0, np.array(shape) - 1)
        view = self._view.at(whole)
        _, row, col = view.to_plane(values)
        plane = 0 if view.stack_axis is None else int(whole[view.stack_axis])
        return Place(view, plane), Prompt(points=np.array([(row, col)])).points

    def _checked_place(self, plane: int) -> Place:
        if not 0 <= plane < self.n_planes:
            raise ValueError(f"plane is {plane}; allowed is 0 to {self.n_planes - 1}.")
        return Place(self._view, int(plane))

    def _check_inside(self, item: PromptItem) -> None:
        shape = item.view.plane_shape(self.scene.shape)
        Prompt(points=item.points, box=item.box, mask=item.mask).check_inside(shape)

    def _add(self, label: str, place: Place, object_id: int | None, kind: str, **parts: Any) -> int:
        object_id = self._checked_id(self._state.current if object_id is None else object_id)
        item = PromptItem(next(self._uids), object_id, *place, kind, **parts)
        self._check_inside(item)
        after = self._without_choices({item.key})
        after = replace(
            after,
            prompts=self._in_context((*after.prompts, item), {item.key}),
            finished=after.finished - {object_id},
            ends=after.ends - {item.key},
        )
        self._edit(label, after, [place])
        self._follow_up([place])
        return item.uid

    def _replace_items(self, label: str, new: dict[int, PromptItem | None]) -> None:
        old = [item for item in self._state.prompts if item.uid in new]
        moved = [item for item in new.values() if item is not None]
        keys = {item.key for item in (*old, *moved)}
        after = self._without_choices(keys)
        prompts = (new.get(item.uid, item) for item in after.prompts)
        after = replace(
            after,
            prompts=self._in_context(tuple(i for i in prompts if i is not None), keys),
            finished=after.finished - {key.object_id for key in keys},
            ends=after.ends - {item.key for item in moved},
        )
        places = {key.place for key in keys}
        self._edit(label, after, places)
        self._follow_up(places)

    def _in_context(self, prompts: Items, keys: set[Key]) -> Items:
        return with_context(self._state.prompts, prompts, keys, self._context)

    def _context(self, key: Key) -> Context | None:
        made_from = self._shown.get(key)  # by prompts that are deleted in the same step
        if made_from is not None:
            return context_of(made_from[0])
        found = self._painter.context(key)
        return found and replace(found, row=self._table.rows.get(key))

    def _without_choices(self, keys: set[Key]) -> State:
        """Other prompts bring other candidates: what was chosen no longer counts."""
        state = self._state
        if keys.isdisjoint(state.choices):
            return state
        return replace(state, choices={k: c for k, c in state.choices.items() if k not in keys})


def _numbers(uid: int | Iterable[int]) -> list[int]:
    return [int(u) for u in uid] if isinstance(uid, Iterable) else [int(uid)]
