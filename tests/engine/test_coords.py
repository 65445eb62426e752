"""Frames: the plane's pixels and SAM's input agree, there and back."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from samslice.engine.coords import Frame

SHAPES = [(256, 256), (300, 517), (384, 512), (1, 1), (1, 5000), (5000, 1), (2000, 1500), (7, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_upsample_equals_two_interpolations_with_a_crop(shape):
    """The composed matrices are what the model's authors compute step by step."""
    frame = Frame(shape)
    logits = np.random.default_rng(0).normal(size=(3, 256, 256)).astype(np.float32)
    whole = F.interpolate(
        torch.from_numpy(logits)[None], (1024, 1024), mode="bilinear", align_corners=False
    )
    rows, cols = frame.input_shape
    expected = F.interpolate(whole[..., :rows, :cols], shape, mode="bilinear", align_corners=False)[
        0
    ].numpy()
    np.testing.assert_allclose(frame.upsample(logits), expected, atol=2e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_longer_side_fills_the_input(shape):
    rows, cols = Frame(shape).input_shape
    assert max(rows, cols) == 1024
    assert min(rows, cols) >= 1


def test_region_is_a_window_of_the_whole():
    frame = Frame((300, 517))
    logits = np.random.default_rng(1).normal(size=(256, 256)).astype(np.float32)
    part = frame.upsample(logits, (10, 20, 100, 400))
    np.testing.assert_allclose(part, frame.upsample(logits)[10:100, 20:400], atol=1e-5)


@pytest.mark.parametrize("shape", [(300, 517), (64, 64), (1500, 2000)])
def test_logits_region_holds_every_positive_pixel(shape):
    frame = Frame(shape)
    logits = np.full((256, 256), -5, np.float32)
    logits[40:60, 30:90] = 4
    row0, col0, row1, col1 = frame.logits_region(logits)
    outside = frame.upsample(logits) > 0
    assert outside.any()
    outside[row0:row1, col0:col1] = False
    assert not outside.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_cells_hold_every_logit_that_a_region_is_made_of(shape):
    frame = Frame(shape)
    logits = np.random.default_rng(3).normal(size=(256, 256)).astype(np.float32)
    rows, cols = shape
    for region in [
        (0, 0, rows, cols),
        (rows // 3, cols // 4, rows // 3 + 1, cols // 4 + 1),
        (rows // 2, 0, rows, (cols + 1) // 2),
    ]:
        row0, col0, row1, col1 = frame.cells(region)
        assert 0 <= row0 < row1 <= 64
        assert 0 <= col0 < col1 <= 64
        other = np.full_like(logits, 100)
        there = np.s_[4 * row0 : 4 * row1, 4 * col0 : 4 * col1]
        other[there] = logits[there]
        np.testing.assert_array_equal(frame.upsample(other, region), frame.upsample(logits, region))


def test_cells_are_no_more_than_are_needed():
    """A cell is 16 pixels of the input; interpolation reads a logit on each side."""
    assert Frame((1024, 1024)).cells((160, 320, 176, 352)) == (9, 19, 12, 23)
    assert Frame((1024, 1024)).cells((163, 323, 173, 349)) == (10, 20, 11, 22)


def test_logits_region_of_nothing_is_none():
    assert Frame((64, 64)).logits_region(np.full((256, 256), -1, np.float32)) is None


def test_logits_that_are_positive_in_the_padding_only_reach_no_pixel():
    logits = np.full((256, 256), -1, np.float32)
    logits[200:] = 3
    assert Frame((100, 400)).logits_region(logits) is None


def test_points_swap_axes_and_scale():
    """(row, col) of a 512-wide plane lands at twice its (x, y)."""
    xy = Frame((384, 512)).points_to_input(np.array([[10.0, 20.0]]))
    np.testing.assert_allclose(xy, [[40.0, 20.0]])


def test_half_open_box_names_first_and_last_pixel():
    frame = Frame((1024, 1024))
    np.testing.assert_allclose(frame.box_to_input((10, 20, 31, 41)), [20, 10, 40, 30])
    np.testing.assert_allclose(frame.box_to_input((10, 20, 10.5, 20.5)), [20, 10, 20, 10])


def test_box_is_clipped_to_the_plane():
    box = Frame((1024, 1024)).box_to_input((-50, -50, 5000, 20))
    np.testing.assert_allclose(box, [0, 0, 19, 1023])


@pytest.mark.parametrize("shape", [(256, 256), (120, 122), (1000, 700), (37, 512)])
def test_mask_survives_the_way_to_logits_and_back(shape):
    """A drawn mask prompts the pixels that it covers, at any plane size."""
    frame = Frame(shape)
    mask = np.zeros(shape, bool)
    mask[shape[0] // 4 : shape[0] // 2, shape[1] // 3 : shape[1] // 2] = True
    back = frame.upsample(frame.mask_to_logits(mask)) > 0
    assert (back & mask).sum() / (back | mask).sum() > 0.9


def test_padding_is_outside_every_mask():
    logits = Frame((128, 512)).mask_to_logits(np.ones((128, 512), bool))
    assert (logits[:64] > 0).all()
    assert (logits[64:] < 0).all()
