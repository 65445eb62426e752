"""Progress and cancel: parameters that slow work reports to."""

from __future__ import annotations

import threading

import pytest

from samslice.engine.progress import (
    Cancel,
    Cancelled,
    NullProgress,
    Progress,
)


def test_check_passes_until_set_and_raises_after() -> None:
    cancel = Cancel()
    cancel.check()
    assert not cancel.is_set
    cancel.set()
    assert cancel.is_set
    with pytest.raises(Cancelled, match="cancelled"):
        cancel.check()


def test_another_thread_stops_the_work() -> None:
    cancel, started, outcome = Cancel(), threading.Event(), []

    def work() -> None:
        try:
            for _ in range(10**9):
                started.set()
                cancel.check()
        except Cancelled:
            outcome.append("cancelled")

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    assert started.wait(10)
    cancel.set()
    worker.join(10)
    assert outcome == ["cancelled"]


def test_the_one_that_tells_nobody_is_a_progress() -> None:
    progress = NullProgress()
    assert isinstance(progress, Progress)
    progress.start(1, "x")
    progress.advance()
    progress.done()
