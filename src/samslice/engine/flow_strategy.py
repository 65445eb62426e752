"""The default strategy: objects move with the picture, and the model corrects them.

An object's last mask is carried to the next plane by the flow between the two
pictures. The moved mask prompts the model twice, in a window around it: by its
box alone and by its box and itself. Of each three candidates the one that agrees best with it is
taken. What the moved mask says of a pixel and what the model says of it are
added, and objects compete by the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from samslice.engine.branches import rim_reach
from samslice.engine.confidence import Signs, confidence
from samslice.engine.coords import LOGITS_PER_CELL
from samslice.engine.evidence import Contrast, contrast, resample
from samslice.engine.flow import estimate_flow, shrink
from samslice.engine.regions import join_regions, keep_components, region_iou, tighten
from samslice.engine.schedule import BACKWARD
from samslice.engine.strategy import Plane, Proposal, Verdict
from samslice.engine.track import Anchored, Track
from samslice.engine.types import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.coords import Frame
    from samslice.engine.flow import Flow
    from samslice.engine.normalize import Normalization
    from samslice.engine.options import PropagateOptions
    from samslice.engine.predictor import PlanePredictor
    from samslice.engine.schedule import Leg
    from samslice.engine.types import Embedding, Prediction, Region, Seed

GIVEN_LOGIT = 32.0
"""Logit of a mask that the user gave: as sure as the decoder gets, as a rule."""

_MODEL_WEIGHT = 0.5  # of the model's logits beside the moved mask, where both agree
_AGREEMENT_POWER = 3  # how fast that falls where they do not
_MODEL_LIMIT = 10.0  # of the model's logits
_MOVED_LIMIT = 8.0  # of what the moved mask says
_BOX_ROOM = 0.5  # pixels that a box reaches beyond a moved mask, whose rim it would cut otherwise
_WINDOW_ROOM = 0.25  # of an object's sides, around it: what the model makes masks of
_MARGIN = 4  # pixels around an object that are looked at, beside twice the expected movement
_MOST_COVERED = 3  # planes in a row on which others may take most of an object
_UNCLEAR = 0.5  # of the presence asked, where the model is not sure of an object to begin with
_AREA_WEIGHT = 0.1  # what a change of area by a factor of e takes off the presence


@dataclass(frozen=True, slots=True, eq=False)
class _Moved:
    """An object carried to the plane at hand, and what the model says of it."""

    region: Region
    depth: NDArray[np.float64]
    logits: NDArray[np.float32] | None = None  # the model's, inside the region
    agreement: float = 0.0
    predicted_iou: float = 0.0


class FlowStrategy:
    """Objects move with the picture, and the model corrects them.

    How far a rim may be from where the flow has carried it is taken to grow
    with the distance between planes, measured in pixels: the thicker the
    section, the more the model decides.

    Parameters
    ----------
    predictor : Predictor
        Model and cache.
    options : PropagateOptions
        When an object ends, and what is doubtful; its spacing.
    normalization : Normalization
        What the encoder sees, one for the whole stack.

    Notes
    -----
    Moving a mask by dense optical flow and letting a segmentation network
    correct it is the idea of MaskTrack [1]_; the candidates and predicted IoU
    are those of SAM [2]_.

    References
    ----------
    .. [1] Perazzi et al., "Learning video object segmentation from static
       images", CVPR 2017.
    .. [2] Kirillov et al., "Segment Anything", ICCV 2023.
    """

    def __init__(
        self, predictor: PlanePredictor, options: PropagateOptions, normalization: Normalization
    ) -> None:
        self._predictor = predictor
        self._options = options
        self._normalization = normalization
        self._sigma = options.plane_step
        self._margin = int(_MARGIN + 2 * self._sigma)
        self._anchors: dict[tuple[int, int], Track] = {}
        self._shown: dict[int, Anchored] = {}  # each object where it was shown largest
        self._usual: dict[int, dict[int, float]] = {}  # how well it was confirmed, by anchor
        self._last: dict[Leg, Track] = {}
        self._moved: dict[Leg, _Moved] = {}
        self._picture: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._shape = (0, 0)

    # ------------------------------------------------------------------ where objects may be

    def propose(self, plane: Plane, anchors: Sequence[Seed], legs: Sequence[Leg]) -> list[Proposal]:
        """Look for objects on a plane; see `Strategy.propose`."""
        embedding = self._predictor.encode(plane.pixels, normalization=self._normalization)
        self._shape = embedding.shape
        self._picture = shrink(self._normalization.apply(plane.pixels))
        proposals = self._show_anchors(embedding, anchors)
        self._moved = self._move(legs)
        self._ask(embedding)
        for leg in legs:
            track, moved = self._recall(leg), self._moved.get(leg)
            if track is None or moved is None or moved.logits is None:
                proposals.append(Proposal.nothing(leg.object_id))
                continue
            carried = np.clip(moved.depth / self._sigma, -_MOVED_LIMIT, _MOVED_LIMIT)
            trust = _MODEL_WEIGHT * moved.agreement**_AGREEMENT_POWER
            logits = (carried + trust * moved.logits).astype(np.float32)
            found = Proposal(leg.object_id, moved.region, logits, moved.predicted_iou)
            which = self._options.components
            proposals.append(keep_components(found, track.region, track.mask, which))
        return proposals

    def _show_anchors(self, embedding: Embedding, anchors: Sequence[Seed]) -> list[Proposal]:
        prompts = [seed.prompt for seed in anchors if seed.prompt is not None]
        predictions = iter(self._predictor.predict_many(embedding, prompts, refine=True))
        proposals = []
        for seed in anchors:
            if seed.mask is None:
                proposals.append(Proposal.of(seed.object_id, next(predictions)))
                continue
            region, inside = tighten((0, 0, *seed.mask.shape), seed.mask)
            logits = np.where(inside, GIVEN_LOGIT, -GIVEN_LOGIT).astype(np.float32)
            proposals.append(Proposal(seed.object_id, region, logits, 1.0))
        return proposals

    def _move(self, legs: Sequence[Leg]) -> dict[Leg, _Moved]:
        flows: dict[int, Flow] = {}
        moved = {}
        for leg in legs:
            track = self._recall(leg)
            if track is None:  # competition left nothing of its anchor
                continue
            if track.plane not in flows:
                flows[track.plane] = estimate_flow(track.picture, self._picture, self._shape)
            region, depth = track.move(flows[track.plane], self._shape, self._margin)
            if (depth > 0).any():
                moved[leg] = _Moved(region, depth)
        return moved

    def _ask(self, embedding: Embedding) -> None:
        """Let the model look where objects have moved to."""
        prompts, windows = [], []
        for moved in self._moved.values():
            region, inside = tighten(moved.region, moved.depth > 0)
            low = np.maximum(np.array(region[:2]) - _BOX_ROOM, 0)
            high = np.minimum(np.array(region[2:]) + _BOX_ROOM, self._shape)
            logits = embedding.frame.mask_to_logits(inside, region)
            prompts.append(Prompt(box=(*low, *high)))
            prompts.append(Prompt(box=(*low, *high), logits=logits))
            windows += 2 * [join_regions([moved.region, self._around(region, embedding.frame)])]
        answers = self._predictor.predict_many(embedding, prompts, multimask=True, windows=windows)
        for number, (leg, moved) in enumerate(list(self._moved.items())):
            picks = [_pick(moved, answer) for answer in answers[2 * number : 2 * number + 2]]
            signs = np.array([pick[:2] for pick in picks])
            agreement, predicted_iou = signs.mean(axis=0)
            # The answer that is closer to the moved object has the greater say.
            weights = np.clip(signs.prod(axis=1), 1e-3, 1) ** _AGREEMENT_POWER
            said = np.clip([pick[2] for pick in picks], -_MODEL_LIMIT, _MODEL_LIMIT)
            logits = np.average(said, axis=0, weights=weights)
            self._moved[leg] = _Moved(
                moved.region, moved.depth, logits, float(agreement), float(predicted_iou)
            )

    def _around(self, region: Region, frame: Frame) -> Region:
        """A region with room for what a mask may hold that is not the object."""
        least = 2 * LOGITS_PER_CELL * max(self._shape) / frame.mask_size  # two cells
        room = [int(_WINDOW_ROOM * (region[a + 2] - region[a]) + least) for a in (0, 1)]
        low = [max(region[a] - room[a], 0) for a in (0, 1)]
        high = [min(region[a + 2] + room[a], self._shape[a]) for a in (0, 1)]
        return low[0], low[1], high[0], high[1]

    # ------------------------------------------------------------------ what becomes of them

    def settle_anchor(self, plane: Plane, proposal: Proposal, mask: NDArray[np.bool_]) -> Verdict:
        """Remember an anchor; see `Strategy.settle_anchor`."""
        area = int(np.count_nonzero(mask))
        if area and proposal.region is not None:
            track = self._first_track(plane, *tighten(proposal.region, mask))
            self._anchors[proposal.object_id, plane.index] = track
            # An anchor near an end is small and faint: what follows it is not to be judged by
            # that, if the object was shown elsewhere, too.
            known = self._shown.get(proposal.object_id, track.anchored)
            self._shown[proposal.object_id] = max(known, track.anchored, key=lambda a: a.area)
        score = float(np.clip(proposal.predicted_iou, 0, 1))
        reason = "" if area else "the prompt gave no mask, or its pixels belong to other objects"
        return Verdict("anchor" if area else "ended", reason, score, float("nan"))

    def settle(
        self, plane: Plane, leg: Leg, proposal: Proposal, mask: NDArray[np.bool_]
    ) -> Verdict:
        """Judge an object and remember it; see `Strategy.settle`."""
        track = self._recall(leg)
        if track is None or proposal.region is None:
            return Verdict("ended", "nothing found", 0.0, 0.0)
        claim = proposal.logits > 0
        claimed, left = int(np.count_nonzero(claim)), int(np.count_nonzero(mask))
        if claimed < self._options.min_area:
            return Verdict("ended", "nothing found", 0.0, 0.0)
        covered = left < 0.5 * claimed
        if covered and (track.covered < _MOST_COVERED or leg.closed):
            # Others lie over it here; further on they may not.
            self._remember(plane, leg, track, proposal.region, claim)
            return Verdict("doubtful", "mostly taken by a neighbour", 0.0, 0.0)
        if left < self._options.min_area:
            return Verdict("ended", "lost to a neighbour", 0.0, 0.0)
        joined = self._joined(leg, track, mask)
        # What has joined it is judged by its own way back; here the rest is judged.
        rest = mask if joined is None else mask & ~joined
        signs = self._signs(plane, leg, track, proposal, rest)
        score = confidence(signs)
        reason = self._stop_reason(plane, leg, track, proposal, rest, signs)
        if not reason and score < self._options.min_confidence:
            reason = "low confidence"
        if reason and not leg.closed and not proposal.is_known:
            return Verdict("ended", reason, score, signs.overlap)
        self._remember(plane, leg, track, proposal.region, mask, signs)
        if reason or score < self._options.doubtful_score:
            return Verdict("doubtful", reason or "low confidence", score, signs.overlap, joined)
        return Verdict("ok", "", score, signs.overlap, joined)

    def _joined(self, leg: Leg, track: Track, mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Find what lies too far from the moved object to be its rim."""
        moved = self._moved.get(leg)
        # Between two anchors the mask is that of both; a branch is met from the other one.
        both = leg.closed and self._options.direction == "both"
        if not self._options.branches or moved is None or both:
            return None
        joined = mask & (moved.depth < -rim_reach(self._options))
        area = int(np.count_nonzero(joined))
        # More than this is no branch but a flood, and ends the object.
        if not self._options.min_area <= area <= track.area * self._options.max_growth:
            return None
        return joined if (mask & ~joined).any() else None

    def _signs(
        self, plane: Plane, leg: Leg, track: Track, proposal: Proposal, mask: NDArray[np.bool_]
    ) -> Signs:
        """Collect what is known of an object's mask; neither it nor the region is empty."""
        moved, region = self._moved.get(leg), proposal.region or track.region
        agreement = 1.0 if moved is None else moved.agreement
        now = float(np.clip(agreement * proposal.predicted_iou, 0, 1))
        area = np.count_nonzero(mask)
        return Signs(
            agreement=agreement,
            predicted_iou=proposal.predicted_iou,
            overlap=region_iou(region, mask, track.region, track.mask),
            kept=float(area / np.count_nonzero(proposal.logits > 0)),
            change=float(np.log(area / track.anchored.area)),
            worst=min(track.worst, now),
            usual=float(np.mean(track.confirmed(now))),
            steps=abs(plane.index - leg.anchor),
        )

    def _stop_reason(
        self,
        plane: Plane,
        leg: Leg,
        track: Track,
        proposal: Proposal,
        mask: NDArray[np.bool_],
        signs: Signs,
    ) -> str:
        options = self._options
        if signs.predicted_iou < options.min_score:
            return "low predicted IoU"
        if np.count_nonzero(mask) > track.area * options.max_growth:
            return "grew too fast"
        if signs.overlap < options.min_overlap:
            return "low overlap with the previous plane"
        shown, usual = track.anchored, signs.usual
        if leg.branch == 0:
            shown = self._shown.get(leg.object_id, shown)
            known = self._usual.get(leg.object_id, {})
            usual = max([usual, *(u for anchor, u in known.items() if anchor != leg.anchor)])
        clear = shown.contrast
        presence = options.min_presence * (1.0 if clear is not None else _UNCLEAR)
        changed = abs(np.log(np.count_nonzero(mask) / shown.area))
        if signs.confirmation < usual * (presence + _AREA_WEIGHT * changed):
            return "no longer looks as it did near its anchor"
        if clear is not None and proposal.region is not None:
            stands_out = self._contrast(plane, proposal.region, mask)
            if stands_out is not None and stands_out.share_of(clear) < options.min_contrast:
                return "no longer stands out from its surroundings"
        return ""

    def _contrast(self, plane: Plane, region: Region, mask: NDArray[np.bool_]) -> Contrast | None:
        # Of an image pyramid the model sees a coarser level than the masks are written at.
        return contrast(plane.pixels, *resample(region, mask, self._shape, plane.shape))

    # ------------------------------------------------------------------ memory

    def _remember(
        self,
        plane: Plane,
        leg: Leg,
        track: Track,
        region: Region,
        mask: NDArray[np.bool_],
        signs: Signs | None = None,
    ) -> None:
        """Take a mask along to the next plane; without signs it is covered by others."""
        if signs is not None and leg.branch == 0:
            self._usual.setdefault(leg.object_id, {})[leg.anchor] = signs.usual
        self._last[leg] = Track(
            plane.index,
            self._picture,
            *tighten(region, mask),
            track.anchored,
            near=track.near if signs is None else track.confirmed(signs.confirmation),
            covered=track.covered + 1 if signs is None else 0,
            worst=track.worst if signs is None else signs.worst,
        )

    def _first_track(self, plane: Plane, region: Region, mask: NDArray[np.bool_]) -> Track:
        clear = self._contrast(plane, region, mask)
        contrast = clear if clear is not None and clear.is_clear else None
        anchored = Anchored(int(np.count_nonzero(mask)), contrast)
        return Track(plane.index, self._picture, region, mask, anchored)

    def start_branch(self, plane: Plane, leg: Leg, region: Region, mask: NDArray[np.bool_]) -> None:
        """Remember where a branch joined; see `BranchingStrategy.start_branch`."""
        self._last[leg] = self._first_track(plane, region, mask)

    def forget(self, leg: Leg) -> None:
        """Drop a leg's memory, and the anchor's after its last leg; see `Strategy.forget`."""
        self._last.pop(leg, None)
        if self._options.direction != "both" or leg.direction == BACKWARD:
            self._anchors.pop((leg.object_id, leg.anchor), None)

    def _recall(self, leg: Leg) -> Track | None:
        return self._last.get(leg) or self._anchors.get((leg.object_id, leg.anchor))


def _pick(moved: _Moved, answer: Prediction) -> tuple[float, float, NDArray[np.float32]]:
    """Choose the candidate that agrees best with the moved object: IoU, score, logits."""
    inside = moved.depth > 0
    area = np.count_nonzero(inside)
    options = []
    there = answer.frame.upsample(answer.logits, moved.region)
    for low, logits, score in zip(answer.logits, there, answer.scores, strict=True):
        both = np.count_nonzero(inside & (logits > 0))
        # The candidate may reach beyond the region, so its area is counted before upsampling,
        # in all that was drawn: a flood is a flood even if it goes on outside of the window.
        either = np.count_nonzero(low > 0) * answer.frame.pixels_per_logit + area - both
        options.append((float(both / max(either, 1.0)), float(score), logits))
    return max(options, key=lambda option: option[0] * option[1])
