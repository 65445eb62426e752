"""How much corrections help: mean IoU against the number of interactions.

A simulated user shows every object by its ground-truth box on its middle plane,
and propagates. Then, for each object, he goes through its planes from the most
doubtful on, passes over what is right (an IoU of at least `--content` with the
truth, or rightly absent), and corrects the first that is not: with an "ends
here" mark where the object is absent, else with the ground-truth box or with a
click into the middle of the largest error, whichever gives the better mask, as
a person would see. Where neither is better than what is there, he goes on to
the next plane. All corrections of a round are carried in one call that does
only the affected planes again. The first box is the first interaction.

    python benchmarks/bench_corrections.py --out bench-results
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

import samslice as ss
from evaluation import Box, Target, count_labels, find_targets, innermost, overlap, sample, score
from samslice.engine.normalize import fit_stack
from samslice.weights import cache_dir
from stacks import Stack, choose, find_shared, load

REPORTED = (1, 2, 3, 5)
_BETTER = 0.02  # IoU by which a correction must be better than what is there


def click_into_error(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> ss.Prompt:
    """What stands there, and a click into the middle of its largest error."""
    parts, count = ndimage.label(truth != found)
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel(), minlength=count + 1)[1:]))
    row, col = innermost(largest)
    positive = bool(truth[row, col])
    if not found.any():
        return ss.Prompt(points=[(row, col)])
    shown = found.copy()
    shown[row, col] |= positive
    rows, cols = (np.flatnonzero(shown.any(axis=axis)) for axis in (1, 0))
    box = (rows[0], cols[0], rows[-1] + 1, cols[-1] + 1)
    return ss.Prompt(points=[(row, col)], positive=[positive], box=box, mask=found)


@dataclass(slots=True)
class Sitting:
    """A user, a stack, and what has come of it so far."""

    predictor: ss.Predictor
    stack: Stack
    normalization: ss.Normalization
    labels: NDArray[np.uint16]
    seeds: dict[tuple[int, int], ss.Seed] = field(default_factory=dict)
    scores: dict[tuple[int, int], float] = field(default_factory=dict)
    visited: int = 0  # objects and planes of the last call; twice, where both ways met

    def correct(self, target: Target, content: float) -> tuple[int, int] | None:
        """Correct the most doubtful plane that can be made better; its object and plane."""
        mine = [
            (s, p)
            for (o, p), s in self.scores.items()
            if o == target.object_id and (o, p) not in self.seeds
        ]
        for _, plane in sorted(mine):
            truth = self.stack.labels[plane] == target.object_id
            found = self.labels[plane] == target.object_id
            now = overlap(found, truth)
            if now >= content:
                continue
            key = (target.object_id, plane)
            if not truth.any():
                self.seeds[key] = ss.Seed(*key, ends=True)
                return key
            mask = self._drawn(target.boxes[plane], plane, truth, found)
            if overlap(mask, truth) > now + _BETTER:
                self.seeds[key] = ss.Seed(*key, mask=mask)
                return key
        return None

    def _drawn(
        self, box: Box, plane: int, truth: NDArray[np.bool_], found: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Get the mask of a box or of a click, whichever is better."""
        embedding = self.predictor.encode(self.stack.image[plane], normalization=self.normalization)
        prompts = [ss.Prompt(box=box), click_into_error(truth, found)]
        answers = self.predictor.predict_many(embedding, prompts, multimask=False, refine=True)
        return max((answer.mask for answer in answers), key=lambda mask: overlap(mask, truth))

    def carry(self, corrected: list[tuple[int, int]] | None) -> None:
        """Propagate, all or what the corrections affect."""
        planes = self.stack.planes
        options = ss.PropagateOptions(
            spacing=self.stack.spacing, first_plane=planes.start, last_plane=planes.stop - 1
        )
        steps = ss.iter_propagate(
            self.predictor,
            self.stack.image,
            list(self.seeds.values()),
            options=options,
            normalization=self.normalization,
            labels=self.labels,
            corrected=corrected,
        )
        self.visited = 0
        for step in steps:
            self.visited += len(step.results)
            self.scores |= {(r.object_id, r.plane): r.score for r in step.results}


