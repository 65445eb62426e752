"""Prompts become masks: every kind, moved, deleted, of many objects, chosen among candidates."""

import numpy as np
import pytest

from samslice.session.view import View


def test_a_click_becomes_a_mask_of_the_current_object(session, heard, draw_disc):
    log = heard(session)
    uid = session.add_point((3, 20, 30))
    assert uid == 1
    np.testing.assert_array_equal(session.labels[3], draw_disc((20, 30)))
    assert np.count_nonzero(session.labels) == np.count_nonzero(session.labels[3])
    names = [entry[0] for entry in log]
    assert names.index("state_changed") < names.index("mask_changed")
    assert ("mask_changed", 1, 3) in log
    assert ("plane_ready", 3) in log
    assert session.pending == {1}
    assert session.table.to_dict("records")[0] | {"overlap": 0} == {
        "object": 1, "plane": 3, "direction": "", "status": "anchor", "reason": "",
        "score": pytest.approx(0.9), "predicted_iou": pytest.approx(0.9), "overlap": 0,
        "area": int(draw_disc((20, 30)).sum()),
    }  # fmt: skip


def test_a_negative_click_takes_away_and_moving_it_gives_back(session, draw_disc):
    session.add_point((3, 20, 30))
    uid = session.add_point((3, 20, 33), positive=False)
    assert session.labels[3, 20, 33] == 0
    assert session.labels[3, 20, 27] == 1
    session.move_prompt(uid, (3, 50, 50))
    np.testing.assert_array_equal(session.labels[3], draw_disc((20, 30)))
    session.set_positive(uid, True)
    np.testing.assert_array_equal(session.labels[3], draw_disc((20, 30)) | draw_disc((50, 50)))
    session.remove_prompt([1, uid])
    assert not session.labels.any()
    assert session.pending == set()
    assert session.undo_label == "delete"


def test_a_point_moved_to_another_plane_takes_its_mask_along(session, draw_disc):
    uid = session.add_point((3, 20, 30))
    session.move_prompt(uid, (5, 20, 30))
    assert not session.labels[3].any()
    np.testing.assert_array_equal(session.labels[5], draw_disc((20, 30)))


def test_boxes_masks_and_scribbles(session, draw_disc):
    box = session.add_box(2, (10, 12, 20, 25))
    assert (session.labels[2, 10:20, 12:25] == 1).all()
    assert session.labels.sum() == 130
    session.move_prompt(box, box=(10, 12, 12, 14))
    assert session.labels.sum() == 4
    session.next_object()
    mask = draw_disc((40, 40), 7)
    uid = session.add_mask(2, mask)
    np.testing.assert_array_equal(session.labels[2] == 2, mask)
    session.move_prompt(uid, mask=draw_disc((42, 40), 7))
    np.testing.assert_array_equal(session.labels[2] == 2, draw_disc((42, 40), 7))
    scribble = session.add_scribble(5, [(10, 10), (10, 40)], object_id=3)
    assert (session.labels[5, 10, 10:41:10] == 3).all()
    session.move_prompt(scribble, path=[(30, 10), (30, 40)], plane=6)
    assert not session.labels[5].any()
    assert (session.labels[6, 30, 10:41:10] == 3).all()


def test_an_existing_label_becomes_the_prompt_of_that_object(make, volume, draw_disc):
    labels = np.zeros(volume.shape, np.uint16)
    labels[4][draw_disc((30, 30), 9)] = 5
    start = labels.copy()
    session = make(labels=labels)
    session.use_label(5, 4)
    assert session.current == 5
    assert session.pending == {5}
    np.testing.assert_array_equal(labels, start)  # the fake model agrees with the mask
    session.add_point((4, 30, 36), positive=False)
    assert labels[4, 30, 36] == 0
    session.discard()
    np.testing.assert_array_equal(labels, start)
    with pytest.raises(ValueError, match="plane 5 has no pixels of label 5"):
        session.use_label(5, 5)


def test_objects_on_one_plane_compete_and_get_back_what_they_lost(session, draw_disc):
    first, second = draw_disc((20, 20)), draw_disc((20, 26))
    session.add_point((3, 20, 20), object_id=1)
    uid = session.add_point((3, 20, 26), object_id=2)
    plane = session.labels[3]
    both = first & second
    assert both.any()
    assert plane[20, 22] == 1
    assert plane[20, 24] == 2
    np.testing.assert_array_equal(plane > 0, first | second)
    session.remove_prompt(uid)
    np.testing.assert_array_equal(plane == 1, first)
    assert not (plane == 2).any()


