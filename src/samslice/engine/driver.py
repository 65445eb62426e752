"""One run through the stack: what happens on each plane, and in which order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from samslice.engine.branches import MOST_TURNS, Branches
from samslice.engine.compete import compete
from samslice.engine.meeting import Meeting
from samslice.engine.regions import region_iou
from samslice.engine.schedule import FORWARD
from samslice.engine.strategy import Plane
from samslice.engine.types import PlaneResult, PlaneStep

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from numpy.typing import NDArray

    from samslice.engine.label_store import LabelStore, Page
    from samslice.engine.meeting import Held, Joined
    from samslice.engine.options import PropagateOptions
    from samslice.engine.progress import Cancel, Progress
    from samslice.engine.schedule import Leg, Schedule
    from samslice.engine.strategy import BranchingStrategy, Proposal, Strategy, Verdict
    from samslice.engine.types import Seed


_KNOWN = 0.5  # IoU with what the labels showed, from which on it is the same

_Visited = tuple["list[PlaneResult]", "set[int]"]
"""What was found on a plane, and which objects it was cleared of."""


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
        Whether objects compete, and whether branches are followed.
    fresh : bool
        The labels are new: they hold no earlier results to take away.

    Attributes
    ----------
    was_cancelled : bool
        Whether it was cancelled before the end; a request during the last
        plane is too late.

    Raises
    ------
    TypeError
        If branches are to be followed and the strategy cannot.
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
        self._branching = _branching(strategy) if options.branches else None
        self._branches = Branches(schedule, options)
        self._ways: Sequence[Leg] = ()
        self._over: set[Leg] = set()
        self._done = self._total = 0
        self.was_cancelled = False
        self._fresh = fresh
        again = schedule.planes(schedule.sweeps[-1]) if len(schedule.sweeps) > 1 else ()
        self._meeting = Meeting(options, frozenset(again))
        self._stale = {} if fresh else {p: set(ids) for p, ids in schedule.absent.items()}

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
        whole = [(d, p) for d in self._schedule.sweeps for p in self._schedule.planes(d)]
        yield from self._sweep("propagate", whole, self._visit, progress, cancel)
        if self.was_cancelled:
            return
        yield from self._erase_stale()
        for _ in range(MOST_TURNS):
            self._ways = self._branches.take()
            if not self._ways:
                return
            back = sorted(
                {(way.direction, p * way.direction) for way in self._ways for p in way.planes}
            )
            visits = [(direction, order * direction) for direction, order in back]
            yield from self._sweep("follow branches", visits, self._visit_ways, progress, cancel)

    def _sweep(
        self,
        description: str,
        visits: Sequence[tuple[int, int]],
        visit: Callable[[int, int], _Visited],
        progress: Progress,
        cancel: Cancel,
    ) -> Generator[PlaneStep, None, None]:
        """Visit (direction, plane) in order, unless cancelled."""
        self._total += len(visits)
        progress.start(len(visits), description)
        try:
            for direction, index in visits:
                if cancel.is_set:
                    self.was_cancelled = True
                    return
                visited = visit(direction, index)
                self._done += 1
                progress.advance()
                if any(visited):
                    yield self._step(index, direction, *visited)
        finally:
            progress.done()

    def _step(
        self, index: int, direction: int, results: Sequence[PlaneResult], gone: Iterable[int]
    ) -> PlaneStep:
        name = "forward" if direction == FORWARD else "backward"
        return PlaneStep(index, name, tuple(results), self._done, self._total, tuple(sorted(gone)))

    def _visit(self, direction: int, index: int) -> _Visited:
        anchors: Sequence[Seed] = ()
        standing: Sequence[Seed] = ()
        if direction == self._schedule.sweeps[0]:
            anchors = self._schedule.anchors.get(index, ())
            standing = self._schedule.standing.get(index, ())
        legs = self._at_hand(self._schedule.legs, direction, index)
        if not anchors and not legs and not standing:
            return [], set()
        plane = Plane(index, np.asarray(self._volume[index]))
        page = self._store.open(index)
        gone = self._take_stale(page)
        held = self._meeting.take(index)
        as_drawn = [page.as_drawn(seed) for seed in standing]
        proposals = self._strategy.propose(plane, [*as_drawn, *anchors], legs)
        shown = proposals[len(standing) : len(standing) + len(anchors)]
        moved = dict(zip(legs, proposals[len(standing) + len(anchors) :], strict=True))
        joined = self._join(page, held, moved)
        moved |= {leg: one.proposal for leg, one in joined.items()}
        if self._schedule.is_correction:
            moved = {leg: _with_known(page, proposal) for leg, proposal in moved.items()}
        coming = {p.object_id for p in (*shown, *moved.values()) if (p.logits > 0).any()}
        taken = self._taken(page, gone, held, coming)
        self._learn(plane, page, proposals[: len(standing)], taken)
        results = self._draw_anchors(plane, shown, taken)
        stay = {object_id: one for object_id, one in held.items() if object_id not in coming}
        for leg, result in self._draw_legs(plane, page, stay, moved, taken).items():
            if leg.object_id in held and result.region is None:
                continue  # what came from the other anchor stays
            result = self._meeting.agree(joined[leg], result) if leg in joined else result
            results.append(result)
            if direction != self._schedule.sweeps[-1]:
                self._meeting.leave(leg, result)
        # Where masks may overlap, anchors and then the first of the others lie on top.
        for result in reversed(results):
            page.put(result.object_id, result.region, result.mask)
        drawn = {result.object_id for result in results}
        results += self._meeting.yielded(page, [h for o, h in held.items() if o not in drawn])
        if not self._options.compete:
            results = [page.visible(result) for result in results]
        self._store.close(page, {r.object_id for r in results if r.region is not None})
        if self._branching is not None:
            self._branches.note(results)
        return results, gone

    def _join(
        self, page: Page, held: dict[int, Held], moved: dict[Leg, Proposal]
    ) -> dict[Leg, Joined]:
        """Draw objects that stand here already from both of their anchors."""
        found = {
            leg: self._meeting.join(page, held[leg.object_id], leg, proposal)
            for leg, proposal in moved.items()
            if leg.object_id in held
        }
        return {leg: joined for leg, joined in found.items() if joined is not None}

    def _taken(
        self, page: Page, gone: set[int], held: dict[int, Held], coming: set[int]
    ) -> NDArray[np.bool_]:
        """Find pixels that nobody may have, whatever his reasons."""
        awaited = self._schedule.objects(page.index) | gone
        rivals = held.keys() if self._options.compete else set()
        return self._store.taken(page, awaited, coming | rivals)

    def _draw_anchors(
        self, plane: Plane, proposals: Sequence[Proposal], taken: NDArray[np.bool_]
    ) -> list[PlaneResult]:
        """Anchors choose first: what the user has shown outranks what has travelled here."""
        masks = compete(proposals, taken, share=not self._options.compete)
        results = []
        for proposal, mask in zip(proposals, masks, strict=True):
            verdict = self._strategy.settle_anchor(plane, proposal, mask)
            results.append(_result(plane.index, proposal, mask, verdict))
            self._meeting.note_anchor(proposal.object_id, plane.index, mask)
            if self._options.compete and proposal.region is not None:
                row0, col0, row1, col1 = proposal.region
                taken[row0:row1, col0:col1] |= mask
        return results

    def _draw_legs(
        self,
        plane: Plane,
        page: Page,
        stay: dict[int, Held],
        moved: dict[Leg, Proposal],
        taken: NDArray[np.bool_],
    ) -> dict[Leg, PlaneResult]:
        """Let what has travelled here compete, with each other and with what stays here."""
        claims = list(moved.values())
        if self._options.compete:
            claims = [self._meeting.restrain(page, stay, *one) for one in moved.items()]
        masks = compete(claims, taken, share=not self._options.compete)
        results = self._settle_legs(plane, list(moved), list(moved.values()), masks)
        return dict(zip(moved, results, strict=True))

    def _visit_ways(self, direction: int, index: int) -> _Visited:
        """Follow branches back, after everything else is settled."""
        ways = self._at_hand(self._ways, direction, index)
        if not ways:
            return [], set()
        plane = Plane(index, np.asarray(self._volume[index]))
        page = self._store.open(index)
        proposals = self._strategy.propose(plane, (), ways)
        # Nor does a branch take what its own object has: where most of it is that, it ends.
        taken = self._store.taken(page, self._schedule.objects(index), set())
        masks = compete(proposals, taken, share=not self._options.compete)
        results = self._settle_legs(plane, ways, proposals, masks)
        united = self._branches.unite(page, results)
        self._store.close(page, {r.object_id for r in united if r.region is not None})
        return [page.visible(result) for result in united], set()

    def _at_hand(self, legs: Sequence[Leg], direction: int, index: int) -> list[Leg]:
        return [
            leg
            for leg in legs
            if leg.direction == direction and index in leg and leg not in self._over
        ]

    def _settle_legs(
        self,
        plane: Plane,
        legs: Sequence[Leg],
        proposals: Sequence[Proposal],
        masks: Sequence[NDArray[np.bool_]],
    ) -> list[PlaneResult]:
        """Judge what has travelled here, and see what has joined it."""
        results = []
        for leg, proposal, mask in zip(legs, proposals, masks, strict=True):
            verdict = self._strategy.settle(plane, leg, proposal, mask)
            # Much that joins an object is none of it; where that was apart it must be seen well.
            if leg.branch and plane.index == leg.planes[0] and verdict.status != "ok":
                verdict = replace(verdict, status="ended", reason="no branch was found")
            result = _result(plane.index, proposal, mask, verdict)
            if self._branching is not None:
                for way, region, part in self._branches.watch(leg, result, verdict.joined):
                    self._branching.start_branch(plane, way, region, part)
            if verdict.status == "ended" or plane.index == leg.last:
                self._finish(leg, plane.index)
            results.append(result)
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
            self._meeting.note_anchor(proposal.object_id, plane.index, mask)

    def _finish(self, leg: Leg, index: int) -> None:
        self._over.add(leg)
        self._strategy.forget(leg)
        comes_again = leg.closed and leg.direction != self._schedule.sweeps[-1]
        if self._fresh or leg.branch or comes_again:
            return
        for beyond in range(index + leg.direction, leg.last + leg.direction, leg.direction):
            self._stale.setdefault(beyond, set()).add(leg.object_id)

    def _take_stale(self, page: Page) -> set[int]:
        """Take earlier results off a plane that objects no longer reach; say which objects'."""
        gone = self._stale.pop(page.index, set()) - self._store.found(page.index)
        for object_id in gone:
            page.put(object_id, None, np.zeros((0, 0), bool))
        return gone

    def _erase_stale(self) -> Generator[PlaneStep, None, None]:
        """Do so on the planes that were not visited since."""
        for index in sorted(self._stale):
            page = self._store.open(index)
            gone = self._take_stale(page)
            self._store.close(page, set())
            if gone:
                yield self._step(index, self._schedule.sweeps[-1], (), gone)


def _with_known(page: Page, proposal: Proposal) -> Proposal:
    """Note whether the labels showed much the same before."""
    mine = page.before == proposal.object_id
    if proposal.region is None or not mine.any():
        return proposal
    overlap = region_iou(proposal.region, proposal.logits > 0, (0, 0, *mine.shape), mine)
    return replace(proposal, is_known=overlap >= _KNOWN)


def _branching(strategy: Strategy) -> BranchingStrategy:
    if callable(getattr(strategy, "start_branch", None)):
        return cast("BranchingStrategy", strategy)
    raise TypeError(
        f"branches is True, but the strategy {type(strategy).__name__} has no start_branch; give "
        "a BranchingStrategy, or set branches to False."
    )


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
