"""Propagation from one box, and how far it is from what the encoder could give.

Every object of `--sets` gets its ground-truth box on its middle plane, and all
objects of a stack are propagated in one call. Methods run one after the other
on the same embeddings:

default
    `samslice.propagate` as a user gets it.
peer: box, peer: mask and box
    The way of the strongest peer: the mask on the last plane gives the box, or the
    mask and the box, that prompt the next one, until two masks differ too much.
click
    The default from one click in the middle of the object instead of a box.
ends given
    The default, told where objects end and with all other rules for that turned
    off: what is lost to the oracle is lost by carrying, and not by stopping.
oracle
    The ground-truth box on every plane the object occupies, one mask each, no
    propagation: what the encoder could give at best from boxes.
oracle, best candidate
    The same, but of the single mask and the three candidates the one that fits
    the ground truth best: what choosing among them could gain at most.

`--variant NAME:OPTION=VALUE,...` adds a run with other `PropagateOptions`, and
`METHODS` is where another strategy would be added. `--grid` adds a run for each
of the options of `leave_one_out.GRID`, and a method that judges every set with
those that are best on the other sets. Embeddings are kept in `--cache`, so a
second run only decodes.

    python benchmarks/bench_propagation.py --out bench-results
    python benchmarks/bench_propagation.py --grid --max-objects 16 --out bench-results
    python benchmarks/bench_propagation.py --sets qcanet --variant loose:min_overlap=0.2
"""

from __future__ import annotations

import argparse
import ast
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import samslice as ss
from baselines import PreviousMask
from evaluation import (
    Counts,
    Target,
    count_labels,
    count_masks,
    find_targets,
    overlap,
    sample,
    score,
)
from evaluation import summarise as summarise_set
from leave_one_out import LEFT_OUT, choose_elsewhere, grid, mean_by_set
from leave_one_out import markdown as markdown_choices
from samslice.engine.backend import SamModel
from samslice.engine.normalize import fit_stack
from samslice.weights import cache_dir
from stacks import Stack, choose, find_shared, load

Method = Callable[[ss.Predictor, Stack, ss.Normalization, list[Target]], Counts]


def run_propagate(
    predictor: ss.Predictor,
    stack: Stack,
    normalization: ss.Normalization,
    targets: list[Target],
    *,
    options: ss.PropagateOptions,
    from_clicks: bool = False,
    ends_given: bool = False,
) -> Counts:
    """Propagate all objects from the box, or a click, on their middle plane."""
    prompts = [
        ss.Prompt(points=[t.click]) if from_clicks else ss.Prompt(box=t.boxes[t.anchor])
        for t in targets
    ]
    seeds = [
        ss.Seed(t.object_id, plane=t.anchor, prompt=prompt)
        for t, prompt in zip(targets, prompts, strict=True)
    ]
    if ends_given:
        beyond = ((t.object_id, p) for t in targets for p in (t.first - 1, t.last + 1))
        seeds += [ss.Seed(o, plane=p, ends=True) for o, p in beyond if p in stack.planes]
    options = replace(
        options,
        spacing=stack.spacing,
        first_plane=stack.planes.start,
        last_plane=stack.planes.stop - 1,
    )
    result = ss.propagate(
        predictor,
        stack.image,
        seeds,
        options=options,
        normalization=normalization,
    )
    return count_labels(stack.labels, result.labels, targets, stack.planes)


def run_peer(
    predictor: ss.Predictor,
    stack: Stack,
    normalization: ss.Normalization,
    targets: list[Target],
    *,
    use_mask: bool,
) -> Counts:
    """Propagate every object on its own, as the peer does; masks may overlap."""
    options = ss.PropagateOptions(
        first_plane=stack.planes.start, last_plane=stack.planes.stop - 1, compete=False
    )

    def masks() -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
        for index, target in enumerate(targets):
            seed = ss.Seed(
                1, plane=target.anchor, prompt=ss.Prompt(box=target.boxes[target.anchor])
            )
            strategy = PreviousMask(predictor, normalization, use_mask=use_mask)
            for step in ss.iter_propagate(
                predictor, stack.image, [seed], options=options, strategy=strategy
            ):
                for result in step.results:
                    if result.region is not None:
                        row0, col0, row1, col1 = result.region
                        mask = np.zeros(stack.image.shape[1:3], bool)
                        mask[row0:row1, col0:col1] = result.mask
                        yield index, step.plane, mask

    return count_masks(stack.labels, masks(), targets, stack.planes)


