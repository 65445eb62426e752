"""Brush strokes of the user: which planes and objects they touch."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.session.state import Correction, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from samslice.engine.types import Region
    from samslice.session.labels import Patch
    from samslice.session.view import View


def windows_of(
    view: View, patch: Patch, shape: tuple[int, ...]
) -> Iterator[tuple[Place, Region, NDArray[Any], NDArray[Any]]]:
    """Cut a patch into windows of the planes that a view shows.

    Parameters
    ----------
    view : View
        Its plane and stack axes; it may be held elsewhere.
    patch : Patch
        A change of the labels, over any of their axes.
    shape : tuple of int
        Shape of the labels.

    Yields
    ------
    place : Place
        The plane.
    region : tuple of int
        (row0, col0, row1, col1), half-open.
    before, after : ndarray of shape (rows, columns)
        Labels inside the region.

    Raises
    ------
    ValueError
        If the patch does not fit the labels.
    """
    if len(patch.index) != len(shape):
        raise ValueError(
            f"the patch has {len(patch.index)} indices for labels of {len(shape)} dimensions; "
            "give one integer or slice for each."
        )
    spans = []
    for entry, size in zip(patch.index, shape, strict=True):
        start, stop, step = (
            entry.indices(size) if isinstance(entry, slice) else (entry, entry + 1, 1)
        )
        if step != 1 or not 0 <= start <= stop <= size:
            raise ValueError(
                f"the patch has the index {entry!r} on an axis of {size}; allowed are integers "
                "and slices within it, with a step of 1."
            )
        spans.append(range(int(start), int(stop)))
    full = tuple(len(span) for span in spans)
    before, after = patch.before.reshape(full), patch.after.reshape(full)
    rows, cols = spans[view.row_axis], spans[view.col_axis]
    region = (rows.start, cols.start, rows.stop, cols.stop)
    others = [a for a in range(view.ndim) if a not in (view.row_axis, view.col_axis)]
    for at in product(*(range(full[axis]) for axis in others)):
        index: list[int | slice] = [slice(None)] * view.ndim
        held = list(view.held)
        for axis, i in zip(others, at, strict=True):
            index[axis], held[axis] = i, spans[axis][i]
        old, new = (view.turn(a[tuple(index)]) for a in (before, after))
        if (old != new).any():
            plane = 0 if view.stack_axis is None else held[view.stack_axis]
            yield Place(view.at(held), plane), region, old, new


def corrections_of(
    region: Region, before: NDArray[Any], after: NDArray[Any]
) -> dict[int, Correction]:
    """Say what each object gained and lost.

    Parameters
    ----------
    region : tuple of int
        (row0, col0, row1, col1), half-open.
    before, after : ndarray of shape (rows, columns)
        Labels inside the region.

    Returns
    -------
    dict of int to Correction
        By object; the background is none.
    """
    changed = before != after
    touched = {*np.unique(before[changed]).tolist(), *np.unique(after[changed]).tolist()} - {0}
    return {
        int(o): Correction(region, changed & (after == o), changed & (before == o)) for o in touched
    }
