"""Laws of two sweeps that meet: nearer anchors and larger ones have the greater say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from samslice.engine.label_store import Page
from samslice.engine.meeting import Held, Meeting
from samslice.engine.options import PropagateOptions
from samslice.engine.schedule import Leg
from samslice.engine.strategy import Proposal
from samslice.engine.types import PlaneResult

SHAPE = (30, 40)
FORWARD = Leg(1, 0, 1, 9, closed=True)
BACKWARD = Leg(1, 10, -1, 1, closed=True)


def box(row0, col0, row1, col1):
    mask = np.zeros(SHAPE, bool)
    mask[row0:row1, col0:col1] = True
    return mask


def result_of(mask, plane, object_id=1, status="ok", reason="", score=0.9):
    region = (0, 0, *SHAPE) if mask.any() else None
    return PlaneResult(object_id, plane, region, mask, status, reason, score, 0.9, 0.9)


def proposal_of(mask, object_id=1):
    return Proposal(object_id, (0, 0, *SHAPE), np.where(mask, 5, -5).astype(np.float32), 0.8)


def page_of(plane, **masks):
    labels = np.zeros(SHAPE, np.uint8)
    for name, mask in masks.items():
        labels[mask] = int(name[1:])
    return Page(plane, labels)


@pytest.fixture
def meeting():
    found = Meeting(PropagateOptions(), range(10))
    for anchor in (0, 10):
        found.note_anchor(1, anchor, np.ones((10, 10), bool))
    return found


def join(meeting, plane, before, now, **said):
    held = Held(result_of(before, plane, **said), FORWARD)
    held = replace(held, result=replace(held.result, mask=np.zeros((0, 0), bool)))
    return meeting.join(page_of(plane, o1=before), held, BACKWARD, proposal_of(now))


def joined(meeting, plane, before, now):
    proposal = join(meeting, plane, before, now).proposal
    mask = np.zeros(SHAPE, bool)
    row0, col0, row1, col1 = proposal.region
    mask[row0:row1, col0:col1] = proposal.logits > 0
    return mask


def areas_between(meeting, small, large):
    return [joined(meeting, p, small, large).sum() for p in range(1, 10)]


NARROW, WIDE = box(5, 14, 25, 26), box(5, 10, 25, 30)


def disc(row, col, radius):
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(rows - row, cols - col) <= radius


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NARROW, WIDE),
        (NARROW, box(2, 14, 22, 26)),  # rims that cross: their mean encloses less than each
        (disc(15, 20, 9.4), disc(15, 20, 8.8)),
        (disc(15, 18, 9.4), disc(15, 22, 6)),
    ],
)
def test_between_two_anchors_of_the_same_size_the_area_changes_evenly(meeting, first, second):
    expected = np.interp(np.arange(1, 10), [0, 10], [first.sum(), second.sum()])
    areas = areas_between(meeting, first, second)
    np.testing.assert_allclose(areas, expected, atol=0.5)


def test_a_rim_lies_between_the_two_rims(meeting):
    first, second = disc(15, 18, 9.4), disc(15, 22, 6)
    for plane in range(1, 10):
        mask = joined(meeting, plane, first, second)
        assert not (mask & ~ndimage.binary_dilation(first | second)).any()
        assert (mask | ~ndimage.binary_erosion(first & second)).all()


def test_the_anchor_on_which_the_object_is_larger_has_the_greater_say(meeting):
    even = areas_between(meeting, NARROW, WIDE)
    meeting.note_anchor(1, 0, np.ones((5, 4), bool))
    areas = areas_between(meeting, NARROW, WIDE)
    assert areas == sorted(areas)
    assert all(a >= b for a, b in zip(areas, even, strict=True))
    assert sum(areas) > sum(even)


def test_what_both_ways_say_is_kept(meeting):
    mask = box(5, 8, 25, 32)
    for plane in (1, 5, 9):
        np.testing.assert_array_equal(joined(meeting, plane, mask, mask), mask)


@pytest.mark.parametrize(("plane", "first"), [(2, True), (8, False)])
@pytest.mark.parametrize("now", [box(5, 25, 15, 35), box(12, 7, 22, 17)])
def test_where_both_ways_have_next_to_nothing_in_common_the_nearer_is_taken(
    meeting, plane, first, now
):
    """However large the object is on the other anchor: there it is something else."""
    before = box(5, 2, 15, 10)
    meeting.note_anchor(1, 10 if first else 0, np.ones((60, 60), bool))
    np.testing.assert_array_equal(joined(meeting, plane, before, now), before if first else now)
    said = meeting.agree(join(meeting, plane, before, now), result_of(before, plane))
    assert said.status == "doubtful"
    assert said.reason == "its anchors disagree on this plane"
    assert said.score < 0.4


@pytest.mark.parametrize("nothing", [Proposal.nothing(1), proposal_of(box(0, 0, 0, 0))])
def test_what_is_nothing_one_way_is_not_joined(meeting, nothing):
    mask = box(5, 8, 25, 32)
    held = Held(result_of(mask, 5), FORWARD)
    assert meeting.join(page_of(5, o1=mask), held, BACKWARD, nothing) is None
    gone = Held(replace(held.result, mask=np.zeros((0, 0), bool)), FORWARD)
    assert meeting.join(page_of(5), gone, BACKWARD, proposal_of(mask)) is None


def test_a_joined_mask_stands_up_to_others_as_what_is_found_now(meeting):
    mask = box(5, 8, 25, 32)
    weak = Proposal(1, (0, 0, *SHAPE), np.where(mask, 0.1, -0.1).astype(np.float32), 0.9)
    held = Held(result_of(mask, 5), FORWARD)
    for proposal, least in ((proposal_of(mask), 5), (weak, 0.1)):
        logits = meeting.join(page_of(5, o1=mask), held, BACKWARD, proposal).proposal.logits
        assert logits[logits > 0].min() == pytest.approx(max(least, 0.25), rel=0.01)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (0.9, ("ok", "", 0.8), ("ok", "")),
        (0.2, ("ok", "", 0.9), ("doubtful", "low confidence")),
        (0.9, ("doubtful", "low confidence", 0.5), ("ok", "")),
        (0.9, ("doubtful", "grew too fast", 0.9), ("doubtful", "grew too fast")),
    ],
)
def test_the_score_of_a_joined_mask_is_that_of_both_ways(meeting, before, now, expected):
    """On a plane in the middle, where both have the same say; what is said of the mask stays."""
    mask = box(5, 8, 25, 32)
    both = join(meeting, 5, mask, mask, score=before)
    said = meeting.agree(both, result_of(mask, 5, status=now[0], reason=now[1], score=now[2]))
    assert (said.status, said.reason) == expected
    assert said.score == pytest.approx((before + now[2]) / 2)


@pytest.mark.parametrize(("steps", "restrained"), [(1, False), (2, True), (3, True)])
def test_pixels_stay_with_who_is_as_near_to_his_anchor_or_nearer(meeting, steps, restrained):
    theirs = box(5, 8, 25, 20)
    held = {2: Held(result_of(theirs, 5, 2), Leg(2, 3, 1, 9, closed=False))}
    leg = Leg(1, 5 + steps, -1, 0, closed=False)
    claim = box(5, 15, 25, 30)
    proposal = meeting.restrain(page_of(5, o2=theirs), held, leg, proposal_of(claim))
    np.testing.assert_array_equal(proposal.logits > 0, claim & ~theirs if restrained else claim)


@pytest.mark.parametrize(
    ("lost", "status", "reason", "share"),
    [
        (box(5, 18, 25, 20), "ok", "", 10 / 12),
        (box(5, 15, 25, 20), "doubtful", "low confidence", 7 / 12),
        (box(5, 10, 25, 20), "doubtful", "mostly taken by a neighbour", 2 / 12),
        (box(5, 8, 25, 20), "ended", "lost to a neighbour", 0),
        (box(5, 8, 25, 20) & ~box(5, 8, 8, 9), "ended", "lost to a neighbour", 0),
    ],
)
def test_who_yields_is_told_of_with_what_is_left_to_him(meeting, lost, status, reason, share):
    before = box(5, 8, 25, 20)
    page = page_of(5, o2=before)
    held = Held(result_of(before, 5, 2), Leg(2, 3, 1, 9, closed=False))
    assert meeting.yielded(page, [held]) == []
    page.put(1, (0, 0, *SHAPE), lost)
    (result,) = meeting.yielded(page, [held])
    assert (result.status, result.reason) == (status, reason)
    assert result.score == pytest.approx(0.9 * share)
    assert result.area == np.count_nonzero(page.pixels == 2)
    assert (result.region is None) == (status == "ended")


def test_only_what_the_other_sweep_comes_to_is_kept_and_once(meeting):
    meeting.leave(FORWARD, result_of(box(5, 8, 25, 32), 5))
    meeting.leave(FORWARD, result_of(box(0, 0, 0, 0), 6))
    meeting.leave(FORWARD, result_of(box(5, 8, 25, 32), 12))
    held = meeting.take(5)[1]
    assert (held.steps, held.result.mask.size) == (5, 0)
    assert meeting.take(5) == meeting.take(6) == meeting.take(12) == {}


def test_without_competition_the_whole_mask_is_kept():
    """Others may lie over it in the labels."""
    found = Meeting(PropagateOptions(compete=False), range(10))
    mask = box(5, 8, 25, 32)
    found.leave(FORWARD, result_of(mask, 5))
    held = found.take(5)[1]
    covered = page_of(5, o1=mask, o2=box(5, 8, 25, 20))
    proposal = found.join(covered, held, BACKWARD, proposal_of(mask)).proposal
    assert np.count_nonzero(proposal.logits > 0) == np.count_nonzero(mask)
