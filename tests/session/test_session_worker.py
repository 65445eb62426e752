"""The worker: urgent first, newest wins, nothing stale, nothing left behind."""

import os
import sys
import threading
import time
from functools import partial

import pytest

from samslice.session.worker import InlineWorker, Worker

GRACE = 20  # seconds: other work may be going on here


class Jobs:
    """Submits jobs of numbered steps and notes what comes of them."""

    def __init__(self, worker):
        self.worker, self.log, self.threads = worker, [], []
        self.closed = []

    def submit(self, key, n=1, *, priority=1, gate=None, error=None):
        def make(cancel):
            def steps():
                try:
                    for i in range(n):
                        if gate is not None:
                            while not gate.is_set():
                                cancel.check()
                                time.sleep(0.001)
                        self.threads.append(threading.current_thread())
                        yield (key, i)
                    if error is not None:
                        raise error
                finally:
                    self.closed.append(key)

            return steps()

        self.worker.submit(
            key,
            make,
            priority=priority,
            on_result=self.log.append,
            on_error=lambda e: self.log.append((key, e)),
            on_done=lambda: self.log.append((key, "done")),
        )


@pytest.fixture
def worker():
    made = Worker()
    yield made
    assert made.close(GRACE)


@pytest.fixture
def jobs(worker):
    return Jobs(worker)


def open_later(gate):
    threading.Timer(0.05, gate.set).start()


@pytest.mark.parametrize("make", [Worker, InlineWorker])
def test_results_come_in_order_then_the_end(make):
    jobs = Jobs(make())
    jobs.submit("a", 3)
    assert jobs.worker.wait(GRACE)
    assert jobs.log == [("a", 0), ("a", 1), ("a", 2), ("a", "done")]
    assert not jobs.worker.is_busy
    assert jobs.worker.close()


@pytest.mark.parametrize("make", [Worker, InlineWorker])
def test_errors_are_delivered_and_the_next_job_runs(make):
    jobs = Jobs(make())
    problem = OSError("no space")
    jobs.submit("a", 1, error=problem)
    jobs.submit("b", 1)
    assert jobs.worker.wait(GRACE)
    assert jobs.log == [("a", 0), ("a", problem), ("b", 0), ("b", "done")]
    assert jobs.worker.close()


def test_a_step_that_is_more_urgent_goes_before_the_next_one_of_the_background(jobs):
    gate = threading.Event()
    jobs.submit("slow", 4, priority=2, gate=gate)
    jobs.submit("click", 2, priority=0)
    gate.set()
    assert jobs.worker.wait(GRACE)
    order = [entry for entry in jobs.log if entry[1] != "done"]
    assert order.index(("click", 1)) <= 2  # at most one step of the background came first
    assert order[-1] == ("slow", 3)


def test_equally_urgent_jobs_go_in_the_order_they_came(jobs):
    gate = threading.Event()
    jobs.submit("first", 1, priority=0, gate=gate)
    for key in "abc":
        jobs.submit(key, 1, priority=1)
    gate.set()
    assert jobs.worker.wait(GRACE)
    assert [k for k, v in jobs.log if v == 0] == ["first", "a", "b", "c"]


def test_a_newer_job_replaces_the_older_and_its_results(jobs):
    gate = threading.Event()
    jobs.submit("a", 5, gate=gate)
    jobs.submit("a", 1)
    gate.set()
    assert jobs.worker.wait(GRACE)
    assert jobs.log == [("a", 0), ("a", "done")]


def test_results_made_but_not_handed_over_are_dropped_by_cancel_and_replacement(jobs):
    """Even where the job itself has ended already."""
    for replace in (False, True):
        jobs.submit("a", 3)
        while len(jobs.worker._results) < 4:  # three results and the end wait for the owner
            time.sleep(0.002)
        if replace:
            jobs.submit("a", 1)
        else:
            assert jobs.worker.cancel("a")
            assert not jobs.worker.is_busy
        assert jobs.worker.wait(GRACE)
    assert jobs.log == [("a", 0), ("a", "done")]


def test_cancel_from_a_callback_drops_what_is_queued(worker):
    got = []

    def take(value):
        got.append(value)
        worker.cancel("a")

    worker.submit(
        "a", lambda cancel: iter_values(5), priority=0,
        on_result=take, on_error=got.append, on_done=lambda: got.append("done"),
    )  # fmt: skip
    assert worker.wait(GRACE)
    assert got == [0]
    assert not worker.is_busy


def iter_values(n):
    yield from range(n)


