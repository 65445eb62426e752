"""Propagation from a session: anchors, ends, corrections, one step of the history."""

from dataclasses import replace

import numpy as np
import pytest

from samslice.engine.options import PropagateOptions
from samslice.session.labels import Patch
from samslice.session.table import Row
from samslice.session.view import View


def planes_of(session, object_id=1):
    return sorted(set(np.nonzero(session.labels == object_id)[0].tolist()))


def test_an_object_goes_through_the_stack_to_its_ends(session, heard, draw_disc):
    session.add_point((4, 20, 20))
    log = heard(session)
    session.propagate()
    assert planes_of(session) == list(range(2, 8))
    for plane in range(2, 8):
        np.testing.assert_array_equal(session.labels[plane], draw_disc((20, 20)))
    table = session.table.set_index("plane")
    assert table.status.to_dict() == {
        1: "ended", 2: "ok", 3: "ok", 4: "anchor", 5: "ok", 6: "ok", 7: "ok", 8: "ended",
    }  # fmt: skip
    assert table.reason[1]
    assert (table.area.loc[2:7] == draw_disc((20, 20)).sum()).all()
    steps = [e for e in log if e[0] == "progress"]
    assert [e[1] for e in steps] == ["propagate"] * len(steps)
    assert [e[2] for e in steps] == sorted(e[2] for e in steps)
    assert all(0 <= e[2] <= e[3] and e[4] >= 0 for e in steps)
    assert {e[2] for e in log if e[0] == "mask_changed"} == set(range(1, 9))
    assert not session.is_propagating


def test_objects_on_their_way_are_looked_for_near_where_they_were(session, model):
    """And an anchor on the whole plane, as the click was that showed it."""
    session.add_point((4, 20, 20))
    assert model.windows == [None]
    session.propagate()
    travelled = [window for window in model.windows if window is not None]
    assert travelled
    assert all(row0 <= 20 < row1 and col0 <= 20 < col1 for row0, col0, row1, col1 in travelled)


def test_a_propagation_is_one_step_of_the_history(session):
    session.add_point((4, 20, 20))
    before, table = session.labels.copy(), session.table
    session.propagate()
    after = session.labels.copy()
    assert session.undo_label == "propagate"
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert session.table.equals(table)
    session.redo()
    np.testing.assert_array_equal(session.labels, after)
    assert len(session.table) == 8


def test_all_pending_objects_go_together_else_those_with_prompts(session):
    session.add_point((4, 20, 20), object_id=1)
    session.add_point((5, 40, 40), object_id=2)
    session.commit([1])
    session.propagate()
    assert planes_of(session, 1) == [4]
    assert planes_of(session, 2) == list(range(2, 8))
    session.commit([2])
    session.propagate()  # nothing is pending: what was committed is carried
    assert planes_of(session, 1) == list(range(2, 8))
    session.undo()
    assert planes_of(session, 1) == [4]


def test_discard_after_a_propagation_takes_all_of_it(session):
    session.add_point((4, 20, 20))
    session.propagate()
    session.discard()
    assert not session.labels.any()
    session.undo()
    assert planes_of(session) == list(range(2, 8))
    session.commit()
    session.discard([1])
    assert planes_of(session) == list(range(2, 8))


def test_options_and_end_marks_limit_it(session):
    session.add_point((4, 20, 20))
    session.mark_end(1, 6)
    session.propagate(options=PropagateOptions(first_plane=3))
    assert planes_of(session) == [3, 4, 5]
    session.undo()
    session.unmark_end(1, 6)
    session.propagate(options=PropagateOptions(direction="backward"))
    assert planes_of(session) == [2, 3, 4]


def test_a_chosen_candidate_and_a_stroke_are_carried_as_they_are(session, draw_disc):
    session.add_point((4, 30, 30))
    session.choose(2)
    session.propagate()
    np.testing.assert_array_equal(session.labels[6], draw_disc((30, 30), 8))
    session.undo()
    index = (4, slice(10, 14), slice(10, 14))
    before = session.labels[index].copy()
    session.labels[index] = 1
    session.note_stroke([Patch(index, before, session.labels[index].copy())])
    session.propagate(options=PropagateOptions(components="all"))
    assert (session.labels[2:8, 10:14, 10:14] == 1).all()


