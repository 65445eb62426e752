"""Where a sweep meets what the sweep in the other direction has found.

The second sweep through a stack comes to planes on which objects stand already.
They are not simply in its way: what was found farther from its anchor yields to
what is found nearer to another, and an object that comes from two anchors is drawn
from both. Of what was found only the labels are left, so masks are joined by the
distance from their rims.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from samslice.engine.regions import ABSENT_LOGIT, crop, join_regions, region_iou, tighten, within
from samslice.engine.strategy import Proposal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from samslice.engine.label_store import Page
    from samslice.engine.options import PropagateOptions
    from samslice.engine.schedule import Leg
    from samslice.engine.types import PlaneResult

_SAME = 0.5  # IoU of what two ways bring, from which on they agree
_APART = 0.2  # and below which they have no common shape
_TIE = 1e-3  # weight of what breaks a tie between equal distances
_BLUR = 1.5  # pixels
_CLEAR = 0.25  # pixels that the last pixel inside, and the first one outside, is from the rim
_LIMIT = 8.0  # of logits made from a distance
_UNSURE = "low confidence"
_MOSTLY_TAKEN = 0.5  # of its pixels, from which on an object that has yielded is doubtful
_NO_MASK = np.zeros((0, 0), bool)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """An object that the sweep before found on a plane.

    Attributes
    ----------
    result : PlaneResult
        What was said of it. Without its mask, which is read anew from the
        labels; with it where others may lie over it there.
    leg : Leg
        The way it came.
    """

    result: PlaneResult
    leg: Leg

    @property
    def steps(self) -> int:
        """Planes from the anchor that it came from."""
        return abs(self.result.plane - self.leg.anchor)


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """An object drawn from both of its anchors.

    Attributes
    ----------
    proposal : Proposal
        Where it is.
    held : Held
        The object as it came from the other anchor.
    share : float
        Weight of the way that it comes now, from 0 to 1.
    overlap : float
        IoU of the masks that the two ways brought.
    """

    proposal: Proposal
    held: Held
    share: float
    overlap: float


class Meeting:
    """What one sweep leaves to the next.

    Parameters
    ----------
    options : PropagateOptions
        The smallest area, what is doubtful, and whether objects compete.
    again : container of int
        Planes that the other sweep comes to.

    Notes
    -----
    To draw what lies between two known outlines by the mean of their distance
    maps is shape-based interpolation [1]_. Here the outlines are not those of the
    anchors but both have been carried to the plane at hand, and only where they
    differ does the mean decide.

    References
    ----------
    .. [1] Raya and Udupa, "Shape-based interpolation of multidimensional
       objects", IEEE Transactions on Medical Imaging 9(1), 1990.
    """

    def __init__(self, options: PropagateOptions, again: Container[int]) -> None:
        self._options = options
        self._again = again
        self._left: dict[int, dict[int, Held]] = {}
        self._areas: dict[tuple[int, int], int] = {}

    def note_anchor(self, object_id: int, plane: int, mask: NDArray[np.bool_]) -> None:
        """Keep how large an object is on an anchor.

        Parameters
        ----------
        object_id : int
            Label of the object.
        plane : int
            The anchor.
        mask : ndarray of bool
            Its pixels.
        """
        self._areas[object_id, plane] = max(1, int(np.count_nonzero(mask)))

    def leave(self, leg: Leg, result: PlaneResult) -> None:
        """Keep what was found on a leg, if the other sweep comes to its plane.

        Parameters
        ----------
        leg : Leg
            The way it came.
        result : PlaneResult
            On one plane.
        """
        if result.region is None or result.plane not in self._again:
            return
        known = replace(result, mask=_NO_MASK) if self._options.compete else result
        self._left.setdefault(result.plane, {})[result.object_id] = Held(known, leg)

    def take(self, index: int) -> dict[int, Held]:
        """Hand over what was left on a plane, once.

        Parameters
        ----------
        index : int
            Index along the stack axis.

        Returns
        -------
        dict of int to Held
            By object.
        """
        return self._left.pop(index, {})

    def join(self, page: Page, held: Held, leg: Leg, proposal: Proposal) -> Joined | None:
        """Draw an object from both of its anchors.

        The nearer has the greater say, and the one where the object is larger: it
        changes faster towards a cap than in its middle.

        Parameters
        ----------
        page : Page
            The labels of the plane.
        held : Held
            The object as it came from the other anchor.
        leg : Leg
            The way it comes now.
        proposal : Proposal
            Where it may be.

        Returns
        -------
        Joined or None
            The mean of both masks, by distance from the rim; where they have
            next to nothing in common, the one from the nearer anchor. None if
            one of them is nothing.
        """
        region, before = held.result.region, _mask(page, held)
        now = proposal.logits > 0
        if region is None or proposal.region is None or not before.any() or not now.any():
            return None
        overlap = region_iou(proposal.region, now, region, before)
        if overlap < _APART:
            if abs(page.index - leg.anchor) <= held.steps:
                return Joined(proposal, held, 1.0, overlap)
            logits = self._to_logits(_depth(before))
            stays = Proposal(leg.object_id, region, logits, held.result.predicted_iou)
            return Joined(stays, held, 0.0, overlap)
        share = self._share(held, leg)
        window = join_regions([region, proposal.region])
        masks = [crop(region, before, window), crop(proposal.region, now, window)]
        logits = self._to_logits(_mean_depth(masks, [1 - share, share]))
        # Inside, it stands up to others as what is found now does.
        inside = logits[within(proposal.region, window)]
        inside[...] = np.where(inside > 0, np.maximum(inside, proposal.logits), inside)
        predicted = share * proposal.predicted_iou + (1 - share) * held.result.predicted_iou
        mean = Proposal(leg.object_id, window, logits, float(predicted))
        return Joined(mean, held, share, overlap)

    def _to_logits(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.clip(depth / self._options.plane_step, -_LIMIT, _LIMIT).astype(np.float32)

    def agree(self, joined: Joined, result: PlaneResult) -> PlaneResult:
        """Say of an object that was drawn from both anchors what both ways say.

        Parameters
        ----------
        joined : Joined
            How it was drawn.
        result : PlaneResult
            What became of it; it has pixels.

        Returns
        -------
        PlaneResult
            With the mean score, lowered where the two ways have little in
            common; doubtful by that, or by what is said of the mask.
        """
        score = float(joined.share * result.score + (1 - joined.share) * joined.held.result.score)
        score *= min(joined.overlap / _SAME, 1.0)
        reason = "" if result.reason == _UNSURE else result.reason
        if joined.overlap < _SAME:
            reason = "its anchors disagree on this plane"
        elif not reason and score < self._options.doubtful_score:
            reason = _UNSURE
        return replace(result, status="doubtful" if reason else "ok", reason=reason, score=score)

    def _share(self, held: Held, leg: Leg) -> float:
        """Weight of the way that an object comes now, from 0 to 1."""
        says = [
            self._areas.get((way.object_id, way.anchor), 1) / abs(held.result.plane - way.anchor)
            for way in (leg, held.leg)
        ]
        return says[0] / sum(says)

    def restrain(
        self, page: Page, held: Mapping[int, Held], leg: Leg, proposal: Proposal
    ) -> Proposal:
        """Leave pixels to objects that stand there and are as near to their anchor, or nearer.

        Parameters
        ----------
        page : Page
            The labels of the plane.
        held : mapping of int to Held
            What stands there.
        leg : Leg
            The way an object comes now.
        proposal : Proposal
            Where it may be.

        Returns
        -------
        Proposal
            Without the pixels that it may not have.
        """
        steps = abs(page.index - leg.anchor)
        rivals = [o for o, h in held.items() if h.steps <= steps and o != leg.object_id]
        if proposal.region is None or not rivals:
            return proposal
        row0, col0, row1, col1 = proposal.region
        theirs = np.isin(page.before[row0:row1, col0:col1], rivals)
        logits = np.where(theirs, np.float32(ABSENT_LOGIT), proposal.logits)
        return replace(proposal, logits=logits)

    def yielded(self, page: Page, held: Iterable[Held]) -> list[PlaneResult]:
        """Say what became of objects that stood on a plane, once others are drawn over them.

        Parameters
        ----------
        page : Page
            The labels of the plane. What is left of an object that has ended is
            taken off it.
        held : iterable of Held
            What stood there, apart from what was drawn anew.

        Returns
        -------
        list of PlaneResult
            Of those that have lost pixels.
        """
        results = []
        for one in held:
            region, left = one.result.region, page.visible(one.result)
            n_before, n_left = np.count_nonzero(_shown(page, one.result)), left.area
            if region is None or n_left == n_before:
                continue
            if n_left < self._options.min_area:
                page.put(left.object_id, None, _NO_MASK)
                gone = replace(left, region=None, mask=_NO_MASK, status="ended", score=0.0)
                results.append(replace(gone, reason="lost to a neighbour"))
                continue
            left = replace(left, score=left.score * n_left / n_before)
            if n_left < _MOSTLY_TAKEN * n_before:
                left = replace(left, status="doubtful", reason="mostly taken by a neighbour")
            elif left.score < self._options.doubtful_score:
                left = replace(left, status="doubtful", reason=left.reason or _UNSURE)
            region, mask = tighten(region, left.mask)
            results.append(replace(left, region=region, mask=mask))
        return results


def _mean_depth(
    masks: Sequence[NDArray[np.bool_]], weights: Sequence[float]
) -> NDArray[np.float32]:
    """Mean signed distance from the rims of masks, moved so that it encloses their mean area.

    Where rims cross, their mean encloses less than each of them, and again less on the
    next plane; between two discs, areas and not radii are what changes evenly in a ball.
    """
    depth = np.average([_depth(mask) for mask in masks], axis=0, weights=weights)
    area = round(np.average([np.count_nonzero(mask) for mask in masks], weights=weights))
    # On a grid many distances are equal. Of those the pixels that jut out least come first,
    # so that as many are taken as were asked for.
    ranked = np.argsort(-depth - _TIE * ndimage.gaussian_filter(depth, _BLUR), axis=None)
    inside = np.zeros(depth.size, bool)
    inside[ranked[:area]] = True
    moved = depth - depth.flat[ranked[area - 1]]
    return np.where(
        inside.reshape(depth.shape), np.maximum(moved, 0) + _CLEAR, np.minimum(moved, 0) - _CLEAR
    ).astype(np.float32)


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Signed distance from the rim of a mask, which is not empty: positive inside."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def _shown(page: Page, result: PlaneResult) -> NDArray[np.bool_]:
    """Pixels of an object that the labels showed."""
    if result.region is None:
        return _NO_MASK
    row0, col0, row1, col1 = result.region
    return np.asarray(page.before[row0:row1, col0:col1] == result.object_id)


def _mask(page: Page, held: Held) -> NDArray[np.bool_]:
    """Pixels of an object, those that others cover included."""
    return held.result.mask if held.result.mask.size else _shown(page, held.result)
