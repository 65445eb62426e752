"""Hashes, temporary names and the final rename."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import xxhash

from samslice.weights.files import install, mismatch, partial_file, partial_folder

from .conftest import CONTENT, sha256


def test_hashes_are_those_of_the_named_algorithm(tmp_path: Path) -> None:
    """Known answers: SHA-256 of "abc" from FIPS 180-4, XXH128 from the xxhash library."""
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert mismatch(path, f"sha256:{digest}") is None
    assert mismatch(path, f"sha256:{digest.upper()}") is None
    assert mismatch(path, f"xxh128:{xxhash.xxh128(b'abc').hexdigest()}") is None
    wrong = mismatch(path, f"xxh128:{'0' * 32}", 4)
    assert wrong is not None
    assert xxhash.xxh128(b"abc").hexdigest() in wrong
    assert "3 bytes instead of 4" in wrong


def test_unknown_algorithm_is_refused(tmp_path: Path) -> None:
    """A row with another hash is an error of the row, not a match."""
    with pytest.raises(ValueError, match="allowed are 'sha256:<hex>' and 'xxh128:<hex>'"):
        mismatch(tmp_path, "md5:00")


def test_partial_file_vanishes_on_interrupt(tmp_path: Path) -> None:
    """Ctrl+C leaves neither a temporary nor a final file."""
    destination = tmp_path / "new" / "file.pt"
    with pytest.raises(KeyboardInterrupt), partial_file(destination) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(destination.parent.iterdir()) == []


def test_partial_folder_vanishes_with_its_content(tmp_path: Path) -> None:
    """What pip wrote goes, however the block ends."""
    with pytest.raises(KeyboardInterrupt), partial_folder(tmp_path / "file.pt") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "half.whl").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_remains_of_killed_processes_go_after_a_day(tmp_path: Path) -> None:
    """Old remains are removed; a download that runs now, and other files, are not."""
    remains = [tmp_path / ".a.pt.1.part", tmp_path / ".b.pt.2.part", tmp_path / "kept.pt"]
    remains[0].write_bytes(b"half")
    remains[1].mkdir()
    remains[2].write_bytes(b"whole")
    two_days_ago = time.time() - 2 * 24 * 3600
    for path in remains:
        os.utime(path, (two_days_ago, two_days_ago))
    live = tmp_path / ".a.pt.3.part"
    live.write_bytes(b"half")
    with partial_file(tmp_path / "c.pt"):
        assert sorted(tmp_path.iterdir()) == [live, remains[2]]


def test_file_that_cannot_be_replaced_is_taken_if_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows, a second process meets the file of the first one open: it is used."""

    def refuse(source: object, target: object) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(os, "replace", refuse)
    part, destination = tmp_path / "part", tmp_path / "final"
    part.write_bytes(CONTENT)
    with pytest.raises(PermissionError):
        install(part, destination, sha256(CONTENT))
    destination.write_bytes(CONTENT[1:])
    with pytest.raises(PermissionError):
        install(part, destination, sha256(CONTENT))
    destination.write_bytes(CONTENT)
    assert install(part, destination, sha256(CONTENT)) == destination
