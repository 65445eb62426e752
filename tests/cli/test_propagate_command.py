"""Laws of ``samslice propagate``."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

import samslice as ss
from samslice.cli import main
from samslice.cli.propagate import free_name, stop_on_interrupt
from samslice.engine.progress import Cancel
from samslice.io import read_prompts, read_volume

_BASE = ["propagate", "stack.tif", "--prompts", "prompts.csv"]


@pytest.fixture
def propagate(folder, tiny_checkpoint):
    def run(*argv):
        flags = ["--model", str(tiny_checkpoint), "--device", "cpu", "--min-score", "0"]
        return main([*_BASE, *flags, *argv])

    return run


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr"])
def test_labels_and_table_are_those_of_the_library(propagate, tiny_checkpoint, name, capsys):
    assert propagate("-o", name, "--table", "qa.csv") == 0
    options = ss.PropagateOptions(spacing=(2.0, 0.5, 0.25), min_score=0)
    result = ss.propagate(
        ss.Predictor(ss.load_model(tiny_checkpoint, device="cpu"), cache=ss.EmbeddingCache()),
        tifffile.imread("stack.tif"),
        read_prompts("prompts.csv"),
        options=options,
    )
    labels = read_volume(name)
    np.testing.assert_array_equal(np.asarray(labels), result.labels)
    assert labels.dtype == np.uint8
    assert labels.spacing == pytest.approx((2.0, 0.5, 0.25))
    assert labels.unit == "µm"
    labels.close()
    table = pd.read_csv("qa.csv", keep_default_na=False, na_values={"overlap": [""]})
    pd.testing.assert_frame_equal(table, result.table, check_dtype=False)
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == [
        *("object", "planes", "first", "last", "doubtful", "voxels", "score")
    ]
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["1", "2"]
    assert "propagate: " in err
    assert "qa.csv" in err


def test_the_summary_counts_what_is_in_the_labels(propagate, capsys):
    assert propagate("-o", "labels.tif") == 0
    labels = tifffile.imread("labels.tif")
    for line in capsys.readouterr().out.splitlines()[1:]:
        object_id, n_planes, first, last, _, voxels, _ = line.split()
        planes = np.flatnonzero((labels == int(object_id)).any(axis=(1, 2)))
        assert (int(first), int(last), int(n_planes)) == (planes[0], planes[-1], len(planes))
        assert int(voxels) == (labels == int(object_id)).sum()


def test_flags_reach_the_options(propagate):
    assert propagate("-o", "labels.tif", "--table", "qa.csv", "--direction", "forward") == 0
    table = pd.read_csv("qa.csv")
    assert table.groupby("object")["plane"].min().tolist() == [2, 3]


def test_spacing_comes_from_the_file_unless_it_is_given(propagate, monkeypatch):
    seen = []

    def spy(predictor, volume, seeds, *, options, **kwargs):
        seen.append(options.spacing)
        raise ValueError("seen enough")

    monkeypatch.setattr("samslice.engine.propagate.propagate", spy)
    for flags in ([], ["--spacing", "3", "1", "1"]):
        assert propagate("-o", "labels.tif", *flags) == 2
    assert seen == [(2.0, 0.5, 0.25), (3.0, 1.0, 1.0)]


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr"])
@pytest.mark.parametrize(
    ("flags", "spacing", "unit"),
    [
        ([], (2000.0, 500.0, 500.0), None),
        (["--unit", "nm"], (2.0, 0.5, 0.5), "µm"),
        (["--unit", "um"], (2000.0, 500.0, 500.0), "µm"),
    ],
)
def test_labels_have_the_unit_of_the_spacing_that_was_given_and_none_is_made_up(
    propagate, name, flags, spacing, unit
):
    assert propagate("-o", name, "--spacing", "2000", "500", "500", *flags) == 0
    labels = read_volume(name)
    assert labels.spacing == pytest.approx(spacing)
    assert labels.unit == unit
    labels.close()


def test_the_stack_is_never_read_as_a_whole(propagate, monkeypatch):
    from samslice.io.volume import Volume

    def refuse(self, *args, **kwargs):
        raise RuntimeError("the whole stack was read")

    monkeypatch.setattr(Volume, "__array__", refuse)
    assert propagate("-o", "labels.zarr") == 0


def test_a_cache_makes_the_second_run_read_what_the_first_made(propagate, folder, monkeypatch):
    assert propagate("-o", "a.tif", "--cache", "kept") == 0
    from samslice.engine.backend import SamModel

    def refuse(self, pictures):
        raise RuntimeError("encoded again")

    monkeypatch.setattr(SamModel, "encode", refuse)
    assert propagate("-o", "b.tif", "--cache", "kept") == 0
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("b.tif"))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["-o", "labels.png"], "ends in '.png'; allowed are .tif"),
        (["-o", "l.tif", "--table", "qa.txt"], "ends in '.txt'; allowed are .csv"),
        (["-o", "l.tif", "--min-overlap", "2"], "--min-overlap is 2.0; allowed"),
        (["-o", "l.tif", "--prompts", "points.csv"], "points.csv, line 2: column plane is missing"),
        (["-o", "l.tif", "--z", "3"], "has one plane; use samslice segment"),
        (["-o", "l.tif", "--first-plane", "5"], "5"),
        (["-o", "l.tif", "--unit", "nm"], "--unit is nm without a --spacing"),
        (["-o", "l.tif", "--model", "none.pt"], "none.pt"),
    ],
)
def test_bad_input_is_one_line_and_status_2_and_writes_nothing(
    propagate, folder, argv, says, capsys
):
    before = sorted(p.name for p in folder.iterdir())
    assert propagate(*argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.splitlines()[-1].startswith("samslice: error: ")
    assert sorted(p.name for p in folder.iterdir()) == before


def test_planes_that_a_file_calls_colours_can_be_named_planes(propagate, stack, capsys):
    """Programs mark three planes of real numbers as red, green and blue."""
    tifffile.imwrite("stack.tif", stack[1:4], photometric="rgb", planarconfig="separate")
    argv = ["-o", "labels.tif", "--prompts", "points.csv"]
    Path("points.csv").write_text("object,plane,row,col\n1,1,15,18\n", encoding="utf-8")
    assert propagate(*argv) == 2
    says = "The axes of the file are S=3, Y=48, X=64; if S are planes and not colours, say so: "
    assert f"{says}--axes ZYX." in capsys.readouterr().err
    assert propagate(*argv, "--axes", "ZYX") == 0
    assert tifffile.imread("labels.tif").shape == (3, 48, 64)


@pytest.mark.parametrize("exists", ["labels.tif", "qa.csv"])
def test_results_are_refused_before_any_work_if_one_exists(folder, exists, capsys):
    (folder / exists).write_text("precious")
    argv = [*_BASE, "-o", "labels.tif", "--table", "qa.csv", "--model", "none.pt"]
    assert main(argv) == 2
    assert f"{exists} exists" in capsys.readouterr().err
    assert (folder / exists).read_text() == "precious"


def _interrupt_on(monkeypatch, plane):
    """Press Ctrl-C when a plane is read by the propagation."""
    from samslice.io.volume import Volume

    read = Volume.__getitem__

    def press(self, index):
        if index == plane and signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            os.kill(os.getpid(), signal.SIGINT)
        return read(self, index)

    monkeypatch.setattr(Volume, "__getitem__", press)


@pytest.mark.usefixtures("usual_interrupt")
def test_ctrl_c_keeps_what_was_done_under_another_name(propagate, folder, monkeypatch, capsys):
    assert propagate("-o", "labels.tif", "--table", "qa.csv") == 0
    complete, table = (folder / "labels.tif").read_bytes(), (folder / "qa.csv").read_bytes()
    _interrupt_on(monkeypatch, 4)
    assert propagate("-o", "labels.tif", "--table", "qa.csv", "--force") == 130
    err = capsys.readouterr().err
    assert "interrupted; what was done is in" in err
    assert str(folder / "labels.partial.tif") in err
    assert (folder / "labels.tif").read_bytes() == complete
    assert (folder / "qa.csv").read_bytes() == table
    partial = tifffile.imread("labels.partial.tif")
    done = pd.read_csv("qa.partial.csv")
    assert partial.shape == (6, 48, 64)
    assert len(done) < len(pd.read_csv("qa.csv"))
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith(".")) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("usual_interrupt")
def test_a_second_ctrl_c_gives_up_at_once():
    cancel = Cancel()
    with pytest.raises(KeyboardInterrupt), stop_on_interrupt(cancel):
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.is_set
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("usual_interrupt")
def test_beside_the_main_thread_signals_are_left_alone():
    seen = []

    def work():
        with stop_on_interrupt(Cancel()):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.usefixtures("usual_interrupt")
def test_an_ignored_ctrl_c_stays_ignored():
    """What runs under nohup or in a script's background is not stopped by the terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cancel = Cancel()
    with stop_on_interrupt(cancel):
        os.kill(os.getpid(), signal.SIGINT)
    assert not cancel.is_set
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_partial_results_never_take_a_name_that_is_taken(tmp_path):
    assert free_name(tmp_path / "a.tif").name == "a.partial.tif"
    (tmp_path / "a.partial.tif").touch()
    (tmp_path / "a.partial-2.tif").touch()
    assert free_name(tmp_path / "a.tif").name == "a.partial-3.tif"


