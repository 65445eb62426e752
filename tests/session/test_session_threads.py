"""With a worker's thread: nothing blocks, nothing stale is written, nothing is left behind."""

import threading
import time

import numpy as np
import pytest

from samslice.engine.backend import SamModel
from samslice.engine.cache import EmbeddingCache
from samslice.engine.predictor import Predictor
from samslice.model.build import build
from samslice.model.config import VARIANTS
from samslice.session.labels import Patch
from samslice.session.session import Session
from samslice.session.worker import Worker

GRACE = 30


def until(condition):
    deadline = time.monotonic() + GRACE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


@pytest.fixture
def held(model):
    """The encoder stands still until `release`."""
    model.gate.clear()
    yield model
    model.gate.set()


def test_a_click_returns_at_once_and_its_mask_comes_later(threaded, held, heard, draw_disc):
    log = heard(threaded)
    threaded.add_point((3, 20, 20))
    assert threaded.is_busy
    assert threaded.waiting_planes == [3]
    assert not threaded.labels.any()
    assert ("busy_changed", True) in log
    held.gate.set()
    assert threaded.wait(GRACE)
    np.testing.assert_array_equal(threaded.labels[3], draw_disc((20, 20)))
    assert log[-1] == ("busy_changed", False)
    assert threaded.waiting_planes == []


def test_undo_before_the_answer_drops_it(threaded, held):
    threaded.add_point((3, 20, 20))
    until(held.entered.is_set)
    threaded.undo()
    held.gate.set()
    assert threaded.wait(GRACE)
    assert not threaded.labels.any()
    assert not threaded.waiting


def test_undo_after_the_answer_was_made_but_before_it_is_handed_over_drops_it(threaded):
    threaded.add_point((3, 20, 20))
    until(lambda: len(threaded._worker._results) >= 3)
    threaded.undo()
    assert threaded.wait(GRACE)
    assert not threaded.labels.any()


def test_redo_after_a_dropped_answer_asks_again(threaded, held, draw_disc):
    threaded.add_point((3, 20, 20))
    threaded.undo()
    threaded.redo()
    held.gate.set()
    assert threaded.wait(GRACE)
    np.testing.assert_array_equal(threaded.labels[3], draw_disc((20, 20)))
    threaded.undo()
    assert not threaded.labels.any()


def test_clicks_faster_than_the_model_end_in_one_mask_and_undo_one_by_one(
    threaded, held, draw_disc
):
    for row in (20, 30, 40):
        threaded.add_point((3, row, 20))
    held.gate.set()
    assert threaded.wait(GRACE)
    expected = draw_disc((20, 20)) | draw_disc((30, 20)) | draw_disc((40, 20))
    np.testing.assert_array_equal(threaded.labels[3], expected)
    threaded.undo()
    assert threaded.wait(GRACE)
    np.testing.assert_array_equal(threaded.labels[3], draw_disc((20, 20)) | draw_disc((30, 20)))
    while threaded.undo():
        assert threaded.wait(GRACE)
    assert not threaded.labels.any()


def test_clicks_on_several_planes_are_all_answered(threaded, held):
    for plane in (2, 5, 7):
        threaded.add_point((plane, 20, 20))
    assert threaded.waiting_planes == [2, 5, 7]
    held.gate.set()
    assert threaded.wait(GRACE)
    assert sorted(set(np.nonzero(threaded.labels)[0].tolist())) == [2, 5, 7]
    while threaded.undo():
        assert threaded.wait(GRACE)
    assert not threaded.labels.any()


def test_a_mask_that_comes_after_the_commit_is_not_lost(threaded, held, draw_disc):
    threaded.add_point((3, 20, 20))
    threaded.commit()
    threaded.add_point((3, 20, 26))
    held.gate.set()
    assert threaded.wait(GRACE)
    assert threaded.labels[3, 20, 18] == 1
    assert threaded.labels[3, 20, 28] == 2
    while threaded.undo():
        assert threaded.wait(GRACE)
    assert not threaded.labels.any()


def test_a_mask_that_comes_after_the_discard_is_dropped(threaded, held):
    threaded.add_point((3, 20, 20))
    threaded.discard()
    held.gate.set()
    assert threaded.wait(GRACE)
    assert not threaded.labels.any()


def test_a_stroke_before_the_answer_stays(threaded, held):
    threaded.add_point((3, 20, 20))
    index = (3, slice(18, 22), slice(18, 22))
    threaded.labels[index] = 7
    threaded.note_stroke([Patch(index, np.zeros((4, 4), "u2"), np.full((4, 4), 7, "u2"))])
    held.gate.set()
    assert threaded.wait(GRACE)
    assert (threaded.labels[index] == 7).all()
    assert threaded.labels[3, 23, 20] == 1


