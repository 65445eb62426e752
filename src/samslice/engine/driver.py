"""One run through the stack: what happens on each plane, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.engine.compete import compete
from samslice.engine.schedule import FORWARD
from samslice.engine.strategy import Plane
from samslice.engine.types import PlaneResult, PlaneStep

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from samslice.engine.label_store import LabelStore, Page
    from samslice.engine.options import PropagateOptions
    from samslice.engine.progress import Cancel, Progress
    from samslice.engine.schedule import Leg, Schedule
    from samslice.engine.strategy import Proposal, Strategy, Verdict
    from samslice.engine.types import Seed


class Driver:
    """One run through the stack: sweeps, competition, and the legs still alive.

    Parameters
    ----------
    volume : array-like of shape (planes, rows, columns) or (..., 3 or 4)
        Read one plane at a time.
    schedule : Schedule
        Which objects to look for on which plane.
    store : LabelStore
        What is written into.
    strategy : Strategy
        How objects are found on the next plane.
    options : PropagateOptions
        Whether objects compete.
    fresh : bool
        The labels are new: they hold no earlier results to take away.

    Attributes
    ----------
    was_cancelled : bool
        Whether it was cancelled before the end; a request during the last
        plane is too late.
    """

    def __init__(
        self,
        volume: Any,
        schedule: Schedule,
        store: LabelStore,
        strategy: Strategy,
        options: PropagateOptions,
        *,
        fresh: bool,
    ) -> None:
        self._volume = volume
        self._schedule = schedule
        self._store = store
        self._strategy = strategy
        self._options = options
        self._over: set[Leg] = set()
        self.was_cancelled = False
        self._fresh = fresh
        self._stale: dict[int, set[int]] = {}

    @property
    def labels(self) -> Any:
        """The labels that are written into."""
        return self._store.labels

    def run(self, progress: Progress, cancel: Cancel) -> Generator[PlaneStep, None, None]:
        """Visit every plane, and hand it back as it is done.

        Parameters
        ----------
        progress : Progress
            Told of every plane.
        cancel : Cancel
            Asked before every plane.

        Yields
        ------
        PlaneStep
            The plane, and what became of each object on it.
        """
        visits = [(d, p) for d in self._schedule.sweeps for p in self._schedule.planes(d)]
        progress.start(len(visits), "propagate")
        try:
            for done, (direction, index) in enumerate(visits, start=1):
                if cancel.is_set:
                    self.was_cancelled = True
                    return
                results = self._visit(direction, index)
                progress.advance()
                if results:
                    name = "forward" if direction == FORWARD else "backward"
                    yield PlaneStep(index, name, tuple(results), done, len(visits))
            self._erase_stale()
        finally:
            progress.done()

    def _visit(self, direction: int, index: int) -> list[PlaneResult]:
        anchors: Sequence[Seed] = ()
        standing: Sequence[Seed] = ()
        if direction == self._schedule.sweeps[0]:
            anchors = self._schedule.anchors.get(index, ())
            standing = self._schedule.standing.get(index, ())
        legs = [
            leg
            for leg in self._schedule.legs
            if leg.direction == direction and index in leg and leg not in self._over
        ]
        if not anchors and not legs and not standing:
            return []
        plane = Plane(index, np.asarray(self._volume[index]))
        page = self._store.open(index)
        as_drawn = [page.as_drawn(seed) for seed in standing]
        proposals = self._strategy.propose(plane, [*as_drawn, *anchors], legs)
        coming = {proposal.object_id for proposal in proposals[len(standing) :]}
        taken = self._store.taken(page, self._schedule.objects(index), coming)
        self._learn(plane, page, proposals[: len(standing)], taken)
        proposals = proposals[len(standing) :]
        masks = self._settle_pixels(proposals, taken, len(anchors))
        results = []
        ways: list[Leg | None] = [None] * len(anchors)
        for leg, proposal, mask in zip([*ways, *legs], proposals, masks, strict=True):
            if leg is None:
                verdict = self._strategy.settle_anchor(plane, proposal, mask)
            else:
                verdict = self._strategy.settle(plane, leg, proposal, mask)
                if verdict.status == "ended" or index == leg.last:
                    self._finish(leg, index)
            results.append(_result(index, proposal, mask, verdict))
        # Where masks may overlap, anchors and then the first of the others lie on top.
        for result in reversed(results):
            page.put(result.object_id, result.region, result.mask)
        if not self._options.compete:
            results = [page.visible(result) for result in results]
        self._store.close(page, {r.object_id for r in results if r.region is not None})
        return results

    def _learn(
        self,
        plane: Plane,
        page: Page,
        proposals: Sequence[Proposal],
        taken: NDArray[np.bool_],
    ) -> None:
        """Tell the strategy of anchors that stay as they are, for the legs that start there."""
        for proposal in proposals:
            mask = np.zeros((0, 0), bool)
            if proposal.region is not None:
                row0, col0, row1, col1 = proposal.region
                here = np.s_[row0:row1, col0:col1]
                mine = page.before[here] == proposal.object_id
                mask = (proposal.logits > 0) & (mine | ~taken[here])
            self._strategy.settle_anchor(plane, proposal, mask)

    def _settle_pixels(
        self, proposals: Sequence[Proposal], taken: NDArray[np.bool_], n_anchors: int
    ) -> list[NDArray[np.bool_]]:
        """Anchors choose first: what the user has shown outranks what has travelled here."""
        share = not self._options.compete
        shown = compete(proposals[:n_anchors], taken, share=share)
        if not share:
            for proposal, mask in zip(proposals, shown, strict=False):
                if proposal.region is not None:
                    row0, col0, row1, col1 = proposal.region
                    taken[row0:row1, col0:col1] |= mask
        return shown + compete(proposals[n_anchors:], taken, share=share)

    def _finish(self, leg: Leg, index: int) -> None:
        self._over.add(leg)
        self._strategy.forget(leg)
        if self._fresh:
            return
        for beyond in range(index + leg.direction, leg.last + leg.direction, leg.direction):
            self._stale.setdefault(beyond, set()).add(leg.object_id)

    def _erase_stale(self) -> None:
        """Take earlier results off the planes that objects no longer reach."""
        for index, object_ids in self._stale.items():
            page = self._store.open(index)
            for object_id in object_ids:
                page.put(object_id, None, np.zeros((0, 0), bool))
            self._store.close(page, set())


def _result(
    index: int, proposal: Proposal, mask: NDArray[np.bool_], verdict: Verdict
) -> PlaneResult:
    region = proposal.region
    if verdict.status == "ended" or not mask.any():
        region, mask = None, np.zeros((0, 0), bool)
    return PlaneResult(
        proposal.object_id,
        index,
        region,
        mask,
        verdict.status,
        verdict.reason,
        verdict.score,
        proposal.predicted_iou,
        verdict.overlap,
    )
