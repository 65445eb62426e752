"""What a propagation strategy is: the part that knows a model, behind the driver.

The driver (:mod:`samslice.engine.driver`) reads planes, schedules objects,
lets them compete for pixels and writes labels. A strategy looks at one plane
at a time, proposes logits for every object at once, and remembers what it
needs to know about each of them for the next plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.schedule import Leg
    from samslice.engine.types import Prediction, Region, Seed


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One plane of the stack, as it was read.

    Attributes
    ----------
    index : int
        Index along the stack axis.
    pixels : ndarray of shape (rows, columns) or (rows, columns, channels)
        Its data.
    """

    index: int
    pixels: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, cols = self.pixels.shape[:2]
        return rows, cols


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Where one object may be on one plane, before competition.

    Attributes
    ----------
    object_id : int
        Label of the object.
    region : tuple of int or None
        (row0, col0, row1, col1), half-open; None if nothing was found.
    logits : ndarray of shape (rows, columns), float32
        Logits inside `region`, at the plane's resolution; above 0 is inside.
    predicted_iou : float
        IoU that the model predicts for this mask.
    is_known : bool
        An earlier run has found much the same here, and no more than a
        correction elsewhere has happened since: no reason to end.
    """

    object_id: int
    region: Region | None
    logits: NDArray[np.float32]
    predicted_iou: float
    is_known: bool = False

    @classmethod
    def nothing(cls, object_id: int, predicted_iou: float = 0.0) -> Proposal:
        """Make the proposal that an object is absent.

        Parameters
        ----------
        object_id : int
            Label of the object.
        predicted_iou : float, optional
            IoU that the model predicted.

        Returns
        -------
        Proposal
            Without a region.
        """
        return cls(object_id, None, np.empty((0, 0), np.float32), predicted_iou)

    @classmethod
    def of(cls, object_id: int, prediction: Prediction, candidate: int = 0) -> Proposal:
        """Bring a candidate of a prediction to the plane's pixels.

        Parameters
        ----------
        object_id : int
            Label of the object.
        prediction : Prediction
            Its candidates.
        candidate : int, optional
            Which of them; the last if there are fewer.

        Returns
        -------
        Proposal
            Inside the region that its positive logits reach.
        """
        candidate = min(candidate, len(prediction.scores) - 1)
        logits, score = prediction.logits[candidate], float(prediction.scores[candidate])
        region = prediction.frame.logits_region(logits)
        if region is None:
            return cls.nothing(object_id, score)
        return cls(object_id, region, prediction.frame.upsample(logits, region), score)


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """A strategy's word on an object's mask after competition.

    Attributes
    ----------
    status : str
        ``"anchor"``, ``"ok"``, ``"doubtful"``, or ``"ended"``: the mask is
        dropped and the leg is over.
    reason : str
        Why it is doubtful or ended; empty otherwise.
    score : float
        Confidence, 0 to 1.
    overlap : float
        IoU with the mask on the plane it came from; NaN on an anchor.
    joined : ndarray of shape (rows, columns), bool, or None
        What was not there on the plane it came from and is too far from it to
        be a rim that has moved, inside the proposal's region. Only asked for
        where branches are followed.
    """

    status: str
    reason: str
    score: float
    overlap: float
    joined: NDArray[np.bool_] | None = None


class Strategy(Protocol):
    """A way to carry objects from plane to plane, with its own memory."""

    def propose(self, plane: Plane, anchors: Sequence[Seed], legs: Sequence[Leg]) -> list[Proposal]:
        """Look for objects on a plane, all of them in one pass.

        Parameters
        ----------
        plane : Plane
            The plane at hand.
        anchors : sequence of Seed
            Objects that the user has shown on this plane.
        legs : sequence of Leg
            Objects that come from a neighbouring plane.

        Returns
        -------
        list of Proposal
            For the anchors, then for the legs, in their order.
        """
        ...

    def settle_anchor(self, plane: Plane, proposal: Proposal, mask: NDArray[np.bool_]) -> Verdict:
        """Take an anchor's mask after competition into memory.

        Parameters
        ----------
        plane : Plane
            The plane at hand.
        proposal : Proposal
            What `propose` said.
        mask : ndarray of shape (rows, columns), bool
            What competition left of it, inside the proposal's region.

        Returns
        -------
        Verdict
            With the status ``"anchor"``.
        """
        ...

    def settle(
        self, plane: Plane, leg: Leg, proposal: Proposal, mask: NDArray[np.bool_]
    ) -> Verdict:
        """Judge an object's mask after competition, and remember it if it stays.

        Parameters
        ----------
        plane : Plane
            The plane at hand.
        leg : Leg
            The way the object came.
        proposal : Proposal
            What `propose` said.
        mask : ndarray of shape (rows, columns), bool
            What competition left of it, inside the proposal's region.

        Returns
        -------
        Verdict
            Whether it goes on.
        """
        ...

    def forget(self, leg: Leg) -> None:
        """Drop what is remembered of a leg that is over.

        Parameters
        ----------
        leg : Leg
            The leg.
        """
        ...


class BranchingStrategy(Strategy, Protocol):
    """A strategy that says what has joined an object, and can follow it back."""

    def start_branch(self, plane: Plane, leg: Leg, region: Region, mask: NDArray[np.bool_]) -> None:
        """Remember a part that has joined an object, for the leg that it will go.

        Parameters
        ----------
        plane : Plane
            The plane at hand.
        leg : Leg
            The way back, which starts from here and is gone later.
        region, mask : tuple of int, ndarray of bool
            The part.
        """
        ...
