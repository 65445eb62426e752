"""The examples run as they stand, with any model."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from samslice.model.build import build
from samslice.model.config import VARIANTS

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    torch.save(build(VARIANTS["tiny"]).state_dict(), path)
    return path


def run(name, *arguments, folder, ignore=()):
    warnings = [word for action in ("error", *ignore) for word in ("-W", action)]
    return subprocess.run(
        [sys.executable, *warnings, EXAMPLES / name, *arguments],
        cwd=folder,
        env={**os.environ, "SAMSLICE_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_propagate_stack(checkpoint, tmp_path):
    done = run("propagate_stack.py", "--model", checkpoint, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "labels.tif").stat().st_size > 0


@pytest.mark.weights
@pytest.mark.slow
def test_propagate_stack_finds_the_cells(mobile_sam_path, tmp_path):
    done = run("propagate_stack.py", "--model", mobile_sam_path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 objects" in done.stdout


def run_in_napari(checkpoint, folder):
    # Importing napari raises such warnings, in modules of pydantic that -W cannot name as a group.
    return run(
        "napari_script.py",
        "--model",
        checkpoint,
        folder=folder,
        ignore=["ignore::DeprecationWarning"],
    )


@pytest.mark.gui
def test_napari_script(checkpoint, tmp_path):
    """It needs nobody: the window is closed and the process ends by itself."""
    done = run_in_napari(checkpoint, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    labels = tifffile.imread(tmp_path / "labels.tif")
    assert labels.shape == (9, 128, 128)
    assert f"{len(np.unique(labels)) - 1} objects" in done.stdout


@pytest.mark.gui
@pytest.mark.weights
@pytest.mark.slow
def test_napari_script_finds_the_cells(mobile_sam_path, tmp_path):
    done = run_in_napari(mobile_sam_path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 objects" in done.stdout
    assert "planes after undo: [4]" in done.stdout
    labels = tifffile.imread(tmp_path / "labels.tif")
    for object_id, centre in ((1, (35, 40)), (2, (85, 85))):
        planes = np.flatnonzero(labels[:, *centre] == object_id)
        assert {3, 4, 5} <= set(planes.tolist()), object_id
