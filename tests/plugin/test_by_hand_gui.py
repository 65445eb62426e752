"""What a person does with the mouse and the keys of napari's own tools."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("qtpy", reason="qtpy comes with the napari extra")

pytestmark = pytest.mark.gui


@pytest.fixture
def by_hand(request, qtbot, open_sam):
    """Open a controller in a window that is shown; what the mouse and the keys do in it."""
    viewer = request.getfixturevalue("make_napari_viewer")(show=True)
    return Hand(qtbot, viewer, open_sam(viewer=viewer))


class Hand:
    """A person at the window."""

    def __init__(self, qtbot, viewer, sam):
        self.qtbot, self.viewer, self.sam = qtbot, viewer, sam
        viewer.dims.set_current_step(0, 2)
        viewer.reset_view()
        qtbot.wait(50)

    @property
    def _canvas(self):
        return self.viewer.window._qt_viewer.canvas

    def _at(self, row, col):
        from qtpy.QtCore import QPoint

        x, y, _, w = self._canvas.view.scene.transform.map([col, row, 0, 1])
        return QPoint(round(x / w), round(y / w))

    def click(self, row, col):
        self.drag((row, col))

    def drag(self, *places):
        """Press at the first place, move through the others and release at the last."""
        from qtpy.QtCore import QEvent

        points = [self._at(*place) for place in places]
        self._send(QEvent.Type.MouseMove, points[0], held=False)
        self._send(QEvent.Type.MouseButtonPress, points[0])
        for point in points[1:]:
            self._send(QEvent.Type.MouseMove, point)
        self._send(QEvent.Type.MouseButtonRelease, points[-1], held=False)
        self.settle()

    def _send(self, kind, point, held=True):
        """Send a mouse event; those of QTest tell of no button that is held while it moves."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        native, left, none = self._canvas.native, Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        at, there = QPointF(point), QPointF(native.mapToGlobal(point))
        button = none if kind == QEvent.Type.MouseMove else left
        modifiers = Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(kind, at, there, button, left if held else none, modifiers)
        self.qtbot.wait(20)  # vispy leaves out moves that follow one another more quickly
        QApplication.sendEvent(native, event)

    def key(self, name, *modifiers):
        from qtpy.QtCore import Qt

        held = Qt.KeyboardModifier.NoModifier
        for modifier in modifiers:
            held |= getattr(Qt.KeyboardModifier, f"{modifier}Modifier")
        self.qtbot.keyClick(self._canvas.native, getattr(Qt.Key, f"Key_{name}"), held)
        self.settle()

    def settle(self):
        assert self.sam.wait(20)
        self.qtbot.wait(60)  # reports come a little later

    def mask(self, object_id):
        return self.sam.labels.data[2] == object_id


def test_a_label_picked_with_the_pipette_can_be_used(by_hand):
    sam = by_hand.sam
    told = []
    sam.can_changed.connect(lambda can: told.append(can["use_label"]))
    by_hand.click(20, 20)
    by_hand.key("K")
    by_hand.key("R", "Shift")
    assert told[-1] is not None  # the object in hand is new
    by_hand.key("5")
    by_hand.click(20, 20)
    assert sam.labels.selected_label == 1
    assert told[-1] is None
    by_hand.key("U")
    assert (sam.state.current, sam.state.pending) == (1, (1,))


def test_a_scribble_is_positive_though_negative_clicks_went_before(by_hand):
    """The tool says that it draws along the inside; Q turns it around."""
    sam = by_hand.sam
    by_hand.click(20, 20)
    by_hand.key("N", "Shift")
    by_hand.key("S", "Shift")
    by_hand.drag((40, 30), (40, 36), (40, 42))
    assert [item.positive for item in sam.session.state.prompts] == [True, True]
    by_hand.key("Q")
    by_hand.drag((20, 24), (24, 24))
    assert [item.positive for item in sam.session.state.prompts] == [True, True, False]


@pytest.mark.parametrize(
    ("tool", "key", "mode"),
    [
        ("G", "E", "add_ellipse"),
        ("G", "P", "add_polygon"),
        ("S", "L", "add_line"),
        ("S", "T", "add_path"),
        ("R", "1", "erase"),
    ],
)
def test_the_button_of_a_tool_shows_for_each_of_napari_s_modes_that_does_the_same(
    by_hand, tool, key, mode
):
    names = {"G": "polygon", "S": "scribble", "R": "brush"}
    by_hand.key(tool, "Shift")
    by_hand.key(key)
    assert str(by_hand.viewer.layers.selection.active.mode) == mode
    assert by_hand.sam.tool == names[tool]


@pytest.mark.parametrize(
    ("keys", "kind"), [((), "ellipse"), (("P",), "polygon"), (("L",), "line"), (("T",), "path")]
)
def test_what_is_drawn_by_mouse_becomes_a_mask(by_hand, keys, kind):
    sam = by_hand.sam
    by_hand.key("G", "Shift")
    by_hand.key(*(keys or ("E",)))
    if kind == "polygon":
        for corner in ((15, 15), (15, 35), (35, 35), (35, 15)):
            by_hand.click(*corner)
        by_hand.key("Return")
    else:
        by_hand.drag((15, 15), (25, 25), (35, 35))
    assert [str(name) for name in sam.shapes.shape_type] == [kind]
    [item] = sam.session.state.prompts
    assert item.kind == ("mask" if kind in ("ellipse", "polygon") else "scribble")
    assert by_hand.mask(1)[25, 25]  # in the middle of each of them


