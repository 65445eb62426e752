"""Threads of a controller, the way back to the GUI's thread, and the activity dock."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from samslice.session.worker import Worker

if TYPE_CHECKING:
    from samslice.plugin.courier import Courier
    from samslice.plugin.values import ProgressView

_CLOSE_SECONDS = 0.8
_PROGRESS_MS = 50
_NICE = 10  # the window is drawn before the model gets a core

Call = Callable[[], object]


class Runner:
    """Make workers whose results arrive on this thread; end them all at once.

    The threads are ended when the runner is closed or collected, and when the
    interpreter exits.

    Parameters
    ----------
    guard : callable
        Runs what has arrived; must not raise.
    has_gui : bool
        Whether Qt's event loop brings results. Without it they arrive inside
        `Worker.wait`, and `soon` runs at once.
    """

    def __init__(self, guard: Callable[[Call], object], *, has_gui: bool) -> None:
        self._guard = guard
        self._waiting: dict[str, Call] = {}
        self._bars: dict[str, Any] = {}
        self._workers: list[Worker] = []
        self._courier: Courier | None = None
        self._closed = self._drawing = False
        if has_gui:
            from samslice.plugin.courier import Courier

            self._courier = Courier(guard)
        self._end = weakref.finalize(self, _end_all, self._workers)

    @property
    def has_gui(self) -> bool:
        """Whether results arrive by themselves."""
        return self._courier is not None

    def make_worker(self, name: str) -> Worker:
        """Make a worker; it starts no thread before its first job.

        Parameters
        ----------
        name : str
            Of its thread.

        Returns
        -------
        Worker
            Closed with the runner, if not before.
        """
        worker = Worker(self.deliver if self.has_gui else None, name=name, nice=_NICE)
        self._workers.append(worker)
        return worker

    def deliver(self, call: Call) -> None:
        """Run a function on the GUI's thread; may be called in any thread."""
        courier = self._courier
        if courier is not None and not self._closed:
            with suppress(RuntimeError):  # Qt has deleted it meanwhile: nobody is left to hear
                courier.send(call)

    def soon(self, key: str, call: Call, delay_ms: int = 0) -> None:
        """Run a function a little later, once for all calls with the same key.

        Parameters
        ----------
        key : str
            What it is; always the same function.
        call : callable
            The function.
        delay_ms : int, optional
            When.
        """
        if self._closed:
            return
        if self._courier is None:
            self._guard(call)
            return
        self._waiting[key] = call
        self._courier.later(key, lambda: self._run_waiting(key), delay_ms)

    def _run_waiting(self, key: str) -> None:
        call = self._waiting.pop(key, None)
        if call is not None and not self._closed:
            call()

    def flush(self) -> None:
        """Run what `soon` has put off."""
        for key in list(self._waiting):
            self._guard(lambda key=key: self._run_waiting(key))  # type: ignore[misc]

    def show_progress(self, view: ProgressView, title: str) -> None:
        """Show how far a job is in napari's activity dock, a little later.

        Parameters
        ----------
        view : ProgressView
            How far it is.
        title : str
            What it is.
        """
        if self.has_gui:
            key = f"progress {view.kind}"
            self.soon(key, lambda: self._draw_progress(view, title), _PROGRESS_MS)

    def _draw_progress(self, view: ProgressView, title: str) -> None:
        """Draw a bar, never inside a hand-over of results.

        To show a new bar napari serves the event loop, which may hand over further results,
        and those ask for a bar again.
        """
        from napari.utils import progress

        if self._drawing:
            self.show_progress(view, title)
            return
        bar = self._bars.get(view.kind)
        if bar is not None and (not view.active or bar.total != (view.total or None)):
            self._bars.pop(view.kind).close()
            bar = None
        if not view.active:
            return
        if bar is None:
            self._drawing = True
            try:
                bar = progress(total=view.total or None, desc=title)
            finally:
                self._drawing = False
            if self._closed:  # meanwhile
                bar.close()
                return
            self._bars[view.kind] = bar
        if view.done > bar.n:
            bar.update(view.done - bar.n)

    def close(self) -> None:
        """End all threads within a second; nothing arrives any more."""
        self._closed = True
        self._waiting.clear()
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()
        if self._courier is not None:
            with suppress(RuntimeError):  # deleted with the window
                self._courier.stop()
            self._courier = None
        self._end()


def _end_all(workers: list[Worker]) -> None:
    for worker in workers:
        worker.close(0)
    for worker in workers:
        worker.close(_CLOSE_SECONDS)
    workers.clear()