def test_a_finished_object_without_prompts_goes_from_its_pixels(make, volume, draw_disc):
    labels = np.zeros(volume.shape, np.uint16)
    labels[4][draw_disc((30, 30), 6)] = 7
    session = make(labels=labels)
    session.propagate([7], plane=4)
    assert planes_of(session, 7) == list(range(2, 8))
    session.undo()
    session.plane = 4
    session.propagate(7)
    assert planes_of(session, 7) == list(range(2, 8))
    with pytest.raises(ValueError, match="neither prompts nor pixels on plane 9"):
        session.propagate([7], plane=9)


def test_others_keep_their_pixels_on_every_plane(session, draw_disc):
    session.add_point((5, 20, 27))
    session.commit()
    session.add_point((3, 20, 20))
    session.propagate()
    np.testing.assert_array_equal(session.labels[5] == 1, draw_disc((20, 27)))
    assert (session.labels[5] == 2).any()
    session.undo()
    session.overwrite = True
    session.propagate()
    np.testing.assert_array_equal(session.labels[5] == 2, draw_disc((20, 20)))
    session.undo()
    np.testing.assert_array_equal(session.labels[5] == 1, draw_disc((20, 27)))


def test_planes_that_are_no_longer_reached_are_cleared(session):
    session.add_point((4, 20, 20))
    session.propagate()
    session.mark_end(1, 6)
    session.propagate()
    assert planes_of(session) == [2, 3, 4, 5]
    session.unmark_end(1, 6)
    session.scene.image[6] = 0
    session.scene._keys.clear()
    session.propagate()
    assert planes_of(session) == [2, 3, 4, 5]
    assert 7 not in set(session.table.plane)


def test_a_correction_is_carried_to_the_neighbouring_anchors_only(session, draw_disc):
    session.add_point((2, 20, 20))
    session.add_point((7, 20, 20))
    session.propagate()
    session.add_point((5, 24, 20))
    before = session.labels.copy()
    session.repropagate(1, 5)
    assert session.undo_label == "propagate correction"
    changed = sorted(set(np.nonzero(session.labels != before)[0].tolist()))
    assert changed == [3, 4, 6]  # between its neighbours 2 and 7
    both = draw_disc((24, 20))
    assert (session.labels[4][both] == 1).mean() > (before[4][both] == 1).mean() + 0.1
    session.undo()
    np.testing.assert_array_equal(session.labels, before)


def test_a_correction_stops_at_end_marks_and_goes_on_where_there_is_no_anchor(session):
    session.add_point((5, 20, 20))
    session.propagate()
    session.mark_end(1, 3)
    session.add_point((5, 24, 20))
    session.repropagate(1, 5)
    corrected = [p for p in planes_of(session) if session.labels[p, 27, 20] == 1]
    assert corrected == [4, 5, 6, 7]
    with pytest.raises(ValueError, match="neither prompts nor pixels on plane 9"):
        session.repropagate(1, 9)


def test_what_lies_beyond_an_end_mark_goes_to_the_next_object_at_once(session):
    session.add_point((3, 20, 20))
    session.propagate()
    session.mark_end(1, 5)
    session.add_point((6, 20, 20), object_id=2)
    session.propagate([1, 2])
    assert planes_of(session, 1) == [2, 3, 4]
    assert planes_of(session, 2) == [5, 6, 7]


def test_what_an_object_no_longer_reaches_goes_to_the_next_at_once(session):
    """It ends by itself, earlier than before: what it had beyond is in nobody's way."""
    session.add_point((4, 20, 20))
    session.propagate()
    assert planes_of(session, 1) == [2, 3, 4, 5, 6, 7]
    session.scene.image[6] = 0
    session.scene._keys.clear()
    session.add_point((7, 20, 20), object_id=2)
    session.propagate([1, 2])
    assert planes_of(session, 1) == [2, 3, 4, 5]
    assert 7 in planes_of(session, 2)
    rows = session.table.set_index(["object", "plane"])
    assert (rows.area[1].loc[2:5] > 0).all()
    assert (1, 7) not in rows.index


def test_old_pixels_of_an_object_that_the_run_comes_to_later_are_in_nobodys_way(session):
    """Object 1 was shown to be elsewhere: what it had belongs to object 2 in the same run."""
    wrong = session.add_point((7, 20, 20), object_id=1)
    session.propagate()
    session.add_point((7, 45, 45), object_id=1)
    session.remove_prompt(wrong)
    session.add_point((2, 20, 20), object_id=2)
    before = session.labels.copy()
    session.propagate([1, 2])
    assert set(range(2, 8)) <= set(planes_of(session, 2))
    once = session.labels.copy()
    session.propagate([1, 2])
    np.testing.assert_array_equal(session.labels, once)
    session.undo()
    session.undo()
    np.testing.assert_array_equal(session.labels, before)