def test_only_objects_whose_prompts_changed_are_asked_of_the_decoder(session, model):
    for object_id in (1, 2, 3):
        session.add_point((3, 10, 15 * object_id), object_id=object_id)
    assert model.decoded == [1, 1, 1]
    session.add_point((3, 12, 15), object_id=1)
    assert model.decoded == [1, 1, 1, 1]
    assert len(model.encoded) == 1
    session.undo()
    session.redo()
    assert model.decoded == [1, 1, 1, 1]


def test_candidates_are_shown_chosen_and_cycled(session, draw_disc):
    assert session.candidates() is None
    session.add_point((3, 30, 30))
    found = session.candidates()
    assert (len(found), found.chosen, found.plane, found.object_id) == (3, 0, 3, 1)
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7])
    np.testing.assert_array_equal(found.masks[2], draw_disc((30, 30), 8))
    for k, radius in [(1, 3), (2, 8), (0, 5)]:
        assert session.cycle() == k
        np.testing.assert_array_equal(session.labels[3], draw_disc((30, 30), radius))
    assert session.cycle(-1) == 2
    session.undo()
    assert session.candidates().chosen == 0
    session.choose(1)
    session.add_point((3, 31, 30))  # other candidates: the choice no longer counts
    assert session.candidates().chosen == 0
    assert len(session.candidates()) == 1
    session.undo()
    assert session.candidates().chosen == 1
    with pytest.raises(ValueError, match="candidate is 3; allowed is 0 to 2"):
        session.choose(3)
    with pytest.raises(ValueError, match="no candidates"):
        session.cycle(plane=4)


def test_a_batch_is_one_step_of_the_history_and_one_question_to_the_decoder(session, model):
    with session.batch("paste"):
        session.add_point((3, 20, 20))
        session.add_point((3, 30, 30))
        assert not session.labels.any()
    assert session.labels.any()
    assert model.decoded == [1]
    assert session.undo_label == "paste"
    assert session.undo()
    assert not session.labels.any()
    assert not session.undo()
    with session.batch("nothing"):
        pass
    assert session.undo_label == ""


