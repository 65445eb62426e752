"""Click, commit, propagate, correct and undo in a script, as one would in the widget.

Run it with ``python examples/session.py``; it makes its own stack of cells, so
that there is nothing to download but the model. Give ``--model`` the path of a
checkpoint to use another one.
"""

import argparse
from pathlib import Path

import numpy as np
import tifffile

import samslice as ss


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
    arguments = parser.parse_args()

    predictor = ss.Predictor(ss.load_model(arguments.model), cache=ss.EmbeddingCache())
    with ss.Session(make_stack(), predictor) as session:
        # A click, (plane, row, col). It may mean a part or the whole, so there are candidates.
        session.add_point((4, 35, 40))
        print("scores of the candidates:", np.round(session.candidates().scores, 2))
        session.add_point((4, 10, 10), positive=False)
        print("pixels of object 1:", session.pixels(1, plane=4))
        session.commit()

        # The next object, by a box on its plane: (row0, col0, row1, col1).
        session.add_box(4, (60, 60, 110, 110))
        session.commit()

        # Nothing is pending any more, so all objects with prompts are carried.
        cost = session.estimate()
        print(f"{cost.to_encode} of {cost.planes} planes are still to be encoded")
        session.propagate()
        print(
            session.table.groupby("object")[["area", "score"]].agg({"area": "sum", "score": "min"})
        )

        # Object 2 is absent on plane 7: say so, and carry it again. Undo takes back all of it.
        session.undo()
        session.mark_end(2, 7)
        session.propagate()
        print("planes of object 2:", np.flatnonzero((session.labels == 2).any(axis=(1, 2))))

        tifffile.imwrite(arguments.out, session.labels, compression="zlib")
        print(f"{len(np.unique(session.labels)) - 1} objects in {arguments.out}")


if __name__ == "__main__":
    main()
