"""One thread that does the slow work in steps, the most urgent job first.

Jobs are generators: between two steps the most urgent one is chosen anew, so
that a click waits for one step of whatever runs in the background. What a job
yields is handed to the owner, on the owner's thread; what was cancelled or
replaced in the meantime is dropped.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from itertools import count
from typing import Any

from samslice.engine.progress import Cancel, Cancelled
from samslice.session.job import Job, Make


class Worker:
    """Jobs on a thread of their own.

    Parameters
    ----------
    deliver : callable, optional
        Called, on the worker's thread, with a function that hands results
        over; it must get that function called on the owner's thread. Without
        it results are handed over inside `wait` alone.
    name : str, optional
        Name of the thread.
    nice : int, optional
        How far it stands back for other threads when all cores are busy: added
        to its niceness on Linux, where each thread has its own; else ignored.
    """

    def __init__(
        self,
        deliver: Callable[[Callable[[], None]], object] | None = None,
        *,
        name: str = "samslice-session",
        nice: int = 0,
    ) -> None:
        self._deliver = deliver
        self._name = name
        self._nice = nice
        self._changed = threading.Condition()
        self._jobs: dict[Hashable, Job] = {}
        self._dead: list[Job] = []  # to be closed, by the thread that may be running them
        self._results: deque[tuple[Job, Callable[[], object]]] = deque()
        self._numbers = count()
        self._thread: threading.Thread | None = None
        self._running: Job | None = None
        self._closing = False

    def submit(
        self,
        key: Hashable,
        make: Make,
        *,
        priority: int,
        on_result: Callable[[Any], object],
        on_error: Callable[[Exception], object],
        on_done: Callable[[], object],
    ) -> None:
        """Start a job, in the place of one with the same key.

        Parameters
        ----------
        key : hashable
            What it is.
        make : callable
            Makes the generator, given a `Cancel`.
        priority : int
            The lowest goes first.
        on_result, on_error, on_done : callable
            See `Job`.

        Raises
        ------
        RuntimeError
            If the worker is closed.
        """
        with self._changed:
            if self._closing:
                raise RuntimeError("the worker is closed; make a new session.")
            self._retire(key)
            cancel = Cancel()
            self._jobs[key] = Job(
                key, make(cancel), cancel, priority, on_result, on_error, on_done,
                next(self._numbers),
            )  # fmt: skip
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def cancel(self, key: Hashable) -> bool:
        """Stop a job and drop its results, those already made too.

        Parameters
        ----------
        key : hashable
            What it is.

        Returns
        -------
        bool
            Whether there was one.
        """
        with self._changed:
            found = self._retire(key)
            self._changed.notify_all()
        return found

    def _retire(self, key: Hashable) -> bool:
        queued = len(self._results)
        # Results of a job that has ended by itself are stale, too.
        self._results = deque(pair for pair in self._results if pair[0].key != key)
        job = self._jobs.pop(key, None)
        if job is not None:
            job.cancel.set()
            self._dead.append(job)
        return job is not None or len(self._results) < queued

    def pause(self, key: Hashable) -> bool:
        """Leave a job out, after its current step, until it is resumed.

        Parameters
        ----------
        key : hashable
            What it is.

        Returns
        -------
        bool
            Whether there is one.
        """
        return self._set_paused(key, True)

    def resume(self, key: Hashable) -> bool:
        """Go on with a job.

        Parameters
        ----------
        key : hashable
            What it is.

        Returns
        -------
        bool
            Whether there is one.
        """
        return self._set_paused(key, False)

    def _set_paused(self, key: Hashable, paused: bool) -> bool:
        with self._changed:
            job = self._jobs.get(key)
            if job is not None:
                job.paused = paused
            self._changed.notify_all()
        return job is not None

    @property
    def is_busy(self) -> bool:
        """Whether there is work that is not paused, or results to hand over."""
        with self._changed:
            return bool(self._results) or any(not j.paused for j in self._jobs.values())

    def drain(self) -> None:
        """Hand over all results that are there. Call it on the owner's thread."""
        try:
            while self._hand_over_one():
                pass
        finally:  # a callback raised: the rest is handed over by another call
            if self._results and self._deliver is not None:
                self._deliver(self.drain)

    def _hand_over_one(self) -> bool:
        with self._changed:
            if not self._results:
                return False
            _, call = self._results.popleft()
        call()
        return True

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is no more work, handing over results.

        Parameters
        ----------
        timeout : float, optional
            Seconds; no limit if left out.

        Returns
        -------
        bool
            False if the time ran out. Paused jobs are not waited for, but
            for the step that one is in.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.drain()
            with self._changed:
                under_way = self._running is not None and not self._running.cancel.is_set
                if not self.is_busy and not under_way:
                    return True
                if self._results:
                    continue
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)

    def close(self, timeout: float = 1.0) -> bool:
        """Stop everything, drop all results, end the thread.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for the thread.

        Returns
        -------
        bool
            Whether the thread has ended.
        """
        with self._changed:
            self._closing = True
            for key in list(self._jobs):
                self._retire(key)
            self._results.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self) -> None:
        """Work until there is nothing left; a later job starts a thread anew."""
        if self._nice and sys.platform == "linux":
            # The threads that torch starts from this one inherit it.
            thread = threading.get_native_id()
            nice = os.getpriority(os.PRIO_PROCESS, thread) + self._nice
            os.setpriority(os.PRIO_PROCESS, thread, min(nice, 19))
        while True:
            with self._changed:
                dead, self._dead = self._dead, []
                job = None if dead else self._most_urgent()
                if not dead and job is None:
                    if not self._jobs:
                        self._thread = None
                        return
                    self._changed.wait()  # all jobs are paused
                    continue
                self._running = job
            for one in dead:
                _close(one)
            if job is not None:
                self._step(job)
                with self._changed:
                    self._running = None
                    self._changed.notify_all()

    def _most_urgent(self) -> Job | None:
        ready = [job for job in self._jobs.values() if not job.paused]
        return min(ready, key=lambda job: (job.priority, job.number), default=None)

    def _step(self, job: Job) -> None:
        try:
            value = next(job.steps)
        except StopIteration:
            self._end(job, job.on_done)
        except Cancelled:
            self._end(job, None)
        except Exception as error:
            failure = error
            self._end(job, lambda: job.on_error(failure))
        else:
            if value is not None:
                self._put(job, lambda: job.on_result(value))

    def _end(self, job: Job, call: Callable[[], object] | None) -> None:
        with self._changed:
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]
                if call is not None:
                    self._results.append((job, call))
            self._changed.notify_all()
        self._announce()

    def _put(self, job: Job, call: Callable[[], object]) -> None:
        with self._changed:
            if not job.cancel.is_set:
                self._results.append((job, call))
            self._changed.notify_all()
        self._announce()

    def _announce(self) -> None:
        if self._deliver is not None and self._results and not self._closing:
            self._deliver(self.drain)