def run_oracle(
    predictor: ss.Predictor,
    stack: Stack,
    normalization: ss.Normalization,
    targets: list[Target],
    *,
    best: bool = False,
) -> Counts:
    """Prompt every object with its box on every plane it occupies."""

    def masks() -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
        for plane in stack.planes:
            here = [i for i, t in enumerate(targets) if plane in t.boxes]
            if not here:
                continue
            embedding = predictor.encode(stack.image[plane], normalization=normalization)
            prompts = [ss.Prompt(box=targets[i].boxes[plane]) for i in here]
            predictions = predictor.predict_many(embedding, prompts)
            candidates = [[prediction.mask] for prediction in predictions]
            if best:
                for masks, more in zip(
                    candidates,
                    predictor.predict_many(embedding, prompts, multimask=True),
                    strict=True,
                ):
                    masks += list(more.masks)
            for index, masks in zip(here, candidates, strict=True):
                truth = stack.labels[plane] == targets[index].object_id
                yield index, plane, max(masks, key=lambda mask: overlap(mask, truth))

    return count_masks(stack.labels, masks(), targets, stack.planes)


ONLY_MARKS = ss.PropagateOptions(
    min_overlap=0, min_score=0, min_presence=0, min_contrast=0, max_growth=1e9
)
"""Options with which an object ends at its marks, or where nothing is found."""

METHODS: dict[str, Method] = {
    "default": partial(run_propagate, options=ss.PropagateOptions()),
    "peer: box": partial(run_peer, use_mask=False),
    "peer: mask and box": partial(run_peer, use_mask=True),
    "ends given": partial(run_propagate, options=ONLY_MARKS, ends_given=True),
    "oracle": run_oracle,
    "oracle, best candidate": partial(run_oracle, best=True),
    "click": partial(run_propagate, options=ss.PropagateOptions(), from_clicks=True),
}


def parse_variant(text: str) -> tuple[str, Method]:
    """Read ``NAME:OPTION=VALUE,OPTION=VALUE``."""
    name, _, settings = text.partition(":")
    known = {f.name for f in fields(ss.PropagateOptions)}
    values = {}
    for setting in settings.split(","):
        option, _, value = setting.partition("=")
        if not name or option not in known or not value:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not NAME:OPTION=VALUE,...; options are {', '.join(sorted(known))}"
            )
        try:
            values[option] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[option] = value
    return name, partial(run_propagate, options=ss.PropagateOptions(**values))


@dataclass(frozen=True, slots=True)
class Measured:
    """One method on one stack: scores by object, and seconds."""

    stack: str
    method: str
    table: pd.DataFrame
    seconds: float


def encode_all(
    predictor: ss.Predictor, stack: Stack, normalization: ss.Normalization
) -> tuple[float, int]:
    """Put the embeddings of all labelled planes into the cache; seconds and planes."""
    begun = time.perf_counter()
    for plane in stack.planes:
        predictor.encode(stack.image[plane], normalization=normalization)
    return time.perf_counter() - begun, len(stack.planes)


def measure(
    args: argparse.Namespace, predictor: ss.Predictor, methods: dict[str, Method]
) -> list[Measured]:
    """Run every method on every stack."""
    measured = []
    folder = find_shared(args.data)
    for file in choose(args.sets):
        stack = load(file, folder)
        normalization = fit_stack(stack.image)
        seconds, n_planes = encode_all(predictor, stack, normalization)
        print(f"{stack.name}: {n_planes} embeddings in {seconds:.0f} s", file=sys.stderr)
        if args.encode_only:
            continue
        everything = find_targets(stack.labels, stack.planes)
        targets = sample(everything, args.max_objects, args.seed)
        for name, method in methods.items():
            begun = time.perf_counter()
            counts = method(predictor, stack, normalization, targets)
            seconds = time.perf_counter() - begun
            table = score(counts, targets, stack.planes)
            measured.append(Measured(stack.name, name, table, seconds))
            numbers = " ".join(f"{k}={v:.3g}" for k, v in summarise_set(table).items())
            print(f"{stack.name} {name}: {numbers} in {seconds:.0f} s", file=sys.stderr)
    return measured


