"""The default strategy: what an object was on the last plane prompts the next one.

The low-resolution logits and the box of the object's last mask go into the
next plane's prompt; of the decoder's three candidates the one is taken that
agrees best with the last mask, weighted by the IoU that the model predicts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from samslice.engine.evidence import Contrast, contrast, resample
from samslice.engine.schedule import BACKWARD
from samslice.engine.strategy import Plane, Proposal, Verdict
from samslice.engine.types import Box, Embedding, Prediction, Prompt, Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.normalize import Normalization
    from samslice.engine.options import PropagateOptions
    from samslice.engine.predictor import Predictor
    from samslice.engine.schedule import Leg
    from samslice.engine.types import Seed

GIVEN_LOGIT = 32.0
"""Logit of a mask that the user gave: above what the decoder ever says."""


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """What is remembered of an object on the last plane where it was found."""

    logits: NDArray[np.float16]
    region: Region
    mask: NDArray[np.bool_]
    area: int
    anchor_contrast: Contrast | None

    @property
    def box(self) -> Box:
        row0, col0, row1, col1 = self.region
        return (float(row0), float(col0), float(row1), float(col1))


class MemoryPromptStrategy:
    """Previous logits and box prompt the next plane; the steadiest candidate wins.

    Parameters
    ----------
    predictor : Predictor
        Model and cache.
    options : PropagateOptions
        When an object ends, and what is doubtful.
    normalization : Normalization
        What the encoder sees, one for the whole stack.
    """

    def __init__(
        self, predictor: Predictor, options: PropagateOptions, normalization: Normalization
    ) -> None:
        self._predictor = predictor
        self._options = options
        self._normalization = normalization
        self._anchors: dict[tuple[int, int], _Memory] = {}
        self._last: dict[Leg, _Memory] = {}
        self._seen: dict[int, NDArray[np.float32]] = {}
        self._shape = (0, 0)

    def propose(self, plane: Plane, anchors: Sequence[Seed], legs: Sequence[Leg]) -> list[Proposal]:
        """Look for objects on a plane; see `Strategy.propose`."""
        embedding = self._predictor.encode(plane.pixels, normalization=self._normalization)
        self._seen.clear()
        self._shape = embedding.shape
        proposals = self._show_anchors(embedding, anchors)
        known = {leg: self._recall(leg) for leg in legs}
        prompts = [
            Prompt(box=m.box, logits=m.logits.astype(np.float32)) for m in known.values() if m
        ]
        predictions = iter(self._predictor.predict_many(embedding, prompts, multimask=True))
        for leg, memory in known.items():
            if memory is None:  # competition left nothing of its anchor
                proposals.append(Proposal.nothing(leg.object_id))
            else:
                proposals.append(self._choose(leg.object_id, memory, next(predictions)))
        return proposals

    def _show_anchors(self, embedding: Embedding, anchors: Sequence[Seed]) -> list[Proposal]:
        prompts = [s.prompt if s.prompt is not None else Prompt(mask=s.mask) for s in anchors]
        predictions = self._predictor.predict_many(embedding, prompts)
        proposals = []
        for seed, prediction in zip(anchors, predictions, strict=True):
            if seed.mask is None:
                proposals.append(self._propose(seed.object_id, prediction, 0))
                continue
            region = _bounds(seed.mask)
            inside = seed.mask[region[0] : region[2], region[1] : region[3]]
            logits = np.where(inside, GIVEN_LOGIT, -GIVEN_LOGIT).astype(np.float32)
            self._seen[seed.object_id] = embedding.frame.mask_to_logits(seed.mask)
            proposals.append(Proposal(seed.object_id, region, logits, 1.0))
        return proposals

    def _propose(self, object_id: int, prediction: Prediction, candidate: int) -> Proposal:
        logits = prediction.logits[candidate]
        score = float(prediction.scores[candidate])
        self._seen[object_id] = logits
        region = prediction.frame.logits_region(logits)
        if region is None:
            return Proposal.nothing(object_id, score)
        return Proposal(object_id, region, prediction.frame.upsample(logits, region), score)

    def _choose(self, object_id: int, memory: _Memory, prediction: Prediction) -> Proposal:
        before = memory.logits > 0
        agreement = [
            _iou(logits > 0, before) * score
            for logits, score in zip(prediction.logits, prediction.scores, strict=True)
        ]
        proposal = self._propose(object_id, prediction, int(np.argmax(agreement)))
        return keep_components(proposal, memory.region, memory.mask, self._options.components)

    def settle_anchor(self, plane: Plane, proposal: Proposal, mask: NDArray[np.bool_]) -> Verdict:
        """Remember an anchor; see `Strategy.settle_anchor`."""
        area = int(np.count_nonzero(mask))
        if area and proposal.region is not None:
            clear = self._contrast(plane, proposal.region, mask)
            clear = clear if clear is not None and clear.is_clear else None
            memory = self._remember(proposal, mask, area, clear)
            self._anchors[proposal.object_id, plane.index] = memory
        score = float(np.clip(proposal.predicted_iou, 0, 1))
        reason = "" if area else "the prompt gave no mask, or its pixels belong to other objects"
        return Verdict("anchor" if area else "ended", reason, score, float("nan"))

    def settle(
        self, plane: Plane, leg: Leg, proposal: Proposal, mask: NDArray[np.bool_]
    ) -> Verdict:
        """Judge an object and remember it; see `Strategy.settle`."""
        memory = self._recall(leg)
        area = int(np.count_nonzero(mask))
        if memory is None or proposal.region is None or area < self._options.min_area:
            lost = proposal.region is not None and bool((proposal.logits > 0).any())
            return Verdict("ended", "lost to a neighbour" if lost else "nothing found", 0.0, 0.0)
        overlap = _region_iou(proposal.region, mask, memory.region, memory.mask)
        score = float(np.clip(overlap * proposal.predicted_iou, 0, 1))
        reason = self._stop_reason(memory, proposal.predicted_iou, overlap, area)
        if not reason and self._has_faded(plane, memory, proposal.region, mask):
            reason = "no longer stands out from its surroundings"
        if reason and not leg.closed:
            return Verdict("ended", reason, score, overlap)
        self._last[leg] = self._remember(proposal, mask, area, memory.anchor_contrast)
        if reason or score < self._options.doubtful_score:
            return Verdict("doubtful", reason or "low confidence", score, overlap)
        return Verdict("ok", "", score, overlap)

    def _stop_reason(self, memory: _Memory, predicted_iou: float, overlap: float, area: int) -> str:
        options = self._options
        if predicted_iou < options.min_score:
            return "low predicted IoU"
        if area > memory.area * options.max_growth:
            return "grew too fast"
        if overlap < options.min_overlap:
            return "low overlap with the previous plane"
        return ""

    def _has_faded(
        self, plane: Plane, memory: _Memory, region: Region, mask: NDArray[np.bool_]
    ) -> bool:
        if memory.anchor_contrast is None:
            return False
        now = self._contrast(plane, region, mask)
        return now is not None and now.share_of(memory.anchor_contrast) < self._options.min_contrast

    def _contrast(self, plane: Plane, region: Region, mask: NDArray[np.bool_]) -> Contrast | None:
        # Of an image pyramid the model sees a coarser level than the masks are written at.
        return contrast(plane.pixels, *resample(region, mask, self._shape, plane.shape))

    def forget(self, leg: Leg) -> None:
        """Drop a leg's memory, and the anchor's after its last leg; see `Strategy.forget`."""
        self._last.pop(leg, None)
        if self._options.direction != "both" or leg.direction == BACKWARD:
            self._anchors.pop((leg.object_id, leg.anchor), None)

    def _recall(self, leg: Leg) -> _Memory | None:
        return self._last.get(leg) or self._anchors.get((leg.object_id, leg.anchor))

    def _remember(
        self, proposal: Proposal, mask: NDArray[np.bool_], area: int, clear: Contrast | None
    ) -> _Memory:
        tight = _bounds(mask)
        inside = mask[tight[0] : tight[2], tight[1] : tight[3]].copy()
        row0, col0 = (proposal.region or (0, 0))[:2]
        region = (tight[0] + row0, tight[1] + col0, tight[2] + row0, tight[3] + col0)
        logits = self._seen[proposal.object_id].astype(np.float16)
        return _Memory(logits, region, inside, area, clear)


def _bounds(mask: NDArray[np.bool_]) -> Region:
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def _region_iou(
    region_a: Region, mask_a: NDArray[np.bool_], region_b: Region, mask_b: NDArray[np.bool_]
) -> float:
    """IoU of two masks that are given inside regions of the same plane."""
    common = _crop(region_a, mask_a, region_b) & mask_b
    both = np.count_nonzero(common)
    return both / (np.count_nonzero(mask_a) + np.count_nonzero(mask_b) - both)


def _crop(region: Region, mask: NDArray[np.bool_], window: Region) -> NDArray[np.bool_]:
    """Part of a mask that lies in a window, as large as the window."""
    out = np.zeros((window[2] - window[0], window[3] - window[1]), bool)
    row0, col0 = max(region[0], window[0]), max(region[1], window[1])
    row1, col1 = min(region[2], window[2]), min(region[3], window[3])
    if row0 < row1 and col0 < col1:
        part = mask[row0 - region[0] : row1 - region[0], col0 - region[1] : col1 - region[1]]
        out[row0 - window[0] : row1 - window[0], col0 - window[1] : col1 - window[1]] = part
    return out


def keep_components(
    proposal: Proposal, region: Region, mask: NDArray[np.bool_], which: str
) -> Proposal:
    """Drop connected parts of a proposal that do not continue the previous mask.

    Parameters
    ----------
    proposal : Proposal
        What the model found.
    region, mask : tuple of int, ndarray of bool
        The object on the previous plane.
    which : str
        ``"overlapping"``: parts that overlap the previous mask;
        ``"largest"``: the one that overlaps it most; ``"all"``.

    Returns
    -------
    Proposal
        With the logits of dropped parts made negative. If no part overlaps,
        all are kept, for the overlap to judge.
    """
    if proposal.region is None or which == "all":
        return proposal
    parts, count = ndimage.label(proposal.logits > 0)
    hits = np.bincount(parts[_crop(region, mask, proposal.region)], minlength=count + 1)
    hits[0] = 0
    if count <= 1 or not hits.any():
        return proposal
    kept = [int(np.argmax(hits))] if which == "largest" else np.flatnonzero(hits)
    dropped = (parts > 0) & ~np.isin(parts, kept)
    logits = np.where(dropped, np.float32(-GIVEN_LOGIT), proposal.logits)
    return replace(proposal, logits=logits)
