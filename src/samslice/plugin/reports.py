"""What views are told, made from a workplace: pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari import layers as napari_layers

from samslice.engine.regions import bounds
from samslice.plugin import layers as make
from samslice.plugin.values import (
    AxisChoice,
    CandidatesView,
    CostEstimate,
    ImageChoices,
    PictureView,
    SourceView,
    StateView,
    TableRow,
    number_text,
    seconds_text,
)
from samslice.plugin.viewstate import spatial_shape
from samslice.plugin.workplace import Workplace
from samslice.session.state import Key, anchors, items_of, items_on

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from samslice.engine.types import Prediction
    from samslice.session.scene import Scene
    from samslice.session.session import Session
    from samslice.session.state import Place

_THUMBNAIL = 64
_MARGIN = 0.5  # of the best candidate's longer side, around it in all small pictures
_PICTURE = 256


def image_choices(viewer: ViewerModel, place: Workplace | None) -> ImageChoices:
    """Name the layers that can be chosen; see `ImageChoices`."""
    images = tuple(layer.name for layer in make.layers_of(viewer, napari_layers.Image))
    if place is None:
        return ImageChoices(images)

    def fitting(kind: type[Any]) -> tuple[str, ...]:
        return tuple(
            layer.name
            for layer in make.fitting(viewer, place.image, place.axes, kind)
            if layer in place.own_layers() or not make.is_taken(layer)
        )

    def name_of(layer: Any) -> str | None:
        return None if layer is None else layer.name

    return ImageChoices(
        images=images,
        image=place.image.name,
        points=fitting(napari_layers.Points),
        shapes=fitting(napari_layers.Shapes),
        labels=fitting(napari_layers.Labels),
        points_used=name_of(place.points),
        shapes_used=name_of(place.shapes),
        labels_used=name_of(place.labels),
    )


def _axis_choice(image: Image, axis: int) -> AxisChoice:
    size = spatial_shape(image)[axis]
    return AxisChoice(axis, f"{image.axis_labels[axis]} ({size})", size)


def source_view(place: Workplace | None) -> SourceView:
    """Say how the encoder sees the image; see `SourceView`."""
    if place is None:
        return SourceView()
    image, axes = place.image, place.axes
    shape = spatial_shape(image)
    free, shown = place.free_axes(), place.shown()
    stack = None if shown is None else shown.view.stack_axis
    possible = [a for a in range(image.ndim - 2) if 1 < shape[a] <= 64] if not image.rgb else []
    return SourceView(
        stack_axes=tuple(_axis_choice(image, a) for a in free),
        stack_axis=None if stack is None else axes.layer(stack),
        channel_axes=tuple(_axis_choice(image, a) for a in possible),
        channel_axis=axes.channel,
        n_channels=0 if axes.channel is None else shape[axes.channel],
        channels=place.channels,
        is_rgb=bool(image.rgb),
        normalization=place.normalization,
        percentiles=place.percentiles,
    )


def state_view(place: Workplace | None, why_no_session: str) -> StateView:
    """Say where the work stands; see `StateView`."""
    session = None if place is None else place.session
    if place is None or session is None:
        return StateView(text=why_no_session)
    state, plane = session.state, session.plane
    current = state.current
    color = (0.0,) * 4 if place.bridge is None else place.bridge.color_of(np.array([current]))[0]
    waiting = plane in session.waiting_planes
    ready = session.is_ready(plane)
    n = len(items_of(state, current))
    text = f"Object {current}: {n} prompt{'' if n == 1 else 's'}."
    if waiting:
        text += " Making its mask …" if ready else " Waiting for this plane to be encoded …"
    elif not ready:
        text += " This plane is not encoded yet."
    elif _is_covered(session):
        text += " Its mask lies in finished objects, which are protected; see Layers."
    return StateView(
        current=current,
        color=tuple(float(c) for c in color),  # type: ignore[arg-type]
        pending=tuple(sorted(session.pending)),
        finished=tuple(sorted(state.finished)),
        plane=plane,
        n_planes=session.n_planes,
        plane_ready=ready,
        waiting=waiting,
        undo_label=session.undo_label,
        redo_label=session.redo_label,
        overwrite=session.overwrite,
        ends_here=Key(current, session.view, plane) in state.ends,
        text=text,
    )


def _is_covered(session: Session) -> bool:
    """Whether the current object has a mask on this plane, but may take none of its pixels."""
    found = session.candidates(session.plane)
    if found is None or not (found.prediction.logits[found.chosen] > 0).any():
        return False
    return not session.overwrite and not session.pixels(session.current, session.plane)


def candidates_view(session: Session | None) -> CandidatesView:
    """Show the candidates of the current object; see `CandidatesView`."""
    if session is None:
        return CandidatesView()
    found = session.candidates(session.plane)
    if found is None:
        return CandidatesView(session.current)
    scores = tuple(float(s) for s in found.scores)
    return CandidatesView(found.object_id, scores, found.chosen, _thumbnails(found.prediction))


def _thumbnails(prediction: Prediction) -> tuple[NDArray[np.bool_], ...]:
    """Small masks, from the low-resolution logits: the large ones take too long here.

    All show the same window, around the best: a candidate that is half the plane would
    make the object a dot in its own picture.
    """
    masks: NDArray[np.bool_] = prediction.logits > 0
    best: NDArray[np.bool_] = masks[0] if masks[0].any() else np.any(masks, axis=0)
    if not best.any():
        return tuple(np.zeros((1, 1), bool) for _ in masks)
    row0, col0, row1, col1 = bounds(best)
    margin = max(2, round(max(row1 - row0, col1 - col0) * _MARGIN))
    window = np.s_[max(row0 - margin, 0) : row1 + margin, max(col0 - margin, 0) : col1 + margin]
    step = max(1, -(-max(masks[0][window].shape) // _THUMBNAIL))
    return tuple(np.array(m[window][::step, ::step]) for m in masks)


def table_rows(session: Session | None) -> tuple[TableRow, ...]:
    """List object by plane; see `TableRow`."""
    if session is None:
        return ()
    table = session.table
    columns = (table[name] for name in ("object", "plane", "status", "reason", "score", "area"))
    return tuple(
        TableRow(int(o), int(p), str(status), str(reason), float(score), int(area))
        for o, p, status, reason, score, area in zip(*columns, strict=True)
    )


def chosen_objects(place: Workplace) -> list[int] | None:
    """Objects that a propagation would carry; None leaves it to the session."""
    session = place.session
    if session is None:
        return []
    shown = {i.object_id for i in session.state.prompts if i.view == session.view}
    if shown:
        return None
    selected = _selected(place)
    return [] if selected is None else [selected]


def _selected(place: Workplace) -> int | None:
    """The label that is selected, if the plane that is looked at shows it."""
    if place.session is None or place.labels is None:
        return None
    label = int(place.labels.selected_label)
    if not 1 <= label <= np.iinfo(place.labels.dtype).max:
        return None
    return label if place.session.shows(label, place.session.plane) else None


def cost_estimate(place: Workplace | None) -> CostEstimate:
    """Say what a propagation would cost; see `CostEstimate`."""
    session = None if place is None else place.session
    if place is None or session is None or session.n_planes < 2:
        return CostEstimate(text="There is no stack to propagate through.")
    objects = chosen_objects(place)
    if objects == []:
        return CostEstimate(text="Nothing to propagate yet.")
    try:
        e = session.estimate(objects)
    except ValueError as error:
        return CostEstimate(text=str(error))
    text = f"At most {e.planes} planes, {e.to_encode} of them to encode"
    if e.seconds is not None and e.to_encode:
        text += f": about {seconds_text(e.seconds)}"
    for name, size in (("memory", e.ram_bytes), ("disk", e.disk_bytes)):
        if size:
            text += f", {size / 1e6:.0f} MB of {name}"
    return CostEstimate(e.planes, e.to_encode, e.seconds, e.ram_bytes, e.disk_bytes, f"{text}.")


# ---------------------------------------------------------------------- what can be done


def reasons(
    place: Workplace | None, why_no_session: str, *, is_loading: bool, flat: bool
) -> dict[str, str | None]:
    """Say of each action why it cannot be done now.

    Parameters
    ----------
    place : Workplace or None
        Where it would be done.
    why_no_session : str
        Why there is no session, if there is none.
    is_loading : bool
        Whether a model is being loaded.
    flat : bool
        Whether the viewer shows planes, not a volume.

    Returns
    -------
    dict of str to str or None
        None where it can.
    """
    from samslice.plugin.keys import ACTIONS

    session = None if place is None else place.session
    if place is None or session is None:
        found: dict[str, str | None] = {a.name: why_no_session for a in ACTIONS}
    else:
        found = {**dict.fromkeys(a.name for a in ACTIONS), **_session_reasons(place, session)}
    for action in ACTIONS:
        if action.name.startswith("tool:"):
            found[action.name] = _why_no_tool(place, flat)
    if place is not None and place.points is not None and session is None:
        found["toggle_sign"] = None
    if is_loading and found["cancel"] is not None:
        found["cancel"] = None
    return found


def _why_no_tool(place: Workplace | None, flat: bool) -> str | None:
    if place is None:
        return "Add or choose an image layer first."
    if not flat:
        return "Switch the viewer to 2D first: prompts belong to planes."
    if place.shown() is None:
        return "The viewer shows no plane of this image; change the order of its axes."
    return None


def _session_reasons(place: Workplace, session: Session) -> dict[str, str | None]:
    state, plane, view = session.state, session.plane, session.view
    current = state.current
    mine = items_of(state, current)
    open_ids = session.pending
    candidates = session.candidates(plane)
    one_plane = "This view has one plane; choose a stack axis or another view."
    running = session.is_propagating
    stack = None if session.n_planes > 1 else one_plane
    no_mask = "There is no mask to choose here; click on the object first."
    single = "There is one mask only; more come from a single click."
    masks = no_mask if candidates is None else single if len(candidates) < 2 else None
    nothing = "Nothing is running."
    here = current in items_on(state, session.place(plane))
    key = Key(current, view, plane)
    nothing_yet = "The object is new: click on it, or paint it."
    begun = None if mine or current in open_ids else nothing_yet
    found: dict[str, Any] = {
        "toggle_sign": None if place.points is not None else "There is no layer of clicks.",
        "next_candidate": masks,
        "previous_candidate": masks,
        "commit": None if current in open_ids else begun or "The object is finished.",
        "commit_all": None if open_ids else "No object is pending.",
        "discard": begun,
        "next_object": begun,
        "use_label": None
        if _selected(place) is not None
        else "Select a label that this plane shows, for instance with the pipette (5).",
        "propagate": stack
        or ("A propagation is running." if running else None)
        or ("Click on an object, or select its label, first." if _nothing(place) else None)
        or _why_no_plan(place),
        "repropagate": stack
        or ("A propagation is running." if running else None)
        or (
            None
            if key in state.ends or plane in anchors(state, current, view)
            else "Correct the object here first, or mark that it ends here."
        ),
        "mark_end": stack
        or ("The object has prompts on this plane." if here else None)
        or (None if key in state.ends else begun),
        "next_doubtful": None if session.doubtful() else "No plane is doubtful.",
        "pause": None if running or place.encoding or place.paused else nothing,
        "cancel": None if running or place.encoding else nothing,
        "undo": None if session.undo_label else "There is nothing to undo.",
        "redo": None if session.redo_label else "There is nothing to redo.",
    }
    return found


def _nothing(place: Workplace) -> bool:
    return chosen_objects(place) == []


def _why_no_plan(place: Workplace) -> str | None:
    """Say what is wrong with the range of planes, if anything is."""
    cost = cost_estimate(place)
    return None if cost.planes else cost.text


def make_picture(scene: Scene, place: Place) -> Generator[PictureView, None, None]:
    """Make the small picture of what the encoder sees, in the worker's thread.

    Parameters
    ----------
    scene : Scene
        What is looked at.
    place : Place
        The plane.

    Yields
    ------
    PictureView
        One.
    """
    policy = scene.policy(place.view)
    pixels = scene.stack(place.view)[place.plane]
    step = max(1, -(-max(pixels.shape[:2]) // _PICTURE))
    picture = policy.apply(np.ascontiguousarray(pixels[::step, ::step]))
    limits = zip(policy.low, policy.high, strict=True)
    spans = (f"{number_text(low)} to {number_text(high)}" for low, high in limits)
    text = "as it is" if policy.as_is else ", ".join(spans)
    yield PictureView(place.plane, picture, f"Plane {place.plane}: {text}.")
