"""Which plane of which stack the viewer shows."""

import numpy as np
import pytest

from samslice.plugin.viewstate import Axes, free_axes, read_view, spacing_of


def shown(viewer, image, **keywords):
    channel = keywords.pop("channel", None)
    return read_view(viewer.dims, image, Axes(image.ndim, channel), **keywords)


def test_a_2d_image_is_one_plane(viewer_model):
    found = shown(viewer_model, viewer_model.add_image(np.zeros((20, 30))))
    assert (found.view.row_axis, found.view.col_axis, found.view.stack_axis) == (0, 1, None)


def test_the_slider_chooses_the_plane_in_data_pixels(viewer_model):
    image = viewer_model.add_image(np.zeros((8, 20, 30)), scale=(2.5, 1, 1), translate=(10, 0, 0))
    viewer_model.dims.set_point(0, 10 + 2.5 * 5)
    assert shown(viewer_model, image).plane == 5


@pytest.mark.parametrize(
    ("order", "rows", "cols", "stack"),
    [((0, 1, 2), 1, 2, 0), ((1, 0, 2), 0, 2, 1), ((2, 0, 1), 0, 1, 2), ((0, 2, 1), 2, 1, 0)],
)
def test_the_displayed_axes_are_the_plane(viewer_model, order, rows, cols, stack):
    image = viewer_model.add_image(np.zeros((8, 20, 30)))
    viewer_model.dims.order = order
    view = shown(viewer_model, image).view
    assert (view.row_axis, view.col_axis, view.stack_axis) == (rows, cols, stack)


def test_axes_that_are_neither_plane_nor_stack_are_held(viewer_model):
    image = viewer_model.add_image(np.zeros((3, 4, 8, 20, 30)))
    viewer_model.dims.set_current_step((0, 1, 2), (2, 3, 5))
    found = shown(viewer_model, image)
    assert (found.view.held, found.view.stack_axis, found.plane) == ((2, 3, 0, 0, 0), 2, 5)
    found = shown(viewer_model, image, stack_axis=0)
    assert (found.view.held, found.view.stack_axis, found.plane) == ((0, 3, 5, 0, 0), 0, 2)


def test_the_channel_axis_is_none_of_the_sessions(viewer_model):
    image = viewer_model.add_image(np.zeros((8, 3, 20, 30)))
    viewer_model.dims.set_current_step((0, 1), (5, 2))
    found = shown(viewer_model, image, channel=1)
    assert (found.view.ndim, found.view.stack_axis, found.plane) == (3, 0, 5)
    assert (found.view.row_axis, found.view.col_axis) == (1, 2)


def test_an_image_with_fewer_axes_than_the_viewer_uses_its_last_ones(viewer_model):
    viewer_model.add_image(np.zeros((5, 8, 20, 30)))
    image = viewer_model.add_image(np.zeros((8, 20, 30)))
    viewer_model.dims.set_current_step((0, 1), (4, 3))
    assert shown(viewer_model, image).plane == 3


def test_a_volume_shows_no_plane(viewer_model):
    image = viewer_model.add_image(np.zeros((8, 20, 30)))
    viewer_model.dims.ndisplay = 3
    assert shown(viewer_model, image) is None


def test_axes_of_a_single_plane_are_no_stack(viewer_model):
    image = viewer_model.add_image(np.zeros((1, 8, 1, 20, 30)))
    assert free_axes(viewer_model.dims, image, Axes(5)) == [1]


def spacing(viewer, image, channel=None):
    axes = Axes(image.ndim, channel)
    return spacing_of(image, axes, read_view(viewer.dims, image, axes).view)


def test_the_size_of_a_voxel_is_the_layer_s_scale_along_stack_row_and_column(viewer_model):
    image = viewer_model.add_image(np.zeros((4, 6, 8)), scale=(3, 0.5, -0.25))
    assert spacing(viewer_model, image) == (3, 0.5, 0.25)
    viewer_model.dims.order = (2, 0, 1)
    assert spacing(viewer_model, image) == (0.25, 3, 0.5)


def test_a_channel_axis_has_no_part_in_the_size_of_a_voxel(viewer_model):
    image = viewer_model.add_image(np.zeros((4, 3, 6, 8)), scale=(3, 9, 0.5, 0.5))
    assert spacing(viewer_model, image, channel=1) == (3, 0.5, 0.5)


def test_the_size_of_a_voxel_heeds_units(viewer_model):
    keywords = {"scale": (2, 500, 500), "units": ("um", "nm", "nm")}
    image = viewer_model.add_image(np.zeros((4, 6, 8)), **keywords)
    assert spacing(viewer_model, image) == pytest.approx((2000, 500, 500))


def test_time_and_single_planes_have_no_spacing(viewer_model):
    series = viewer_model.add_image(np.zeros((4, 6, 8)), units=("s", "um", "um"))
    assert spacing(viewer_model, series) is None
    viewer_model.layers.clear()
    assert spacing(viewer_model, viewer_model.add_image(np.zeros((6, 8)))) is None
