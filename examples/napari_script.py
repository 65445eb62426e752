"""Segment two cells in napari without a click, carry them through the stack, and look at them.

Run it with ``python examples/napari_script.py --show``; it makes its own stack
of cells, so that there is nothing to download but the model. Give ``--model``
the path of a checkpoint to use another one. Without ``--show`` the window is
closed when the labels are saved, as a batch job would want it.
"""

import argparse
from pathlib import Path

import napari
import numpy as np
import tifffile

import samslice.plugin


def make_stack(planes: int = 9, size: int = 128) -> np.ndarray:
    """Make bright balls on a dim, noisy background, as a microscope would see them."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:planes, :size, :size]
    volume = rng.normal(100, 8, (planes, size, size))
    for centre, radius in [((4, 35, 40), 20), ((4, 85, 85), 24)]:
        distance = np.sqrt(((z - centre[0]) * 4) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        volume += 400 / (1 + np.exp(distance - radius))
    return volume.astype(np.uint16)


def main() -> None:
    """Segment the stack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mobile_sam", help="registry name or checkpoint")
    parser.add_argument("--out", type=Path, default=Path("labels.tif"), help="file to write")
    parser.add_argument("--show", action="store_true", help="leave the window open at the end")
    arguments = parser.parse_args()

    viewer = napari.Viewer(show=arguments.show)
    # Layers for clicks, drawings and results lie where the image lies: its scale is theirs.
    image = viewer.add_image(make_stack(), name="cells", scale=(4, 1, 1))
    sam = samslice.plugin.open_in(viewer, image, model=arguments.model)
    # The model is loaded and the masks are made in the background: wait before going on.
    sam.wait()

    # A row in the layer of clicks is a click: (plane, row, col) in pixels of the image.
    sam.points.add([4, 35, 40])
    sam.next_object()
    # A rectangle in the layer of drawings is a box around the second cell.
    box = np.array([(4, 60, 60), (4, 60, 110), (4, 110, 110), (4, 110, 60)])
    sam.shapes.add(box, shape_type="rectangle")
    sam.wait()
    print("pixels of the objects:", [sam.session.pixels(n, plane=4) for n in (1, 2)])

    sam.propagate()
    sam.wait()
    # All that the propagation did is one step of the history, and can be taken back.
    sam.undo()
    print("planes after undo:", np.unique(sam.labels.data.nonzero()[0]))
    sam.redo()
    sam.commit_all()

    labels = sam.labels.data
    tifffile.imwrite(arguments.out, labels, compression="zlib")
    print(f"{len(np.unique(labels)) - 1} objects in {arguments.out}")
    if arguments.show:
        napari.run()
    else:
        viewer.close()


if __name__ == "__main__":
    main()
