"""Laws of flags made from an options dataclass: the same names, defaults and limits."""

from __future__ import annotations

import dataclasses
import re

import pytest

from samslice import PropagateOptions
from samslice.cli.app import build_parser
from samslice.cli.arguments import given_options, make_options

_BASE = ["propagate", "a.tif", "--prompts", "p.csv", "-o", "l.tif"]


def _options(*flags):
    args = build_parser().parse_args([*_BASE, *flags])
    return PropagateOptions(**given_options(args, PropagateOptions))


def test_without_flags_the_dataclass_decides():
    assert _options() == PropagateOptions()


def test_every_field_has_a_flag():
    parser = build_parser()
    propagate = parser._subparsers._group_actions[0].choices["propagate"]
    flags = {flag for action in propagate._actions for flag in action.option_strings}
    for field in dataclasses.fields(PropagateOptions):
        assert "--" + field.name.replace("_", "-") in flags


def test_values_arrive_with_their_types():
    options = _options(
        *("--direction", "forward", "--first-plane", "2", "--spacing", "2", "0.5", "0.5"),
        *("--min-overlap", "0.6", "--min-area", "9", "--no-compete", "--components", "largest"),
    )
    assert options == PropagateOptions(
        direction="forward",
        first_plane=2,
        spacing=(2.0, 0.5, 0.5),
        min_overlap=0.6,
        min_area=9,
        compete=False,
        components="largest",
    )
    assert isinstance(options.min_area, int)


@pytest.mark.parametrize("flags", [["--min-overlap", "2"], ["--spacing", "0", "1", "1"]])
def test_values_out_of_range_are_refused_by_the_dataclass(flags):
    with pytest.raises(ValueError, match="allowed"):
        _options(*flags)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--min-overlap", "3"], "--min-overlap is 3.0; allowed is from 0.0 to 1.0."),
        (["--spacing", "0", "1", "1"], "--spacing is (0.0, 1.0, 1.0); allowed is at least 1e-09."),
        (
            ["--first-plane", "5", "--last-plane", "2"],
            "--first-plane is 5 and --last-plane 2; allowed is --first-plane ≤ --last-plane.",
        ),
    ],
)
def test_errors_of_the_dataclass_name_the_flags(flags, says):
    args = build_parser().parse_args([*_BASE, *flags])
    with pytest.raises(ValueError, match=re.escape(says)):
        make_options(args, PropagateOptions)


def test_flags_become_the_options():
    args = build_parser().parse_args([*_BASE, "--min-area", "9"])
    assert make_options(args, PropagateOptions) == PropagateOptions(min_area=9)


@pytest.mark.parametrize(
    "flags", [["--direction", "up"], ["--min-area", "1.5"], ["--spacing", "1", "2"]]
)
def test_values_of_another_kind_are_refused_by_the_parser(flags, capsys):
    with pytest.raises(SystemExit):
        _options(*flags)
    assert flags[0] in capsys.readouterr().err
