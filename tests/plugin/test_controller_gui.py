"""The controller in a real viewer: mouse, keys, threads and the event loop."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip("qtpy", reason="qtpy comes with the napari extra")

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(request):
    return request.getfixturevalue("make_napari_viewer")()


@pytest.fixture
def shown_viewer(request):
    return request.getfixturevalue("make_napari_viewer")(show=True)


def canvas_of(viewer):
    return viewer.window._qt_viewer.canvas


def press(qtbot, viewer, key, *modifiers):
    from qtpy.QtCore import Qt

    held = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        held |= getattr(Qt.KeyboardModifier, f"{modifier}Modifier")
    qtbot.keyClick(canvas_of(viewer).native, getattr(Qt.Key, f"Key_{key}"), held)


def click(qtbot, viewer, row, col):
    from qtpy.QtCore import QPoint, Qt

    canvas = canvas_of(viewer)
    x, y, _, w = canvas.view.scene.transform.map([col, row, 0, 1])
    at = QPoint(round(x / w), round(y / w))
    qtbot.mouseMove(canvas.native, at)
    qtbot.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=at)


def test_results_come_by_themselves(qtbot, viewer, open_sam):
    """Nobody waits: the event loop brings the model, the mask and the progress."""
    sam = open_sam(viewer=viewer)
    sam.points.add([2, 20, 20])
    qtbot.waitUntil(lambda: bool(sam.labels.data[2, 20, 20]), timeout=10_000)
    sam.propagate()
    qtbot.waitUntil(lambda: len(sam.table) == 6, timeout=10_000)


def test_mouse_and_keys_go_the_whole_way(qtbot, shown_viewer, open_sam):
    viewer = shown_viewer
    sam = open_sam(viewer=viewer)
    viewer.reset_view()
    qtbot.wait(50)
    click(qtbot, viewer, 20, 20)
    plane = int(viewer.dims.current_step[0])
    qtbot.waitUntil(lambda: bool(sam.labels.data[plane, 20, 20]), timeout=10_000)
    press(qtbot, viewer, "Q")
    assert sam.tool == "negative"
    click(qtbot, viewer, 24, 20)
    qtbot.waitUntil(lambda: not sam.labels.data[plane, 24, 20], timeout=10_000)
    press(qtbot, viewer, "Z", "Control")
    qtbot.waitUntil(lambda: bool(sam.labels.data[plane, 24, 20]), timeout=10_000)
    press(qtbot, viewer, "Z", "Control", "Shift")
    qtbot.waitUntil(lambda: not sam.labels.data[plane, 24, 20], timeout=10_000)
    press(qtbot, viewer, "K")
    assert sam.state.finished == (1,)
    press(qtbot, viewer, "R", "Shift")
    assert (sam.tool, sam.labels.selected_label) == ("brush", 2)
    press(qtbot, viewer, "Z", "Control")  # on the labels layer too it is the session's
    assert sam.state.finished == ()


def test_the_event_loop_answers_while_the_encoder_works(qtbot, viewer, open_sam, discs):
    sam = open_sam(np.zeros((30, 64, 64), np.uint8) + np.arange(30, dtype=np.uint8)[:, None, None],
                   viewer=viewer)  # fmt: skip
    discs.gate.clear()
    sam.image.data = sam.image.data + 100
    begun = time.monotonic()
    sam.points.add([12, 20, 20])
    sam.points.add([14, 20, 20])
    viewer.dims.set_current_step(0, 20)
    assert sam.state.n_planes == 30
    assert time.monotonic() - begun < 3
    assert discs.entered.wait(5)
    discs.gate.set()
    assert sam.wait(20)


def test_closing_in_the_middle_leaves_no_thread_and_no_callback(qtbot, viewer, open_sam, discs):
    sam = open_sam(viewer=viewer)
    discs.gate.clear()
    sam.image.data = sam.image.data + 100
    labels, points = sam.labels, sam.points
    points.add([2, 20, 20])
    begun = time.monotonic()
    sam.close()
    assert time.monotonic() - begun < 1
    assert not any(t.name.startswith("samslice") for t in threading.enumerate())
    discs.gate.set()
    qtbot.wait(100)
    points.add([3, 20, 20])
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(50)
    assert not labels.data.any()


def test_closing_the_viewer_in_the_middle_ends_everything(qtbot, viewer, open_sam, discs):
    sam = open_sam(viewer=viewer)
    discs.gate.clear()
    sam.image.data = sam.image.data + 100
    sam.points.add([2, 20, 20])
    viewer.close()
    assert not any(t.name == "samslice-session" for t in threading.enumerate())
    discs.gate.set()
    assert sam.session is None


def test_it_works_on_the_proxy_that_napari_hands_to_widgets(qtbot, request, open_sam):
    """Through it no layer is identical with itself."""
    viewer = request.getfixturevalue("make_napari_viewer_proxy")()
    viewer.add_image(np.zeros((3, 64, 64), np.uint8))
    sam = open_sam(viewer=viewer, image=viewer.layers[0])
    sam.points.add([1, 20, 20])
    assert sam.wait(10)
    assert sam.labels.data[1, 20, 20] == 1
    sam.choose_image(viewer.layers[0])
    assert sam.state.pending == (1,)


def test_results_are_not_handed_over_inside_one_another(qtbot, viewer, open_sam, heard):
    """To show a bar napari serves the event loop, which brings results, which ask for a bar."""
    depth, deepest = 0, 0
    planes = np.zeros((300, 64, 64), np.uint8)
    planes[:] = np.arange(300)[:, None, None] % 250
    sam = open_sam(planes, viewer=viewer)
    run = sam.guard

    def guard(call):
        nonlocal depth, deepest
        depth, deepest = depth + 1, max(deepest, depth + 1)
        try:
            return run(call)
        finally:
            depth -= 1

    sam.runner._courier._run = guard
    qtbot.waitUntil(lambda: not sam.is_busy, timeout=20_000)
    qtbot.wait(200)
    assert deepest <= 2  # a bar that is drawn by a timer, and one result inside
    assert not sam.runner._bars
    assert heard == []


def test_a_drawing_that_has_just_begun_is_given_up_quietly(qtbot, shown_viewer, open_sam):
    """napari keeps the colours of drawings that are given up, and warns of them later."""
    sam = open_sam(viewer=shown_viewer)
    shown_viewer.reset_view()
    qtbot.wait(50)
    plane = int(shown_viewer.dims.current_step[0])
    for column in (5, 30):
        corners = [(plane, 5, column), (plane, 5, column + 9), (plane, 14, column + 9)]
        sam.shapes.add(np.array([*corners, (plane, 14, column)]), shape_type="rectangle")
    drawn = [np.array(corners) for corners in sam.shapes.data]
    sam.set_tool("polygon")
    click(qtbot, shown_viewer, 40, 40)
    assert sam.shapes.nshapes == 3
    sam.next_object()
    assert sam.shapes.nshapes == len(sam.shapes.edge_color) == 2
    np.testing.assert_allclose(sam.shapes.data, drawn)
    sam.undo()
    assert sam.shapes.nshapes == len(sam.shapes.edge_color) == 1


def drag(qtbot, viewer, *corners):
    from qtpy.QtCore import QPoint, Qt

    canvas = canvas_of(viewer)
    found = [canvas.view.scene.transform.map([col, row, 0, 1]) for row, col in corners]
    first, *others = (QPoint(round(x / w), round(y / w)) for x, y, _, w in found)
    qtbot.mouseMove(canvas.native, first)
    qtbot.mousePress(canvas.native, Qt.MouseButton.LeftButton, pos=first)
    for at in others:
        qtbot.mouseMove(canvas.native, at)
        qtbot.wait(10)
    qtbot.mouseRelease(canvas.native, Qt.MouseButton.LeftButton, pos=others[-1])


@pytest.mark.parametrize("what", ["from outside", "while another is chosen", "beside the planes"])
def test_a_box_is_read_when_the_mouse_is_let_go(what, qtbot, shown_viewer, open_sam, heard):
    """What is drawn is left to napari until then, whatever else happens."""
    sam = open_sam(viewer=shown_viewer)
    if what == "beside the planes":
        shown_viewer.add_image(np.zeros((9, 64, 64)), scale=(3, 1, 1))
        shown_viewer.dims.set_current_step(0, 8)
    shown_viewer.reset_view()
    qtbot.wait(50)
    sam.set_tool("box")
    if what == "while another is chosen":
        qtbot.waitUntil(lambda: not sam.is_busy, timeout=10_000)
        sam.shapes.events.set_data.connect(lambda: sam.set_current(4))
    drag(qtbot, shown_viewer, (-6 if what == "from outside" else 4, 10), (12, 14), (20, 30))
    qtbot.wait(50)
    boxes = [item.box for item in sam.session.state.prompts]
    if what == "beside the planes":
        assert boxes == []
        assert sam.shapes.nshapes == 0
        assert ["outside" in text for _, text in heard] == [True]
    else:
        assert len(boxes) == sam.shapes.nshapes == 1
        assert np.abs(np.array(boxes[0][2:]) - (20, 30)).max() < 1.5
        assert heard == []
