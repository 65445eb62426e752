"""Laws of ``samslice segment``."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tifffile

from samslice.cli import main
from samslice.cli.segment import _paint
from samslice.engine.coords import Frame
from samslice.engine.types import Prediction
from samslice.io import read_volume


@pytest.fixture
def segment(folder, tiny_checkpoint):
    def run(*argv):
        return main(["segment", *argv, "--model", str(tiny_checkpoint), "--device", "cpu"])

    return run


def _rows(text):
    lines = [line.split() for line in text.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_each_object_of_the_table_gets_its_label_and_a_row(segment, folder, capsys):
    assert segment("image.tif", "--points", "points.csv", "-o", "labels.tif") == 0
    out, err = capsys.readouterr()
    labels = tifffile.imread("labels.tif")
    assert labels.shape == (48, 64)
    assert labels.dtype == np.uint16  # 300 is the highest label
    rows = _rows(out)
    assert [row["object"] for row in rows] == ["3", "300"]
    for row in rows:
        assert int(row["area"]) == (labels == int(row["object"])).sum()
    assert set(np.unique(labels)) <= {0, 3, 300}
    assert labels.any()
    assert f"samslice: wrote {folder / 'labels.tif'}" in err


def test_the_result_is_that_of_the_library(segment, tiny_checkpoint):
    from samslice import Predictor, Prompt, load_model

    box = (7, 10, 23, 26)
    assert segment("image.tif", "--box", "7,10,23,26", "-o", "labels.tif", "--quiet") == 0
    predictor = Predictor(load_model(tiny_checkpoint, device="cpu"))
    embedding = predictor.encode(tifffile.imread("image.tif"))
    (expected,) = predictor.predict_many(embedding, [Prompt(box=box)], refine=True)
    np.testing.assert_array_equal(tifffile.imread("labels.tif"), expected.mask)


def test_boxes_are_objects_and_points_are_one_object(segment, capsys):
    boxes = ["--box", "7,10,23,26", "--box", "22,37,38,53"]
    assert segment("image.tif", *boxes, "-o", "a.tif") == 0
    assert [row["object"] for row in _rows(capsys.readouterr().out)] == ["1", "2"]
    points = ["--point", "15,18", "--point", "30,45,-", "--box", "7,10,23,26"]
    assert segment("image.tif", *points, "-o", "b.tif") == 0
    assert [row["object"] for row in _rows(capsys.readouterr().out)] == ["1"]
    assert segment("image.tif", *points, *boxes, "-o", "c.tif") == 2
    assert "2 points and 3 boxes" in capsys.readouterr().err


def test_one_plane_of_a_stack_keeps_the_pixel_size(segment, capsys):
    argv = ["stack.tif", "--prompts", "prompts.csv", "-o", "a.zarr"]
    assert segment(*argv) == 2
    assert "on the planes 2, 3; choose one with --plane" in capsys.readouterr().err
    assert segment(*argv, "--plane", "3") == 0
    out, err = capsys.readouterr()
    assert [row["object"] for row in _rows(out)] == ["2"]
    assert "1 prompts on other planes than 3 are left out" in err
    labels = read_volume("a.zarr")
    assert labels.shape == (48, 64)
    assert labels.spacing == (0.5, 0.25)
    assert labels.unit == "µm"


def test_all_candidates_are_planes_best_first(segment, capsys):
    assert segment("image.tif", "--point", "15,18", "--candidates", "all", "-o", "a.tif") == 0
    rows = _rows(capsys.readouterr().out)
    labels = tifffile.imread("a.tif")
    assert labels.shape == (3, 48, 64)
    assert [row["candidate"] for row in rows] == ["0", "1", "2"]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert [int(row["area"]) for row in rows] == [int((page == 1).sum()) for page in labels]


def test_a_score_is_an_iou_from_0_to_1(segment, monkeypatch, capsys):
    """As in the table of propagate; the model's head itself is not bounded."""
    from samslice import Predictor

    predict = Predictor.predict_many

    def overshoot(self, *args, **kwargs):
        found = predict(self, *args, **kwargs)
        high, low = np.full(3, 1.011, np.float32), np.full(3, -0.2, np.float32)
        return [
            dataclasses.replace(p, scores=scores[: len(p.scores)])
            for p, scores in zip(found, (high, low), strict=True)
        ]

    monkeypatch.setattr(Predictor, "predict_many", overshoot)
    assert segment("image.tif", "--points", "points.csv", "-o", "labels.tif") == 0
    assert [row["score"] for row in _rows(capsys.readouterr().out)] == ["1.000", "0.000"]


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_the_checkpoint_is_looked_for_once(segment, tiny_checkpoint, monkeypatch, quiet):
    """Finding it hashes it, which takes seconds for the largest."""
    asked = []

    def resolve(name, *, progress):
        asked.append(progress)
        return tiny_checkpoint

    monkeypatch.setattr("samslice.engine.backend.resolve", resolve)
    monkeypatch.setattr("samslice.weights.resolve", resolve)
    assert segment("image.tif", "--point", "15,18", "-o", "labels.tif", *quiet) == 0
    assert asked == [not quiet]


