"""Which stack and plane of an image the viewer shows: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.session.view import View

if TYPE_CHECKING:
    from napari.components.dims import Dims
    from napari.layers import Image


@dataclass(frozen=True, slots=True)
class Axes:
    """Axes of an image layer, with and without the one that holds channels.

    Attributes
    ----------
    ndim : int
        Of the layer, without the colours of RGB.
    channel : int or None
        The axis that is taken as channels. Our layers have a single index
        there, stretched over all channels; a session does not have it.
    """

    ndim: int
    channel: int | None = None

    def drop(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Leave the channel axis out of one value for each axis of the layer."""
        return tuple(v for axis, v in enumerate(values) if axis != self.channel)

    def insert(self, values: Sequence[Any], value: Any = 0) -> tuple[Any, ...]:
        """Put a value for the channel axis in; the inverse of `drop`."""
        full = list(values)
        if self.channel is not None:
            full.insert(self.channel, value)
        return tuple(full)

    def spatial(self, axis: int) -> int:
        """Number of a layer's axis among those of the session."""
        return axis - (self.channel is not None and axis > self.channel)

    def layer(self, axis: int) -> int:
        """Number of a session's axis among those of the layer."""
        return axis + (self.channel is not None and axis >= self.channel)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the viewer shows of an image.

    Attributes
    ----------
    view : View
        Plane and stack axes of the image without channels.
    plane : int
        Plane of the view.
    """

    view: View
    plane: int


def spatial_shape(image: Image) -> tuple[int, ...]:
    """Shape of an image layer at full resolution, without the colours of RGB.

    Parameters
    ----------
    image : napari.layers.Image
        The layer.

    Returns
    -------
    tuple of int
        One entry for each of the layer's axes.
    """
    data = image.data[0] if image.multiscale else image.data
    return tuple(int(n) for n in data.shape[: image.ndim])


def spacing_of(image: Image, axes: Axes, view: View) -> tuple[float, float, float] | None:
    """Size of a voxel along stack, row and column, as the layer's scale and units say.

    Parameters
    ----------
    image : napari.layers.Image
        The layer.
    axes : Axes
        Its axes.
    view : View
        Which of them are the stack's.

    Returns
    -------
    tuple of float or None
        In the unit of the columns; None where there is no stack, or where its
        unit is none of length, as that of time, and cannot be compared.
    """
    from pint import DimensionalityError

    if view.stack_axis is None:
        return None
    chosen = [axes.layer(axis) for axis in (view.stack_axis, view.row_axis, view.col_axis)]
    unit = image.units[chosen[-1]]
    try:
        sizes = [abs(float((image.scale[a] * image.units[a]).to(unit).magnitude)) for a in chosen]
    except DimensionalityError:
        return None
    return sizes[0], sizes[1], sizes[2]


def free_axes(dims: Dims, image: Image, axes: Axes) -> list[int]:
    """Axes of the layer that a stack can run along in the present view.

    Parameters
    ----------
    dims : napari.components.Dims
        Of the viewer.
    image : napari.layers.Image
        The layer.
    axes : Axes
        Its axes.

    Returns
    -------
    list of int
        Axes of more than one plane that are neither displayed nor channels,
        in their order.
    """
    offset = dims.ndim - image.ndim
    displayed = {axis - offset for axis in dims.order[-2:]}
    shape = spatial_shape(image)
    return [
        a for a in range(image.ndim) if a not in displayed and a != axes.channel and shape[a] > 1
    ]


def read_view(dims: Dims, image: Image, axes: Axes, stack_axis: int | None = None) -> Shown | None:
    """Read from the viewer which plane of which stack of the image it shows.

    Parameters
    ----------
    dims : napari.components.Dims
        Of the viewer.
    image : napari.layers.Image
        The layer. It may have fewer axes than the viewer, its last ones.
    axes : Axes
        Its axes.
    stack_axis : int, optional
        The layer's axis that planes are counted along, where it is not
        displayed; the last one that is free if left out.

    Returns
    -------
    Shown or None
        None where no plane of the image is shown: in 3D, or where a displayed
        axis of the viewer is none of the image's planes.
    """
    offset = dims.ndim - image.ndim
    displayed = [axis - offset for axis in dims.order[-2:]]
    if dims.ndisplay != 2 or min(displayed) < 0 or axes.channel in displayed:
        return None
    free = free_axes(dims, image, axes)
    if stack_axis not in free:
        stack_axis = free[-1] if free else None
    shape = spatial_shape(image)
    at = np.asarray(image.world_to_data(np.asarray(dims.point, float)[-image.ndim :]), float)
    # Rounded as napari rounds, so that this is the plane on the screen.
    index = np.clip(np.round(np.nan_to_num(at)), 0, np.array(shape) - 1).astype(int)
    view = View(
        tuple(int(i) for i in axes.drop(index)),
        axes.spatial(displayed[0]),
        axes.spatial(displayed[1]),
        None if stack_axis is None else axes.spatial(stack_axis),
    )
    return Shown(view, 0 if stack_axis is None else int(index[stack_axis]))


def default_axes(image: Image) -> Axes:
    """Axes of an image whose channels nobody has named.

    Parameters
    ----------
    image : napari.layers.Image
        The layer.

    Returns
    -------
    Axes
        A short axis that is named as channels is taken as such.
    """
    names = [str(name).strip().lower() for name in image.axis_labels]
    shape = spatial_shape(image)
    for axis, name in enumerate(names[: max(0, image.ndim - 2)]):
        if name in ("c", "channel", "channels") and shape[axis] <= 64 and not image.rgb:
            return Axes(image.ndim, axis)
    return Axes(image.ndim)
