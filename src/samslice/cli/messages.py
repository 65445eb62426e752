"""What a person reads on standard error: messages, warnings and progress."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_LINE_SECONDS = 30.0


def note(message: str) -> None:
    """Tell something in passing; left out with ``--quiet``.

    Parameters
    ----------
    message : str
        What to say.
    """
    logging.getLogger("samslice.cli").info(message)


def say(message: str, *, kind: str = "") -> None:
    """Write one message to standard error.

    Parameters
    ----------
    message : str
        What to say.
    kind : str, optional
        ``"error"`` or ``"warning"``; a note if left out.
    """
    print(f"samslice: {kind + ': ' if kind else ''}{message}", file=sys.stderr)


@contextmanager
def messages(*, quiet: bool) -> Iterator[None]:
    """Let warnings and the log of samslice speak like the rest of the command line.

    Parameters
    ----------
    quiet : bool
        Whether to leave out warnings and notes.

    Yields
    ------
    None
        They do within the context, and no longer after it.
    """
    handler = _Handler(logging.ERROR if quiet else logging.INFO)
    log = logging.getLogger("samslice")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            # What the user's or a test's filters turn into an error stays one.
            warnings.showwarning = _show_warning
            if quiet:
                warnings.simplefilter("ignore")
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        kinds = {logging.INFO: "", logging.WARNING: "warning"}
        say(record.getMessage(), kind=kinds.get(record.levelno, "error"))


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(str(message), kind="warning")


class TerminalProgress:
    """Progress on standard error: a bar on a terminal, else a line now and then.

    It is a `samslice.engine.progress.Progress`.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._total: int | None = None
        self._description = ""
        self._done = 0
        self._begun = self._spoke = 0.0

    def start(self, total: int | None, description: str) -> None:
        """Begin a piece of work."""
        self._total, self._description, self._done = total, description, 0
        self._begun = self._spoke = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=description, file=sys.stderr)

    def advance(self, n: int = 1) -> None:
        """Report `n` more steps as done."""
        self._done += n
        if self._bar is not None:
            self._bar.update(n)
        elif self._done == self._total or time.monotonic() - self._spoke >= _LINE_SECONDS:
            self._speak()

    def done(self) -> None:
        """End the piece of work."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _speak(self) -> None:
        self._spoke = time.monotonic()
        taken = self._spoke - self._begun
        line = f"{self._description}: {self._done}"
        if self._total:
            left = taken / self._done * (self._total - self._done)
            line += f"/{self._total}, {taken:.0f} s" + (f", {left:.0f} s left" if left else "")
        say(line)


def format_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Align a table for a terminal; numbers to the right, text to the left.

    Parameters
    ----------
    columns : sequence of str
        The header.
    rows : sequence of sequence
        One value for each column; None is shown as a dash.

    Returns
    -------
    str
        Lines without a final line break.
    """
    texts = [[_text(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [list(columns), *texts]
    ]
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _text(value: object) -> str:
    if value is None or value != value:  # NaN differs from itself
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
