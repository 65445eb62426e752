"""Layers for clicks, drawings and results on the geometry of an image layer."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Points, Shapes

from samslice.plugin.viewstate import Axes, spatial_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

KEY = "samslice"
"""Where our layers carry, in their metadata, what they are for."""

UID, OBJECT, POSITIVE = "samslice_uid", "object_id", "positive"
"""Features of clicks and drawings: number of the prompt, object, sign."""

CURRENT = 0
"""Stands for the current object where no session has said yet which that is."""

POSITIVE_COLOR, NEGATIVE_COLOR = "#2ca02c", "#d62728"
GEOMETRY_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")

_SEARCHED = 1 << 28  # bytes of labels that are looked through at once
_IN_MEMORY = 1 << 32  # bytes of labels; larger ones go to a temporary file


def plain(thing: Any) -> Any:
    """Return what napari's proxy for plugins stands for, so that layers compare by identity."""
    return getattr(thing, "__wrapped__", thing)


def layers_of(viewer: ViewerModel, kind: type[Any]) -> list[Any]:
    """List the viewer's layers of one kind, the topmost first."""
    found = [plain(layer) for layer in reversed(list(viewer.layers))]
    return [layer for layer in found if isinstance(layer, kind)]


def make_points(image: Image, axes: Axes) -> Points:
    """Make a layer for clicks.

    Parameters
    ----------
    image : napari.layers.Image
        The image they belong to.
    axes : Axes
        Its axes.

    Returns
    -------
    napari.layers.Points
        Not yet in a viewer.
    """
    shape = spatial_shape(image)
    layer = Points(
        np.empty((0, image.ndim)),
        name=f"{image.name} clicks",
        features=_no_features(),
        size=float(np.clip(max(shape[-2:]) / 50, 3, 40)),
        border_width=0.25,
        border_color=POSITIVE_COLOR,
        metadata={KEY: {"kind": "points", "image": image.unique_id}},
        **geometry(image, axes),
    )
    set_defaults(layer, CURRENT, True)
    return layer


def make_shapes(image: Image, axes: Axes) -> Shapes:
    """Make a layer for drawings; parameters as for `make_points`."""
    shape = spatial_shape(image)
    layer = Shapes(
        None,
        ndim=image.ndim,
        name=f"{image.name} drawings",
        features=_no_features(),
        edge_width=float(np.clip(max(shape[-2:]) / 250, 1, 10)),
        edge_color=POSITIVE_COLOR,
        face_color="transparent",
        metadata={KEY: {"kind": "shapes", "image": image.unique_id}},
        **geometry(image, axes),
    )
    set_defaults(layer, CURRENT, True)
    return layer


def make_labels(image: Image, axes: Axes) -> Labels:
    """Make a layer for results, at full resolution; parameters as for `make_points`."""
    shape = axes.insert(axes.drop(spatial_shape(image)), 1)
    folder = None
    if 2 * float(np.prod(shape, dtype=float)) <= _IN_MEMORY:
        data: Any = np.zeros(shape, np.uint16)
    else:
        folder = tempfile.mkdtemp(prefix="samslice-labels-")
        data = _on_disk(folder, shape)
    layer = Labels(
        data,
        name=f"{image.name} objects",
        metadata={KEY: {"kind": "labels", "image": image.unique_id}},
        **geometry(image, axes),
    )
    if folder is not None:
        weakref.finalize(layer, shutil.rmtree, folder, ignore_errors=True)
    return layer


def _on_disk(folder: str, shape: tuple[int, ...]) -> Any:
    import zarr

    chunks = tuple(min(n, 512) if axis >= len(shape) - 2 else 1 for axis, n in enumerate(shape))
    return zarr.create_array(store=folder, shape=shape, chunks=chunks, dtype="uint16", fill_value=0)


def _no_features() -> pd.DataFrame:
    return pd.DataFrame(
        {OBJECT: np.empty(0, int), POSITIVE: np.empty(0, bool), UID: np.empty(0, int)}
    )