def test_a_failure_on_the_way_leaves_no_files(propagate, folder, monkeypatch, capsys):
    from samslice.engine.backend import SamModel

    before = sorted(p.name for p in folder.iterdir())

    def fail(self, *args, **kwargs):
        raise RuntimeError("the device is gone")

    monkeypatch.setattr(SamModel, "decode", fail)
    assert propagate("-o", "labels.tif") == 1
    assert "samslice: error: the device is gone" in capsys.readouterr().err
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_failure_after_some_planes_keeps_them(propagate, folder, monkeypatch, capsys):
    """An unreadable plane far into a long run does not cost the planes before it."""
    from samslice.io.volume import Volume

    read = Volume.__getitem__

    def damaged(self, index):
        if index == 3 and "anchor" in seen:
            raise RuntimeError("plane 3 is damaged")
        return read(self, index)

    seen = []
    decode = ss.Predictor.predict_many

    def watch(self, *args, **kwargs):
        seen.append("anchor")
        return decode(self, *args, **kwargs)

    monkeypatch.setattr(Volume, "__getitem__", damaged)
    monkeypatch.setattr(ss.Predictor, "predict_many", watch)
    assert propagate("-o", "labels.tif") == 1
    err = capsys.readouterr().err
    assert "plane 3 is damaged" in err
    assert str(folder / "labels.partial.tif") in err
    assert tifffile.imread("labels.partial.tif").any()
    assert not (folder / "labels.tif").exists()


def test_prompts_are_checked_before_a_model_is_fetched(folder, capsys):
    (folder / "prompts.csv").write_text("object,plane,row,col\n1,2,999,5\n")
    assert main([*_BASE, "--model", "no-such-model", "-o", "labels.tif"]) == 2
    assert "object 1 on plane 2" in capsys.readouterr().err
