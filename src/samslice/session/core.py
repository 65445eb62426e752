"""What all parts of a session stand on: image, labels, worker, signals."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from samslice.engine.options import PropagateOptions
from samslice.session.answers import Answers
from samslice.session.history import History
from samslice.session.labels import as_target
from samslice.session.painter import Painter
from samslice.session.scene import Encoded, Scene
from samslice.session.state import Place, State, pending
from samslice.session.table import Table
from samslice.session.view import View
from samslice.session.worker import InlineWorker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from samslice.engine.cache import EmbeddingCache
    from samslice.engine.normalize import Normalization
    from samslice.engine.predictor import Predictor
    from samslice.session.job import WorkerLike
    from samslice.session.jobs import Ahead
    from samslice.session.labels import LabelsTarget


class Core:
    """What all parts of a session share; see `samslice.session.session.Session`."""

    state_changed = Signal()
    mask_changed = Signal(int, int)
    table_changed = Signal()
    history_changed = Signal()
    progress = Signal(str, int, int, object)
    busy_changed = Signal(bool)
    failed = Signal(object)
    plane_ready = Signal(int)

    def __init__(
        self,
        image: Any,
        predictor: Predictor,
        *,
        labels: Any = None,
        view: View | None = None,
        channel_axis: int | None = None,
        channels: Sequence[int] | None = None,
        normalization: Normalization | None = None,
        options: PropagateOptions | None = None,
        overwrite: bool = False,
        worker: WorkerLike | None = None,
        cache: EmbeddingCache | None = None,
        history_bytes: int = 1 << 29,
        levels: Sequence[Any] = (),
        used_ids: Iterable[int] | None = None,
    ) -> None:
        if not (hasattr(image, "shape") and hasattr(image, "dtype")):
            image = np.asarray(image)
        if cache is not None:
            predictor = type(predictor)(
                predictor.model,
                cache=cache,
                encode_batch=predictor.encode_batch,
                decode_batch=predictor.decode_batch,
            )
        self.scene = Scene(
            image,
            predictor,
            channel_axis=channel_axis,
            channels=channels,
            normalization=normalization,
            levels=levels,
        )
        shape = self.scene.shape
        if used_ids is None and labels is None:
            used_ids = ()
        self._used = None if used_ids is None else {int(i) for i in used_ids if i > 0}
        self.labels = np.zeros(shape, np.uint16) if labels is None else labels
        self.target: LabelsTarget = as_target(self.labels, shape)
        self.options = options or PropagateOptions()
        self._overwrite = bool(overwrite)
        self._painter = Painter(self.target)
        self._table = Table()
        self._history = History(history_bytes)
        self._answers = Answers()
        self._awaited: dict[Place, frozenset[int]] = {}
        self._batch: set[Place] | None = None
        self._worker: WorkerLike = InlineWorker() if worker is None else worker
        self._ahead: Ahead | None = None
        self._was_busy = False
        self._closed = False
        self._encode_seconds: list[float] = []
        self._embedding_bytes = 0
        self._view = View.whole(len(shape)) if view is None else view
        self._check_view(self._view)
        self._plane = 0
        self._state = State()
        self._prepare()

    def _prepare(self) -> None:
        """Set up what the other parts of a session need."""

    # ------------------------------------------------------------------ what is there

    @property
    def state(self) -> State:
        """What the user has said so far: a frozen value."""
        return self._state

    @property
    def view(self) -> View:
        """Which stack of the image new prompts belong to."""
        return self._view

    @property
    def n_planes(self) -> int:
        """Planes of the view."""
        return self._view.n_planes(self.scene.shape)

    @property
    def pending(self) -> frozenset[int]:
        """Objects with prompts, strokes or pixels of their own that are not finished."""
        return (pending(self._state) | self._painter.holders) - self._state.finished

    @property
    def is_busy(self) -> bool:
        """Whether there is work that is not paused."""
        return self._worker.is_busy

    @property
    def waiting(self) -> frozenset[Place]:
        """Planes whose masks are being made."""
        return frozenset(self._awaited)

    def _check_view(self, view: View) -> None:
        shape = self.scene.shape
        if view.ndim != len(shape):
            raise ValueError(
                f"the view has {view.ndim} dimensions, the image {len(shape)} without channels."
            )
        for axis, (held, size) in enumerate(zip(view.held, shape, strict=True)):
            if not 0 <= held < size:
                raise ValueError(
                    f"the view holds axis {axis} at {held}; allowed is 0 to {size - 1}."
                )

    # ------------------------------------------------------------------ work

    def _submit(
        self,
        key: Any,
        make: Callable[[Any], Generator[Any, None, None]],
        *,
        priority: int,
        on_result: Callable[[Any], object],
        on_error: Callable[[Exception], object],
        on_done: Callable[[], object] | None = None,
    ) -> None:
        self._worker.submit(
            key,
            make,
            priority=priority,
            on_result=on_result,
            on_error=on_error,
            on_done=on_done or self._tell_busy,
        )
        self._tell_busy()

    def _note_encoded(self, value: Encoded) -> None:
        if value.seconds is not None:
            self._encode_seconds = [*self._encode_seconds[-19:], value.seconds]
        self._embedding_bytes = value.nbytes or self._embedding_bytes
        if value.place.view == self._view:
            self.plane_ready.emit(value.place.plane)

    def _tell_busy(self) -> None:
        busy = self._worker.is_busy
        if busy != self._was_busy:
            self._was_busy = busy
            self.busy_changed.emit(busy)

    def _fail(self, error: Exception) -> None:
        self._tell_busy()
        if not len(self.failed):
            raise error  # nobody listens: a script
        self.failed.emit(error)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until there is no more work.

        Parameters
        ----------
        timeout : float, optional
            Seconds; no limit if left out.

        Returns
        -------
        bool
            False if the time ran out. Paused jobs are not waited for.
        """
        done = self._worker.wait(timeout)
        self._tell_busy()
        return done

    def close(self, timeout: float = 1.0) -> bool:
        """Stop all work; the labels stay as they are.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for the worker's thread.

        Returns
        -------
        bool
            Whether it has ended.
        """
        self._closed = True
        self._awaited.clear()
        return self._worker.close(timeout)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