class InlineWorker:
    """The same without a thread: a job is done when `submit` returns."""

    def __init__(self) -> None:
        self._jobs: dict[Hashable, Job] = {}
        self._closed = False

    def submit(
        self,
        key: Hashable,
        make: Make,
        *,
        priority: int,
        on_result: Callable[[Any], object],
        on_error: Callable[[Exception], object],
        on_done: Callable[[], object],
    ) -> None:
        """Do a job; see `Worker.submit`."""
        if self._closed:
            raise RuntimeError("the worker is closed; make a new session.")
        self.cancel(key)
        cancel = Cancel()
        job = Job(key, make(cancel), cancel, priority, on_result, on_error, on_done, 0)
        self._jobs[key] = job
        try:
            self._work_through(job)
        finally:
            self._forget(job)
            _close(job)

    def _work_through(self, job: Job) -> None:
        while not job.cancel.is_set:
            try:
                value = next(job.steps)
            except StopIteration:
                self._forget(job)
                job.on_done()
                return
            except Cancelled:
                return
            except Exception as error:
                self._forget(job)
                job.on_error(error)
                return
            if value is not None and not job.cancel.is_set:
                job.on_result(value)

    def _forget(self, job: Job) -> None:
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]

    def cancel(self, key: Hashable) -> bool:
        """Stop a job, from inside one of its callbacks; see `Worker.cancel`."""
        job = self._jobs.pop(key, None)
        if job is not None:
            job.cancel.set()
        return job is not None

    def pause(self, key: Hashable) -> bool:
        """Do nothing: there is no later in which to go on."""
        return False

    def resume(self, key: Hashable) -> bool:
        """Do nothing."""
        return False

    @property
    def is_busy(self) -> bool:
        """Whether this is asked from inside a job."""
        return bool(self._jobs)

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once: all work is done."""
        return True

    def close(self, timeout: float = 1.0) -> bool:
        """Stop what runs, and refuse further jobs."""
        self._closed = True
        for key in list(self._jobs):
            self.cancel(key)
        return True


def _close(job: Job) -> None:
    """Close a generator that is over or unwanted: nobody is left to hear of its clean-up."""
    with suppress(Exception):
        job.steps.close()
