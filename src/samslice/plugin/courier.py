"""Calls from any thread to the GUI's: the one piece of Qt below the widgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal


class Courier(QObject):
    """Run functions on the thread that it was made in, when that thread is free.

    Parameters
    ----------
    run : callable
        Given each function; must not raise.
    """

    _sent = Signal(object)

    def __init__(self, run: Callable[[Callable[[], object]], object]) -> None:
        super().__init__()
        self._run = run
        self._timers: dict[str, QTimer] = {}
        self._sent.connect(self._receive, Qt.ConnectionType.QueuedConnection)

    def send(self, call: Callable[[], object]) -> None:
        """Have a function run; may be called in any thread."""
        self._sent.emit(call)

    def _receive(self, call: Any) -> None:
        self._run(call)

    def later(self, key: str, call: Callable[[], object], delay_ms: int) -> None:
        """Have a function run after a while; a call with the same key does not delay it."""
        timer = self._timers.get(key)
        if timer is None:
            timer = self._timers[key] = QTimer(self)
            timer.setSingleShot(True)
            timer.timeout.connect(lambda: self._run(call))
        if not timer.isActive():
            timer.start(delay_ms)

    def stop(self) -> None:
        """Drop everything that is still to run."""
        for timer in self._timers.values():
            timer.stop()
        self._sent.disconnect()
        self.deleteLater()
