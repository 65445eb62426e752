"""Prompts as CSV: samslice's own columns, and napari's Points and Shapes exports."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from samslice.engine.types import Box, Prompt, Seed
from samslice.io.tables import Row, read_rows, write_rows

POINT = ("row", "col")
BOX = ("row0", "col0", "row1", "col1")
COLUMNS = ("object", "plane", *POINT, "positive", *BOX, "ends")
_LAST_LABEL = 2**32 - 1  # labels have at most 32 bits
_NAPARI = ("index", "shape-type", "vertex-index")


@dataclass(slots=True)
class _Anchor:
    """What the rows of one object and plane say together."""

    first: Row
    points: list[tuple[float, float]] = field(default_factory=list)
    positive: list[bool] = field(default_factory=list)
    box: Box | None = None
    ends: bool = False


def read_prompts(path: str | os.PathLike[str], *, plane: int | None = None) -> list[Seed]:
    """Read prompts of many objects from a CSV file.

    Parameters
    ----------
    path : str or path-like
        A table with a header. Columns, in any order and any case:

        - ``object``: its label, from 1 on; left out, each row is an object.
        - ``plane``: index along the stack; may be left out for a single plane.
        - ``row``, ``col``: a point, in data pixels.
        - ``positive``: whether the point lies inside the object; true if left
          out.
        - ``row0``, ``col0``, ``row1``, ``col1``: a box, half-open.
        - ``ends``: true where the object is absent from that plane.

        A row has a point, a box, both, or ``ends``. Rows of the same object and
        plane are one prompt; further planes of an object are further anchors.
        The CSV files that napari saves of a Points layer and of rectangles
        in a Shapes layer are read as well.
    plane : int, optional
        The plane of rows that name none.

    Returns
    -------
    list of Seed
        One for each object and plane, in the order of the file.

    Raises
    ------
    ValueError
        If a value or a column is not allowed; the message names the line.
    OSError
        If the file cannot be read.
    """
    columns, rows = read_rows(path)
    name = Path(path).name
    if not rows:
        raise ValueError(f"{name} has no rows; give at least one point or box.")
    if "axis-0" in columns:
        rows = _from_napari(name, columns, rows)
        columns = [c for c in columns if not c.startswith("axis-") and c not in _NAPARI]
        columns += [c for c in COLUMNS if any(c in row.cells for row in rows)]
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        raise ValueError(
            f"{name} has the column {unknown[0]!r}; allowed are {', '.join(COLUMNS)}. "
            "Rename or remove it."
        )
    if not set(POINT) <= set(columns) and not set(BOX) <= set(columns):
        raise ValueError(
            f"{name} has the columns {', '.join(columns)}; needed are row and col for points, "
            "or row0, col0, row1 and col1 for boxes."
        )
    anchors: dict[tuple[int, int], _Anchor] = {}
    for number, row in enumerate(rows, start=1):
        if "object" in columns and "object" not in row.cells:
            raise row.fail(
                f"column object is empty; allowed is an integer from 1 to {_LAST_LABEL}."
            )
        object_id = row.integer("object", 1, _LAST_LABEL) if "object" in row.cells else number
        _add(anchors.setdefault((object_id, _plane(row, plane)), _Anchor(row)), row)
    return [_seed(*key, anchor) for key, anchor in anchors.items()]


def _plane(row: Row, default: int | None) -> int:
    if "plane" in row.cells:
        return row.integer("plane", 0)
    if default is None:
        raise row.fail("column plane is missing or empty; give the plane's index in the stack.")
    return default


def _add(anchor: _Anchor, row: Row) -> None:
    has_point, has_box = (_complete(row, group) for group in (POINT, BOX))
    if row.truth("ends", default=False):
        anchor.ends = True
    elif not has_point and not has_box:
        raise row.fail("the row has neither row and col, nor a box, nor ends; give one of them.")
    if has_point:
        anchor.points.append((row.number("row"), row.number("col")))
        anchor.positive.append(row.truth("positive", default=True))
    if has_box:
        row0, col0, row1, col1 = (row.number(column) for column in BOX)
        box = (row0, col0, row1, col1)
        if row0 >= row1 or col0 >= col1:
            raise row.fail(f"box {box} is empty; allowed is row0 < row1 and col0 < col1.")
        if anchor.box is not None and anchor.box != box:
            raise row.fail(
                f"the object has a second box on this plane (the first is {anchor.box}); "
                "allowed is one."
            )
        anchor.box = box


def _complete(row: Row, columns: Sequence[str]) -> bool:
    """Whether all of the columns are filled; some of them alone are an error."""
    there = [column for column in columns if column in row.cells]
    if there and len(there) < len(columns):
        missing = next(column for column in columns if column not in there)
        raise row.fail(f"column {missing} is empty, but {there[0]} is not; fill both or none.")
    return bool(there)


def _seed(object_id: int, plane: int, anchor: _Anchor) -> Seed:
    if anchor.ends:
        if anchor.points or anchor.box is not None:
            raise anchor.first.fail(
                f"object {object_id} both ends and has a prompt on plane {plane}; keep one of them."
            )
        return Seed(object_id, plane, ends=True)
    if anchor.box is None and not any(anchor.positive):
        raise anchor.first.fail(
            f"object {object_id} has no positive point and no box on plane {plane}; add one, "
            "with the same number in the column object."
        )
    points = np.array(anchor.points, np.float64)
    return Seed(object_id, plane, Prompt(points, np.array(anchor.positive, bool), anchor.box))


def _from_napari(name: str, columns: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Rewrite an export of a napari layer into samslice's own columns."""
    n_axes = sum(column.startswith("axis-") for column in columns)
    if n_axes not in (2, 3):
        raise ValueError(
            f"{name} has {n_axes} axes; allowed are axis-0 and axis-1 (row, col), or axis-0 to "
            "axis-2 (plane, row, col). Remove the columns of time and channel and renumber "
            "the others."
        )
    if "shape-type" not in columns:
        return [_napari_row(row, _coordinates(row, n_axes)) for row in rows]
    shapes: dict[str, list[Row]] = {}
    for row in rows:
        shapes.setdefault(row.cells.get("index", ""), []).append(row)
    return [_rectangle(vertices, n_axes) for vertices in shapes.values()]


