"""Masks inside regions, and the connected parts that continue an object."""

import numpy as np
import pytest

from samslice.engine.regions import bounds, crop, keep_components, region_iou, tighten
from samslice.engine.strategy import Proposal


def random_mask(seed):
    rng = np.random.default_rng(seed)
    row0, col0 = rng.integers(0, 10, 2)
    row1, col1 = rng.integers(12, 20, 2)
    mask = rng.random((row1 - row0, col1 - col0)) > 0.6
    return (int(row0), int(col0), int(row1), int(col1)), mask


def whole(region, mask):
    plane = np.zeros((20, 20), bool)
    plane[region[0] : region[2], region[1] : region[3]] = mask
    return plane


@pytest.mark.parametrize("seed", range(8))
def test_masks_inside_regions_are_the_same_pixels_as_on_the_plane(seed):
    a, b = random_mask(seed), random_mask(seed + 100)
    on_a, on_b = whole(*a), whole(*b)
    assert region_iou(*a, *b) == pytest.approx((on_a & on_b).sum() / (on_a | on_b).sum())
    np.testing.assert_array_equal(crop(*a, b[0]), on_a[b[0][0] : b[0][2], b[0][1] : b[0][3]])
    tight, inside = tighten(*a)
    np.testing.assert_array_equal(whole(tight, inside), on_a)
    assert tight == bounds(on_a)


@pytest.mark.parametrize(
    ("components", "kept"),
    [
        ("overlapping", {(12, 12), (12, 17)}),
        ("largest", {(12, 12)}),
        ("all", {(12, 12), (12, 17), (2, 2)}),
    ],
)
def test_components_that_are_kept(components, kept):
    """Parts that overlap the previous mask stay together; a stray part goes."""

    memory_region, memory_mask = (10, 10, 20, 20), np.ones((10, 10), bool)
    logits = np.full((40, 40), -1, np.float32)
    logits[10:19, 10:16] = 1
    logits[12:14, 17:19] = 1
    logits[2:4, 2:4] = 1
    proposal = Proposal(1, (0, 0, 40, 40), logits, 1.0)
    result = keep_components(proposal, memory_region, memory_mask, components)
    assert {(r, c) for r, c in [(12, 12), (12, 17), (2, 2)] if result.logits[r, c] > 0} == kept
