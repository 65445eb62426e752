"""Laws of choosing axes: one stack axis or an error that lists what there is."""

from __future__ import annotations

import pytest

from samslice.io.axes import choose_axes, to_micrometres


@pytest.mark.parametrize(
    ("axes", "shape", "chosen", "kept"),
    [
        ("YX", (5, 6), {}, "YX"),
        ("ZYX", (3, 5, 6), {}, "ZYX"),
        ("QYX", (3, 5, 6), {}, "QYX"),
        ("QQYX", (1, 3, 5, 6), {}, "QYX"),
        ("TYX", (3, 5, 6), {}, "TYX"),
        ("ZYX", (3, 5, 6), {"z": 1}, "YX"),
        ("CYX", (3, 5, 6), {"channel": 2}, "YX"),
        ("ZCYX", (3, 2, 5, 6), {"channel": 1}, "ZYX"),
        ("TZCYX", (4, 3, 2, 5, 6), {"channel": 1, "time": 0}, "ZYX"),
        ("TZCYX", (4, 3, 2, 5, 6), {"channel": 1, "z": 0}, "TYX"),
        ("TZCYX", (1, 3, 1, 5, 6), {}, "ZYX"),
        ("TCZYX", (1, 1, 1, 5, 6), {}, "YX"),
        ("ZYX", (3, 5, 6), {"channel": 0, "time": 0}, "ZYX"),
    ],
)
def test_one_axis_besides_rows_and_columns_is_the_stack(axes, shape, chosen, kept):
    layout = choose_axes(axes, shape, **chosen)
    assert layout.axes == kept
    assert sorted([*layout.order, *layout.fixed]) == list(range(len(axes)))


@pytest.mark.parametrize(
    ("axes", "shape", "kept"), [("YXS", (5, 6, 3), "YXS"), ("SYX", (4, 5, 6), "YXS")]
)
def test_colour_samples_come_last(axes, shape, kept):
    assert choose_axes(axes, shape, colour=True).axes == kept


def test_samples_that_are_no_colour_are_channels():
    assert choose_axes("YXS", (5, 6, 3), colour=False, channel=2).axes == "YX"
    assert choose_axes("YXS", (5, 6, 2), colour=True, channel=1).axes == "YX"
    with pytest.raises(ValueError, match=r"Choose channel \(0 to 2\)"):
        choose_axes("YXS", (5, 6, 3), colour=False)


def test_one_channel_of_a_colour_image_can_be_chosen():
    layout = choose_axes("ZYXS", (2, 5, 6, 3), colour=True, channel=1)
    assert layout.axes == "ZYX"
    assert layout.fixed == {3: 1}


@pytest.mark.parametrize(
    ("axes", "shape", "chosen", "says"),
    [
        ("TZYX", (4, 3, 5, 6), {}, r"T=4, Z=3, Y=5, X=6.*Choose time \(0 to 3\) or z \(0 to 2\)"),
        ("ZCYX", (3, 2, 5, 6), {}, r"Choose channel \(0 to 1\)\."),
        (
            "TZCYX",
            (4, 3, 2, 5, 6),
            {},
            r"Choose channel \(0 to 1\), and time \(0 to 3\) or z \(0 to 2\)",
        ),
        ("QRYX", (4, 3, 5, 6), {}, "axes='TZYX'"),
        (
            "QQYX",
            (4, 3, 5, 6),
            {},
            r"unnamed=4, unnamed=3, Y=5, X=6.*axes, 4 letters \(axes='TZYX', or --axes TZYX",
        ),
        ("QQQYX", (4, 3, 2, 5, 6), {}, r"5 letters \(axes='TZCYX', or --axes TZCYX"),
        ("QR", (5, 6), {}, r"rows \(Y\) and columns \(X\).*2 letters: axes='YX'"),
        ("ZYX", (5, 6), {}, "one letter for each axis, each once, 2 in all: axes='YX'"),
        ("YYX", (2, 5, 6), {}, "each once, 3 in all: axes='ZYX'"),
        ("ZYX", (3, 5, 6), {"z": 3}, "z is 3.*allowed is 0 to 2"),
        ("ZYX", (3, 5, 6), {"z": -1}, "z is -1"),
        ("ZYX", (3, 5, 6), {"channel": 1}, "channel is 1.*it has one channel"),
    ],
)
def test_what_is_ambiguous_or_out_of_range_is_an_error_that_lists_the_axes(
    axes, shape, chosen, says
):
    with pytest.raises(ValueError, match=says):
        choose_axes(axes, shape, name="cells.tif", **chosen)


def test_units_of_length_become_micrometres():
    scale, unit = to_micrometres({"Z": 2.0, "Y": 500.0}, {"Z": "micrometer", "Y": "nm"})
    assert (scale, unit) == ({"Z": 2.0, "Y": 0.5}, "µm")


def test_both_spellings_of_the_micro_sign_are_known():
    assert to_micrometres({"X": 3.0}, {"X": "\u00b5m"})[1] == "µm"
    assert to_micrometres({"X": 3.0}, {"X": "\u03bcm"})[1] == "µm"


def test_sizes_in_unknown_units_are_kept_where_they_agree_and_dropped_where_not():
    assert to_micrometres({"Z": 2.0, "Y": 1.0}, {}) == ({"Z": 2.0, "Y": 1.0}, None)
    assert to_micrometres({"Z": 2.0, "Y": 1.0}, {"Z": "furlong", "Y": "µm"}) == ({}, None)
