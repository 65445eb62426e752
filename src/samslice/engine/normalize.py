"""Any dtype to what the encoder sees, by one policy for a whole stack.

A policy is a low and a high limit. They come from the user (contrast limits,
percentiles) or from robust percentiles of planes spread over the stack:

- A pixel that stands out from its whole neighbourhood is a hot or dead pixel
  and does not count; lines one pixel wide do.
- Planes vote for the high limit with their contrast, so that what is bright on
  few planes counts, and planes that hold nothing but noise stay dark.
- What is bright but too small to reach a percentile of its plane counts by
  standing out from the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.engine.contrast import Measured, checked_dtype, checked_plane, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

Limits = tuple[float, float] | Sequence[tuple[float, float]]
"""(low, high), or one such pair for each of three channels."""

_BLOCK_PIXELS = 1 << 16  # converted at a time: float temporaries stay in the CPU's cache
_NOISE_RANGE = 16.0  # deviations of noise that the limits span at least where signal was missed
_VOTES = 0.75  # share of the votes, weighted by contrast, that the high limit satisfies


@dataclass(frozen=True, slots=True)
class Normalization:
    """Limits that map data to grey levels: at `low` or below is 0, at `high` or above 255.

    Parameters
    ----------
    low, high : tuple of float
        One value, or one for each of three channels. Where they are equal,
        only what lies above them is bright.
    as_is : bool, optional
        uint8 data go to the encoder untouched; `low` and `high` are not used.
    """

    low: tuple[float, ...] = (0.0,)
    high: tuple[float, ...] = (255.0,)
    as_is: bool = False

    def __post_init__(self) -> None:
        low, high = (tuple(float(v) for v in limits) for limits in (self.low, self.high))
        if len(low) != len(high) or len(low) not in (1, 3):
            raise ValueError(
                f"there are {len(low)} low and {len(high)} high limits; allowed is one of each, "
                "or one of each for three channels."
            )
        for pair in zip(low, high, strict=True):
            if not (np.isfinite(pair).all() and pair[0] <= pair[1]):
                raise ValueError(f"limits {pair} are not allowed; give finite low <= high.")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def key(self) -> str:
        """Text that is equal exactly where the result is: part of a cache key."""
        if self.as_is:
            return "as-is"
        pairs = zip(self.low, self.high, strict=True)
        return "limits " + " ".join(f"{low!r}:{high!r}" for low, high in pairs)

    def apply(self, plane: Any) -> NDArray[np.uint8]:
        """Make the picture that the encoder sees.

        Parameters
        ----------
        plane : array-like of shape (rows, columns) or (rows, columns, 3 or 4)
            Any bool, integer or float dtype. Alpha is dropped. NaN and -Inf
            become 0, +Inf becomes 255.

        Returns
        -------
        ndarray of shape (rows, columns, 3), uint8
            Contiguous, and never the memory of `plane`.

        Raises
        ------
        ValueError
            If the shape is another, or the limits are for other channels.
        TypeError
            If the dtype is another.
        """
        pixels = checked_plane(plane)
        if self.as_is:
            if pixels.dtype != np.uint8:
                raise TypeError(
                    f"the plane has dtype {pixels.dtype}, but as_is takes uint8 alone; "
                    "use fit() to get limits for it."
                )
            levels = pixels
        elif len(self.low) == 1:
            levels = _to_levels(pixels, self.low[0], self.high[0])
        elif pixels.ndim == 2:
            raise ValueError(
                "the limits are for three channels, but the plane has none; "
                "give one (low, high), or an RGB plane."
            )
        else:
            pairs = enumerate(zip(self.low, self.high, strict=True))
            levels = np.stack([_to_levels(pixels[..., c], *pair) for c, pair in pairs], axis=-1)
        picture = np.empty((*pixels.shape[:2], 3), np.uint8)
        picture[...] = levels if pixels.ndim == 3 else levels[..., None]
        return picture


def fit(
    data: Any,
    *,
    limits: Limits | None = None,
    percentiles: tuple[float, float] | None = None,
    as_is: bool | None = None,
) -> Normalization:
    """Choose the normalisation of one plane.

    A uint8 RGB plane goes to the encoder as it is, unless `limits` or
    `percentiles` ask for another. RGB floats within 0..1 are colours on that
    scale. All channels get the same limits, so that colours stay what they are.

    Parameters
    ----------
    data : array-like of shape (rows, columns) or (rows, columns, 3 or 4)
        Any bool, integer or float dtype. NaN and Inf do not count.
    limits : (low, high) or three of them, optional
        Contrast limits, in units of the data. Nothing is measured then.
    percentiles : (low, high), optional
        Percentiles that become the limits, instead of 0.5 and 99.5.
    as_is : bool, optional
        True takes uint8 data of any kind untouched; False measures uint8 RGB
        like everything else.

    Returns
    -------
    Normalization
        What to apply to the plane, and to others that shall look alike.

    Raises
    ------
    ValueError
        If the shape is another, the data are empty, or the choices are out
        of range or exclude each other.
    TypeError
        If the dtype is another.
    """
    plane = checked_plane(data)
    chosen = _without_measuring(plane.dtype, plane.ndim == 3, limits, percentiles, as_is)
    return chosen or _combine([measure(plane, percentiles)], plane.dtype)


def fit_stack(
    volume: Any,
    *,
    limits: Limits | None = None,
    percentiles: tuple[float, float] | None = None,
    as_is: bool | None = None,
    planes: int = 32,
) -> Normalization:
    """Choose one normalisation for all planes of a stack.

    Parameters
    ----------
    volume : array-like of shape (planes, rows, columns) or (planes, rows, columns, 3 or 4)
        Anything that is sliced lazily: numpy, memmap, dask, zarr. Planes are
        read one at a time.
    limits, percentiles, as_is : optional
        As for :func:`fit`.
    planes : int, optional
        How many planes to read, evenly spread; up to twice as many where
        these hold nothing but noise.

    Returns
    -------
    Normalization
        What to apply to every plane.

    Raises
    ------
    ValueError
        If the shape is another, the data are empty, or the choices are out
        of range or exclude each other.
    TypeError
        If the dtype is another.
    """
    if not (hasattr(volume, "shape") and hasattr(volume, "dtype")):
        volume = np.asarray(volume)
    shape, dtype = tuple(volume.shape), checked_dtype(volume.dtype)
    if not (len(shape) == 3 or (len(shape) == 4 and shape[-1] in (3, 4))) or 0 in shape:
        raise ValueError(
            f"the stack has shape {shape}; allowed is (planes, rows, columns) or "
            "(planes, rows, columns, 3 or 4), none of them 0. Slice other axes away first."
        )
    if planes < 1:
        raise ValueError(f"planes is {planes}; allowed is at least 1.")
    chosen = _without_measuring(dtype, len(shape) == 4, limits, percentiles, as_is)
    if chosen is not None:
        return chosen
    sample = _spread(shape[0], planes)
    seen = [measure(np.asarray(volume[i]), percentiles) for i in sample]
    if len(sample) < shape[0] and not any(m.has_signal for m in seen):
        more = [i for i in _spread(shape[0], 2 * planes) if i not in sample][:planes]
        seen += [measure(np.asarray(volume[i]), percentiles) for i in more]
    complete = len(seen) == shape[0]
    return _combine(seen, dtype, signal_may_be_missed=not complete and percentiles is None)


def _spread(n: int, count: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, count)).round()})


def _without_measuring(
    dtype: np.dtype[Any],
    has_channels: bool,
    limits: Limits | None,
    percentiles: tuple[float, float] | None,
    as_is: bool | None,
) -> Normalization | None:
    """Check the choices and return what they decide without a look at the data."""
    if sum((limits is not None, percentiles is not None, bool(as_is))) > 1:
        raise ValueError("limits, percentiles and as_is exclude each other; give one of them.")
    if percentiles is not None:
        low, high = percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                f"percentiles are {tuple(percentiles)}; allowed is 0 <= low < high <= 100."
            )
        return None
    if limits is not None:
        pairs = np.atleast_2d(np.asarray(limits, np.float64))
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not (pairs[:, 0] < pairs[:, 1]).all():
            raise ValueError(
                f"limits are {limits!r}; allowed is (low, high) with low < high, "
                "or three such pairs for three channels."
            )
        return Normalization(tuple(pairs[:, 0]), tuple(pairs[:, 1]))
    if as_is and dtype != np.uint8:
        raise TypeError(f"as_is takes uint8 alone, but the data have dtype {dtype}; leave it out.")
    if as_is or (as_is is None and has_channels and dtype == np.uint8):
        return Normalization(as_is=True)
    return Normalization((0.0,), (1.0,)) if dtype.kind == "b" else None


def _combine(
    seen: list[Measured], dtype: np.dtype[Any], *, signal_may_be_missed: bool = False
) -> Normalization:
    """Combine what single planes ask for into one policy."""
    seen = [m for m in seen if not m.is_empty]
    if not seen:
        return Normalization((0.0,), (0.0,))
    if dtype.kind == "f" and all(m.unit_colours for m in seen):
        return Normalization((0.0,), (1.0,))
    # Planes of one value are padding or failed exposures: they say nothing about contrast.
    seen = [m for m in seen if m.high > m.low] or seen
    low = float(np.percentile([m.low for m in seen], 10))
    high = _vote([m for m in seen if m.has_signal] or seen)
    if signal_may_be_missed and not any(m.has_signal for m in seen):
        high = max(high, low + _NOISE_RANGE * float(np.median([m.noise for m in seen])))
    return Normalization((min(low, high),), (high,))


def _vote(seen: list[Measured]) -> float:
    """Choose a high limit: each plane has votes as its contrast is large.

    What is ten times brighter counts on a tenth of the planes, while one
    extraordinary object among many does not darken all others.
    """
    ranked = sorted(seen, key=lambda m: m.high)
    votes = np.cumsum([m.high - m.low for m in ranked])
    return ranked[int(np.searchsorted(votes, _VOTES * votes[-1]))].high


def _to_levels(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map pixels of any shape and dtype to 0..255."""
    if pixels.dtype.kind == "b":
        pixels = pixels.view(np.uint8)
    dtype = pixels.dtype.newbyteorder("=")
    if dtype.kind in "ui" and dtype.itemsize <= 2 and pixels.size > 1 << (8 * dtype.itemsize):
        # Fewer values than pixels: map each value once.
        unsigned = np.dtype(f"u{dtype.itemsize}")
        values = np.arange(1 << (8 * dtype.itemsize)).astype(unsigned).view(dtype)
        table = _scaled(values.astype(np.float64), low, high)
        return table[np.ascontiguousarray(pixels, dtype).view(unsigned)]
    flat = np.ascontiguousarray(pixels).reshape(-1)
    levels = np.empty(flat.shape, np.uint8)
    with np.errstate(over="ignore"):
        for start in range(0, flat.size, _BLOCK_PIXELS):
            block = slice(start, start + _BLOCK_PIXELS)
            levels[block] = _scaled(flat[block].astype(np.float64), low, high)
    return levels.reshape(pixels.shape)


def _scaled(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    """Map float64 values to 0..255; may change them in place."""
    if low == high:
        return np.where(values > high, np.uint8(255), np.uint8(0))
    if not np.isfinite(high - low):
        # Only halves of the largest floats can be subtracted.
        values, low, high = values / 2, low / 2, high / 2
    np.fmax(values, low, out=values)  # NaN too becomes the low limit
    np.minimum(values, high, out=values)
    values -= low
    values /= high - low
    values *= 255
    return (values + 0.5).astype(np.uint8)