def test_a_click_goes_before_the_planes_that_are_encoded_ahead(threaded, held):
    done = []
    threaded.plane_ready.connect(done.append)
    threaded.encode_ahead(0)
    until(held.entered.is_set)
    held.entered.clear()
    threaded.add_point((9, 20, 20))
    until(held.entered.is_set)  # the click's plane, although the first is not done
    held.gate.set()
    until(lambda: threaded.wait(0.01) or threaded.labels[9].any())
    assert done[0] == 9  # the plane that was under way is put off
    assert threaded.wait(GRACE)
    assert sorted(set(done)) == list(range(10))


def test_planes_are_encoded_outward_and_the_focus_moves_while_it_runs(threaded, held):
    done = []
    threaded.plane_ready.connect(done.append)
    threaded.encode_ahead(5)
    until(held.entered.is_set)
    held.entered.clear()
    threaded.encode_ahead(1, radius=None)
    until(held.entered.is_set)
    held.gate.set()
    assert threaded.wait(GRACE)
    assert done == [1, 2, 0, 3, 4, 5, 6, 7, 8, 9]
    assert len(held.encoded) == 10


def test_a_click_on_the_plane_under_way_does_not_start_it_anew(threaded, held):
    done = []
    threaded.plane_ready.connect(done.append)
    threaded.encode_ahead(4)
    until(held.entered.is_set)
    held.entered.clear()
    threaded.add_point((4, 20, 20))
    time.sleep(0.05)
    assert not held.entered.is_set()
    held.gate.set()
    assert threaded.wait(GRACE)
    assert done[0] == 4
    assert threaded.labels[4, 20, 20] == 1
    assert len(held.encoded) == 10


def test_what_is_encoded_ahead_fits_the_memory(predictor, volume, make):
    size = 64 * 64 * 4
    session = make(cache=EmbeddingCache(ram_bytes=4 * size))
    session.encode_ahead(5)
    assert [p for p in range(10) if session.is_ready(p)] == [4, 5, 6, 7]
    near = make(cache=EmbeddingCache())
    near.encode_ahead(5, radius=1)
    assert [p for p in range(10) if near.is_ready(p)] == [4, 5, 6]


def test_a_looked_at_cache_is_not_encoded_again(make, model, tmp_path):
    first = make(cache=EmbeddingCache(tmp_path / "c"))
    first.encode_ahead(0)
    again = make(cache=EmbeddingCache(tmp_path / "c"))
    assert not again.is_ready(3)
    again.encode_ahead(0)
    assert again.is_ready(3)
    assert len(model.encoded) == 10


def test_pause_and_resume(threaded, held):
    threaded.add_point((3, 20, 20))
    held.gate.set()
    assert threaded.wait(GRACE)
    held.gate.clear()
    threaded.propagate()
    assert threaded.pause()
    held.gate.set()
    assert threaded.wait(GRACE)
    stood_at = np.count_nonzero(threaded.labels)
    assert threaded.is_propagating
    assert not threaded.is_busy
    threaded.add_point((6, 50, 50), object_id=2)  # a click is answered meanwhile
    assert threaded.wait(GRACE)
    assert (threaded.labels == 2).any()
    assert threaded.resume()
    assert threaded.wait(GRACE)
    assert np.count_nonzero(threaded.labels == 1) > stood_at
    assert not threaded.is_propagating


def test_cancel_keeps_what_is_done_as_one_step_of_the_history(threaded):
    threaded.add_point((4, 20, 20))
    assert threaded.wait(GRACE)
    start = threaded.labels.copy()
    seen = []

    def stop(kind, done, total, eta):
        seen.append(done)
        if len(seen) == 2:
            threaded.cancel()

    threaded.progress.connect(stop)
    threaded.propagate()
    assert threaded.wait(GRACE)
    assert len(seen) == 2
    assert not threaded.is_propagating
    assert threaded.undo_label == "propagate"
    threaded.undo()
    np.testing.assert_array_equal(threaded.labels, start)


def test_undo_during_a_propagation_stops_and_takes_it_back(threaded):
    threaded.add_point((4, 20, 20))
    assert threaded.wait(GRACE)
    start = threaded.labels.copy()
    seen = []

    def take_back(*_):
        seen.append(1)
        if len(seen) == 2:
            threaded.undo()

    threaded.progress.connect(take_back)
    threaded.propagate()
    assert threaded.wait(GRACE)
    assert len(seen) == 2
    np.testing.assert_array_equal(threaded.labels, start)
    assert not threaded.is_propagating


@pytest.mark.parametrize("change", ["click", "discard"])
def test_results_for_an_object_that_changed_meanwhile_are_dropped(threaded, change):
    for object_id, row in ((1, 15), (2, 45)):
        threaded.add_point((4, row, 20), object_id=object_id)
    assert threaded.wait(GRACE)
    seen = []

    def disturb(kind, done, total, eta):
        seen.append(done)
        if len(seen) == 1:
            if change == "click":
                threaded.add_point((4, 15, 30), object_id=1)
            else:
                threaded.discard([1])

    threaded.progress.connect(disturb)
    threaded.propagate()
    assert threaded.wait(GRACE)
    planes = [sorted(set(np.nonzero(threaded.labels == o)[0].tolist())) for o in (1, 2)]
    assert planes[1] == list(range(2, 8))
    assert len(planes[0]) == (1 if change == "click" else 0)


