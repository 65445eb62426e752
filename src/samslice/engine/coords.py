"""The one place where (row, col) meets (x, y) and a plane meets SAM's input frame.

SAM sees a square of ``image_size`` pixels. A plane is resized so that its
longer side fills the square; the rest below or to the right is padding. Its
mask decoder answers on a grid of a quarter of that size. `Frame` records this
for one plane and maps prompts in and masks out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.engine.types import Box


LOGITS_PER_CELL = 4
"""Low-resolution logits along a side of each cell of an embedding."""


@lru_cache(maxsize=64)
def _interpolation(size_in: int, size_out: int) -> NDArray[np.float32]:
    """Matrix of linear interpolation along one axis, pixel edges aligned.

    It is what ``torch.nn.functional.interpolate(mode="bilinear",
    align_corners=False)`` applies to each axis.
    """
    matrix = np.zeros((size_out, size_in), np.float32)
    centres = (np.arange(size_out) + 0.5) * (size_in / size_out) - 0.5
    centres = np.maximum(centres, 0.0)
    lower = np.minimum(centres.astype(int), size_in - 1)
    upper = np.minimum(lower + 1, size_in - 1)
    weight = (centres - lower).astype(np.float32)
    rows = np.arange(size_out)
    matrix[rows, lower] += 1 - weight
    matrix[rows, upper] += weight
    matrix.flags.writeable = False
    return matrix


@lru_cache(maxsize=64)
def _logits_to_plane(mask_size: int, image_size: int, used: int, size: int) -> NDArray[np.float32]:
    """Matrix from low-resolution logits to one axis of the plane.

    Two interpolations with a crop of the padding between them, as the model's
    authors do it, composed into one; both are linear and separable, so the
    composition is exact and no ``image_size`` picture is ever made.
    """
    matrix = _interpolation(used, size) @ _interpolation(mask_size, image_size)[:used]
    matrix.flags.writeable = False
    return matrix


@dataclass(frozen=True, slots=True)
class Frame:
    """How a plane's pixels sit in the model's square input.

    Attributes
    ----------
    shape : tuple of int
        (rows, columns) of the plane.
    image_size : int
        Side of the model's input, in pixels.
    mask_size : int
        Side of the decoder's low-resolution logits.
    """

    shape: tuple[int, int]
    image_size: int = 1024
    mask_size: int = 256

    @property
    def input_shape(self) -> tuple[int, int]:
        """(rows, columns) that the resized plane takes in the model's input."""
        scale = self.image_size / max(self.shape)
        rows, cols = (max(1, int(n * scale + 0.5)) for n in self.shape)
        return rows, cols

    def _scale_rc(self) -> NDArray[np.float64]:
        return np.array(self.input_shape) / np.array(self.shape)

    def points_to_input(self, points_rc: NDArray[np.float64]) -> NDArray[np.float32]:
        """Turn (row, col) data pixels into (x, y) of the model's input.

        Parameters
        ----------
        points_rc : ndarray of shape (..., 2)
            Points in data pixels.

        Returns
        -------
        ndarray of shape (..., 2), float32
            (x, y) in pixels of the model's input.
        """
        return (np.asarray(points_rc, np.float64) * self._scale_rc())[..., ::-1].astype(np.float32)

    def box_to_input(self, box: Box) -> NDArray[np.float32]:
        """Turn a half-open box into the corner pixels that SAM was trained on.

        SAM's boxes name the first and the last pixel, ours the first pixel
        and the one after the last, so the far corner moves in by one pixel.
        A box is clipped to the plane.

        Parameters
        ----------
        box : tuple of float
            (row0, col0, row1, col1) in data pixels.

        Returns
        -------
        ndarray of shape (4,), float32
            (x0, y0, x1, y1) in pixels of the model's input.
        """
        first = np.array(box[:2])
        last = np.maximum(np.array(box[2:]) - 1, first)
        limit = np.array(self.shape) - 1
        corners = np.stack([np.clip(first, 0, limit), np.clip(last, 0, limit)])
        return self.points_to_input(corners).reshape(4)

    def mask_to_logits(
        self,
        mask: NDArray[np.bool_],
        region: tuple[int, int, int, int] | None = None,
        strength: float = 10.0,
    ) -> NDArray[np.float32]:
        """Turn a binary mask into logits that the prompt encoder takes.

        Parameters
        ----------
        mask : ndarray of shape (rows, columns), bool
            Mask on the plane, or inside `region`.
        region : tuple of int, optional
            (row0, col0, row1, col1), half-open: the part of the plane that the
            mask covers; nothing is outside it.
        strength : float, optional
            Logit inside the mask; its negative stands outside and in the
            padding.

        Returns
        -------
        ndarray of shape (mask_size, mask_size), float32
            Coverage of each low-resolution pixel, as logits.
        """
        used = self._used_mask_pixels()
        coverage = np.zeros((self.mask_size, self.mask_size), np.float32)
        along = [_coverage(n, u, m) for n, u, m in zip(self.shape, *used, strict=True)]
        row0, col0, row1, col1 = region or (0, 0, *self.shape)
        rows, cols = along[0][:, row0:row1], along[1][:, col0:col1]
        (low_r, high_r), (low_c, high_c) = _support(rows.T), _support(cols.T)
        coverage[low_r:high_r, low_c:high_c] = _product(
            rows[low_r:high_r], mask, cols[low_c:high_c]
        )
        return (2 * coverage - 1) * np.float32(strength)

    def cells(self, region: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Cells of the embedding that hold a part of the plane.

        Parameters
        ----------
        region : tuple of int
            (row0, col0, row1, col1), half-open, inside the plane and not empty.

        Returns
        -------
        tuple of int
            (row0, col0, row1, col1) in cells, half-open; every low-resolution
            logit that `upsample` reads for the region is in one of them.
        """
        bounds: list[tuple[int, int]] = []
        for axis, matrix in enumerate(self._matrices()):
            low, high = _support(matrix[region[axis] : region[axis + 2]])
            bounds.append((low // LOGITS_PER_CELL, -(-high // LOGITS_PER_CELL)))
        (row0, row1), (col0, col1) = bounds
        return row0, col0, row1, col1

    @property
    def pixels_per_logit(self) -> float:
        """Pixels of the plane that one low-resolution logit stands for."""
        rows, cols = self._used_mask_pixels()[0]
        return self.shape[0] * self.shape[1] / (rows * cols)

    def _used_mask_pixels(self) -> tuple[tuple[float, float], tuple[int, int]]:
        ratio = self.mask_size / self.image_size
        exact = tuple(n * ratio for n in self.input_shape)
        whole = tuple(min(self.mask_size, int(np.ceil(n))) for n in exact)
        return (exact[0], exact[1]), (whole[0], whole[1])

    def upsample(
        self, logits: NDArray[np.float32], region: tuple[int, int, int, int] | None = None
    ) -> NDArray[np.float32]:
        """Bring low-resolution logits to the plane's pixels.

        Parameters
        ----------
        logits : ndarray of shape (..., mask_size, mask_size)
            Logits of the decoder.
        region : tuple of int, optional
            (row0, col0, row1, col1), half-open: only this part of the plane.

        Returns
        -------
        ndarray of shape (..., rows, columns), float32
            Logits at the plane's resolution; above 0 is inside.
        """
        row0, col0, row1, col1 = region or (0, 0, *self.shape)
        along_rows, along_cols = self._matrices()
        return _bilinear(logits, along_rows[row0:row1], along_cols[col0:col1])

    def _matrices(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, cols = (
            _logits_to_plane(self.mask_size, self.image_size, used, size)
            for used, size in zip(self.input_shape, self.shape, strict=True)
        )
        return rows, cols

    def logits_region(self, logits: NDArray[np.float32]) -> tuple[int, int, int, int] | None:
        """Part of the plane that the positive logits can reach.

        Parameters
        ----------
        logits : ndarray of shape (mask_size, mask_size)
            Logits of one candidate.

        Returns
        -------
        tuple of int or None
            (row0, col0, row1, col1), half-open; None if no logit is positive.
        """
        positive = logits > 0
        bounds: list[tuple[int, int]] = []
        for axis, matrix in enumerate(self._matrices()):
            hit = np.flatnonzero((matrix[:, positive.any(axis=1 - axis)] > 0).any(axis=1))
            if not len(hit):
                return None
            bounds.append((int(hit[0]), int(hit[-1]) + 1))
        (row0, row1), (col0, col1) = bounds
        return row0, col0, row1, col1


def _bilinear(
    logits: NDArray[np.float32], rows: NDArray[np.float32], cols: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Apply both matrices, restricted to the low-resolution pixels that they read."""
    low_r, high_r = _support(rows)
    low_c, high_c = _support(cols)
    part = logits[..., low_r:high_r, low_c:high_c]
    return _product(rows[:, low_r:high_r], part, cols[:, low_c:high_c])


def _product(
    rows: NDArray[np.float32], values: NDArray[Any], cols: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Multiply rows, values and the transpose of cols.

    By torch, whose threads the decoder uses, too: those of OpenBLAS, which numpy
    may use, go on spinning after a product and take the cores from the decoder
    (docs/propagation-log.md, "Far from the object").
    """
    left, middle, right = (torch.tensor(x, dtype=torch.float32) for x in (rows, values, cols))
    return (left @ (middle @ right.T)).numpy()


def _support(matrix: NDArray[np.float32]) -> tuple[int, int]:
    used = np.flatnonzero(matrix.any(axis=0))
    return (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)


@lru_cache(maxsize=64)
def _coverage(size: int, used_exact: float, used: int) -> NDArray[np.float32]:
    """Matrix of area averaging from `size` plane pixels to `used` logit pixels."""
    scale = size / used_exact
    edges = np.minimum(np.arange(used + 1) * scale, size)
    pixel = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    widths = np.maximum(np.diff(edges)[:, None], 1e-9)
    matrix = (np.clip(overlap, 0, None) / widths).astype(np.float32)
    matrix.flags.writeable = False
    return matrix
