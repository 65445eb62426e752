"""What a pending object takes it gives back, and others keep what is theirs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samslice.session.labels import ArrayLabels, Patch
from samslice.session.painter import Painter
from samslice.session.state import Correction, Key, Place
from samslice.session.strokes import corrections_of, windows_of
from samslice.session.view import View

VIEW = View.whole(3)
PLACE = Place(VIEW, 1)
SIZE = 7


def grid(elements):
    return arrays(np.uint8, (SIZE, SIZE), elements=elements)


def masks_of(picture):
    """Non-overlapping masks of a label picture, in tight regions."""
    found = []
    for object_id in np.unique(picture[picture > 0]).tolist():
        rows, cols = np.nonzero(picture == object_id)
        region = (int(rows.min()), int(cols.min()), int(rows.max()) + 1, int(cols.max()) + 1)
        part = picture[region[0] : region[2], region[1] : region[3]] == object_id
        found.append((object_id, region, part))
    return found


def paint(painter, picture, object_ids, **keywords):
    masks = masks_of(picture)
    keywords.setdefault("pending", object_ids)
    return painter.paint(
        PLACE,
        object_ids,
        [region for _, region, _ in masks],
        lambda window, taken: masks,
        **keywords,
    )


pending_labels = st.integers(0, 2)
other_labels = st.sampled_from([0, 0, 7, 8])


@given(grid(other_labels), st.lists(grid(pending_labels), min_size=1, max_size=4), st.booleans())
def test_pending_objects_that_go_leave_the_labels_as_they_were(start, pictures, overwrite):
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    array[1] = start
    painter = Painter(ArrayLabels(array))
    for picture in pictures:
        paint(painter, picture, [1, 2], overwrite=overwrite)
        expected = np.where((picture > 0) & (overwrite | (start == 0)), picture, start)
        np.testing.assert_array_equal(array[1], expected)
    painter.paint(PLACE, (), (), lambda *_: [], gone=[1, 2])
    np.testing.assert_array_equal(array[1], start)
    assert painter.records == {}
    assert not array[[0, 2]].any()


@given(grid(other_labels), st.lists(grid(pending_labels), min_size=1, max_size=4), st.booleans())
def test_patches_and_records_go_back_step_by_step(start, pictures, overwrite):
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    array[1] = start
    painter = Painter(ArrayLabels(array))
    steps = []
    for picture in pictures:
        before = array[1].copy(), dict(painter.records)
        steps.append((before, paint(painter, picture, [1, 2], overwrite=overwrite)))
    for (pixels, records), painted in reversed(steps):
        if painted.patch is not None:
            painted.patch.revert(painter.target)
        painter.replace(painted.records, which=0)
        np.testing.assert_array_equal(array[1], pixels)
        assert painter.records == records


def test_the_patch_is_as_small_as_the_change():
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    picture = np.zeros((SIZE, SIZE), np.uint8)
    picture[2:4, 3:6] = 1
    painted = paint(Painter(ArrayLabels(array)), picture, [1])
    assert painted.patch.index == (1, slice(2, 4), slice(3, 6))
    assert painted.areas == {1: 6}
    again = paint(Painter(ArrayLabels(array)), picture, [1])
    assert again.patch is None


def test_pending_objects_never_take_pixels_of_pending_ones_that_are_not_painted():
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    array[1, :, :3] = 2
    picture = np.ones((SIZE, SIZE), np.uint8)
    paint(Painter(ArrayLabels(array)), picture, [1], pending=[1, 2], overwrite=True)
    assert (array[1, :, :3] == 2).all()
    assert (array[1, :, 3:] == 1).all()


def test_an_object_that_was_there_before_is_replaced_and_comes_back():
    """A finished object is opened again, painted anew, and dropped."""
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    array[1, :2] = 1
    painter = Painter(ArrayLabels(array))
    picture = np.zeros((SIZE, SIZE), np.uint8)
    picture[1:4] = 1
    paint(painter, picture, [1])
    np.testing.assert_array_equal(array[1], picture)
    painter.paint(PLACE, (), (), lambda *_: [], gone=[1])
    assert (array[1] == 1).sum() == 2 * SIZE


def test_finished_objects_leave_no_record():
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    painter = Painter(ArrayLabels(array))
    picture = np.ones((SIZE, SIZE), np.uint8)
    paint(painter, picture, [1], pending=[])
    assert painter.records == {}
    paint(painter, picture, [2], pending=[2])
    assert set(painter.records) == {Key(2, *PLACE)}
    assert painter.settle([2])[Key(2, *PLACE)][1] is None
    assert painter.records == {}


def test_what_somebody_else_wrote_is_not_given_back():
    """A pixel that another program changed is theirs, not what the object covered."""
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    painter = Painter(ArrayLabels(array))
    paint(painter, np.ones((SIZE, SIZE), np.uint8), [1])
    array[1, 0, 0] = 9
    painter.paint(PLACE, (), (), lambda *_: [], gone=[1])
    assert array[1, 0, 0] == 9
    assert array[1].sum() == 9


@given(grid(st.integers(0, 1)), grid(st.sampled_from([0, 1, 2, 8])), grid(st.integers(0, 1)))
def test_strokes_go_over_masks_and_stay_through_later_ones(first, strokes, second):
    """2 erases, 1 paints the object, 8 paints another one; 0 leaves the pixel."""
    array = np.zeros((3, SIZE, SIZE), np.uint8)
    painter = Painter(ArrayLabels(array))
    paint(painter, first, [1])
    before = array[1].copy()
    for stroke, label in ((1, 1), (2, 0), (8, 8)):
        array[1][strokes == stroke] = label
    after = array[1].copy()
    region = (0, 0, SIZE, SIZE)
    painter.note_stroke(PLACE, region, before, after, [1])
    corrections = corrections_of(region, before, after)
    paint(painter, second, [1], corrections=corrections)
    changed = before != after
    np.testing.assert_array_equal(array[1][changed], after[changed])
    np.testing.assert_array_equal(
        array[1][~changed & (after != 8)], second[~changed & (after != 8)]
    )
    painter.paint(PLACE, (), (), lambda *_: [], gone=[1])
    np.testing.assert_array_equal(array[1], np.where(after == 8, 8, 0))


def test_strokes_take_over_what_the_mask_had_covered():
    """Painted over a pending object that covers a finished one: dropping both gives it back."""
    array = np.full((3, SIZE, SIZE), 9, np.uint8)
    painter = Painter(ArrayLabels(array))
    paint(painter, np.ones((SIZE, SIZE), np.uint8), [1], overwrite=True)
    before = array[1].copy()
    array[1, 0] = 2
    painter.note_stroke(PLACE, (0, 0, SIZE, SIZE), before, array[1], [1, 2])
    painter.paint(PLACE, (), (), lambda *_: [], gone=[1])
    assert (array[1, 0] == 2).all()
    assert (array[1, 1:] == 9).all()
    painter.paint(PLACE, (), (), lambda *_: [], gone=[2])
    assert (array == 9).all()


def test_many_objects_on_a_large_plane_are_painted_in_one_pass():
    """The work grows with the pixels, not with pixels times objects."""
    array = np.zeros((1, 256, 256), np.uint16)
    view = View.whole(3)
    picture = (np.arange(256)[:, None] // 16) * 16 + np.arange(256)[None] // 16 + 1
    painter = Painter(ArrayLabels(array))
    ids = list(range(1, 257))
    masks = masks_of(picture)
    painted = painter.paint(
        Place(view, 0), ids, [m[1] for m in masks], lambda *_: masks, pending=ids
    )
    np.testing.assert_array_equal(array[0], picture)
    assert painted.areas == dict.fromkeys(ids, 256)
    assert sum(r.nbytes for r in painter.records.values()) <= 256 * 256 * 11


@pytest.mark.parametrize(
    "view", [View((0, 0, 0, 0), 2, 3, 1), View((0, 0, 0, 0), 3, 1, 2), View((0, 0, 0, 0), 2, 3)]
)
def test_a_patch_over_many_axes_is_cut_into_the_planes_of_the_view(view):
    """Put together again, the windows are the patch."""
    shape = (2, 3, 4, 5)
    rng = np.random.default_rng(0)
    before = rng.integers(0, 3, (2, 3, 2, 3))
    after = rng.integers(0, 3, (2, 3, 2, 3))
    index = (slice(None), slice(0, 3), slice(1, 3), slice(2, 5))
    whole = np.zeros(shape, int)
    for place, (r0, c0, r1, c1), old, new in windows_of(view, Patch(index, before, after), shape):
        at = place.view.plane_index(place.plane, slice(r0, r1), slice(c0, c1))
        assert place.view.turn(whole[at]).shape == old.shape
        whole[at] = place.view.turn(np.where(old != new, new + 10, 0))
    expected = np.zeros(shape, int)
    expected[index] = np.where(before != after, after + 10, 0)
    np.testing.assert_array_equal(whole, expected)


@pytest.mark.parametrize(
    "index", [(0, slice(0, 2)), (0, 0, slice(0, 9)), (0, 5, slice(0, 2)), (0, 0, slice(0, 4, 2))]
)
def test_patches_that_do_not_fit_are_refused(index):
    n = 2
    patch = Patch(index, np.zeros(n), np.ones(n))
    with pytest.raises(ValueError, match=r"patch|reshape"):
        list(windows_of(View.whole(3), patch, (2, 3, 4)))


def test_each_object_has_its_own_correction():
    before, after = np.array([[1, 2, 0]]), np.array([[2, 2, 1]])
    found = corrections_of((4, 4, 5, 7), before, after)
    assert set(found) == {1, 2}
    assert found[1].add.tolist() == [[False, False, True]]
    assert found[1].erase.tolist() == [[True, False, False]]
    assert found[2].add.tolist() == [[True, False, False]]
    assert isinstance(found[2], Correction)
