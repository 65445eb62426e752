"""Leaving one set out: nothing of a set decides what it is judged with."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def loo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("leave_one_out", BENCHMARKS / "leave_one_out.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


MEANS = pd.DataFrame(
    {"default": [0.5, 0.6, 0.7], "x=1": [0.9, 0.5, 0.6], "x=2": [0.1, 0.7, 0.7]},
    index=["a", "b", "c"],
)


def test_each_set_gets_what_is_best_on_the_others(loo):
    """On a, x=1 is best by far, and may decide for b and c only."""
    chosen = loo.choose_elsewhere(MEANS)
    assert {name: choice.variant for name, choice in chosen.items()} == {
        "a": "x=2",
        "b": "x=1",
        "c": "x=1",
    }
    assert [choice.here for choice in chosen.values()] == [0.1, 0.5, 0.6]
    assert chosen["a"].elsewhere == pytest.approx(0.7)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_the_choice_does_not_depend_on_the_set_that_is_left_out(loo, name):
    changed = MEANS.copy()
    changed.loc[name] = [0.0, 1.0, 0.5]
    before, after = (loo.choose_elsewhere(m)[name].variant for m in (MEANS, changed))
    assert before == after


def test_one_set_alone_is_refused(loo):
    with pytest.raises(ValueError, match="there is 1 set"):
        loo.choose_elsewhere(MEANS.loc[["a"]])


def test_variants_that_were_not_run_everywhere_are_refused(loo):
    """They would be compared by other sets than their rivals."""
    means = MEANS.copy()
    means.loc["c", "x=2"] = float("nan")
    with pytest.raises(ValueError, match="x=2 is not there for all sets"):
        loo.choose_elsewhere(means)


def test_objects_count_within_their_set_and_sets_count_the_same(loo):
    rows = [("a", "default", 1.0), ("a", "default", 0.0), ("b", "default", 0.2), ("b", "y", 0.4)]
    means = loo.mean_by_set(pd.DataFrame(rows, columns=["set", "method", "iou"]))
    assert means["default"].tolist() == [0.5, 0.2]
    assert list(means.columns) == ["default", "y"]


def test_the_summary_names_every_set_and_variant(loo):
    text = loo.markdown(MEANS)
    assert "| b | x=1 | 0.750 | 0.500 |" in text
    assert "| **mean of sets** | | | 0.400 |" in text
    assert "| x=2 | 0.100 | 0.700 | 0.700 | 0.500 |" in text


def test_every_variant_of_the_grid_differs_from_the_default(loo):
    import samslice as ss

    for option, values in loo.GRID.items():
        for value in values:
            assert getattr(ss.PropagateOptions(**{option: value}), option) == value
            assert getattr(ss.PropagateOptions(), option) != value
