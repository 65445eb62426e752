"""What is running: how far it is, when it ends, pause and cancel."""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar, QSizePolicy, QWidget

from samslice.plugin.panels.controls import Panel, row
from samslice.plugin.panels.labels import hint
from samslice.plugin.panels.wording import progress_line
from samslice.plugin.values import ProgressView, StateView

_KINDS = {"propagate": "Propagating", "model": "Loading", "encode": "Encoding"}
# The order says which one is shown where several run: what pause and cancel act on.


class JobsPanel(Panel):
    """A bar for the job that matters, pause and cancel, and a line that says what goes on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running: dict[str, ProgressView] = {}
        self.bar = QProgressBar()
        self.bar.setObjectName("progress")
        self.bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.bar.setToolTip("How far the work is, and the time that is left.")
        self.message = hint(lines=2)
        self.column.addWidget(self.bar)
        self.column.addLayout(row(self.add_button("pause"), self.add_button("cancel")))
        self.column.addWidget(self.message)
        self._draw()

    @property
    def shown(self) -> ProgressView | None:
        """The job that is shown."""
        return next((self._running[kind] for kind in _KINDS if kind in self._running), None)

    def show_progress(self, progress: ProgressView) -> None:
        """Show how far a job is.

        Parameters
        ----------
        progress : ProgressView
            The report.
        """
        if progress.active:
            self._running[progress.kind] = progress
        else:
            self._running.pop(progress.kind, None)
        self._draw()

    def show_state(self, state: StateView) -> None:
        """Say what goes on, or what to do next.

        Parameters
        ----------
        state : StateView
            What the user has said so far.
        """
        self.message.setText(state.text)

    def _draw(self) -> None:
        shown = self.shown
        pause = self.buttons["pause"]
        paused = shown is not None and shown.paused
        pause.set_face("Resume" if paused else pause.action.text, pause.action.help)
        if shown is None:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
            self.bar.setFormat("Nothing is running")
            return
        self.bar.setRange(0, shown.total)  # without a total the bar only moves
        self.bar.setValue(shown.done)
        words = shown.text or progress_line(shown.done, shown.total, shown.eta)
        self.bar.setFormat(f"{'Paused' if paused else _KINDS[shown.kind]}: {words}")
