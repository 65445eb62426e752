"""One image layer with its clicks, drawings, results and session."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

from napari import layers as napari_layers

from samslice.plugin import layers as make
from samslice.plugin.bridge import LayerBridge
from samslice.plugin.layer_labels import LayerLabels
from samslice.plugin.next_prompt import NextPrompt
from samslice.plugin.viewstate import Axes, Shown, free_axes, read_view, spatial_shape
from samslice.session.labels import ids_in

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Points, Shapes

    from samslice.engine.options import PropagateOptions
    from samslice.engine.predictor import Predictor
    from samslice.plugin.runner import Runner
    from samslice.session.session import Session
    from samslice.session.worker import Worker

_CONTRAST_MS = 300  # contrast limits come in a stream while a slider is dragged


class Host(Protocol):
    """What a workplace asks of its controller."""

    @property
    def viewer(self) -> ViewerModel:
        """The viewer."""

    @property
    def runner(self) -> Runner:
        """Makes workers."""

    def guard(self, call: Callable[[], object]) -> object:
        """Run a call and turn what it raises into a message."""

    def tell(self, level: str, text: str) -> None:
        """Show a message."""

    def changed(self, place: Workplace) -> None:
        """Take note that layers or the session of a workplace are others."""


class Workplace:
    """All that belongs to one image.

    Parameters
    ----------
    host : Host
        The controller.
    image : napari.layers.Image
        What is segmented.
    axes : Axes
        Its axes.
    """

    def __init__(self, host: Host, image: Image, axes: Axes) -> None:
        self._host = host
        self.image = image
        self.axes = axes
        self.points: Points | None = None
        self.shapes: Shapes | None = None
        self.labels: Labels | None = None
        self.session: Session | None = None
        self.upcoming = NextPrompt(self._current, host.guard)
        self.bridge: LayerBridge | None = None
        self.worker: Worker | None = None
        self.channels: tuple[int, ...] = () if axes.channel is None else (0,)
        self.stack_axis: int | None = None
        self.normalization = "auto"
        self.percentiles = (0.5, 99.5)
        self.paused: set[str] = set()
        self.encoding = False
        self._shape = spatial_shape(image)
        self._used_ids: set[int] | None = None
        events = image.events
        for name in make.GEOMETRY_EVENTS:
            getattr(events, name).connect(self._on_geometry)
        events.data.connect(self._on_data)
        events.contrast_limits.connect(self._on_contrast)

    # ------------------------------------------------------------------ layers

    def ensure_layers(
        self,
        points: Points | None = None,
        shapes: Shapes | None = None,
        labels: Labels | None = None,
    ) -> None:
        """Use the given layers, find those made earlier, or make new ones.

        Parameters
        ----------
        points, shapes, labels : layer, optional
            The user's own.
        """
        if self.labels is None or (labels is not None and labels is not self.labels):
            self.stop()
            self._let_go(self.labels)
            self.labels = self._obtain(labels, napari_layers.Labels, make.make_labels)
        if self.shapes is None or shapes is not None:
            self._let_go(self.shapes)
            self.shapes = self._obtain(shapes, napari_layers.Shapes, make.make_shapes)
        if self.points is None or points is not None:
            self._let_go(self.points)
            self.points = self._obtain(points, napari_layers.Points, make.make_points)
        if self.bridge is not None:
            self.bridge.attach(self.points, self.shapes)
        self._host.changed(self)

    def _obtain(self, given: Any, kind: type[Any], create: Callable[[Image, Axes], Any]) -> Any:
        layer = given
        if given is not None:
            make.must_fit(given, self.image, self.axes)
        if layer is None:
            found = make.fitting(self._host.viewer, self.image, self.axes, kind)
            ours = (one for one in found if make.is_ours(one, self.image))
            layer = next((one for one in ours if not make.is_taken(one)), None)
        fresh = layer is None
        if layer is None:
            layer = create(self.image, self.axes)
        make.take(layer, True)
        if kind is napari_layers.Labels:
            self._used_ids = set() if fresh else None
        else:
            self.upcoming.join(layer)
        if fresh:
            make.place_in(self._host.viewer, layer, self.image)
        return layer

    def _let_go(self, layer: Any) -> None:
        if layer is not None:
            make.take(layer, False)
            self.upcoming.leave(layer)

    def _current(self) -> int:
        return make.CURRENT if self.session is None else self.session.current

    def drop_layer(self, layer: Any) -> str:
        """Go on without a layer that was removed from the viewer.

        Parameters
        ----------
        layer : Points, Shapes or Labels
            One of this image's.

        Returns
        -------
        str
            What this means, for a person.
        """
        name = layer.name
        self._let_go(layer)
        if layer is self.labels:
            self.stop()
            self.labels = None
            return (
                f"The results layer {name!r} was removed, so work on it has ended. "
                "Choose a tool to begin a new one: objects come back from their prompts."
            )
        if layer is self.points:
            self.points = None
        else:
            self.shapes = None
        if self.bridge is not None:
            self.bridge.attach(self.points, self.shapes)
        return f"The layer {name!r} was removed; its prompts count. A tool shows them again."

    def own_layers(self) -> list[Any]:
        """Layers that are in use, without those that were removed."""
        return [layer for layer in (self.points, self.shapes, self.labels) if layer is not None]

    # ------------------------------------------------------------------ session

    def start(self, predictor: Predictor, options: PropagateOptions) -> None:
        """Begin a session, or let the one there use another model.

        Parameters
        ----------
        predictor : Predictor
            Model and cache.
        options : PropagateOptions
            For a new session.
        """
        if self.session is not None:
            self.session.set_source(predictor=predictor, **self._source())
            return
        if self.labels is None:
            return
        if self.worker is None:
            self.worker = self._host.runner.make_worker("samslice-session")
        target = LayerLabels(self.labels, self.axes)
        if self._used_ids is not None:
            self._begin(predictor, options, target)
            return
        self.worker.submit(  # labels of the user's may be large: they are searched off this thread
            "ids",
            lambda cancel: _find_ids(target),
            priority=0,
            on_result=lambda ids: self._on_ids(ids, predictor, options, target),
            on_error=lambda error: self._host.tell("error", f"labels cannot be read: {error}"),
            on_done=lambda: None,
        )

    def _on_ids(
        self, ids: set[int], predictor: Predictor, options: PropagateOptions, target: LayerLabels
    ) -> None:
        self._used_ids = ids
        if self.session is None and target.layer is self.labels:
            self._host.guard(lambda: self._begin(predictor, options, target))

    def _begin(self, predictor: Predictor, options: PropagateOptions, target: LayerLabels) -> None:
        from samslice.session.session import Session

        data, pyramid = self._data()
        shown = self.shown()
        session = Session(
            data,
            predictor,
            labels=target,
            view=None if shown is None else shown.view,
            channel_axis=-1 if self.image.rgb else self.axes.channel,
            channels=self.channels or None,
            options=options,
            worker=self.worker,
            levels=pyramid,
            used_ids=self._used_ids,
        )
        if self.normalization != "auto":
            session.set_source(**self._source())
        if shown is not None:
            session.plane = shown.plane
        self.session = session
        self.bridge = LayerBridge(
            session,
            self.image,
            self.axes,
            target,
            self.upcoming,
            guard=self._host.guard,
            tell=lambda text: self._host.tell("warning", text),
        )
        prompts = [layer for layer in (self.points, self.shapes) if layer is not None]
        with session.batch("open"):
            self.bridge.attach(self.points, self.shapes)
            self._finish(session, make.finished_in([target.layer]))
        # Of results that were removed the prompts are left: their masks are made anew, and kept.
        self._finish(session, make.finished_in(prompts))
        session.forget_history()  # undo would take back what was there before the widget
        session.state_changed.connect(self._remember)
        self._host.changed(self)

    def _finish(self, session: Session, object_ids: set[int]) -> None:
        if object_ids & session.pending:
            session.commit(object_ids & session.pending)

    def _remember(self) -> None:
        """Note what is finished where the next widget on these layers finds it."""
        if self.session is not None:
            make.note_finished(self.own_layers(), self.session.state.finished)

    def _data(self) -> tuple[Any, list[Any]]:
        data = self.image.data
        if self.image.multiscale:
            return data[0], [data[n] for n in range(1, len(data))]
        return data, []

    def _source(self) -> dict[str, Any]:
        from samslice.engine.normalize import Normalization

        found: dict[str, Any] = {"channels": self.channels or None}
        if self.image.rgb:
            return found
        if self.normalization == "contrast":
            low, high = (float(v) for v in self.image.contrast_limits)
            found["normalization"] = Normalization((low,), (high,))
        elif self.normalization == "percentiles":
            found["percentiles"] = self.percentiles
        return found

    def apply_source(self) -> None:
        """Let the encoder see the image as is chosen now."""
        if self.session is not None:
            self.session.set_source(**self._source())
            self.look()

    # ------------------------------------------------------------------ what is looked at

    def shown(self) -> Shown | None:
        """Which plane of which stack the viewer shows."""
        return read_view(self._host.viewer.dims, self.image, self.axes, self.stack_axis)

    def free_axes(self) -> list[int]:
        """Axes that a stack can run along in the present view."""
        return free_axes(self._host.viewer.dims, self.image, self.axes)

    def look(self, *, ahead: bool = True) -> None:
        """Follow the viewer: the plane it shows is encoded first.

        Parameters
        ----------
        ahead : bool, optional
            Whether to go on with its neighbours.
        """
        session, shown = self.session, self.shown()
        if session is None or shown is None:
            return
        session.set_view(shown.view, shown.plane)
        self.encoding = True
        session.encode_ahead(radius=None if ahead else 0)

    def rest(self) -> None:
        """Stop what runs in the background: another image is worked on."""
        if self.session is not None:
            self.encoding = False
            self.session.cancel("encode")
            if self.session.cancel("propagate"):
                self._host.tell(
                    "info",
                    f"The propagation in {self.image.name!r} has stopped; what it did is kept.",
                )

    # ------------------------------------------------------------------ the image's events

    def _on_geometry(self, event: Any = None) -> None:
        self._host.guard(self._follow_geometry)

    def _follow_geometry(self) -> None:
        for layer in self.own_layers():
            if make.is_ours(layer, self.image):
                make.follow_geometry(layer, self.image, self.axes)
        self.look()

    def _on_data(self, event: Any = None) -> None:
        self._host.guard(self._follow_data)

    def _follow_data(self) -> None:
        if spatial_shape(self.image) != self._shape:
            self._host.tell(
                "warning",
                f"The image {self.image.name!r} has another shape now: its objects stay in their "
                "layer, and new layers are used from here on.",
            )
            self.stop()
            for layer in self.own_layers():
                self._let_go(layer)
            self.points = self.shapes = self.labels = None
            self._shape = spatial_shape(self.image)
            self._host.changed(self)
            return
        if self.session is not None:
            data, pyramid = self._data()
            self.session.set_source(image=data, levels=pyramid, **self._source())
            self.look()

    def _on_contrast(self, event: Any = None) -> None:
        if self.normalization == "contrast":
            runner = self._host.runner
            runner.soon(f"contrast-{self.image.unique_id}", self.apply_source, _CONTRAST_MS)

    # ------------------------------------------------------------------ the end

    def stop(self) -> None:
        """End the session; layers stay as they are."""
        self.encoding = False
        self.paused.clear()
        if self.bridge is not None:
            self.bridge.close()
            self.bridge = None
        if self.session is not None:
            self.session.state_changed.disconnect(self._remember)
            self.session.close()
            self.session = None
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def close(self) -> None:
        """End the session and let go of all layers."""
        self.stop()
        events = self.image.events
        for name in make.GEOMETRY_EVENTS:
            getattr(events, name).disconnect(self._on_geometry)
        events.data.disconnect(self._on_data)
        events.contrast_limits.disconnect(self._on_contrast)
        for layer in self.own_layers():
            self._let_go(layer)
        self.points = self.shapes = self.labels = None


def _find_ids(target: LayerLabels) -> Generator[set[int], None, None]:
    yield ids_in(target) | {0}
