"""Where results are written: label arrays, and patches that can be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Index = tuple[int | slice, ...]
"""One integer or slice for each axis of the labels."""


@runtime_checkable
class LabelsTarget(Protocol):
    """What a session writes its results to."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the labels: that of the image without channels."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """An integer dtype."""

    def read(self, index: Index) -> NDArray[Any]:
        """Return a copy of a window.

        Parameters
        ----------
        index : tuple of int and slice
            The window.

        Returns
        -------
        ndarray
            The caller may change it.
        """

    def write(self, index: Index, values: NDArray[Any]) -> None:
        """Replace a window.

        Parameters
        ----------
        index : tuple of int and slice
            The window.
        values : ndarray
            As large as the window.
        """


class ArrayLabels:
    """Labels in anything that is sliced and assigned to: numpy, memmap, zarr.

    Parameters
    ----------
    array : array-like
        Integer labels, 0 is background. Written in place.

    Raises
    ------
    TypeError
        If it cannot be sliced or does not hold integers.
    ValueError
        If it is read-only.
    """

    def __init__(self, array: Any) -> None:
        if not all(hasattr(array, name) for name in ("shape", "dtype", "__setitem__")):
            raise TypeError(
                f"labels are a {type(array).__name__}; allowed are writable arrays such as numpy "
                "or zarr, or an object with shape, dtype, read and write."
            )
        flags = getattr(array, "flags", None)
        if flags is not None and not getattr(flags, "writeable", True):
            raise ValueError("labels are read-only; open them for writing, or pass a copy.")
        self.array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(int(n) for n in self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the array."""
        return np.dtype(self.array.dtype)

    def read(self, index: Index) -> NDArray[Any]:
        """Return a copy of a window; see `LabelsTarget.read`."""
        return np.array(self.array[index])

    def write(self, index: Index, values: NDArray[Any]) -> None:
        """Replace a window; see `LabelsTarget.write`."""
        self.array[index] = values


def as_target(labels: Any, shape: tuple[int, ...]) -> LabelsTarget:
    """Make labels a target, and check that they fit the image.

    Parameters
    ----------
    labels : array-like or LabelsTarget
        Where to write.
    shape : tuple of int
        Shape of the image without channels.

    Returns
    -------
    LabelsTarget
        The same object, if it is one.

    Raises
    ------
    TypeError
        If it cannot be written to or does not hold integers.
    ValueError
        If the shape is another.
    """
    target = labels if isinstance(labels, LabelsTarget) else ArrayLabels(labels)
    if tuple(target.shape) != tuple(shape):
        raise ValueError(
            f"labels have shape {tuple(target.shape)}; allowed is the image's {tuple(shape)}, "
            "without the channel axis."
        )
    if np.dtype(target.dtype).kind not in "ui":
        raise TypeError(f"labels have dtype {target.dtype}; allowed are integers, such as uint16.")
    return target


_MAX_SCAN = 1 << 28  # pixels of labels that are searched for ids in full


def ids_in(target: LabelsTarget) -> set[int]:
    """Ids in the labels; of labels larger than memory should hold, those of spread planes."""
    shape = tuple(target.shape)
    n = shape[0]
    size = int(np.prod(shape, dtype=np.float64))
    scanned = range(n)
    if size > _MAX_SCAN:
        count_fitting = max(1, int(n * (_MAX_SCAN / size)))
        scanned = sorted({int(i) for i in np.linspace(0, n - 1, count_fitting)})  # type: ignore[assignment]
    rest = (slice(None),) * (len(shape) - 1)
    found: set[int] = set()
    for i in scanned:
        found.update(np.unique(target.read((i, *rest))).tolist())
    found = {int(i) for i in found if i > 0}
    if size > _MAX_SCAN and found:  # what was not seen most likely has a lower id
        return set(range(1, max(found) + 1))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A change to a window of the labels.

    Attributes
    ----------
    index : tuple of int and slice
        The window: one entry for each axis.
    before, after : ndarray
        Its labels, as large as the window.
    """

    index: Index
    before: NDArray[Any]
    after: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Bytes that the patch takes."""
        return int(self.before.nbytes + self.after.nbytes)

    def apply(self, target: LabelsTarget) -> bool:
        """Make the change, where the labels are still as they were before it.

        Parameters
        ----------
        target : LabelsTarget
            The labels.

        Returns
        -------
        bool
            Whether anything was written.
        """
        return _replace(target, self.index, self.before, self.after)

    def revert(self, target: LabelsTarget) -> bool:
        """Take the change back, where the labels are still as it left them.

        Parameters
        ----------
        target : LabelsTarget
            The labels.

        Returns
        -------
        bool
            Whether anything was written.
        """
        return _replace(target, self.index, self.after, self.before)


def _replace(target: LabelsTarget, index: Index, old: NDArray[Any], new: NDArray[Any]) -> bool:
    pixels = target.read(index)
    changed = (pixels == old) & (old != new)
    if not changed.any():
        return False
    pixels[changed] = new[changed]
    target.write(index, pixels)
    return True
