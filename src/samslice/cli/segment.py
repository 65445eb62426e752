"""``samslice segment``: objects of one plane."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samslice.cli.arguments import (
    add_input,
    add_model,
    add_normalization,
    add_output,
    choose_normalization,
    load_predictor,
    open_volume,
)
from samslice.cli.messages import format_table, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from samslice.engine.types import Prediction, Seed
    from samslice.io import Volume

_EXAMPLES = """\
examples:
  one object from a click inside and a click outside, as row,col:
    samslice segment cells.tif --point 120,85 --point 40,60,- -o labels.tif
  two objects from a box each, as row0,col0,row1,col1 (half-open):
    samslice segment cells.tif --box 40,50,90,110 --box 130,20,170,64 -o labels.tif
  many objects from a table, on plane 30 of a stack's second channel:
    samslice segment stack.tif --channel 1 --plane 30 --points points.csv -o labels.tif
  the three masks that a click may mean, best first, as planes of the result:
    samslice segment cells.tif --point 120,85 --candidates all -o candidates.tif

The table has the columns object, plane, row, col, positive, and/or row0, col0,
row1, col1; see docs/formats.md. Where objects overlap, the surer one gets the
pixel. A table of object, score (the IoU that the model expects) and area goes to
standard output.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "segment",
        help="segment objects of an image, or of one plane of a stack",
        description="Segment objects of an image, or of one plane of a stack.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="TIFF, zarr, .npy or picture")
    parser.add_argument(
        "--points", "--prompts", dest="prompts", type=Path, metavar="CSV", help="a table of prompts"
    )
    parser.add_argument(
        "--point",
        action="append",
        default=[],
        type=point,
        metavar="R,C[,+|-]",
        help="a click, inside (+, the default) or outside (-); all of them are one object",
    )
    parser.add_argument(
        "--box",
        action="append",
        default=[],
        type=box,
        metavar="R0,C0,R1,C1",
        help="a box, half-open; each is an object",
    )
    add_output(parser)
    parser.add_argument("--plane", type=int, metavar="N", help="which plane of a stack, from 0")
    parser.add_argument(
        "--candidates",
        choices=("best", "all"),
        default="best",
        help="all: the three masks of each prompt, as planes of the result (default: best)",
    )
    add_input(parser)
    add_model(parser)
    add_normalization(parser)
    parser.set_defaults(run=run)


def point(text: str) -> tuple[float, float, bool]:
    """Read ``R,C`` or ``R,C,+`` or ``R,C,-``."""
    numbers, sign = (text[:-2], text[-1]) if text.endswith((",+", ",-")) else (text, "+")
    try:
        row, col = _numbers(numbers)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed; write R,C[,+|-]: --point 120,85 or --point 40,60,-, "
            "and --point=-0.5,5 where a minus comes first"
        ) from None
    return row, col, sign == "+"


def box(text: str) -> tuple[float, float, float, float]:
    """Read ``R0,C0,R1,C1``."""
    try:
        row0, col0, row1, col1 = _numbers(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed; write R0,C0,R1,C1: --box 40,50,90,110, "
            "and --box=-5,0,90,110 where a minus comes first"
        ) from None
    return row0, col0, row1, col1


def _numbers(text: str) -> list[float]:
    numbers = [float(part) for part in text.split(",")]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(text)
    return numbers


def run(args: argparse.Namespace) -> int:
    """Segment, write the labels and print the table."""
    from samslice.io import check_output

    target = check_output(args.output, overwrite=args.force)
    volume = open_volume(args.image, args)
    seeds = _seeds(args, None if volume.is_stack else 0)
    index, seeds = _choose_plane(volume, seeds, args.plane)
    plane = volume[index] if volume.is_stack else volume[...]
    prompts = [seed.prompt for seed in seeds if seed.prompt is not None]
    for prompt in prompts:
        prompt.check_inside(plane.shape[:2])
    predictor = load_predictor(args)
    embedding = predictor.encode(plane, normalization=choose_normalization(volume, args))
    want_all = args.candidates == "all"
    predictions = predictor.predict_many(
        embedding, prompts, multimask=True if want_all else None, refine=True
    )
    ids = [seed.object_id for seed in seeds]
    n_pages = min(len(p.scores) for p in predictions) if want_all else 1
    pages = [_paint(predictions, ids, k) for k in range(n_pages)]
    _write(target, pages, volume, args)
    rows = [
        # The model's guess of an IoU can overshoot what an IoU can be.
        (*([k] if want_all else []), i, min(max(float(p.scores[k]), 0.0), 1.0), _area(page, i))
        for k, page in enumerate(pages)
        for i, p in zip(ids, predictions, strict=True)
    ]
    columns = (*(["candidate"] if want_all else []), "object", "score", "area")
    print(format_table(columns, rows))
    return 0


