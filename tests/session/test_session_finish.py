"""Commit, discard, overwrite: finished objects are safe, dropped ones leave no trace."""

import numpy as np
import pytest

from samslice.session.labels import Patch
from samslice.session.view import View


def stroke(session, index, label):
    """Paint as a person does: the labels change, then the session hears of it."""
    before = np.array(session.labels[index])
    session.labels[index] = label
    session.note_stroke([Patch(index, before, np.array(session.labels[index]))])


def test_commit_keeps_pixels_and_moves_on(session, heard):
    session.add_point((3, 20, 20))
    before = session.labels.copy()
    log = heard(session)
    assert session.commit() == [1]
    np.testing.assert_array_equal(session.labels, before)
    assert (session.current, session.pending, session.state.finished) == (2, set(), {1})
    assert "state_changed" in [e[0] for e in log]
    with pytest.raises(ValueError, match="object 1 is finished already; pending are"):
        session.commit([1])
    with pytest.raises(ValueError, match="object 2 has neither prompts nor pixels"):
        session.commit()


def test_commit_of_several_objects_is_one_step(session):
    for object_id in (1, 2, 3):
        session.add_point((3, 10, 15 * object_id), object_id=object_id)
    session.commit([1, 3])
    assert session.pending == {2}
    session.undo()
    assert session.pending == {1, 2, 3}


def test_finished_objects_keep_every_pixel_from_later_clicks(session, draw_disc):
    session.add_point((3, 20, 20))
    session.commit()
    finished = session.labels == 1
    session.add_point((3, 20, 24))
    np.testing.assert_array_equal(session.labels == 1, finished)
    np.testing.assert_array_equal(
        session.labels[3] == 2, draw_disc((20, 24)) & ~draw_disc((20, 20))
    )


def test_labels_that_were_there_before_are_finished(make, volume):
    labels = np.zeros(volume.shape, np.uint16)
    labels[3, :, :22] = 7
    start = labels.copy()
    session = make(labels=labels)
    session.add_point((3, 20, 22))
    assert (labels == 7).sum() == (start == 7).sum()
    assert (labels == 1).any()
    session.discard()
    np.testing.assert_array_equal(labels, start)


def test_overwrite_takes_finished_pixels_and_discard_gives_them_back(session, draw_disc):
    session.add_point((3, 20, 20))
    session.commit()
    before = session.labels.copy()
    session.add_point((3, 20, 24))
    session.overwrite = True
    np.testing.assert_array_equal(session.labels[3] == 2, draw_disc((20, 24)))
    session.overwrite = False
    np.testing.assert_array_equal(session.labels == 1, before == 1)
    session.overwrite = True
    session.cycle()  # a smaller candidate: the finished object gets pixels back
    np.testing.assert_array_equal(session.labels[3] == 2, draw_disc((20, 24), 3))
    assert (session.labels == 1).sum() > (before == 1).sum() - draw_disc((20, 24), 5).sum()
    session.discard()
    np.testing.assert_array_equal(session.labels, before)


def test_discard_takes_prompts_pixels_and_rows_and_can_be_undone(session):
    session.add_point((3, 20, 20))
    session.add_point((4, 20, 20))
    session.mark_end(1, 8)
    before = session.labels.copy()
    assert session.discard() == [1]
    assert not session.labels.any()
    assert not session.state.prompts
    assert not session.state.ends
    assert session.table.empty
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert len(session.table) == 2
    depth = session.undo_label
    session.discard([9])  # nothing to drop is no step
    assert session.undo_label == depth


def test_discarding_a_finished_object_keeps_its_pixels(session):
    session.add_point((3, 20, 20))
    session.commit()
    before = session.labels.copy()
    session.discard([1])
    np.testing.assert_array_equal(session.labels, before)
    assert not session.state.prompts


def test_a_finished_object_is_edited_again_and_dropped_edits_give_it_back(session, draw_disc):
    session.add_point((3, 20, 20))
    session.commit()
    before = session.labels.copy()
    session.current = 1
    assert session.pending == set()  # looking at it is not editing it
    session.add_point((3, 20, 28))
    assert session.pending == {1}
    np.testing.assert_array_equal(session.labels[3] == 1, draw_disc((20, 20)) | draw_disc((20, 28)))
    session.discard()
    np.testing.assert_array_equal(session.labels, before)