def _coordinates(row: Row, n_axes: int) -> list[float]:
    for axis in range(n_axes):
        if f"axis-{axis}" not in row.cells:
            raise row.fail(f"column axis-{axis} is missing or empty; allowed is a number.")
    return [row.number(f"axis-{axis}") for axis in range(n_axes)]


def _rectangle(vertices: Sequence[Row], n_axes: int) -> Row:
    first = vertices[0]
    kind = first.cells.get("shape-type", "")
    if kind != "rectangle":
        raise first.fail(f"shape-type is {kind!r}; allowed in a CSV file is 'rectangle'.")
    corners = [_coordinates(vertex, n_axes) for vertex in vertices]
    if n_axes == 3 and len({round(corner[0]) for corner in corners}) > 1:
        raise first.fail("the rectangle spans several planes; allowed is one plane.")
    rows, cols = ([corner[axis] for corner in corners] for axis in (-2, -1))
    # In napari the centre of the first pixel is 0 and its edge -0.5; a half-open
    # box counts pixel edges from 0.
    box = [value + 0.5 for value in (min(rows), min(cols), max(rows), max(cols))]
    made = _napari_row(first, corners[0])
    cells = {k: v for k, v in made.cells.items() if k not in POINT}
    return Row(first.file, first.line, cells | dict(zip(BOX, map(repr, box), strict=True)))


def _napari_row(row: Row, coordinates: Sequence[float]) -> Row:
    cells = {k: v for k, v in row.cells.items() if not k.startswith("axis-") and k not in _NAPARI}
    cells |= {"row": repr(coordinates[-2]), "col": repr(coordinates[-1])}
    if len(coordinates) == 3:
        # A layer's points lie between planes when they were moved with the mouse.
        cells["plane"] = str(round(coordinates[0]))
    return Row(row.file, row.line, cells)


def write_prompts(
    path: str | os.PathLike[str], seeds: Iterable[Seed], *, overwrite: bool = False
) -> Path:
    """Write prompts as CSV, in the columns that `read_prompts` reads.

    Parameters
    ----------
    path : str or path-like
        A ``.csv``.
    seeds : iterable of Seed
        Points and boxes, and "ends here" marks.
    overwrite : bool, optional
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If a seed has a mask or logits, which a CSV file cannot hold.
    OSError
        If a file stands there, or it cannot be written.
    """
    rows: list[list[object]] = []
    for seed in seeds:
        prompt = seed.prompt
        if seed.mask is not None or (
            prompt is not None and (prompt.mask is not None or prompt.logits is not None)
        ):
            raise ValueError(
                f"the seed of object {seed.object_id} on plane {seed.plane} has a mask, which "
                "CSV cannot hold; write its box or points."
            )
        anchor = [seed.object_id, seed.plane]
        if prompt is None:
            rows.append([*anchor, None, None, None, None, None, None, None, True])
            continue
        box: Sequence[float | None] = prompt.box or (None,) * 4
        for (row, col), positive in zip(prompt.points.tolist(), prompt.positive, strict=True):
            rows.append([*anchor, row, col, bool(positive), *box, None])
            box = (None,) * 4
        if not len(prompt.points):
            rows.append([*anchor, None, None, None, *box, None])
    return write_rows(path, COLUMNS, rows, overwrite=overwrite)
