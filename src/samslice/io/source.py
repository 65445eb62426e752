"""What a reader of a file format hands over, before axes are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

UNNAMED = "Q"
"""Letter of an axis of which nothing is known, as in TIFF; the only one that may come twice."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a reader found in a file: an array that is sliced lazily, and its axes.

    Attributes
    ----------
    array : array-like
        Read only where it is sliced.
    axes : str
        One letter for each of its axes.
    colour : bool
        Whether the samples (S) of a pixel are its colour.
    scale : mapping of str to float
        Size of a voxel along the axes for which the file tells it.
    units : mapping of str to str or None
        Their units, as the file spells them.
    close : callable or None
        Closes the file.
    """

    array: Any
    axes: str
    colour: bool = False
    scale: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str | None] = field(default_factory=dict)
    close: Callable[[], object] | None = None


def guess_axes(shape: tuple[int, ...]) -> tuple[str, bool]:
    """Name the axes of an array that does not say what they are.

    No image is three or four pixels wide, so a last axis of that size holds
    colours; two to three axes are a plane or a stack. More cannot be guessed.

    Parameters
    ----------
    shape : tuple of int
        Its shape.

    Returns
    -------
    axes : str
        One letter for each axis, ``"Q"`` for each that is unknown.
    colour : bool
        Whether the last axis holds colours.
    """
    colour = len(shape) > 2 and shape[-1] in (3, 4)
    tail = "YXS" if colour else "YX"
    n_leading = len(shape) - len(tail)
    leading = "Z" if n_leading == 1 else UNNAMED * n_leading
    return (leading + tail)[-len(shape) :] if shape else "", colour
