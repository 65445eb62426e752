"""Frozen values that pass between the controller and the views."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TOOLS = ("positive", "negative", "box", "polygon", "scribble", "brush")
"""Names for `SamController.set_tool`."""


@dataclass(frozen=True, slots=True)
class ImageChoices:
    """Which images and layers can be chosen, and which are.

    Attributes
    ----------
    images : tuple of str
        Names of the image layers, as the layer list shows them, topmost first.
    image : str or None
        The one that is segmented.
    points, shapes, labels : tuple of str
        Names of layers that fit the image and could be used instead of ours.
    points_used, shapes_used, labels_used : str or None
        Those that are in use.
    """

    images: tuple[str, ...] = ()
    image: str | None = None
    points: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    points_used: str | None = None
    shapes_used: str | None = None
    labels_used: str | None = None


@dataclass(frozen=True, slots=True)
class AxisChoice:
    """One axis that can be chosen.

    Attributes
    ----------
    axis : int
        Index among the axes of the image layer.
    label : str
        For a person: name and size, such as ``"z (40)"``.
    size : int
        Its length.
    """

    axis: int
    label: str
    size: int


@dataclass(frozen=True, slots=True)
class SourceView:
    """How the image is seen by the encoder: the "Image" section.

    Attributes
    ----------
    stack_axes : tuple of AxisChoice
        Axes that objects can be carried along in the present view; empty for
        a single plane.
    stack_axis : int or None
        The one in use.
    channel_axes : tuple of AxisChoice
        Axes that could be channels.
    channel_axis : int or None
        The one that is taken as channels; None if none is, or for RGB.
    n_channels : int
        Channels to choose from; 0 without a channel axis, and 0 for RGB.
    channels : tuple of int
        The one or three in use.
    is_rgb : bool
        Whether the layer shows colours; they are used as they are.
    normalization : str
        ``"auto"``, ``"contrast"`` (the layer's contrast limits) or
        ``"percentiles"``.
    percentiles : tuple of float
        (low, high) in percent, for ``"percentiles"``.
    """

    stack_axes: tuple[AxisChoice, ...] = ()
    stack_axis: int | None = None
    channel_axes: tuple[AxisChoice, ...] = ()
    channel_axis: int | None = None
    n_channels: int = 0
    channels: tuple[int, ...] = ()
    is_rgb: bool = False
    normalization: str = "auto"
    percentiles: tuple[float, float] = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class ModelView:
    """The model and how far its loading is.

    Attributes
    ----------
    names : tuple of str
        Names that can be chosen; a path of the user's stands first.
    name : str
        The one chosen.
    state : str
        ``"loading"``, ``"ready"`` or ``"failed"``.
    text : str
        One line: what is going on, or what is wrong.
    """

    names: tuple[str, ...] = ()
    name: str = ""
    state: str = "loading"
    text: str = ""


@dataclass(frozen=True, slots=True)
class StateView:
    """What the user has said so far, in numbers and words.

    Attributes
    ----------
    current : int
        The object that new prompts belong to; 0 before there is a session.
    color : tuple of float
        Its colour in the labels layer, RGBA from 0 to 1.
    pending, finished : tuple of int
        Ids of the objects.
    plane, n_planes : int
        Plane that is looked at, and how many there are.
    plane_ready : bool
        Whether a click on it is answered at once.
    waiting : bool
        Whether a mask of this plane is being made.
    undo_label, redo_label : str
        What undo and redo would do; empty if nothing.
    overwrite : bool
        Whether pending objects may take pixels of finished ones.
    ends_here : bool
        Whether the current object is marked as absent on this plane.
    text : str
        One line for a person.
    """

    current: int = 0
    color: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    pending: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()
    plane: int = 0
    n_planes: int = 1
    plane_ready: bool = False
    waiting: bool = False
    undo_label: str = ""
    redo_label: str = ""
    overwrite: bool = False
    ends_here: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class CandidatesView:
    """Candidate masks of the current object on the plane that is looked at.

    Attributes
    ----------
    object_id : int
        The object.
    scores : tuple of float
        The IoU that the model predicts for each, best first; empty where
        there are no candidates.
    chosen : int
        Which is shown.
    thumbnails : tuple of ndarray of shape (rows, columns), bool
        The masks, all in the same window around the best, at most 64 pixels long.
    """

    object_id: int = 0
    scores: tuple[float, ...] = ()
    chosen: int = 0
    thumbnails: tuple[NDArray[np.bool_], ...] = ()


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How far a job is.

    Attributes
    ----------
    kind : str
        ``"model"`` (bytes of a download), ``"encode"`` or ``"propagate"``
        (planes).
    done, total : int
        ``total`` is 0 where it is not known.
    eta : float or None
        Seconds that are left.
    paused : bool
        Whether the user has paused it.
    active : bool
        False in the last report of a job.
    text : str
        One line, such as ``"plane 12 of 60, 40 s left"``.
    """

    kind: str
    done: int
    total: int
    eta: float | None = None
    paused: bool = False
    active: bool = True
    text: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One object on one plane.

    Attributes
    ----------
    object_id, plane : int
        Where.
    status : str
        ``"anchor"``, ``"ok"``, ``"doubtful"`` or ``"ended"``.
    reason : str
        Why it is doubtful or has ended.
    score : float
        Confidence, 0 to 1.
    area : int
        Pixels.
    """

    object_id: int
    plane: int
    status: str
    reason: str
    score: float
    area: int


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a propagation would cost.

    Attributes
    ----------
    planes, to_encode : int
        Planes to visit at most, and those that are not encoded yet.
    seconds : float or None
        None before the first plane was timed.
    ram_bytes, disk_bytes : int or None
        What their embeddings take.
    text : str
        One line; why there is no estimate where there is none.
    """

    planes: int = 0
    to_encode: int = 0
    seconds: float | None = None
    ram_bytes: int | None = None
    disk_bytes: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PictureView:
    """What the encoder sees of a plane.

    Attributes
    ----------
    plane : int
        Which.
    picture : ndarray of shape (rows, columns, 3), uint8, or None
        Small; None where there is none.
    text : str
        The limits, or why there is no picture.
    """

    plane: int = 0
    picture: NDArray[np.uint8] | None = field(default=None, repr=False)
    text: str = ""


def seconds_text(seconds: float | None) -> str:
    """Say a time as people do.

    Parameters
    ----------
    seconds : float or None
        None where it is not known.

    Returns
    -------
    str
        Such as ``"40 s"`` or ``"3 min"``; empty if not known.
    """
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def number_text(value: float) -> str:
    """Say a grey level as people do: counts in full, powers of ten only where they must be.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        Such as ``"0.25"`` or ``"31770"``.
    """
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"