def test_paused_jobs_stand_still_and_go_on(jobs):
    gate = threading.Event()
    jobs.submit("a", 3, gate=gate)
    assert jobs.worker.pause("a")
    gate.set()
    assert jobs.worker.wait(GRACE)  # for the step that is under way, and no further
    stood_at = len(jobs.log)
    assert stood_at <= 1
    jobs.submit("b", 1)
    assert jobs.worker.wait(GRACE)
    assert ("b", "done") in jobs.log
    assert len([e for e in jobs.log if e[0] == "a"]) == stood_at
    assert jobs.worker.resume("a")
    assert jobs.worker.wait(GRACE)
    assert jobs.log[-1] == ("a", "done")
    assert not jobs.worker.pause("a")


def test_wait_gives_up_in_time(jobs):
    gate = threading.Event()
    jobs.submit("a", 1, gate=gate)
    assert not jobs.worker.wait(0.05)
    gate.set()
    assert jobs.worker.wait(GRACE)


@pytest.mark.parametrize("paused", [False, True])
def test_close_ends_a_running_job_within_a_second_and_delivers_nothing(paused):
    jobs = Jobs(Worker())
    jobs.submit("a", 5, gate=threading.Event())
    jobs.submit("b", 5)
    if paused:
        jobs.worker.pause("a")
    begun = time.monotonic()
    assert jobs.worker.close()
    assert time.monotonic() - begun < 1.5
    jobs.worker.drain()
    assert jobs.log == []
    with pytest.raises(RuntimeError, match="closed"):
        jobs.submit("c")


def test_no_thread_before_the_first_job_nor_after_the_last(worker, jobs):
    names = {t.name for t in threading.enumerate()}
    assert "samslice-session" not in names
    jobs.submit("a", 1)
    assert worker.wait(GRACE)
    thread = jobs.threads[0]
    thread.join(GRACE)
    assert not thread.is_alive()
    jobs.submit("a", 1)
    assert worker.wait(GRACE)
    assert len([e for e in jobs.log if e == ("a", "done")]) == 2


def test_results_are_handed_over_by_whoever_the_owner_says():
    """A GUI posts `drain` to its own thread; the worker calls no callback itself."""
    posted, ready = [], threading.Event()

    def deliver(drain):
        posted.append(drain)
        ready.set()

    jobs = Jobs(Worker(deliver))
    jobs.submit("a", 1)
    assert ready.wait(GRACE)
    assert jobs.log == []
    posted[0]()
    assert jobs.worker.wait(GRACE)
    assert jobs.log == [("a", 0), ("a", "done")]
    assert jobs.worker.close(GRACE)


def test_a_callback_that_raises_does_not_hold_back_the_rest():
    posted = []
    worker = Worker(posted.append)
    seen = []

    def refuse(value):
        seen.append(value)
        raise ValueError("not now")

    worker.submit(
        "a", lambda cancel: iter_values(2), priority=0, on_result=refuse,
        on_error=seen.append, on_done=lambda: seen.append("done"),
    )  # fmt: skip
    deadline = time.monotonic() + GRACE
    while len(posted) < 3 and time.monotonic() < deadline:
        time.sleep(0.002)
    before = len(posted)
    with pytest.raises(ValueError, match="not now"):
        posted[0]()
    assert len(posted) == before + 1
    with pytest.raises(ValueError, match="not now"):
        posted[-1]()
    posted[-1]()
    assert seen == [0, 1, "done"]
    assert worker.close(GRACE)


def test_a_clean_up_that_raises_ends_nothing_else(worker):
    def stubborn(cancel):
        try:
            while True:
                yield None
        finally:
            raise OSError("cannot close")

    done = []
    submit = partial(worker.submit, priority=0, on_result=done.append, on_error=done.append)
    submit("a", stubborn, on_done=lambda: None)
    worker.cancel("a")
    submit("b", lambda cancel: iter_values(1), on_done=lambda: done.append("done"))
    assert worker.wait(GRACE)
    assert done == [0, "done"]


def test_inline_jobs_can_be_cancelled_and_replaced_from_their_own_callbacks():
    worker, got = InlineWorker(), []

    def take(value):
        got.append(value)
        if value == 1:
            worker.cancel("a")

    worker.submit(
        "a", lambda cancel: iter_values(5), priority=0,
        on_result=take, on_error=got.append, on_done=lambda: got.append("done"),
    )  # fmt: skip
    assert got == [0, 1]
    assert not worker.is_busy
    assert worker.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(
            "a", lambda cancel: iter_values(1), priority=0,
            on_result=take, on_error=take, on_done=lambda: None,
        )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
def test_a_nice_worker_stands_back_and_no_other_thread_does():
    worker, seen = Worker(nice=5), []

    def make(cancel):
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        yield None

    before = os.getpriority(os.PRIO_PROCESS, 0)
    worker.submit(
        "job", make, priority=1, on_result=seen.append, on_error=seen.append, on_done=lambda: None
    )
    assert worker.wait(GRACE)
    assert worker.close(GRACE)
    assert seen == [min(before + 5, 19)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
