"""Draw the pictures of docs/benchmarks.md from the tables that the benchmarks wrote.

pip install "samslice[bench]"
python benchmarks/plot_results.py bench-results --out docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
import matplotlib.pyplot as plt

METHODS = {
    "peer: box": "#bbbbbb",
    "peer: mask and box": "#888888",
    "default": "#1f77b4",
    "oracle": "#d9a441",
}


def draw_sets(table: pd.DataFrame, target: Path) -> None:
    """Bars: mean IoU of each method on each set, with the middle half of the objects."""
    sets = list(dict.fromkeys(table["set"]))
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    width = 0.8 / len(METHODS)
    for number, (method, colour) in enumerate(METHODS.items()):
        of_method = table[table["method"] == method].groupby("set")["iou"]
        mean = of_method.mean().reindex(sets)
        low, high = (of_method.quantile(q).reindex(sets) for q in (0.25, 0.75))
        at = [i + (number - (len(METHODS) - 1) / 2) * width for i in range(len(sets))]
        axes.bar(at, mean, width, color=colour, label=method)
        axes.vlines(at, low, high, color="black", linewidth=0.8)
    axes.set_xticks(range(len(sets)), [name.replace("_", "\n", 1) for name in sets], fontsize=8)
    axes.set_ylabel("3D IoU from one box")
    axes.set_ylim(0, 1)
    axes.legend(ncols=len(METHODS), fontsize=8, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})


def draw_corrections(table: pd.DataFrame, target: Path) -> None:
    """Curves: mean IoU of each set against the number of interactions."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    mean = table.groupby(["set", "interactions"])["iou"].mean().unstack("set")
    for name in dict.fromkeys(table["set"]):
        axes.plot(mean.index, mean[name], marker="o", markersize=3, label=name)
    axes.plot(mean.index, mean.mean(axis=1), color="black", linewidth=2, label="mean of sets")
    axes.set_xticks(list(mean.index))
    axes.set_xlabel("interactions with each object")
    axes.set_ylabel("mean 3D IoU")
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})


def main(argv: list[str] | None = None) -> None:
    """Draw what there are tables for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder with propagation.csv, corrections.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    args = parser.parse_args(argv)
    mpl.rcParams["svg.hashsalt"] = "samslice"  # the same tables give the same file
    for name, draw in (("propagation", draw_sets), ("corrections", draw_corrections)):
        source = args.results / f"{name}.csv"
        if source.is_file():
            draw(pd.read_csv(source), args.out / f"{name}.svg")
            print(f"{source} -> {args.out / name}.svg")


if __name__ == "__main__":
    main()
