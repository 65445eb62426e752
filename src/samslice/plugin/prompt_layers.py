"""Points and Shapes layers in step with a session's prompts, both ways.

The session's state is the truth. What the user does to a layer is read as its difference
from the state and told to the session; then the layer is made to show the state, which
may have refused a part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from samslice.plugin.drawings import Drawing, Drawn, check_click, drawing_of, read_drawing
from samslice.plugin.layers import (
    CURRENT,
    OBJECT,
    POSITIVE,
    UID,
    complete_features,
    is_ours,
    sign_colors,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Points, Shapes
    from numpy.typing import NDArray

    from samslice.plugin.viewstate import Axes
    from samslice.session.session import Session
    from samslice.session.state import PromptItem

What = TypeVar("What")


@dataclass(frozen=True, slots=True, eq=False)
class Row(Generic[What]):
    """One click or drawing of a layer."""

    uid: int
    object_id: int
    positive: bool
    what: What


class PromptLayer(Generic[What]):
    """What clicks and drawings have in common.

    Parameters
    ----------
    layer : Points or Shapes
        The layer.
    session : Session
        What is told.
    image : napari.layers.Image
        Whose data pixels the session counts in.
    axes : Axes
        Of the image.
    color_of : callable
        Colours, RGBA, of object ids.
    """

    label = "click"

    def __init__(
        self,
        layer: Points | Shapes,
        session: Session,
        image: Image,
        axes: Axes,
        color_of: Callable[[NDArray[Any]], NDArray[Any]],
    ) -> None:
        self.layer = layer
        self._session = session
        self._image = image
        self._axes = axes
        self._color_of = color_of
        complete_features(layer, session.current)

    # ------------------------------------------------------------------ what each kind says

    def items(self) -> dict[int, PromptItem]:
        """Prompts that this layer shows, by number."""
        raise NotImplementedError

    def _values(self) -> list[What]:
        raise NotImplementedError

    def _same(self, item: PromptItem, what: What) -> bool:
        raise NotImplementedError

    def _add(self, row: Row[What]) -> int:
        raise NotImplementedError

    def _move(self, item: PromptItem, row: Row[What]) -> int:
        raise NotImplementedError

    def _value_of(self, item: PromptItem) -> What:
        raise NotImplementedError

    def _replace(self, values: list[What]) -> None:
        raise NotImplementedError

    def _paint(self, colors: NDArray[Any], signs: NDArray[np.bool_]) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------------ layer to session

    def rows(self) -> list[Row[What]]:
        """Read the layer."""
        values = self._values()
        features = self.layer.features
        if len(features) != len(values) or not {UID, OBJECT, POSITIVE} <= set(features):
            complete_features(self.layer, self._session.current)
            features = self.layer.features
        uids = _integers(features[UID], 0)
        current = self._session.current
        ids = [current if i == CURRENT else i for i in _integers(features[OBJECT], current)]
        signs = [_sign(v) for v in features[POSITIVE]]
        return [
            Row(uid, object_id, sign, what)
            for uid, object_id, sign, what in zip(uids, ids, signs, values, strict=True)
        ]

    def take(self, *, merge: bool = False) -> list[str]:
        """Tell the session what is different in the layer.

        Parameters
        ----------
        merge : bool, optional
            The layer is new to the session: prompts that it lacks stay, and
            all of its own are new, whatever numbers another session gave them.

        Returns
        -------
        list of str
            What the session refused, in words.
        """
        items, rows = {} if merge else self.items(), self.rows()
        new, moved, signs = [], [], []
        seen: set[int] = set()
        for n, row in enumerate(rows):
            item = items.get(row.uid)
            if item is None or row.uid in seen:
                new.append(n)
                continue
            if row.object_id != item.object_id:
                new.append(n)  # and the old one is missing
                continue
            seen.add(row.uid)
            if not self._same(item, row.what):
                moved.append(n)
            if row.positive != item.positive:
                signs.append(row)
        gone = [uid for uid in items if uid not in seen]
        if not (new or moved or signs or gone):
            return []
        label = self.label if new else "move" if moved else "change sign" if signs else "delete"
        refused: list[str] = []
        uids = [row.uid for row in rows]
        with self._session.batch(label):
            if gone:
                self._session.remove_prompt(gone)
            for row in signs:
                self._session.set_positive(row.uid, row.positive)
            for n in (*moved, *new):
                row = rows[n]
                try:
                    uids[n] = self._move(items[row.uid], row) if n in moved else self._add(row)
                except (ValueError, TypeError) as error:
                    refused.append(str(error))
                    uids[n] = 0 if n in new else row.uid
        self._write_uids(uids)
        return refused

    def _write_uids(self, uids: list[int]) -> None:
        features = self.layer.features
        if len(features) == len(uids) and features[UID].tolist() != uids:
            self.layer.features = features.assign(**{UID: np.array(uids, int)})

    # ------------------------------------------------------------------ session to layer

    def show(self) -> None:
        """Make the layer show the session's prompts."""
        items, rows = self.items(), self.rows()
        kept = {row.uid: n for n, row in reversed(list(enumerate(rows))) if row.uid in items}
        order = sorted(kept, key=lambda uid: kept[uid])
        order += [uid for uid in items if uid not in kept]
        fits = len(order) == len(rows) == len(kept)
        if not (fits and all(self._same(items[uid], rows[kept[uid]].what) for uid in order)):
            values = [
                rows[kept[uid]].what
                if uid in kept and self._same(items[uid], rows[kept[uid]].what)
                else self._value_of(items[uid])
                for uid in order
            ]
            features = self.layer.features
            old = features.iloc[[kept[uid] for uid in order if uid in kept]]
            fresh = [self.layer.feature_defaults] * (len(order) - len(old))
            self.layer.selected_data = set()
            self._replace(values)
            frame = pd.concat([old, *fresh], ignore_index=True) if order else features.iloc[:0]
            self._write_features(frame, [items[uid] for uid in order])
        else:
            self._write_features(self.layer.features, [items[uid] for uid in order])
        self._color([items[uid] for uid in order])

    def _write_features(self, frame: pd.DataFrame, items: list[PromptItem]) -> None:
        wanted = {
            UID: np.array([i.uid for i in items], int),
            OBJECT: np.array([i.object_id for i in items], int),
            POSITIVE: np.array([i.positive for i in items], bool),
        }
        current = self.layer.features
        if len(current) == len(items) and all(
            current[name].tolist() == values.tolist() for name, values in wanted.items()
        ):
            return
        self.layer.features = frame.reset_index(drop=True).assign(**wanted)

    def _color(self, items: list[PromptItem]) -> None:
        if items and is_ours(self.layer):  # the colours of the user's layers are the user's
            ids = np.array([i.object_id for i in items])
            self._paint(self._color_of(ids), np.array([i.positive for i in items]))

    def _to_session(self, coordinates: NDArray[Any]) -> NDArray[np.float64]:
        """Layer's data pixels to the session's, shape (n, axes)."""
        full = np.asarray(coordinates, np.float64)
        if not is_ours(self.layer):
            worlds = [self.layer.data_to_world(c) for c in full]
            full = np.array([self._image.world_to_data(w) for w in worlds]).reshape(full.shape)
        return np.array([self._axes.drop(c) for c in full]).reshape(len(full), -1)

    def _to_layer(self, coordinates: NDArray[Any]) -> NDArray[np.float64]:
        full = np.array([self._axes.insert(c, 0.0) for c in coordinates])
        if not is_ours(self.layer):
            worlds = [self._image.data_to_world(c) for c in full]
            full = np.array([self.layer.world_to_data(w) for w in worlds])
        return full.reshape(len(coordinates), self.layer.ndim)


