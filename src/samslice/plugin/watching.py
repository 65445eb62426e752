"""The part of a controller that follows the session and tells the views."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from samslice.plugin import reports
from samslice.plugin.base import EXPECTED, Base
from samslice.plugin.values import (
    PictureView,
    ProgressView,
    seconds_text,
)

if TYPE_CHECKING:
    from samslice.session.session import Session

logger = logging.getLogger("samslice.plugin")

_REFRESH_MS = 30


class Watching(Base):
    """Watch a session and tell the views; see `samslice.plugin.controller.SamController`."""

    # ------------------------------------------------------------------ the session

    def _listen(self, session: Session | None) -> None:
        if session is self._listened:
            return
        for connect, one in ((False, self._listened), (True, session)):
            if one is None:
                continue
            pairs: tuple[tuple[Any, Any], ...] = (
                (one.state_changed, self._on_state),
                (one.history_changed, self._on_state),
                (one.mask_changed, self._on_mask),
                (one.table_changed, self._on_table),
                (one.progress, self._on_progress),
                (one.busy_changed, self._on_busy),
                (one.failed, self._on_failed),
                (one.plane_ready, self._on_plane_ready),
            )
            for signal, slot in pairs:
                (signal.connect if connect else signal.disconnect)(slot)
        self._listened = session
        self._end_progress()
        self._on_busy(session is not None and session.is_busy)
        if session is not None:
            self._look()

    def _on_state(self) -> None:
        self.refresh("state", "candidates", "can", "cost")

    def _on_mask(self, object_id: int, plane: int) -> None:
        self.refresh("state", "candidates", "can")

    def _on_table(self) -> None:
        self.refresh("table", "can")

    def _on_plane_ready(self, plane: int) -> None:
        self.refresh("state", "cost")

    def _on_failed(self, error: Exception) -> None:
        if not isinstance(error, EXPECTED):
            logger.error("a job has failed", exc_info=error)
        self.tell("error", str(error) or repr(error))
        self.refresh()

    def _on_busy(self, busy: bool) -> None:
        self._busy = busy
        if not busy and self._place is not None:
            self._place.encoding = bool(self._place.paused & {"encode"})
            self._end_progress(self._place.paused)
        if busy:
            self._say_encoding(self.session)
        if not self._closed:
            self.busy_changed.emit(busy)
            self.refresh("state", "can")

    def _on_progress(self, kind: str, done: int, total: int, eta: float | None) -> None:
        place = self._place
        active = done < total
        if place is not None and kind == "encode":
            place.encoding = active
        paused = place is not None and kind in place.paused
        left = seconds_text(eta)
        text = f"plane {done} of {total}" + (f", {left} left" if left and active else "")
        self._report(ProgressView(kind, done, total, eta, paused, active, text))

    def _report(self, view: ProgressView) -> None:
        if self._closed:
            return
        if view.active:
            self._active[view.kind] = view
        else:
            self._active.pop(view.kind, None)
        titles = {"model": "fetching weights", "encode": "encoding", "propagate": "propagating"}
        self.runner.show_progress(view, titles[view.kind])
        self.progress.emit(view)
        self.refresh("can")

    def _show_paused(self, kind: str) -> None:
        view, place = self._active.get(kind), self._place
        if view is not None and place is not None:
            self._report(replace(view, paused=kind in place.paused))

    def _end_progress(self, kept: set[str] | None = None) -> None:
        for kind, view in list(self._active.items()):
            if kind != "model" and kind not in (kept or ()):
                self._report(ProgressView(kind, view.done, view.total, active=False))

    def _look(self) -> None:
        if self._place is not None and not self._closed:
            self._place.look(ahead=self._encode_ahead)
            self._say_encoding(self._place.session)
            self.refresh("state", "candidates", "can", "source", "cost")
            self._make_picture()

    def _say_encoding(self, session: Session | None) -> None:
        """Show at once that a plane is being encoded; the first report comes after it."""
        if session is None or session.is_ready(session.plane) or "encode" in self._active:
            return
        if session.is_busy:
            n = session.n_planes
            self._report(ProgressView("encode", 0, n, text=f"plane 0 of {n}"))

    # ------------------------------------------------------------------ views

    def refresh(self, *what: str) -> None:
        """Tell the views soon what has changed; all of it if left out."""
        if self._closed:
            return
        for name in what or ("choices", "source", "state", "candidates", "tool", "table",
                             "cost", "can"):  # fmt: skip
            self._shown[f"stale {name}"] = True
        self.runner.soon("refresh", self._refresh, _REFRESH_MS)

    def _refresh(self) -> None:
        pairs: tuple[tuple[str, Any], ...] = (
            ("choices", self.image_changed),
            ("source", self.source_changed),
            ("state", self.state_changed),
            ("candidates", self.candidates_changed),
            ("tool", self.tool_changed),
            ("table", self.table_changed),
            ("cost", self.cost_changed),
            ("can", self.can_changed),
        )
        for name, signal in pairs:
            if self._closed or not self._shown.pop(f"stale {name}", False):
                continue
            value = getattr(self, name)
            if name not in self._shown or self._shown[name] != value:
                self._shown[name] = value
                signal.emit(value)

    def _make_picture(self) -> None:
        """Show what the encoder sees of this plane, made in the worker."""
        place = self._place
        if not self._wants_picture or place is None or place.session is None:
            return
        session, worker = place.session, place.worker
        if worker is None:
            return
        scene, where = session.scene, session.place(session.plane)
        worker.submit(
            "picture",
            lambda cancel: reports.make_picture(scene, where),
            priority=1,
            on_result=self._on_picture,
            on_error=self._on_failed,
            on_done=lambda: None,
        )

    def _on_picture(self, view: PictureView) -> None:
        if not self._closed and self._wants_picture:
            self.picture_changed.emit(view)
