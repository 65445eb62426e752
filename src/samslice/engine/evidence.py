"""What the pixels themselves say about a mask, independently of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.engine.types import Region

_MAD_TO_SIGMA = 1.4826
_MIN_PIXELS = 8


@dataclass(frozen=True, slots=True)
class Contrast:
    """How an object stands out from its surroundings.

    Attributes
    ----------
    difference : float
        Median inside minus median of a ring around it, in data units.
    sigma : float
        Spread of the pixels about these two medians, in data units.
    """

    difference: float
    sigma: float

    @property
    def is_clear(self) -> bool:
        """Whether it stands out by more than the spread of its pixels."""
        return abs(self.difference) > self.sigma

    def share_of(self, other: Contrast) -> float:
        """Compare with the contrast that it had elsewhere.

        Parameters
        ----------
        other : Contrast
            A clear one.

        Returns
        -------
        float
            1 where it stands out as much, 0 where it does not stand out,
            negative where it has turned from bright to dark or back.
        """
        return self.difference / other.difference


def contrast(pixels: NDArray[Any], region: Region, mask: NDArray[np.bool_]) -> Contrast | None:
    """Measure how a mask stands out from a ring around it.

    The ring is a fifth of the object's width wide, so that it samples the
    surroundings and not the neighbours behind them.

    Parameters
    ----------
    pixels : ndarray of shape (rows, columns) or (rows, columns, channels)
        The plane.
    region : tuple of int
        (row0, col0, row1, col1), half-open, that holds the mask.
    mask : ndarray of bool
        The mask inside the region.

    Returns
    -------
    Contrast or None
        None if the object or the ring is too small to tell.
    """
    width = max(2, round(0.2 * np.sqrt(np.count_nonzero(mask))))
    row0, col0, row1, col1 = region
    top, left = max(0, row0 - width), max(0, col0 - width)
    part = np.asarray(pixels[top : row1 + width, left : col1 + width], np.float32)
    if part.ndim == 3:
        part = part.mean(axis=2)
    inside = np.zeros(part.shape, bool)
    inside[row0 - top : row1 - top, col0 - left : col1 - left] = mask
    distance = ndimage.distance_transform_edt(~inside)
    # The rim itself is blurred by the microscope and belongs to neither side.
    ring = (distance > 1) & (distance <= width + 1)
    finite = np.isfinite(part)
    values, around = part[inside & finite], part[ring & finite]
    if min(len(values), len(around)) < _MIN_PIXELS:
        return None
    middle, outside = float(np.median(values)), float(np.median(around))
    spread = np.concatenate([np.abs(values - middle), np.abs(around - outside)])
    return Contrast(middle - outside, _MAD_TO_SIGMA * float(np.median(spread)))


def resample(
    region: Region, mask: NDArray[np.bool_], shape: tuple[int, int], wanted: tuple[int, int]
) -> tuple[Region, NDArray[np.bool_]]:
    """Bring a mask to another sampling of the same plane, by its nearest pixels.

    Parameters
    ----------
    region : tuple of int
        (row0, col0, row1, col1), half-open, that holds the mask.
    mask : ndarray of bool
        The mask inside the region.
    shape, wanted : tuple of int
        (rows, columns) of the plane as the mask sees it, and as it is wanted.

    Returns
    -------
    region : tuple of int
        In the wanted pixels.
    mask : ndarray of bool
        Inside it.
    """
    if shape == wanted:
        return region, mask
    bounds, sources = [], []
    for axis in (0, 1):
        scale = wanted[axis] / shape[axis]
        low, high = int(region[axis] * scale), int(np.ceil(region[axis + 2] * scale))
        nearest = ((np.arange(low, high) + 0.5) / scale).astype(int) - region[axis]
        sources.append(np.clip(nearest, 0, mask.shape[axis] - 1))
        bounds.append((low, high))
    (row0, row1), (col0, col1) = bounds
    return (row0, col0, row1, col1), mask[np.ix_(*sources)]