def test_a_finished_object_painted_during_a_propagation_is_not_overwritten(threaded):
    threaded.add_point((2, 20, 20))
    assert threaded.wait(GRACE)
    seen = []

    def paint(kind, done, total, eta):
        seen.append(done)
        if len(seen) == 1:
            threaded.labels[7, 20, 20] = 99  # after the job has looked at the labels, or before

    threaded.progress.connect(paint)
    threaded.propagate()
    assert threaded.wait(GRACE)
    assert threaded.labels[7, 20, 20] == 99
    assert threaded.labels[7, 20, 21] == 1


def test_a_newer_propagation_replaces_the_older(threaded, heard):
    threaded.add_point((4, 20, 20))
    assert threaded.wait(GRACE)
    threaded.propagate()
    threaded.propagate()
    assert threaded.wait(GRACE)
    assert threaded.labels[2:8, 20, 20].all()
    threaded.undo()
    while threaded.undo_label == "propagate":
        threaded.undo()
    assert sorted(set(np.nonzero(threaded.labels)[0].tolist())) == [4]


@pytest.mark.parametrize("job", ["predict", "encode", "propagate"])
def test_close_during_a_job_ends_the_thread_within_a_second(predictor, volume, held, job):
    session = Session(volume, predictor, worker=Worker())
    if job == "encode":
        session.encode_ahead(3)
    else:
        session.add_point((3, 20, 20))
    if job == "propagate":
        held.gate.set()
        assert session.wait(GRACE)
        held.gate.clear()
        held.entered.clear()
        session.propagate()
    until(held.entered.is_set)
    before = session.labels.copy()
    begun = time.monotonic()
    assert session.close()
    assert time.monotonic() - begun < 1.5
    assert not any(t.name == "samslice-session" for t in threading.enumerate())
    np.testing.assert_array_equal(session.labels, before)
    with pytest.raises(RuntimeError, match="closed"):
        session.add_point((3, 20, 20))


def test_errors_of_the_thread_come_to_the_owner(threaded, model, heard):
    model.error = OSError("gone")
    threaded.add_point((3, 20, 20))
    with pytest.raises(OSError, match="gone"):
        threaded.wait(GRACE)
    log = heard(threaded)
    threaded.add_point((3, 30, 20))
    threaded.encode_ahead(5)
    assert threaded.wait(GRACE)
    assert [str(e[1]) for e in log if e[0] == "failed"] == ["gone", "gone"]
    assert not threaded.waiting
    assert not threaded.is_busy
    model.error = None
    threaded.encode_ahead(5)
    assert threaded.wait(GRACE)
    assert threaded.is_ready(5)


def test_two_sessions_on_one_model_do_not_disturb_each_other(make):
    one, other = make(worker=Worker()), make(worker=Worker())
    one.add_point((4, 20, 20))
    other.add_point((4, 40, 40))
    one.propagate()
    other.propagate()
    assert one.wait(GRACE)
    assert other.wait(GRACE)
    assert one.labels[2:8, 20, 20].all()
    assert other.labels[2:8, 40, 40].all()
    assert not one.labels[:, 40, 40].any()


def test_a_real_network_gives_the_same_with_and_without_a_thread():
    """Random weights: the masks mean nothing, but every part of the engine is in use."""
    model = SamModel(build(VARIANTS["tiny"]), name="tiny", fingerprint="t", device="cpu")
    image = np.random.default_rng(0).integers(0, 4000, (3, 40, 56), dtype=np.uint16)
    results = []
    for worker in (None, Worker()):
        with Session(image, Predictor(model), worker=worker) as session:
            session.add_point((1, 20, 20))
            session.add_box(1, (5, 5, 20, 30), object_id=2)
            session.wait(GRACE)
            session.propagate()
            assert session.wait(GRACE)
            results.append((session.labels, session.table))
            assert session.scene.cache.stats().ram_entries >= 1
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1].equals(results[1][1])
    assert results[0][0].any()


def test_a_propagation_ends_with_a_word_when_the_image_is_another(threaded, held, heard, volume):
    """Nothing of the old image is written into the labels of the new one."""
    held.gate.set()
    threaded.add_point((4, 20, 20))
    assert threaded.wait(GRACE)
    log = heard(threaded)
    held.gate.clear()
    threaded.propagate()
    until(held.entered.is_set)
    threaded.set_source(image=np.zeros_like(volume) + volume[::-1] // 4)
    held.gate.set()
    assert threaded.wait(GRACE)
    assert not threaded.is_propagating
    assert set(np.nonzero(threaded.labels)[0].tolist()) == {4}
    [failure] = [entry[1] for entry in log if entry[0] == "failed"]
    assert "propagate again" in str(failure)