def sit(
    predictor: ss.Predictor, stack: Stack, targets: list[Target], content: float
) -> Iterator[tuple[int, pd.DataFrame, int]]:
    """Interact; interactions of each object so far, scores, and objects and planes visited."""
    labels = np.zeros(stack.labels.shape, np.uint16)
    sitting = Sitting(predictor, stack, fit_stack(stack.image), labels)
    for target in targets:
        key = (target.object_id, target.anchor)
        sitting.seeds[key] = ss.Seed(*key, prompt=ss.Prompt(box=target.boxes[target.anchor]))
    sitting.carry(None)
    for interactions in range(1, REPORTED[-1] + 1):
        if interactions > 1:
            done = (sitting.correct(target, content) for target in targets)
            corrected = [key for key in done if key is not None]
            sitting.visited = 0
            if corrected:
                sitting.carry(corrected)
        counts = count_labels(stack.labels, labels, targets, stack.planes)
        yield interactions, score(counts, targets, stack.planes), sitting.visited


def markdown(rows: pd.DataFrame) -> str:
    """Set as tables: IoU, and objects and planes visited, by set and interactions."""
    order = list(dict.fromkeys(rows["set"]))
    wide = rows.pivot(index="set", columns="interactions").loc[order]
    iou, visited = wide["iou"][list(REPORTED)], wide["visited"]
    iou.loc["**mean of sets**"] = iou.mean()
    parts = []
    for title, table, form in (("IoU", iou, ".4f"), ("objects × planes visited", visited, "d")):
        heads = [f"{title} after {table.columns[0]}", *map(str, table.columns[1:])]
        lines = [f"| set | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
        for name, row in table.iterrows():
            lines.append(f"| {name} | {' | '.join(format(v, form) for v in row)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def main(argv: list[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of data sets (see stacks.find_shared)")
    parser.add_argument("--sets", nargs="+", help="names of stacks, or how they begin; all")
    parser.add_argument("--model", default="mobile_sam", help="registry name or checkpoint")
    parser.add_argument(
        "--cache", type=Path, default=cache_dir().parent / "bench", help="folder of embeddings"
    )
    parser.add_argument("--max-objects", type=int, help="take this many objects a set at most")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of objects")
    parser.add_argument(
        "--content", type=float, default=0.9, help="IoU of a plane that the user leaves alone"
    )
    parser.add_argument("--out", type=Path, help="folder for corrections.md and .csv")
    args = parser.parse_args(argv)
    predictor = ss.Predictor(ss.load_model(args.model), cache=ss.EmbeddingCache(args.cache))
    folder = find_shared(args.data)
    rows, objects = [], []
    for file in choose(args.sets):
        stack = load(file, folder)
        targets = sample(find_targets(stack.labels, stack.planes), args.max_objects, args.seed)
        begun = time.perf_counter()
        for interactions, table, visited in sit(predictor, stack, targets, args.content):
            mean = float(table["iou"].mean())
            row = {"set": stack.name, "interactions": interactions}
            rows.append({**row, "iou": mean, "visited": visited})
            objects.append(table.assign(set=stack.name, interactions=interactions))
            seconds = time.perf_counter() - begun
            print(
                f"{stack.name}: {interactions} interactions, IoU {mean:.3f}, "
                f"{visited} objects and planes visited, {seconds:.0f} s",
                file=sys.stderr,
            )
    text = markdown(pd.DataFrame(rows))
    print(text)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "corrections.md").write_text(text + "\n", encoding="utf-8")
        everything = pd.concat(objects, ignore_index=True)
        everything.to_csv(args.out / "corrections.csv", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
