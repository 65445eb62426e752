"""The controller on a viewer without a window: what a user does to layers, and what follows."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from samslice.engine.options import PropagateOptions
from samslice.plugin import layers as make

RECTANGLE = np.array([[2, 9.5, 9.5], [2, 9.5, 29.5], [2, 29.5, 29.5], [2, 29.5, 9.5]])


def object_pixels(sam, object_id=1):
    return np.argwhere(np.asarray(sam.labels.data) == object_id)


def test_layers_are_made_once_and_found_again(open_sam, viewer_model):
    sam = open_sam()
    names = [layer.name for layer in viewer_model.layers]
    assert names == ["Image", "Image objects", "Image drawings", "Image clicks"]
    sam.close()
    open_sam(image=viewer_model.layers[0])
    assert [layer.name for layer in viewer_model.layers] == names


def test_a_second_controller_on_an_image_has_layers_of_its_own(open_sam, viewer_model):
    first = open_sam()
    second = open_sam(image=first.image)
    first.points.add([2, 20, 20])
    assert first.wait(10)
    assert len(object_pixels(first))
    assert second.labels is not first.labels
    assert not len(object_pixels(second))


def test_two_images_do_not_disturb_each_other(open_sam):
    first, second = open_sam(), open_sam()
    first.points.add([2, 20, 20])
    second.points.add([4, 40, 40])
    assert first.wait(10)
    assert second.wait(10)
    assert set(object_pixels(first)[:, 0]) == {2}
    assert set(object_pixels(second)[:, 0]) == {4}


# ---------------------------------------------------------------------- prompts


def test_a_click_makes_a_mask_where_it_is(open_sam):
    sam = open_sam(scale=(3, 0.5, 0.5))
    sam.points.add([2, 20, 30])
    assert sam.wait(10)
    np.testing.assert_allclose(object_pixels(sam).mean(axis=0), (2, 20, 30), atol=0.6)


def test_a_click_before_the_model_is_there_counts_when_it_is(open_sam, viewer_model, discs):
    from samslice.plugin.controller import SamController

    image = viewer_model.add_image(np.zeros((6, 64, 64), np.uint8))
    sam = SamController(viewer_model, image, "no-such-model")
    assert sam.wait(10)
    assert sam.session is None
    assert "choose one" in sam.can["commit"]
    sam.points.add([2, 20, 30])
    sam.choose_model(discs)
    assert sam.wait(10)
    assert len(object_pixels(sam))
    sam.close()


def test_moving_turning_and_deleting_a_click_updates_the_mask(open_sam):
    sam = open_sam()
    sam.points.add([[2, 20, 20], [2, 26, 20]])
    assert sam.wait(10)
    both = len(object_pixels(sam))
    features = sam.points.features.copy()
    features[make.POSITIVE] = [True, False]
    sam.points.features = features
    assert sam.wait(10)
    assert 0 < len(object_pixels(sam)) < both
    sam.points.data = np.array([[2, 20, 20], [4, 40, 40.0]])
    assert sam.wait(10)
    assert sam.session.state.prompts[1].plane == 4
    sam.points.selected_data = {0}
    sam.points.remove_selected()
    assert sam.wait(10)
    assert [i.plane for i in sam.session.state.prompts] == [4]
    assert not len(object_pixels(sam))  # a negative click alone is no object here


@pytest.mark.parametrize(
    ("kind", "shape_type"),
    [("box", "rectangle"), ("mask", "ellipse"), ("mask", "polygon"), ("scribble", "path")],
)
def test_each_shape_is_the_prompt_it_looks_like(open_sam, kind, shape_type):
    sam = open_sam()
    sam.shapes.add(RECTANGLE, shape_type=shape_type)
    assert sam.wait(10)
    (item,) = sam.session.state.prompts
    assert (item.kind, item.plane) == (kind, 2)
    assert len(object_pixels(sam))
    sam.undo()
    assert sam.shapes.nshapes == 0
    sam.redo()
    assert sam.shapes.shape_type == [shape_type]
    np.testing.assert_allclose(sam.shapes.data[0], RECTANGLE)


def test_a_box_fills_exactly_the_pixels_it_encloses(open_sam):
    sam = open_sam()
    sam.shapes.add_rectangles(RECTANGLE)
    assert sam.wait(10)
    assert object_pixels(sam).min(axis=0).tolist() == [2, 10, 10]
    assert object_pixels(sam).max(axis=0).tolist() == [2, 29, 29]


def test_clicks_carry_their_object_and_many_are_pending_at_once(open_sam):
    sam = open_sam()
    sam.points.add([2, 12, 12])
    sam.next_object()
    sam.points.add([2, 50, 50])
    assert sam.wait(10)
    assert sam.points.features[make.OBJECT].tolist() == [1, 2]
    assert sam.state.pending == (1, 2)
    assert len(object_pixels(sam, 1))
    assert len(object_pixels(sam, 2))
    assert not np.allclose(sam.points.face_color[0], sam.points.face_color[1])


def test_prompts_made_in_a_script_show_in_the_layers(open_sam):
    sam = open_sam()
    sam.session.add_point((3, 10, 11))
    sam.session.add_box(2, (10, 10, 20, 20))
    assert sam.wait(10)
    assert sam.points.data.tolist() == [[3, 10, 11]]
    assert sam.shapes.shape_type == ["rectangle"]
    assert len(sam.session.state.prompts) == 2  # and are not told back


def test_a_click_outside_is_refused_in_words_and_taken_off(open_sam, heard):
    sam = open_sam()
    sam.points.add([[2, 20, 20], [2, 500, 20]])
    assert sam.wait(10)
    assert len(sam.points.data) == len(sam.session.state.prompts) == 1
    assert "outside" in heard[-1][1]
    assert "(2, 500, 20) is outside; click inside the image of 6 × 64 × 64 pixels" in heard[-1][1]
    sam.points.data = np.array([[2, 20, 64.00526]])  # moved there
    assert "(2, 20, 64) is outside; click inside the image" in heard[-1][1]
    np.testing.assert_allclose(sam.points.data, [[2, 20, 20]])


def test_pasted_clicks_are_prompts_of_their_own(open_sam):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    sam.points.feature_defaults = {**sam.points.feature_defaults.iloc[0], make.UID: 1}
    sam.points.add([2, 30, 30])
    assert sam.points.features[make.UID].is_unique
    assert len(sam.session.state.prompts) == 2


def test_a_users_points_layer_keeps_its_colours_and_features(open_sam, viewer_model):
    mine = viewer_model.add_points(
        [[2, 40, 40]], features={"name": ["nucleus"]}, face_color="magenta", scale=(1, 0.5, 0.5)
    )
    sam = open_sam(points=mine)
    assert sam.points is mine
    assert mine.features["name"].tolist() == ["nucleus"]
    np.testing.assert_allclose(mine.face_color[0], (1, 0, 1, 1))
    (item,) = sam.session.state.prompts
    np.testing.assert_allclose(item.points, [[20, 20]])  # in pixels of the image


def test_labels_of_the_users_are_refined_not_replaced(open_sam, viewer_model):
    data = np.zeros((6, 64, 64), np.int32)
    data[2, 10:20, 10:20] = 4
    mine = viewer_model.add_labels(data)
    sam = open_sam(labels=mine)
    assert sam.labels is mine
    assert sam.state.current == 1
    viewer_model.dims.set_current_step(0, 2)
    mine.selected_label = 4
    sam.use_label()
    assert sam.wait(10)
    assert sam.state.current == 4
    assert len(object_pixels(sam, 4))


# ---------------------------------------------------------------------- objects and history


def test_commit_protects_and_undo_takes_everything_back(open_sam):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    first = object_pixels(sam)
    sam.commit()
    sam.points.add([2, 24, 20])
    assert sam.wait(10)
    np.testing.assert_array_equal(object_pixels(sam, 1), first)
    assert len(object_pixels(sam, 2))
    for _ in range(3):
        sam.undo()
    assert not sam.labels.data.any()
    assert len(sam.points.data) == 0
    assert sam.can["undo"] == "There is nothing to undo."


def test_strokes_stay_through_later_clicks_and_are_undone_alone(open_sam, viewer_model):
    sam = open_sam()
    viewer_model.dims.set_current_step(0, 2)
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    sam.labels.brush_size = 3
    sam.labels.paint((2, 50, 50), 1)
    assert sam.labels.data[2, 50, 50] == 1
    sam.points.add([2, 26, 20])
    assert sam.wait(10)
    assert sam.labels.data[2, 50, 50] == 1
    sam.undo()
    sam.undo()
    assert sam.labels.data[2, 50, 50] == 0
    assert sam.labels.data[2, 20, 20] == 1


def test_a_stroke_of_another_label_survives_undo_of_a_click(open_sam, viewer_model):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    sam.commit()
    sam.labels.data_setitem((np.array([4]), np.array([5]), np.array([5])), 9)
    sam.session.propagate([1], plane=2)
    assert sam.wait(10)
    assert len(set(object_pixels(sam)[:, 0])) == 6
    sam.undo()
    assert set(object_pixels(sam)[:, 0]) == {2}
    assert sam.labels.data[4, 5, 5] == 9


def test_candidates_are_cycled(open_sam, viewer_model):
    sam = open_sam()
    viewer_model.dims.set_current_step(0, 2)
    sam.points.add([2, 30, 30])
    assert sam.wait(10)
    assert len(sam.candidates.scores) == len(sam.candidates.thumbnails) == 3
    areas = [len(object_pixels(sam))]
    for _ in range(3):
        sam.next_candidate()
        areas.append(len(object_pixels(sam)))
    assert areas[0] == areas[3]
    assert len(set(areas)) == 3


def test_finished_objects_stay_finished_for_the_next_widget(open_sam):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    sam.commit()
    before = sam.labels.data.copy()
    sam.close()
    again = open_sam(image=sam_image(sam))
    assert again.state.finished == (1,)
    assert again.state.current == 2
    np.testing.assert_array_equal(again.labels.data, before)


def test_results_that_are_made_anew_lie_below_the_clicks(open_sam, viewer_model):
    sam = open_sam()
    viewer_model.layers.remove(sam.labels)
    sam.set_tool("positive")
    assert sam.wait(10)
    names = [layer.name for layer in viewer_model.layers]
    assert names == ["Image", "Image objects", "Image drawings", "Image clicks"]


def test_new_results_lie_below_the_users_own_clicks(open_sam, viewer_model):
    image = viewer_model.add_image(np.zeros((6, 64, 64), np.uint8))
    mine = viewer_model.add_points(ndim=3)
    sam = open_sam(image=image, points=mine)
    assert viewer_model.layers.index(sam.labels) < viewer_model.layers.index(mine)


def sam_image(sam):
    return next(layer for layer in sam.viewer.layers if isinstance(layer, make.Image))


def test_propagation_fills_the_table_and_undo_empties_it(open_sam, viewer_model):
    sam = open_sam()
    viewer_model.dims.set_current_step(0, 2)
    sam.points.add([2, 30, 30])
    assert sam.wait(10)
    assert sam.cost.planes == 6
    sam.propagate()
    assert sam.wait(20)
    assert [row.plane for row in sam.table] == list(range(6))
    sam.go_to(1, 5)
    assert viewer_model.dims.current_step[0] == 5
    sam.undo()
    assert [row.plane for row in sam.table] == [2]


def test_an_end_mark_is_a_correction_to_carry(open_sam, viewer_model):
    sam = open_sam()
    viewer_model.dims.set_current_step(0, 2)
    sam.points.add([2, 30, 30])
    sam.wait(10)
    sam.propagate()
    assert sam.wait(20)
    viewer_model.dims.set_current_step(0, 4)
    assert sam.can["repropagate"]
    sam.mark_end()
    assert sam.can["repropagate"] is None
    sam.repropagate()
    assert sam.wait(20)
    assert [row.plane for row in sam.table] == list(range(4))


@pytest.mark.parametrize("how", ["propagate", "repropagate"])
def test_propagation_knows_the_size_of_a_voxel_from_the_layer(open_sam, viewer_model, how):
    sam = open_sam(scale=(3, 0.5, 0.5))
    viewer_model.dims.set_current_step(0, 2)
    sam.points.add([2, 30, 30])
    assert sam.wait(10)
    getattr(sam, how)()
    assert sam.wait(20)
    assert len(sam.table) == 6
    assert sam.session.options.spacing == (3, 0.5, 0.5)


def test_a_spacing_that_is_given_counts_more_than_the_layer_s(open_sam, viewer_model):
    given = PropagateOptions(spacing=(5, 1, 1))
    sam = open_sam(scale=(3, 0.5, 0.5))
    sam.set_options(given)
    viewer_model.dims.set_current_step(0, 2)
    sam.points.add([2, 30, 30])
    assert sam.wait(10)
    sam.propagate()
    assert sam.wait(20)
    assert sam.session.options == sam.options == given


# ---------------------------------------------------------------------- data of all kinds


@pytest.mark.parametrize(
    ("shape", "keywords", "labels_shape", "point"),
    [
        ((64, 64), {}, (64, 64), (20, 20)),
        ((64, 64, 3), {"rgb": True}, (64, 64), (20, 20)),
        ((5, 64, 64, 3), {"rgb": True}, (5, 64, 64), (2, 20, 20)),
        ((2, 5, 64, 64), {}, (2, 5, 64, 64), (1, 2, 20, 20)),
        ((2, 2, 5, 64, 64), {}, (2, 2, 5, 64, 64), (1, 0, 2, 20, 20)),
        ((5, 3, 64, 64), {"axis_labels": ("z", "c", "y", "x")}, (5, 1, 64, 64), (2, 0, 20, 20)),
    ],
)
def test_every_kind_of_image_is_segmented(open_sam, shape, keywords, labels_shape, point):
    sam = open_sam(np.zeros(shape, np.uint8), **keywords)
    sam.points.add(point)
    assert sam.wait(10)
    assert sam.labels.data.shape == labels_shape
    assert sam.labels.data[point] == 1


def dask_config():
    import dask

    return dask.config.config


@pytest.mark.parametrize("kind", ["dask", "zarr"])
def test_lazy_images_are_read_plane_by_plane(open_sam, kind, tmp_path, monkeypatch):
    if kind == "dask":
        da = pytest.importorskip("dask.array")
        monkeypatch.setitem(dask_config(), "scheduler", "synchronous")  # no pool of threads
        data = da.zeros((6, 64, 64), chunks=(1, 64, 64), dtype=np.uint8)
    else:
        import zarr

        data = zarr.create_array(tmp_path / "a.zarr", shape=(6, 64, 64), dtype="uint8")
    sam = open_sam(data)
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    assert sam.labels.data[2, 20, 20] == 1


def test_a_pyramid_is_seen_at_the_level_that_suits_the_model(open_sam, discs):
    full = np.zeros((4, 256, 256), np.uint8)
    sam = open_sam([full, full[:, ::2, ::2], full[:, ::4, ::4]], multiscale=True)
    sam.points.add([2, 100, 120])
    assert sam.wait(10)
    assert set(discs.encoded) == {(64, 64)}
    assert sam.labels.data.shape == full.shape
    np.testing.assert_allclose(object_pixels(sam).mean(axis=0), (2, 100, 120), atol=3)


def test_other_views_of_a_stack_have_planes_of_their_own(open_sam, viewer_model):
    sam = open_sam(np.zeros((40, 64, 64), np.uint8))
    viewer_model.dims.order = (1, 0, 2)
    viewer_model.dims.set_current_step(1, 30)
    assert (sam.state.plane, sam.state.n_planes) == (30, 64)
    sam.points.add([20, 30, 20])
    assert sam.wait(10)
    assert set(object_pixels(sam)[:, 1]) == {30}


def test_a_channel_axis_can_be_chosen_and_changed(open_sam, viewer_model):
    sam = open_sam(np.zeros((3, 6, 64, 64), np.uint8))
    assert sam.labels.data.shape == (3, 6, 64, 64)
    sam.set_channels((0, 1, 2), 0)
    assert sam.wait(10)
    assert sam.labels.data.shape == (1, 6, 64, 64)
    sam.set_channels((1,), 0)
    assert sam.source.channels == (1,)
    sam.set_channels((0, 1), 0)  # two are neither grey nor colours
    assert sam.source.channels == (1,)


def test_choosing_a_channel_axis_leaves_no_empty_layer_and_keeps_the_tool(open_sam, viewer_model):
    sam = open_sam(np.zeros((3, 6, 64, 64), np.uint8))
    sam.set_tool("box")
    sam.set_channels((0,), 0)
    assert sam.wait(10)
    assert [layer for layer in viewer_model.layers if layer.name.startswith("Image objects")] == [
        sam.labels
    ]
    assert sam.tool == "box"
    sam.labels.data_setitem((np.array([0]), np.array([2]), np.array([3]), np.array([4])), 7)
    kept = sam.labels
    sam.set_channels((), None)
    assert sam.wait(10)
    assert kept in viewer_model.layers  # somebody's work
    assert sam.labels is not kept


# ---------------------------------------------------------------------- what must never raise


def test_layers_may_be_renamed_moved_and_hidden(open_sam, viewer_model, heard):
    sam = open_sam()
    for layer in list(viewer_model.layers):
        layer.name = f"my {layer.name}"
        layer.visible = False
    viewer_model.layers.move(0, 4)
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    assert len(object_pixels(sam))
    assert sam.choices.image == "my Image"
    assert heard == []


@pytest.mark.parametrize("name", ["points", "shapes", "labels", "image"])
def test_a_layer_may_be_removed_while_its_plane_is_encoded(open_sam, viewer_model, heard, discs,
                                                         name):  # fmt: skip
    sam = open_sam()
    discs.gate.clear()
    sam.image.data = sam.image.data + 50  # to be encoded anew
    sam.points.add([4, 20, 20])
    sam.shapes.add_rectangles(RECTANGLE)
    viewer_model.layers.remove(getattr(sam, name))
    discs.gate.set()
    assert sam.wait(10)
    assert [level for level, _ in heard] == ["info"]
    assert getattr(sam, name) is None
    if name != "image":
        sam.set_tool({"points": "negative", "shapes": "box", "labels": "brush"}[name])
        assert sam.wait(10)
        assert len(object_pixels(sam))
        assert len(sam.points.data) == sam.shapes.nshapes == 1


def test_removing_all_layers_at_once_is_quiet_enough(open_sam, viewer_model, heard):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    viewer_model.layers.clear()
    assert sam.image is None
    assert sam.session is None
    assert all(level == "info" for level, _ in heard)
    viewer_model.add_image(np.zeros((4, 64, 64), np.uint8))
    assert sam.wait(10)
    assert sam.session is not None


def test_other_data_of_the_same_shape_make_the_masks_anew(open_sam, discs):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    n = len(discs.encoded)
    sam.image.data = np.full((6, 64, 64), 7, np.uint8)
    assert sam.wait(10)
    assert len(discs.encoded) > n
    assert len(object_pixels(sam))


def test_data_of_another_shape_begin_anew_and_keep_the_old_results(open_sam, viewer_model, heard):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    old = sam.labels
    sam.image.data = np.zeros((3, 32, 32), np.uint8)
    assert sam.wait(10)
    assert old in viewer_model.layers
    assert old.data.any()
    assert sam.labels.data.shape == (3, 32, 32)
    assert heard[0][0] == "warning"


def test_scale_and_contrast_may_change(open_sam):
    sam = open_sam()
    sam.set_normalization("contrast")
    sam.points.add([2, 20, 20])
    sam.image.scale = (2, 3, 3)
    sam.image.contrast_limits = (0, 100)
    assert sam.wait(10)
    np.testing.assert_allclose(sam.labels.scale, (2, 3, 3))
    assert sam.session.normalization.high == (100.0,)
    assert len(object_pixels(sam))


def test_another_image_can_be_chosen_and_the_first_taken_up_again(open_sam, viewer_model):
    sam = open_sam()
    first = sam.image
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    other = viewer_model.add_image(np.zeros((3, 64, 64), np.uint8), name="other")
    sam.choose_image("other")
    assert sam.wait(10)
    assert sam.labels.data.shape == (3, 64, 64)
    sam.choose_image(first)
    assert sam.state.pending == (1,)
    sam.undo()
    assert not sam.labels.data.any()
    assert sam.image != other


def test_every_action_at_any_moment_says_why_or_does_it(open_sam, viewer_model, heard):
    from samslice.plugin.controller import SamController
    from samslice.plugin.keys import ACTIONS

    empty = SamController(viewer_model, None, "no-such-model")
    sam = open_sam()
    for one in (empty, sam):
        assert set(one.can) == {a.name for a in ACTIONS}
        for action in ACTIONS:
            one.act(action.name)
    viewer_model.dims.ndisplay = 3
    for action in ACTIONS:
        sam.act(action.name)
    assert all(level in ("info", "warning") for level, _ in heard)
    empty.close()


# ---------------------------------------------------------------------- threads and the end


def test_offline_without_weights_one_message_says_what_to_do(
    viewer_model, monkeypatch, tmp_path, discs
):
    from samslice.plugin.controller import SamController

    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    monkeypatch.setenv("SAMSLICE_WEIGHTS", str(tmp_path))
    viewer_model.add_image(np.zeros((6, 64, 64), np.uint8))
    sam = SamController(viewer_model)
    told = []
    sam.message.connect(lambda level, text: told.append((level, text)))
    sam._loader.wait(10)
    ((level, text),) = told
    assert level == "error"
    assert "SAMSLICE_WEIGHTS" in text
    assert sam.model.state == "failed"
    sam.choose_model(discs)
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    assert len(object_pixels(sam))
    sam.close()


def test_closing_during_a_job_ends_threads_within_a_second(open_sam, discs):
    sam = open_sam()
    discs.gate.clear()
    discs.entered.clear()
    sam.image.data = sam.image.data + 50  # to be encoded anew
    sam.points.add([4, 20, 20])
    assert discs.entered.wait(5)
    begun = time.monotonic()
    sam.close()
    sam.close()
    assert time.monotonic() - begun < 1
    assert not any(t.name.startswith("samslice") for t in threading.enumerate())
    discs.gate.set()
    assert sam.points is None


def test_nothing_is_left_behind_in_the_viewer(open_sam, viewer_model):
    sam = open_sam()
    points, labels = sam.points, sam.labels
    sam.close()
    assert not viewer_model.keymap
    assert not points.keymap
    assert not labels.keymap
    points.add([2, 20, 20])
    viewer_model.dims.set_current_step(0, 3)
    points.name = "x"
    viewer_model.layers.clear()
    assert not labels.data.any()


def test_the_model_runs_on_no_thread_of_the_callers(open_sam, discs):
    sam = open_sam()
    sam.points.add([2, 20, 20])
    sam.propagate()
    assert sam.wait(20)
    assert threading.current_thread() not in discs.threads


def test_a_click_goes_before_what_is_encoded_in_the_background(open_sam, discs, viewer_model):
    sam = open_sam(np.zeros((40, 64, 64), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None])
    discs.gate.clear()
    discs.entered.clear()
    assert discs.entered.wait(5)
    sam.points.add([35, 20, 20])
    encoded = len(discs.encoded)
    discs.gate.set()
    assert sam.wait(10)
    # Not what is encoded by now: the background goes on while the answer is shown.
    assert discs.encoded_before[0] - encoded <= 3
    assert len(object_pixels(sam))


def test_undo_does_not_take_back_what_was_there_before_the_widget(open_sam, viewer_model):
    data = np.zeros((6, 64, 64), np.uint8) + np.arange(6, dtype=np.uint8)[:, None, None]
    image = viewer_model.add_image(data)
    points = viewer_model.add_points([[2, 20, 20], [2, 40, 40]], name="mine")
    sam = open_sam(image=image, points=points)
    assert sam.session.undo_label == ""
    sam.undo()
    assert len(points.data) == 2
    assert len(sam.session.state.prompts) == 2
