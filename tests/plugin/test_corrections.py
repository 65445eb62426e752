"""Corrections in layers: clicks on masks that are there, strokes, results that come back."""

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari comes with the napari extra")


def test_finished_objects_come_back_as_finished_ones_when_their_results_were_removed(
    open_sam, viewer_model
):
    """The person has said of them that they are done, and has removed neither their clicks."""
    sam = open_sam()
    sam.points.add([2, 20, 20])
    assert sam.wait(10)
    sam.commit()
    sam.points.add([2, 40, 40])
    assert sam.wait(10)
    before = sam.labels.data.copy()
    assert set(np.unique(before)) == {0, 1, 2}
    viewer_model.layers.remove(sam.labels)
    sam.set_tool("positive")
    assert sam.wait(10)
    assert (sam.state.finished, sam.state.pending) == ((1,), (2,))
    np.testing.assert_array_equal(sam.labels.data, before)
    assert not sam.undo()
    sam.points.add([2, 20, 24])
    assert sam.wait(10)
    np.testing.assert_array_equal(sam.labels.data == 1, before == 1)


def test_a_label_that_other_code_has_written_can_be_used(open_sam, viewer_model):
    sam = open_sam()
    viewer_model.dims.set_current_step(0, 3)
    sam.labels.selected_label = 7
    assert sam.can["use_label"] is not None
    sam.labels.data[3, 10:20, 10:20] = 7
    sam.labels.refresh()
    sam.labels.selected_label = 6
    sam.labels.selected_label = 7
    assert sam.wait(10)
    assert sam.can["use_label"] is None
    sam.labels.data[3] = 0
    sam.labels.selected_label = 6
    sam.labels.selected_label = 7
    assert sam.wait(10)
    assert sam.can["use_label"] is not None


def test_a_negative_click_takes_a_part_off_a_propagated_mask(open_sam, viewer_model):
    sam = open_sam()
    viewer_model.dims.set_current_step(0, 2)
    sam.points.add([2, 30, 30])
    assert sam.wait(10)
    sam.propagate()
    assert sam.wait(20)
    before = sam.labels.data.copy()
    viewer_model.dims.set_current_step(0, 4)
    sam.set_tool("negative")
    sam.points.add([4, 33, 30])
    assert sam.wait(10)
    assert sam.labels.data[4, 33, 30] == 0
    assert 0.3 < (sam.labels.data[4] == 1).sum() / (before[4] == 1).sum() < 1
    sam.undo()
    np.testing.assert_array_equal(sam.labels.data, before)


def test_an_object_of_the_brush_can_be_committed_and_dropped(open_sam, viewer_model):
    sam = open_sam()
    assert sam.can["commit"] is not None
    sam.labels.data_setitem((np.full(9, 2), np.arange(9), np.arange(9)), 1)
    assert (sam.state.pending, sam.can["commit"], sam.can["discard"]) == ((1,), None, None)
    sam.commit()
    assert (sam.state.finished, sam.state.current) == ((1,), 2)
    sam.labels.data_setitem((np.full(9, 3), np.arange(9), np.arange(9)), 2)
    sam.discard()
    assert set(np.unique(sam.labels.data)) == {0, 1}
