"""The example of a session runs as it stands, with any model."""

import os
import subprocess
import sys
from pathlib import Path

import tifffile
import torch

from samslice.model.build import build
from samslice.model.config import VARIANTS

EXAMPLE = Path(__file__).parents[2] / "examples" / "session.py"


def test_the_example_runs_and_writes_labels(tmp_path):
    torch.manual_seed(0)
    torch.save(build(VARIANTS["tiny"]).state_dict(), tmp_path / "tiny.pt")
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, "--model", tmp_path / "tiny.pt"],
        cwd=tmp_path,
        env={**os.environ, "SAMSLICE_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert tifffile.imread(tmp_path / "labels.tif").shape == (9, 128, 128)
    assert "planes of object 2" in done.stdout
