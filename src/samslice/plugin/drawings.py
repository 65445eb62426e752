"""Drawn shapes as prompts, and prompts as shapes: pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.session.state import PromptItem
    from samslice.session.view import View

_FLAT = 0.5  # planes that the vertices of one drawing may lie apart


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """One shape of a Shapes layer.

    Attributes
    ----------
    shape_type : str
        As napari calls it: ``"rectangle"``, ``"ellipse"``, ``"polygon"``,
        ``"path"`` or ``"line"``.
    vertices : ndarray of shape (n, axes)
        In data pixels of the image without channels.
    """

    shape_type: str
    vertices: NDArray[np.float64]

    def equals(self, other: Drawing) -> bool:
        """Whether both are the same shape at the same place."""
        return (
            self.shape_type == other.shape_type
            and self.vertices.shape == other.vertices.shape
            and bool(np.allclose(self.vertices, other.vertices, atol=1e-3))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a drawing says.

    Attributes
    ----------
    view : View
        The stack it lies in.
    plane : int
        Plane of the view.
    kind : str
        ``"box"``, ``"mask"`` or ``"scribble"``.
    value : tuple or ndarray
        The box, the mask or the path.
    """

    view: View
    plane: int
    kind: str
    value: Any


def check_click(click: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    """Refuse a click beside the image.

    Parameters
    ----------
    click : ndarray of shape (axes,)
        In data pixels.
    shape : tuple of int
        Of the image.

    Raises
    ------
    ValueError
        If it is outside.
    """
    if not ((click >= -0.5) & (click <= np.array(shape) - 0.5)).all():
        at = ", ".join(f"{value:.0f}" for value in click)
        size = " × ".join(map(str, shape))
        raise ValueError(f"({at}) is outside; click inside the image of {size} pixels.")


def read_drawing(drawing: Drawing, view: View, shape: tuple[int, ...]) -> Drawn:
    """Turn a shape into a prompt on a plane.

    Parameters
    ----------
    drawing : Drawing
        The shape.
    view : View
        Its plane and stack axes; where the others are held, the shape says.
    shape : tuple of int
        Shape of the image without channels.

    Returns
    -------
    Drawn
        A rectangle along the axes is a box, other closed shapes are masks,
        paths and lines are scribbles.

    Raises
    ------
    ValueError
        If it lies across planes or outside the image.
    """
    vertices = drawing.vertices
    across = [a for a in range(view.ndim) if a not in (view.row_axis, view.col_axis)]
    if any(np.ptp(vertices[:, a]) > _FLAT for a in across):
        raise ValueError(
            "the drawing does not lie in the plane that is shown; draw it in this view."
        )
    at = np.round(vertices.mean(axis=0)).astype(int)
    if any(not 0 <= at[a] < shape[a] for a in across):
        raise ValueError(f"the drawing lies outside the image of shape {shape}.")
    held = [int(i) if a in across else 0 for a, i in enumerate(at)]
    plane = 0 if view.stack_axis is None else held[view.stack_axis]
    rc = vertices[:, [view.row_axis, view.col_axis]]
    size = view.plane_shape(shape)
    if (rc.max(axis=0) < -0.5).any() or (rc.min(axis=0) > np.array(size) - 0.5).any():
        raise ValueError(f"the drawing lies outside the plane of {size[0]} by {size[1]} pixels.")
    there = view.at(held)
    if drawing.shape_type in ("path", "line"):
        return Drawn(there, plane, "scribble", np.clip(rc, 0, np.array(size) - 1.0))
    if drawing.shape_type == "rectangle" and _is_upright(rc):
        # Drawn edges lie at -0.5 for the first pixel, boxes begin at 0.
        low, high = np.maximum(rc.min(axis=0), -0.5) + 0.5, rc.max(axis=0) + 0.5
        high = np.minimum(np.maximum(high, low + 1), size)
        low = np.minimum(low, high - 1)
        return Drawn(there, plane, "box", (*low.tolist(), *high.tolist()))
    mask = ellipse_mask(rc, size) if drawing.shape_type == "ellipse" else polygon_mask(rc, size)
    if not mask.any():
        raise ValueError("the drawing holds no pixel of the image; draw it larger.")
    return Drawn(there, plane, "mask", mask)


def drawing_of(item: PromptItem) -> Drawing | None:
    """Turn a prompt into a shape.

    Parameters
    ----------
    item : PromptItem
        A box or a scribble.

    Returns
    -------
    Drawing or None
        None for others: clicks are points, and masks may have any form.
    """
    if item.box is not None:
        row0, col0, row1, col1 = np.array(item.box) - 0.5
        rc = [(row0, col0), (row0, col1), (row1, col1), (row1, col0)]
        shape_type = "rectangle"
    elif item.kind == "scribble":
        rc = [(float(row), float(col)) for row, col in item.points]
        rc = rc * 2 if len(rc) == 1 else rc
        shape_type = "path"
    else:
        return None
    vertices = [item.view.from_plane(item.plane, row, col) for row, col in rc]
    return Drawing(shape_type, np.array(vertices, np.float64))


def _is_upright(rc: NDArray[np.float64]) -> bool:
    sides = np.abs(np.diff(np.vstack([rc, rc[:1]]), axis=0))
    return bool((sides.min(axis=1) < 1e-3 * max(sides.max(), 1.0)).all())


def ellipse_mask(corners: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill an ellipse.

    Parameters
    ----------
    corners : ndarray of shape (4, 2)
        Corners of its frame, (row, col), in order; it may be turned.
    size : tuple of int
        (rows, columns) of the plane.

    Returns
    -------
    ndarray of shape (rows, columns), bool
        Pixels whose centre lies inside.
    """
    centre = corners.mean(axis=0)
    half = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1) / 2
    mask = np.zeros(size, bool)
    if abs(np.linalg.det(half)) < 1e-6:
        return mask
    low, high = _window(corners, size)
    rows, cols = np.mgrid[low[0] : high[0], low[1] : high[1]]
    offset = np.stack([rows - centre[0], cols - centre[1]]).reshape(2, -1)
    inside = (np.linalg.solve(half, offset) ** 2).sum(axis=0) <= 1
    mask[low[0] : high[0], low[1] : high[1]] = inside.reshape(rows.shape)
    return mask


def polygon_mask(corners: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill a polygon.

    Parameters
    ----------
    corners : ndarray of shape (n, 2)
        (row, col), in order.
    size : tuple of int
        (rows, columns) of the plane.

    Returns
    -------
    ndarray of shape (rows, columns), bool
        Pixels inside and on the outline.
    """
    mask = np.zeros(size, bool)
    low, high = _window(corners, size)
    rows, cols = high - low
    if rows <= 0 or cols <= 0:
        return mask
    picture = PillowImage.new("1", (int(cols), int(rows)))
    outline = [(float(c - low[1]), float(r - low[0])) for r, c in corners]
    ImageDraw.Draw(picture).polygon(outline, fill=1, outline=1)
    mask[low[0] : high[0], low[1] : high[1]] = np.asarray(picture)
    return mask


def _window(
    corners: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    low = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(np.intp)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size).astype(np.intp)
    return low, high
