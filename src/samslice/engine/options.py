"""Options: one frozen dataclass per task, read by Python, the CLI and the widget's form.

Each field is made by `option`, which records its help text, its range and its
choices next to its default, so that no front end states them again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import Field


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    length: int | None = None,
) -> Any:
    """Declare one option of an options dataclass.

    Parameters
    ----------
    default : object
        Its default value.
    help : str
        One sentence for the user.
    low, high : float, optional
        Allowed range, both ends included.
    choices : sequence of str, optional
        Allowed values.
    length : int, optional
        How many numbers a tuple-valued option holds.

    Returns
    -------
    dataclasses.Field
        The field, with all this in its metadata.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": choices, "length": length}
    return field(default=default, metadata=metadata)


def check_options(options: Any) -> None:
    """Refuse values outside what the fields declare.

    Parameters
    ----------
    options : dataclass instance
        An options value whose fields were made by `option`.

    Raises
    ------
    ValueError
        Naming the option, its value and what is allowed.
    """
    for item in fields(options):
        value = getattr(options, item.name)
        if value is not None:
            _check_one(type(options).__name__, item, value)


def _check_one(owner: str, item: Field[Any], value: Any) -> None:
    meta = item.metadata
    name = f"{owner}.{item.name}"
    if item.type == "bool" and not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} is {value!r}; allowed are True and False.")
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if str(item.type).startswith("int") and not whole:
        raise ValueError(f"{name} is {value!r}; allowed is a whole number.")
    if meta["choices"] is not None:
        if value not in meta["choices"]:
            raise ValueError(f"{name} is {value!r}; allowed are {', '.join(meta['choices'])}.")
        return
    low, high = meta["low"], meta["high"]
    if low is None and high is None:
        return
    span = f"from {low} to {high}" if high is not None else f"at least {low}"
    values = value if meta["length"] else (value,)
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; allowed is a number {span}.") from None
    if meta["length"] and array.shape != (meta["length"],):
        raise ValueError(f"{name} is {value!r}; allowed are {meta['length']} numbers {span}.")
    bad = ~np.isfinite(array) | (array < (-np.inf if low is None else low))
    if high is not None:
        bad |= array > high
    if bad.any():
        raise ValueError(f"{name} is {value!r}; allowed is {span}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PropagateOptions:
    """How objects are carried through a stack.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """

    direction: str = option(
        "both",
        "Towards which planes objects are carried from their anchors.",
        choices=("both", "forward", "backward"),
    )
    first_plane: int | None = option(None, "First plane of the range; the stack's if unset.", low=0)
    last_plane: int | None = option(
        None, "Last plane of the range, included; the stack's if unset.", low=0
    )
    spacing: tuple[float, float, float] = option(
        (1.0, 1.0, 1.0),
        "Size of a voxel along plane, row and column, in any one unit: the farther apart planes "
        "are, the more an object may change from one to the next.",
        low=1e-9,
        length=3,
    )
    min_overlap: float = option(
        0.45,
        "An object ends where its mask overlaps the previous plane's by less than this IoU.",
        low=0.0,
        high=1.0,
    )
    min_score: float = option(
        0.7,
        "An object ends where the model's predicted IoU falls below this.",
        low=0.0,
        high=1.0,
    )
    min_presence: float = option(
        0.65,
        "An object ends where the model confirms it by less than this share of what it did next "
        "to the anchor; more is asked of an object whose area has changed, and half as much of "
        "one that did not stand out from its surroundings on its anchor.",
        low=0.0,
        high=1.0,
    )
    min_confidence: float = option(
        0.0,
        "An object ends where the confidence in its mask is below this; 0 turns this off.",
        low=0.0,
        high=1.0,
    )
    doubtful_score: float = option(
        0.6,
        "Planes are marked doubtful where the confidence, the estimated chance that the mask is "
        "right (an IoU of 0.5 or more), is below this.",
        low=0.0,
        high=1.0,
    )
    min_area: int = option(4, "An object ends where its mask has fewer pixels.", low=1)
    max_growth: float = option(
        2.0,
        "An object ends where its mask is more than this many times the previous plane's.",
        low=1.0,
    )
    min_contrast: float = option(
        0.13,
        "An object that stood out from its surroundings on its anchor ends where it does so by "
        "less than this share; 0 turns this off.",
        low=0.0,
        high=1.0,
    )
    compete: bool = option(True, "Objects compete for pixels, so that neighbours do not leak.")
    components: str = option(
        "overlapping",
        "Which connected parts of a plane's mask are kept: those that overlap the previous "
        "plane's mask, the largest of them, or all.",
        choices=("overlapping", "largest", "all"),
    )
    branches: bool = option(
        False, "Follow branches that join an object on its way back to where they come from."
    )

    def __post_init__(self) -> None:
        check_options(self)
        first, last = self.first_plane, self.last_plane
        if first is not None and last is not None and first > last:
            raise ValueError(
                f"first_plane is {first} and last_plane {last}; "
                "allowed is first_plane ≤ last_plane."
            )

    @property
    def plane_step(self) -> float:
        """Distance between planes in pixels, at least one: how far a rim may move."""
        depth, height, width = self.spacing
        return max(1.0, float(depth / np.sqrt(height * width)))
