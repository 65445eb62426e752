"""Laws of prompt files: what was written is read, and a wrong line is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samslice import Prompt, Seed
from samslice.io import read_prompts, write_prompts

_pixel = st.floats(-0.5, 5000, allow_nan=False).map(lambda x: x + 0.0)
_box = st.tuples(_pixel, _pixel, st.floats(0.01, 900), st.floats(0.01, 900)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@st.composite
def _prompts(draw):
    points = draw(st.lists(st.tuples(_pixel, _pixel), max_size=4))
    positive = draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points)))
    box = draw(_box if not any(positive) else st.none() | _box)
    return Prompt(points, positive, box)


@st.composite
def _seeds(draw):
    keys = draw(
        st.lists(st.tuples(st.integers(1, 70000), st.integers(0, 3000)), min_size=1, unique=True)
    )
    return [
        Seed(*key, ends=True) if draw(st.booleans()) else Seed(*key, draw(_prompts()))
        for key in keys
    ]


def _as_values(seeds):
    return [
        (
            seed.object_id,
            seed.plane,
            seed.ends,
            seed.prompt and (seed.prompt.points.tolist(), seed.prompt.positive.tolist()),
            seed.prompt and seed.prompt.box,
        )
        for seed in seeds
    ]


@given(seeds=_seeds())
def test_prompts_come_back_exactly(tmp_path_factory, seeds):
    path = tmp_path_factory.mktemp("csv") / "p.csv"
    write_prompts(path, seeds)
    assert _as_values(read_prompts(path)) == _as_values(seeds)


def _read(tmp_path, text, **kwargs):
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    return read_prompts(path, **kwargs)


def test_rows_of_one_object_and_plane_are_one_prompt(tmp_path):
    seeds = _read(
        tmp_path,
        "object,plane,row,col,positive,row0,col0,row1,col1\n"
        "7,3,10,20,true,,,,\n"
        "8,3,1,2,,,,,\n"
        "7,3,11,21,false,,,,\n"
        "7,3,,,,5,6,25,36\n"
        "7,9,12,22,+,,,,\n",
    )
    assert _as_values(seeds) == [
        (7, 3, False, ([[10, 20], [11, 21]], [True, False]), (5, 6, 25, 36)),
        (8, 3, False, ([[1, 2]], [True]), None),
        (7, 9, False, ([[12, 22]], [True]), None),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_header_case_order_spaces_separator_and_byte_order_mark_do_not_matter(tmp_path, separator):
    text = "\ufeff Col ,ROW,Plane\n 20 , 10 ,3.0\n\n".replace(",", separator)
    assert _as_values(_read(tmp_path, text)) == [(1, 3, False, ([[10, 20]], [True]), None)]


def test_without_an_object_column_each_row_is_an_object(tmp_path):
    seeds = _read(tmp_path, "plane,row0,col0,row1,col1\n3,1,2,3,4\n3,5,6,7,8\n")
    assert [seed.object_id for seed in seeds] == [1, 2]


def test_an_object_can_end_on_a_plane(tmp_path):
    seeds = _read(tmp_path, "object,plane,row,col,ends\n1,3,5,6,\n1,9,,,TRUE\n")
    assert [(s.plane, s.ends) for s in seeds] == [(3, False), (9, True)]


def test_the_plane_may_be_given_once_for_a_file_without_it(tmp_path):
    assert _read(tmp_path, "row,col\n5,6\n", plane=4)[0].plane == 4
    with pytest.raises(ValueError, match=r"p.csv, line 2: column plane is missing"):
        _read(tmp_path, "row,col\n5,6\n")


def test_a_points_layer_saved_by_napari_is_read(tmp_path):
    # As napari 0.9.2 writes it: napari_builtins.io.napari_write_points.
    seeds = _read(tmp_path, "index,axis-0,axis-1,axis-2\n0.0,3.0,10.0,20.0\n1.0,4.2,11.5,9.0\n")
    assert _as_values(seeds) == [
        (1, 3, False, ([[10, 20]], [True]), None),
        (2, 4, False, ([[11.5, 9]], [True]), None),
    ]
    flat = _read(tmp_path, "index,axis-0,axis-1\n0.0,10.0,20.0\n", plane=0)
    assert _as_values(flat) == [(1, 0, False, ([[10, 20]], [True]), None)]


def test_columns_may_be_added_to_a_points_layer_saved_by_napari(tmp_path):
    text = "index,axis-0,axis-1,axis-2,object,positive\n0,3,10,20,5,true\n1,3,11,9,5,false\n"
    assert _as_values(_read(tmp_path, text)) == [
        (5, 3, False, ([[10, 20], [11, 9]], [True, False]), None)
    ]


_SHAPES = (
    "index,shape-type,vertex-index,axis-0,axis-1,axis-2\n"
    "0,rectangle,0,3.0,9.5,19.5\n0,rectangle,1,3.0,9.5,39.5\n"
    "0,rectangle,2,3.0,29.5,39.5\n0,rectangle,3,3.0,29.5,19.5\n"
    "1,rectangle,0,5.0,1.0,2.0\n1,rectangle,1,5.0,1.0,4.0\n"
    "1,rectangle,2,5.0,3.0,4.0\n1,rectangle,3,5.0,3.0,2.0\n"
)


def test_rectangles_saved_by_napari_are_boxes_of_the_pixels_they_enclose(tmp_path):
    # As napari 0.9.2 writes it. Its pixel 10 reaches from 9.5 to 10.5.
    assert [(s.object_id, s.plane, s.prompt.box) for s in _read(tmp_path, _SHAPES)] == [
        (1, 3, (10, 20, 30, 40)),
        (2, 5, (1.5, 2.5, 3.5, 4.5)),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_SHAPES.replace("rectangle", "path"), "line 2: shape-type is 'path'"),
        (_SHAPES.replace("3,3.0,29.5", "3,4.0,29.5"), "line 2: the rectangle spans several planes"),
        (_SHAPES.replace("1,3.0,9.5", "1,3.0,"), "line 3: column axis-1 is missing or empty"),
        ("index,axis-0,axis-1,axis-2,axis-3\n0,1,2,3,4\n", "4 axes; allowed are"),
    ],
)
def test_napari_exports_that_cannot_be_meant_are_refused(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        _read(tmp_path, text)


_HEAD = "object,plane,row,col,positive,row0,col0,row1,col1,ends\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1,3,abc,5,,,,,,", "column row is 'abc'; allowed is a number"),
        ("1,3,nan,5,,,,,,", "column row is 'nan'"),
        ("1,3,4,inf,,,,,,", "column col is 'inf'"),
        ("0,3,4,5,,,,,,", "column object is '0'; allowed is an integer from 1"),
        ("4294967296,3,4,5,,,,,,", r"allowed is an integer from 1 to 4294967295\."),
        ("1.5,3,4,5,,,,,,", "column object is '1.5'"),
        (",3,4,5,,,,,,", "column object is empty"),
        ("1,-1,4,5,,,,,,", "column plane is '-1'; allowed is an integer from 0"),
        ("1,,4,5,,,,,,", "column plane is missing or empty"),
        ("1,3,4,5,maybe,,,,,", "column positive is 'maybe'; allowed are true and false"),
        ("1,3,4,,,,,,,", "column col is empty, but row is not"),
        ("1,3,,,,5,6,25,,", "column col1 is empty, but row0 is not"),
        ("1,3,,,,25,6,5,36,", r"box \(25.0, 6.0, 5.0, 36.0\) is empty"),
        ("1,3,,,,,,,,", "neither row and col, nor a box, nor ends"),
        ("1,3,4,5,false,,,,,", "object 1 has no positive point and no box"),
        ("1,3,4,5,,,,,,true", "object 1 both ends and has a prompt"),
        ("1,3,4,5,,,,,,,9", "11 values for 10 columns"),
    ],
)
def test_a_wrong_line_is_named_with_column_value_and_what_is_allowed(tmp_path, line, says):
    with pytest.raises(ValueError, match=f"p.csv, line 3: .*{says}"):
        _read(tmp_path, f"{_HEAD}9,1,2,3,,,,,,\n{line}\n")


def test_a_second_box_of_an_object_on_a_plane_is_refused(tmp_path):
    boxes = "1,3,,,,1,2,3,4,\n1,3,,,,1,2,3,5,\n"
    with pytest.raises(ValueError, match="line 3: the object has a second box"):
        _read(tmp_path, _HEAD + boxes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no header"),
        (_HEAD, "has no rows"),
        ("row,col,positve\n1,2,0\n", "has the column 'positve'; allowed are object, plane"),
        ("row,plane\n1,2\n", "needed are row and col for points"),
        ("row,col,row\n1,2,3\n", "the column 'row' twice"),
    ],
)
def test_a_wrong_header_is_named(tmp_path, text, says):
    with pytest.raises(ValueError, match=f"p.csv.*{says}"):
        _read(tmp_path, text)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=r"p.csv is not UTF-8 text"):
        read_prompts(tmp_path / "p.csv")


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^no such file: .*none\.csv; give a CSV file"):
        read_prompts(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError, match="is a folder; give a CSV file"):
        read_prompts(tmp_path)


def test_masks_do_not_fit_into_csv(tmp_path):
    mask = np.ones((4, 4), bool)
    for seed in (Seed(1, 0, mask=mask), Seed(1, 0, Prompt(mask=mask))):
        with pytest.raises(ValueError, match="has a mask, which CSV cannot hold"):
            write_prompts(tmp_path / "p.csv", [seed])
    assert list(tmp_path.iterdir()) == []


def test_prompts_are_not_overwritten_unasked(tmp_path):
    seeds = [Seed(1, 0, Prompt(points=[(1, 2)]))]
    write_prompts(tmp_path / "p.csv", seeds)
    with pytest.raises(FileExistsError):
        write_prompts(tmp_path / "p.csv", seeds)
    write_prompts(tmp_path / "p.csv", [Seed(2, 0, Prompt(points=[(1, 2)]))], overwrite=True)
    assert read_prompts(tmp_path / "p.csv")[0].object_id == 2
