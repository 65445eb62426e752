"""How far a download is: a bar on stderr, a caller's function, or silence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

Progress = bool | Callable[[int, int | None], None]
"""True for a bar on stderr, False for silence, or a function that is called
with the bytes done and the bytes in all (None while unknown). An exception that
it raises ends the download and leaves nothing behind; one that is an OSError
counts as a failure of the source, and the next source is tried."""


class Meter:
    """Count the bytes of one download.

    It has the attributes and methods that pooch expects of a progress bar.

    Parameters
    ----------
    progress : bool or callable
        See `Progress`.
    description : str
        What is fetched from where.
    total : int, optional
        Bytes in all, where known beforehand.
    """

    def __init__(self, progress: Progress, description: str, total: int | None = None) -> None:
        self._total = total or None
        self._description = description
        self._callback = progress if callable(progress) else None
        # A windowed Python on Windows has no stderr to draw on.
        self._visible = progress is True and sys.stderr is not None
        self._bar: Any = None
        self._done = 0

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            # A finished bar stays on the screen as a record, a broken one goes.
            self._bar.leave = kind is None
        self.close()

    @property
    def total(self) -> int | None:
        """Total in bytes, None while unknown."""
        return self._total

    @total.setter
    def total(self, value: int) -> None:
        # pooch says 0 where the server does not tell; then what was known stays.
        self._total = value or self._total

    def update(self, n_bytes: int) -> None:
        """Add bytes that have arrived.

        Parameters
        ----------
        n_bytes : int
            How many; a last, short chunk may be told as a full one.
        """
        self.reach(self._done + n_bytes)

    def reach(self, n_bytes: int) -> None:
        """Set the bytes that have arrived.

        Parameters
        ----------
        n_bytes : int
            How many since the beginning; counted as the total at most.
        """
        total = self._total
        done = n_bytes if total is None else min(n_bytes, total)
        self._done = done
        if not done:
            return
        if self._callback is not None:
            self._callback(done, total)
        if self._visible:
            self._draw(done, total)

    def reset(self) -> None:
        """Begin to count anew, as pooch does before it tells the final number."""
        self._done = 0

    def close(self) -> None:
        """Finish the bar, if there is one."""
        if self._bar is not None:
            self._bar.close()

    def _draw(self, done: int, total: int | None) -> None:
        # Made with the first bytes: a source that does not answer shows no bar.
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(desc=self._description, total=total, unit="B", unit_scale=True)
        self._bar.total = total
        self._bar.update(done - self._bar.n)
