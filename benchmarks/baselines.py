"""Ways of propagation that other tools use, written anew as strategies for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import samslice as ss
from samslice.engine.schedule import Leg
from samslice.engine.strategy import Plane, Proposal, Verdict
from samslice.engine.types import Box, Seed


class PreviousMask:
    """The mask of the last plane prompts the next one; an object ends where they differ.

    One mask is asked for, objects know nothing of each other, and nothing else is
    remembered: the way of the strongest peer. Use it with ``compete=False``.

    Parameters
    ----------
    predictor : Predictor
        Model and cache.
    normalization : Normalization
        What the encoder sees.
    use_mask : bool
        Whether the mask itself is a prompt beside its box.
    min_overlap : float
        An object ends where the IoU with the last plane's mask is less.
    box_extension : float
        How far the box is extended on each side, as a share of its size.
    """

    def __init__(
        self,
        predictor: ss.Predictor,
        normalization: ss.Normalization,
        *,
        use_mask: bool,
        min_overlap: float = 0.8,
        box_extension: float = 0.025,
    ) -> None:
        self._predictor = predictor
        self._normalization = normalization
        self._use_mask = use_mask
        self._min_overlap = min_overlap
        self._box_extension = box_extension
        self._masks: dict[object, NDArray[np.bool_]] = {}
        self._shape = (0, 0)

    def propose(self, plane: Plane, anchors: Sequence[Seed], legs: Sequence[Leg]) -> list[Proposal]:
        """Prompt with what was found on the last plane."""
        embedding = self._predictor.encode(plane.pixels, normalization=self._normalization)
        self._shape = embedding.shape
        prompts = [seed.prompt for seed in anchors if seed.prompt is not None]
        if len(prompts) < len(anchors):
            raise ValueError("this baseline starts from prompts alone; give no mask.")
        known = {leg: self._recall(leg) for leg in legs}
        prompts += [self._prompt(mask) for mask in known.values() if mask is not None]
        answers = iter(self._predictor.predict_many(embedding, prompts, multimask=False))
        out = [Proposal.of(seed.object_id, next(answers)) for seed in anchors]
        for leg, mask in known.items():
            nothing = Proposal.nothing(leg.object_id)
            out.append(nothing if mask is None else Proposal.of(leg.object_id, next(answers)))
        return out

    def _prompt(self, mask: NDArray[np.bool_]) -> ss.Prompt:
        rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        box: Box = (float(rows[0]), float(cols[0]), rows[-1] + 1.0, cols[-1] + 1.0)
        by_row, by_col = (self._box_extension * (box[i + 2] - box[i]) for i in (0, 1))
        box = (
            max(0.0, box[0] - by_row),
            max(0.0, box[1] - by_col),
            min(float(mask.shape[0]), box[2] + by_row),
            min(float(mask.shape[1]), box[3] + by_col),
        )
        return ss.Prompt(box=box, mask=mask) if self._use_mask else ss.Prompt(box=box)

    def _recall(self, leg: Leg) -> NDArray[np.bool_] | None:
        mask = self._masks.get(leg)
        return mask if mask is not None else self._masks.get((leg.object_id, leg.anchor))

    def _paint(self, proposal: Proposal, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        out = np.zeros(self._shape, bool)
        if proposal.region is not None:
            row0, col0, row1, col1 = proposal.region
            out[row0:row1, col0:col1] = mask
        return out

    def settle_anchor(self, plane: Plane, proposal: Proposal, mask: NDArray[np.bool_]) -> Verdict:
        """Remember an anchor's mask."""
        if mask.any():
            self._masks[proposal.object_id, plane.index] = self._paint(proposal, mask)
        status = "anchor" if mask.any() else "ended"
        return Verdict(status, "", proposal.predicted_iou, float("nan"))

    def settle(
        self, plane: Plane, leg: Leg, proposal: Proposal, mask: NDArray[np.bool_]
    ) -> Verdict:
        """Go on where the mask is much like the last one."""
        before, now = self._recall(leg), self._paint(proposal, mask)
        union = 0 if before is None else np.count_nonzero(before | now)
        overlap = np.count_nonzero(before & now) / union if before is not None and union else 0.0
        if overlap < self._min_overlap:
            return Verdict("ended", "low overlap", overlap, overlap)
        self._masks[leg] = now
        return Verdict("ok", "", overlap, overlap)

    def forget(self, leg: Leg) -> None:
        """Drop a leg's mask; an anchor's may still be needed."""
        self._masks.pop(leg, None)
