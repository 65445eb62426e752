"""The dock widget in a real viewer: what people press reaches the layers, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari comes with the napari extra")
pytest.importorskip("qtpy", reason="qtpy comes with the napari extra")
from samslice.engine.backend import SamModel
from samslice.model.build import build
from samslice.model.config import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from samslice.plugin.main_widget import SamWidget

pytestmark = pytest.mark.gui

SHAPE = (5, 48, 64)
WAIT_S = 60.0


@pytest.fixture(scope="module")
def model() -> SamModel:
    return SamModel(build(VARIANTS["tiny"]), name="tiny", fingerprint="t", device="cpu")


@pytest.fixture
def viewer(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("make_napari_viewer")()


@pytest.fixture
def opened(
    viewer: Any, model: SamModel, request: pytest.FixtureRequest
) -> Callable[..., SamWidget]:
    """Open the widget on a new image; its threads end with the test."""
    from samslice.plugin.actions import find_widget

    def open_it(shape: tuple[int, ...] = SHAPE, **keywords: Any) -> SamWidget:
        import samslice.plugin

        data = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)
        image = viewer.add_image(data, **keywords)
        sam = samslice.plugin.open_in(viewer, image, model=model)
        request.addfinalizer(sam.close)
        assert sam.wait(WAIT_S)
        widget = find_widget(viewer)
        assert widget is not None
        assert widget.controller is sam
        return widget

    return open_it


def press(qtbot: QtBot, widget: SamWidget, name: str) -> None:
    """Press the button of an action, which must be on."""
    from qtpy.QtCore import Qt

    panels = (widget.tools, widget.objects, widget.propagation, widget.jobs, widget.quality)
    [button] = [panel.buttons[name] for panel in panels if name in panel.buttons]
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    settle(widget)


def click(widget: SamWidget, *coordinate: float) -> None:
    widget.controller.points.add(coordinate)
    settle(widget)


def settle(widget: SamWidget) -> None:
    """Wait until all answers are there and shown."""
    assert widget.controller.wait(WAIT_S)


def test_the_main_path_fits_350_by_700_pixels(opened: Callable[..., SamWidget]) -> None:
    widget = opened(name="a layer with a name that is much too long for a narrow combo box")
    click(widget, 2, 20, 30)
    inside = widget.scroll.widget()
    assert inside.minimumSizeHint().width() <= 350
    assert max(inside.heightForWidth(350), inside.minimumSizeHint().height()) <= 700


def test_unfolded_sections_fit_the_width_beside_a_scroll_bar(
    opened: Callable[..., SamWidget], qtbot: QtBot
) -> None:
    widget = opened()
    for section in widget.sections.values():
        section.expand()
    qtbot.wait(50)
    bar = widget.scroll.verticalScrollBar().sizeHint().width()
    assert widget.scroll.widget().minimumSizeHint().width() <= 350 - bar


def test_every_control_explains_itself(opened: Callable[..., SamWidget]) -> None:
    from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox

    widget = opened()
    for kind in (QAbstractButton, QComboBox, QAbstractSpinBox):
        for control in widget.scroll.widget().findChildren(kind):
            named = control.toolTip() or control.parent().toolTip()
            inner = control.objectName().startswith("qt_")  # parts that Qt adds to a table
            table_corner = type(control).__name__ == "QAbstractButton"
            assert named or inner or table_corner, f"{control} {control.objectName()}"


def test_the_widget_shows_what_the_controller_says(opened: Callable[..., SamWidget]) -> None:
    widget = opened(name="cells")
    sam = widget.controller
    assert widget.source.image.currentText() == "cells"
    assert widget.source.status.text() == sam.model.text
    assert widget.objects.object_id.value() == sam.state.current == 1
    assert widget.jobs.message.text() == sam.state.text
    for panel in (widget.tools, widget.objects, widget.propagation, widget.jobs, widget.quality):
        for name, button in panel.buttons.items():
            assert button.isEnabled() == (sam.can[name] is None), name
            assert button.isEnabled() or sam.can[name] in button.toolTip()


def test_without_an_image_nothing_can_be_pressed_and_each_button_says_why(
    viewer: Any, model: SamModel, request: pytest.FixtureRequest
) -> None:
    import samslice.plugin
    from samslice.plugin.actions import find_widget

    sam = samslice.plugin.open_in(viewer, model=model)
    request.addfinalizer(sam.close)
    widget = find_widget(viewer)
    assert widget is not None
    for panel in (widget.tools, widget.objects, widget.propagation, widget.quality):
        for name, button in panel.buttons.items():
            assert not button.isEnabled(), name
            assert "Not now" in button.toolTip(), name
    assert not widget.source.image.isEnabled()


def test_tool_buttons_select_layer_and_mode(
    opened: Callable[..., SamWidget], viewer: Any, qtbot: QtBot
) -> None:
    widget = opened()
    sam = widget.controller
    expected = {
        "positive": (sam.points, "add"),
        "negative": (sam.points, "add"),
        "box": (sam.shapes, "add_rectangle"),
        "polygon": (sam.shapes, "add_polygon"),
        "scribble": (sam.shapes, "add_path"),
        "brush": (sam.labels, "paint"),
    }
    for tool, (layer, mode) in expected.items():
        press(qtbot, widget, f"tool:{tool}")
        assert viewer.layers.selection.active == layer, tool
        assert layer.mode == mode, tool
        pressed = [n for n, button in widget.tools.buttons.items() if button.isChecked()]
        assert pressed == [f"tool:{tool}"]
    viewer.layers.selection.active = sam.image
    settle(widget)
    assert not any(button.isChecked() for button in widget.tools.buttons.values())


def test_a_click_is_answered_with_candidates_and_another_can_be_chosen(
    opened: Callable[..., SamWidget], qtbot: QtBot
) -> None:
    from qtpy.QtCore import Qt

    widget = opened()
    sam = widget.controller
    sam.viewer.dims.set_current_step(0, 2)
    click(widget, 2, 20, 30)
    assert [button.isEnabled() for button in widget.objects.candidates] == [True] * 3
    assert widget.objects.kind.text() == "pending"
    qtbot.mouseClick(widget.objects.candidates[2], Qt.MouseButton.LeftButton)
    settle(widget)
    assert sam.candidates.chosen == 2
    assert widget.objects.candidates[2].isChecked()
    press(qtbot, widget, "next_candidate")
    assert widget.objects.candidates[0].isChecked()


def test_commit_goes_on_to_the_next_object_and_undo_takes_it_back(
    opened: Callable[..., SamWidget], qtbot: QtBot
) -> None:
    widget = opened()
    sam = widget.controller
    click(widget, 2, 20, 30)
    press(qtbot, widget, "commit")
    assert sam.state.finished == (1,)
    assert widget.objects.object_id.value() == 2
    press(qtbot, widget, "undo")
    assert sam.state.pending == (1,)
    press(qtbot, widget, "redo")
    assert sam.state.finished == (1,)
    widget.objects.object_id.setValue(1)
    settle(widget)
    assert sam.state.current == 1
    assert widget.objects.kind.text() == "finished"


def test_propagation_fills_the_table_and_a_row_takes_the_viewer_there(
    opened: Callable[..., SamWidget], viewer: Any, qtbot: QtBot
) -> None:
    from dataclasses import replace

    widget = opened()
    sam = widget.controller
    sam.set_options(replace(sam.options, min_score=0.0, min_overlap=0.0, max_growth=1e3))
    viewer.dims.set_current_step(0, 2)
    click(widget, 2, 20, 30)
    assert widget.propagation.cost.text() == sam.cost.text != ""
    press(qtbot, widget, "propagate")
    planes = [row.plane for row in sam.table if row.object_id == 1]
    assert len(planes) > 1
    table = widget.quality.table
    assert table.model().rowCount() == len(sam.table)
    last = table.model().index(table.model().rowCount() - 1, 0)
    table.clicked.emit(last)
    settle(widget)
    assert viewer.dims.current_step[0] == sam.table[-1].plane
    press(qtbot, widget, "undo")
    assert [row.plane for row in sam.table] == [2]


def test_direction_and_options_reach_the_next_propagation(
    opened: Callable[..., SamWidget],
) -> None:
    widget = opened()
    sam = widget.controller
    widget.propagation.direction.activated.emit(1)
    assert sam.options.direction == "forward"
    widget.options.fields["min_score"].setValue(0.25)
    assert (sam.options.min_score, sam.options.direction) == (0.25, "forward")
    widget.propagation.direction.activated.emit(0)
    assert (sam.options.min_score, sam.options.direction) == (0.25, "both")


def test_the_picture_is_made_only_while_its_section_is_open(
    opened: Callable[..., SamWidget], qtbot: QtBot
) -> None:
    widget = opened()
    heard: list[Any] = []
    widget.controller.picture_changed.connect(heard.append)
    widget.controller.viewer.dims.set_current_step(0, 3)
    settle(widget)
    qtbot.wait(50)
    assert heard == []
    widget.sections["Image"].expand()
    qtbot.waitUntil(lambda: bool(heard), timeout=10_000)
    assert widget.encoder.picture.pixmap().width() > 0


def test_contrast_and_overwriting_reach_the_controller(
    opened: Callable[..., SamWidget],
) -> None:
    widget = opened()
    sam = widget.controller
    widget.encoder.normalization.setCurrentIndex(1)
    widget.encoder.normalization.activated.emit(1)
    settle(widget)
    assert sam.source.normalization == "contrast"
    widget.layers.overwrite.setChecked(True)
    settle(widget)
    assert sam.state.overwrite


def test_renaming_and_removing_images_keeps_the_choices_true(
    opened: Callable[..., SamWidget], viewer: Any
) -> None:
    widget = opened(name="one")
    viewer.add_image(np.zeros((8, 8), np.uint8), name="two")
    settle(widget)
    box = widget.source.image
    assert {box.itemText(i) for i in range(box.count())} == {"one", "two"}
    widget.controller.image.name = "first"
    settle(widget)
    assert box.currentText() == "first"
    viewer.layers.remove("two")
    settle(widget)
    assert [box.itemText(i) for i in range(box.count())] == ["first"]


@pytest.mark.parametrize("how", ["close", "remove_dock_widget"])
def test_a_widget_that_is_taken_away_closes_its_controller(
    how: str, opened: Callable[..., SamWidget], viewer: Any
) -> None:
    widget = opened()
    sam = widget.controller
    if how == "close":
        widget.close()
    else:
        viewer.window.remove_dock_widget(widget)
    assert sam.is_closed


def test_the_manifest_opens_the_widget_and_says_what_to_do_without_weights(
    viewer: Any, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    monkeypatch.delenv("SAMSLICE_WEIGHTS", raising=False)
    viewer.add_image(np.zeros((16, 16), np.uint8))
    _, widget = viewer.window.add_plugin_dock_widget("samslice")
    request.addfinalizer(widget.controller.close)
    qtbot.waitUntil(lambda: widget.controller.model.state == "failed", timeout=10_000)
    assert widget.source.status.text() == widget.controller.model.text != ""
    assert widget.source.file.isEnabled()


def test_the_palettes_commands_act_on_the_open_widget(
    opened: Callable[..., SamWidget], viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils import notifications

    from samslice.plugin import actions

    told: list[str] = []
    monkeypatch.setattr(notifications, "show_info", told.append)
    actions.commit(viewer)
    assert "Open the widget" in told[-1]
    widget = opened()
    actions.commit(viewer)
    assert told[-1] == widget.controller.can["commit"]
    click(widget, 2, 20, 30)
    actions.commit(viewer)
    settle(widget)
    assert widget.controller.state.finished == (1,)
    actions.undo(viewer)
    settle(widget)
    assert widget.controller.state.pending == (1,)
    assert len(told) == 2


def test_of_two_widgets_the_palette_acts_on_the_one_of_the_active_layer(
    opened: Callable[..., SamWidget], viewer: Any
) -> None:
    from samslice.plugin.actions import find_widget

    first = opened(name="first")
    viewer.add_image(np.zeros((8, 8), np.uint8), name="loose")
    second = opened(name="second")
    assert first is not second
    for widget in (first, second):
        viewer.layers.selection.active = widget.controller.points
        assert find_widget(viewer) is widget


def test_the_size_of_a_voxel_is_not_asked_for(opened: Callable[..., SamWidget]) -> None:
    """The layer's scale says it."""
    assert "spacing" not in opened().options.fields


def test_the_controller_knows_whether_its_widget_is_shown(
    opened: Callable[..., SamWidget], viewer: Any
) -> None:
    widget = opened()
    viewer.window._qt_window.show()
    assert widget.isVisible()
    assert widget.controller.rank()[1]
    dock = widget.parent().parent() if widget.parent() else widget
    dock.hide()
    assert not widget.isVisible()
    assert not widget.controller.rank()[1]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_texts_and_pictures_stand_out_in_both_themes(
    theme: str, opened: Callable[..., SamWidget], viewer: Any, qtbot: QtBot
) -> None:
    widget = opened()
    viewer.dims.set_current_step(0, 2)
    click(widget, 2, 20, 30)
    viewer.theme = theme
    qtbot.wait(100)
    for part in (widget.propagation.cost, widget.objects.candidates[1]):
        image = part.grab().toImage()
        greys = [
            image.pixelColor(x, y).lightness()
            for x in range(0, image.width())
            for y in range(0, image.height())
        ]
        assert max(greys) - min(greys) > 100, part