def markdown(measured: list[Measured]) -> str:
    """Set the results as a table, and as means over the sets below it."""
    lines = [
        "| set | method | objects | mean 3D IoU | IoU ≥ 0.5 | IoU ≥ 0.75 | IoU between its ends "
        "| IoU on the anchor plane | planes missed at the ends | planes invented beyond them "
        "| seconds |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows = [(m, summarise_set(m.table)) for m in measured if m.method not in grid()]
    for m, s in rows:
        lines.append(_row(m.stack, m.method, s, f"{m.seconds:.0f}"))
    if len({m.stack for m in measured}) > 1:
        for method in dict.fromkeys(m.method for m, _ in rows):
            of_method = pd.DataFrame([s for m, s in rows if m.method == method])
            mean = {**of_method.mean().to_dict(), "objects": of_method["objects"].sum()}
            lines.append(_row("**mean of sets**", method, mean, ""))
    return "\n".join(lines)


def objects_of(measured: list[Measured]) -> pd.DataFrame:
    """Set all runs as one table, a row for every object."""
    parts = [m.table.assign(set=m.stack, method=m.method) for m in measured]
    return pd.concat(parts, ignore_index=True)


def variants_of(measured: list[Measured]) -> pd.DataFrame:
    """Give the mean IoU of the default and of the options of the grid, by set."""
    return mean_by_set(objects_of([m for m in measured if m.method in ("default", *grid())]))


def leave_one_out(measured: list[Measured]) -> list[Measured]:
    """Give every set the run whose options are best on the other sets."""
    chosen = choose_elsewhere(variants_of(measured))
    by_name = {(m.stack, m.method): m for m in measured}
    return [
        replace(by_name[stack, choice.variant], method=LEFT_OUT) for stack, choice in chosen.items()
    ]


def _row(stack: str, method: str, s: dict[str, float], seconds: str) -> str:
    return (
        f"| {stack} | {method} | {s['objects']:.0f} | {s['iou']:.3f} | {s['share_50']:.0%} "
        f"| {s['share_75']:.0%} | {s['iou_between_ends']:.3f} | {s['anchor_iou']:.3f} "
        f"| {s['missed']:.1f} | {s['invented']:.1f} | {seconds} |"
    )


def heading(args: argparse.Namespace, model: SamModel) -> str:
    """Say what was run, with what and on what."""
    limit = (
        "all objects"
        if args.max_objects is None
        else (f"at most {args.max_objects} objects a set, drawn with seed {args.seed}")
    )
    return "\n".join(
        [
            f"- command: `python benchmarks/bench_propagation.py {' '.join(sys.argv[1:])}`",
            f"- model: {model.name} ({model.key}) on {model.device}; {limit}",
            f"- samslice {ss.__version__}, torch {torch.__version__}, numpy {np.__version__}, "
            f"Python {platform.python_version()}, {platform.machine()}, "
            f"{torch.get_num_threads()} threads",
            f"- default options: {ss.PropagateOptions()}",
        ]
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of data sets (see stacks.find_shared)")
    parser.add_argument("--sets", nargs="+", help="names of stacks, or how they begin; all")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--variant", action="append", type=parse_variant, default=[])
    parser.add_argument("--grid", action="store_true", help="leave one set out; see above")
    parser.add_argument("--model", default="mobile_sam", help="registry name or checkpoint")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument(
        "--cache", type=Path, default=cache_dir().parent / "bench", help="folder of embeddings"
    )
    parser.add_argument("--max-objects", type=int, help="take this many objects a set at most")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of objects")
    parser.add_argument("--encode-only", action="store_true", help="only fill the cache")
    parser.add_argument("--out", type=Path, help="folder for propagation.md and .csv")
    args = parser.parse_args(argv)
    if args.grid and len(choose(args.sets)) < 2:
        parser.error("--grid leaves one set out, so it takes at least two; give more with --sets")
    return args


def main(argv: list[str] | None = None) -> None:
    """Measure, print the table, and write it with a row for every object."""
    args = parse(argv)
    methods = {name: METHODS[name] for name in args.methods} | dict(args.variant)
    if args.grid:
        methods = {"default": METHODS["default"]} | methods
        methods |= {name: parse_variant(f"{name}:{name}")[1] for name in grid()}
    model = ss.load_model(args.model, device=args.device, precision=args.precision)
    predictor = ss.Predictor(model, cache=ss.EmbeddingCache(args.cache))
    measured = measure(args, predictor, methods)
    if not measured:
        return
    left_out = leave_one_out(measured) if args.grid else []
    text = f"{heading(args, model)}\n\n{markdown([*measured, *left_out])}\n"
    if left_out:
        text += f"\n{markdown_choices(variants_of(measured))}\n"
    print(text)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "propagation.md").write_text(text, encoding="utf-8")
        table = objects_of(measured).set_index(["set", "method", "object"])
        table.to_csv(args.out / "propagation.csv", float_format="%.4f")


if __name__ == "__main__":
    main()
