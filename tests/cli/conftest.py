"""A small model of random weights and small images, so that commands run in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from samslice.model.build import build
from samslice.model.config import VARIANTS


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint file of the test variant."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(build(VARIANTS["tiny"]).state_dict(), path)
    return path


@pytest.fixture(scope="session")
def stack() -> np.ndarray:
    """Six planes with two bright discs on a dark, noisy ground."""
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:48, :64]
    planes = rng.integers(90, 110, (6, 48, 64))
    for row, col in ((15, 18), (30, 45)):
        planes[:, (rows - row) ** 2 + (cols - col) ** 2 < 64] += 800
    return planes.astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path, stack: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an image, a stack and prompts for both."""
    metadata = {"axes": "ZYX", "PhysicalSizeZ": 2.0, "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25}
    tifffile.imwrite(tmp_path / "stack.tif", stack, ome=True, metadata=metadata)
    tifffile.imwrite(tmp_path / "image.tif", stack[0])
    (tmp_path / "points.csv").write_text("object,row,col\n3,15,18\n300,30,45\n")
    (tmp_path / "prompts.csv").write_text(
        "object,plane,row0,col0,row1,col1\n1,2,7,10,23,26\n2,3,22,37,38,53\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path