def test_wrong_input_is_refused_and_changes_nothing(session, heard):
    log = heard(session)
    calls = [
        (lambda: session.add_point((3, 20)), "2 entries; the image has 3 axes"),
        (lambda: session.add_point((10, 20, 20)), "outside the image"),
        (lambda: session.add_point((3, np.nan, 20)), "outside the image"),
        (lambda: session.add_point((3, 20, 20), object_id=0), "integers from 1 to 65535"),
        (lambda: session.add_point((3, 20, 20), object_id=70000), "integers from 1 to 65535"),
        (lambda: session.add_box(3, (5, 5, 5, 9)), "empty"),
        (lambda: session.add_box(3, (70, 5, 75, 9)), "outside"),
        (lambda: session.add_box(11, (1, 1, 5, 9)), "plane is 11; allowed is 0 to 9"),
        (lambda: session.add_mask(3, np.zeros((64, 64))), "float"),
        (lambda: session.add_mask(3, np.zeros((64, 64), bool)), "empty"),
        (lambda: session.add_mask(3, np.ones((3, 3), bool)), "shape"),
        (lambda: session.add_scribble(3, []), "empty"),
        (lambda: session.add_scribble(3, [(0, 0), (0, 99)]), "outside"),
        (lambda: session.move_prompt(1, (3, 20, 20)), "no prompt 1"),
        (lambda: session.remove_prompt(1), "no prompt 1"),
        (lambda: session.set_positive([1], False), "no prompt 1"),
        (lambda: session.mark_end(1, 10), "plane is 10"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()
    assert log == []
    uid = session.add_box(3, (1, 1, 5, 9))
    with pytest.raises(ValueError, match="is a box; give box= alone"):
        session.move_prompt(uid, (3, 4, 4))


def test_the_next_object_is_the_first_free_id(make, volume):
    labels = np.zeros(volume.shape, np.uint8)
    labels[0, 0, 0], labels[9, 5, 5] = 1, 3
    session = make(labels=labels)
    assert session.current == 2
    session.add_point((3, 20, 20))
    assert session.next_object() == 4
    session.add_point((3, 40, 40))
    assert session.commit() == [4]
    assert session.current == 5
    with pytest.raises(ValueError, match="1 to 255"):
        session.current = 256


def test_end_marks(session):
    session.add_point((3, 20, 20))
    session.mark_end(1, 5)
    session.mark_end(1, 5)
    assert {k.plane for k in session.state.ends} == {5}
    with pytest.raises(ValueError, match="has prompts on plane 3"):
        session.mark_end(1, 3)
    session.unmark_end(1, 5)
    assert not session.state.ends
    session.undo()
    assert session.state.ends
    session.add_point((5, 20, 20))  # it is there after all
    assert not session.state.ends


@pytest.mark.parametrize(
    ("shape", "view", "coord"),
    [
        ((64, 48), None, (20, 30)),
        ((3, 64, 48), None, (1, 20, 30)),
        ((2, 3, 64, 48), None, (1, 2, 20, 30)),
        ((64, 5, 48), View((0, 0, 0), 0, 2, 1), (20, 3, 30)),
        ((2, 64, 5, 48), View((0, 0, 0, 0), 3, 1, 2), (1, 20, 3, 30)),
        ((48, 5, 2, 64), View((0, 0, 0, 0), 3, 0, 2), (30, 4, 1, 20)),
    ],
    ids=["2D", "3D", "4D", "XZ", "4D transposed", "4D transposed, time inside"],
)
def test_a_click_hits_its_pixel_in_every_view(make, shape, view, coord, draw_disc):
    """4D with time held: the mask is at the click's own time, and nowhere else."""
    session = make(np.full(shape, 9, np.uint16), view=view)
    session.add_point(coord)
    view = session.view
    place = next(iter(session.state.prompts)).place
    assert place.view.holds(coord)
    plane, row, col = view.to_plane(coord)
    picture = view.turn(session.labels[place.view.plane_index(int(plane))])
    expected = draw_disc((row, col), shape=view.plane_shape(shape))
    np.testing.assert_array_equal(picture, expected)
    assert np.count_nonzero(session.labels) == expected.sum()
    session.undo()
    assert not session.labels.any()


def test_prompts_of_another_time_stay_when_the_view_moves(make, heard):
    session = make(np.full((2, 4, 64, 64), 9, np.uint8))
    log = heard(session)
    session.add_point((0, 1, 20, 20))
    assert session.candidates() is not None
    assert len(session.table) == 1
    session.set_view(session.view.at((1, 0, 0, 0)), plane=2)
    assert session.plane == 2
    assert session.candidates() is None
    assert len(session.table) == 0
    assert log[-1] == ("table_changed",)
    session.add_point((1, 2, 40, 40))
    assert session.labels[0, 1].any()
    assert session.labels[1, 2].any()
    with pytest.raises(ValueError, match="holds axis 0 at 2; allowed is 0 to 1"):
        session.set_view(session.view.at((2, 0, 0, 0)))
    with pytest.raises(ValueError, match="view has 3 dimensions, the image 4"):
        session.set_view(View.whole(3))


def test_channels_are_chosen_and_the_encoder_sees_them(make, model):
    image = np.zeros((2, 4, 64, 64), np.uint8)
    image[1] = 150
    with pytest.raises(ValueError, match="2 channels are chosen of 2; allowed are one"):
        make(image, channel_axis=0)
    with pytest.raises(ValueError, match="channels 0 to 1"):
        make(image, channel_axis=0, channels=(5,))
    with pytest.raises(ValueError, match="no channel axis"):
        make(image[0], channels=(0,))
    session = make(image, channel_axis=0, channels=(1,))
    assert session.labels.shape == (4, 64, 64)
    session.add_point((2, 20, 20))
    assert (model.encoded[0] == 150).all()
    session.set_source(channels=(0,), normalization=session.normalization)
    assert (model.encoded[1] == 0).all()
    assert session.labels[2].any()


def test_rgb_goes_in_as_colours(make, model):
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 1] = 77
    session = make(image, channel_axis=-1, normalization=None)
    session.add_point((20, 20))
    assert (model.encoded[0] == (0, 77, 0)).all()
    np.testing.assert_array_equal(session.picture(), image)


def test_another_normalisation_makes_masks_anew(session, model, volume):
    session.add_point((3, 20, 20))
    before = session.labels.copy()
    session.set_source()
    assert len(model.encoded) == 2
    np.testing.assert_array_equal(session.labels, before)
    with pytest.raises(ValueError, match="shape"):
        session.set_source(image=volume[:5])
