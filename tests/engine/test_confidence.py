"""The chance that a mask is right: falls with every sign that it is not, and is a chance."""

from dataclasses import replace

import numpy as np
import pytest

from samslice.engine.confidence import Signs, confidence

SOUND = Signs(
    agreement=0.95,
    predicted_iou=0.97,
    overlap=0.95,
    kept=1.0,
    change=0.0,
    worst=0.9,
    usual=0.92,
    steps=1,
)


def test_a_sound_mask_is_most_likely_right_and_a_poor_one_is_not():
    poor = replace(SOUND, agreement=0.3, predicted_iou=0.75, worst=0.22, steps=30)
    assert confidence(SOUND) > 0.9
    assert confidence(poor) < 0.1


@pytest.mark.parametrize("name", ["agreement", "predicted_iou", "overlap", "kept", "worst"])
def test_it_falls_with_each_share(name):
    chances = [confidence(replace(SOUND, **{name: value})) for value in np.linspace(1, 0, 11)]
    assert np.all(np.diff(chances) <= 0)
    assert chances[-1] < chances[0]


def test_it_falls_with_the_distance_from_the_anchor():
    chances = [confidence(replace(SOUND, steps=steps)) for steps in (1, 2, 5, 20, 100)]
    assert np.all(np.diff(chances) < 0)


def test_whatever_the_signs_it_is_a_chance():
    """Also where nothing overlaps, or the model's guess of an IoU overshoots."""
    nothing = Signs(0, 0, 0, 0, -9.0, 0, 0, 1000)
    overshooting = replace(SOUND, predicted_iou=1.05)
    for signs in (nothing, overshooting):
        assert 0 <= confidence(signs) <= 1
    assert confidence(overshooting) == confidence(replace(SOUND, predicted_iou=1.0))
