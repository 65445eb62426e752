"""What a piece of slow work is, and what is asked of whoever does it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

from samslice.engine.progress import Cancel

Make = Callable[[Cancel], Generator[Any, None, None]]
"""Makes a job's generator; it is given what tells it to stop within a step."""

PREDICT, PROPAGATE, ENCODE = 0, 1, 2
"""Priorities; the lowest goes first."""


@dataclass(slots=True, eq=False)
class Job:
    """One job and whom to tell of it.

    Attributes
    ----------
    key : hashable
        What it is; a newer job of the same key replaces it.
    steps : generator
        The work.
    cancel : Cancel
        Stops it, within a step where the step asks.
    priority : int
        The lowest goes first.
    on_result, on_error, on_done : callable
        Called on the owner's thread with what it yields, with what it raises,
        and with nothing when it has ended by itself.
    number : int
        Its turn among jobs of the same priority.
    paused : bool
        Whether it is left out for now.
    """

    key: Hashable
    steps: Generator[Any, None, None]
    cancel: Cancel
    priority: int
    on_result: Callable[[Any], object]
    on_error: Callable[[Exception], object]
    on_done: Callable[[], object]
    number: int
    paused: bool = field(default=False)


class WorkerLike(Protocol):
    """What a session asks of a worker."""

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
        """Start a job, in the place of one with the same key."""

    def cancel(self, key: Hashable) -> bool:
        """Stop a job and drop its results."""

    def pause(self, key: Hashable) -> bool:
        """Leave a job out until it is resumed."""

    def resume(self, key: Hashable) -> bool:
        """Go on with a job."""

    @property
    def is_busy(self) -> bool:
        """Whether there is work that is not paused, or results to hand over."""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is no more work, handing over results."""

    def close(self, timeout: float = 1.0) -> bool:
        """Stop everything."""
