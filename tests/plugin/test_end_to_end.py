"""From the mouse to the saved file, on the real weights and the demo's stack.

The law: what a person does in the window is, voxel for voxel, what a script gets from
the same clicks. The window adds nothing to a result and takes nothing away from it:
neither its coordinates, its layers and their history, its threads nor its file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari", reason="napari comes with the napari extra")
pytest.importorskip("qtpy", reason="qtpy comes with the napari extra")
import samslice as ss
import samslice.plugin

if TYPE_CHECKING:
    from pathlib import Path

    from pytestqt.qtbot import QtBot

    from samslice.plugin.controller import SamController

pytestmark = [pytest.mark.gui, pytest.mark.weights, pytest.mark.slow]

PLANE, FIRST, LAST = 31, 29, 33  # a few planes: the encoder takes about a second for each
NUCLEI = ((45, 180), (129, 197), (192, 162))  # (row, col) on that plane, read off by eye
SPACING = (0.29, 0.26, 0.26)
WAIT_S = 120.0


class Person:
    """Mouse and keys on the canvas of a window."""

    def __init__(self, qtbot: QtBot, viewer: Any, sam: SamController) -> None:
        self._qtbot = qtbot
        self._canvas = viewer.window._qt_viewer.canvas
        self._sam = sam

    def click(self, row: float, col: float) -> None:
        from qtpy.QtCore import QPoint, Qt

        scene = self._canvas.view.scene
        x, y, _, w = scene.transform.map([*self._world(row, col)[::-1], 0, 1])
        at = QPoint(round(x / w), round(y / w))
        self._qtbot.mouseMove(self._canvas.native, at)
        self._qtbot.mouseClick(self._canvas.native, Qt.MouseButton.LeftButton, pos=at)
        self._settle()

    def _world(self, row: float, col: float) -> list[float]:
        return list(self._sam.image.data_to_world([PLANE, row, col])[1:])

    def press(self, key: str, *modifiers: str) -> None:
        from qtpy.QtCore import Qt

        held = Qt.KeyboardModifier.NoModifier
        for modifier in modifiers:
            held |= getattr(Qt.KeyboardModifier, f"{modifier}Modifier")
        self._qtbot.keyClick(self._canvas.native, getattr(Qt.Key, f"Key_{key}"), held)
        self._settle()

    def _settle(self) -> None:
        """Wait as a person does: the event loop runs, and brings what the worker made."""
        self._qtbot.waitUntil(lambda: not self._sam.is_busy, timeout=int(WAIT_S * 1000))
        self._qtbot.wait(50)


def test_three_nuclei_in_the_window_are_those_of_the_api(
    qtbot: QtBot,
    make_napari_viewer: Any,
    mobile_sam_path: Path,
    shared_dir: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    volume = tifffile.imread(shared_dir / "data" / "cells3d_nuclei_silver" / "image.tif")
    options = ss.PropagateOptions(first_plane=FIRST, last_plane=LAST)
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(volume, scale=SPACING)
    sam = samslice.plugin.open_in(
        viewer, image, mobile_sam_path, options=options, encode_ahead=False
    )
    request.addfinalizer(sam.close)
    assert sam.wait(WAIT_S)
    viewer.dims.set_current_step(0, PLANE)
    viewer.reset_view()
    qtbot.wait(50)
    person = Person(qtbot, viewer, sam)

    for nucleus in NUCLEI:
        person.click(*nucleus)
        person.press("K")
    assert sam.state.finished == (1, 2, 3)
    clicks = np.array(sam.points.data)
    assert np.abs(clicks - [(PLANE, *nucleus) for nucleus in NUCLEI]).max() < 1
    clicked = sam.labels.data.copy()
    assert sorted(np.unique(clicked[PLANE])) == [0, 1, 2, 3]

    person.press("G")
    propagated = sam.labels.data.copy()
    person.press("Z", "Control")
    np.testing.assert_array_equal(sam.labels.data, clicked)
    person.press("Z", "Control", "Shift")
    np.testing.assert_array_equal(sam.labels.data, propagated)
    file = tmp_path / "labels.tif"
    sam.labels.save(str(file))
    saved = tifffile.imread(file)

    options = replace(options, spacing=SPACING)  # the window takes it from the layer's scale
    predictor = ss.Predictor(ss.load_model(mobile_sam_path), cache=ss.EmbeddingCache())
    with ss.Session(volume, predictor, options=options) as session:
        for click in clicks:
            session.add_point(click)
            session.commit()
        np.testing.assert_array_equal(clicked, session.labels)
        session.propagate()
        np.testing.assert_array_equal(saved, session.labels)
    seeds = [
        ss.Seed(n, plane=PLANE, prompt=ss.Prompt(points=[click[1:]]))
        for n, click in enumerate(clicks, start=1)
    ]
    at_once = ss.propagate(predictor, volume, seeds, options=options)
    np.testing.assert_array_equal(saved, at_once.labels)
    for n in (1, 2, 3):
        planes = np.flatnonzero((saved == n).any(axis=(1, 2)))
        assert planes.tolist() == list(range(FIRST, LAST + 1))
