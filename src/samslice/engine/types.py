"""Frozen values that cross the engine's boundary.

Everything here is numpy in and numpy out, in data pixels: points are
(row, col), boxes are (row0, col0, row1, col1) and half-open. SAM's own
(x, y) frame is met in :mod:`samslice.engine.coords` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from samslice.engine.coords import Frame

Box = tuple[float, float, float, float]
"""(row0, col0, row1, col1), half-open, in data pixels."""


def _as_points(points: ArrayLike | None) -> NDArray[np.float64]:
    if points is None:
        return np.empty((0, 2))
    array = np.array(points, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 2))
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"points have shape {array.shape}; allowed is (n, 2), one (row, col) each. "
            "Drop the plane coordinate: it belongs to Seed(plane=...)."
        )
    if not np.isfinite(array).all():
        bad = array[~np.isfinite(array).all(axis=1)][0]
        raise ValueError(
            f"point {tuple(map(float, bad))} is not finite; give (row, col) in data pixels."
        )
    array.flags.writeable = False
    return array


def _as_signs(positive: ArrayLike | None, n_points: int) -> NDArray[np.bool_]:
    signs = np.ones(n_points, bool) if positive is None else np.array(positive)
    if signs.ndim == 0:
        signs = np.full(n_points, signs)
    if signs.shape != (n_points,):
        raise ValueError(
            f"positive has {signs.size} entries for {n_points} points; "
            "give one True (inside) or False (outside) per point."
        )
    if not np.isin(signs, (0, 1)).all():
        raise ValueError(f"positive holds {signs.tolist()}; allowed are True and False.")
    signs = signs.astype(bool)
    signs.flags.writeable = False
    return signs


def _as_box(box: ArrayLike | None) -> Box | None:
    if box is None:
        return None
    values = np.asarray(box, dtype=np.float64).ravel()
    if values.shape != (4,):
        raise ValueError(
            f"box has {values.size} numbers; allowed are four: (row0, col0, row1, col1)."
        )
    if not np.isfinite(values).all():
        raise ValueError(f"box {tuple(values.tolist())} is not finite; give data pixels.")
    row0, col0, row1, col1 = (float(v) for v in values)
    if row1 <= row0 or col1 <= col0:
        raise ValueError(
            f"box {(row0, col0, row1, col1)} is empty; allowed is row0 < row1 and col0 < col1 "
            "(half-open, in data pixels)."
        )
    return (row0, col0, row1, col1)


def _as_mask(mask: ArrayLike | None) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    array = np.asarray(mask)
    if array.ndim != 2:
        raise ValueError(f"mask has shape {array.shape}; allowed is (rows, columns) of the plane.")
    if array.dtype.kind == "f":
        raise ValueError(
            f"mask has dtype {array.dtype}; allowed is bool or integer. "
            "Low-resolution logits of an earlier prediction go to logits=."
        )
    array = array != 0
    if not array.any():
        raise ValueError(
            "mask is empty, so it prompts nothing; draw at least one pixel or leave mask=None."
        )
    array.flags.writeable = False
    return array


def _as_logits(logits: ArrayLike | None) -> NDArray[np.float32] | None:
    if logits is None:
        return None
    array = np.array(logits, dtype=np.float32)
    if array.ndim != 2:
        raise ValueError(
            f"logits have shape {array.shape}; allowed is two dimensions: "
            "one entry of an earlier Prediction.logits."
        )
    if not np.isfinite(array).all():
        raise ValueError("logits hold NaN or Inf; pass one entry of an earlier Prediction.logits.")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Prompt:
    """What to segment on one plane: points, a box, a mask, or any combination.

    Parameters
    ----------
    points : array-like of shape (n, 2), optional
        (row, col) in data pixels; the centre of the first pixel is (0, 0).
    positive : array-like of shape (n,), optional
        True where the point lies inside the object, False where outside.
        All True if left out.
    box : sequence of four floats, optional
        (row0, col0, row1, col1), half-open, in data pixels.
    mask : array-like of shape (rows, columns), optional
        A rough mask of the object, bool or integer, as large as the plane.
    logits : array-like of shape (h, w), optional
        Low-resolution logits of an earlier prediction of the same plane
        shape, instead of `mask`.

    Raises
    ------
    ValueError
        If nothing is given, or a value is non-finite, empty or of the wrong
        shape. Whether it lies inside the plane is checked by `predict`.
    """

    points: NDArray[np.float64]
    positive: NDArray[np.bool_]
    box: Box | None
    mask: NDArray[np.bool_] | None
    logits: NDArray[np.float32] | None

    def __init__(
        self,
        points: ArrayLike | None = None,
        positive: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        logits: ArrayLike | None = None,
    ) -> None:
        kept = _as_points(points)
        put = object.__setattr__  # the dataclass is frozen; this is its constructor
        put(self, "points", kept)
        put(self, "positive", _as_signs(positive, len(kept)))
        put(self, "box", _as_box(box))
        put(self, "mask", _as_mask(mask))
        put(self, "logits", _as_logits(logits))
        if self.mask is not None and self.logits is not None:
            raise ValueError("mask and logits are both given; allowed is one of them.")
        if not len(kept) and self.box is None and self.mask is None and self.logits is None:
            raise ValueError(
                "the prompt is empty; give at least one point, a box, a mask or logits."
            )

    @property
    def is_ambiguous(self) -> bool:
        """Whether this is a single positive click, which may mean several things."""
        return (
            len(self.points) == 1
            and bool(self.positive[0])
            and self.box is None
            and self.mask is None
            and self.logits is None
        )

    def check_inside(self, shape: tuple[int, int]) -> None:
        """Refuse a prompt that does not fit a plane.

        Parameters
        ----------
        shape : tuple of int
            (rows, columns) of the plane.

        Raises
        ------
        ValueError
            If a point lies outside the plane, the box does not touch it, or
            the mask has another shape.
        """
        rows, cols = shape
        extent = f"the plane has {rows} rows and {cols} columns"
        low, high = -0.5, np.array([rows - 0.5, cols - 0.5])
        outside = ((self.points < low) | (self.points > high)).any(axis=1)
        if outside.any():
            bad = tuple(map(float, self.points[outside][0]))
            raise ValueError(
                f"point {bad} lies outside: {extent}. Points are (row, col) in data pixels."
            )
        if self.box is not None:
            row0, col0, row1, col1 = self.box
            if row1 <= 0 or col1 <= 0 or row0 >= rows or col0 >= cols:
                raise ValueError(
                    f"box {self.box} lies outside: {extent}. "
                    "Boxes are (row0, col0, row1, col1) in data pixels."
                )
        if self.mask is not None and self.mask.shape != tuple(shape):
            raise ValueError(
                f"mask has shape {self.mask.shape}, but {extent}; give one of the plane's shape."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Seed:
    """One anchor of one object in a stack.

    Parameters
    ----------
    object_id : int
        Label of the object, at least 1.
    plane : int
        Index along the stack axis.
    prompt : Prompt, optional
        What to segment on that plane.
    mask : array-like of shape (rows, columns), optional
        The object's mask on that plane, taken as it is.
    ends : bool, optional
        The object is absent on this plane: propagation towards it stops
        before it. Excludes `prompt` and `mask`.

    Raises
    ------
    ValueError
        If not exactly one of `prompt`, `mask` and `ends` is given, or a
        number is out of range.
    """

    object_id: int
    plane: int
    prompt: Prompt | None = None
    mask: NDArray[np.bool_] | None = None
    ends: bool = False

    def __post_init__(self) -> None:
        for name, least in (("object_id", 1), ("plane", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} is {value!r}; allowed is an integer of at least {least}.")
            object.__setattr__(self, name, int(value))
        object.__setattr__(self, "mask", _as_mask(self.mask))
        given = (self.prompt is not None) + (self.mask is not None) + bool(self.ends)
        if given != 1:
            raise ValueError(
                f"the seed of object {self.object_id} on plane {self.plane} has {given} of "
                "prompt, mask and ends; give exactly one."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What the encoder made of one plane: an immutable value.

    Attributes
    ----------
    features : mapping of str to array
        Named tensors that belong to the model family. The engine moves,
        caches and hands them back, and never looks inside.
    frame : Frame
        How the plane's pixels sit in the model's input.
    model_key : str
        Identity of the model that made it (weights and precision).
    """

    features: Mapping[str, Any]
    frame: Frame
    model_key: str

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the plane."""
        return self.frame.shape

    @property
    def nbytes(self) -> int:
        """Bytes that the features take."""
        return sum(int(f.nbytes) for f in self.features.values())


@dataclass(frozen=True, eq=False)
class Prediction:
    """Candidate masks of one prompt, best first.

    Attributes
    ----------
    logits : ndarray of shape (k, h, w), float32
        Low-resolution logits in the model's frame; pass one of them back as
        ``Prompt(logits=...)``.
    scores : ndarray of shape (k,), float32
        The IoU with the object that the model predicts for each candidate.
    frame : Frame
        How the plane's pixels sit in the model's input.
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    frame: Frame = field(repr=False)

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """(k, rows, columns) masks at the plane's resolution, made when first asked for."""
        return self.frame.upsample(self.logits) > 0

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(rows, columns) mask of the best candidate."""
        return self.frame.upsample(self.logits[:1])[0] > 0

    @property
    def score(self) -> float:
        """Predicted IoU of the best candidate."""
        return float(self.scores[0])


Region = tuple[int, int, int, int]
"""(row0, col0, row1, col1) in whole data pixels, half-open."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneResult:
    """What became of one object on one plane.

    Attributes
    ----------
    object_id : int
        Label of the object.
    plane : int
        Index along the stack axis.
    region : tuple of int or None
        (row0, col0, row1, col1), half-open, that holds the mask; None where
        the object is absent.
    mask : ndarray of shape (rows, columns), bool
        The mask inside `region`.
    status : str
        ``"anchor"``, ``"ok"``, ``"doubtful"`` or ``"ended"``.
    reason : str
        Why it is doubtful or has ended; empty otherwise.
    score : float
        Confidence in this mask, 0 to 1; what doubtful planes are found by.
    predicted_iou : float
        IoU that the model predicts for its own mask.
    overlap : float
        IoU with the mask on the plane it came from; NaN on an anchor.
    """

    object_id: int
    plane: int
    region: Region | None
    mask: NDArray[np.bool_]
    status: str
    reason: str
    score: float
    predicted_iou: float
    overlap: float

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True, slots=True, eq=False)
class PlaneStep:
    """One plane of a propagation, just written.

    Attributes
    ----------
    plane : int
        Index along the stack axis.
    direction : str
        ``"forward"`` or ``"backward"``.
    results : tuple of PlaneResult
        One for each object that was looked for or has lost pixels on this plane.
    done, total : int
        Planes visited so far and at most to visit, as far as is known now.
    gone : tuple of int
        Objects that no longer reach this plane: what they had there is erased.
    """

    plane: int
    direction: str
    results: tuple[PlaneResult, ...]
    done: int
    total: int
    gone: tuple[int, ...] = ()
