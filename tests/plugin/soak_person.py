"""Somebody who does anything at any time in a real window, and what may change meanwhile."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from samslice.plugin.keys import ACTIONS
from samslice.session.state import pending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SHAPE = (6, 64, 64)
WAIT_S = 20.0


class Finished:
    """Holds what the labels say of finished objects against what they said before.

    Whoever asks for a change says so: `asked` for whole objects, `touch` for pixels. All
    else is compared pixel by pixel.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[Any, NDArray[Any], frozenset[int]]] = {}
        self._touched: dict[int, NDArray[np.bool_]] = {}
        self.asked: set[int] = set()

    def touch(self, layer: Any, pixels: NDArray[np.bool_]) -> None:
        """Let pixels change for good: what painted over an object may give them back later."""
        self._touched[id(layer)] = self._free(layer) | pixels

    def _free(self, layer: Any) -> NDArray[np.bool_]:
        return self._touched.get(id(layer), np.zeros(SHAPE, bool))

    def check(self, sam: Any) -> None:
        """Compare, and hold what is finished now."""
        for place in sam._places.values():
            session, layer = place.session, place.labels
            if session is None or layer is None:
                continue
            now, finished = np.array(layer.data), session.state.finished
            late = {o for ids in session._awaited.values() for o in ids}  # committed unseen
            held, before, were = self._held.get(id(layer), (None, now, frozenset()))
            if held is session:
                if session.overwrite:
                    self.touch(layer, (before != now) & (before != 0))
                for object_id in sorted((were & finished) - self.asked):
                    changed = (before == object_id) != (now == object_id)
                    changed &= ~self._free(layer)
                    assert not changed.any(), (
                        f"finished object {object_id} of {layer.name!r} has changed at "
                        f"{np.argwhere(changed)[:3].tolist()} and {changed.sum() - 1} more pixels, "
                        f"from {np.unique(before[changed])} to {np.unique(now[changed])} on planes "
                        f"{np.unique(changed.nonzero()[0])}; the latest step is "
                        f"{session.undo_label!r}, running {session.is_propagating}"
                    )
            self._held[id(layer)] = (session, now, finished - late)
        if sam.session is None or not sam.session.is_propagating:
            self.asked.clear()


def changed_by(edit: Any) -> set[int]:
    """Objects that taking an edit back, or doing it again, may change though they are finished."""
    found = set(edit.before.finished ^ edit.after.finished)
    if edit.label.startswith("propagate"):
        found |= {key.object_id for key in (*edit.records, *edit.rows)}
    return found


