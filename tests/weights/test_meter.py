"""Progress: what a caller's function and the screen are told."""

from __future__ import annotations

import sys

import pytest

from samslice.weights.meter import Meter


def test_function_hears_bytes_and_never_more_than_the_total() -> None:
    """A last short chunk told as a full one does not pass 100 %."""
    heard: list[tuple[int, int | None]] = []
    with Meter(lambda done, total: heard.append((done, total)), "x") as meter:
        meter.update(4)
        meter.total = 10
        meter.update(4)
        meter.update(4)
    assert heard == [(4, None), (8, 10), (10, 10)]


def test_a_server_that_does_not_tell_the_size_keeps_the_known_total() -> None:
    """pooch sets the total to 0 then; the registry's number stays."""
    with Meter(False, "x", 10) as meter:
        meter.total = 0
        assert meter.total == 10


def test_bar_goes_to_stderr_only_once_bytes_arrive(capfd: pytest.CaptureFixture[str]) -> None:
    """A source that never answers shows no bar; stdout stays free for results."""
    with Meter(True, "silent", 10):
        pass
    assert capfd.readouterr() == ("", "")
    with Meter(True, "tiny.pt from here", 10) as meter:
        meter.update(10)
    out, err = capfd.readouterr()
    assert out == ""
    assert "tiny.pt from here: 100%" in err


def test_no_bar_when_not_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    """progress=False is silent."""
    with Meter(False, "x", 10) as meter:
        meter.update(10)
    assert capfd.readouterr() == ("", "")


def test_no_bar_without_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A windowed application has no stderr and still downloads."""
    monkeypatch.setattr(sys, "stderr", None)
    with Meter(True, "x", 10) as meter:
        meter.update(10)
