"""TIFF files: plain, ImageJ and OME, mapped into memory or read page by page."""

from __future__ import annotations

import logging
import math
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import tifffile

from samslice.io.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger("samslice.io")

_COLOUR = {
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.YCBCR,
}


def open_tiff(path: Path, series: int, level: int) -> Source:
    """Open one image of a TIFF file.

    Parameters
    ----------
    path : Path
        The file.
    series : int
        Which image, where the file holds several.
    level : int
        Which resolution of a pyramid.

    Returns
    -------
    Source
        A memory map where pixels lie in one uncompressed piece, else an array
        that decodes the pages that are asked for.

    Raises
    ------
    ValueError
        If the file is no TIFF, is damaged or cut short, has no such series or
        level, or is compressed in a way that needs another package.
    """
    with _said_once(path):
        try:
            return _open(path, series, level)
        except (_RefusedError, OSError, MemoryError):
            raise
        except Exception as error:
            # From damaged tags tifffile raises whatever they lead it into.
            reason = f"{type(error).__name__}: {error}".rstrip(". ")
            raise ValueError(
                f"{path.name} is a damaged TIFF file ({reason}); copy or export it again."
            ) from error


class _RefusedError(ValueError):
    """An error that names the file and the remedy already."""


def _open(path: Path, series: int, level: int) -> Source:
    try:
        file = tifffile.TiffFile(path)
    except tifffile.TiffFileError as error:
        raise _RefusedError(f"{path.name} is not a readable TIFF file: {error}") from None
    with file:
        image = _pick(file.series, series, "series", path)
        chosen = _pick(image.levels, level, "level", path)
        _check_whole(file, chosen, path)
        scale, units = _scale(file, series)
        for axis, size, full in zip(chosen.axes, chosen.shape, image.shape, strict=True):
            if axis in scale:
                scale[axis] *= full / size  # a coarser level has larger pixels
        colour = chosen.keyframe.photometric in _COLOUR
        _check_codec(chosen.keyframe.compression, path)
        one_piece = chosen.dataoffset is not None and chosen.keyframe.is_memmappable
    if one_piece:
        array = tifffile.memmap(path, series=series, level=level, mode="r")
        return Source(array, chosen.axes, colour, scale, units)
    array, close = _paged(path, series, level)
    return Source(array, chosen.axes, colour, scale, units, close)


@contextmanager
def _said_once(path: Path) -> Iterator[None]:
    """Turn tifffile's log lines into our own: once each, with the file's name.

    A file is parsed twice, so tifffile says all it has to say twice. Where opening fails, the
    error says what matters.
    """
    said: dict[str, None] = {}
    thread = threading.get_ident()

    def hear(record: logging.LogRecord) -> bool:
        if record.thread != thread or record.levelno < logging.WARNING:
            return True
        said[record.getMessage()] = None
        return False

    log = logging.getLogger("tifffile")
    log.addFilter(hear)
    try:
        yield
    finally:
        log.removeFilter(hear)
    for message in said:
        logger.warning("%s: %s", path.name, message)


def _check_whole(file: tifffile.TiffFile, chosen: tifffile.TiffPageSeries, path: Path) -> None:
    """Refuse a file that was cut short: its planes would be missing without a word."""
    size = file.filehandle.size
    problem = None
    pointer = file.pages.next_page_offset
    if pointer is not None:
        file.filehandle.seek(pointer)
        stored = file.filehandle.read(file.tiff.offsetsize)
        if len(stored) < file.tiff.offsetsize:
            problem = f"its list of pages breaks off after {len(file.pages)}"
        elif (following := struct.unpack(file.tiff.offsetformat, stored)[0]) >= size:
            problem = f"page {len(file.pages) + 1} should be at byte {following}"
    if problem is None and (end := _end_of_pixels(chosen, path)) > size:
        problem = f"its pixels reach to byte {end}"
    if problem is not None:
        raise _RefusedError(
            f"{path.name} is cut short: {problem}, but the file has "
            f"{size} bytes. Copy or export it again."
        )


def _end_of_pixels(chosen: tifffile.TiffPageSeries, path: Path) -> int:
    """The byte after the last pixel that lies in this file."""
    if chosen.dataoffset is not None:
        return int(chosen.dataoffset + chosen.nbytes)
    ends = [0]
    for page in (chosen.pages[0], chosen.pages[-1]):
        # Of an OME-TIFF in many files, planes may lie in another file, or nowhere.
        if page is not None and page.parent.filehandle.path == str(path.absolute()):
            pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
            ends += [offset + count for offset, count in pieces]
    return int(max(ends))


def _pick(items: Any, index: int, word: str, path: Path) -> Any:
    if not 0 <= index < len(items):
        raise _RefusedError(f"{word} is {index}; allowed for {path.name} is 0 to {len(items) - 1}.")
    return items[index]


def _check_codec(compression: int, path: Path) -> None:
    """Say now, not at the first plane, that a package is missing."""
    try:
        tifffile.TIFF.DECOMPRESSORS[compression]
    except KeyError:
        name = getattr(compression, "name", compression)
        raise _RefusedError(
            f"{path.name} is compressed with {name}, which needs the package imagecodecs: "
            "pip install imagecodecs, or save the file uncompressed or with zlib (deflate)."
        ) from None


def _paged(path: Path, series: int, level: int) -> tuple[Any, Any]:
    """Open pages that are compressed or scattered as a chunked array."""
    import zarr

    store = tifffile.imread(path, aszarr=True, series=series, level=level)
    try:
        return zarr.open_array(store, mode="r"), store.close
    except BaseException:
        store.close()
        raise


def _scale(file: tifffile.TiffFile, series: int) -> tuple[dict[str, float], dict[str, str | None]]:
    """Read the size of a voxel from whichever metadata the file has."""
    if file.is_ome and file.ome_metadata:
        return _ome_scale(file.ome_metadata, series)
    page = file.series[series].keyframe
    scale = {}
    for axis, name in (("X", "XResolution"), ("Y", "YResolution")):
        tag = page.tags.get(name)
        if tag is not None and all(tag.value):
            scale[axis] = tag.value[1] / tag.value[0]
    if file.is_imagej:
        metadata = file.imagej_metadata or {}
        unit = str(metadata.get("unit") or "").replace("\\u00B5", "µ")
        if not unit or unit.lower() in ("pixel", "pixels"):
            return {}, {}
        spacing = metadata.get("spacing")
        if isinstance(spacing, (int, float)) and spacing:
            scale["Z"] = abs(float(spacing))
        return scale, dict.fromkeys(scale, unit)
    unit_tag = page.tags.get("ResolutionUnit")
    unit = {2: "inch", 3: "cm"}.get(int(unit_tag.value), "") if unit_tag is not None else ""
    return (scale, dict.fromkeys(scale, unit)) if unit else ({}, {})


def _ome_scale(xml: str, series: int) -> tuple[dict[str, float], dict[str, str | None]]:
    scale: dict[str, float] = {}
    units: dict[str, str | None] = {}
    try:
        pixels = ElementTree.fromstring(xml).findall("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return scale, units  # the pixels can be read all the same; only the voxel size is lost
    if series < len(pixels):
        for axis in "XYZ":
            size = float(pixels[series].get(f"PhysicalSize{axis}") or math.nan)
            if math.isfinite(size) and size > 0:
                scale[axis] = size
                # The schema's default: files that write no unit mean micrometres.
                units[axis] = pixels[series].get(f"PhysicalSize{axis}Unit") or "µm"
    return scale, units
