"""The demo: what it makes, what it says, and what it never does to the user's files."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

from samslice.demo import DemoCase, Mark, load_nuclei, run_demo
from samslice.demo.nuclei import MARKS, NUCLEI, stack_path
from samslice.demo.picture import (
    Scene,
    choose_planes,
    colour_of,
    draw_overview,
    section_row,
)
from samslice.engine.backend import SamModel, load_model
from samslice.engine.cache import EmbeddingCache
from samslice.engine.normalize import fit_stack
from samslice.engine.options import PropagateOptions
from samslice.engine.predictor import Predictor
from samslice.engine.propagate import PropagateResult, propagate
from samslice.io import read_prompts
from samslice.model.build import build
from samslice.model.config import VARIANTS

FILES = {"labels.tif", "table.csv", "prompts.csv", "overview.png"}


@pytest.fixture(scope="module")
def model() -> SamModel:
    torch.manual_seed(0)
    return SamModel(build(VARIANTS["tiny"]), name="tiny", fingerprint="random", device="cpu")


@pytest.fixture(scope="module")
def case() -> DemoCase:
    noise = np.random.default_rng(0).integers(90, 110, (6, 40, 60), np.uint16)
    noise[1:5, 8:20, 10:24] += 900
    noise[1:5, 24:36, 36:50] += 700
    marks = (Mark(2, box=(8, 10, 20, 24)), Mark(3, click=(30, 42)))
    return DemoCase("blocks", noise, (2.0, 0.5, 0.5), "µm", marks, "blocks.tif")


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "embeddings")


def test_the_demo_writes_labels_table_prompts_and_picture(tmp_path, model, case, cache):
    lines = []
    made = run_demo(
        tmp_path / "out", objects=2, cache=cache, report=lines.append, case=case, model=model
    )
    assert {path.name for path in made.folder.iterdir()} == FILES
    with tifffile.TiffFile(made.files.labels) as file:
        labels = file.asarray()
        assert 'PhysicalSizeZ="2.0"' in file.ome_metadata
    np.testing.assert_array_equal(labels, made.result.labels)
    assert labels.shape == case.volume.shape
    with Image.open(made.files.picture) as picture:
        assert picture.width > 1000
        assert picture.height > 600
    assert made.files.table.read_text().startswith("object,plane,direction,status,reason,score")
    assert list(made.seconds) == ["encode", "propagate", "write"]
    said = "\n".join(lines)
    assert "2 blocks from 1 boxes and 1 clicks, through 6 planes" in said
    for path in (made.files.picture, made.files.labels, made.files.table):
        assert str(path) in said


def test_the_written_prompts_give_the_same_labels_again(tmp_path, model, case, cache):
    made = run_demo(tmp_path / "out", objects=2, cache=cache, case=case, model=model)
    again = propagate(
        Predictor(model, cache=cache),
        case.volume,
        read_prompts(made.files.prompts),
        options=PropagateOptions(spacing=case.spacing),
    )
    np.testing.assert_array_equal(again.labels, made.result.labels)


@pytest.fixture
def no_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that finds no samslice, and a process that none started."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(sys, "argv", ["pytest"])


def _closing_command(case: DemoCase, out: Path, model: SamModel, cache: EmbeddingCache):
    lines = []
    run_demo(out, objects=1, cache=cache, report=lines.append, case=case, model=model)
    return shlex.split(lines[-1])


@pytest.mark.skipif(os.name == "nt", reason="quoted for a POSIX shell here")
@pytest.mark.usefixtures("no_script")
def test_the_command_at_the_end_can_be_pasted_where_no_samslice_is_on_the_path(
    tmp_path, model, case, cache
):
    """It is one shell line that a Python of the same environment understands."""
    out = tmp_path / "my results"
    words = _closing_command(case, out, model, cache)
    assert words[:3] == [sys.executable, "-m", "samslice"]
    assert words[3:] == [
        *("propagate", "blocks.tif", "--prompts", str(out / "prompts.csv")),
        *("-o", str(out / "again.tif")),
    ]
    done = subprocess.run([*words[:3], "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("samslice ")


@pytest.mark.skipif(os.name == "nt", reason="quoted for a POSIX shell here")
@pytest.mark.usefixtures("no_script")
def test_the_command_at_the_end_starts_the_script_that_is_running(
    tmp_path, model, case, cache, monkeypatch
):
    """By its path, unless the shell finds this very script by its name."""
    script = tmp_path / "an env" / "bin" / "samslice"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script), "demo"])
    assert _closing_command(case, tmp_path / "a", model, cache)[0] == str(script)
    monkeypatch.setenv("PATH", str(script.parent))
    assert _closing_command(case, tmp_path / "b", model, cache)[0] == "samslice"


def test_a_second_run_encodes_nothing(tmp_path, model, case, cache, monkeypatch):
    first = run_demo(tmp_path / "one", objects=2, cache=cache, case=case, model=model)

    def refuse(pictures):
        raise AssertionError(f"{len(pictures)} planes were encoded again")

    monkeypatch.setattr(model, "encode", refuse)
    fresh = EmbeddingCache(tmp_path / "embeddings")  # as another process would open it
    second = run_demo(tmp_path / "two", objects=2, cache=fresh, case=case, model=model)
    np.testing.assert_array_equal(first.result.labels, second.result.labels)


def test_progress_is_told_of_every_plane(tmp_path, model, case, cache):
    told = {}

    class Watch:
        def start(self, total, description):
            self.now = description
            told[description] = [0, total, False]

        def advance(self, n=1):
            told[self.now][0] += n

        def done(self):
            told[self.now][2] = True

    run_demo(tmp_path / "out", objects=2, cache=cache, case=case, model=model, progress=Watch())
    assert told["encode"] == [6, 6, True]
    done, total, ended = told["propagate"]
    assert done == total > 0
    assert ended


def test_a_folder_that_holds_something_is_refused_before_any_work(tmp_path, model, case):
    mine = tmp_path / "thesis.txt"
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match=r"not empty.*--force"):
        run_demo(tmp_path, case=case, model=model, objects=2)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(FileExistsError, match="is a file"):
        run_demo(mine, case=case, model=model, objects=2, force=True)


def test_force_replaces_the_demos_files_and_no_others(tmp_path, model, case, cache):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    (out / "table.csv").write_text("an earlier result")
    run_demo(out, objects=2, cache=cache, case=case, model=model, force=True)
    assert {p.name for p in out.iterdir()} == FILES | {"thesis.txt"}
    assert (out / "thesis.txt").read_text() == "mine"
    assert (out / "table.csv").read_text().startswith("object,")


def test_without_a_folder_each_run_takes_a_free_one(tmp_path, model, case, cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [run_demo(objects=1, cache=cache, case=case, model=model).folder.name for _ in range(3)]
    assert names == ["samslice-demo", "samslice-demo-2", "samslice-demo-3"]


def scene(case: DemoCase) -> Scene:
    """Object 1 on planes 1 to 4, doubtful on the last; object 2 on plane 3 alone."""
    labels = np.zeros(case.volume.shape, np.uint8)
    labels[1:5, 8:20, 10:24] = 1
    labels[3, 24:36, 36:50] = 2
    rows = [(1, 1, "ok"), (1, 2, "anchor"), (1, 3, "ok"), (1, 4, "doubtful"), (2, 3, "anchor")]
    table = pd.DataFrame(rows, columns=["object", "plane", "status"]).assign(area=168)
    return Scene(case, fit_stack(case.volume), PropagateResult(labels, table, False))


def test_the_picture_shows_marked_planes_and_the_row_that_cuts_most(case):
    drawn = scene(case)
    assert choose_planes(drawn) == [0, 1, 2, 3, 4, 5]
    assert 8 <= section_row(drawn) < 20  # no row cuts both, and object 1 is larger


def test_the_picture_outlines_each_object_in_its_colour(case):
    pixels = np.asarray(draw_overview(scene(case)))
    for object_id in (1, 2):
        assert (pixels == colour_of(object_id)).all(axis=-1).sum() > 200
    assert not (pixels == colour_of(3)).all(axis=-1).any()
    assert colour_of(1) != colour_of(2)


def test_an_object_that_was_never_found_leaves_the_picture_whole(case):
    drawn = scene(case)
    empty = PropagateResult(
        np.zeros_like(drawn.result.labels), drawn.result.table.assign(area=0), False
    )
    whole = draw_overview(drawn)
    assert draw_overview(Scene(case, drawn.normalization, empty)).size == whole.size


@pytest.mark.slow
@pytest.mark.weights
def test_the_real_demo_finds_its_nuclei(tmp_path, mobile_sam_path, shared_dir, cache, monkeypatch):
    """Every nucleus agrees with the silver labels where those exist."""
    folder = shared_dir / "data" / "cells3d_nuclei_silver"
    truth = tifffile.imread(folder / "labels_cleaned_z24-45.tif")[24:46]
    real = DemoCase(
        "nuclei", tifffile.imread(folder / "image.tif"), (0.29, 0.26, 0.26), "µm", MARKS, "cells3d"
    )
    made = run_demo(tmp_path / "out", cache=cache, case=real, model=load_model(mobile_sam_path))
    found = made.result.labels[24:46]
    for object_id in range(1, 13):
        mask = found == object_id
        same = truth == np.bincount(truth[mask]).argmax()
        assert (mask & same).sum() / (mask | same).sum() > 0.75, f"object {object_id}"


@pytest.mark.parametrize("objects", [0, 3])
def test_the_number_of_objects_is_checked(tmp_path, model, case, objects):
    with pytest.raises(ValueError, match=f"objects is {objects}; allowed is 1 to 2"):
        run_demo(tmp_path / "out", objects=objects, case=case, model=model)
    assert not (tmp_path / "out").exists()


def test_a_dozen_marks_lie_inside_the_stack():
    """One box or click each, and both kinds are shown."""
    assert len(MARKS) == 12
    kinds = [(mark.box is not None, mark.click is not None) for mark in MARKS]
    assert set(kinds) == {(True, False), (False, True)}
    for object_id, mark in enumerate(MARKS, start=1):
        mark.seed(object_id).prompt.check_inside((256, 256))
        assert 0 <= mark.plane < 60


def test_the_stack_is_pinned_by_hash_and_refused_without_a_network(monkeypatch):
    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    assert NUCLEI.hash.startswith("sha256:")
    with pytest.raises(OSError, match=NUCLEI.requirement.replace(".", r"\.")):
        load_nuclei(progress=False)
    stack_path().parent.mkdir(parents=True)
    stack_path().write_bytes(b"another file")
    with pytest.raises(OSError, match=NUCLEI.requirement.replace(".", r"\.")):
        load_nuclei(progress=False)
