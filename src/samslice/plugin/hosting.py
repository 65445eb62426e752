"""The part of a controller that owns the model, the workplaces and the viewer's events."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from napari import layers as napari_layers

from samslice.plugin import layers as make
from samslice.plugin.watching import Watching
from samslice.plugin.workplace import Workplace

if TYPE_CHECKING:
    import os

    from napari.components import ViewerModel

    from samslice.engine.backend import SamModel
    from samslice.plugin.values import ModelView, ProgressView


class Hosting(Watching):
    """Viewer, model and workplaces; see `samslice.plugin.controller.SamController`."""

    def __init__(self, viewer: ViewerModel, **options: Any) -> None:
        super().__init__(viewer, **options)
        self._connect()
        self._keys.bind(self._viewer)

    # ------------------------------------------------------------------ the model

    def _on_model_view(self, view: ModelView) -> None:
        if not self._closed:
            self.model_changed.emit(view)
            self.refresh("state", "can")

    def _on_model(self, model: SamModel) -> None:
        from samslice.engine.cache import EmbeddingCache
        from samslice.engine.predictor import Predictor

        if self._cache is None or not isinstance(self._cache, EmbeddingCache):
            folder: str | os.PathLike[str] | None = self._cache
            limit = None if folder is None else self._cache_bytes
            self._cache = EmbeddingCache(folder, disk_bytes=limit)
        self._predictor = Predictor(model, cache=self._cache)
        for place in list(self._places.values()):
            self.guard(partial(place.start, self._predictor, self._options))
        self._look()

    # ------------------------------------------------------------------ the viewer

    def _connect(self) -> None:
        layers, dims = self._viewer.layers, self._viewer.dims
        layers.events.inserted.connect(self._on_inserted)
        layers.events.removed.connect(self._on_removed)
        layers.events.renamed.connect(self._on_renamed)
        layers.selection.events.active.connect(self._on_tool)
        for name in ("current_step", "order", "ndisplay", "ndim"):
            getattr(dims.events, name).connect(self._on_dims)

    def _disconnect(self) -> None:
        layers, dims = self._viewer.layers, self._viewer.dims
        layers.events.inserted.disconnect(self._on_inserted)
        layers.events.removed.disconnect(self._on_removed)
        layers.events.renamed.disconnect(self._on_renamed)
        layers.selection.events.active.disconnect(self._on_tool)
        for name in ("current_step", "order", "ndisplay", "ndim"):
            getattr(dims.events, name).disconnect(self._on_dims)

    def _on_inserted(self, event: Any) -> None:
        layer = make.plain(event.value)
        if isinstance(layer, napari_layers.Image) and self._place is None and not self._adding:
            self.guard(partial(self.choose_image, layer))
            self.runner.soon("tool", self._take_first_tool)  # napari now selects the new image
        self.refresh("choices")

    def _take_first_tool(self) -> None:
        if not self._closed and self.can["tool:positive"] is None:
            self.act("tool:positive")

    def _on_removed(self, event: Any) -> None:
        self.guard(partial(self._drop, make.plain(event.value)))

    def _drop(self, layer: Any) -> None:
        self._keys.unbind(layer)
        place = self._places.pop(layer, None) if isinstance(layer, napari_layers.Image) else None
        if place is not None:
            place.close()
            if place is self._place:
                self._place = None
                self._listen(None)
                text = f"The image {layer.name!r} was removed; choose another."
                self.runner.soon("image removed", partial(self.tell, "info", text))
        else:
            for one in list(self._places.values()):
                if layer in one.own_layers():
                    text = one.drop_layer(layer)
                    if one is self._place:
                        self._listen(one.session)
                    self.runner.soon(text, partial(self._tell_dropped, one, text))
        self.refresh()

    def _tell_dropped(self, place: Workplace, text: str) -> None:
        """Say it only where the image has stayed: else the viewer was emptied, or closed."""
        if place.image in self._viewer.layers:
            self.tell("info", text)

    def _on_renamed(self, event: Any = None) -> None:
        self.refresh("choices")

    def _on_tool(self, event: Any = None) -> None:
        self.refresh("tool", "can")

    def _on_label(self, event: Any = None) -> None:
        self.refresh("can", "cost")  # "Use label" and "Propagate" speak of the selected one

    def _on_dims(self, event: Any = None) -> None:
        self.guard(self._look)

    def changed(self, place: Workplace) -> None:
        """Take note that layers or the session of a workplace are others."""
        if self._closed:
            return
        for layer in place.own_layers():
            self._keys.bind(layer)
            layer.events.mode.connect(self._on_tool)  # a second time it does nothing
        if place.labels is not None:
            place.labels.events.selected_label.connect(self._on_label)
        if place is self._place:
            self._listen(place.session)
            if place.session is None and place.labels is None and place.points is None:
                place.ensure_layers()  # the image has another shape: begin anew
            if place.session is None and self._predictor is not None:
                place.start(self._predictor, self._options)
        self.refresh()

    # ------------------------------------------------------------------ life

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the model is loaded and all masks are made.

        What is encoded ahead in the background is not waited for.

        Parameters
        ----------
        timeout : float, optional
            Seconds; no limit if left out.

        Returns
        -------
        bool
            False if the time ran out.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        done = self._loader.wait(timeout)
        while done:
            place = self._place
            session, worker = self.session, None if place is None else place.worker
            if worker is None:
                break
            hold = place is not None and "encode" not in place.paused and worker.pause("encode")
            shown = self._active.get("encode")
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                done = worker.wait(left)
            finally:
                if hold and worker.resume("encode"):
                    self._go_on_encoding(shown)
            if session is self.session:
                break
        self.runner.flush()
        return done

    def _go_on_encoding(self, shown: ProgressView | None) -> None:
        """Show again what was told as ended while it was held."""
        if self._place is None or self.session is None:
            return
        self.session.resume("encode")  # tells that there is work
        self._place.encoding = True
        if shown is not None:
            self._report(shown)

    def close(self) -> None:
        """Stop all work, unbind keys and callbacks; the layers stay. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._disconnect()
        self._listen(None)
        for place in self._places.values():
            for layer in place.own_layers():
                layer.events.mode.disconnect(self._on_tool)
            if place.labels is not None:
                place.labels.events.selected_label.disconnect(self._on_label)
            place.close()
        self._places.clear()
        self._place = None
        self._keys.close()
        self.runner.close()
        self.closed.emit()
