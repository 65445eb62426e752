"""The labelled stacks that propagation is measured on.

They are no part of the repository. `find_shared` says where they are looked
for; each folder has a SOURCE.md with origin and licence.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

_REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class StackFile:
    """Where one labelled stack is found, and what is known about it.

    Attributes
    ----------
    name : str
        What the tables call it.
    image, labels : str
        Files below the folder of data sets.
    spacing : tuple of float
        Size of a voxel along plane, row and column, from its SOURCE.md.
    labelled : tuple of int or None
        First and last plane that have labels, both included; None for all.
        Objects are anchored, propagated and scored within these planes only.
    """

    name: str
    image: str
    labels: str
    spacing: tuple[float, float, float]
    labelled: tuple[int, int] | None = None


STACKS: tuple[StackFile, ...] = (
    StackFile(
        "fibsem_medulla",
        "fibsem_medulla_neurons/image.tif",
        "fibsem_medulla_neurons/labels.tif",
        (1.0, 1.0, 1.0),
    ),
    StackFile(
        "fibsem_gala_train",
        "fibsem_gala_neurons/train_image.tif",
        "fibsem_gala_neurons/train_labels_ge500vox.tif",
        (1.0, 1.0, 1.0),
    ),
    StackFile(
        "fibsem_gala_test",
        "fibsem_gala_neurons/test_image.tif",
        "fibsem_gala_neurons/test_labels_ge500vox.tif",
        (1.0, 1.0, 1.0),
    ),
    StackFile(
        "sstem_mitochondria",
        "sstem_vnc_mitochondria/image.tif",
        "sstem_vnc_mitochondria/labels.tif",
        (47.5, 4.6, 4.6),
    ),
    StackFile(
        "qcanet_8cell",
        "qcanet_mouse_embryo_nuclei/8cell_image.tif",
        "qcanet_mouse_embryo_nuclei/8cell_labels.tif",
        (1.75, 0.8, 0.8),
    ),
    StackFile(
        "qcanet_16cell",
        "qcanet_mouse_embryo_nuclei/16cell_image.tif",
        "qcanet_mouse_embryo_nuclei/16cell_labels.tif",
        (1.75, 0.8, 0.8),
    ),
    StackFile(
        "cells3d_nuclei",
        "cells3d_nuclei_silver/image.tif",
        "cells3d_nuclei_silver/labels_cleaned_z24-45.tif",
        (0.29, 0.26, 0.26),
        (24, 45),
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A labelled stack in memory.

    Attributes
    ----------
    name : str
        What the tables call it.
    image : ndarray of shape (planes, rows, columns)
        Its pixels.
    labels : ndarray of shape (planes, rows, columns), int
        Ground truth, 0 is background.
    spacing : tuple of float
        Size of a voxel along plane, row and column.
    planes : range
        The planes that have labels.
    """

    name: str
    image: NDArray[np.generic]
    labels: NDArray[np.int64]
    spacing: tuple[float, float, float]
    planes: range


def find_shared(given: Path | None = None) -> Path:
    """Find the folder of data sets.

    Parameters
    ----------
    given : Path, optional
        Its path; else ``SAMSLICE_SHARED`` names the folder that holds
        ``data``, else it is ``shared`` beside the repository.

    Returns
    -------
    Path
        The folder that holds one folder per data set.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    """
    beside = os.environ.get("SAMSLICE_SHARED", _REPOSITORY.parent / "shared")
    folder = given if given is not None else Path(beside) / "data"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder; pass the folder of data sets with --data, or set "
            "SAMSLICE_SHARED to the folder that holds it as 'data'."
        )
    return folder


def choose(names: list[str] | None) -> list[StackFile]:
    """Pick stacks by name or by the beginning of it.

    Parameters
    ----------
    names : list of str or None
        For instance ``["qcanet", "cells3d"]``; all stacks if left out.

    Returns
    -------
    list of StackFile
        In the order of the tables.

    Raises
    ------
    ValueError
        If a name fits none.
    """
    known = ", ".join(s.name for s in STACKS)
    for name in names or []:
        if not any(s.name.startswith(name) for s in STACKS):
            raise ValueError(f"there is no stack {name!r}; allowed are {known}.")
    return [s for s in STACKS if not names or any(s.name.startswith(n) for n in names)]


def load(file: StackFile, folder: Path) -> Stack:
    """Read a stack and its labels.

    Parameters
    ----------
    file : StackFile
        Which one.
    folder : Path
        From `find_shared`.

    Returns
    -------
    Stack
        In memory.

    Raises
    ------
    OSError
        If a file is absent or broken.
    ValueError
        If image and labels differ in shape.
    """
    image = tifffile.imread(folder / file.image)
    labels = tifffile.imread(folder / file.labels).astype(np.int64)
    if image.shape != labels.shape:
        raise ValueError(f"{file.name}: image {image.shape} and labels {labels.shape} differ.")
    first, last = file.labelled or (0, len(image) - 1)
    return Stack(file.name, image, labels, file.spacing, range(first, last + 1))
