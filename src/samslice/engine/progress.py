"""Progress and cancel, passed into slow work as parameters.

The engine reports to whatever it is given: nothing, a function of the
caller, a bar on a terminal or in a window. It never imports one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable


class Cancelled(Exception):  # noqa: N818  (an outcome the user asked for, not an error)
    """Raised inside slow work after somebody called :meth:`Cancel.set`."""


class Cancel:
    """A request to stop, which any thread may make and the working thread checks.

    Examples
    --------
    >>> cancel = Cancel()
    >>> cancel.set()
    >>> cancel.is_set
    True
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask the work to stop at its next check."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Stop here if somebody asked to.

        Raises
        ------
        Cancelled
            If :meth:`set` was called, by this or another thread.
        """
        if self._event.is_set():
            raise Cancelled("cancelled on request")


@runtime_checkable
class Progress(Protocol):
    """What slow work tells about itself; implement these three to watch it."""

    def start(self, total: int | None, description: str) -> None:
        """Begin a piece of work.

        Parameters
        ----------
        total : int or None
            Number of steps; None where it is not known.
        description : str
            What is being done, for a human.
        """

    def advance(self, n: int = 1) -> None:
        """Report `n` more steps as done."""

    def done(self) -> None:
        """End the piece of work, whether it was finished, cancelled or failed."""


class NullProgress:
    """A :class:`Progress` that tells nobody."""

    __slots__ = ()

    def start(self, total: int | None, description: str) -> None:
        """Ignore the beginning."""

    def advance(self, n: int = 1) -> None:
        """Ignore the steps."""

    def done(self) -> None:
        """Ignore the end."""


class CallbackProgress:
    """A :class:`Progress` that calls a function at the start and after each advance.

    Parameters
    ----------
    fn : callable
        Called as ``fn(done, total, description)`` on the working thread;
        `total` is None where it is not known.
    clock : callable, optional
        Seconds from any fixed moment; the monotonic clock if left out.
    """

    __slots__ = ("_begun", "_clock", "_description", "_done", "_ended", "_fn", "_lock", "_total")

    def __init__(
        self,
        fn: Callable[[int, int | None, str], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fn = fn
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._total: int | None = None
        self._description = ""
        self._begun: float | None = None
        self._ended: float | None = None

    def start(self, total: int | None, description: str) -> None:
        """Begin a piece of work and report 0 steps.

        Parameters
        ----------
        total : int or None
            Number of steps; None where it is not known.
        description : str
            What is being done, for a human.
        """
        with self._lock:
            self._done, self._total, self._description = 0, total, description
            self._begun, self._ended = self._clock(), None
        self._fn(0, total, description)

    def advance(self, n: int = 1) -> None:
        """Count `n` more steps and report the sum."""
        with self._lock:
            self._done += n
            report = (self._done, self._total, self._description)
        self._fn(*report)

    def done(self) -> None:
        """Stop the clock. The count stays, so that a cancelled bar does not read as full."""
        with self._lock:
            self._ended = self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start, or from start to end once it is over; 0 before."""
        if self._begun is None:
            return 0.0
        return (self._clock() if self._ended is None else self._ended) - self._begun

    @property
    def eta(self) -> float | None:
        """Seconds that are left at the pace so far; None while that cannot be told."""
        if self._total is None or self._done <= 0:
            return None
        return self.elapsed / self._done * max(self._total - self._done, 0)
