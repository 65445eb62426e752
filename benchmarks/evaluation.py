"""How propagation is scored: which objects, with which box, and by which numbers.

Pure functions on label stacks. Every object that is large enough gets its
ground-truth box on its middle plane, and the mask that comes back is compared
with the ground truth voxel by voxel, over the labelled planes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

Box = tuple[int, int, int, int]

MIN_VOXELS = 300
MIN_PLANES = 4
MAX_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Target:
    """One object to be found again.

    Attributes
    ----------
    object_id : int
        Its label in the ground truth.
    voxels : int
        Its size.
    first, last : int
        The planes it begins and ends on.
    anchor : int
        The plane it is shown on: the middle one between `first` and `last`,
        or the nearest plane it occupies if it is absent there.
    boxes : dict of int to tuple of int
        Its half-open box (row0, col0, row1, col1) on each plane it occupies.
    click : tuple of int
        (row, col) on the anchor plane, as far inside the object as one can get.
    """

    object_id: int
    voxels: int
    first: int
    last: int
    anchor: int
    boxes: dict[int, Box]
    click: tuple[int, int]


def find_targets(
    labels: NDArray[np.int64],
    planes: range | None = None,
    *,
    min_voxels: int = MIN_VOXELS,
    min_planes: int = MIN_PLANES,
    max_share: float = MAX_SHARE,
) -> list[Target]:
    """Choose the objects that count.

    Parameters
    ----------
    labels : ndarray of shape (planes, rows, columns), int
        Ground truth, 0 is background.
    planes : range, optional
        The planes that have labels; all if left out. Sizes are counted and
        middle planes taken within them.
    min_voxels, min_planes : int, optional
        Objects with fewer voxels or on fewer planes are left out.
    max_share : float, optional
        Objects that fill more of the volume are left out.

    Returns
    -------
    list of Target
        By ascending label.
    """
    planes = range(len(labels)) if planes is None else planes
    boxes: dict[int, dict[int, Box]] = {}
    for plane in planes:
        for object_id, box in boxes_of_plane(labels[plane]).items():
            boxes.setdefault(object_id, {})[plane] = box
    voxels = np.bincount(labels[planes.start : planes.stop].ravel())
    limit = max_share * len(planes) * labels[0].size
    targets = []
    for object_id in sorted(boxes):
        found = sorted(boxes[object_id])
        size = int(voxels[object_id])
        if size >= min_voxels and len(found) >= min_planes and size <= limit:
            middle = (found[0] + found[-1]) // 2
            anchor = min(found, key=lambda plane: (abs(plane - middle), plane))
            click = innermost(labels[anchor] == object_id)
            ends = found[0], found[-1]
            targets.append(Target(object_id, size, *ends, anchor, boxes[object_id], click))
    return targets


def innermost(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Find the pixel of a mask that is farthest from its rim.

    Parameters
    ----------
    mask : ndarray of shape (rows, columns), bool
        Not empty.

    Returns
    -------
    tuple of int
        (row, col); the first of several.
    """
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, col = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return int(row), int(col)


def boxes_of_plane(plane: NDArray[np.int64]) -> dict[int, Box]:
    """Bound every object of a plane.

    Parameters
    ----------
    plane : ndarray of shape (rows, columns), int
        Labels, 0 is background.

    Returns
    -------
    dict of int to tuple of int
        Half-open (row0, col0, row1, col1) by label.
    """
    rows, cols = np.nonzero(plane)
    ids, which = np.unique(plane[rows, cols], return_inverse=True)
    low = np.full((2, len(ids)), np.iinfo(np.int64).max)
    high = np.full((2, len(ids)), -1)
    for axis, values in enumerate((rows, cols)):
        np.minimum.at(low[axis], which, values)
        np.maximum.at(high[axis], which, values)
    corners = np.stack([low[0], low[1], high[0] + 1, high[1] + 1], axis=1)
    return {
        int(object_id): (int(r0), int(c0), int(r1), int(c1))
        for object_id, (r0, c0, r1, c1) in zip(ids, corners, strict=True)
    }