def test_the_higher_logit_gets_the_pixel():
    frame = Frame((16, 16), image_size=64, mask_size=16)
    weak, strong = np.full((2, 1, 16, 16), -1.0, np.float32)
    weak[0, :, :10], strong[0, :, 6:] = 2.0, 5.0
    scores = np.ones(1, np.float32)
    predictions = [Prediction(strong, scores, frame), Prediction(weak, scores, frame)]
    labels = _paint(predictions, [4, 9], 0)
    assert (labels[:, 8:] == 4).all()
    assert (labels[:, :4] == 9).all()
    np.testing.assert_array_equal(_paint(predictions[::-1], [9, 4], 0), labels)


def test_contrast_limits_change_what_the_encoder_sees(segment, capsys):
    rows = []
    for name, *flags in (
        ("a",),
        ("b", "--limits", "0", "60000"),
        ("c", "--percentiles", "1", "99"),
    ):
        argv = ["image.tif", "--box", "7,10,23,26", "-o", f"{name}.tif", *flags]
        assert segment(*argv) == 0
        rows.append(capsys.readouterr().out)
    assert rows[0] != rows[1]
    assert segment("image.tif", "--point", "1,2", "-o", "d.tif", "--limits", "5", "5") == 2
    assert "low < high" in capsys.readouterr().err


def test_the_cache_holds_the_plane_for_the_next_run(segment, folder):
    for name in ("a.tif", "b.tif"):
        argv = ["image.tif", "--point", "15,18", "--cache", "kept", "-o", name]
        assert segment(*argv) == 0
    assert len(list((folder / "kept").iterdir())) == 1


def test_an_rgb_image_is_segmented_in_colour(segment, stack):
    rgb = np.stack([stack[0] // 8] * 3, axis=-1).astype(np.uint8)
    tifffile.imwrite("rgb.tif", rgb, photometric="rgb")
    assert segment("rgb.tif", "--point", "15,18", "-o", "labels.tif") == 0
    assert tifffile.imread("labels.tif").shape == (48, 64)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["image.tif"], "give prompts either as a table"),
        (["image.tif", "--points", "points.csv", "--point", "1,2"], "give prompts either"),
        (["none.tif", "--point", "1,2"], "no such file"),
        (["image.tif", "--points", "none.csv"], "no such file: none.csv; give a CSV file"),
        (["image.tif", "--points", "."], "is a folder; give a CSV file"),
        (["image.tif", "--point", "48,2"], "lies outside: the plane has 48 rows"),
        (["image.tif", "--point", "1,2,-"], "all points are negative"),
        (["image.tif", "--point", "1,2", "--plane", "1"], "allowed for image.tif is 0"),
        (["stack.tif", "--point", "1,2", "--plane", "6"], "allowed for stack.tif is 0 to 5"),
        (["stack.tif", "--point", "1,2"], "say which plane"),
        (["stack.tif", "--prompts", "prompts.csv", "--plane", "5"], "no prompt is on plane 5"),
        (["stack.tif", "--point", "1,2", "--channel", "1"], "channel is 1"),
    ],
)
def test_bad_input_is_one_line_and_status_2_and_writes_nothing(segment, folder, argv, says, capsys):
    before = sorted(p.name for p in folder.iterdir())
    assert segment(*argv, "-o", "labels.tif") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("samslice: error: ")
    assert err.count("\n") == 1
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_result_is_replaced_only_with_force_and_refused_before_any_work(folder, capsys):
    (folder / "labels.tif").write_text("precious")
    argv = ["segment", "image.tif", "--point", "15,18", "-o", "labels.tif"]
    # The model does not exist: had it been looked for first, that would be the error.
    assert main([*argv, "--model", "none.pt"]) == 2
    assert "labels.tif exists" in capsys.readouterr().err
    assert (folder / "labels.tif").read_text() == "precious"


def test_force_replaces_a_result(segment, folder):
    argv = ["image.tif", "--box", "7,10,23,26", "-o", "labels.tif"]
    assert segment(*argv) == 0
    before = tifffile.imread("labels.tif")
    tifffile.imwrite("labels.tif", np.full_like(before, 7))
    assert segment(*argv, "--force") == 0
    np.testing.assert_array_equal(tifffile.imread("labels.tif"), before)


def test_quiet_leaves_the_table_alone(segment, capsys):
    assert segment("image.tif", "--point", "15,18", "-o", "labels.tif", "--quiet") == 0
    out, err = capsys.readouterr()
    assert out.startswith("object")
    assert err == ""
