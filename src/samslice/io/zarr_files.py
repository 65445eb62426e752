"""Zarr arrays and OME-Zarr images (0.4 and 0.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

from samslice.io.source import Source, guess_axes

if TYPE_CHECKING:
    from pathlib import Path

_OLD_AXES = [{"name": name} for name in "tczyx"]  # OME-Zarr before 0.3 named none


def open_zarr(path: Path, series: int, level: int) -> Source:
    """Open a zarr array, or one level of an OME-Zarr image.

    Parameters
    ----------
    path : Path
        Folder of the array or group; of a group, also one inside it.
    series : int
        Which image, where a converter wrote several into one group.
    level : int
        Which resolution; 0 is the finest.

    Returns
    -------
    Source
        Reads the chunks that a slice touches.

    Raises
    ------
    ValueError
        If the folder holds no zarr, or no such series or level.
    """
    try:
        node: Any = zarr.open(str(path), mode="r")
    except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is not a zarr array or group: {error}. Give the folder that holds "
            "zarr.json, .zarray or .zgroup."
        ) from None
    if isinstance(node, zarr.Group) and "bioformats2raw.layout" in _attributes(node):
        if str(series) not in node:
            raise ValueError(
                f"series is {series}; allowed for {path.name} are the numbered groups in it."
            )
        node, series = node[str(series)], 0
    if isinstance(node, zarr.Array):
        return _open_array(node, series, level, path)
    multiscales = _attributes(node).get("multiscales")
    if multiscales:
        return _open_multiscale(node, multiscales, series, level, path)
    arrays = sorted(name for name, _ in node.arrays())
    if len(arrays) == 1:
        return _open_array(node[arrays[0]], series, level, path)
    raise ValueError(
        f"{path} is a zarr group without OME metadata that holds {len(arrays)} arrays "
        f"({', '.join(arrays) or 'none'}); give the path of one array inside it."
    )


def _attributes(group: zarr.Group) -> dict[str, Any]:
    """Attributes of a group, for OME-Zarr 0.5 those in its ``ome`` part."""
    attributes: dict[str, Any] = dict(group.attrs)
    return {**attributes, **attributes.get("ome", {})}


def _open_array(array: zarr.Array[Any], series: int, level: int, path: Path) -> Source:
    for word, index in (("series", series), ("level", level)):
        if index:
            raise ValueError(f"{word} is {index}; allowed for {path.name}, one array, is 0.")
    attributes: dict[str, Any] = dict(array.attrs)
    names = getattr(array.metadata, "dimension_names", None)
    names = names or attributes.get("_ARRAY_DIMENSIONS")
    axes, colour = guess_axes(array.shape)
    letters = "".join(str(name or "?")[:1].upper() for name in names or ())
    if len(set(letters)) == array.ndim and {"Y", "X"} <= set(letters):
        axes, colour = letters, "S" in letters
    spacing, unit = attributes.get("spacing"), attributes.get("unit")
    scale: dict[str, float] = {}
    if isinstance(spacing, list) and len(spacing) == len(axes.removesuffix("S")):
        scale = dict(zip(axes, map(float, spacing), strict=False))
    return Source(array, axes, colour, scale, dict.fromkeys(scale, unit))


def _open_multiscale(
    group: zarr.Group, multiscales: list[dict[str, Any]], series: int, level: int, path: Path
) -> Source:
    if not 0 <= series < len(multiscales):
        raise ValueError(
            f"series is {series}; allowed for {path.name} is 0 to {len(multiscales) - 1}."
        )
    image = multiscales[series]
    datasets = image["datasets"]
    if not 0 <= level < len(datasets):
        raise ValueError(f"level is {level}; allowed for {path.name} is 0 to {len(datasets) - 1}.")
    array: Any = group[datasets[level]["path"]]
    declared = [
        axis if isinstance(axis, dict) else {"name": axis}
        for axis in image.get("axes") or _OLD_AXES[-array.ndim :]
    ]
    axes = "".join(_letter(axis) for axis in declared)
    sizes = [1.0] * len(axes)
    found = False
    for owner in (image, datasets[level]):
        for step in owner.get("coordinateTransformations") or ():
            if step.get("type") == "scale" and len(step.get("scale", ())) == len(sizes):
                sizes = [a * float(b) for a, b in zip(sizes, step["scale"], strict=True)]
                found = True
    scale = dict(zip(axes, sizes, strict=True)) if found else {}
    units = {letter: axis.get("unit") for letter, axis in zip(axes, declared, strict=True)}
    return Source(array, axes, "S" in axes, scale, units)


def _letter(axis: dict[str, Any]) -> str:
    kinds = {"time": "T", "channel": "C"}
    return kinds.get(str(axis.get("type")), str(axis["name"])[:1].upper())
