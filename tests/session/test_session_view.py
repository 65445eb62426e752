"""Planes and stacks of n-dimensional images, read lazily."""

import dask.array as da
import numpy as np
import pytest

from samslice.session.view import StackView, View

SHAPE = (2, 3, 4, 5)
IMAGE = np.arange(np.prod(SHAPE)).reshape(SHAPE)


class Counting:
    """An array that remembers what was read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, []

    def __getitem__(self, index):
        self.read.append(index)
        return self.array[index]


def test_the_whole_view_is_the_last_axes_and_the_others_at_0():
    view = View.whole(4)
    assert (view.held, view.stack_axis, view.row_axis, view.col_axis) == ((0, 0, 0, 0), 1, 2, 3)
    assert View.whole(2).stack_axis is None
    assert View.whole(2).n_planes((7, 8)) == 1


def test_views_that_show_the_same_are_equal_whatever_is_held_on_free_axes():
    assert View((1, 2, 3, 4), 2, 3, 1) == View((1, 0, 0, 0), 2, 3, 1)
    assert hash(View((1, 2, 3, 4), 2, 3, 1)) == hash(View((1, 0, 0, 0), 2, 3, 1))
    assert View((1, 0, 0, 0), 2, 3, 1) != View((0, 0, 0, 0), 2, 3, 1)


@pytest.mark.parametrize("axes", [(0, 0, 1), (0, 4, 1), (-1, 2, 1), (2, 3, 3)])
def test_axes_that_do_not_fit_are_named(axes):
    with pytest.raises(ValueError, match="different axes from 0 to 3"):
        View((0,) * 4, *axes)


@pytest.mark.parametrize(
    ("view", "picture"),
    [
        (View((1, 0, 0, 0), 2, 3, 1), IMAGE[1, 2]),
        (View((0, 0, 3, 0), 1, 3, 0), IMAGE[1, :, 3]),
        (View((0, 0, 0, 4), 2, 1, 0), IMAGE[1, :, :, 4].T),
    ],
)
def test_a_plane_is_what_the_axes_say_transposed_too(view, picture):
    stack = StackView(IMAGE, view)
    plane = 2 if view.stack_axis == 1 else 1
    np.testing.assert_array_equal(stack[plane], picture)
    assert stack.shape == (SHAPE[view.stack_axis], *picture.shape)
    assert view.plane_shape(SHAPE) == picture.shape


@pytest.mark.parametrize("view", [View((1, 0, 0, 0), 2, 3, 1), View((0, 1, 0, 0), 3, 2, 0)])
def test_coordinates_go_to_the_plane_and_back(view):
    there = view.from_plane(1, 2.5, 3.5)
    assert view.to_plane(there) == (1, 2.5, 3.5)
    assert view.holds(there)
    elsewhere = list(there)
    held_axis = next(
        a for a in range(4) if a not in (view.row_axis, view.col_axis, view.stack_axis)
    )
    elsewhere[held_axis] += 1
    assert not view.holds(elsewhere)
    assert view.at([round(c) for c in elsewhere]).holds(elsewhere)


@pytest.mark.parametrize("channel_axis", [0, 1, 2, 3])
@pytest.mark.parametrize("flipped", [False, True])
def test_channels_come_last_wherever_they_are_in_the_data(channel_axis, flipped):
    spatial = np.random.default_rng(0).integers(0, 9, (4, 6, 7, 3))
    image = np.moveaxis(spatial, -1, channel_axis)
    view = View((0, 0, 0), 2, 1, 0) if flipped else View((0, 0, 0), 1, 2, 0)
    expected = spatial[3].swapaxes(0, 1) if flipped else spatial[3]
    stack = StackView(image, view, channel_axis=channel_axis)
    assert stack.shape == (4, *expected.shape)
    np.testing.assert_array_equal(stack[3], expected)
    one = StackView(image, view, channel_axis=channel_axis, channels=(1,))
    assert one.shape == (4, *expected.shape[:2])
    np.testing.assert_array_equal(one[3], expected[..., 1])
    swapped = StackView(image, view, channel_axis=channel_axis, channels=(2, 0, 1))
    np.testing.assert_array_equal(swapped[3], expected[..., [2, 0, 1]])


def test_one_plane_is_read_and_nothing_before_it_is_asked_for():
    image = Counting(IMAGE)
    stack = StackView(image, View((1, 0, 0, 0), 2, 3, 1))
    assert image.read == []
    stack[2]
    assert image.read == [(1, 2, slice(None), slice(None))]


def test_dask_gives_numpy():
    stack = StackView(da.from_array(IMAGE), View((1, 0, 0, 0), 2, 3, 1))
    assert isinstance(stack[0], np.ndarray)


def test_planes_outside_raise_so_that_loops_end():
    stack = StackView(IMAGE[0], View.whole(3))
    assert len(list(stack)) == 3
    np.testing.assert_array_equal(stack[-1], IMAGE[0, 2])
    with pytest.raises(IndexError):
        stack[3]


def test_wrong_dimensions_and_channels_are_named():
    with pytest.raises(ValueError, match="3 dimensions without channels, the view 4"):
        StackView(IMAGE, View.whole(4), channel_axis=0)
    with pytest.raises(ValueError, match="2 channels"):
        StackView(IMAGE, View.whole(3), channel_axis=0, channels=(2,))
