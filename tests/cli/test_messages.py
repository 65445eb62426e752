"""Laws of what goes to standard error."""

from __future__ import annotations

import logging
import math
import warnings

import pytest

from samslice.cli.messages import TerminalProgress, format_table, messages, note
from samslice.engine.progress import Progress


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_notes_and_the_log_speak_alike_and_quiet_leaves_errors(quiet, capsys):
    log = logging.getLogger("samslice.weights")
    with warnings.catch_warnings(), messages(quiet=quiet):
        if not quiet:
            warnings.simplefilter("default")  # the tests' own filter makes errors of them
        warnings.warn("the disk is slow", RuntimeWarning)
        log.warning("not %s", "used")
        note("wrote a.tif")
        log.error("broken")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        *(() if quiet else ("samslice: warning: the disk is slow",)),
        *(() if quiet else ("samslice: warning: not used", "samslice: wrote a.tif")),
        "samslice: error: broken",
    ]


def test_the_log_is_left_as_it_was():
    log = logging.getLogger("samslice")
    before = (list(log.handlers), log.level)
    with messages(quiet=False):
        assert log.handlers != before[0]
    assert (log.handlers, log.level) == before


def test_progress_without_a_terminal_is_plain_lines(capsys):
    progress = TerminalProgress()
    assert isinstance(progress, Progress)
    progress.start(3, "propagate")
    for _ in range(3):
        progress.advance()
    progress.done()
    err = capsys.readouterr().err
    assert err == "samslice: propagate: 3/3, 0 s\n"


def test_slow_progress_tells_how_long_it_will_take(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("samslice.cli.messages.time.monotonic", lambda: now[0])
    progress = TerminalProgress()
    progress.start(4, "encode")
    now[0] = 30.0
    progress.advance()
    now[0] = 31.0
    progress.advance()
    assert capsys.readouterr().err == "samslice: encode: 1/4, 30 s, 90 s left\n"


def test_progress_on_a_terminal_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = TerminalProgress()
    progress.start(2, "propagate")
    progress.advance(2)
    progress.done()
    err = capsys.readouterr().err
    assert "propagate: 100%" in err
    assert "samslice:" not in err


def test_tables_align_numbers_right_and_text_left():
    text = format_table(("object", "score", "why"), [(1, 0.5, "a"), (300, math.nan, None)])
    assert text.splitlines() == [
        "object  score  why",
        "     1  0.500  a",
        "   300      -  -",
    ]
