"""Where a sweep meets what the sweep in the other direction has found.

The second sweep through a stack comes to planes on which objects stand already.
They are not simply in its way: what was found far from its anchor yields to what
is found with better reason, and an object that comes from two anchors is drawn
from both. Of what was found only the labels are left, so each mask is turned back
into logits by the distance from its rim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from samslice.engine.regions import ABSENT_LOGIT, crop, join_regions, tighten
from samslice.engine.strategy import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from samslice.engine.label_store import Page
    from samslice.engine.options import PropagateOptions
    from samslice.engine.schedule import Leg
    from samslice.engine.types import PlaneResult

_MOSTLY_TAKEN = 0.5  # of its pixels, from which on an object that has yielded is doubtful
_NO_MASK = np.zeros((0, 0), bool)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """An object that the sweep before found on a plane.

    Attributes
    ----------
    result : PlaneResult
        What was said of it; its mask is read anew from the labels.
    leg : Leg
        The way it came.
    """

    result: PlaneResult
    leg: Leg

    @property
    def steps(self) -> int:
        """Planes from the anchor that it came from."""
        return abs(self.result.plane - self.leg.anchor)


class Meeting:
    """What one sweep leaves to the next.

    Parameters
    ----------
    options : PropagateOptions
        The smallest area, and what is doubtful.

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

    def __init__(self, options: PropagateOptions) -> None:
        self._options = options
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
        """Keep what was found on a leg, apart from its mask, which is in the labels.

        Parameters
        ----------
        leg : Leg
            The way it came.
        result : PlaneResult
            On one plane.
        """
        if result.region is not None:
            held = Held(replace(result, mask=_NO_MASK), leg)
            self._left.setdefault(result.plane, {})[result.object_id] = held

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

    def join(self, page: Page, held: Held, leg: Leg, proposal: Proposal) -> Proposal:
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
        Proposal
            The mean of both, by distance from the rim in pixels; the one with
            the greater say where they are apart; the same if it is nothing.
        """
        region, before = held.result.region, _mask(page, held.result)
        now = proposal.logits > 0
        if region is None or proposal.region is None or not before.any() or not now.any():
            return proposal
        mine = self._say(held, leg)
        if not (crop(proposal.region, now, region) & before).any():
            found = Proposal(leg.object_id, region, _depth(before), held.result.predicted_iou)
            return proposal if mine >= 0.5 else found
        window = join_regions([region, proposal.region])
        depths = [_depth(crop(*one, window)) for one in ((proposal.region, now), (region, before))]
        depth = mine * depths[0] + (1 - mine) * depths[1]
        predicted = mine * proposal.predicted_iou + (1 - mine) * held.result.predicted_iou
        return Proposal(leg.object_id, window, depth.astype(np.float32), float(predicted))

    def agree(self, held: Held, leg: Leg, result: PlaneResult) -> PlaneResult:
        """Say of an object that was drawn from both anchors what both ways say.

        Parameters
        ----------
        held : Held
            The object as it came from the other anchor.
        leg : Leg
            The way it came now.
        result : PlaneResult
            What became of it.

        Returns
        -------
        PlaneResult
            With the mean score, and doubtful by that or by a reason.
        """
        if result.status == "ended":
            return result
        mine = self._say(held, leg)
        score = float(mine * result.score + (1 - mine) * held.result.score)
        sure = score >= self._options.doubtful_score
        nearer = result if mine >= 0.5 else held.result
        if sure and nearer.reason in ("", "low confidence"):
            return replace(result, status="ok", reason="", score=score)
        reason = nearer.reason or "low confidence"
        return replace(result, status="doubtful", reason=reason, score=score)

    def _say(self, held: Held, leg: Leg) -> float:
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
            The labels of the plane.
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
            n_before, n_left = np.count_nonzero(_mask(page, one.result)), left.area
            if region is None or n_left == n_before:
                continue
            if n_left < self._options.min_area:
                gone = replace(left, region=None, mask=_NO_MASK, status="ended", score=0.0)
                results.append(replace(gone, reason="lost to a neighbour"))
                continue
            left = replace(left, score=left.score * n_left / n_before)
            if n_left < _MOSTLY_TAKEN * n_before:
                left = replace(left, status="doubtful", reason="mostly taken by a neighbour")
            region, mask = tighten(region, left.mask)
            results.append(replace(left, region=region, mask=mask))
        return results


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Signed distance from the rim of a mask, which is not empty: positive inside."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~mask)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)


def _mask(page: Page, result: PlaneResult) -> NDArray[np.bool_]:
    if result.region is None:
        return _NO_MASK
    row0, col0, row1, col1 = result.region
    return np.asarray(page.before[row0:row1, col0:col1] == result.object_id)
