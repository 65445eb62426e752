"""CSV text files with a header: rows that know where they stand, and safe writing."""

from __future__ import annotations

import csv
import math
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samslice.io.labels import check_output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0", "+", "positive"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0", "-", "negative"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a CSV file, whose errors name file, line, column and value.

    Attributes
    ----------
    file : str
        Name of the file.
    line : int
        Line in it, counted from 1.
    cells : dict of str to str
        Text of each column; columns left empty are absent.
    """

    file: str
    line: int
    cells: dict[str, str]

    def fail(self, message: str) -> ValueError:
        """Make an error that says where the row is.

        Parameters
        ----------
        message : str
            What is wrong and what is allowed.

        Returns
        -------
        ValueError
            To be raised.
        """
        return ValueError(f"{self.file}, line {self.line}: {message}")

    def number(self, column: str) -> float:
        """Read a finite number."""
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.fail(
                f"column {column} is {text!r}; allowed is a number, in data pixels, "
                "with a point for decimals."
            )
        return value

    def integer(self, column: str, least: int, most: int | None = None) -> int:
        """Read an integer from `least` on, up to `most` where there is one."""
        text = self.cells[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        whole = math.isfinite(value) and value == int(value)
        if not whole or value < least or value > (value if most is None else most):
            span = f"from {least} on" if most is None else f"from {least} to {most}"
            raise self.fail(f"column {column} is {text!r}; allowed is an integer {span}.")
        return int(value)

    def truth(self, column: str, default: bool) -> bool:
        """Read a yes or a no, in any of the usual spellings."""
        text = self.cells.get(column)
        if text is None:
            return default
        if text.lower() in _TRUE or text.lower() in _FALSE:
            return text.lower() in _TRUE
        raise self.fail(f"column {column} is {text!r}; allowed are true and false (1 and 0).")


def read_rows(path: str | os.PathLike[str]) -> tuple[list[str], list[Row]]:
    """Read a CSV file with a header line.

    Parameters
    ----------
    path : str or path-like
        Separated by commas, semicolons or tabs, in UTF-8.

    Returns
    -------
    columns : list of str
        The header, in lower case.
    rows : list of Row
        All rows that are not blank.

    Raises
    ------
    ValueError
        If the file is empty, not text, or a row is longer than the header.
    OSError
        If it cannot be read.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}; give a CSV file that exists.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give a CSV file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not UTF-8 text: {error.reason}; save it as CSV in UTF-8."
        ) from None
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise ValueError(f"{path.name} has no header; its first line must name the columns.")
    separator = max(",;\t", key=lines[0].count)
    reader = csv.reader(lines, delimiter=separator)
    columns = [name.strip().lower() for name in next(reader)]
    doubled = {name for name in columns if columns.count(name) > 1}
    if doubled:
        raise ValueError(f"{path.name} names the column {doubled.pop()!r} twice; rename one.")
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        texts = {n: c.strip() for n, c in zip(columns, cells, strict=False) if c.strip()}
        row = Row(path.name, reader.line_num, texts)
        if len(cells) > len(columns):
            raise row.fail(
                f"there are {len(cells)} values for {len(columns)} columns; "
                "numbers must have a point for decimals, not a comma."
            )
        rows.append(row)
    return columns, rows


def write_table(
    path: str | os.PathLike[str], table: pd.DataFrame, *, overwrite: bool = False
) -> Path:
    """Write a table as CSV.

    Parameters
    ----------
    path : str or path-like
        A ``.csv``.
    table : pandas.DataFrame
        Written without its index.
    overwrite : bool, optional
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the name does not end in ``.csv``.
    OSError
        If a file stands there, or it cannot be written.
    """
    target = check_output(path, overwrite=overwrite, suffixes=(".csv",))
    return replace_text(target, lambda file: table.to_csv(file, index=False, lineterminator="\n"))


def write_rows(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    overwrite: bool = False,
) -> Path:
    """Write rows as CSV.

    Parameters
    ----------
    path : str or path-like
        A ``.csv``.
    columns : sequence of str
        The header.
    rows : sequence of sequence
        One value for each column; None is left empty.
    overwrite : bool, optional
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError, OSError
        As for `write_table`.
    """
    target = check_output(path, overwrite=overwrite, suffixes=(".csv",))

    def write(file: Any) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([["" if v is None else v for v in row] for row in rows])

    return replace_text(target, write)


def replace_text(target: Path, write: Callable[[Any], object]) -> Path:
    """Write a text file under a temporary name and rename it when it is complete."""
    part = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            write(file)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target
