"""Progress and cancel: parameters that slow work reports to."""

from __future__ import annotations

import threading

import pytest

from samslice.engine.progress import (
    CallbackProgress,
    Cancel,
    Cancelled,
    NullProgress,
    Progress,
)


class Clock:
    """Time that passes only when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


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


def test_callback_sees_every_step_in_order() -> None:
    seen: list[tuple[int, int | None, str]] = []
    progress = CallbackProgress(lambda *report: seen.append(report))
    progress.start(3, "encode")
    progress.advance()
    progress.advance(2)
    progress.done()
    assert seen == [(0, 3, "encode"), (1, 3, "encode"), (3, 3, "encode")]


def test_elapsed_and_eta_follow_the_pace() -> None:
    clock = Clock()
    progress = CallbackProgress(lambda *_: None, clock=clock)
    assert (progress.elapsed, progress.eta) == (0.0, None)
    progress.start(10, "propagate")
    assert progress.eta is None
    clock.now += 6
    progress.advance(2)
    assert progress.elapsed == 6
    assert progress.eta == pytest.approx(24)  # 3 s per step, 8 steps left
    progress.done()
    clock.now += 1000
    assert progress.elapsed == 6, "the clock stops with the work"


def test_unknown_total_has_no_eta_and_too_many_steps_none_left() -> None:
    clock = Clock()
    progress = CallbackProgress(lambda *_: None, clock=clock)
    progress.start(None, "download")
    clock.now += 1
    progress.advance(5)
    assert progress.eta is None
    progress.start(2, "again")
    assert progress.eta is None, "a new start forgets the old count"
    clock.now += 1
    progress.advance(3)
    assert progress.eta == 0


def test_steps_of_several_threads_are_all_counted() -> None:
    counts: list[int] = []
    progress = CallbackProgress(lambda done, *_: counts.append(done))
    progress.start(4000, "many")
    workers = [
        threading.Thread(target=lambda: [progress.advance() for _ in range(1000)]) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(counts) == list(range(4001))


@pytest.mark.parametrize("progress", [NullProgress(), CallbackProgress(lambda *_: None)])
def test_both_are_a_progress(progress: Progress) -> None:
    assert isinstance(progress, Progress)
    progress.start(1, "x")
    progress.advance()
    progress.done()
