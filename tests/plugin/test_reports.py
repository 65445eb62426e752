"""What views are told: small pictures and numbers in words."""

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari comes with the napari extra")

from samslice.engine.coords import Frame
from samslice.engine.normalize import Normalization
from samslice.engine.types import Prediction
from samslice.plugin.reports import candidates_view, make_picture
from samslice.plugin.values import number_text


class Answered:
    """A session that has the answer to one click."""

    current, plane = 1, 0

    def __init__(self, masks):
        logits = np.where(masks, 3.0, -3.0).astype(np.float32)
        scores = np.linspace(0.9, 0.7, len(masks)).astype(np.float32)
        self.prediction = Prediction(logits, scores, Frame((256, 256), 256, 256))
        self.object_id, self.scores, self.chosen = 1, scores, 0

    def candidates(self, plane):
        return self


def disc(row, col, radius, size=256):
    rows, cols = np.mgrid[:size, :size]
    return np.hypot(rows - row, cols - col) <= radius


def pictures(*masks):
    return candidates_view(Answered(np.stack(masks))).thumbnails


def test_small_pictures_share_a_window_in_which_the_best_mask_is_large():
    """However large another candidate is, the object fills a good part of its own picture."""
    cell, nucleus, everything = disc(60, 200, 12), disc(60, 200, 5), np.ones((256, 256), bool)
    shown = pictures(cell, nucleus, everything)
    assert len({one.shape for one in shown}) == 1
    # A disc of diameter 25 in a square of 25 + 2 · 12: π 12.5² / 49² of it.
    assert 0.15 < shown[0].mean() < 0.25
    assert 0 < shown[1].mean() < shown[0].mean()
    assert shown[2].all()
    assert not any(line.any() for line in (shown[0][0], shown[0][-1], shown[0][:, 0]))


def test_the_window_of_small_pictures_ends_with_the_plane_and_at_64_pixels():
    corner = pictures(disc(0, 0, 20), disc(0, 0, 4))
    assert corner[0].shape == (31, 31)  # 21 rows and a margin of 10 on the one side that has any
    assert corner[0][0, 0]
    large = pictures(disc(128, 128, 120), disc(128, 128, 4))
    assert max(large[0].shape) <= 64
    assert 0.5 < large[0].mean() < 0.9


def test_where_the_best_mask_is_empty_the_others_are_still_shown():
    shown = pictures(np.zeros((256, 256), bool), disc(60, 60, 8))
    assert not shown[0].any()
    assert shown[1].any()
    assert [one.shape for one in pictures(*np.zeros((2, 9, 9), bool))] == [(1, 1)] * 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (255, "255"),
        (2845.2, "2845"),
        (31770, "31770"),
        (65535, "65535"),
        (-1500.4, "-1500"),
        (999.99, "1000"),
        (0.25, "0.25"),
        (1 / 3, "0.3333"),
        (2e-5, "2e-05"),
        (3e12, "3e+12"),
    ],
)
def test_ordinary_numbers_are_told_without_powers_of_ten(value, text):
    assert number_text(value) == text


def test_the_picture_tells_its_contrast_limits_in_plain_numbers():
    class Scene:
        def policy(self, view):
            return Normalization((2845.0,), (31770.0,))

        def stack(self, view):
            return np.zeros((3, 8, 8), np.uint16)

    class Place:
        view, plane = None, 2

    [view] = make_picture(Scene(), Place())
    assert view.text == "Plane 2: 2845 to 31770."
