"""Patches take back what they did and nothing else; targets refuse what cannot hold results."""

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samslice.session.labels import ArrayLabels, Patch, as_target, ids_in
from samslice.session.overlay import LabelsOverlay
from samslice.session.view import View

WINDOW = (1, slice(2, 5), slice(1, 4))


def small(low=0, high=3):
    return arrays(np.uint8, (3, 3), elements=st.integers(low, high))


@given(small(), small())
def test_apply_then_revert_gives_back_every_pixel(before, after):
    array = np.zeros((2, 6, 6), np.uint8)
    array[WINDOW] = before
    target, patch = ArrayLabels(array), Patch(WINDOW, before, after)
    start = array.copy()
    patch.apply(target)
    np.testing.assert_array_equal(array[WINDOW], after)
    patch.revert(target)
    np.testing.assert_array_equal(array, start)


@given(small(), small(), small(4, 9))
def test_what_was_painted_over_a_patch_survives_undo_and_redo(before, after, painted):
    array = np.zeros((2, 6, 6), np.uint8)
    array[WINDOW] = after
    target, patch = ArrayLabels(array), Patch(WINDOW, before, after)
    stroke = np.eye(3, dtype=bool)
    array[WINDOW][stroke] = painted[stroke]
    patch.revert(target)
    np.testing.assert_array_equal(array[WINDOW][stroke], painted[stroke])
    np.testing.assert_array_equal(array[WINDOW][~stroke], before[~stroke])
    patch.apply(target)
    np.testing.assert_array_equal(array[WINDOW][stroke], painted[stroke])
    np.testing.assert_array_equal(array[WINDOW][~stroke], after[~stroke])


def test_a_patch_without_effect_writes_nothing():
    array = np.zeros((2, 6, 6), np.uint8)
    patch = Patch(WINDOW, np.ones((3, 3)), np.full((3, 3), 2))
    assert not patch.apply(ArrayLabels(array))
    assert not array.any()


def test_zarr_and_memmap_are_written_in_place(tmp_path):
    stored = zarr.create_array(
        store=str(tmp_path / "l.zarr"), shape=(2, 6, 6), chunks=(1, 6, 6), dtype="u2"
    )
    mapped = np.lib.format.open_memmap(tmp_path / "l.npy", "w+", np.uint16, (2, 6, 6))
    for array in (stored, mapped):
        target = as_target(array, (2, 6, 6))
        before = target.read(WINDOW)
        Patch(WINDOW, before, before + 7).apply(target)
        assert (np.asarray(array[WINDOW]) == 7).all()
        assert int(np.asarray(array[:]).sum()) == 63


def test_reading_gives_a_copy():
    array = np.zeros((2, 6, 6), np.uint8)
    ArrayLabels(array).read(WINDOW)[...] = 9
    assert not array.any()


def test_labels_that_do_not_fit_are_refused_with_a_reason():
    with pytest.raises(ValueError, match=r"shape \(3, 4\); allowed is the image's \(3, 5\)"):
        as_target(np.zeros((3, 4), int), (3, 5))
    with pytest.raises(TypeError, match="float64; allowed are integers"):
        as_target(np.zeros((3, 5)), (3, 5))
    with pytest.raises(TypeError, match="writable arrays"):
        as_target([[0]], (1, 1))
    frozen = np.zeros((3, 5), int)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        as_target(frozen, (3, 5))


def test_an_object_that_reads_and_writes_is_a_target():
    inner = ArrayLabels(np.zeros((3, 5), int))
    assert as_target(inner, (3, 5)) is inner


def test_ids_are_found_in_all_planes():
    array = np.zeros((3, 4, 5), np.int32)
    array[0, 0, 0], array[2, 3, 4] = 7, 12
    assert ids_in(ArrayLabels(array)) == {7, 12}


def test_ids_of_labels_too_large_to_search_are_not_reused(monkeypatch):
    """Of such labels a few planes are read; all ids up to the highest count as taken."""
    monkeypatch.setattr("samslice.session.labels._MAX_SCAN", 40)
    array = np.zeros((10, 4, 5), np.int32)
    array[0, 0, 0] = 5
    assert ids_in(ArrayLabels(array)) == {1, 2, 3, 4, 5}


VIEWS = [View((0, 1, 0, 0), 2, 3, 0), View((0, 0, 2, 0), 3, 1, 0), View((1, 0, 0, 0), 1, 2, 3)]


@pytest.mark.parametrize("view", VIEWS)
def test_an_overlay_shows_its_writes_over_the_target_and_leaves_the_target_alone(view):
    array = np.random.default_rng(0).integers(0, 5, (3, 4, 5, 6))
    start = array.copy()
    overlay = LabelsOverlay(ArrayLabels(array), view)
    plane = array[view.plane_index(1)]
    expected = np.array(view.turn(plane))
    assert overlay.shape == (array.shape[view.stack_axis], *expected.shape)
    for rows, cols, value in [(slice(0, 2), slice(1, 3), 7), (slice(1, 3), slice(2, 4), 8)]:
        overlay[1, rows, cols] = np.full((2, 2), value)
        expected[rows, cols] = value
        np.testing.assert_array_equal(overlay[1], expected)
    np.testing.assert_array_equal(overlay[0], view.turn(array[view.plane_index(0)]))
    np.testing.assert_array_equal(array, start)


def test_an_overlay_sees_what_the_target_becomes_outside_its_windows():
    array = np.zeros((2, 6, 6), int)
    overlay = LabelsOverlay(ArrayLabels(array), View.whole(3))
    overlay[0, 0:2, 0:2] = np.ones((2, 2))
    array[0] = 5
    assert overlay[0][0, 0] == 1
    assert overlay[0][3, 3] == 5


def test_an_overlay_can_hide_labels():
    array = np.tile(np.arange(6), (2, 6, 1))
    overlay = LabelsOverlay(ArrayLabels(array), View.whole(3), visible=[2, 4])
    assert sorted(np.unique(overlay[0])) == [0, 2, 4]
