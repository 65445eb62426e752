"""What pending objects have taken of a plane, and what was there before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.engine.types import Region

_numbers = count()


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What was changed on one plane for one pending object.

    Attributes
    ----------
    pixels : ndarray of shape (n,), int64
        Positions in the flattened plane, ascending.
    present : ndarray of shape (n,), bool
        Whether the pixel was given to the object, or taken from it.
    covered : ndarray of shape (n,)
        The label that was there before.
    number : int
        Rises with every record that is painted: where the planes of two cross,
        what the later one covered is what the earlier one left.
    """

    pixels: NDArray[np.int64]
    present: NDArray[np.bool_]
    covered: NDArray[Any]
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return int(self.pixels.nbytes + self.present.nbytes + self.covered.nbytes)

    def without(self, lost: NDArray[np.bool_]) -> Record:
        """Leave out some of the pixels.

        Parameters
        ----------
        lost : ndarray of shape (n,), bool
            Which.

        Returns
        -------
        Record
            The rest.
        """
        kept = ~lost
        pixels, present, covered = self.pixels[kept], self.present[kept], self.covered[kept]
        return replace(self, pixels=pixels, present=present, covered=covered)

    def forgetting(self, object_ids: Collection[int]) -> Record:
        """Leave out which pixels were those of some objects.

        Parameters
        ----------
        object_ids : collection of int
            The objects.

        Returns
        -------
        Record
            What is given back there is background; the same record if there are none.
        """
        theirs = among(self.covered, object_ids) & self.present
        if not theirs.any():
            return self
        covered = np.where(theirs, 0, self.covered).astype(self.covered.dtype)
        return replace(self, covered=covered)

    def region(self, cols: int) -> Region | None:
        """Say where its pixels lie.

        Parameters
        ----------
        cols : int
            Columns of the plane.

        Returns
        -------
        tuple of int or None
            (row0, col0, row1, col1), half-open; None where there are none.
        """
        if not len(self.pixels):
            return None
        at = self.pixels % cols
        first, last = int(self.pixels[0]) // cols, int(self.pixels[-1]) // cols
        return first, int(at.min()), last + 1, int(at.max()) + 1


def among(labels: NDArray[Any], object_ids: Collection[int]) -> NDArray[np.bool_]:
    """Say which pixels belong to some objects.

    Parameters
    ----------
    labels : ndarray
        Labels.
    object_ids : collection of int
        The objects.

    Returns
    -------
    ndarray of bool
        As large as `labels`.
    """
    if len(object_ids) > 4:
        return np.isin(labels, list(object_ids))
    found = np.zeros(labels.shape, bool)
    for object_id in object_ids:  # many times faster than isin for a few
        found |= labels == object_id
    return found


def flatten(mask: NDArray[np.bool_], window: Region, cols: int) -> NDArray[np.int64]:
    """Positions in the flattened plane.

    Parameters
    ----------
    mask : ndarray of shape (rows, columns), bool
        Which pixels of the window.
    window : tuple of int
        (row0, col0, row1, col1), half-open.
    cols : int
        Columns of the plane.

    Returns
    -------
    ndarray of shape (n,), int64
        Ascending.
    """
    rows, columns = np.nonzero(mask)
    return (rows + window[0]) * cols + columns + window[1]


def give_back(
    base: NDArray[Any], record: Record, object_id: int, window: Region, cols: int
) -> NDArray[np.bool_]:
    """Put back what an object covered, where its pixels are still as they were left.

    Parameters
    ----------
    base : ndarray of shape (rows, columns)
        Labels inside the window; changed in place.
    record : Record
        What was changed; all of it inside the window.
    object_id : int
        The object.
    window : tuple of int
        (row0, col0, row1, col1), half-open.
    cols : int
        Columns of the plane.

    Returns
    -------
    ndarray of shape (n,), bool
        Which of the record's pixels were no longer as they were left.
    """
    rows, columns = np.divmod(record.pixels, cols)
    at = (rows - window[0], columns - window[1])
    ours = base[at] == np.where(record.present, object_id, 0)
    base[at[0][ours], at[1][ours]] = record.covered[ours]
    return ~ours


def records_of(
    base: NDArray[Any],
    new: NDArray[Any],
    objects: Collection[int],
    window: Region,
    cols: int,
) -> dict[int, Record]:
    """Note what was changed for each object.

    Parameters
    ----------
    base, new : ndarray of shape (rows, columns)
        Labels inside the window without and with the objects.
    objects : collection of int
        The objects.
    window : tuple of int
        (row0, col0, row1, col1), half-open.
    cols : int
        Columns of the plane.

    Returns
    -------
    dict of int to Record
        One for each object, even where nothing was changed.
    """
    changed = base != new
    pixels = flatten(changed, window, cols)
    old, now = base[changed], new[changed]
    owner = np.where(now != 0, now, old)  # what was given to it, or taken from it
    records = {}
    for object_id in objects:
        mine = owner == object_id
        records[object_id] = Record(pixels[mine], now[mine] != 0, old[mine])
    return records


def extended(record: Record | None, pixels: NDArray[np.int64], covered: NDArray[Any]) -> Record:
    """Add pixels that an object was given.

    Parameters
    ----------
    record : Record or None
        What it had before.
    pixels, covered : ndarray of shape (n,)
        Positions that it did not have, and the labels that were there.

    Returns
    -------
    Record
        With both.
    """
    present = np.ones(len(pixels), bool)
    if record is None:
        return Record(pixels, present, covered)
    everything = np.concatenate([record.pixels, pixels])
    order = np.argsort(everything, kind="stable")
    return Record(
        everything[order],
        np.concatenate([record.present, present])[order],
        np.concatenate([record.covered, covered])[order],
    )