class Person:
    """Somebody who does anything at any time, and remembers the latest of it."""

    def __init__(self, viewer: Any, sam: Any, seed: int) -> None:
        self.viewer, self.sam = viewer, sam
        self.rng = np.random.default_rng(seed)
        self.done: list[str] = []
        self.finished = Finished()
        self._removed: list[Any] = []
        self._canvas = viewer.window._qt_viewer.canvas
        self._kinds = {
            self.click: 22, self.act: 22, self.undo_or_redo: 12, self.drag_a_click: 5,
            self.delete_clicks: 5, self.draw: 5, self.drag_a_box: 3, self.delete_drawings: 3,
            self.paint: 6, self.look_at_a_plane: 8, self.choose_object: 6, self.commit: 8,
            self.propagate: 6, self.choose_candidate: 4, self.rename: 2, self.hide: 2,
            self.remove_a_layer: 1, self.bring_a_layer_back: 2, self.choose_image: 2,
            self.choose_a_layer: 3, self.turn: 1, self.overwrite: 1, self.change_the_image: 2,
        }  # fmt: skip

    # ------------------------------------------------------------------ at random

    def step(self) -> None:
        kinds = list(self._kinds)
        weights = np.array(list(self._kinds.values()), float)
        kind = kinds[self.rng.choice(len(kinds), p=weights / weights.sum())]
        self.done.append(f"{len(self.done) + 1}: {kind.__name__}")
        note = kind()
        self.done[-1] += f" {note or ''}"
        pump(self.rng.choice([0.0, 0.0, 0.005, 0.03]))
        self.finished.check(self.sam)

    def settle(self) -> None:
        """Wait for all masks; then the layers show what the session knows."""
        session = self.sam.session
        if session is not None:
            session.resume("propagate")
            self.sam._place.paused.clear()
            session.resume("encode")
        assert self.sam.wait(WAIT_S), "the work did not end"
        pump(0.05)
        self.finished.check(self.sam)
        points = self.sam.points
        if self.sam.session is not None and points is not None:
            clicks = [i for i in self.sam.session.state.prompts if i.kind == "point"]
            assert sorted(points.features["samslice_uid"]) == sorted(i.uid for i in clicks)
            assert len(points.data) == len(clicks)

    def _below(self, n: int) -> int:
        return int(self.rng.integers(n))

    def _layers(self) -> list[Any]:
        return list(self.viewer.layers)

    def _objects(self) -> list[int]:
        session = self.sam.session
        return [] if session is None else sorted({*session.state.finished, *session.pending, 1})

    # ------------------------------------------------------------------ mouse and keys

    def _at(self, row: float, col: float) -> Any:
        from qtpy.QtCore import QPoint

        x, y, _, w = self._canvas.view.scene.transform.map([col, row, 0, 1])
        return QPoint(round(x / w), round(y / w))

    def _drag(self, *corners: tuple[float, float]) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        native, left = self._canvas.native, Qt.MouseButton.LeftButton
        first, *others = (self._at(*corner) for corner in corners)
        with self._by_hand():
            QTest.mouseMove(native, first)
            QTest.mousePress(native, left, pos=first)
            for at in others:
                QTest.mouseMove(native, at)
                pump(0.0)
            QTest.mouseRelease(native, left, pos=others[-1])

    @contextmanager
    def _by_hand(self) -> Iterator[None]:
        """Say that what the mouse does to labels was asked for."""
        layer = self.viewer.layers.selection.active
        if not isinstance(layer, Labels):
            yield
            return
        before = np.array(layer.data)
        yield
        self.finished.touch(layer, before != layer.data)

    def click(self) -> str:
        """Click somewhere, with a tool for clicks in hand or with what happens to be."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        tool = self.rng.choice(["positive", "positive", "negative", ""])
        if tool:
            self.sam.act(f"tool:{tool}")
        row, col = self.rng.uniform(-3, 66, 2).round(1)
        with self._by_hand():
            QTest.mouseMove(self._canvas.native, self._at(row, col))
            QTest.mouseClick(self._canvas.native, Qt.MouseButton.LeftButton, pos=self._at(row, col))
        return f"{tool} at {row}, {col}"

    def drag_a_click(self) -> str:
        points = self.sam.points
        if points is None or not len(points.data):
            return "none"
        self.sam.act("tool:positive")
        points.mode = "select"
        n = self._below(len(points.data))
        self.viewer.dims.set_current_step(0, round(points.data[n][0]))
        row, col = points.data[n][1:]
        to = self.rng.uniform(0, 63, 2).round(1)
        self._drag((row, col), ((row + to[0]) / 2, (col + to[1]) / 2), (to[0], to[1]))
        return f"{n} to {to}"

    def delete_clicks(self) -> str:
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        points = self.sam.points
        if points is None or not len(points.data):
            return "none"
        self.sam.act("tool:positive")
        points.mode = "select"
        chosen = {self._below(len(points.data)) for _ in range(1 + self._below(2))}
        points.selected_data = chosen
        QTest.keyClick(self._canvas.native, Qt.Key.Key_Delete)
        return f"{chosen}"

    def drag_a_box(self) -> str:
        self.sam.act("tool:box")
        corners = self.rng.uniform(0, 63, (2, 2)).round(1)
        self._drag(*(tuple(c) for c in (corners[0], corners.mean(axis=0), corners[1])))
        return f"{corners.tolist()}"

    def paint(self) -> str:
        """Paint or erase with some label: what it covers or uncovers was asked for."""
        sam = self.sam
        sam.act("tool:brush")
        layer = sam.labels
        if layer is None or sam.session is None or self.viewer.layers.selection.active != layer:
            return "not now"
        mode, objects = str(self.rng.choice(["paint", "erase"])), self._objects()
        layer.selected_label = objects[self._below(len(objects))]
        layer.brush_size, layer.mode = 1 + self._below(8), mode
        path = self.rng.uniform(0, 63, (3, 2)).round(1)
        self._drag(*(tuple(at) for at in path))
        return f"{mode} {layer.selected_label} along {path.tolist()}"

    # ------------------------------------------------------------------ drawings

    def draw(self) -> str:
        shapes = self.sam.shapes
        if shapes is None or not shapes.visible:  # hidden ones napari does not turn with the view
            return "nowhere"
        kind = str(self.rng.choice(["rectangle", "ellipse", "polygon", "path", "line"]))
        low = self.rng.uniform(-2, 50, 2)
        high = low + self.rng.uniform(0.5, 20, 2)
        (r0, c0), (r1, c1) = low.round(1).tolist(), high.round(1).tolist()
        rc = [(r0, c0), (r0, c1), (r1, c1), (r1, c0)]
        rc = [rc[0], rc[2]] if kind == "line" else rc
        plane = float(self.viewer.dims.current_step[0])
        shapes.add(np.array([(plane, *at) for at in rc]), shape_type=kind)
        return f"{kind} {(r0, c0, r1, c1)} on {plane}"

    def delete_drawings(self) -> str:
        shapes = self.sam.shapes
        # While a polygon is drawn click by click napari itself trips over a drawing that goes.
        if shapes is None or not shapes.nshapes or shapes._is_creating:
            return "none"
        n = self._below(shapes.nshapes)
        shapes.selected_data = {n}
        shapes.remove_selected()
        return f"{n}"

    # ------------------------------------------------------------------ buttons

    def act(self) -> str:
        """Press any button but those that are asked for by name below."""
        own = ("undo", "redo", "propagate", "repropagate")
        names = [a.name for a in ACTIONS if a.name not in own]
        name = names[self._below(len(names))]
        self.sam.act(name)
        return name

    def commit(self) -> None:
        self.sam.act("commit")

    def undo_or_redo(self) -> str:
        name = str(self.rng.choice(["undo", "undo", "redo"]))
        session, edit = self.sam.session, None
        if session is not None:
            history = session._history
            undone = history._undone[-1] if history._undone else None
            edit = history.top if name == "undo" else undone
            if edit is not None:
                self.finished.asked |= changed_by(edit)
        self.sam.act(name)
        return f"{name} {edit.label if edit is not None else 'nothing'}"

    def propagate(self) -> str:
        sam, session = self.sam, self.sam.session
        name = "repropagate" if self._below(4) == 0 else "propagate"
        if session is not None and sam.can[name] is None:
            state = session.state
            carried = {i.object_id for i in state.prompts if i.view == session.view}
            carried = (carried & pending(state)) or carried or {sam.labels.selected_label}
            self.finished.asked |= {session.current} if name == "repropagate" else carried
        sam.act(name)
        return name

    def choose_object(self) -> str:
        object_id = 1 + self._below(6)
        self.sam.set_current(object_id)
        return f"{object_id}"

    def choose_candidate(self) -> str:
        scores = self.sam.candidates.scores
        if not scores:
            return "none"
        k = self._below(len(scores))
        self.sam.choose_candidate(k)
        return f"{k}"

    def overwrite(self) -> str:
        """Switch it on for a moment: later strokes of the undo may give back what it took."""
        on = not self.sam.state.overwrite
        self.sam.set_overwrite(on)
        return f"{on}"

    # ------------------------------------------------------------------ layers and view

    def look_at_a_plane(self) -> str:
        plane = self._below(SHAPE[0])
        self.viewer.dims.set_current_step(0, plane)
        return f"{plane}"

    def turn(self) -> str:
        """Look along another axis, or at the volume; the next time at planes again."""
        dims = self.viewer.dims
        if dims.ndisplay == 3 or tuple(dims.order) != (0, 1, 2):
            dims.ndisplay, dims.order = 2, (0, 1, 2)
        elif self._below(2):
            dims.ndisplay = 3
        else:
            dims.order = (1, 0, 2)
        return f"{dims.ndisplay}D {dims.order}"

    def choose_image(self) -> str:
        name = str(self.rng.choice(["one", "two"]))
        if name in self.viewer.layers:
            self.sam.choose_image(name)
        return name

    def choose_a_layer(self) -> str:
        layers = self._layers()
        layer = layers[self._below(len(layers))]
        self.viewer.layers.selection.active = layer
        return layer.name

    def rename(self) -> str:
        layers = [one for one in self._layers() if one.name not in ("one", "two")]
        if not layers:
            return "none"
        layer = layers[self._below(len(layers))]
        before, layer.name = layer.name, f"layer {self._below(100)}"
        return f"{before} {layer.name}"

    def hide(self) -> str:
        layers = self._layers()
        layer = layers[self._below(len(layers))]
        layer.visible = not layer.visible
        return f"{layer.name} {layer.visible}"

    def remove_a_layer(self) -> str:
        layers = self._layers()
        layer = layers[self._below(len(layers))]
        self.viewer.layers.remove(layer)
        self._removed.append(layer)
        return layer.name

    def bring_a_layer_back(self) -> str:
        if not self._removed:
            return "none"
        layer = self._removed.pop(self._below(len(self._removed)))
        self.viewer.layers.append(layer)
        return layer.name

    def change_the_image(self) -> str:
        image = self.sam.image
        if image is None:
            return "none"
        what = str(self.rng.choice(["contrast", "data", "place", "normalization"]))
        if what == "contrast":
            low = self._below(50)
            image.contrast_limits = (low, low + 100)
        elif what == "data":
            image.data = np.roll(image.data, 1, axis=0)
        elif what == "place":
            # Not across planes: between two of them napari itself trips over a box that is drawn.
            image.translate = (0, self._below(4), self._below(4))
        else:
            self.sam.set_normalization(str(self.rng.choice(["auto", "contrast", "percentiles"])))
        return what


def pump(seconds: float) -> None:
    """Serve the window, at least once."""
    from qtpy.QtWidgets import QApplication

    until = time.monotonic() + seconds
    while True:
        QApplication.processEvents()
        if time.monotonic() >= until:
            return
        time.sleep(0.001)
