"""What the user has said so far: a frozen value, and pure functions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from samslice.engine.regions import bounds, join_regions, within
from samslice.engine.types import Box, Prompt, Region
from samslice.session.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.coords import Frame
    from samslice.session.context import Context

_SCRIBBLE_SPACING = 10.0  # pixels between the points that stand for a scribble
_SCRIBBLE_POINTS = 8  # at most: the decoder gains nothing from more


class Place(NamedTuple):
    """One plane of an n-dimensional image."""

    view: View
    plane: int

    def indices(self, window: Region | None = None) -> tuple[int | slice, ...]:
        """Index the plane in the image, or in labels.

        Parameters
        ----------
        window : tuple of int, optional
            (row0, col0, row1, col1), half-open; all of it if left out.

        Returns
        -------
        tuple of int and slice
            One for each axis.
        """
        if window is None:
            return self.view.plane_index(self.plane)
        row0, col0, row1, col1 = window
        return self.view.plane_index(self.plane, slice(row0, row1), slice(col0, col1))


class Key(NamedTuple):
    """One object on one plane."""

    object_id: int
    view: View
    plane: int

    @property
    def place(self) -> Place:
        """Its plane."""
        return Place(self.view, self.plane)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PromptItem:
    """One click, drawing or label that the user gave.

    Attributes
    ----------
    uid : int
        Its number in the session; it keeps it when it is moved.
    object_id : int
        The object it belongs to.
    view : View
        How the plane lies in the image.
    plane : int
        Index along the view's stack axis.
    kind : str
        ``"point"``, ``"box"``, ``"mask"`` or ``"scribble"``.
    points : ndarray of shape (n, 2)
        (row, col) of the click, or of the vertices of the scribble.
    positive : bool
        Whether the points lie inside the object.
    box : tuple of float or None
        (row0, col0, row1, col1), half-open.
    mask : ndarray of shape (rows, columns) or None
        Bool, as large as the plane.
    context : Context or None
        What the object showed there before: of the first of its clicks alone.
    """

    uid: int
    object_id: int
    view: View
    plane: int
    kind: str
    points: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))
    positive: bool = True
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None
    context: Context | None = None

    @property
    def place(self) -> Place:
        """Its plane."""
        return Place(self.view, self.plane)

    @property
    def nbytes(self) -> int:
        """Bytes of its masks."""
        return sum(part.nbytes for part in (self.mask, self.context) if part is not None)

    @property
    def key(self) -> Key:
        """Its object and plane."""
        return Key(self.object_id, self.view, self.plane)


Items = tuple[PromptItem, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What the user painted and erased by hand, of one object on one plane.

    Attributes
    ----------
    region : tuple of int
        (row0, col0, row1, col1), half-open, that holds all of it.
    add, erase : ndarray of shape (rows, columns), bool
        Pixels inside `region` that are and are not the object's.
    """

    region: Region
    add: NDArray[np.bool_]
    erase: NDArray[np.bool_]

    @property
    def adds(self) -> bool:
        """Whether the object was painted, not only taken from."""
        return bool(self.add.any())

    def then(self, later: Correction) -> Correction:
        """Join with later strokes.

        Parameters
        ----------
        later : Correction
            Its word counts where the two differ.

        Returns
        -------
        Correction
            Over both regions.
        """
        region = join_regions([self.region, later.region])
        add, erase = (np.zeros((region[2] - region[0], region[3] - region[1]), bool) for _ in "ae")
        for one in (self, later):
            here = within(one.region, region)
            add[here] = (add[here] & ~one.erase) | one.add
            erase[here] = (erase[here] & ~one.add) | one.erase
        return Correction(region, add, erase)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that the user has said.

    Attributes
    ----------
    prompts : tuple of PromptItem
        In the order they were given.
    finished : frozenset of int
        Objects that were committed.
    ends : frozenset of Key
        Planes on which objects are marked as absent.
    choices : mapping of Key to int
        Candidates that were chosen instead of the first.
    corrections : mapping of Key to Correction
        What was painted by hand.
    current : int
        The object that new prompts belong to.
    """

    prompts: Items = ()
    finished: frozenset[int] = frozenset()
    ends: frozenset[Key] = frozenset()
    choices: Mapping[Key, int] = field(default_factory=dict)
    corrections: Mapping[Key, Correction] = field(default_factory=dict)
    current: int = 1


def items_on(state: State, place: Place) -> dict[int, Items]:
    """Prompts on one plane, by object.

    Parameters
    ----------
    state : State
        What the user has said.
    place : Place
        The plane.

    Returns
    -------
    dict of int to tuple of PromptItem
        Finished objects too.
    """
    found: dict[int, list[PromptItem]] = {}
    for item in state.prompts:
        if item.plane == place.plane and item.view == place.view:
            found.setdefault(item.object_id, []).append(item)
    return {object_id: tuple(items) for object_id, items in found.items()}


def items_of(state: State, object_id: int, view: View | None = None) -> Items:
    """Prompts of one object.

    Parameters
    ----------
    state : State
        What the user has said.
    object_id : int
        The object.
    view : View, optional
        Only those in this view.

    Returns
    -------
    tuple of PromptItem
        In the order they were given.
    """
    return tuple(
        i for i in state.prompts if i.object_id == object_id and (view is None or i.view == view)
    )


def pending(state: State) -> frozenset[int]:
    """Objects that have prompts, or were painted by hand, and are not finished.

    Parameters
    ----------
    state : State
        What the user has said.

    Returns
    -------
    frozenset of int
        Their ids.
    """
    painted = {key.object_id for key, by_hand in state.corrections.items() if by_hand.adds}
    return frozenset(painted.union(i.object_id for i in state.prompts)) - state.finished


def anchors(state: State, object_id: int, view: View) -> list[int]:
    """Planes on which the user has shown an object.

    Parameters
    ----------
    state : State
        What the user has said.
    object_id : int
        The object.
    view : View
        Which stack.

    Returns
    -------
    list of int
        Planes with prompts or with strokes, in order.
    """
    planes = {i.plane for i in items_of(state, object_id, view)}
    planes |= {k.plane for k in state.corrections if k[:2] == (object_id, view)}
    planes -= {k.plane for k in state.ends if k[:2] == (object_id, view)}
    return sorted(planes)


def context_of(items: Sequence[PromptItem]) -> Context | None:
    """What goes along with the clicks of one object on one plane.

    Parameters
    ----------
    items : sequence of PromptItem
        All that was said of it there.

    Returns
    -------
    Context or None
        None also where a box or a mask was drawn: that says what the object is.
    """
    if any(item.box is not None or item.mask is not None for item in items):
        return None
    return next((item.context for item in items if item.context is not None), None)


def join(items: Sequence[PromptItem], frame: Frame, *, insist: bool = False) -> Prompt:
    """Join prompts of one object on one plane.

    Parameters
    ----------
    items : sequence of PromptItem
        Clicks, boxes, masks, scribbles.
    frame : Frame
        Of the plane.
    insist : bool, optional
        Cut the clicks into the context, if there is one.

    Returns
    -------
    Prompt
        All points with their signs, the latest box, the union of the masks, or
        what was there before the first click. Masks without a box bring their
        own, which SAM needs.

    Raises
    ------
    ValueError
        If there are none.
    """
    points: list[NDArray[np.float64]] = []
    signs: list[bool] = []
    box: Box | None = None
    mask: NDArray[np.bool_] | None = None
    for item in items:
        given = sample_path(item.points) if item.kind == "scribble" else item.points
        points.extend(given)
        signs.extend([item.positive] * len(given))
        box = item.box if item.box is not None else box
        if item.mask is not None:
            mask = item.mask if mask is None else mask | item.mask
    if box is None and mask is not None:
        row0, col0, row1, col1 = bounds(mask)
        box = (float(row0), float(col0), float(row1), float(col1))
    points_n2, positive = np.array(points).reshape(-1, 2), np.array(signs, bool)
    context = context_of(items)
    if context is None:
        return Prompt(points=points_n2, positive=positive, box=box, mask=mask)
    shown = context.marked(points_n2, positive, frame) if insist else context
    box = shown.box(points_n2[positive], frame.shape)
    logits = frame.mask_to_logits(shown.mask, shown.region)
    return Prompt(points=points_n2, positive=positive, box=box, logits=logits)


def sample_path(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Choose points that stand for a path.

    Parameters
    ----------
    path : ndarray of shape (n, 2)
        Vertices, (row, col).

    Returns
    -------
    ndarray of shape (k, 2)
        Evenly spaced along it, both ends included; one where it has no length.
    """
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    if along[-1] == 0:
        return path[:1]
    count = int(np.clip(np.ceil(along[-1] / _SCRIBBLE_SPACING) + 1, 2, _SCRIBBLE_POINTS))
    at = np.linspace(0, along[-1], count)
    points = np.stack([np.interp(at, along, path[:, axis]) for axis in (0, 1)], axis=1)
    points[[0, -1]] = path[[0, -1]]  # a first step too short to add up would lose its beginning
    return points
