"""Flow between planes: what moved is found again, and nothing is too small to be asked."""

import numpy as np
import pytest
from scipy import ndimage

from samslice.engine.flow import PICTURE_SIDE, estimate_flow, shrink


def texture(shape, seed=0):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, 4)
    grey = 255 * (smooth - smooth.min()) / max(np.ptp(smooth), 1e-9)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("shape", [(120, 150), (600, 900)])
def test_a_shift_is_found_in_pixels_of_the_plane(shape):
    """Also where the pictures that are compared are smaller than the planes."""
    before = texture(shape)
    moved = 2 if max(shape) <= PICTURE_SIDE else 6
    now = np.roll(before, (moved, -moved), axis=(0, 1))
    flow = estimate_flow(shrink(before), shrink(now), shape)
    rows, cols = np.mgrid[30 : shape[0] - 30 : 8, 30 : shape[1] - 30 : 8].astype(float)
    down, right = flow.at(rows, cols)
    assert np.median(down) == pytest.approx(-moved, abs=0.5)
    assert np.median(right) == pytest.approx(moved, abs=0.5)


def test_the_small_picture_is_grey_and_no_larger_than_it_should_be():
    small = shrink(texture((600, 900)))
    assert small.dtype == np.float32
    assert max(small.shape) == PICTURE_SIDE
    assert small.min() >= 0
    assert small.max() <= 1
    assert shrink(texture((40, 50))).shape == (40, 50)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (8, 300)])
def test_where_planes_are_too_small_to_tell_nothing_moves(shape):
    before, now = texture(shape, 1), texture(shape, 2)
    flow = estimate_flow(shrink(before), shrink(now), shape)
    assert not flow.at(np.array([0.0]), np.array([shape[1] / 2])).any()
