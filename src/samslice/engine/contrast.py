"""What the contrast of one plane is, in spite of hot pixels and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENTILES = (0.5, 99.5)
"""Of the pixels of one plane that are neither hot nor dead."""

_SAMPLED_PIXELS = 1 << 17  # of one plane: the 99.5th percentile rests on 650 of them
_STANDS_OUT = 8.0  # deviations that noise never reaches
_LARGEST = 1e300  # beyond this, differences of floats overflow
_SECOND_DIFFERENCE = {  # by the number of pixels in the neighbourhood
    9: np.array([1, -2, 1, -2, 4, -2, 1, -2, 1], np.float64),
    5: np.array([0, 1, -2, 1, 0], np.float64),
}


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` if its values can be shown, else raise a TypeError."""
    checked: np.dtype[Any] = np.dtype(dtype)
    if checked.kind not in "buif":
        raise TypeError(
            f"the data have dtype {checked}; allowed are bool, integers and floats. "
            "Of complex data give the magnitude: abs(data)."
        )
    return checked


def checked_plane(data: Any) -> NDArray[Any]:
    """Return `data` as an array of two dimensions or with three channels."""
    plane = np.asarray(data)
    checked_dtype(plane.dtype)
    has_channels = plane.ndim == 3 and plane.shape[-1] in (3, 4)
    if not (plane.ndim == 2 or has_channels) or plane.size == 0:
        raise ValueError(
            f"the plane has shape {plane.shape}; allowed is (rows, columns) or "
            "(rows, columns, 3 or 4), none of them 0. Take one plane, or one or three channels."
        )
    return plane[..., :3] if has_channels else plane


@dataclass(frozen=True, slots=True)
class Measured:
    """What one plane asks for."""

    low: float
    high: float
    noise: float  # standard deviation of what differs from pixel to pixel
    has_signal: bool
    unit_colours: bool  # RGB floats, all within 0..1
    is_empty: bool  # no finite pixel


def measure(plane: NDArray[Any], percentiles: tuple[float, float] | None) -> Measured:
    """Measure one plane.

    Parameters
    ----------
    plane : ndarray of shape (rows, columns) or (rows, columns, 3 or 4)
        Any bool, integer or float dtype. The channels are taken together.
    percentiles : (low, high) or None
        Percentiles to take exactly as asked; None takes `PERCENTILES`, and
        looks for sparse objects where they lie within the noise.

    Returns
    -------
    Measured
        The limits that the plane asks for, and how far to trust them.
    """
    plane = checked_plane(plane)
    channels = [plane] if plane.ndim == 2 else [plane[..., c] for c in range(3)]
    step = max(1, int(np.sqrt(channels[0].size / _SAMPLED_PIXELS)))
    parts = [_without_spikes(channel, step) for channel in channels]
    values = np.concatenate([part[0] for part in parts])
    if not values.size:
        return Measured(0.0, 0.0, 0.0, False, False, True)
    noise = max(part[1] for part in parts)
    low, middle, high = np.percentile(values, np.insert(percentiles or PERCENTILES, 1, 50))
    has_signal = bool(high > middle + _STANDS_OUT * noise)
    if not has_signal and percentiles is None:
        # The percentile lies within the noise, but sparse and small objects may stand out of it.
        bulk = 1.4826 * np.median(np.abs(values - middle))
        outstanding = values[values > middle + _STANDS_OUT * max(bulk, noise)]
        if outstanding.size:
            high, has_signal = np.percentile(outstanding, 75), True
    is_colour = plane.ndim == 3 and plane.dtype.kind == "f"
    unit_colours = is_colour and bool(values.min() >= 0 and values.max() <= 1)
    return Measured(float(low), float(high), noise, has_signal, unit_colours, False)


def _without_spikes(channel: NDArray[Any], step: int) -> tuple[NDArray[np.float64], float]:
    """Take pixels of one channel, held within the ranks of their neighbourhood.

    A pixel is held between the third lowest and the third highest of its 3×3
    neighbourhood: up to two hot or dead pixels side by side go, a line of one
    pixel's width stays.

    Parameters
    ----------
    channel : ndarray of shape (rows, columns)
        Any dtype.
    step : int
        Every how many rows and columns a pixel is taken.

    Returns
    -------
    values : ndarray of shape (n,), float64
        The finite pixels.
    noise : float
        Standard deviation of the noise, from the second differences of
        neighbours (J. Immerkær, Fast noise variance estimation, CVIU 1996),
        with the median for robustness.
    """
    # A single row has no neighbours above and below: look farther along it instead.
    is_line = min(channel.shape) == 1
    reach = [0 if n == 1 else 2 if is_line else 1 for n in channel.shape]
    padded = np.pad(channel, [(r, r) for r in reach], mode="reflect")
    window = [2 * r + 1 for r in reach]
    with np.errstate(over="ignore"):  # of a long double: it is no finite number then
        stack = [
            np.array(view, np.float64)
            for row in sliding_window_view(padded, window)[::step, ::step].transpose(2, 3, 0, 1)
            for view in row
        ]
    finite = np.isfinite(stack[len(stack) // 2])
    if not finite.any():
        return np.empty(0), 0.0
    if channel.dtype.kind == "f":
        middle = np.median(stack[len(stack) // 2][finite])
        for view in stack:
            view[~np.isfinite(view)] = middle
            np.clip(view, -_LARGEST, _LARGEST, out=view)
    rank = {9: 3, 5: 2}.get(len(stack), 1)
    highest = _ranked(stack, rank, np.maximum, np.minimum)
    lowest = _ranked(stack, rank, np.minimum, np.maximum)
    values = np.clip(stack[len(stack) // 2], lowest, highest)[finite]
    weights = _SECOND_DIFFERENCE.get(len(stack), np.zeros(1))
    difference = sum(w * view for w, view in zip(weights, stack, strict=True) if w)
    spread = 1 / np.sqrt((weights**2).sum()) if len(stack) > 1 else 0.0
    return values, float(1.4826 * spread * np.median(np.abs(difference)))


def _ranked(
    stack: list[NDArray[np.float64]], rank: int, first: np.ufunc, second: np.ufunc
) -> NDArray[np.float64]:
    """Return the `rank`-th of the stack at each pixel: highest for first=maximum."""
    best: list[NDArray[np.float64]] = []
    for view in stack:
        rest = view
        for i, held in enumerate(best):
            best[i], rest = first(held, rest), second(held, rest)
        if len(best) < rank:
            best.append(rest)
    return best[-1]
