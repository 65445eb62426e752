"""What stands between the viewer and the session: the plugin without its widgets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari import layers as napari_layers

from samslice.plugin import layers as make
from samslice.plugin.acting import Acting

if TYPE_CHECKING:
    import os

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Points, Shapes

    from samslice.engine.backend import SamModel
    from samslice.engine.options import PropagateOptions


class SamController(Acting):
    """Segment an image layer of a viewer.

    Everything is public and typed, and nothing here is a Qt widget: views show
    what the signals carry and call the methods. No method raises for what a
    user may do at the wrong moment: it says why through `message`.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
        Where the layers are.
    image : napari.layers.Image, optional
        What to segment: the selected image layer if left out, else the
        topmost, else the first to be added.
    model : str, path-like or SamModel, optional
        A registry name, a checkpoint file or a loaded model.
    points, shapes, labels : layer, optional
        Layers of the user's to use; made where left out.
    device, precision : str, optional
        As for `samslice.load_model`; from napari's preferences if left out.
    cache : EmbeddingCache or path-like, optional
        Where embeddings are kept; from napari's preferences if left out.
    options : PropagateOptions, optional
        For propagation.
    encode_ahead : bool, optional
        Whether planes beyond the visible one are encoded in the background.

    Attributes
    ----------
    image_changed : psygnal.Signal
        (ImageChoices): layers were added, removed, renamed or chosen.
    source_changed : psygnal.Signal
        (SourceView): axes, channels, normalisation.
    model_changed : psygnal.Signal
        (ModelView)
    state_changed : psygnal.Signal
        (StateView): prompts, objects, plane, undo.
    candidates_changed : psygnal.Signal
        (CandidatesView)
    tool_changed : psygnal.Signal
        (str): one of `samslice.plugin.values.TOOLS`; empty if none is active.
    table_changed : psygnal.Signal
        (tuple of TableRow): sorted by object and plane.
    cost_changed : psygnal.Signal
        (CostEstimate)
    picture_changed : psygnal.Signal
        (PictureView): only after `want_picture(True)`.
    progress : psygnal.Signal
        (ProgressView)
    busy_changed : psygnal.Signal
        (bool)
    can_changed : psygnal.Signal
        (dict of str to str or None): for each name in
        `samslice.plugin.keys.ACTIONS`, None if it can be done now, else why
        not.
    message : psygnal.Signal
        (level, text): level is ``"info"``, ``"warning"`` or ``"error"``. The
        controller itself shows it as a napari notification.
    closed : psygnal.Signal
        (): nothing follows.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image | None = None,
        model: str | os.PathLike[str] | SamModel = "mobile_sam",
        *,
        points: Points | None = None,
        shapes: Shapes | None = None,
        labels: Labels | None = None,
        device: str | None = None,
        precision: str | None = None,
        cache: Any = None,
        options: PropagateOptions | None = None,
        encode_ahead: bool = True,
    ) -> None:
        super().__init__(
            viewer,
            device=device,
            precision=precision,
            cache=cache,
            options=options,
            encode_ahead=encode_ahead,
        )
        given = {
            name: make.plain(layer)
            for name, layer in (("points", points), ("shapes", shapes), ("labels", labels))
            if layer is not None
        }
        chosen = make.plain(image) if image is not None else self._first_image()
        if chosen is not None:
            self.guard(partial(self._choose_image, chosen, **given))
        self.choose_model(model)

    def _first_image(self) -> Any:
        selected = make.plain(self._viewer.layers.selection.active)
        if isinstance(selected, napari_layers.Image):
            return selected
        return next(iter(make.layers_of(self._viewer, napari_layers.Image)), None)