def test_a_wrong_click_that_is_taken_back_leaves_no_trace(session):
    """On a plane that was propagated, of an object that was finished before."""
    session.add_box(4, (13, 13, 28, 28), object_id=1)
    session.commit([1])
    session.propagate(1)
    key = (1, 6)
    labels, row = session.labels.copy(), session.table.set_index(["object", "plane"]).loc[key]
    wrong = session.add_point((6, 45, 45), object_id=1)
    session.remove_prompt(wrong)
    np.testing.assert_array_equal(session.labels, labels)
    assert session.table.set_index(["object", "plane"]).loc[key].equals(row)
    session.add_box(6, (16, 16, 22, 22), object_id=1)
    now = session.table.set_index(["object", "plane"]).loc[key]
    assert now.status == "anchor"
    assert now.area == np.count_nonzero(session.labels[6] == 1)


def test_a_mask_of_which_nothing_was_written_is_doubtful():
    """Others may have its pixels, or the user has erased them: in no case is it fine."""
    row = Row("forward", "ok", "", 0.9, 0.9, 0.9, 50)
    assert row.written(40) == replace(row, area=40)
    empty = row.written(0)
    assert (empty.status, empty.score, empty.area) == ("doubtful", 0.0, 0)
    ended = replace(row, status="ended", reason="nothing found", area=0)
    assert ended.written(0) == ended


def test_an_end_mark_is_a_correction_that_clears_what_lies_beyond(session):
    session.add_point((5, 20, 20))
    session.propagate()
    before = session.labels.copy()
    assert planes_of(session) == [2, 3, 4, 5, 6, 7]
    session.mark_end(1, 6)
    session.repropagate(1, 6)
    assert planes_of(session) == [2, 3, 4, 5]
    assert {6, 7}.isdisjoint(session.table.plane)
    session.undo()
    np.testing.assert_array_equal(session.labels, before)


def test_an_end_mark_opens_a_finished_object_so_that_propagate_heeds_it(session):
    session.add_point((5, 20, 20), object_id=1)
    session.propagate()
    session.commit([1])
    session.add_point((5, 40, 40), object_id=2)
    session.mark_end(1, 6)
    assert session.pending == {1, 2}
    session.propagate()
    assert planes_of(session, 1) == [2, 3, 4, 5]
    assert planes_of(session, 2) == [2, 3, 4, 5, 6, 7]


def test_corrections_of_several_objects_are_carried_in_one_step(session):
    for object_id, col in [(1, 20), (2, 40)]:
        session.add_point((2, 20, col), object_id=object_id)
        session.add_point((7, 20, col), object_id=object_id)
    session.propagate()
    for object_id, col in [(1, 20), (2, 40)]:
        session.add_point((5, 24, col), object_id=object_id)
    before = session.labels.copy()
    session.repropagate([1, 2], 5)
    assert session.undo_label == "propagate correction"
    for object_id in (1, 2):
        changed = (session.labels == object_id) != (before == object_id)
        assert np.flatnonzero(changed.any(axis=(1, 2))).tolist() == [3, 4, 6]
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    for nothing in ([], 5), (1, []):
        with pytest.raises(ValueError, match="no object or no plane is given"):
            session.repropagate(*nothing)


def test_a_correction_reaches_beyond_the_range_where_its_neighbours_lie_there(session):
    session.add_point((2, 20, 20))
    session.add_point((7, 20, 20))
    session.propagate()
    session.add_point((5, 24, 20))
    session.options = PropagateOptions(first_plane=3, last_plane=6, direction="forward")
    before = session.labels.copy()
    session.repropagate(1, 5)
    assert np.flatnonzero((session.labels != before).any(axis=(1, 2))).tolist() == [3, 4, 6]


def test_pixels_of_a_finished_object_are_carried_as_a_correction(make, volume, draw_disc):
    labels = np.zeros(volume.shape, np.uint16)
    labels[4][draw_disc((30, 30), 6)] = 7
    session = make(labels=labels)
    session.repropagate(7, 4)
    assert planes_of(session, 7) == list(range(2, 8))


def test_doubtful_planes_one_after_another(session):
    session.add_point((4, 20, 20))
    session.propagate(options=PropagateOptions(doubtful_score=0.95))
    planes = [2, 3, 5, 6, 7]
    assert session.doubtful() == (1, 2)
    seen, at = [], None
    for _ in planes:
        at = session.doubtful(at)
        seen.append(at[1])
    assert seen == planes
    assert session.doubtful(at) == (1, 2)
    assert session.doubtful(order="score") is not None
    session.add_point((3, 20, 20))  # a correction: no longer doubtful
    assert session.doubtful((1, 2)) == (1, 5)
    with pytest.raises(ValueError, match="allowed are 'plane' and 'score'"):
        session.doubtful(order="size")
    session.discard()
    assert session.doubtful() is None