def geometry(image: Image, axes: Axes) -> dict[str, Any]:
    """Say where an image lies, as keyword arguments for another layer.

    Parameters
    ----------
    image : napari.layers.Image
        The image.
    axes : Axes
        Its axes. The channel axis becomes a single index as wide as all
        channels.

    Returns
    -------
    dict
        scale, translate, rotate, shear, affine, units and axis_labels.
    """
    scale, translate = np.array(image.scale, float), np.array(image.translate, float)
    if axes.channel is not None:
        n = spatial_shape(image)[axes.channel]
        # The transforms' order is scale, then the others: the centre moves by that much.
        translate = translate + _linear(image)[:, axes.channel] * (n - 1) / 2
        scale[axes.channel] *= n
    return {
        "scale": scale,
        "translate": translate,
        "rotate": np.array(image.rotate, float),
        "shear": np.array(image.shear, float),
        "affine": np.array(image.affine.affine_matrix, float),
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def _linear(image: Image) -> NDArray[np.float64]:
    """Matrix from data to the space in which `translate` acts."""
    from napari.utils.transforms import Affine

    ndim = image.ndim
    both = Affine(
        scale=image.scale, rotate=image.rotate, shear=image.shear, translate=np.zeros(ndim)
    )
    return np.asarray(both.affine_matrix[:ndim, :ndim], float)


def follow_geometry(layer: Layer, image: Image, axes: Axes) -> None:
    """Move one of our layers to where its image is now."""
    for name, value in geometry(image, axes).items():
        setattr(layer, name, value)


def is_ours(layer: Layer, image: Image | None = None) -> bool:
    """Whether a layer was made by this plugin, for that image."""
    mark = layer.metadata.get(KEY)
    if not isinstance(mark, dict):
        return False
    return image is None or mark.get("image") == image.unique_id


def note_finished(layers: Iterable[Layer], object_ids: Iterable[int]) -> None:
    """Note in layers of results and of prompts which objects are finished."""
    for layer in layers:
        layer.metadata[f"{KEY}_finished"] = sorted(object_ids)


def finished_in(layers: Iterable[Layer]) -> set[int]:
    """Read which objects an earlier session has noted as finished."""
    return {int(i) for layer in layers for i in layer.metadata.get(f"{KEY}_finished", ())}


def is_blank(labels: Labels) -> bool:
    """Whether a layer holds no label; False where it is so large that looking takes a while."""
    data = labels.data
    return isinstance(data, np.ndarray) and data.nbytes <= _SEARCHED and not data.any()


def is_taken(layer: Layer) -> bool:
    """Whether a controller works on the layer."""
    return bool(layer.metadata.get(f"{KEY}_taken"))


def take(layer: Layer, taken: bool) -> None:
    """Note that a controller works on the layer, or no longer."""
    if taken:
        layer.metadata[f"{KEY}_taken"] = True
    else:
        layer.metadata.pop(f"{KEY}_taken", None)


def fits(layer: Layer, image: Image, axes: Axes) -> bool:
    """Whether a layer can be used with an image.

    Parameters
    ----------
    layer : Points, Shapes or Labels
        The layer.
    image : napari.layers.Image
        The image.
    axes : Axes
        Its axes.

    Returns
    -------
    bool
        Points and shapes need as many axes; labels the shape of the image at
        full resolution, and data that can be written to.
    """
    if isinstance(layer, Labels):
        wanted = axes.insert(axes.drop(spatial_shape(image)), 1)
        return not layer.multiscale and tuple(layer.data.shape) == wanted and _writable(layer.data)
    return isinstance(layer, (Points, Shapes)) and layer.ndim == image.ndim


def must_fit(layer: Layer, image: Image, axes: Axes) -> None:
    """Raise ValueError for a layer that `fits` refuses."""
    if not fits(layer, image, axes):
        raise ValueError(
            f"the layer {layer.name!r} does not fit the image {image.name!r}: points and "
            "shapes need as many axes, labels its shape at full resolution and data that can "
            "be written to."
        )


def _writable(data: Any) -> bool:
    if type(data).__module__.partition(".")[0] == "dask" or not hasattr(data, "__setitem__"):
        return False
    read_only = getattr(data, "read_only", False) is True
    return not read_only and bool(getattr(getattr(data, "flags", None), "writeable", True))


def fitting(viewer: ViewerModel, image: Image, axes: Axes, kind: type[Any]) -> Iterator[Any]:
    """List layers of a kind that can be used with an image, the topmost first."""
    for layer in layers_of(viewer, kind):
        if fits(layer, image, axes):
            yield layer


def complete_features(layer: Points | Shapes, object_id: int) -> None:
    """Add the features that a layer lacks, and touch none that it has.

    Parameters
    ----------
    layer : Points or Shapes
        The layer.
    object_id : int
        Object of the prompts that do not say which.
    """
    features = layer.features
    n = count(layer)
    missing = {
        name: np.full(n, value)
        for name, value in ((OBJECT, object_id), (POSITIVE, True), (UID, 0))
        if name not in features
    }
    if missing or len(features) != n:
        kept = features.iloc[:n].reset_index(drop=True)
        layer.features = kept.assign(**missing)
    set_defaults(layer, object_id, None)


def set_defaults(layer: Points | Shapes, object_id: int, positive: bool | None) -> None:
    """Set the object and the sign that the next clicks or drawings get; None keeps the sign."""
    defaults = layer.feature_defaults
    wanted: dict[str, Any] = {OBJECT: object_id, UID: 0}
    if positive is not None:
        wanted[POSITIVE] = positive
    if all(name in defaults and _is(defaults[name].iloc[0], v) for name, v in wanted.items()):
        return
    layer.feature_defaults = {name: defaults[name].iloc[0] for name in defaults} | wanted


def _is(found: Any, wanted: Any) -> bool:
    return not pd.isna(found) and bool(found == wanted)


def place_in(viewer: ViewerModel, layer: Layer, image: Image) -> None:
    """Put a new layer into a viewer: results directly above the image, prompts on top."""
    there = list(viewer.layers)
    at = len(there)
    if isinstance(layer, Labels):
        at = next((n + 1 for n, one in enumerate(there) if plain(one) is image), at)
    viewer.layers.insert(at, layer)


def sign_colors(signs: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Colours, RGBA from 0 to 1, of prompts with these signs."""
    return np.where(signs[:, None], _rgba(POSITIVE_COLOR), _rgba(NEGATIVE_COLOR))


def _rgba(color: str) -> NDArray[np.float64]:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] + [1.0])


def count(layer: Points | Shapes) -> int:
    """Count the clicks or drawings of a layer."""
    return layer.nshapes if isinstance(layer, Shapes) else len(layer.data)