class Clicks(PromptLayer["NDArray[np.float64]"]):
    """A Points layer."""

    def items(self) -> dict[int, PromptItem]:
        """Clicks, by number."""
        return {i.uid: i for i in self._session.state.prompts if i.kind == "point"}

    def _values(self) -> list[NDArray[np.float64]]:
        return list(self._to_session(self.layer.data)) if len(self.layer.data) else []

    def _same(self, item: PromptItem, what: NDArray[np.float64]) -> bool:
        there = np.array(item.view.from_plane(item.plane, *item.points[0]))
        in_plane = [item.view.row_axis, item.view.col_axis]
        whole = np.floor(what + 0.5)  # as the session finds a click's plane
        whole[in_plane] = there[in_plane]
        close = np.abs(what - there)[in_plane] < 1e-3
        return bool((whole == there).all() and close.all())

    def _add(self, row: Row[NDArray[np.float64]]) -> int:
        check_click(row.what, self._session.scene.shape)
        return self._session.add_point(tuple(row.what), row.positive, row.object_id)

    def _move(self, item: PromptItem, row: Row[NDArray[np.float64]]) -> int:
        check_click(row.what, self._session.scene.shape)
        self._session.move_prompt(item.uid, tuple(row.what))
        return item.uid

    def _value_of(self, item: PromptItem) -> NDArray[np.float64]:
        return np.array(item.view.from_plane(item.plane, *item.points[0]))

    def _replace(self, values: list[NDArray[np.float64]]) -> None:
        nothing = np.empty((0, self.layer.ndim))
        self.layer.data = self._to_layer(np.array(values)) if values else nothing

    def _paint(self, colors: NDArray[Any], signs: NDArray[np.bool_]) -> None:
        layer: Any = self.layer
        border = sign_colors(signs)
        if not np.allclose(layer.face_color, colors, atol=1e-3):
            layer.face_color = colors
        if not np.allclose(layer.border_color, border, atol=1e-3):
            layer.border_color = border


