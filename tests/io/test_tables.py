"""Laws of tables: complete or absent, never overwritten unasked."""

from __future__ import annotations

import pandas as pd
import pytest

from samslice.io import write_table
from samslice.io.tables import replace_text

TABLE = pd.DataFrame({"object": [1, 2], "score": [0.5, float("nan")], "reason": ["", "a, b"]})


def test_a_table_comes_back_as_it_was(tmp_path):
    path = write_table(tmp_path / "t.csv", TABLE)
    back = pd.read_csv(path, keep_default_na=False, na_values={"score": [""]})
    pd.testing.assert_frame_equal(back, TABLE)
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_a_table_is_not_overwritten_unasked(tmp_path):
    write_table(tmp_path / "t.csv", TABLE)
    with pytest.raises(FileExistsError):
        write_table(tmp_path / "t.csv", TABLE[:1])
    write_table(tmp_path / "t.csv", TABLE[:1], overwrite=True)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 1


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in '.xlsx'; allowed are .csv"):
        write_table(tmp_path / "t.xlsx", TABLE)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "t.csv"
    target.write_text("old")

    def fail(file):
        file.write("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        replace_text(target, fail)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
