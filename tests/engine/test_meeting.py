"""Laws of two sweeps that meet: nearer anchors and larger ones have the greater say."""

from __future__ import annotations

import numpy as np
import pytest

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
    found = Meeting(PropagateOptions())
    for anchor in (0, 10):
        found.note_anchor(1, anchor, np.ones((10, 10), bool))
    return found


def joined(meeting, plane, before, now):
    held = Held(result_of(before, plane), FORWARD)
    proposal = meeting.join(page_of(plane, o1=before), held, BACKWARD, proposal_of(now))
    mask = np.zeros(SHAPE, bool)
    row0, col0, row1, col1 = proposal.region
    mask[row0:row1, col0:col1] = proposal.logits > 0
    return mask


def test_between_two_anchors_a_rim_moves_evenly(meeting):
    """A disc of 4 columns at one anchor and of 24 at the other: the width follows the plane."""
    small, large = box(5, 18, 25, 22), box(5, 8, 25, 32)
    widths = [joined(meeting, p, small, large)[15].sum() for p in range(1, 10)]
    expected = [4 + 2 * p for p in range(1, 10)]
    assert np.abs(np.array(widths) - expected).max() <= 1


def test_what_both_ways_say_is_kept(meeting):
    mask = box(5, 8, 25, 32)
    for plane in (1, 5, 9):
        np.testing.assert_array_equal(joined(meeting, plane, mask, mask), mask)


def test_the_anchor_on_which_the_object_is_larger_has_the_greater_say(meeting):
    small, large = box(5, 18, 25, 22), box(5, 8, 25, 32)
    even = joined(meeting, 5, small, large).sum()
    meeting.note_anchor(1, 0, np.ones((2, 2), bool))
    assert joined(meeting, 5, small, large).sum() > even


@pytest.mark.parametrize(("plane", "left"), [(2, True), (8, False)])
def test_where_both_ways_are_apart_the_one_with_the_greater_say_is_taken(meeting, plane, left):
    """Their mean would be nothing at all."""
    before, now = box(5, 2, 15, 10), box(5, 25, 15, 35)
    np.testing.assert_array_equal(joined(meeting, plane, before, now), before if left else now)


@pytest.mark.parametrize("nothing", [Proposal.nothing(1), proposal_of(box(0, 0, 0, 0))])
def test_nothing_proposed_stays_nothing(meeting, nothing):
    mask = box(5, 8, 25, 32)
    held = Held(result_of(mask, 5), FORWARD)
    assert meeting.join(page_of(5, o1=mask), held, BACKWARD, nothing) is nothing


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (("ok", "", 0.9), ("ok", "", 0.8), ("ok", "")),
        (("doubtful", "low confidence", 0.2), ("ok", "", 0.9), ("doubtful", "low confidence")),
        (("doubtful", "low confidence", 0.5), ("ok", "", 0.9), ("ok", "")),
        (("doubtful", "grew too fast", 0.9), ("ok", "", 0.9), ("ok", "")),
        (("ok", "", 0.9), ("doubtful", "grew too fast", 0.9), ("doubtful", "grew too fast")),
    ],
)
def test_the_score_of_a_joined_mask_is_that_of_both_ways(meeting, before, now, expected):
    """On a plane in the middle, where both have the same say."""
    mask = box(5, 8, 25, 32)
    status, reason, score = before
    held = Held(result_of(mask, 5, status=status, reason=reason, score=score), FORWARD)
    said = meeting.agree(
        held, BACKWARD, result_of(mask, 5, status=now[0], reason=now[1], score=now[2])
    )
    assert (said.status, said.reason) == expected
    assert said.score == pytest.approx((score + now[2]) / 2)


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
        (box(5, 10, 25, 20), "doubtful", "mostly taken by a neighbour", 2 / 12),
        (box(5, 8, 25, 20), "ended", "lost to a neighbour", 0),
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
    assert result.area == np.count_nonzero(before & ~lost)
    assert (result.region is None) == (status == "ended")


def test_what_is_left_on_a_plane_is_taken_once(meeting):
    """So that nothing is remembered of planes that were passed."""
    meeting.leave(FORWARD, result_of(box(5, 8, 25, 32), 5))
    meeting.leave(FORWARD, result_of(box(0, 0, 0, 0), 6))
    assert meeting.take(5)[1].steps == 5
    assert meeting.take(5) == meeting.take(6) == {}
