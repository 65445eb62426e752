"""Laws of a whole run, with objects that appear, drift and vanish at random."""

from __future__ import annotations

import numpy as np
import pytest

from samslice.engine.options import PropagateOptions
from samslice.engine.propagate import iter_propagate, propagate
from samslice.engine.strategy import Proposal, Verdict
from samslice.engine.types import Prompt, Seed

SHAPE = (14, 24, 24)
FINISHED = 7


class AtRandom:
    """Discs that depend on the object, the plane and the direction alone."""

    def __init__(self, number, options):
        self.number, self.options = number, options
        self.middles = np.random.default_rng(number).integers(5, 19, (6, 2))

    def find(self, object_id, plane, direction):
        rng = np.random.default_rng([self.number, object_id, plane, direction + 1])
        if direction and rng.random() < 0.1:
            return Proposal.nothing(object_id)
        row, col = self.middles[object_id] + rng.integers(-3, 4, 2)
        radius = 0.5 if rng.random() < 0.1 else rng.uniform(2, 5)
        rows, cols = np.mgrid[: SHAPE[1], : SHAPE[2]]
        logits = (radius - np.hypot(rows - row, cols - col)).astype(np.float32)
        return Proposal(object_id, (0, 0, *SHAPE[1:]), logits, 0.9)

    def propose(self, plane, anchors, legs):
        shown = [(seed.object_id, 0) for seed in anchors]
        coming = [(leg.object_id, leg.direction) for leg in legs]
        return [self.find(o, plane.index, direction) for o, direction in shown + coming]

    def settle_anchor(self, plane, proposal, mask):
        return Verdict("anchor" if mask.any() else "ended", "", 0.9, float("nan"))

    def settle(self, plane, leg, proposal, mask):
        claimed, left = np.count_nonzero(proposal.logits > 0), np.count_nonzero(mask)
        if claimed < self.options.min_area:
            return Verdict("ended", "nothing found", 0.0, 0.0)
        if left < 0.5 * claimed and leg.closed:
            return Verdict("doubtful", "mostly taken by a neighbour", 0.0, 0.0)
        rng = np.random.default_rng([self.number, leg.object_id, plane.index, 9])
        score = rng.random()
        if left < self.options.min_area or (rng.random() < 0.1 and not leg.closed):
            return Verdict("ended", "lost", score, 0.5)
        sure = score >= self.options.doubtful_score
        return Verdict("ok" if sure else "doubtful", "" if sure else "low confidence", score, 0.5)

    def forget(self, leg):
        pass


def seeds_of(rng):
    """Three objects with up to four anchors and end marks each."""
    for object_id in (1, 2, 3):
        planes = rng.choice(SHAPE[0], rng.integers(1, 5), replace=False)
        for number, plane in enumerate(planes.tolist()):
            if number and rng.random() < 0.25:
                yield Seed(object_id, plane, ends=True)
            else:
                yield Seed(object_id, plane, prompt=Prompt(points=[(5, 5)]))


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
@pytest.mark.parametrize("compete", [True, False])
@pytest.mark.parametrize("number", range(12))
def test_what_is_said_last_of_an_object_and_plane_is_what_the_labels_show(
    number, direction, compete
):
    rng = np.random.default_rng(number)
    seeds = list(seeds_of(rng))
    options = PropagateOptions(direction=direction, compete=compete)
    labels = rng.choice([0, 0, 0, 0, 1, 2, 3, FINISHED], SHAPE).astype(np.uint8)
    start = labels.copy()
    volume = np.zeros(SHAPE, np.uint8)

    def run(into):
        strategy = AtRandom(number, options)
        return iter_propagate(None, volume, seeds, options=options, labels=into, strategy=strategy)

    said = {}
    for step in run(labels):
        for object_id in step.gone:
            said.pop((object_id, step.plane), None)
        said |= {(result.object_id, result.plane): result for result in step.results}
    for (object_id, plane), result in said.items():
        shown = np.zeros(SHAPE[1:], bool)
        if result.region is not None:
            row0, col0, row1, col1 = result.region
            shown[row0:row1, col0:col1] = result.mask
        np.testing.assert_array_equal(labels[plane] == object_id, shown)
        assert (result.status == "ended") <= (result.area == 0)
        if result.status == "ok":
            assert result.area > 0
            assert result.score >= options.doubtful_score
    np.testing.assert_array_equal(labels == FINISHED, start == FINISHED)
    before = labels.copy()
    for _ in run(labels):
        pass
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("number", range(12))
def test_new_labels_are_those_of_a_run_into_empty_ones(number):
    seeds = list(seeds_of(np.random.default_rng(number)))
    options, volume = PropagateOptions(), np.zeros(SHAPE, np.uint8)
    new, given = (
        propagate(
            None,
            volume,
            seeds,
            options=options,
            labels=labels,
            strategy=AtRandom(number, options),
        ).labels
        for labels in (None, np.zeros(SHAPE, np.uint8))
    )
    np.testing.assert_array_equal(new, given)


