"""The part of a controller that chooses: image, layers, model, axes, options, tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari import layers as napari_layers

from samslice.plugin import layers as make
from samslice.plugin.hosting import Hosting
from samslice.plugin.keys import MODES
from samslice.plugin.values import TOOLS
from samslice.plugin.viewstate import Axes, default_axes
from samslice.plugin.workplace import Workplace

if TYPE_CHECKING:
    import os

    from napari.layers import Image, Labels, Points, Shapes

    from samslice.engine.backend import SamModel
    from samslice.engine.options import PropagateOptions

_NORMALIZATIONS = ("auto", "contrast", "percentiles")


class Choosing(Hosting):
    """Choices; see `samslice.plugin.controller.SamController`."""

    def choose_image(self, image: Image | str | None) -> None:
        """Segment another image layer; work on the one before is kept.

        Parameters
        ----------
        image : napari.layers.Image, str or None
            The layer or its name; None for no image.
        """
        if not self._closed:
            self.guard(lambda: self._choose_image(image))

    def _choose_image(self, image: Image | str | None, **layers: Any) -> None:
        layer = None if image is None else self._find(image, napari_layers.Image)
        before = self._place
        if before is not None and before.image is layer and not any(layers.values()):
            return
        if before is not None and before.image is not layer:
            before.rest()
        self._place = None
        self._listen(None)
        if layer is not None:
            place = self._places.get(layer)
            if place is None:
                place = self._places[layer] = Workplace(self, layer, default_axes(layer))
            self._place = place
            self._ensure(place, **layers)
            self._listen(place.session)
            if self._viewer.dims.ndisplay == 2 and place.points is not None:
                self._take_tool("positive")
        self.refresh()

    def _ensure(self, place: Workplace, **layers: Any) -> None:
        self._adding += 1
        try:
            place.ensure_layers(**layers)
        finally:
            self._adding -= 1
        if place.session is None and self._predictor is not None:
            place.start(self._predictor, self._options)

    def _find(self, layer: Any, kind: type[Any]) -> Any:
        layer = make.plain(layer)
        there = make.layers_of(self._viewer, kind)
        for one in there:
            if one is layer or (isinstance(layer, str) and one.name == layer):
                return one
        name = layer if isinstance(layer, str) else getattr(layer, "name", layer)
        raise ValueError(
            f"there is no {kind.__name__} layer {name!r} in the viewer; there are "
            f"{[one.name for one in there]}."
        )

    def choose_layers(
        self,
        *,
        points: Points | str | None = None,
        shapes: Shapes | str | None = None,
        labels: Labels | str | None = None,
    ) -> None:
        """Use existing layers instead of ours.

        Parameters
        ----------
        points, shapes, labels : layer or str, optional
            Layers or their names; those left out stay as they are.
        """
        if not self._closed:
            self.guard(lambda: self._choose_layers(points=points, shapes=shapes, labels=labels))

    def _choose_layers(self, **given: Any) -> None:
        if self._place is None:
            raise ValueError("there is no image; choose one first.")
        kinds = {
            "points": napari_layers.Points,
            "shapes": napari_layers.Shapes,
            "labels": napari_layers.Labels,
        }
        found = {n: self._find(v, kinds[n]) for n, v in given.items() if v is not None}
        new = {n: v for n, v in found.items() if v is not getattr(self._place, n)}
        for layer in new.values():
            if make.is_taken(layer):
                raise ValueError(f"the layer {layer.name!r} is in use already; choose another.")
        if new:
            for name in new:
                old = getattr(self._place, name)
                if old is not None:
                    self._keys.unbind(old)
            self._ensure(self._place, **new)

    def choose_model(self, model: str | os.PathLike[str] | SamModel) -> None:
        """Load another model; pending masks are made anew.

        Parameters
        ----------
        model : str, path-like or SamModel
            A registry name, a checkpoint file or a loaded model.
        """
        if not self._closed:
            self.guard(lambda: self._loader.load(model))

    def set_stack_axis(self, axis: int) -> None:
        """Carry objects along another axis.

        Parameters
        ----------
        axis : int
            Of the image layer.
        """
        if self._place is not None and axis != self._place.stack_axis:
            self._place.stack_axis = axis
            self.guard(self._look)

    def set_channels(self, channels: tuple[int, ...], channel_axis: int | None = None) -> None:
        """Use one or three channels.

        Parameters
        ----------
        channels : tuple of int
            The channels.
        channel_axis : int or None, optional
            The image layer's axis that they lie on; None for no channels.
        """
        place = self._place
        if self._closed or place is None or place.image.rgb:
            return
        if channel_axis == place.axes.channel:
            self.guard(lambda: self._use_channels(place, channels))
        else:
            self.guard(lambda: self._use_axes(place, channels, channel_axis))

    def _use_channels(self, place: Workplace, channels: tuple[int, ...]) -> None:
        before, place.channels = place.channels, tuple(channels)
        try:
            place.apply_source()
        except ValueError:
            place.channels = before
            raise
        finally:
            self.refresh("source")
            self._make_picture()

    def _use_axes(
        self, place: Workplace, channels: tuple[int, ...], channel_axis: int | None
    ) -> None:
        """Begin anew: other axes need other layers."""
        image = place.image
        tool, result = self.tool or "positive", place.labels
        self._listen(None)
        for layer in place.own_layers():
            self._keys.unbind(layer)
        place.close()
        if result is not None and make.is_ours(result, image) and make.is_blank(result):
            self._viewer.layers.remove(result)  # of the old shape: of no use to anybody
        new = Workplace(self, image, Axes(image.ndim, channel_axis))
        if channel_axis is not None:
            new.channels = tuple(channels) or (0,)
        self._places[image] = self._place = new
        self._ensure(new)
        if self._viewer.dims.ndisplay == 2:
            self._take_tool(tool)
        self.refresh()

    def set_normalization(self, kind: str, percentiles: tuple[float, float] | None = None) -> None:
        """Choose what the encoder sees of the image's grey levels.

        Parameters
        ----------
        kind : str
            ``"auto"``, ``"contrast"`` (the layer's contrast limits) or
            ``"percentiles"``.
        percentiles : tuple of float, optional
            (low, high) in percent.
        """
        if self._place is not None and not self._closed:
            place = self._place
            self.guard(lambda: self._normalize(place, kind, percentiles))

    def _normalize(
        self, place: Workplace, kind: str, percentiles: tuple[float, float] | None
    ) -> None:
        if kind not in _NORMALIZATIONS:
            raise ValueError(
                f"normalisation is {kind!r}; allowed are {', '.join(_NORMALIZATIONS)}."
            )
        if percentiles is not None:
            low, high = percentiles
            if not 0 <= low < high <= 100:
                raise ValueError(f"percentiles are {percentiles}; allowed is 0 ≤ low < high ≤ 100.")
            place.percentiles = (float(low), float(high))
        place.normalization = kind
        place.apply_source()
        self.refresh("source")
        self._make_picture()

    def set_options(self, options: PropagateOptions) -> None:
        """Set the options of later propagations."""
        self._options = options
        for place in self._places.values():
            if place.session is not None:
                place.session.options = options
        self.refresh("cost", "can")

    def set_overwrite(self, overwrite: bool) -> None:
        """Set whether pending objects may take pixels of finished ones."""
        session = self.session
        if session is not None:
            self.guard(lambda: setattr(session, "overwrite", bool(overwrite)))
            self.refresh("state")

    def want_picture(self, wanted: bool) -> None:
        """Say whether somebody looks at the encoder's picture."""
        self._wants_picture = bool(wanted)
        self._make_picture()

    def set_tool(self, name: str) -> None:
        """Select the layer and the mode for a tool; layers that were removed are made anew.

        Parameters
        ----------
        name : str
            One of `samslice.plugin.values.TOOLS`.
        """
        if self._closed:
            return
        if name not in TOOLS:
            self.tell("warning", f"tool is {name!r}; allowed are {', '.join(TOOLS)}.")
            return
        reason = self.can[f"tool:{name}"]
        if reason is not None:
            self.tell("info", reason)
        else:
            self.guard(lambda: self._take_tool(name))

    def _on_dims(self, event: Any = None) -> None:
        super()._on_dims(event)
        self.guard(self._put_tool_down)

    def _put_tool_down(self) -> None:
        """Let no click in a volume become a prompt, which belongs to a plane."""
        flat = self._viewer.dims.ndisplay == 2
        active = make.plain(self._viewer.layers.selection.active)
        if self._place is None or active not in self._place.own_layers():
            self._put_down = ""
        elif not flat:
            # From drawings napari has taken it already, which is told a little later.
            tool = self.tool or self._shown.get("tool", "")
            if tool:
                self._put_down = tool
                active.mode = "pan_zoom"
        elif self._put_down:
            tool, self._put_down = self._put_down, ""
            self._take_tool(tool)

    def _take_tool(self, name: str) -> None:
        place = self._place
        if place is None:
            return
        kind, mode = MODES[name]
        if place.labels is None or getattr(place, kind) is None:
            self._ensure(place)
        layer: Any = getattr(place, kind)
        layer.visible = True
        self._viewer.layers.selection.active = layer
        if name in ("positive", "negative", "scribble"):  # Q turns a scribble around
            self._set_sign(name != "negative")
        if kind == "points":
            layer.selected_data = set()
        elif kind == "labels" and place.session is not None:
            layer.selected_label = place.session.current
        layer.mode = mode
        self.refresh("tool", "can")

    def _set_sign(self, positive: bool) -> None:
        """Set the sign of the next clicks and scribbles."""
        if self._place is not None:
            self._place.upcoming.positive = positive
            self._place.upcoming.show()
            self.refresh("tool")
