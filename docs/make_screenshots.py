"""Take the pictures of the plugin that README and docs show.

It opens the real window and works as a user would, on the demo stack and the real weights:

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py [FOLDER]

The pictures go to ``docs/images`` unless a folder is named.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDockWidget

import samslice.plugin
from samslice.plugin.actions import find_widget

if TYPE_CHECKING:
    from samslice.plugin.controller import SamController
    from samslice.plugin.main_widget import SamWidget

IMAGES = Path(__file__).parent / "images"
WINDOW = (1200, 800)
DOCK_WIDTH = 350
COLOURS = 256  # of a picture's palette, so that the file is small
PLANE = 31
RANGE = (24, 38)  # enough to see, and a quarter of the time
NUCLEI = ((45, 180), (129, 197), (192, 162))  # (row, col) on that plane, read off by eye
WAIT_S = 900.0


def main(folder: Path) -> None:
    """Work through the main path and take a picture wherever there is something to see."""
    folder.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW)
    viewer.theme = "dark"
    [image] = viewer.open_sample("samslice", "nuclei")
    sam = samslice.plugin.open_in(viewer, image)
    widget = find_widget(viewer)
    if widget is None:
        raise RuntimeError("the widget is not docked.")
    widen(viewer, widget)
    viewer.dims.set_current_step(0, PLANE)
    viewer.reset_view()
    settle(sam)

    click(sam, NUCLEI[0])
    save(viewer, folder / "plugin-click.png")
    for centre in NUCLEI[1:]:
        sam.next_object()
        click(sam, centre)
    first, last = RANGE
    sam.set_options(replace(sam.options, first_plane=first, last_plane=last))
    expected = sam.labels.data[PLANE].copy()
    sam.propagate()
    settle(sam)
    save(viewer, folder / "plugin-propagated.png")

    sam.undo()
    settle(sam)
    check(np.array_equal(sam.labels.data[PLANE], expected), "undo gave other masks back")
    check(not sam.labels.data[PLANE + 5].any(), "undo left planes of the propagation")
    sam.redo()
    settle(sam)
    check(bool(sam.labels.data[PLANE + 5].any()), "redo brought no planes back")
    sam.commit_all()
    check(len(sam.state.finished) == len(NUCLEI), "not all objects are finished")

    viewer.theme = "light"
    for title in ("Quality", "Image"):
        widget.sections[title].expand()
    settle(sam)
    bar = widget.scroll.verticalScrollBar()
    bar.setValue(widget.sections["Quality"].y())
    save(viewer, folder / "plugin-quality.png")
    sam.close()
    viewer.close()


def click(sam: SamController, centre: tuple[int, int]) -> None:
    """Click on the plane that is shown and wait for the mask."""
    sam.points.add([PLANE, *centre])
    settle(sam)
    check(bool(sam.candidates.scores), f"the click at {centre} got no answer")


def check(holds: bool, problem: str) -> None:
    """Stop where the pictures would show something wrong."""
    if not holds:
        raise RuntimeError(f"{problem}; no more pictures are taken.")


def settle(sam: SamController) -> None:
    """Wait for the model, then let the window draw what has come."""
    check(sam.wait(WAIT_S), f"the model took more than {WAIT_S:g} s")
    pump(1.0)


def pump(seconds: float) -> None:
    """Serve the window for a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        QApplication.processEvents()
        time.sleep(0.01)


def widen(viewer: napari.Viewer, widget: SamWidget) -> None:
    """Give the dock the width that the layout is made for."""
    dock: Any = widget.parent()
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()
    dock.parent().resizeDocks([dock], [DOCK_WIDTH], Qt.Orientation.Horizontal)


def save(viewer: napari.Viewer, path: Path) -> None:
    """Take a picture of the window, with a palette so that the file is small."""
    pump(0.5)
    pixels = viewer.screenshot(canvas_only=False, flash=False)
    # Greys fill the picture; this method also keeps the colours that cover little of it.
    picture = Image.fromarray(pixels[..., :3]).quantize(
        COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    picture.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
