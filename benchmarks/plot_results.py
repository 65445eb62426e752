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


def read_table(source: Path) -> pd.DataFrame:
    """Read the table of propagation.md: set, method, and mean IoU."""
    rows = [line.strip("| \n").split(" | ") for line in source.read_text("utf-8").splitlines()]
    found = [(r[0], r[1], float(r[3])) for r in rows if len(r) > 4 and r[1] in METHODS]
    return pd.DataFrame(found, columns=["set", "method", "iou"])


def draw_sets(source: Path, target: Path) -> None:
    """Bars: mean IoU of each method on each set."""
    table = read_table(source)
    table["set"] = table["set"].str.strip("*")
    sets = list(dict.fromkeys(table["set"]))
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    width = 0.8 / len(METHODS)
    for number, (method, colour) in enumerate(METHODS.items()):
        mean = table[table["method"] == method].set_index("set")["iou"].reindex(sets)
        at = [i + (number - (len(METHODS) - 1) / 2) * width for i in range(len(sets))]
        axes.bar(at, mean, width, color=colour, label=method)
    axes.set_xticks(range(len(sets)), [name.replace("_", "\n", 1) for name in sets], fontsize=8)
    axes.set_ylabel("mean 3D IoU from one box")
    axes.set_ylim(0, 1.1)
    axes.legend(ncols=len(METHODS), fontsize=8, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target, metadata={"Date": None})


def draw_corrections(source: Path, target: Path) -> None:
    """Curves: mean IoU of each set against the number of interactions."""
    table = pd.read_csv(source)
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
    parser.add_argument("results", type=Path, help="folder with propagation.md, corrections.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    args = parser.parse_args(argv)
    mpl.rcParams["svg.hashsalt"] = "samslice"  # the same tables give the same file
    for name, draw in (("propagation.md", draw_sets), ("corrections.csv", draw_corrections)):
        source, target = args.results / name, (args.out / name).with_suffix(".svg")
        if source.is_file():
            draw(source, target)
            print(f"{source} -> {target}")


if __name__ == "__main__":
    main()
