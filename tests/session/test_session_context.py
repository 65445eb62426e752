"""A first click on a plane that shows the object corrects what is there."""

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from samslice.engine.backend import load_model
from samslice.engine.cache import EmbeddingCache
from samslice.engine.coords import Frame
from samslice.engine.normalize import fit_stack
from samslice.engine.predictor import Predictor
from samslice.engine.types import Prediction, Prompt
from samslice.session.context import Context, follows
from samslice.session.labels import Patch
from samslice.session.session import Session
from samslice.session.state import Key


def stroke(session, index, label):
    before = np.array(session.labels[index])
    session.labels[index] = label
    session.note_stroke([Patch(index, before, np.array(session.labels[index]))])


@pytest.fixture
def propagated(session):
    """Object 1, shown on plane 4, is a disc around (20, 20) on planes 2 to 7."""
    session.add_point((4, 20, 20))
    session.propagate()
    return session


def contexts(session):
    return {i.uid: i.context for i in session.state.prompts}


def test_a_negative_click_on_a_propagated_mask_takes_that_part_off(propagated, draw_disc):
    before = propagated.labels[6] == 1
    propagated.add_point((6, 23, 20), positive=False)
    np.testing.assert_array_equal(propagated.labels[6] == 1, before & ~draw_disc((23, 20), 3))


def test_a_positive_click_on_a_propagated_plane_adds_to_what_is_there(propagated, draw_disc):
    before = propagated.labels[6] == 1
    propagated.add_point((6, 20, 30))
    np.testing.assert_array_equal(propagated.labels[6] == 1, before | draw_disc((20, 30)))
    assert len(propagated.candidates(6)) == 1


def test_the_context_is_taken_once_and_asked_again_alike(propagated, draw_disc):
    before = propagated.labels[6] == 1
    first = propagated.add_point((6, 23, 20), positive=False)
    propagated.add_point((6, 17, 20), positive=False)
    expected = before & ~draw_disc((23, 20), 3) & ~draw_disc((17, 20), 3)
    np.testing.assert_array_equal(propagated.labels[6] == 1, expected)
    assert [uid for uid, context in contexts(propagated).items() if context] == [first]
    propagated.set_source()  # all answers are forgotten
    np.testing.assert_array_equal(propagated.labels[6] == 1, expected)
    propagated.undo()
    propagated.undo()
    np.testing.assert_array_equal(propagated.labels[6] == 1, before)
    propagated.redo()
    propagated.redo()
    np.testing.assert_array_equal(propagated.labels[6] == 1, expected)


def test_the_context_stays_when_the_first_of_its_clicks_is_deleted(propagated, draw_disc):
    before = propagated.labels[6] == 1
    first = propagated.add_point((6, 23, 20), positive=False)
    second = propagated.add_point((6, 17, 20), positive=False)
    propagated.remove_prompt(first)
    np.testing.assert_array_equal(propagated.labels[6] == 1, before & ~draw_disc((17, 20), 3))
    propagated.move_prompt(second, (6, 20, 17))
    np.testing.assert_array_equal(propagated.labels[6] == 1, before & ~draw_disc((20, 17), 3))


def test_the_mask_is_as_before_when_the_last_of_its_clicks_is_deleted(propagated):
    before = propagated.labels.copy()
    stroke(propagated, np.s_[6, 40:42, 40:42], 1)
    click = propagated.add_point((6, 23, 20), positive=False)
    propagated.remove_prompt(click)
    assert (propagated.labels[6, 40:42, 40:42] == 1).all()
    propagated.labels[6, 40:42, 40:42] = 0
    np.testing.assert_array_equal(propagated.labels, before)
    propagated.discard()
    assert not propagated.labels.any()


def test_a_click_that_is_moved_to_another_plane_corrects_what_is_there(propagated, draw_disc):
    before = propagated.labels.copy()
    click = propagated.add_point((6, 23, 20), positive=False)
    propagated.move_prompt(click, (5, 17, 20))
    np.testing.assert_array_equal(propagated.labels[6], before[6])
    np.testing.assert_array_equal(
        propagated.labels[5] == 1, (before[5] == 1) & ~draw_disc((17, 20), 3)
    )


def test_a_finished_label_of_another_program_is_corrected_and_comes_back(session, draw_disc):
    session.labels[5, 10:30, 10:30] = 7
    before = session.labels.copy()
    session.add_point((5, 12, 12), positive=False, object_id=7)
    np.testing.assert_array_equal(
        session.labels[5] == 7, (before[5] == 7) & ~draw_disc((12, 12), 3)
    )
    session.discard(7)
    np.testing.assert_array_equal(session.labels, before)


