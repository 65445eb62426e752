"""Layers on the geometry of the image, and labels written through their own history."""

import numpy as np
import pytest

from samslice.plugin import layers as make
from samslice.plugin.layer_labels import LayerLabels
from samslice.plugin.viewstate import Axes
from samslice.session.labels import ArrayLabels

GEOMETRY = {
    "scale": (2.0, 0.5, 0.7),
    "translate": (5.0, -3.0, 1.0),
    "rotate": [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
    "shear": (0.0, 0.0, 0.2),
    "affine": np.array([[1, 0, 0, 3.0], [0, 1, 0.1, 0], [0, 0, 1.2, 0], [0, 0, 0, 1]]),
}


@pytest.mark.parametrize("create", [make.make_points, make.make_shapes, make.make_labels])
def test_layers_lie_where_the_image_lies(viewer_model, create):
    image = viewer_model.add_image(np.zeros((4, 20, 30)), **GEOMETRY, units=("um", "nm", "nm"))
    layer = create(image, Axes(3))
    for pixel in ([0, 0, 0], [3, 10, 20]):
        np.testing.assert_allclose(layer.data_to_world(pixel), image.data_to_world(pixel))
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)


@pytest.mark.parametrize("channel", [0, 1])
def test_results_show_at_every_channel(viewer_model, channel):
    """The channel axis of our layers has one index that reaches over all channels."""
    shape = (3, 4, 20, 30) if channel == 0 else (4, 3, 20, 30)
    image = viewer_model.add_image(np.zeros(shape), scale=(2, 3, 1, 1), translate=(1, 2, 0, 0))
    labels = make.make_labels(image, Axes(4, channel))
    for c in range(3):
        pixel = [2, 2, 5, 5]
        pixel[channel] = c
        found = labels.world_to_data(image.data_to_world(pixel))
        expected = [2, 2, 5, 5]
        expected[channel] = 0
        assert np.round(found).astype(int).tolist() == expected


def test_huge_results_are_kept_on_disk(viewer_model, monkeypatch):
    monkeypatch.setattr(make, "_IN_MEMORY", 1000)
    image = viewer_model.add_image(np.zeros((4, 20, 30)))
    layer = viewer_model.add_layer(make.make_labels(image, Axes(3)))
    target = LayerLabels(layer, Axes(3))
    target.write((2, slice(3, 5), slice(4, 6)), np.full((2, 2), 7))
    assert not isinstance(layer.data, np.ndarray)
    assert np.asarray(layer.data[2])[3:5, 4:6].tolist() == [[7, 7], [7, 7]]


def test_writing_changes_what_an_array_would_and_goes_into_napari_s_history(viewer_model):
    layer = viewer_model.add_labels(np.zeros((4, 20, 30), np.uint16))
    target, plain = LayerLabels(layer, Axes(3)), ArrayLabels(np.zeros((4, 20, 30), np.uint16))
    sizes = []
    layer.events.paint.connect(lambda e: sizes.append(len(e.value[0][0][0])))
    values = np.zeros((6, 5), np.uint16)
    values[2:4, 1:3] = 9
    for one in (target, plain):
        one.write((1, slice(5, 11), slice(7, 12)), values)
    np.testing.assert_array_equal(layer.data, plain.array)
    assert sizes == [4]  # the pixels that change, and no other
    layer.undo()
    assert not layer.data.any()


def test_writing_what_is_there_writes_nothing(viewer_model):
    layer = viewer_model.add_labels(np.full((20, 30), 3, np.uint16))
    told = []
    layer.events.paint.connect(told.append)
    LayerLabels(layer, Axes(2)).write((slice(0, 4), slice(0, 4)), np.full((4, 4), 3))
    assert not told


def test_a_stroke_over_several_moves_is_one_patch(viewer_model):
    layer = viewer_model.add_labels(np.zeros((20, 30), np.uint16))
    target, patches = LayerLabels(layer, Axes(2)), []
    layer.events.paint.connect(lambda e: patches.append(target.stroke(e.value)))
    layer.brush_size = 4
    with layer.block_history():
        layer.paint((5, 5), 2)
        layer.paint((5, 8), 2)
        target.write((slice(15, 17), slice(20, 22)), np.full((2, 2), 9))  # by the session
    (patch,) = patches
    assert set(np.unique(patch.after)) == {0, 2}
    assert not patch.before.any()
    assert patch.after.sum() == 2 * (layer.data == 2).sum()


@pytest.mark.parametrize(
    ("data", "fitting"),
    [
        (np.zeros((4, 20, 30), np.int32), True),
        (np.zeros((4, 20, 31), np.int32), False),
        (np.zeros((20, 30), np.int32), False),
    ],
)
def test_only_labels_of_the_image_s_shape_fit(viewer_model, data, fitting):
    image = viewer_model.add_image(np.zeros((4, 20, 30)))
    assert make.fits(viewer_model.add_labels(data), image, Axes(3)) is fitting


def test_labels_that_cannot_be_written_do_not_fit(viewer_model):
    dask = pytest.importorskip("dask.array")
    image = viewer_model.add_image(np.zeros((4, 20, 30)))
    lazy = viewer_model.add_labels(dask.zeros((4, 20, 30), dtype=np.int32))
    fixed = np.zeros((4, 20, 30), np.int32)
    fixed.flags.writeable = False
    assert not make.fits(lazy, image, Axes(3))
    assert not make.fits(viewer_model.add_labels(fixed), image, Axes(3))


@pytest.mark.parametrize("how", ["hidden", "beside the slider's plane"])
def test_labels_that_napari_does_not_show_are_written_as_they_are(viewer_model, how):
    """What stands for such a layer's pixels has one of them, of eight bits."""
    layer = viewer_model.add_labels(np.zeros((4, 20, 30), np.int32))
    if how == "hidden":
        layer.visible = False
        viewer_model.dims.set_current_step(0, 2)
    else:
        viewer_model.add_image(np.zeros((9, 20, 30)))
        viewer_model.dims.set_current_step(0, 8)
    target = LayerLabels(layer, Axes(3))
    target.write((2, slice(3, 5), slice(4, 6)), np.full((2, 2), 300))
    assert layer.data[2, 3:5, 4:6].tolist() == [[300, 300], [300, 300]]
    assert np.count_nonzero(layer.data) == 4
    layer.visible = True
    viewer_model.dims.set_current_step(0, 2)
    assert layer.get_value((2, 3, 4)) == 300