def _seeds(args: argparse.Namespace, only_plane: int | None) -> list[Seed]:
    """Collect the prompts, from the file or from the command line.

    A stack has no `only_plane`: its prompts must say which plane they mean.
    """
    import numpy as np

    from samslice.engine.types import Prompt, Seed
    from samslice.io import read_prompts

    points, boxes = args.point, args.box
    if (args.prompts is not None) == bool(points or boxes):
        raise ValueError("give prompts either as a table (--points) or by --point and --box.")
    if args.prompts is not None:
        return read_prompts(args.prompts, plane=only_plane if args.plane is None else args.plane)
    if points and len(boxes) > 1:
        raise ValueError(
            f"there are {len(points)} points and {len(boxes)} boxes; with --point, allowed is one "
            "--box, of the same object. Give several objects as a table (--points)."
        )
    plane = only_plane if args.plane is None else args.plane
    if plane is None:
        raise ValueError(
            f"{args.image} is a stack; say which plane the prompts are on with --plane, or use "
            "samslice propagate."
        )
    if points and not boxes and not any(positive for _, _, positive in points):
        raise ValueError("all points are negative (-); give a positive one, or a box.")
    if not points:
        return [Seed(i, plane, Prompt(box=corners)) for i, corners in enumerate(boxes, start=1)]
    prompt = Prompt(
        np.array([(row, col) for row, col, _ in points]),
        np.array([positive for _, _, positive in points]),
        boxes[0] if boxes else None,
    )
    return [Seed(1, plane, prompt)]


def _choose_plane(volume: Volume, seeds: list[Seed], plane: int | None) -> tuple[int, list[Seed]]:
    """Find the plane, and the prompts on it."""
    n_planes = volume.shape[0] if volume.is_stack else 1
    seeds = [seed for seed in seeds if not seed.ends]
    planes = sorted({seed.plane for seed in seeds})
    if plane is None:
        if len(planes) != 1:
            raise ValueError(
                f"the prompts are on the planes {', '.join(map(str, planes)) or 'none'}; "
                "choose one with --plane, or use samslice propagate."
            )
        plane = planes[0]
    if not 0 <= plane < n_planes:
        raise ValueError(
            f"plane is {plane}; allowed for {volume.path.name} is "
            + (f"0 to {n_planes - 1}." if n_planes > 1 else "0: it has one plane.")
        )
    chosen = [seed for seed in seeds if seed.plane == plane]
    if not chosen:
        raise ValueError(f"no prompt is on plane {plane}; there are some on {planes}.")
    if len(chosen) < len(seeds):
        note(f"{len(seeds) - len(chosen)} prompts on other planes than {plane} are left out.")
    return plane, chosen


def _paint(
    predictions: Sequence[Prediction], ids: Sequence[int], k: int
) -> NDArray[np.unsignedinteger]:
    """Paint candidate `k` of each object; the highest logit gets a pixel."""
    import numpy as np

    from samslice.engine.label_store import labels_dtype

    frame = predictions[0].frame
    labels = np.zeros(frame.shape, labels_dtype(max(ids)))
    best = np.zeros(frame.shape, np.float32)
    for object_id, prediction in zip(ids, predictions, strict=True):
        region = frame.logits_region(prediction.logits[k])
        if region is None:
            continue
        window = np.s_[region[0] : region[2], region[1] : region[3]]
        logits = frame.upsample(prediction.logits[k], region)
        wins = logits > best[window]
        labels[window][wins] = object_id
        best[window][wins] = logits[wins]
    return labels


def _area(page: NDArray[Any], object_id: int) -> int:
    return int((page == object_id).sum())


def _write(
    target: Path, pages: list[NDArray[Any]], volume: Volume, args: argparse.Namespace
) -> None:
    import numpy as np

    from samslice.io import write_labels

    labels = np.stack(pages) if args.candidates == "all" else pages[0]
    spacing = volume.spacing[-2:] if volume.spacing is not None else None
    if spacing is not None and labels.ndim == 3:
        spacing = (1.0, *spacing)  # candidates have no distance
    write_labels(target, labels, spacing=spacing, unit=volume.unit, overwrite=args.force)
    note(f"wrote {target}")
