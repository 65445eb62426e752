"""Records of planes that cross: what one of them covered may lie beneath another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.session.history import Changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from samslice.session.records import Record
    from samslice.session.state import Key


def hand_down(
    records: Mapping[Key, Record],
    key: Key,
    record: Record,
    lost: NDArray[np.bool_],
    shape: tuple[int, ...],
) -> Changes:
    """Pass on what a record covered, where another plane's record lies over it.

    Otherwise nobody could give it back any more once this record is gone.

    Parameters
    ----------
    records : mapping of Key to Record
        All records.
    key : Key
        Object and plane of the record that is withdrawn.
    record : Record
        The record.
    lost : ndarray of shape (n,), bool
        Which of its pixels are no longer as it left them.
    shape : tuple of int
        Of the labels.

    Returns
    -------
    dict
        The change of the other records.
    """
    changes: Changes = {}
    rows, cols = np.divmod(record.pixels[lost], key.view.plane_shape(shape)[1])
    place: list[Any] = list(key.view.plane_index(key.plane))
    place[key.view.row_axis], place[key.view.col_axis] = rows, cols
    at = [np.broadcast_to(axis, rows.shape) for axis in place]
    left = np.where(record.present[lost], key.object_id, 0)
    for other_key, other in records.items():
        if other_key.view == key.view or not len(other.pixels):
            continue
        hits = _find(other_key, other, at, shape)
        beneath = (hits >= 0) & (other.covered[hits] == left)
        if beneath.any():
            covered = other.covered.copy()
            covered[hits[beneath]] = record.covered[lost][beneath]
            changes[other_key] = (other, replace(other, covered=covered))
    return changes


def _find(
    key: Key, record: Record, at: list[NDArray[Any]], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Where places of the image stand in a record; -1 where they do not."""
    view = key.view
    on_plane = np.ones(at[0].shape, bool)
    for axis, index in enumerate(view.plane_index(key.plane)):
        if axis not in (view.row_axis, view.col_axis):
            on_plane &= at[axis] == index
    pixels = at[view.row_axis] * view.plane_shape(shape)[1] + at[view.col_axis]
    where = np.minimum(np.searchsorted(record.pixels, pixels), len(record.pixels) - 1)
    return np.where(on_plane & (record.pixels[where] == pixels), where, -1)