def test_what_makes_no_sense_is_refused_before_it_starts(make, session):
    with pytest.raises(ValueError, match="no object has prompts"):
        session.propagate()
    session.add_point((4, 20, 20))
    with pytest.raises(ValueError, match="allowed are planes 6 to 9"):
        session.propagate(options=PropagateOptions(first_plane=6))
    assert session.undo_label == "click"
    flat = make(np.ones((64, 64), np.uint8))
    flat.add_point((20, 20))
    with pytest.raises(ValueError, match="one plane"):
        flat.propagate()
    with pytest.raises(ValueError, match="'propagate' and 'encode'"):
        session.cancel("predict")


def test_transposed_stacks_are_carried_too(make):
    volume = np.zeros((64, 10, 48), np.uint8)
    volume[:, 2:8] = 200
    session = make(volume, view=View((0, 0, 0), 2, 0, 1))
    session.add_point((20, 4, 30))
    session.propagate()
    assert sorted(set(np.nonzero(session.labels)[1].tolist())) == list(range(2, 8))
    assert session.labels[20, 6, 30] == 1
    session.undo()
    session.undo()
    assert not session.labels.any()


def test_another_time_is_carried_alone(make):
    volume = np.full((2, 4, 64, 64), 200, np.uint8)
    session = make(volume)
    session.set_view(session.view.at((1, 0, 0, 0)))
    session.add_point((1, 2, 20, 20))
    session.propagate()
    assert not session.labels[0].any()
    assert session.labels[1].any(axis=(1, 2)).all()


def test_what_it_will_cost(session, model):
    session.add_point((4, 20, 20))
    cost = session.estimate()
    assert (cost.planes, cost.to_encode) == (10, 9)
    assert cost.seconds > 0
    assert cost.ram_bytes == 9 * 64 * 64 * 4
    assert cost.disk_bytes == 0
    session.encode_ahead(4)
    assert len(model.encoded) == 10
    assert session.estimate().to_encode == 0
    assert session.estimate(options=PropagateOptions(direction="forward")).planes == 6
    assert session.is_ready(9)


def test_nothing_is_known_of_the_cost_before_the_first_plane(make, volume):
    labels = np.zeros(volume.shape, np.uint16)
    labels[4, 20, 20] = 1
    cost = make(labels=labels).estimate([1], plane=4)
    assert (cost.to_encode, cost.seconds, cost.ram_bytes, cost.disk_bytes) == (10, None, None, None)


def test_a_failure_keeps_what_is_done_and_can_be_undone(session, model, heard):
    session.add_point((4, 20, 20))
    before = session.labels.copy()

    def refuse(plane):
        if plane == 6:
            model.error = MemoryError("too large")

    session.plane_ready.connect(refuse)
    log = heard(session)
    session.propagate()
    problems = [e[1] for e in log if e[0] == "failed"]
    assert len(problems) == 1
    assert "too large" in str(problems[0])
    assert not session.is_propagating
    assert 6 in planes_of(session)
    assert 7 not in planes_of(session)
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    model.error = None
    session.plane_ready.disconnect(refuse)
    session.propagate()
    assert 7 in planes_of(session)


def test_errors_are_raised_where_nobody_listens(session, model):
    model.error = MemoryError("too large")
    with pytest.raises(MemoryError, match="too large"):
        session.add_point((4, 20, 20))
    assert not session.waiting
    model.error = None
    session.add_point((4, 24, 20))
    assert session.labels[4, 20, 20] == 1  # the first click still counts


def test_an_estimate_makes_no_masks(session, monkeypatch):
    """It is asked for at each click, on planes of any size."""
    session.add_point((4, 20, 20))
    session.propagate()
    session.add_point((6, 23, 20), positive=False)
    stroke_at = np.s_[5, 20:22, 30:32]
    before = session.labels[stroke_at].copy()
    session.labels[stroke_at] = 1
    session.note_stroke([Patch(stroke_at, before, session.labels[stroke_at].copy())])
    monkeypatch.setattr(session._painter, "pixels_of", None)
    assert session.estimate([1]).planes == 10
    monkeypatch.undo()
    with pytest.raises(ValueError, match="neither prompts nor pixels on plane 9"):
        session.estimate([2], plane=9)
