"""Carry three cells through a stack, correct one of them, and save the labels.

Run it with ``python examples/propagate_stack.py``; it makes its own stack of
cells, so that there is nothing to download but the model. Give ``--model`` the
path of a checkpoint to use another one.
"""

import argparse
from pathlib import Path

import numpy as np
import tifffile

import samslice as ss


def make_stack(planes: int = 12, size: int = 128) -> np.ndarray:
    """Make bright balls on a dim, noisy background, as a microscope would see them."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:planes, :size, :size]
    volume = rng.normal(100, 8, (planes, size, size))
    for centre, radius in [((5, 35, 40), 20), ((6, 80, 90), 24), ((7, 95, 30), 16)]:
        distance = np.sqrt(((z - centre[0]) * 4) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        volume += 400 / (1 + np.exp(distance - radius))
    return volume.astype(np.uint16)


def main() -> None:
    """Segment the stack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mobile_sam", help="registry name or checkpoint")
    parser.add_argument("--out", type=Path, default=Path("labels.tif"), help="file to write")
    arguments = parser.parse_args()

    volume = make_stack()
    # The cache makes the second propagation below cheap: planes are encoded once.
    predictor = ss.Predictor(ss.load_model(arguments.model), cache=ss.EmbeddingCache())
    options = ss.PropagateOptions(spacing=(4.0, 1.0, 1.0))

    # One click or box each, on any plane: (row, col) and (row0, col0, row1, col1) in pixels.
    seeds = [
        ss.Seed(1, plane=5, prompt=ss.Prompt(box=(14, 19, 57, 62))),
        ss.Seed(2, plane=6, prompt=ss.Prompt(box=(55, 65, 106, 116))),
        ss.Seed(3, plane=7, prompt=ss.Prompt(points=[(95, 30)])),
    ]
    result = ss.propagate(predictor, volume, seeds, options=options)
    print(result.table.groupby("object")[["area", "score"]].agg({"area": "sum", "score": "min"}))

    # Object 2 should stop before plane 10: say so, and carry it again. Objects 1 and 3 have no
    # seed in this call, so they are finished and keep their pixels.
    seeds = [seeds[1], ss.Seed(2, plane=10, ends=True)]
    labels = result.labels
    ss.propagate(predictor, volume, seeds, options=options, labels=labels)

    tifffile.imwrite(arguments.out, labels, compression="zlib")
    print(f"{len(np.unique(labels)) - 1} objects in {arguments.out}")


if __name__ == "__main__":
    main()
