"""Laws of ``samslice weights``, ``demo`` and ``info``."""

from __future__ import annotations

import pytest

from samslice.cli import main
from samslice.weights import REGISTRY


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMSLICE_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    return tmp_path


def test_list_has_a_row_for_each_checkpoint_and_says_which_are_here(own_folder, capsys):
    # Of micro-sam's files no size is published, so only their hash could tell them apart.
    (own_folder / REGISTRY["vit_b_lm"].filename).write_bytes(b"anything")
    assert main(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    states = {line.split()[0]: "here" in line.split() for line in lines}
    assert states == {name: name == "vit_b_lm" for name in REGISTRY}


def test_list_and_info_do_not_take_a_file_that_was_cut_short_for_the_checkpoint(own_folder, capsys):
    (own_folder / REGISTRY["vit_b"].filename).write_bytes(b"a small part")
    assert main(["weights", "list"]) == 0
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("vit_b "))
    assert "unusable" in line.split()
    assert main(["info"]) == 0
    assert "12 bytes instead of 375042383" in capsys.readouterr().out


def test_list_names_what_to_cite_on_request(capsys):
    assert main(["weights", "list", "--cite"]) == 0
    text = capsys.readouterr().out
    for row in REGISTRY.values():
        assert row.citation in text


def test_fetch_without_a_source_is_status_1_and_says_how_to_get_the_file(own_folder, capsys):
    assert main(["weights", "fetch", "vit_b"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("samslice: error: no usable file for the weights 'vit_b'")
    assert "by hand" in err


def test_fetch_of_an_unknown_name_is_status_2(capsys):
    assert main(["weights", "fetch", "mobilesam"]) == 2
    assert "Did you mean 'mobile_sam'?" in capsys.readouterr().err


def test_fetch_prints_where_the_file_is(monkeypatch, capsys, tmp_path):
    asked = []

    def fetch(name, *, progress):
        asked.append((name, progress))
        return tmp_path / name

    monkeypatch.setattr("samslice.weights.fetch", fetch)
    assert main(["weights", "fetch", "vit_b", "vit_l", "--quiet"]) == 0
    assert asked == [("vit_b", False), ("vit_l", False)]
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / n) for n, _ in asked]


def test_verify_fails_for_a_file_that_is_another(own_folder, capsys):
    assert main(["weights", "verify"]) == 0
    assert "no checkpoint is on this machine" in capsys.readouterr().err
    (own_folder / REGISTRY["vit_b"].filename).write_bytes(b"anything")
    assert main(["weights", "verify"]) == 1
    assert "unusable" in capsys.readouterr().out
    assert main(["weights", "verify", "vit_l"]) == 1
    assert "absent" in capsys.readouterr().out


@pytest.mark.weights
def test_verify_passes_for_the_official_file(mobile_sam_path, own_folder, capsys):
    (own_folder / mobile_sam_path.name).symlink_to(mobile_sam_path)
    assert main(["weights", "verify", "mobile_sam"]) == 0
    assert "verified" in capsys.readouterr().out


def test_demo_hands_its_flags_on_and_prints_what_is_reported(monkeypatch, capsys, tmp_path):
    from samslice.engine.progress import Progress

    seen = {}

    def run_demo(out, *, report, progress, cache, **kwargs):
        seen.update(out=out, progress=progress, cache=cache, **kwargs)
        report("done in 3.0 s")

    monkeypatch.setattr("samslice.demo.run_demo", run_demo)
    assert main(["demo", "--out", str(tmp_path), "--objects", "4", "--force"]) == 0
    assert capsys.readouterr().out == "done in 3.0 s\n"
    assert isinstance(seen.pop("progress"), Progress)
    assert seen == {
        "out": tmp_path,
        "objects": 4,
        "device": "auto",
        "cache": None,
        "force": True,
    }
    assert main(["demo", "--quiet", "--cache", str(tmp_path / "kept")]) == 0
    assert seen["progress"] is None
    assert seen["cache"].path == tmp_path / "kept"


def test_info_tells_versions_devices_cache_weights_and_variables(own_folder, capsys):
    import numpy
    import torch

    from samslice import __version__

    assert main(["info"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["samslice"] == __version__
    assert lines["torch"] == torch.__version__
    assert lines["numpy"] == numpy.__version__
    assert lines["device"].startswith("cpu (")
    assert "float32" in lines["device"]
    assert f"{torch.get_num_threads()}, on " in lines["threads"]
    assert lines["weights"] == "none on this machine"
    assert lines["SAMSLICE_WEIGHTS"] == str(own_folder)
    assert lines["SAMSLICE_OFFLINE"] == "1"


def test_info_tells_what_the_devices_can_do_and_which_of_them_does_nothing(monkeypatch, capsys):
    from samslice.engine.device import DeviceInfo

    infos = [
        DeviceInfo("cuda:0", "an old GPU", 4 * 2**30, (), "float32", False),
        DeviceInfo("cuda:1", "a new GPU", 80 * 2**30, ("float32", "bfloat16"), "bfloat16", True),
    ]
    monkeypatch.setattr("samslice.engine.device.describe_devices", lambda: infos)
    assert main(["info"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "device cuda:0 (an old GPU, 4 GiB): does not work with this PyTorch" in text
    assert "device cuda:1 (a new GPU, 80 GiB): float32, bfloat16" in text
    assert "auto device cuda:1, bfloat16" in text


def test_info_measures_the_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAMSLICE_CACHE", str(tmp_path))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "some.pt").write_bytes(bytes(2_500_000))
    assert main(["info"]) == 0
    assert f"{tmp_path} (2.5 MB)" in capsys.readouterr().out
