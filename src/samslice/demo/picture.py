"""One picture of a propagation: planes with outlines, a section, and what is doubtful."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.demo.nuclei import DemoCase
    from samslice.engine.normalize import Normalization
    from samslice.engine.propagate import PropagateResult

Colour = tuple[int, int, int]

_COLUMNS, _ROWS = 4, 2  # of planes
_TILE = 512  # pixels of a plane's longer side
_GAP, _CAPTION, _TEXT = 12, 36, 20
_BACKGROUND, _INK, _FAINT = (16, 18, 22), (225, 228, 232), (38, 42, 50)
_FILL, _LINE = 0.22, 2  # opacity inside an object, pixels of its outline


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is drawn: a case, and what came of it.

    Attributes
    ----------
    case : DemoCase
        The stack and its marks.
    normalization : Normalization
        How the encoder saw it, which is how it is drawn.
    result : PropagateResult
        Labels and table.
    """

    case: DemoCase
    normalization: Normalization
    result: PropagateResult

    @property
    def object_ids(self) -> range:
        """The labels, one for each mark."""
        return range(1, len(self.case.marks) + 1)


def draw_overview(scene: Scene) -> Image.Image:
    """Draw planes, a section along the stack axis, and where each object was found.

    Parameters
    ----------
    scene : Scene
        What to draw.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    planes = choose_planes(scene)
    tiles = [_plane_tile(scene, plane) for plane in planes]
    width, height = tiles[0].size
    step = width + _GAP
    full = _COLUMNS * step + _GAP
    left = (full - 3 * _GAP) // 2
    section = _section_tile(scene, left)
    strip = _strip_tile(scene, full - 3 * _GAP - left, section.height)
    below = _GAP + _ROWS * (height + _CAPTION + _GAP)
    canvas = Image.new("RGB", (full, below + _CAPTION + section.height + _GAP), _BACKGROUND)
    for index, (plane, tile) in enumerate(zip(planes, tiles, strict=True)):
        at = (_GAP + index % _COLUMNS * step, _GAP + index // _COLUMNS * (height + _CAPTION + _GAP))
        shown = any(mark.plane == plane for mark in scene.case.marks)
        _caption(canvas, at, f"plane {plane}" + (": boxes and clicks given here" * shown))
        canvas.paste(tile, (at[0], at[1] + _CAPTION))
    _caption(canvas, (_GAP, below), f"section through row {section_row(scene)}, plane 0 on top")
    canvas.paste(section, (_GAP, below + _CAPTION))
    right = 2 * _GAP + left
    _caption(
        canvas, (right, below), "planes on which each was found; white: given, hollow: doubtful"
    )
    canvas.paste(strip, (right, below + _CAPTION))
    return canvas


def choose_planes(scene: Scene) -> list[int]:
    """Spread the planes to draw over those that have objects.

    Parameters
    ----------
    scene : Scene
        What is drawn.

    Returns
    -------
    list of int
        Ascending; the plane with most marks is among them.
    """
    labels = scene.result.labels
    marked = [mark.plane for mark in scene.case.marks]
    used = [*np.flatnonzero(np.asarray(labels).any(axis=(1, 2))).tolist(), *marked]
    count = min(_COLUMNS * _ROWS, len(labels))
    planes = np.linspace(min(used), max(used), count).round().astype(int)
    if len(set(planes.tolist())) < count:  # the objects span fewer planes than are drawn
        planes = np.linspace(0, len(labels) - 1, count).round().astype(int)
    main = max(set(marked), key=marked.count)
    planes[np.argmin(np.abs(planes - main))] = main
    return [int(plane) for plane in planes]


def section_row(scene: Scene) -> int:
    """Choose the row that cuts most objects.

    Parameters
    ----------
    scene : Scene
        What is drawn.

    Returns
    -------
    int
        Index of the row.
    """
    labels = np.asarray(scene.result.labels)
    cut = np.stack([(labels == i).any(axis=(0, 2)) for i in scene.object_ids]).sum(axis=0)
    voxels = np.count_nonzero(labels, axis=(0, 2))
    return int(np.lexsort((voxels, cut))[-1])


def colour_of(object_id: int) -> Colour:
    """Give neighbouring ids colours that differ.

    Parameters
    ----------
    object_id : int
        Label, at least 1.

    Returns
    -------
    tuple of int
        Red, green, blue.
    """
    golden = (5**0.5 - 1) / 2  # its multiples never crowd on the colour wheel
    value = (1.0, 0.82)[object_id % 2]
    red, green, blue = colorsys.hsv_to_rgb(object_id * golden % 1, 0.72, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _plane_tile(scene: Scene, plane: int) -> Image.Image:
    picture = scene.normalization.apply(scene.case.volume[plane])
    rows, cols = picture.shape[:2]
    scale = _TILE / max(rows, cols)
    size = (round(cols * scale), round(rows * scale))
    tile = _outlined(picture, np.asarray(scene.result.labels[plane]), size, scene.object_ids)
    draw = ImageDraw.Draw(tile)
    for mark in scene.case.marks:
        if mark.plane != plane:
            continue
        if mark.box is not None:
            row0, col0, row1, col1 = (v * scale for v in mark.box)
            draw.rectangle((col0, row0, col1 - 1, row1 - 1), outline=_INK)
        if mark.click is not None:
            y, x = ((v + 0.5) * scale for v in mark.click)
            draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill="white", outline="black", width=2)
    return tile


def _section_tile(scene: Scene, width: int) -> Image.Image:
    row = section_row(scene)
    volume, labels = scene.case.volume, scene.result.labels
    section = np.stack([np.asarray(volume[z][row]) for z in range(len(volume))])
    cut = np.stack([np.asarray(labels[z][row]) for z in range(len(labels))])
    depth, _, across = scene.case.spacing
    height = width / section.shape[1] * section.shape[0] * depth / across
    size = (width, int(np.clip(round(height), 120, _TILE)))
    return _outlined(scene.normalization.apply(section), cut, size, scene.object_ids)


def _outlined(
    picture: NDArray[np.uint8],
    labels: NDArray[np.integer],
    size: tuple[int, int],
    object_ids: range,
) -> Image.Image:
    """Enlarge a picture and draw each object's outline, tint and id on it."""
    large = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(large).astype(np.float32)
    places = []
    for object_id in object_ids:
        mask = labels == object_id
        if not mask.any():
            continue
        # Blurred by less than a pixel, so that the enlarged outline has no steps.
        soft = Image.fromarray(ndimage.gaussian_filter(mask.astype(np.float32), 0.7))
        inside = np.asarray(soft.resize(size, Image.Resampling.BICUBIC)) > 0.5
        edge = inside & ~ndimage.binary_erosion(inside, iterations=_LINE, border_value=1)
        colour = np.array(colour_of(object_id), np.float32)
        pixels[inside] += _FILL * (colour - pixels[inside])
        pixels[edge] = colour
        if inside.any():
            places.append((object_id, np.argwhere(inside).mean(axis=0)))
    tile = Image.fromarray(pixels.round().astype(np.uint8))
    draw = ImageDraw.Draw(tile)
    for object_id, (y, x) in places:
        draw.text(
            (x, y),
            str(object_id),
            fill="white",
            font=_font(),
            anchor="mm",
            stroke_width=2,
            stroke_fill="black",
        )
    return tile


