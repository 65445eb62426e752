"""Prompts and seeds refuse what they cannot mean, and say what is allowed."""

import numpy as np
import pytest

from samslice.engine.types import Prompt, Seed

MASK = np.eye(4, dtype=bool)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "empty"),
        ({"points": []}, "empty"),
        ({"points": [(1, 2, 3)]}, "plane coordinate"),
        ({"points": [(1, np.nan)]}, "not finite"),
        ({"points": [(1, 2)], "positive": [True, False]}, "2 entries for 1 points"),
        ({"points": [(1, 2)], "positive": [2]}, "True and False"),
        ({"box": (1, 2, 3)}, "four"),
        ({"box": (5, 5, 5, 9)}, "empty"),
        ({"box": (0, 0, np.inf, 9)}, "not finite"),
        ({"mask": np.zeros((4, 4), bool)}, "empty"),
        ({"mask": np.ones(4)}, "shape"),
        ({"mask": np.ones((4, 4))}, "logits="),
        ({"logits": np.full((4, 4), np.nan)}, "NaN"),
        ({"mask": MASK, "logits": np.ones((4, 4))}, "both"),
    ],
)
def test_prompt_refuses_with_the_remedy(arguments, words):
    with pytest.raises(ValueError, match=words):
        Prompt(**arguments)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(points=[(64, 3)]),
        Prompt(points=[(-1, 3)]),
        Prompt(box=(70, 0, 90, 9)),
        Prompt(mask=MASK),
    ],
)
def test_prompt_outside_the_plane_names_the_plane(prompt):
    with pytest.raises(ValueError, match="64 rows and 32 columns"):
        prompt.check_inside((64, 32))


def test_a_point_on_the_border_is_inside():
    """Pixel centres are integers, so the plane spans -0.5 to n - 0.5."""
    Prompt(points=[(-0.5, -0.5), (63.5, 31.5)]).check_inside((64, 32))


def test_only_a_lone_positive_click_is_ambiguous():
    assert Prompt(points=[(1, 2)]).is_ambiguous
    assert not Prompt(points=[(1, 2)], positive=[False]).is_ambiguous
    assert not Prompt(points=[(1, 2), (3, 4)]).is_ambiguous
    assert not Prompt(points=[(1, 2)], box=(0, 0, 5, 5)).is_ambiguous


def test_prompts_do_not_follow_the_callers_array():
    points = np.array([[1.0, 2.0]])
    prompt = Prompt(points=points)
    points[:] = 9
    assert prompt.points.tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="read-only"):
        prompt.points[0, 0] = 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"object_id": 0, "plane": 1, "ends": True}, "object_id is 0"),
        ({"object_id": 1.5, "plane": 1, "ends": True}, "object_id is 1.5"),
        ({"object_id": 1, "plane": -1, "ends": True}, "plane is -1"),
        ({"object_id": 1, "plane": 1}, "exactly one"),
        ({"object_id": 1, "plane": 1, "mask": MASK, "ends": True}, "exactly one"),
    ],
)
def test_seed_refuses_with_the_remedy(arguments, words):
    with pytest.raises(ValueError, match=words):
        Seed(**arguments)
