"""What is remembered of a travelling object, and how it is moved on to the next plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.engine.evidence import Contrast
    from samslice.engine.flow import Flow
    from samslice.engine.types import Region

_NEAR = 2  # planes next to the anchor that say how well the model usually confirms an object


@dataclass(frozen=True, slots=True, eq=False)
class Anchored:
    """What an object was where the user showed it.

    Attributes
    ----------
    area : int
        Pixels of its mask.
    contrast : Contrast or None
        How it stood out from its surroundings; None if it did not clearly.
    """

    area: int
    contrast: Contrast | None


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """An object on the last plane where it was found.

    Attributes
    ----------
    plane : int
        Index along the stack axis.
    picture : ndarray of shape (h, w), float32
        Small picture of that plane; shared by all objects on it.
    region, mask : tuple of int, ndarray of bool
        Its pixels.
    anchored : Anchored
        What it was on its anchor.
    near : tuple of float
        How well the model confirmed it on the first planes after the anchor.
    covered : int
        Planes in a row on which others took most of it.
    worst : float
        How well the model confirmed it on the plane where it did so least.
    """

    plane: int
    picture: NDArray[np.float32]
    region: Region
    mask: NDArray[np.bool_]
    anchored: Anchored
    near: tuple[float, ...] = ()
    covered: int = 0
    worst: float = 1.0

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    def confirmed(self, by: float) -> tuple[float, ...]:
        """Give `near` with one more plane, as long as it is next to the anchor."""
        return (*self.near, by) if len(self.near) < _NEAR else self.near

    def move(
        self, flow: Flow, shape: tuple[int, int], margin: int
    ) -> tuple[Region, NDArray[np.float64]]:
        """Carry the object along with the picture.

        Parameters
        ----------
        flow : Flow
            From its plane to the next.
        shape : tuple of int
            (rows, columns) of the plane.
        margin : int
            How far around the object to look, in pixels.

        Returns
        -------
        region : tuple of int
            The part of the next plane that was looked at.
        depth : ndarray of shape (rows, columns)
            Inside it, how far each pixel is from the moved object's rim, in
            pixels: positive inside, negative outside.
        """
        row0, col0, row1, col1 = self.region
        middle = np.array([(row0 + row1) / 2]), np.array([(col0 + col1) / 2])
        down, right = (-round(float(shift[0])) for shift in flow.at(*middle))
        top = int(np.clip(min(row0, row0 + down) - margin, 0, shape[0] - 1))
        left = int(np.clip(min(col0, col0 + right) - margin, 0, shape[1] - 1))
        bottom = int(np.clip(max(row1, row1 + down) + margin, top + 1, shape[0]))
        end = int(np.clip(max(col1, col1 + right) + margin, left + 1, shape[1]))
        rows, cols = np.mgrid[top:bottom, left:end].astype(np.float64)
        shift_rows, shift_cols = flow.at(rows, cols)
        places = [rows + shift_rows - row0 + margin, cols + shift_cols - col0 + margin]
        depth = ndimage.map_coordinates(
            self._depth(margin), places, order=1, mode="constant", cval=-2.0 * margin
        )
        return (top, left, bottom, end), depth

    def _depth(self, margin: int) -> NDArray[np.float64]:
        """Signed distance to the rim, which runs between pixels."""
        mask = np.pad(self.mask, margin)
        inside = ndimage.distance_transform_edt(mask)
        outside = ndimage.distance_transform_edt(~mask)
        return np.asarray(inside - outside + np.where(mask, -0.5, 0.5), np.float64)