def _strip_tile(scene: Scene, width: int, height: int) -> Image.Image:
    """One row of cells for each object, one cell for each plane."""
    tile = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(tile)
    margin, n_planes = 2 * _TEXT, len(scene.result.labels)
    across, down = (width - margin) / n_planes, height / len(scene.object_ids)
    font = _font(min(_TEXT, int(down * 0.8)))
    for index, object_id in enumerate(scene.object_ids):
        text, middle = str(object_id), (index + 0.5) * down
        draw.text((margin - 10, middle), text, fill=_INK, font=font, anchor="rm")
        draw.line((margin, middle, width, middle), fill=_FAINT, width=2)
    found = scene.result.table[scene.result.table["area"] > 0]
    for row in found.itertuples():
        x0, y0 = margin + row.plane * across, (row.object - 1) * down
        cell = (x0 + 1, y0 + 2, x0 + across - 2, y0 + down - 3)
        colour = colour_of(row.object)
        if row.status == "doubtful":
            draw.rectangle(cell, fill=_BACKGROUND, outline=colour, width=2)
        else:
            draw.rectangle(cell, fill="white" if row.status == "anchor" else colour)
    return tile


def _caption(canvas: Image.Image, at: tuple[int, int], text: str) -> None:
    place = (at[0] + 2, at[1] + _CAPTION // 2)
    ImageDraw.Draw(canvas).text(place, text, fill=_INK, font=_font(), anchor="lm")


def _font(size: int = _TEXT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(size, 8))