def test_brush_strokes_stay_through_later_clicks(session):
    session.add_point((3, 20, 20))
    stroke(session, (3, slice(40, 42), slice(40, 45)), 1)
    stroke(session, (3, slice(20, 21), slice(18, 21)), 0)
    session.add_point((3, 24, 20))
    assert (session.labels[3, 40:42, 40:45] == 1).all()
    assert (session.labels[3, 20, 18:21] == 0).all()
    assert session.labels[3, 27, 20] == 1
    session.remove_prompt(2)
    assert (session.labels[3, 40:42, 40:45] == 1).all()
    session.discard()
    assert not session.labels.any()


def test_a_stroke_is_a_step_of_the_history(session, draw_disc):
    session.add_point((3, 20, 20))
    stroke(session, (3, slice(40, 42), slice(40, 45)), 1)
    assert session.undo_label == "brush"
    session.undo()
    np.testing.assert_array_equal(session.labels[3], draw_disc((20, 20)))
    session.add_point((3, 24, 20))
    assert not session.labels[3, 40:42].any()
    session.undo()
    session.undo()
    assert not session.labels.any()


def test_a_stroke_nobody_told_of_survives_undo(session):
    session.add_point((3, 20, 20))
    session.labels[3, 50:52, 50:52] = 9
    session.labels[3, 20, 20] = 9
    session.undo()
    assert (session.labels == 9).sum() == 5
    assert set(np.unique(session.labels)) == {0, 9}


def test_an_object_made_by_brush_alone_is_kept_by_the_first_click(session, draw_disc):
    stroke(session, (3, slice(40, 50), slice(40, 50)), 1)
    session.add_point((3, 20, 20))
    assert (session.labels[3, 40:50, 40:50] == 1).all()
    assert session.labels[3, 20, 20] == 1


def test_a_stroke_over_a_finished_object_stays(session):
    session.add_point((3, 20, 20), object_id=1)
    session.commit([1])
    session.add_point((3, 20, 40), object_id=2)
    stroke(session, (3, slice(19, 22), slice(19, 22)), 2)
    session.add_point((3, 22, 40), object_id=2)
    assert (session.labels[3, 19:22, 19:22] == 2).all()


def test_a_stroke_over_many_planes_and_axes(make):
    session = make(np.full((2, 4, 64, 64), 9, np.uint8))
    session.add_point((0, 1, 20, 20))
    stroke(session, (0, slice(0, 3), slice(40, 44), slice(40, 44)), 1)
    planes = sorted(k.plane for k in session.state.corrections)
    assert planes == [0, 1, 2]
    session.add_point((0, 1, 24, 20))
    assert (session.labels[0, :3, 40:44, 40:44] == 1).all()
    session.note_stroke([])
    assert session.undo_label == "click"


def test_labels_of_a_target_are_written_through_it(make, volume):
    """As a napari layer's are: through an object with read and write."""

    class Layer:
        def __init__(self):
            self.data = np.zeros(volume.shape, np.int32)
            self.shape, self.dtype, self.writes = self.data.shape, self.data.dtype, []

        def read(self, index):
            return self.data[index].copy()

        def write(self, index, values):
            self.writes.append((index, values.size))
            self.data[index] = values

    layer = Layer()
    session = make(labels=layer)
    session.add_point((3, 20, 20))
    assert layer.writes == [((3, slice(16, 25), slice(16, 25)), 81)]
    assert session.labels is layer


def test_finished_objects_do_not_regain_what_they_lost_while_they_were_open(session, draw_disc):
    """The person has seen object 1 without those pixels, and committed that."""
    click = session.add_point((3, 20, 20))
    session.commit()
    session.move_prompt(click, (3, 50, 50))
    other = session.add_point((3, 20, 24), object_id=2)  # over what was object 1's
    session.commit(1)
    np.testing.assert_array_equal(session.labels[3] == 1, draw_disc((50, 50)))
    session.remove_prompt(other)
    np.testing.assert_array_equal(session.labels[3] == 1, draw_disc((50, 50)))
    assert not (session.labels == 2).any()
    for _ in range(2):
        session.undo()
    assert session.pending == {1, 2}
    np.testing.assert_array_equal(session.labels[3] == 2, draw_disc((20, 24)))


