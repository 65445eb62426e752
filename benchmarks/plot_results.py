"""Draw the pictures of docs/benchmarks.md from the tables that the benchmarks wrote.

pip install "samslice[bench]"
python benchmarks/plot_results.py bench-results --out docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
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


def draw_objects(source: Path, target: Path) -> None:
    """Dots: every object, propagated from one box, against its box on every plane."""
    table = pd.read_csv(source)
    iou = table.pivot_table(index=["set", "object"], columns="method", values="iou")
    if not {"default", "oracle"} <= set(iou.columns):
        return
    names = list(dict.fromkeys(table["set"]))
    figure, panels = plt.subplots(
        1, len(names), figsize=(1.7 * len(names), 2.3), sharey=True, layout="constrained"
    )
    for axes, name in zip(np.atleast_1d(panels), names, strict=True):
        here = iou.loc[name]
        axes.plot([0, 1], [0, 1], color="#cccccc", linewidth=1, zorder=0)
        axes.scatter(here["oracle"], here["default"], s=8, alpha=0.6, color=METHODS["default"])
        axes.set_title(name, fontsize=7)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("IoU with the true box on every plane (oracle)", fontsize=8)
    figure.supylabel("IoU from one box", fontsize=8)
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
    parser.add_argument("results", type=Path, help="folder that the benchmarks wrote into")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    args = parser.parse_args(argv)
    mpl.rcParams["svg.hashsalt"] = "samslice"  # the same tables give the same file
    for name, draw, picture in (
        ("propagation.md", draw_sets, "propagation.svg"),
        ("propagation.csv", draw_objects, "objects.svg"),
        ("corrections.csv", draw_corrections, "corrections.svg"),
    ):
        source, target = args.results / name, args.out / picture
        if source.is_file():
            draw(source, target)
            print(f"{source} -> {target}")


if __name__ == "__main__":
    main()
