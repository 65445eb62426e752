"""The widget and napari's window: docks by name, and what is told when things close."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari comes with the napari extra")
pytest.importorskip("qtpy", reason="qtpy comes with the napari extra")
from qtpy.QtWidgets import QDockWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytestqt.qtbot import QtBot

    from samslice.plugin.controller import SamController

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("make_napari_viewer")()


@pytest.fixture
def dock(viewer: Any, discs: Any, request: pytest.FixtureRequest) -> Callable[[str], SamController]:
    """Dock a widget on a new image, as a script does."""
    import samslice.plugin
    from samslice.engine.cache import EmbeddingCache

    def dock_it(name: str) -> SamController:
        image = viewer.add_image(np.zeros((3, 64, 64), np.uint8), name=name)
        sam = samslice.plugin.open_in(viewer, image, model=discs, cache=EmbeddingCache())
        request.addfinalizer(sam.close)
        assert sam.wait(20)
        return sam

    return dock_it


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What napari is asked to show its user."""
    from napari.utils import notifications

    told: list[str] = []
    for level in ("info", "warning", "error"):
        monkeypatch.setattr(notifications, f"show_{level}", told.append)
    return told


def test_each_widget_of_a_viewer_can_be_found_by_its_name(
    viewer: Any, dock: Callable[[str], SamController]
) -> None:
    first, second, third = (dock(name) for name in ("one", "two", "three"))
    docked = viewer.window.dock_widgets
    assert {name for name in docked if name.startswith("samslice")} == {
        "samslice",
        "samslice 2",
        "samslice 3",
    }
    for name, sam in (("samslice", first), ("samslice 2", second), ("samslice 3", third)):
        assert docked[name].controller is sam


def test_a_second_widget_is_a_tab_so_that_both_have_room(
    viewer: Any, dock: Callable[[str], SamController]
) -> None:
    dock("one")
    dock("two")
    window = viewer.window._qt_window
    docks = [d for d in window.findChildren(QDockWidget) if d.windowTitle().startswith("samslice")]
    assert len(docks) == 2
    assert docks[0] in window.tabifiedDockWidgets(docks[1])


def test_closing_the_viewer_tells_of_no_layer_that_is_gone(
    qtbot: QtBot, viewer: Any, dock: Callable[[str], SamController], notes: list[str]
) -> None:
    """Nobody has removed anything: the work has simply ended."""
    controllers = [dock("one"), dock("two")]
    for sam in controllers:
        sam.points.add([1, 20, 20])
        assert sam.wait(20)
    notes.clear()
    viewer.close()
    qtbot.wait(100)
    assert notes == []
    assert all(sam.is_closed for sam in controllers)


def test_emptying_the_layer_list_tells_of_the_image_alone(
    qtbot: QtBot, viewer: Any, dock: Callable[[str], SamController], notes: list[str]
) -> None:
    dock("one")
    notes.clear()
    viewer.layers.clear()
    qtbot.wait(100)
    assert notes == ["The image 'one' was removed; choose another."]


@pytest.mark.parametrize("kind", ["points", "shapes", "labels"])
def test_removing_one_layer_by_hand_tells_what_it_means(
    kind: str,
    qtbot: QtBot,
    viewer: Any,
    dock: Callable[[str], SamController],
    notes: list[str],
) -> None:
    sam = dock("one")
    layer = getattr(sam, kind)
    notes.clear()
    viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: bool(notes), timeout=5000)
    assert len(notes) == 1
    assert f"{layer.name!r} was removed" in notes[0]
    assert sam.image in viewer.layers


def test_nothing_moves_under_the_mouse_while_texts_and_buttons_change(
    viewer: Any, dock: Callable[[str], SamController], qtbot: QtBot
) -> None:
    """With napari's style, which frames a button that is off, and in the narrow dock."""
    from samslice.plugin.actions import find_widget
    from samslice.plugin.values import CostEstimate

    dock("one")
    widget = find_widget(viewer)
    assert widget is not None
    widget.resize(350, 700)
    widget.show()
    places, texts = (
        [],
        ("Nothing.", "At most 60 planes, 52 to encode: about 3 min, 247 MB of memory."),
    )
    for allowed, text in ((False, texts[0]), (True, texts[1]), (True, texts[0]), (False, texts[1])):
        for panel in widget._acting:
            panel.set_allowed(dict.fromkeys(panel.buttons, None if allowed else "no"))
        for button in widget.objects.candidates:
            button.setEnabled(allowed)
        widget.propagation.show_cost(CostEstimate(60, 52, 31.0, 0, 0, text))
        widget.jobs.message.setText(text)
        qtbot.wait(50)
        assert not widget.scroll.verticalScrollBar().isVisible()
        shown = (widget.objects.buttons["undo"], widget.jobs.buttons["pause"])
        places.append(
            [one.mapTo(widget, one.rect().topLeft()).y() for one in (*shown, widget.jobs.message)]
        )
    assert all(one == places[0] for one in places)


def test_the_dock_cannot_be_so_narrow_that_it_cuts_something_off(
    viewer: Any, dock: Callable[[str], SamController], qtbot: QtBot
) -> None:
    from samslice.plugin.actions import find_widget

    dock("one")
    widget = find_widget(viewer)
    assert widget is not None
    for section in widget.sections.values():
        section.expand()
    qtbot.wait(50)
    bar = widget.scroll.verticalScrollBar().sizeHint().width()
    inside = widget.scroll.widget().minimumSizeHint().width()
    assert inside + bar <= widget.minimumSizeHint().width() <= 350


def test_the_command_palette_opens_the_widget(
    viewer: Any, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, notes: list[str]
) -> None:
    """Among commands that all have the plugin's name in them it is found by what it is for."""
    from qtpy.QtCore import Qt

    from samslice.plugin.actions import find_widget

    # Without weights no model is loaded, which would go on after the test.
    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    monkeypatch.delenv("SAMSLICE_WEIGHTS", raising=False)
    viewer.window._toggle_command_palette()
    palette = viewer.window._qt_window._command_palette
    qtbot.keyClicks(palette._line, "segment")
    qtbot.keyClick(palette._line, Qt.Key.Key_Return)
    widget = find_widget(viewer)
    assert widget is not None
    widget.controller.close()