def test_a_stroke_over_an_open_object_is_final_when_that_is_finished(session):
    session.add_point((3, 20, 20), object_id=1)
    other = session.add_point((3, 40, 40), object_id=2)
    stroke(session, np.s_[3:4, 20:21, 18:23], 2)
    session.commit(1)
    finished = session.labels == 1
    session.discard(2)
    assert other not in [item.uid for item in session.state.prompts]
    np.testing.assert_array_equal(session.labels == 1, finished)


def test_an_object_made_by_brush_alone_is_finished_like_any_other(session, draw_disc):
    stroke(session, np.s_[3, 15:25, 15:25], 1)
    assert session.pending == {1}
    assert session.commit() == [1]
    assert (session.pending, session.current) == (set(), 2)
    painted = session.labels == 1
    session.add_point((3, 20, 26))
    np.testing.assert_array_equal(session.labels == 1, painted)
    session.discard()
    session.undo()
    session.undo()
    session.undo()
    assert session.pending == {1}
    session.redo()
    assert session.state.finished == {1}


def test_an_object_made_by_brush_alone_is_dropped_with_its_strokes(session, draw_disc):
    session.add_point((3, 20, 20), object_id=2)
    session.commit(2)
    before = session.labels.copy()
    stroke(session, np.s_[3, 18:22, 18:30], 1)
    painted = session.labels.copy()
    assert session.discard(1) == [1]
    np.testing.assert_array_equal(session.labels, before)
    assert not [key for key in session.state.corrections if key.object_id == 1]
    session.undo()
    np.testing.assert_array_equal(session.labels, painted)
    assert session.pending == {1}
    session.redo()
    np.testing.assert_array_equal(session.labels, before)


def test_a_label_that_only_lost_pixels_to_a_stroke_is_not_pending(session):
    session.labels[3, 10:30, 10:30] = 7
    stroke(session, np.s_[3, 15:20, 15:20], 0)
    stroke(session, np.s_[3, 25:28, 25:28], 2)
    assert session.pending == {2}


def test_what_a_propagation_found_stays_pending_when_the_click_is_deleted(session):
    click = session.add_point((4, 20, 20))
    session.propagate()
    session.remove_prompt(click)
    assert session.labels[5].any()
    assert not session.labels[4].any()
    assert session.pending == {1}
    assert session.next_object() == 2
    session.discard(1)
    assert not session.labels.any()


def test_the_id_of_a_finished_object_is_not_given_away_with_its_prompts(session):
    session.add_point((3, 20, 20))
    session.current = 2
    session.commit(1)
    session.discard(1)
    assert (session.labels == 1).any()
    assert session.next_object() == 2


def test_strokes_stay_through_later_clicks_in_a_view_that_crosses_them(session):
    """Each pixel is as the latest stroke over it says, in whichever view that was made."""
    along_rows = View((0, 0, 0), 0, 2, 1)
    session.add_point((3, 20, 20))
    stroke(session, np.s_[3, 20:24, 40:44], 1)
    stroke(session, np.s_[3, 20, 18:23], 0)
    session.set_view(along_rows)
    stroke(session, np.s_[3, 20, 42:44], 0)
    stroke(session, np.s_[3:5, 20, 19:20], 1)
    painted = session.labels[3, 20].copy()
    session.add_point((5, 20, 30))
    assert session.labels[5, 20, 30] == 1
    np.testing.assert_array_equal(session.labels[3, 20, 40:44], painted[40:44])
    np.testing.assert_array_equal(session.labels[3, 20, 18:23], [0, 1, 0, 0, 0])
    session.set_view(View.whole(3))
    session.add_point((3, 26, 20))
    np.testing.assert_array_equal(session.labels[3, 20, 40:44], [1, 1, 0, 0])
    np.testing.assert_array_equal(session.labels[3, 20, 18:23], [0, 1, 0, 0, 0])
    assert session.labels[4, 20, 19] == 1