class Drawings(PromptLayer[Drawing]):
    """A Shapes layer."""

    label = "draw"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What was drawn, for each version of a prompt: undo brings older versions back.
        self._drawn: WeakKeyDictionary[PromptItem, Drawing] = WeakKeyDictionary()

    def items(self) -> dict[int, PromptItem]:
        """Prompts that were drawn, or can be, by number."""
        found = {}
        for item in self._session.state.prompts:
            if item.kind != "point" and self._drawing(item) is not None:
                found[item.uid] = item
        return found

    def _drawing(self, item: PromptItem) -> Drawing | None:
        if item not in self._drawn and (made := drawing_of(item)) is not None:
            self._drawn[item] = made
        return self._drawn.get(item)

    def _values(self) -> list[Drawing]:
        layer: Any = self.layer
        return [
            Drawing(str(kind), self._to_session(data))
            for data, kind in zip(layer.data, layer.shape_type, strict=True)
        ]

    def _same(self, item: PromptItem, what: Drawing) -> bool:
        return self._value_of(item).equals(what)

    def _read(self, row: Row[Drawing]) -> Drawn:
        return read_drawing(row.what, self._session.view, self._session.scene.shape)

    def _add(self, row: Row[Drawing]) -> int:
        uid = self._add_drawn(row, self._read(row))
        self._remember(uid, row.what)
        return uid

    def _add_drawn(self, row: Row[Drawing], drawn: Drawn) -> int:
        session, view, plane = self._session, self._session.view, self._session.plane
        elsewhere = drawn.view != view
        if elsewhere:
            session.set_view(drawn.view)
        try:
            if drawn.kind == "box":
                return session.add_box(drawn.plane, drawn.value, row.object_id)
            if drawn.kind == "mask":
                return session.add_mask(drawn.plane, drawn.value, row.object_id)
            return session.add_scribble(drawn.plane, drawn.value, row.positive, row.object_id)
        finally:
            if elsewhere:
                session.set_view(view, plane)

    def _move(self, item: PromptItem, row: Row[Drawing]) -> int:
        drawn = self._read(row)
        uid = item.uid
        if drawn.kind == item.kind and drawn.view == self._session.view:
            name = {"box": "box", "mask": "mask", "scribble": "path"}[drawn.kind]
            self._session.move_prompt(uid, plane=drawn.plane, **{name: drawn.value})
        else:  # a rectangle that was turned is a mask
            self._session.remove_prompt(uid)
            uid = self._add_drawn(row, drawn)
        self._remember(uid, row.what)
        return uid

    def _remember(self, uid: int, drawing: Drawing) -> None:
        for item in self._session.state.prompts:
            if item.uid == uid:
                self._drawn[item] = drawing

    def _value_of(self, item: PromptItem) -> Drawing:
        drawing = self._drawing(item)
        if drawing is None:
            raise ValueError(f"prompt {item.uid} cannot be drawn; it is a {item.kind}.")
        return drawing

    def _replace(self, values: list[Drawing]) -> None:
        layer: Any = self.layer
        if is_ours(layer) or len(layer.edge_color) != layer.nshapes:
            layer.data = []  # else napari trips on the colours of given-up drawings
        layer.data = [(self._to_layer(d.vertices), d.shape_type) for d in values]

    def _paint(self, colors: NDArray[Any], signs: NDArray[np.bool_]) -> None:
        layer: Any = self.layer
        edges = np.where(signs[:, None], colors, sign_colors(signs))
        if not np.allclose(layer.edge_color, edges, atol=1e-3):
            layer.edge_color = edges


def _integers(values: pd.Series, missing: int) -> list[int]:
    numbers = pd.to_numeric(values, errors="coerce").fillna(missing)
    return [int(v) for v in numbers]


def _sign(value: Any) -> bool:
    """Read a sign as people write it in tables."""
    if isinstance(value, str):
        return value.strip().lower() not in ("0", "false", "no", "negative", "-")
    if value is None or value != value:  # a missing one
        return True
    return bool(value)
