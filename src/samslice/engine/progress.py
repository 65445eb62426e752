"""Progress and cancel, passed into slow work as parameters.

The engine reports to whatever it is given: nothing, a bar on a terminal or in
a window. It never imports one.
"""

from __future__ import annotations

import threading
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