def test_a_finished_object_is_corrected_where_it_was_propagated(propagated, draw_disc):
    propagated.commit()
    before = propagated.labels.copy()
    propagated.add_point((6, 23, 20), positive=False, object_id=1)
    assert propagated.pending == {1}
    expected = (before[6] == 1) & ~draw_disc((23, 20), 3)
    np.testing.assert_array_equal(propagated.labels[6] == 1, expected)
    propagated.commit(1)
    np.testing.assert_array_equal(propagated.labels[6] == 1, expected)
    np.testing.assert_array_equal(propagated.labels[:6], before[:6])


def test_strokes_stay_on_top_of_what_the_click_makes(propagated, draw_disc):
    stroke(propagated, np.s_[6, 20:21, 18:23], 0)
    stroke(propagated, np.s_[6, 26:28, 19:22], 1)
    propagated.add_point((6, 17, 20), positive=False)
    assert not propagated.labels[6, 20, 18:23].any()
    propagated.add_point((6, 26, 20), positive=False)
    assert (propagated.labels[6, 26:28, 19:22] == 1).all()


def test_a_drawn_box_or_mask_says_anew_what_the_object_is(propagated):
    propagated.add_box(6, (40, 40, 50, 50))
    assert not any(contexts(propagated).values())
    assert (propagated.labels[6, 40:50, 40:50] == 1).all()
    assert (propagated.labels[6] == 1).sum() == 100
    propagated.use_label(1, 7)
    propagated.add_point((7, 23, 20), positive=False)
    assert not any(contexts(propagated).values())
    click = propagated.add_point((5, 23, 20), positive=False)
    assert contexts(propagated)[click] is not None
    propagated.add_box(5, (40, 40, 50, 50))
    assert (propagated.labels[5] == 1).sum() == 100


def test_clicks_in_place_of_others_do_not_correct_what_those_made(propagated, draw_disc):
    with propagated.batch("replace"):
        propagated.remove_prompt(1)
        click = propagated.add_point((4, 20, 26))
    assert contexts(propagated)[click] is None
    np.testing.assert_array_equal(propagated.labels[4] == 1, draw_disc((20, 26)))
    before = propagated.labels[6] == 1
    first = propagated.add_point((6, 23, 20), positive=False)
    with propagated.batch("replace"):
        propagated.remove_prompt(first)
        propagated.add_point((6, 17, 20), positive=False)
    np.testing.assert_array_equal(propagated.labels[6] == 1, before & ~draw_disc((17, 20), 3))


def test_the_correction_is_carried_from_what_is_shown(propagated):
    propagated.add_point((6, 23, 20), positive=False)
    corrected = propagated.labels[6].copy()
    propagated.repropagate(1, 6)
    np.testing.assert_array_equal(propagated.labels[6], corrected)
    np.testing.assert_array_equal(propagated.labels[7], corrected)


def test_a_click_that_the_model_passes_over_beside_the_mask_is_cut_into_it(
    propagated, model, monkeypatch
):
    """A stubborn model: what the mask says counts, and no click."""
    decide = model._logits
    plain = staticmethod(
        lambda image, prompt, multimask: decide(
            image,
            prompt if prompt.logits is None else Prompt(logits=prompt.logits, box=prompt.box),
            multimask,
        )
    )
    monkeypatch.setattr(type(model), "_logits", plain)
    propagated.add_point((6, 23, 20), positive=False)
    assert propagated.labels[6, 23, 20] == 0
    assert propagated.labels[6, 17, 20] == 1
    propagated.add_point((6, 20, 25))
    assert propagated.labels[6, 20, 25] == 1


def test_the_box_reaches_as_far_beyond_a_click_as_the_click_lies_outside():
    context = Context((20, 20, 30, 30), np.ones((10, 10), bool))
    assert context.box(np.empty((0, 2)), (64, 64)) == (20, 20, 30, 30)
    assert context.box(np.array([[25.0, 25.0]]), (64, 64)) == (20, 20, 30, 30)
    assert context.box(np.array([[16.0, 34.0]]), (64, 64)) == (12, 20, 30, 40)
    assert context.box(np.array([[2.0, 62.0]]), (64, 64)) == (0, 20, 30, 64)


