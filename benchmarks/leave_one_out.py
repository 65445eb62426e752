"""Judge each set with the options that were best on all the others.

Options that were chosen by looking at a set say little about it. So several
choices of options are run on every set (`GRID`, one option at a time beside the
default), and each set is given the one with the highest mean over the other
sets. `bench_propagation.py --grid` does both in one command; this one makes the
summary anew from the table that it wrote:

    python benchmarks/leave_one_out.py bench-results/propagation.csv
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

DEFAULT = "default"
LEFT_OUT = "options from the other sets"
"""Name of the method that takes its options from the other sets."""

GRID: dict[str, tuple[float | str, ...]] = {
    "min_overlap": (0.3, 0.6),
    "min_score": (0.6, 0.8),
    "min_presence": (0.5, 0.8),
    "min_contrast": (0.06, 0.26),
    "max_growth": (1.5, 3.0),
    "components": ("largest",),
}
"""Values that are tried beside the defaults, by option."""


def grid() -> list[str]:
    """Give the variants of `GRID`, as ``OPTION=VALUE``."""
    return [f"{option}={value}" for option, values in GRID.items() for value in values]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a set is judged with.

    Attributes
    ----------
    variant : str
        The method that is best on the other sets.
    elsewhere : float
        Its mean IoU over those.
    here : float
        Its mean IoU on the set itself.
    """

    variant: str
    elsewhere: float
    here: float


def mean_by_set(table: pd.DataFrame) -> pd.DataFrame:
    """Average the IoU of objects; sets as rows, methods as columns.

    Parameters
    ----------
    table : DataFrame
        ``set``, ``method`` and ``iou``, a row for every object.

    Returns
    -------
    DataFrame
        In the order in which sets and methods come.
    """
    means = table.groupby(["set", "method"], sort=False)["iou"].mean().unstack("method")
    return means.loc[list(dict.fromkeys(table["set"])), list(dict.fromkeys(table["method"]))]


def choose_elsewhere(means: pd.DataFrame) -> dict[str, Choice]:
    """Give every set the variant that is best on the others.

    Parameters
    ----------
    means : DataFrame
        Of `mean_by_set`, with the variants to choose from.

    Returns
    -------
    dict of str to Choice
        By set. Of equals the first variant is taken.

    Raises
    ------
    ValueError
        If there are fewer than two sets, or a variant was not run on all.
    """
    if len(means) < 2:
        raise ValueError(
            f"there is {len(means)} set; leaving one out takes at least two. Give more with --sets."
        )
    missing = [str(variant) for variant in means.columns if means[variant].isna().any()]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} is not there for all sets; run bench_propagation.py --grid on "
            "all of them in one call."
        )
    chosen = {}
    for name in means.index:
        others = means.drop(index=name).mean()
        best = str(others.idxmax())
        chosen[str(name)] = Choice(best, float(others[best]), float(means.loc[name, best]))
    return chosen


def markdown(means: pd.DataFrame) -> str:
    """Set as tables: the mean IoU of every variant, and what each set is judged with."""
    heads = [*means.index, "**mean of sets**"]
    lines = [f"| options | {' | '.join(heads)} |", f"|---|{'--:|' * len(heads)}"]
    for variant in means.columns:
        values = [*means[variant], means[variant].mean()]
        lines.append(f"| {variant} | {' | '.join(f'{v:.3f}' for v in values)} |")
    lines += ["", "| set | options, best on the other sets | mean IoU there | mean IoU here |"]
    lines.append("|---|---|--:|--:|")
    chosen = choose_elsewhere(means)
    for name, choice in chosen.items():
        lines.append(f"| {name} | {choice.variant} | {choice.elsewhere:.3f} | {choice.here:.3f} |")
    here = sum(choice.here for choice in chosen.values()) / len(chosen)
    lines.append(f"| **mean of sets** | | | {here:.3f} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Print the summary of a table of objects."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path, help="propagation.csv of bench_propagation.py --grid")
    args = parser.parse_args(argv)
    table = pd.read_csv(args.table)
    print(markdown(mean_by_set(table[table["method"].isin([DEFAULT, *grid()])])))


if __name__ == "__main__":
    main()
