"""What it gains to carry many objects together instead of one by one.

A stack's objects get their ground-truth boxes and are propagated in one call, and
then each in a call of its own, with the same embeddings, which are kept in `--cache`
and are in neither time. Then the decoder alone: as many boxes of one plane in one
call and one by one; and in one call with windows around them, against one by one on
the whole plane. Both ways of a row run in turn, `--repeat` times; the fastest
counts. The unit is objects times planes per second.

    python benchmarks/bench_speed.py --sets cells3d fibsem_gala_train
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import samslice as ss
from evaluation import find_targets, sample
from samslice.engine.normalize import fit_stack
from samslice.engine.types import Box
from samslice.weights import cache_dir
from stacks import Stack, choose, find_shared, load


def fastest(ways: list[Callable[[], int]], repeat: int) -> list[float]:
    """Run ways in turn; the most work per second that each of them reached."""
    best = [0.0] * len(ways)
    for _ in range(repeat):
        for number, way in enumerate(ways):
            begun = time.perf_counter()
            work = way()
            best[number] = max(best[number], work / (time.perf_counter() - begun))
    return best


def propagation(predictor: ss.Predictor, stack: Stack, most: int) -> list[Callable[[], int]]:
    """Carry all objects together, and each alone; objects times planes visited."""
    targets = sample(find_targets(stack.labels, stack.planes), most, 0)
    normalization = fit_stack(stack.image)
    options = ss.PropagateOptions(
        spacing=stack.spacing, first_plane=stack.planes.start, last_plane=stack.planes.stop - 1
    )
    seeds = [
        ss.Seed(t.object_id, plane=t.anchor, prompt=ss.Prompt(box=t.boxes[t.anchor]))
        for t in targets
    ]

    def carry(some: list[ss.Seed]) -> int:
        result = ss.propagate(
            predictor, stack.image, some, options=options, normalization=normalization
        )
        return len(result.table)

    return [lambda: carry(seeds), lambda: sum(carry([seed]) for seed in seeds)]


def decoding(
    predictor: ss.Predictor, stack: Stack, most: int, room: float | None = None
) -> list[Callable[[], int]]:
    """Decode the boxes of one plane in one call, and in one each.

    With `room`, in windows that are wider by this share of the boxes on each side.
    """
    targets = find_targets(stack.labels, stack.planes)
    plane = max(stack.planes, key=lambda p: sum(p in t.boxes for t in targets))
    prompts = [ss.Prompt(box=t.boxes[plane]) for t in targets if plane in t.boxes][:most]
    embedding = predictor.encode(stack.image[plane], normalization=fit_stack(stack.image))
    boxes = [prompt.box for prompt in prompts if prompt.box is not None]
    windows = None if room is None else [widen(box, room, embedding.shape) for box in boxes]

    def each() -> int:
        return sum(predictor.predict(embedding, p) is not None for p in prompts)

    def together() -> int:
        return len(predictor.predict_many(embedding, prompts, windows=windows))

    return [together, each]


def widen(box: Box, room: float, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels of a plane that hold a box and some room around it."""
    margins = [room * (box[a + 2] - box[a]) for a in (0, 1)]
    row0, col0 = (max(int(box[a] - margins[a]), 0) for a in (0, 1))
    row1, col1 = (min(int(box[a + 2] + margins[a]) + 1, shape[a]) for a in (0, 1))
    return row0, col0, row1, col1


def main(argv: list[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of data sets (see stacks.find_shared)")
    parser.add_argument("--sets", nargs="+", default=["cells3d", "fibsem_gala_train"])
    parser.add_argument("--model", default="mobile_sam", help="registry name or checkpoint")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--cache", type=Path, default=cache_dir().parent / "bench", help="folder of embeddings"
    )
    parser.add_argument("--objects", type=int, default=64, help="at most so many")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--threads", type=int, help="of torch; all cores if left out")
    args = parser.parse_args(argv)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    model = ss.load_model(args.model, device=args.device)
    predictor = ss.Predictor(model, cache=ss.EmbeddingCache(args.cache))
    folder = find_shared(args.data)
    print(f"{model.name} on {model.device}, {torch.get_num_threads()} threads\n")
    print("| set | work | objects · planes / s together | one by one | ratio |")
    print("|---|---|--:|--:|--:|")
    for file in choose(args.sets):
        stack = load(file, folder)
        policy = fit_stack(stack.image)
        for plane in stack.planes:
            predictor.encode(stack.image[plane], normalization=policy)
        for name, make in (
            ("propagate", propagation),
            ("decode boxes", decoding),
            ("decode boxes in windows", partial(decoding, room=0.5)),
        ):
            together, single = fastest(make(predictor, stack, args.objects), args.repeat)
            numbers = f"{together:.1f} | {single:.1f} | {together / single:.1f}"
            print(f"| {stack.name} | {name} | {numbers} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
