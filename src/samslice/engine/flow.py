"""How the picture moves from one plane to the next: one dense estimate for all objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.registration import optical_flow_tvl1
from skimage.transform import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURE_SIDE = 256
"""Longer side of the pictures that are compared, in pixels: enough for where things move."""

_ATTACHMENT = 20  # the higher, the less the movement is smoothed
_WARPS, _ITERATIONS = 3, 5  # more of either costs time and gains nothing
_SMOOTHING = 0.7
_LEAST_SIDE = 12  # pixels, below which nothing can be told


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Where each pixel of a plane was on the plane before.

    Attributes
    ----------
    shift_2hw : ndarray of shape (2, h, w), float32
        Shift along rows and columns, in pixels of the small pictures.
    scale : tuple of float
        Small pixels for each pixel of the plane, along rows and columns.
    """

    shift_2hw: NDArray[np.float32]
    scale: tuple[float, float]

    def at(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float64]:
        """Read the shift at places of the plane.

        Parameters
        ----------
        rows, cols : ndarray
            Places, in pixels of the plane.

        Returns
        -------
        ndarray of shape (2, ...)
            To be added to a place to get where it was, in pixels of the plane.
        """
        places = [
            (along + 0.5) * scale - 0.5
            for along, scale in zip((rows, cols), self.scale, strict=True)
        ]
        read = [ndimage.map_coordinates(s, places, order=1, mode="nearest") for s in self.shift_2hw]
        return np.stack([r / scale for r, scale in zip(read, self.scale, strict=True)])


def shrink(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Make of what the encoder sees the small picture that planes are compared by.

    Parameters
    ----------
    picture : ndarray of shape (rows, columns, channels), uint8
        A normalised plane.

    Returns
    -------
    ndarray of shape (h, w), float32
        Grey, 0 to 1; no side is longer than `PICTURE_SIDE`.
    """
    grey = picture.mean(axis=2, dtype=np.float32) / np.float32(255)
    scale = PICTURE_SIDE / max(grey.shape)
    if scale >= 1:
        small = ndimage.gaussian_filter(grey, _SMOOTHING)
    else:
        shape = [max(1, round(n * scale)) for n in grey.shape]
        small = resize(grey, shape, anti_aliasing=True)
    return np.asarray(small, np.float32)


def estimate_flow(
    before: NDArray[np.float32], now: NDArray[np.float32], shape: tuple[int, int]
) -> Flow:
    """Estimate where each pixel of a plane was on another one.

    Parameters
    ----------
    before, now : ndarray of shape (h, w), float32
        Small pictures of both, from `shrink`.
    shape : tuple of int
        (rows, columns) of the plane.

    Returns
    -------
    Flow
        No movement where the planes are too small to tell.

    Notes
    -----
    The duality-based TV-L1 flow [1]_ in the form of [2]_, from scikit-image:
    smooth within objects, free to break between them, and robust where a
    structure begins or ends.

    References
    ----------
    .. [1] Zach, Pock & Bischof, "A duality based approach for realtime TV-L1
       optical flow", DAGM 2007.
    .. [2] Wedel et al., "An improved algorithm for TV-L1 optical flow", in
       Statistical and Geometrical Approaches to Visual Motion Analysis, 2009.
    """
    scale = (now.shape[0] / shape[0], now.shape[1] / shape[1])
    if min(now.shape) < _LEAST_SIDE:
        return Flow(np.zeros((2, *now.shape), np.float32), scale)
    shift = optical_flow_tvl1(
        now, before, attachment=_ATTACHMENT, num_warp=_WARPS, num_iter=_ITERATIONS
    )
    return Flow(np.asarray(shift, np.float32), scale)
