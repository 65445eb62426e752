"""The registry's rows: what every one of them must say."""

from __future__ import annotations

import dataclasses
import re

import pytest

from samslice.model.config import VARIANTS
from samslice.weights import REGISTRY, Checkpoint

ROWS = list(REGISTRY.values())
HASH = re.compile(r"(sha256:[0-9a-f]{64}|xxh128:[0-9a-f]{32})")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_is_complete(row: Checkpoint) -> None:
    """Each row has a known architecture, a source, a hash, terms and a plain file name."""
    assert REGISTRY[row.name] is row
    assert row.architecture in VARIANTS
    assert HASH.fullmatch(row.hash)
    assert row.urls or row.mirror is not None
    assert all(url.startswith("https://") for url in row.urls)
    assert re.fullmatch(r"\w+\.(pt|pth)", row.filename)
    assert row.bytes is None or row.bytes > 10_000_000
    assert row.licence
    assert row.citation
    assert row.description


@pytest.mark.parametrize("row", [r for r in ROWS if r.mirror], ids=lambda row: row.name)
def test_mirror_yields_the_same_bytes(row: Checkpoint) -> None:
    """A mirror is another way to the row's own file, never to a similar one."""
    assert row.mirror is not None
    assert row.mirror.hash == row.hash
    assert row.mirror.bytes == row.bytes
    assert HASH.fullmatch(row.mirror.wheel_hash)


@pytest.mark.parametrize("field", ["filename", "hash", "description"])
def test_no_two_rows_share_a_file(field: str) -> None:
    """Two names never meet in one file of the cache (all zoo files have the same name)."""
    if field == "description":
        values = [(row.architecture, row.description) for row in ROWS]
    else:
        values = [getattr(row, field) for row in ROWS]
    assert len(set(values)) == len(ROWS)


def test_official_names_are_there() -> None:
    """The names that documents and scripts use do not vanish."""
    assert {"mobile_sam", "vit_b", "vit_l", "vit_h", "vit_b_lm", "vit_b_em_organelles"} <= set(
        REGISTRY
    )


def test_registry_is_read_only() -> None:
    """No caller can change a hash for all others."""
    with pytest.raises(TypeError):
        REGISTRY["mobile_sam"] = ROWS[0]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        ROWS[0].hash = "sha256:0"  # type: ignore[misc]
