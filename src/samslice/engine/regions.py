"""Masks that are held inside a region of their plane."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.strategy import Proposal
    from samslice.engine.types import Region

ABSENT_LOGIT = -32.0
"""Logit of pixels that an object cannot have: clearly outside of it."""


def bounds(mask: NDArray[np.bool_]) -> Region:
    """Smallest half-open (row0, col0, row1, col1) that holds a mask, which must not be empty."""
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


def tighten(region: Region, mask: NDArray[np.bool_]) -> tuple[Region, NDArray[np.bool_]]:
    """Shrink a region to the mask inside it, which must not be empty; the mask is copied."""
    row0, col0, row1, col1 = bounds(mask)
    top, left = region[:2]
    inside = mask[row0:row1, col0:col1].copy()
    return (row0 + top, col0 + left, row1 + top, col1 + left), inside


def join_regions(regions: Sequence[Region]) -> Region:
    """Smallest region that holds others, of which there is at least one."""
    low0, low1, high0, high1 = zip(*regions, strict=True)
    return min(low0), min(low1), max(high0), max(high1)


def within(region: Region, window: Region) -> tuple[slice, slice]:
    """Rows and columns of a region inside a window that holds it."""
    row0, col0 = window[:2]
    return (
        slice(region[0] - row0, region[2] - row0),
        slice(region[1] - col0, region[3] - col0),
    )


def regions_meet(region_a: Region, region_b: Region) -> bool:
    """Whether two regions have a pixel in common."""
    low0, low1 = max(region_a[0], region_b[0]), max(region_a[1], region_b[1])
    return low0 < min(region_a[2], region_b[2]) and low1 < min(region_a[3], region_b[3])


def crop(region: Region, mask: NDArray[np.bool_], window: Region) -> NDArray[np.bool_]:
    """Part of a mask that lies in a window, as large as the window."""
    out = np.zeros((window[2] - window[0], window[3] - window[1]), bool)
    row0, col0 = max(region[0], window[0]), max(region[1], window[1])
    row1, col1 = min(region[2], window[2]), min(region[3], window[3])
    if row0 < row1 and col0 < col1:
        part = mask[row0 - region[0] : row1 - region[0], col0 - region[1] : col1 - region[1]]
        out[row0 - window[0] : row1 - window[0], col0 - window[1] : col1 - window[1]] = part
    return out


def region_iou(
    region_a: Region, mask_a: NDArray[np.bool_], region_b: Region, mask_b: NDArray[np.bool_]
) -> float:
    """IoU of two masks that are given inside regions of the same plane; one is not empty."""
    both = np.count_nonzero(crop(region_a, mask_a, region_b) & mask_b)
    return float(both / (np.count_nonzero(mask_a) + np.count_nonzero(mask_b) - both))


def keep_components(
    proposal: Proposal, region: Region, mask: NDArray[np.bool_], which: str
) -> Proposal:
    """Drop connected parts of a proposal that do not continue the previous mask.

    Parameters
    ----------
    proposal : Proposal
        What was found.
    region, mask : tuple of int, ndarray of bool
        The object on the previous plane.
    which : str
        ``"overlapping"``: parts that overlap the previous mask;
        ``"largest"``: the one that overlaps it most; ``"all"``.

    Returns
    -------
    Proposal
        With the logits of dropped parts made negative. If no part overlaps,
        all are kept, for the overlap to judge.
    """
    if proposal.region is None or which == "all":
        return proposal
    parts, count = ndimage.label(proposal.logits > 0)
    hits = np.bincount(parts[crop(region, mask, proposal.region)], minlength=count + 1)
    hits[0] = 0
    if count <= 1 or not hits.any():
        return proposal
    kept = [int(np.argmax(hits))] if which == "largest" else np.flatnonzero(hits)
    dropped = (parts > 0) & ~np.isin(parts, kept)
    return replace(proposal, logits=np.where(dropped, np.float32(ABSENT_LOGIT), proposal.logits))
