"""Labels that a propagation may read and write while the real ones belong to another thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from samslice.engine.types import Region
    from samslice.session.labels import LabelsTarget
    from samslice.session.view import View


class LabelsOverlay:
    """A stack of labels, (planes, rows, columns), whose writes stay here.

    Reads give the target's plane with the written windows on top. Nothing of
    the target is copied but the windows that were written.

    Parameters
    ----------
    target : LabelsTarget
        The real labels; only read.
    view : View
        How the stack lies in them.
    visible : iterable of int, optional
        Labels to show; others read as background. All if left out.
    """

    def __init__(
        self, target: LabelsTarget, view: View, *, visible: Iterable[int] | None = None
    ) -> None:
        self._target = target
        self._view = view
        self._visible = None if visible is None else np.array(sorted(visible), np.int64)
        self._written: dict[int, tuple[Region, NDArray[Any]]] = {}
        self.dtype = np.dtype(target.dtype)
        shape = tuple(target.shape)
        self.shape = (view.n_planes(shape), *view.plane_shape(shape))
        self.ndim = 3

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, plane: int) -> NDArray[Any]:
        view = self._view
        pixels = np.array(view.turn(self._target.read(view.plane_index(plane))))
        if self._visible is not None:
            pixels[~np.isin(pixels, self._visible)] = 0
        if plane in self._written:
            (row0, col0, row1, col1), window = self._written[plane]
            pixels[row0:row1, col0:col1] = window
        return pixels

    def __setitem__(self, index: tuple[int, slice, slice], values: NDArray[Any]) -> None:
        plane, rows, cols = index
        row0, row1, _ = rows.indices(self.shape[1])
        col0, col1, _ = cols.indices(self.shape[2])
        if plane in self._written:
            before = self._written[plane][0]
            region = (
                min(row0, before[0]),
                min(col0, before[1]),
                max(row1, before[2]),
                max(col1, before[3]),
            )
        else:
            region = (row0, col0, row1, col1)
        window = self[plane][region[0] : region[2], region[1] : region[3]].copy()
        window[row0 - region[0] : row1 - region[0], col0 - region[1] : col1 - region[1]] = values
        self._written[plane] = (region, window)