class Still(AtRandom):
    """Each object is where its last mask was."""

    def __init__(self, options):
        super().__init__(0, options)
        self.masks = {}

    def propose(self, plane, anchors, legs):
        found = [(seed.object_id, seed.mask) for seed in anchors]
        known = [self.masks.get(leg, self.masks.get((leg.object_id, leg.anchor))) for leg in legs]
        found += zip((leg.object_id for leg in legs), known, strict=True)
        region = (0, 0, *SHAPE[1:])
        return [Proposal(o, region, np.where(m, 5, -5).astype(np.float32), 1.0) for o, m in found]

    def settle_anchor(self, plane, proposal, mask):
        self.masks[proposal.object_id, plane.index] = mask
        return Verdict("anchor", "", 1.0, float("nan"))

    def settle(self, plane, leg, proposal, mask):
        whole = np.zeros(SHAPE[1:], bool)
        row0, col0, row1, col1 = proposal.region
        whole[row0:row1, col0:col1] = mask
        self.masks[leg] = whole
        return Verdict("ok", "", 0.9, 1.0)


@pytest.mark.parametrize("shift", [0, 1, 2, 8, 14])
def test_an_object_between_two_anchors_is_never_smaller_than_on_both(shift):
    """However little what comes from one has in common with what comes from the other."""
    masks = np.zeros((2, *SHAPE[1:]), bool)
    masks[0, 2:10, 2:10] = masks[1, 2 + shift : 10 + shift, 2 + shift : 10 + shift] = True
    seeds = [Seed(1, plane, mask=mask) for plane, mask in zip((0, 10), masks, strict=True)]
    options = PropagateOptions(last_plane=10)
    volume = np.zeros(SHAPE, np.uint8)
    result = propagate(None, volume, seeds, options=options, strategy=Still(options))
    areas = np.count_nonzero(result.labels, axis=(1, 2))[:11]
    assert areas.min() >= 0.75 * 64
    between = result.table[result.table.plane.between(1, 9)]
    apart = shift >= 2  # an IoU below a half
    assert (between.status == "doubtful").any() == apart


class Asked(Still):
    """Also notes on which planes an earlier run is said to have found the same."""

    def settle(self, plane, leg, proposal, mask):
        self.known = {**getattr(self, "known", {}), plane.index: proposal.is_known}
        return super().settle(plane, leg, proposal, mask)


def test_a_correction_knows_where_the_labels_showed_the_same_before():
    """So that an object does not end there; in a run of everything nothing is known."""
    mask = np.zeros(SHAPE[1:], bool)
    mask[4:12, 4:12] = True
    seeds = [Seed(1, 3, mask=mask)]
    options, volume = PropagateOptions(), np.zeros(SHAPE, np.uint8)
    labels = np.zeros(SHAPE, np.uint8)
    labels[:6, 4:12, 4:11] = 1  # a column less, which is much the same
    labels[6:9, 10:20, 10:20] = 1  # this is not
    for corrected, known in ([(1, 3)], {0, 1, 2, 4, 5}), (None, set()):
        strategy, now = Asked(options), labels.copy()
        propagate(
            None,
            volume,
            seeds,
            options=options,
            labels=now,
            strategy=strategy,
            corrected=corrected,
        )
        assert {plane for plane, is_known in strategy.known.items() if is_known} == known
