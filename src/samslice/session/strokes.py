"""Brush strokes of the user: which planes and objects they touch, in every view."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.session.state import Correction, Key, Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def add_stroke(corrections: dict[Key, Correction], key: Key, stroke: Correction) -> None:
    """Join a stroke with what was painted before, also on planes that cross this one.

    Parameters
    ----------
    corrections : dict of Key to Correction
        Changed in place.
    key : Key
        Object and plane of the stroke.
    stroke : Correction
        The latest word.
    """
    for other, earlier in corrections.items():
        if other.object_id == key.object_id and other != key:
            seen = _seen_from(other.place, key.place, stroke)
            if seen is not None:
                corrections[other] = earlier.then(seen)
    corrections[key] = corrections[key].then(stroke) if key in corrections else stroke


def corrections_on(corrections: Mapping[Key, Correction], place: Place) -> dict[int, Correction]:
    """What was painted by hand on a plane, in whatever view.

    Parameters
    ----------
    corrections : mapping of Key to Correction
        As `add_stroke` keeps them.
    place : Place
        The plane.

    Returns
    -------
    dict of int to Correction
        By object.
    """
    found: dict[int, Correction] = {}
    for key, correction in corrections.items():
        if key.place != place and (seen := _seen_from(place, key.place, correction)) is not None:
            before = found.get(key.object_id)
            found[key.object_id] = seen if before is None else before.then(seen)
    for key, correction in corrections.items():  # what was said of the plane itself is the latest
        if key.place == place:
            before = found.get(key.object_id)
            found[key.object_id] = correction if before is None else before.then(correction)
    return found


def _seen_from(place: Place, painted: Place, stroke: Correction) -> Correction | None:
    """The part of a stroke on one plane that lies on another; None if the two do not meet there."""
    spans = [
        range(entry.start, entry.stop) if isinstance(entry, slice) else range(entry, entry + 1)
        for entry in painted.indices(stroke.region)
    ]
    part: list[int | slice] = []
    for entry, span in zip(place.indices(), spans, strict=True):
        if isinstance(entry, int) and entry not in span:
            return None
        part.append(entry - span.start if isinstance(entry, int) else slice(None))
    size = tuple(len(span) for span in spans)
    add, erase = (
        place.view.turn(painted.view.turn(mask).reshape(size)[tuple(part)])
        for mask in (stroke.add, stroke.erase)
    )
    rows, cols = spans[place.view.row_axis], spans[place.view.col_axis]
    return Correction((rows.start, cols.start, rows.stop, cols.stop), add, erase)
