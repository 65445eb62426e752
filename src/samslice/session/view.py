"""How a plane and a stack lie in an n-dimensional image.

Two axes are the plane, one is the stack, the others are held at an index.
`StackView` shows this as (planes, rows, columns), read plane by plane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class View:
    """Which axes are the plane and the stack, and where the others are held.

    Attributes
    ----------
    held : tuple of int
        One index for each axis of the image; those of the plane and the stack
        are not read.
    row_axis, col_axis : int
        The axes of the plane.
    stack_axis : int or None
        The axis that planes are counted along; None for a single plane.

    Raises
    ------
    ValueError
        If an axis is out of range or named twice.
    """

    held: tuple[int, ...]
    row_axis: int
    col_axis: int
    stack_axis: int | None = None

    def __post_init__(self) -> None:
        axes = [self.row_axis, self.col_axis]
        axes += [] if self.stack_axis is None else [self.stack_axis]
        ndim = len(self.held)
        if len(set(axes)) != len(axes) or not all(0 <= a < ndim for a in axes):
            raise ValueError(
                f"the axes (row {self.row_axis}, column {self.col_axis}, stack {self.stack_axis}) "
                f"do not fit an image of {ndim} dimensions; name different axes from 0 to "
                f"{ndim - 1}."
            )
        free = set(axes)
        cleared = tuple(0 if a in free else int(i) for a, i in enumerate(self.held))
        object.__setattr__(self, "held", cleared)  # equal views compare equal

    @classmethod
    def whole(cls, ndim: int) -> View:
        """View the last two axes as the plane and the one before as the stack.

        Parameters
        ----------
        ndim : int
            Dimensions of the image, without a channel axis.

        Returns
        -------
        View
            With further axes held at 0.
        """
        stack_axis = ndim - 3 if ndim > 2 else None
        return cls((0,) * ndim, ndim - 2, ndim - 1, stack_axis)

    @property
    def ndim(self) -> int:
        """Dimensions of the image."""
        return len(self.held)

    def n_planes(self, shape: tuple[int, ...]) -> int:
        """Count the planes.

        Parameters
        ----------
        shape : tuple of int
            Shape of the image.

        Returns
        -------
        int
            1 without a stack axis.
        """
        return 1 if self.stack_axis is None else int(shape[self.stack_axis])

    def plane_index(
        self, plane: int, rows: slice = slice(None), cols: slice = slice(None)
    ) -> tuple[int | slice, ...]:
        """Index one plane of the image, or a window of it.

        Parameters
        ----------
        plane : int
            Index along the stack axis.
        rows, cols : slice, optional
            The window.

        Returns
        -------
        tuple of int and slice
            One entry for each axis.
        """
        index: list[int | slice] = list(self.held)
        if self.stack_axis is not None:
            index[self.stack_axis] = int(plane)
        index[self.row_axis], index[self.col_axis] = rows, cols
        return tuple(index)

    def at(self, held: Any) -> View:
        """Hold the other axes elsewhere.

        Parameters
        ----------
        held : sequence of int
            One index for each axis of the image.

        Returns
        -------
        View
            With the same plane and stack axes.
        """
        return replace(self, held=tuple(int(i) for i in held))

    def plane_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Size of one plane.

        Parameters
        ----------
        shape : tuple of int
            Shape of the image, without a channel axis.

        Returns
        -------
        tuple of int
            (rows, columns).
        """
        return int(shape[self.row_axis]), int(shape[self.col_axis])

    def turn(self, pixels: np.ndarray) -> np.ndarray:
        """Turn a window of a plane from (rows, columns) to the order of the axes, or back.

        Parameters
        ----------
        pixels : ndarray
            Two dimensions.

        Returns
        -------
        ndarray
            A view of it.
        """
        return pixels.T if self.is_transposed else pixels

    @property
    def is_transposed(self) -> bool:
        """Whether rows come after columns in the image's axes."""
        return self.row_axis > self.col_axis

    def to_plane(self, coordinate: Any) -> tuple[float, float, float]:
        """Turn an n-dimensional coordinate into (plane, row, col).

        Parameters
        ----------
        coordinate : sequence of float
            In data pixels, one entry for each axis.

        Returns
        -------
        tuple of float
            (plane, row, col).
        """
        plane = 0.0 if self.stack_axis is None else float(coordinate[self.stack_axis])
        return plane, float(coordinate[self.row_axis]), float(coordinate[self.col_axis])

    def holds(self, coordinate: Any) -> bool:
        """Whether an n-dimensional coordinate lies in this stack.

        Parameters
        ----------
        coordinate : sequence of float
            In data pixels, one entry for each axis.

        Returns
        -------
        bool
            True if it is nearest to this index on every held axis.
        """
        free = {self.row_axis, self.col_axis, self.stack_axis}
        return all(
            axis in free or round(float(c)) == index
            for axis, (c, index) in enumerate(zip(coordinate, self.held, strict=True))
        )

    def from_plane(self, plane: float, row: float, col: float) -> tuple[float, ...]:
        """Turn (plane, row, col) into an n-dimensional coordinate.

        Parameters
        ----------
        plane, row, col : float
            In data pixels.

        Returns
        -------
        tuple of float
            One entry for each axis.
        """
        coordinate = [float(i) for i in self.held]
        if self.stack_axis is not None:
            coordinate[self.stack_axis] = float(plane)
        coordinate[self.row_axis], coordinate[self.col_axis] = float(row), float(col)
        return tuple(coordinate)


