"""Contrast tells an object from the empty plane beyond its end."""

import numpy as np
import pytest

from samslice.engine.evidence import contrast, resample

REGION = (10, 10, 30, 30)


@pytest.fixture
def disc():
    rows, cols = np.mgrid[:20, :20]
    return (rows - 9.5) ** 2 + (cols - 9.5) ** 2 < 81


def plane_with(disc, inside, outside=100.0, noise=5.0):
    plane = np.random.default_rng(0).normal(outside, noise, (50, 60))
    plane[10:30, 10:30][disc] += inside - outside
    return plane


def test_a_bright_object_is_clear_and_noise_is_not(disc):
    bright, empty = (contrast(plane_with(disc, v), REGION, disc) for v in (160, 100))
    assert bright.is_clear
    assert bright.difference == pytest.approx(60, abs=3)
    assert not empty.is_clear
    assert empty.share_of(bright) == pytest.approx(0, abs=0.1)


def test_a_fading_object_keeps_its_share(disc):
    full, half = (contrast(plane_with(disc, v), REGION, disc) for v in (200, 150))
    assert half.share_of(full) == pytest.approx(0.5, abs=0.05)


def test_a_dark_object_stands_out_too_and_turning_bright_is_negative(disc):
    dark, bright = (contrast(plane_with(disc, v), REGION, disc) for v in (40, 160))
    assert dark.is_clear
    assert bright.share_of(dark) < 0


def test_colours_count_together(disc):
    grey = plane_with(disc, 160)
    colour = np.stack([grey, grey, grey], axis=2)
    both = [contrast(p, REGION, disc).difference for p in (grey, colour)]
    assert both[0] == pytest.approx(both[1], rel=1e-5)


def test_nothing_is_said_of_an_object_without_surroundings():
    assert contrast(np.ones((6, 6)), (0, 0, 6, 6), np.ones((6, 6), bool)) is None


def test_nan_is_left_out(disc):
    plane = plane_with(disc, 160)
    plane[12, 15:20] = np.nan
    assert contrast(plane, REGION, disc).difference == pytest.approx(60, abs=3)


def test_a_mask_finds_its_object_on_a_coarser_plane(disc):
    """What the model sees of an image pyramid is smaller than what is written."""
    plane = plane_with(disc, 160)
    region, mask = resample(REGION, disc, (50, 60), (25, 30))
    assert region == (5, 5, 15, 15)
    found = contrast(plane[::2, ::2], region, mask)
    assert found.difference == pytest.approx(60, abs=5)
    assert resample(REGION, disc, (50, 60), (50, 60))[1] is disc
