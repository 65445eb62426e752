"""A click belongs to the object and has the sign that the widget shows, whatever napari does."""

from __future__ import annotations

import numpy as np
import pytest

from samslice.plugin import layers as make
from samslice.plugin.controller import SamController

BOX = np.array([[2, 40, 40], [2, 40, 50], [2, 50, 50], [2, 50, 40]], float)


@pytest.fixture
def two_objects(open_sam):
    sam = open_sam()
    sam.points.add([2, 12, 12])
    sam.next_object()
    sam.points.add([2, 50, 50])
    assert sam.wait(10)
    assert [i.object_id for i in sam.session.state.prompts] == [1, 2]
    return sam


def test_a_click_after_a_discard_is_of_the_current_object(two_objects):
    sam = two_objects
    sam.set_current(1)
    sam.discard()
    assert sam.state.current == 1
    sam.points.add([2, 30, 12])
    assert sam.session.state.prompts[-1].object_id == 1


@pytest.mark.parametrize("layer", ["points", "shapes"])
def test_a_prompt_is_of_the_current_object_though_another_s_is_selected(two_objects, layer):
    sam = two_objects
    if layer == "shapes":
        sam.shapes.add(BOX, shape_type="rectangle")
    sam.set_current(1)
    sam.points.mode = sam.shapes.mode = "select"
    getattr(sam, layer).selected_data = {len(getattr(sam, layer).data) - 1}
    if layer == "points":
        sam.set_tool("positive")
        sam.points.add([2, 30, 12])
    else:
        sam.set_tool("box")
        sam.shapes.add(BOX - (0, 35, 0), shape_type="rectangle")
    assert sam.session.state.prompts[-1].object_id == 1


def test_a_deleted_negative_click_leaves_the_tool_as_it_is(two_objects):
    sam = two_objects
    sam.set_tool("negative")
    sam.points.add([2, 56, 50])
    sam.set_tool("positive")
    sam.points.mode = "select"
    sam.points.selected_data = {2}
    sam.points.remove_selected()
    sam.points.mode = "add"
    assert sam.tool == "positive"
    sam.points.add([2, 45, 50])
    assert sam.session.state.prompts[-1].positive


@pytest.mark.parametrize("positive", [True, False])
def test_the_sign_outlives_features_that_are_written_anew(two_objects, positive):
    sam = two_objects
    sam.set_tool("positive" if positive else "negative")
    sam.points.features = sam.points.features.assign(**{make.POSITIVE: not positive})
    sam.points.add([2, 30, 12])
    assert sam.session.state.prompts[-1].positive is positive
    assert sam.session.state.prompts[-1].object_id == 2


def test_writing_features_keeps_the_label_that_the_user_has_picked(two_objects):
    """The pipette's choice is for *Use label*; only another current object changes it."""
    sam = two_objects
    sam.labels.selected_label = 1
    sam.points.add([2, 45, 50])
    assert sam.wait(10)
    assert sam.labels.selected_label == 1


@pytest.fixture
def without_model(viewer_model, heard):
    """Opens a controller whose model cannot be loaded, so that there is no session."""
    opened = []

    def open_it(**layers):
        image = viewer_model.add_image(np.zeros((6, 64, 64), np.uint8))
        sam = SamController(viewer_model, image, "no-such-model", **layers)
        opened.append(sam)
        assert sam.wait(10)
        assert sam.session is None
        heard.clear()
        sam.message.connect(lambda level, text: heard.append((level, text)))
        return sam

    yield open_it
    for sam in opened:
        sam.close()


@pytest.mark.parametrize("when", ["opening", "later"])
def test_points_without_our_features_can_be_used_before_a_session(
    without_model, viewer_model, discs, heard, when
):
    mine = viewer_model.add_points(
        [[2, 12, 12]], features={"name": ["nucleus"], make.POSITIVE: [None]}
    )
    mine.features = mine.features[["name"]]
    sam = without_model(**{"points": mine} if when == "opening" else {})
    sam.choose_layers(points=mine)
    assert sam.points is mine
    sam.set_tool("positive")
    assert sam.tool == "positive"
    sam.toggle_sign()
    assert sam.tool == "negative"
    mine.add([2, 16, 12])
    assert heard == []
    sam.choose_model(discs)
    assert sam.wait(10)
    assert [(i.object_id, i.positive) for i in sam.session.state.prompts] == [(1, True), (1, False)]
    assert mine.features["name"].tolist()[0] == "nucleus"


def test_features_that_are_replaced_before_a_session_are_completed(
    without_model, viewer_model, heard
):
    sam = without_model()
    sam.points.add([2, 12, 12])
    sam.points.features = {"name": ["nucleus"]}
    sam.points.mode = "select"
    sam.points.selected_data = {0}
    sam.toggle_sign()
    assert sam.points.features[make.POSITIVE].tolist() == [False]
    assert heard == []
