"""How much corrections help: mean IoU against the number of interactions.

A simulated user shows every object by its ground-truth box on its middle plane,
and propagates. Then, for each object, he goes through its planes from the most
doubtful on, as *Next doubtful* leads him, passes over what is right (an IoU of
at least `--content` with the truth, or rightly absent), and corrects the first
that is not: with the ground-truth box, or with an "ends here" mark where the
object is absent. All corrections of a round are carried in one call that does
only the affected planes again, and so on. The first box is the first
interaction.

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

import samslice as ss
from evaluation import Target, count_labels, find_targets, sample, score
from samslice.engine.normalize import fit_stack
from samslice.weights import cache_dir
from stacks import Stack, choose, find_shared, load

REPORTED = (1, 2, 3, 5)


@dataclass(slots=True)
class Sitting:
    """A user, a stack, and what has come of it so far."""

    stack: Stack
    targets: list[Target]
    labels: NDArray[np.uint16]
    seeds: dict[tuple[int, int], ss.Seed] = field(default_factory=dict)
    scores: dict[tuple[int, int], float] = field(default_factory=dict)
    visited: int = 0  # objects and planes that were looked at in the last call

    def show(self, target: Target, plane: int) -> tuple[int, int]:
        """Correct a plane as the truth has it; the anchor's object and plane."""
        key = (target.object_id, plane)
        if plane in target.boxes:
            self.seeds[key] = ss.Seed(*key, prompt=ss.Prompt(box=target.boxes[plane]))
        else:
            self.seeds[key] = ss.Seed(*key, ends=True)
        return key

    def carry(self, predictor: ss.Predictor, corrected: list[tuple[int, int]] | None) -> None:
        """Propagate, all or what the corrections affect."""
        planes = self.stack.planes
        options = ss.PropagateOptions(
            spacing=self.stack.spacing, first_plane=planes.start, last_plane=planes.stop - 1
        )
        result = ss.propagate(
            predictor,
            self.stack.image,
            list(self.seeds.values()),
            options=options,
            normalization=fit_stack(self.stack.image),
            labels=self.labels,
            corrected=corrected,
        )
        self.visited = len(result.table)
        rows = zip(*(result.table[c] for c in ("object", "plane", "score")), strict=True)
        self.scores.update({(int(o), int(p)): float(s) for o, p, s in rows})

    def doubtful(self, target: Target) -> Iterator[int]:
        """Planes of an object without an anchor or mark, from the most doubtful on."""
        mine = [
            (s, p)
            for (o, p), s in self.scores.items()
            if o == target.object_id and (o, p) not in self.seeds
        ]
        yield from (plane for _, plane in sorted(mine))

    def is_right(self, target: Target, plane: int, content: float) -> bool:
        """Whether the user would leave a plane as it is."""
        truth = self.stack.labels[plane] == target.object_id
        found = self.labels[plane] == target.object_id
        either = np.count_nonzero(truth | found)
        return not either or np.count_nonzero(truth & found) >= content * either


def sit(
    predictor: ss.Predictor, stack: Stack, targets: list[Target], content: float
) -> Iterator[tuple[int, pd.DataFrame, int]]:
    """Interact; interactions of each object so far, scores, and objects and planes visited."""
    sitting = Sitting(stack, targets, np.zeros(stack.labels.shape, np.uint16))
    for target in targets:
        sitting.show(target, target.anchor)
    corrected: list[tuple[int, int]] | None = None
    for interactions in range(1, REPORTED[-1] + 1):
        if interactions > 1:
            corrected = []
            for target in targets:
                wrong = (
                    p for p in sitting.doubtful(target) if not sitting.is_right(target, p, content)
                )
                plane = next(wrong, None)
                if plane is not None:
                    corrected.append(sitting.show(target, plane))
        if corrected is None or corrected:
            sitting.carry(predictor, corrected)
        else:
            sitting.visited = 0
        counts = count_labels(stack.labels, sitting.labels, targets, stack.planes)
        yield interactions, score(counts, targets, stack.planes), sitting.visited


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
        "--content", type=float, default=0.75, help="IoU of a plane that the user leaves alone"
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
            rows.append({"set": stack.name, "interactions": interactions, "iou": mean})
            objects.append(table.assign(set=stack.name, interactions=interactions))
            seconds = time.perf_counter() - begun
            print(
                f"{stack.name}: {interactions} interactions, IoU {mean:.3f}, "
                f"{visited} objects and planes visited, {seconds:.0f} s",
                file=sys.stderr,
            )
    wide = pd.DataFrame(rows).pivot(index="set", columns="interactions", values="iou")
    wide = wide.loc[list(dict.fromkeys(r["set"] for r in rows)), list(REPORTED)]
    wide.loc["**mean of sets**"] = wide.mean()
    lines = [
        "| set | " + " | ".join(str(n) for n in REPORTED) + " |",
        "|---|" + "--:|" * len(REPORTED),
        *(
            f"| {name} | " + " | ".join(f"{v:.3f}" for v in row) + " |"
            for name, row in wide.iterrows()
        ),
    ]
    text = "\n".join(lines)
    print(text)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "corrections.md").write_text(text + "\n", encoding="utf-8")
        everything = pd.concat(objects, ignore_index=True)
        everything.to_csv(args.out / "corrections.csv", index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
