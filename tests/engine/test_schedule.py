"""Every plane of an object is visited once, from the right anchor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samslice.engine.options import PropagateOptions
from samslice.engine.schedule import make_schedule
from samslice.engine.types import Prompt, Seed

CLICK = Prompt(points=[(1, 1)])


def seeds(*planes, ends=(), object_id=1):
    found = [Seed(object_id, p, prompt=CLICK) for p in planes]
    return found + [Seed(object_id, p, ends=True) for p in ends]


def visited(schedule):
    return {(leg.direction, p) for leg in schedule.legs for p in leg.planes}


def test_one_anchor_covers_the_stack_both_ways():
    plan = make_schedule(seeds(3), 8, PropagateOptions())
    assert visited(plan) == {(1, p) for p in range(4, 8)} | {(-1, p) for p in range(3)}
    assert plan.planes(1) == [3, 4, 5, 6, 7]
    assert plan.planes(-1) == [2, 1, 0]


def test_anchors_share_the_planes_between_them():
    plan = make_schedule(seeds(2, 7), 10, PropagateOptions())
    assert {(1, 3), (1, 4), (-1, 5), (-1, 6)} <= visited(plan)
    between = [leg for leg in plan.legs if leg.last in (4, 5)]
    assert all(leg.closed for leg in between)


def test_end_marks_stop_both_sides():
    plan = make_schedule(seeds(2, 8, ends=[5]), 12, PropagateOptions())
    planes = {p for _, p in visited(plan)}
    assert 5 not in planes
    assert (1, 4) in visited(plan)
    assert (-1, 6) in visited(plan)
    assert not any(leg.closed for leg in plan.legs)


def test_one_direction_runs_up_to_the_next_anchor():
    plan = make_schedule(seeds(2, 6), 10, PropagateOptions(direction="forward"))
    assert visited(plan) == {(1, p) for p in (3, 4, 5, 7, 8, 9)}


def test_range_limits_the_legs():
    options = PropagateOptions(first_plane=2, last_plane=5)
    plan = make_schedule(seeds(4), 10, options)
    assert {p for _, p in visited(plan)} == {2, 3, 5}


@given(
    anchors=st.sets(st.integers(0, 19), min_size=1, max_size=6),
    ends=st.sets(st.integers(0, 19), max_size=4),
    direction=st.sampled_from(["both", "forward", "backward"]),
)
def test_planes_between_anchors_are_reached_from_both_and_no_end_is_crossed(
    anchors, ends, direction
):
    """Legs of one object reach no anchor and no end mark, and meet only between two anchors."""
    ends = ends - anchors
    plan = make_schedule(seeds(*anchors, ends=ends), 20, PropagateOptions(direction=direction))
    planes = [p for leg in plan.legs for p in leg.planes]
    marks = sorted(anchors | ends)
    for plane in set(range(20)) - anchors - ends:
        below = max((m for m in marks if m < plane), default=None)
        above = min((m for m in marks if m > plane), default=None)
        sides = (below in anchors and direction != "backward") + (
            above in anchors and direction != "forward"
        )
        assert planes.count(plane) == sides
    assert not set(planes) & (anchors | ends)
    if direction == "both" and not ends:
        assert set(planes) | anchors == set(range(20))


def test_a_correction_is_carried_to_its_neighbours_and_they_towards_it():
    plan = make_schedule(seeds(2, 8, 14, 17), 20, PropagateOptions(), [(1, 8)])
    between = (3, 4, 5, 6, 7, 9, 10, 11, 12, 13)
    assert visited(plan) == {(way, p) for way in (1, -1) for p in between}
    assert list(plan.anchors) == [8]
    assert sorted(plan.standing) == [2, 14]
    assert plan.objects(8) == {1}
    assert plan.objects(2) == plan.objects(15) == set()


@given(
    anchors=st.sets(st.integers(0, 19), min_size=1, max_size=6),
    ends=st.sets(st.integers(0, 19), max_size=4),
    direction=st.sampled_from(["both", "forward", "backward"]),
    data=st.data(),
)
def test_corrections_plan_the_legs_of_a_whole_run_and_no_others(anchors, ends, direction, data):
    """All that lies within the next mark of a corrected anchor, as in a run of everything."""
    ends = ends - anchors
    changed = data.draw(st.sets(st.sampled_from(sorted(anchors)), min_size=1))
    marks, options = seeds(*anchors, ends=ends), PropagateOptions(direction=direction)
    whole = make_schedule(marks, 20, options)
    plan = make_schedule(marks, 20, options, [(1, plane) for plane in changed])

    def is_near(leg):
        ahead = [p for p in anchors | ends if (p - leg.anchor) * leg.direction > 0]
        nearest = min(ahead, key=lambda p: abs(p - leg.anchor), default=None)
        return leg.anchor in changed or nearest in changed

    assert list(plan.legs) == [leg for leg in whole.legs if is_near(leg)]
    assert set(plan.anchors) == changed
    # Where the object may end, all anchors tell what it looks like.
    looked_at = {leg.anchor for leg in plan.legs}
    if not all(leg.closed for leg in plan.legs):
        looked_at = anchors
    assert set(plan.standing) == looked_at - changed


@pytest.mark.parametrize(
    ("corrected", "words"),
    [
        ([], "corrected is empty"),
        ([(1, 4)], "object 1 is said to be corrected on plane 4.*seeds are on planes 2, 6, 8"),
        ([(2, 6)], "object 2 is said to be corrected on plane 6.*on planes none"),
    ],
)
def test_a_correction_that_is_no_seed_is_refused(corrected, words):
    with pytest.raises(ValueError, match=words):
        make_schedule(seeds(2, 8, ends=[6]), 10, PropagateOptions(), corrected)


@pytest.mark.parametrize(
    ("given_seeds", "words"),
    [
        ([], "no seeds"),
        (seeds(10), "plane 10"),
        (seeds(3) + seeds(3), "two seeds on plane 3"),
        (seeds(3, ends=[3]), "two seeds on plane 3"),
        (seeds(ends=[3]), "end marks only"),
    ],
)
def test_impossible_seeds_are_refused(given_seeds, words):
    with pytest.raises(ValueError, match=words):
        make_schedule(given_seeds, 10, PropagateOptions())


def test_a_range_beyond_the_stack_is_refused():
    with pytest.raises(ValueError, match="exceeds the stack"):
        make_schedule(seeds(3), 10, PropagateOptions(last_plane=10))


def test_an_end_mark_keeps_the_object_off_all_that_no_other_anchor_reaches():
    alone = make_schedule(seeds(4, ends=[6, 8]), 12, PropagateOptions())
    assert {p for p, ids in alone.absent.items() if ids == {1}} == set(range(6, 12))
    between = make_schedule(seeds(4, 10, ends=[6, 8]), 12, PropagateOptions())
    assert set(between.absent) == {6, 7, 8}
    assert all(set(between.absent).isdisjoint(leg.planes) for leg in between.legs)


def test_a_corrected_end_mark_affects_only_the_ways_that_lead_to_it():
    given = [*seeds(4, ends=[7]), *seeds(4, object_id=2)]
    schedule = make_schedule(given, 12, PropagateOptions(), corrected=[(1, 7)])
    assert [(leg.object_id, *leg.planes) for leg in schedule.legs] == [(1, 5, 6)]
    assert not schedule.anchors
    assert set(schedule.absent) == {7, 8, 9, 10, 11}