def test_marks_are_discs_of_the_later_sign():
    context = Context((20, 20, 40, 40), np.ones((20, 20), bool))
    points = np.array([[30.0, 30.0], [20.0, 45.0]])
    marked = context.marked(points, np.array([False, True]), Frame((64, 64), 64, 64))
    plane = np.zeros((64, 64), bool)
    row0, col0, row1, col1 = marked.region
    plane[row0:row1, col0:col1] = marked.mask
    assert not plane[30, 30]
    assert plane[[20, 20], [45, 42]].all()
    assert plane[22, 22]
    assert context.mask.all()


def test_a_mask_follows_clicks_of_both_signs():
    logits = np.full((1, 64, 64), -5.0, np.float32)
    logits[0, 10:20, 10:20] = 5
    answer = Prediction(logits, np.array([0.9]), Frame((64, 64), 64, 64))
    assert follows(answer, Prompt(points=[(12, 12), (40, 40)], positive=[True, False]))
    assert not follows(answer, Prompt(points=[(40, 40)]))
    assert not follows(answer, Prompt(points=[(12, 12)], positive=[False]))
    assert follows(answer, Prompt(box=(0, 0, 5, 5)))


# ---------------------------------------------------------------------- real nuclei


@pytest.fixture(scope="module")
def nuclei(mobile_sam_path, shared_dir):
    """Five planes of real nuclei, and the outlines that people drew."""
    folder = shared_dir / "data" / "cells3d_nuclei_silver"
    volume = tifffile.imread(folder / "image.tif")[33:38]
    truth = tifffile.imread(folder / "labels_cleaned_z24-45.tif")[33:38]
    return (
        volume,
        truth,
        Predictor(load_model(mobile_sam_path, device="cpu"), cache=EmbeddingCache()),
    )


def carried(nuclei, object_id):
    """A session in which one nucleus was carried from the middle plane to the others."""
    volume, truth, predictor = nuclei
    session = Session(volume, predictor, normalization=fit_stack(volume))
    rows, cols = np.nonzero(truth[2] == object_id)
    session.add_box(2, (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1))
    session.propagate()
    return session


def large_nuclei(truth):
    inner = truth[:, 20:-20, 20:-20]
    ids, areas = np.unique(inner[2][inner[2] > 0], return_counts=True)
    return [int(i) for i in ids[np.argsort(-areas, kind="stable")][:3]]


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_clicks_correct_real_propagated_nuclei_moderately(nuclei, rank):
    """Over the whole plane a lone negative click finds background: IoU 0.4 and less."""
    object_id = large_nuclei(nuclei[1])[rank]
    with carried(nuclei, object_id) as session:
        plane = 4
        before = session.labels[plane] == 1
        assert before.sum() > 150
        depth = ndimage.distance_transform_edt(before)
        at = np.argwhere((depth > 2) & (depth < 5))[7]
        session.add_point((plane, *at), positive=False)
        after = session.labels[plane] == 1
        assert not after[tuple(at)]
        assert 0.5 < (after & before).sum() / (after | before).sum() < 1
        session.undo()
        np.testing.assert_array_equal(session.labels[plane] == 1, before)
        outside = ndimage.distance_transform_edt(~before)
        at = np.argwhere((outside > 1) & (outside < 4))[5]
        session.add_point((plane, *at))
        after = session.labels[plane] == 1
        assert (after & before).sum() > 0.9 * before.sum()
        assert after.sum() < 1.6 * before.sum()


@pytest.mark.weights
@pytest.mark.slow
def test_a_neighbour_that_was_joined_by_mistake_is_taken_off_by_one_click(nuclei):
    volume, truth, predictor = nuclei
    plane = 2
    touching = ndimage.grey_dilation(truth[plane], size=9)
    pairs = np.stack([truth[plane], touching], axis=-1)[(truth[plane] > 0)]
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    kept, other = found[np.argmax(counts)].tolist()
    labels = np.zeros(volume.shape, np.uint16)
    labels[plane][np.isin(truth[plane], (kept, other))] = 1
    with Session(volume, predictor, labels=labels, normalization=fit_stack(volume)) as session:
        depth = ndimage.distance_transform_edt(truth[plane] == other)
        at = np.unravel_index(depth.argmax(), depth.shape)
        session.add_point((plane, *map(float, at)), positive=False, object_id=1)
        after = labels[plane] == 1
        wanted = truth[plane] == kept
        assert (after & wanted).sum() / (after | wanted).sum() > 0.6
        assert after[truth[plane] == other].mean() < 0.2
        assert Key(1, *session.place(plane)) in session._shown
