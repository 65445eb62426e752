"""The examples run as they stand, with any model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
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


def run(name, *arguments, folder):
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
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
