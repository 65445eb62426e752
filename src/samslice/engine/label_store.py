"""Labels in memory or on disk, changed one plane at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.engine.types import Seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.types import PlaneResult, Region


def labels_dtype(max_id: int) -> np.dtype[Any]:
    """Smallest unsigned integer that holds the object ids.

    Parameters
    ----------
    max_id : int
        The highest id.

    Returns
    -------
    numpy.dtype
        ``uint8``, ``uint16`` or ``uint32``.

    Raises
    ------
    ValueError
        If no 32-bit integer holds it.
    """
    for dtype in (np.uint8, np.uint16, np.uint32):
        if 0 <= max_id <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    raise ValueError(f"object id {max_id} is out of range; allowed is 0 to {2**32 - 1}.")


class Page:
    """One plane of the labels, changed in memory and then written once.

    Parameters
    ----------
    index : int
        Index along the stack axis.
    before : ndarray of shape (rows, columns)
        The labels as they are.
    """

    def __init__(self, index: int, before: NDArray[Any]) -> None:
        self.index = index
        self.before = before
        self.pixels = before.copy()

    def put(self, object_id: int, region: Region | None, mask: NDArray[np.bool_]) -> None:
        """Replace an object's pixels.

        Parameters
        ----------
        object_id : int
            Label of the object.
        region : tuple of int or None
            (row0, col0, row1, col1), half-open; None takes the object away.
        mask : ndarray of bool
            Its pixels inside the region.
        """
        self.pixels[self.pixels == object_id] = 0
        self.add(object_id, region, mask)

    def add(self, object_id: int, region: Region | None, mask: NDArray[np.bool_]) -> None:
        """Give an object more pixels.

        Parameters
        ----------
        object_id : int
            Label of the object.
        region : tuple of int or None
            (row0, col0, row1, col1), half-open; None adds nothing.
        mask : ndarray of bool
            The pixels inside the region.
        """
        if region is not None:
            row0, col0, row1, col1 = region
            self.pixels[row0:row1, col0:col1][mask] = object_id

    def visible(self, result: PlaneResult) -> PlaneResult:
        """Leave of a result what other objects have not covered.

        Parameters
        ----------
        result : PlaneResult
            What was put on this page.

        Returns
        -------
        PlaneResult
            With the pixels that the page shows; doubtful if there are none.
        """
        if result.region is None:
            return result
        row0, col0, row1, col1 = result.region
        shown = replace(result, mask=self.pixels[row0:row1, col0:col1] == result.object_id)
        if result.status == "ok" and not shown.mask.any():
            return replace(shown, status="doubtful", reason="others lie over it")
        return shown

    def as_drawn(self, seed: Seed) -> Seed:
        """Show an object by the pixels that it has here.

        Parameters
        ----------
        seed : Seed
            An anchor on this plane.

        Returns
        -------
        Seed
            With the pixels as its mask; as it is where it has none.
        """
        mine = self.before == seed.object_id
        return Seed(seed.object_id, self.index, mask=mine) if mine.any() else seed


class LabelStore:
    """Labels on disk or in memory, read and written one plane at a time.

    Earlier results of the objects at hand are replaced as their planes are
    visited; everything else keeps its pixels.

    Parameters
    ----------
    labels : array-like of shape (planes, rows, columns)
        Where to read and write.
    shape : tuple of int
        Shape of the stack.
    seeds : sequence of Seed
        Seeds of the objects at hand.

    Raises
    ------
    ValueError
        If the labels have another shape, or a dtype that cannot hold the ids.
    """

    def __init__(self, labels: Any, shape: tuple[int, int, int], seeds: Sequence[Seed]) -> None:
        if tuple(labels.shape) != shape:
            raise ValueError(
                f"labels have shape {tuple(labels.shape)}; allowed is the stack's {shape}."
            )
        dtype = np.dtype(labels.dtype)
        highest = max(seed.object_id for seed in seeds)
        if dtype.kind not in "ui" or highest > np.iinfo(dtype).max:
            raise ValueError(
                f"labels have dtype {dtype}, which cannot hold object {highest}; "
                f"give {labels_dtype(highest)} or larger."
            )
        self.labels = labels
        self._written: dict[int, set[int]] = {}

    def open(self, index: int) -> Page:
        """Read one plane of the labels.

        Parameters
        ----------
        index : int
            Index along the stack axis.

        Returns
        -------
        Page
            To change, and to pass to `close`.
        """
        return Page(index, np.asarray(self.labels[index]))

    def found(self, index: int) -> set[int]:
        """Say which objects were placed on a plane in this run.

        Parameters
        ----------
        index : int
            Index along the stack axis.

        Returns
        -------
        set of int
            Their ids.
        """
        return self._written.get(index, set())

    def taken(self, page: Page, awaited: set[int], coming: set[int]) -> NDArray[np.bool_]:
        """Find pixels of objects that are finished or were found here earlier in this run.

        Parameters
        ----------
        page : Page
            The plane.
        awaited : set of int
            Objects that this run looks for on the plane, at some time.
        coming : set of int
            Objects that are being placed on it now.

        Returns
        -------
        ndarray of shape (rows, columns), bool
            Pixels that nobody may have.
        """
        free = (awaited - self.found(page.index)) | coming
        return (page.before != 0) & ~np.isin(page.before, list(free))

    def close(self, page: Page, found: set[int]) -> None:
        """Write what has changed on the plane, in one window.

        Parameters
        ----------
        page : Page
            From `open`.
        found : set of int
            Objects that were placed on it.
        """
        if found:
            self._written.setdefault(page.index, set()).update(found)
        changed = page.pixels != page.before
        if not changed.any():
            return
        rows, cols = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
        here = np.s_[int(rows[0]) : int(rows[-1]) + 1, int(cols[0]) : int(cols[-1]) + 1]
        self.labels[(page.index, *here)] = page.pixels[here]
