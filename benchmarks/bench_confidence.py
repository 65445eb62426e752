"""How well the score of a plane tells bad planes from good ones.

Every object is propagated from its ground-truth box as in `bench_propagation.py`.
A plane is bad where its IoU with the truth is below 0.5, planes beyond the true
ends included. Reported is the area under the ROC curve, for each set: of the
score that samslice gives, of the same logistic model fitted to all other sets
(so that no set takes part in what it is judged by), and of single numbers. The
weights fitted to all sets are printed, to be compared with those that stand in
`samslice/engine/confidence.py`.

    python benchmarks/bench_confidence.py --out bench-results
    python benchmarks/bench_confidence.py --table bench-results/confidence.csv
"""

from __future__ import annotations

import argparse
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

import samslice as ss
from evaluation import count_labels, find_targets
from samslice.engine.confidence import Signs
from samslice.engine.flow_strategy import FlowStrategy
from samslice.engine.normalize import fit_stack
from samslice.weights import cache_dir
from stacks import Stack, choose, find_shared, load

_PENALTY = 0.01  # on the squared weights of standardised features
_SIGNS = list(Signs.__dataclass_fields__)


class Recording(FlowStrategy):
    """The default strategy, which also keeps what it knew of every mask."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows: list[tuple[Any, ...]] = []

    def _signs(self, plane: Any, leg: Any, *rest: Any) -> Signs:
        signs = super()._signs(plane, leg, *rest)
        self.rows.append((leg.object_id, plane.index, *astuple(signs)))
        return signs


def record(predictor: ss.Predictor, stack: Stack) -> pd.DataFrame:
    """Propagate a stack; one row for each object and plane that was drawn."""
    targets = find_targets(stack.labels, stack.planes)
    options = ss.PropagateOptions(
        spacing=stack.spacing,
        first_plane=stack.planes.start,
        last_plane=stack.planes.stop - 1,
    )
    seeds = [
        ss.Seed(t.object_id, plane=t.anchor, prompt=ss.Prompt(box=t.boxes[t.anchor]))
        for t in targets
    ]
    normalization = fit_stack(stack.image)
    strategy = Recording(predictor, options, normalization)
    result = ss.propagate(predictor, stack.image, seeds, options=options, strategy=strategy)
    counts = count_labels(stack.labels, result.labels, targets, stack.planes)
    either = counts.truth + counts.found - counts.shared
    with np.errstate(invalid="ignore"):
        iou = np.where(counts.found > 0, counts.shared / either, np.nan)
    index = {t.object_id: i for i, t in enumerate(targets)}
    table = pd.DataFrame(strategy.rows, columns=["object", "plane", *_SIGNS])
    columns = table["plane"] - stack.planes.start
    table["iou"] = iou[table["object"].map(index), columns]
    said = result.table[["object", "plane", "score"]]
    table = table.merge(said, on=["object", "plane"])
    return table.dropna(subset="iou").assign(set=stack.name)


def auc(score: NDArray[np.float64], bad: NDArray[np.bool_]) -> float:
    """Chance that a bad plane has a lower score than a good one, by ranks."""
    n_bad, n_good = int(bad.sum()), int((~bad).sum())
    if not n_bad or not n_good:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[~bad].sum() - n_good * (n_good + 1) / 2) / (n_bad * n_good))


def features(table: pd.DataFrame) -> NDArray[np.float64]:
    """Give the numbers that the logistic model adds up, (rows, features)."""
    return np.array([Signs(*row).features() for row in table[_SIGNS].itertuples(index=False)])


def fit(table: pd.DataFrame) -> NDArray[np.float64]:
    """Fit the logistic model, every set with the same say; weights, then the constant."""
    x, good = features(table), (table["iou"] >= 0.5).to_numpy()
    share = (1 / table.groupby("set")["set"].transform("size")).to_numpy()
    share = share / share.sum()
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    z = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    sign = np.where(good, 1.0, -1.0)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (z @ w)
        penalty = _PENALTY * w[:-1]
        value = share @ np.logaddexp(0, -margin) + penalty @ w[:-1] / 2
        slope = -(share * sign / (1 + np.exp(margin))) @ z
        return value, slope + np.append(penalty, 0)

    w = minimize(loss, np.zeros(z.shape[1]), jac=True).x
    weights = w[:-1] / spread
    return np.append(weights, w[-1] - weights @ mean)


def judge(table: pd.DataFrame) -> pd.DataFrame:
    """Tell the area under the ROC curve of each way and set."""
    rows = []
    for name in table["set"].unique():
        here = table[table["set"] == name]
        bad = (here["iou"] < 0.5).to_numpy()
        others = table[table["set"] != name]
        row: dict[str, Any] = {"set": name, "planes": len(here), "bad": f"{bad.mean():.0%}"}
        row["score"] = auc(here["score"].to_numpy(), bad)
        if len(others):
            w = fit(others)
            row["fitted to the other sets"] = auc(features(here) @ w[:-1], bad)
        confirmed = here["agreement"] * here["predicted_iou"]
        row["agreement × predicted IoU"] = auc(confirmed.to_numpy(), bad)
        row["predicted IoU"] = auc(here["predicted_iou"].to_numpy(), bad)
        row["overlap"] = auc(here["overlap"].to_numpy(), bad)
        rows.append(row)
    result = pd.DataFrame(rows)
    mean = {**result.mean(numeric_only=True), "planes": result["planes"].sum()}
    last = pd.DataFrame([{"set": "**mean of sets**", "bad": "", **mean}])
    return pd.concat([result, last], ignore_index=True)


def markdown(result: pd.DataFrame) -> str:
    """Set the result as a table."""
    lines = [
        "| " + " | ".join(result.columns) + " |",
        "|---|" + "--:|" * (len(result.columns) - 1),
    ]
    for row in result.itertuples(index=False):
        cells = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Record, judge, and print the table and the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of data sets (see stacks.find_shared)")
    parser.add_argument("--sets", nargs="+", help="names of stacks, or how they begin; all")
    parser.add_argument("--model", default="mobile_sam", help="registry name or checkpoint")
    parser.add_argument(
        "--cache", type=Path, default=cache_dir().parent / "bench", help="folder of embeddings"
    )
    parser.add_argument("--table", type=Path, help="an earlier confidence.csv, instead of a run")
    parser.add_argument("--out", type=Path, help="folder for confidence.md and .csv")
    args = parser.parse_args(argv)
    if args.table is not None:
        table = pd.read_csv(args.table)
    else:
        predictor = ss.Predictor(ss.load_model(args.model), cache=ss.EmbeddingCache(args.cache))
        folder = find_shared(args.data)
        table = pd.concat([record(predictor, load(file, folder)) for file in choose(args.sets)])
    text = markdown(judge(table))
    print(text)
    print("weights fitted to all sets:", np.array2string(fit(table), precision=3, separator=", "))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "confidence.md").write_text(text + "\n", encoding="utf-8")
        table.to_csv(args.out / "confidence.csv", index=False, float_format="%.5f")


if __name__ == "__main__":
    main()
