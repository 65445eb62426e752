"""Stacks of an image that is also there at lower resolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from samslice.session.view import StackView, View


class LevelStack:
    """A stack whose planes are read at a lower resolution than its shape says.

    Parameters
    ----------
    stack : StackView
        The stack at the lower resolution.
    shape : tuple of int
        (planes, rows, columns) at full resolution.
    """

    def __init__(self, stack: StackView, shape: tuple[int, int, int]) -> None:
        self._stack = stack
        self.shape = (*shape, *stack.shape[3:])
        self.dtype = stack.dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, plane: int) -> np.ndarray:
        if not -len(self) <= plane < len(self):
            raise IndexError(f"plane {plane} of {len(self)}")
        return self._stack[int(plane) % len(self) * len(self._stack) // len(self)]


def choose_level(levels: Sequence[Any], view: View, input_size: int, channel: int | None) -> int:
    """Choose the resolution that the encoder is to see.

    Parameters
    ----------
    levels : sequence of array-like
        The image, then lower resolutions of it.
    view : View
        Axes of the plane.
    input_size : int
        Length of the longer side of the encoder's input.
    channel : int or None
        Axis of the channels, not negative.

    Returns
    -------
    int
        The coarsest level that is not smaller than the input; 0 is the image.
    """
    chosen = 0
    for number, level in enumerate(levels):
        if max(view.plane_shape(_spatial(level, channel))) >= input_size:
            chosen = number
    return chosen


def scaled_view(view: View, image: Any, level: Any, channel: int | None) -> View:
    """Hold the other axes where they are at a lower resolution.

    Parameters
    ----------
    view : View
        At full resolution.
    image, level : array-like
        The image, and the lower resolution.
    channel : int or None
        Axis of the channels, not negative.

    Returns
    -------
    View
        Of `level`.
    """
    sizes = zip(view.held, _spatial(image, channel), _spatial(level, channel), strict=True)
    return replace(view, held=tuple(at * small // full for at, full, small in sizes))


def _spatial(image: Any, channel: int | None) -> tuple[int, ...]:
    return tuple(int(n) for axis, n in enumerate(image.shape) if axis != channel)


def check_levels(image: Any, levels: Sequence[Any]) -> None:
    """Refuse lower resolutions that are none of this image.

    Parameters
    ----------
    image : array-like
        At full resolution.
    levels : sequence of array-like
        Lower resolutions.

    Raises
    ------
    ValueError
        If one of them has other axes, or is larger.
    """
    for level in levels:
        fits = len(level.shape) == len(image.shape) and all(
            0 < small <= full for small, full in zip(level.shape, image.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"a lower resolution has shape {tuple(level.shape)}; the image has "
                f"{tuple(image.shape)}: give the same axes, none of them longer."
            )