def sample(targets: list[Target], most: int | None, seed: int) -> list[Target]:
    """Take some of the objects at random, if there are too many.

    Parameters
    ----------
    targets : list of Target
        All of them.
    most : int or None
        How many to take at most; None takes all.
    seed : int
        Of the random choice.

    Returns
    -------
    list of Target
        In their former order.
    """
    if most is None or len(targets) <= most:
        return targets
    chosen = np.random.default_rng(seed).choice(len(targets), most, replace=False)
    return [targets[i] for i in sorted(chosen)]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Voxels of each object on each labelled plane.

    Attributes
    ----------
    truth, found, shared : ndarray of shape (objects, planes), int
        Voxels of the ground truth, of what was found, and of both at once.
    """

    truth: NDArray[np.int64]
    found: NDArray[np.int64]
    shared: NDArray[np.int64]

    @classmethod
    def empty(cls, n_objects: int, n_planes: int) -> Counts:
        """Make counts to add to.

        Parameters
        ----------
        n_objects, n_planes : int
            Their shape.

        Returns
        -------
        Counts
            All zero.
        """
        truth, found, shared = np.zeros((3, n_objects, n_planes), np.int64)
        return cls(truth, found, shared)


def count_labels(
    truth: NDArray[np.int64], found: NDArray[np.integer], targets: Sequence[Target], planes: range
) -> Counts:
    """Compare two label stacks in which an object has the same label.

    Parameters
    ----------
    truth, found : ndarray of shape (planes, rows, columns), int
        Ground truth and result.
    targets : sequence of Target
        The objects that count.
    planes : range
        The planes that have labels.

    Returns
    -------
    Counts
        Objects in the order of `targets`.
    """
    ids = np.array([t.object_id for t in targets])
    n = int(truth.max()) + 1
    counts = Counts.empty(len(targets), len(planes))
    for column, plane in enumerate(planes):
        here, there = truth[plane].ravel(), np.asarray(found[plane]).ravel()
        counts.truth[:, column] = np.bincount(here, minlength=n)[ids]
        counts.found[:, column] = np.bincount(there, minlength=n)[ids]
        counts.shared[:, column] = np.bincount(here[here == there], minlength=n)[ids]
    return counts


def count_masks(
    truth: NDArray[np.int64],
    masks: Iterable[tuple[int, int, NDArray[np.bool_]]],
    targets: Sequence[Target],
    planes: range,
) -> Counts:
    """Compare masks that may overlap each other with the ground truth.

    Parameters
    ----------
    truth : ndarray of shape (planes, rows, columns), int
        Ground truth.
    masks : iterable of (int, int, ndarray of shape (rows, columns))
        Index into `targets`, plane, and the mask found for it there.
    targets : sequence of Target
        The objects that count.
    planes : range
        The planes that have labels.

    Returns
    -------
    Counts
        Objects in the order of `targets`.
    """
    nothing = np.zeros_like(truth)
    counts = count_labels(truth, nothing, targets, planes)
    for index, plane, mask in masks:
        column = plane - planes.start
        counts.found[index, column] = np.count_nonzero(mask)
        inside = truth[plane][mask] == targets[index].object_id
        counts.shared[index, column] = np.count_nonzero(inside)
    return counts


def score(counts: Counts, targets: Sequence[Target], planes: range) -> pd.DataFrame:
    """Score each object.

    Parameters
    ----------
    counts : Counts
        From `count_labels` or `count_masks`.
    targets : sequence of Target
        The same objects.
    planes : range
        The planes that have labels.

    Returns
    -------
    DataFrame
        One row per object: ``iou`` over all voxels; ``iou_between_ends`` over
        the planes from its first to its last, so without what was invented
        beyond; ``anchor_iou`` on the plane where it was shown; ``missed``,
        its planes at the two ends that the result does not reach;
        ``invented``, planes of the result beyond its two ends.
    """
    rows = []
    for index, target in enumerate(targets):
        truth, found, shared = counts.truth[index], counts.found[index], counts.shared[index]
        at = target.anchor - planes.start
        own = slice(target.first - planes.start, target.last - planes.start + 1)
        missed, invented = _ends(np.flatnonzero(truth), np.flatnonzero(found))
        rows.append(
            {
                "object": target.object_id,
                "voxels": target.voxels,
                "first": target.first,
                "last": target.last,
                "anchor": target.anchor,
                "iou": _iou(truth.sum(), found.sum(), shared.sum()),
                "iou_between_ends": _iou(truth.sum(), found[own].sum(), shared.sum()),
                "anchor_iou": _iou(truth[at], found[at], shared[at]),
                "missed": missed,
                "invented": invented,
            }
        )
    return pd.DataFrame(rows)


def _iou(truth: int, found: int, shared: int) -> float:
    return float(shared / (truth + found - shared))


def _ends(truth: NDArray[np.int64], found: NDArray[np.int64]) -> tuple[int, int]:
    """Planes missed and invented at the two ends, from the planes occupied."""
    if not len(found):
        return int(truth[-1] - truth[0] + 1), 0
    low, high = int(found[0] - truth[0]), int(truth[-1] - found[-1])
    return max(low, 0) + max(high, 0), max(-low, 0) + max(-high, 0)


def summarise(table: pd.DataFrame) -> dict[str, float]:
    """Average the scores of a set's objects.

    Parameters
    ----------
    table : DataFrame
        From `score`.

    Returns
    -------
    dict of str to float
        Number of objects, mean IoU, shares of objects with an IoU of at least
        0.5 and 0.75, mean IoU between the ends and on the anchor plane, and
        mean numbers of planes missed and invented.
    """
    return {
        "objects": len(table),
        "iou": float(table["iou"].mean()),
        "share_50": float((table["iou"] >= 0.5).mean()),
        "share_75": float((table["iou"] >= 0.75).mean()),
        "iou_between_ends": float(table["iou_between_ends"].mean()),
        "anchor_iou": float(table["anchor_iou"].mean()),
        "missed": float(table["missed"].mean()),
        "invented": float(table["invented"].mean()),
    }


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """IoU of two masks of one plane; 1 if both are empty."""
    either = np.count_nonzero(mask | truth)
    return float(np.count_nonzero(mask & truth) / either) if either else 1.0