class StackView:
    """An image seen as (planes, rows, columns) or (planes, rows, columns, channels).

    Nothing is read before a plane is asked for.

    Parameters
    ----------
    image : array-like
        numpy, memmap, dask or zarr.
    view : View
        Its axes, without the channels.
    channel_axis : int, optional
        Axis of `image` with the colours or channels. They come last here.
    channels : sequence of int, optional
        Which channels to show; all if left out. A single one is dropped as an
        axis.
    """

    def __init__(
        self,
        image: Any,
        view: View,
        *,
        channel_axis: int | None = None,
        channels: tuple[int, ...] | None = None,
    ) -> None:
        self.image = image
        self.view = view
        self._channel_axis = channel_axis
        self._channels = channels
        spatial = list(image.shape)
        n_channels = 0 if channel_axis is None else spatial.pop(channel_axis)
        if len(spatial) != view.ndim:
            raise ValueError(
                f"the image has {len(spatial)} dimensions without channels, the view {view.ndim}."
            )
        if channels is not None:
            if channel_axis is None or not all(0 <= c < n_channels for c in channels):
                raise ValueError(f"channels are {channels}; the image has {n_channels} channels.")
            n_channels = len(channels)
        plane = (spatial[view.row_axis], spatial[view.col_axis])
        flat = channel_axis is None or n_channels == 1
        self.shape = (view.n_planes(tuple(spatial)), *plane, *(() if flat else (n_channels,)))
        self.dtype = np.dtype(image.dtype)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, plane: int) -> np.ndarray:
        if not -len(self) <= plane < len(self):
            raise IndexError(f"plane {plane} of {len(self)}")
        index: list[Any] = list(self.view.plane_index(int(plane) % len(self)))
        if self._channel_axis is None:
            pixels = np.asarray(self.image[tuple(index)])
            return pixels.T if self.view.is_transposed else pixels
        index.insert(self._channel_axis, slice(None))
        block = np.asarray(self.image[tuple(index)])
        # Of the axes that are left, those before the channels are rows or columns.
        kept = [axis for axis, i in enumerate(index) if isinstance(i, slice)]
        block = np.moveaxis(block, kept.index(self._channel_axis), -1)
        if self.view.is_transposed:
            block = block.swapaxes(0, 1)
        if self._channels is not None:
            block = block[..., list(self._channels)]
        return block[..., 0] if block.shape[-1] == 1 else block