def test_a_mask_that_finished_objects_cover_is_told_of(by_hand):
    """The candidates show a mask, and nothing appears: the user must learn why."""
    sam = by_hand.sam
    by_hand.click(20, 20)
    by_hand.key("K")
    by_hand.click(20, 20)
    assert sam.state.current == 2
    assert not by_hand.mask(2).any()
    assert "finished objects" in sam.state.text
    sam.set_overwrite(True)
    by_hand.settle()
    assert np.count_nonzero(by_hand.mask(2))
    assert "finished objects" not in sam.state.text


@pytest.fixture
def under_way(by_hand, discs, monkeypatch):
    """A propagation that is slow enough to be met under way; how far each job was last told."""
    hand, sam, told = by_hand, by_hand.sam, {}
    hand.qtbot.waitUntil(lambda: not sam.is_busy, timeout=10_000)
    hand.click(20, 20)
    sam.progress.connect(lambda view: told.update({view.kind: view}))
    decode = discs.decode
    monkeypatch.setattr(discs, "decode", lambda *a, **k: (time.sleep(0.2), decode(*a, **k))[1])
    sam.propagate()
    hand.qtbot.waitUntil(lambda: "propagate" in told, timeout=10_000)
    return told


def test_a_propagation_that_pauses_is_shown_as_paused_and_goes_on(by_hand, under_way):
    by_hand.sam.pause()
    for wait_ms in (1, 600):  # before and after the step that it is in
        by_hand.qtbot.wait(wait_ms)
        assert under_way["propagate"].active
        assert under_way["propagate"].paused
    assert by_hand.sam.can["pause"] is None
    by_hand.sam.pause()
    assert not under_way["propagate"].paused
    by_hand.qtbot.waitUntil(lambda: len(by_hand.sam.table) == 6, timeout=10_000)


def test_no_progress_is_shown_of_work_that_ended_with_its_layer(by_hand, under_way):
    by_hand.viewer.layers.remove(by_hand.sam.labels)
    by_hand.qtbot.wait(100)
    assert not under_way["propagate"].active
    assert not by_hand.sam.is_busy


def test_an_image_that_is_added_can_be_clicked_on_at_once(qtbot, open_sam, request):
    """napari selects the new image after the widget has made its layers."""
    viewer = request.getfixturevalue("make_napari_viewer")()
    sam = open_sam(viewer=viewer)
    viewer.layers.clear()
    viewer.add_image(np.zeros((6, 64, 64), np.uint8), name="new")
    qtbot.waitUntil(lambda: sam.tool == "positive", timeout=5000)
    assert sam.image.name == "new"
    assert viewer.layers.selection.active == sam.points


def test_a_click_in_a_volume_is_no_prompt_and_the_tool_comes_back(by_hand):
    sam, dims = by_hand.sam, by_hand.viewer.dims
    for tool in ("box", "positive"):
        sam.set_tool(tool)
        by_hand.settle()
        dims.ndisplay = 3
        assert sam.tool == ""
        by_hand.click(20, 20)
        assert not sam.session.state.prompts
        dims.ndisplay = 2
        assert sam.tool == tool


def test_a_range_without_the_object_switches_propagate_off_and_says_why(by_hand):
    sam, told = by_hand.sam, []
    sam.can_changed.connect(lambda can: told.append(can["propagate"]))
    by_hand.click(20, 20)
    assert told[-1] is None
    for planes, why in (((4, 5), "allowed are planes 4 to 5"), ((4, 50), "exceeds the stack")):
        sam.set_options(replace(sam.options, first_plane=planes[0], last_plane=planes[1]))
        by_hand.settle()
        assert why in told[-1]
    sam.set_options(replace(sam.options, first_plane=None, last_plane=None))
    by_hand.settle()
    assert told[-1] is None


def test_the_bar_shows_that_a_plane_is_encoded_before_the_first_report(by_hand, discs):
    sam, told = by_hand.sam, []
    by_hand.qtbot.waitUntil(lambda: not sam.is_busy, timeout=10_000)
    sam.progress.connect(told.append)
    discs.gate.clear()
    sam.image.data = sam.image.data + 100
    by_hand.qtbot.wait(100)
    discs.gate.set()
    assert (told[0].kind, told[0].done, told[0].active) == ("encode", 0, True)
    by_hand.qtbot.waitUntil(lambda: not told[-1].active, timeout=10_000)


def test_waiting_for_masks_leaves_the_progress_of_encoding_where_it_was(by_hand, discs):
    """`wait` holds what is encoded ahead: that is no end of it."""
    sam, told = by_hand.sam, []
    by_hand.qtbot.waitUntil(lambda: not sam.is_busy, timeout=10_000)
    encode = discs.encode
    discs.encode = lambda *a, **k: (time.sleep(0.2), encode(*a, **k))[1]
    sam.progress.connect(told.append)
    sam.image.data = sam.image.data + 100
    by_hand.qtbot.waitUntil(lambda: bool(told) and told[-1].done > 0, timeout=10_000)
    assert sam.wait(20)
    assert told[-1].active
    assert sam.can["pause"] is None
    by_hand.qtbot.waitUntil(lambda: not told[-1].active, timeout=10_000)
    by_hand.qtbot.waitUntil(lambda: not sam.is_busy, timeout=10_000)
    assert sam.can["pause"] is not None
