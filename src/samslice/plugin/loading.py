"""Loading of the model: found, fetched and read in a worker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samslice.plugin.values import ModelView, ProgressView
from samslice.weights.settings import share_cores

if TYPE_CHECKING:
    from samslice.engine.backend import SamModel
    from samslice.engine.progress import Cancel
    from samslice.plugin.runner import Runner

_REPORT_SECONDS = 0.2  # between two reports of a download


@dataclass(frozen=True, slots=True)
class Missing:
    """The weights are not on this machine, and are being fetched."""

    text: str


class ModelLoader:
    """Load one model after another; the newest wins.

    Parameters
    ----------
    runner : Runner
        Makes the worker.
    device, precision : str
        As for `samslice.load_model`.
    on_model : callable
        Given the model.
    on_view : callable
        Given a `ModelView` whenever something has changed.
    on_progress : callable
        Given the `ProgressView` of a download.
    on_error : callable
        Given what went wrong, in words.
    """

    def __init__(
        self,
        runner: Runner,
        device: str,
        precision: str,
        *,
        on_model: Callable[[SamModel], object],
        on_view: Callable[[ModelView], object],
        on_progress: Callable[[ProgressView], object],
        on_error: Callable[[str], object],
    ) -> None:
        self._runner = runner
        self._worker = runner.make_worker("samslice-model")
        self._device = device
        self._precision = precision
        self._on_model = on_model
        self._on_view = on_view
        self._on_progress = on_progress
        self._on_error = on_error
        self._fetching = False
        self.model: SamModel | None = None
        self.view = ModelView(names=_names(""))

    @property
    def is_loading(self) -> bool:
        """Whether a model is on its way."""
        return self.view.state == "loading" and bool(self.view.name)

    def load(self, model: str | os.PathLike[str] | SamModel) -> None:
        """Load a model; the one there is works until then.

        Parameters
        ----------
        model : str, path-like or SamModel
            A registry name, a checkpoint file or a loaded model.
        """
        self._worker.cancel("model")
        self._end_fetching()
        if not isinstance(model, (str, os.PathLike)):
            self._on_loaded(model)
            return
        name = os.fspath(model)
        self._show(name, "loading", f"Loading {Path(name).name} …")
        self._worker.submit(
            "model",
            partial(_load, name, self._device, self._precision, self._say),
            priority=0,
            on_result=self._on_result,
            on_error=self._on_failed,
            on_done=lambda: None,
        )

    def _on_result(self, value: Any) -> None:
        if isinstance(value, Missing):
            self._show(self.view.name, "loading", value.text)
        else:
            self._on_loaded(value)

    def _on_loaded(self, model: SamModel) -> None:
        self._end_fetching()
        self.model = model
        self._show(self.view.name or model.name, "ready", f"{model.name} on {model.device}")
        self._on_model(model)

    def _on_failed(self, error: Exception) -> None:
        self._end_fetching()
        first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        self._show(self.view.name, "failed", first)
        self._on_error(str(error) or repr(error))

    def _show(self, name: str, state: str, text: str) -> None:
        self.view = ModelView(_names(name), name, state, text)
        self._on_view(self.view)

    def _say(self, done: int, total: int | None) -> None:
        """Report a download; called in the worker's thread."""
        text = f"fetching weights, {done / 1e6:.0f} of {(total or 0) / 1e6:.0f} MB"
        view = ProgressView("model", done, total or 0, text=text if total else "fetching weights")
        self._runner.deliver(partial(self._report, view))

    def _report(self, view: ProgressView) -> None:
        if self.is_loading:
            self._fetching = True
            self._on_progress(view)

    def _end_fetching(self) -> None:
        if self._fetching:
            self._fetching = False
            self._on_progress(ProgressView("model", 0, 0, active=False))

    def cancel(self) -> bool:
        """Stop loading.

        Returns
        -------
        bool
            Whether a model was being loaded.
        """
        found = self._worker.cancel("model")
        self._end_fetching()
        if found:
            self._show(self.view.name, "failed", "Loading was cancelled; choose a model.")
        return found

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the model is there or has failed.

        Returns
        -------
        bool
            False if the time ran out.
        """
        return self._worker.wait(timeout)


def _names(chosen: str) -> tuple[str, ...]:
    from samslice.weights import REGISTRY

    own = (chosen,) if chosen and chosen not in REGISTRY else ()
    return (*own, *REGISTRY)


def _load(
    name: str,
    device: str,
    precision: str,
    say: Callable[[int, int | None], object],
    cancel: Cancel,
) -> Generator[Missing | SamModel, None, None]:
    """Find, fetch and read a model, in the worker's thread."""
    from samslice.weights import REGISTRY, status
    from samslice.weights.settings import why_offline

    last = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        cancel.check()
        now = time.monotonic()
        if now - last >= _REPORT_SECONDS:
            last = now
            say(done, total)

    there = status(name, check=False) if name in REGISTRY else None
    if there is not None and there.state in ("absent", "unusable"):
        folder = there.path.parent
        if why_offline() is None:
            yield Missing(
                f"{name} is not on this machine: fetching it{_size(name)}. Without a network, run "
                f"'samslice weights fetch {name}' elsewhere and put the file into {folder}, or "
                "choose a checkpoint file."
            )
        _fetch(name, folder, progress)
    # torch and what needs it take seconds to import: not on the GUI's thread, and not
    # before it is known that there is something to load.
    import_module("samslice.session.session")
    share_cores()
    from samslice.engine.backend import load_model

    cancel.check()
    yield load_model(name, device=device, precision=precision, progress=progress)


def _fetch(name: str, folder: Path, progress: Callable[[int, int | None], None]) -> None:
    """Fetch a checkpoint; where that fails, say first what helps, then all that was tried."""
    from samslice.weights import REGISTRY, WeightsNotFoundError, resolve

    try:
        resolve(name, progress=progress)
    except WeightsNotFoundError as error:
        raise WeightsNotFoundError(
            f"{name} is not on this machine and cannot be fetched: press File… and choose a "
            f"checkpoint, or put {REGISTRY[name].filename} into {folder}.\n{error}",
            error.tried,
        ) from error


def _size(name: str) -> str:
    """Say how large a checkpoint is, where its publisher does."""
    from samslice.weights import REGISTRY

    size = REGISTRY[name].bytes
    return "" if size is None else f" ({size / 1e6:.0f} MB)"
