"""Folders and the offline switch, as the environment sets them."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from samslice.weights import cache_dir
from samslice.weights.settings import share_cores, weights_dir, why_offline


def test_cache_variable_moves_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SAMSLICE_CACHE names the root; the weights have a folder of their own in it."""
    monkeypatch.setenv("SAMSLICE_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path / "weights"


def test_cache_defaults_to_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable, the platform's cache folder is used."""
    monkeypatch.delenv("SAMSLICE_CACHE")
    assert cache_dir() == Path(platformdirs.user_cache_dir("samslice", appauthor=False), "weights")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SAMSLICE_WEIGHTS=` does not mean the current folder."""
    monkeypatch.setenv("SAMSLICE_WEIGHTS", "")
    assert weights_dir() is None


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde that no shell expanded means the home folder."""
    monkeypatch.setenv("SAMSLICE_WEIGHTS", "~/models")
    assert weights_dir() == Path.home() / "models"


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("TRUE", True), ("on", True), ("0", False), ("", False), ("no", False)],
)
def test_offline_variable(value: str, offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual words for yes and no are understood."""
    monkeypatch.setenv("SAMSLICE_OFFLINE", value)
    assert (why_offline() is not None) is offline


def test_the_argument_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """offline=False uses the network even where the variable forbids it."""
    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    assert why_offline(False) is None
    assert why_offline(True) == "offline=True"


def test_a_strange_offline_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo in the switch does not silently open the network."""
    monkeypatch.setenv("SAMSLICE_OFFLINE", "ture")
    with pytest.raises(ValueError, match=r"'ture'; allowed are 1 .* and 0"):
        why_offline()


def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")  # so that it is put back as it was
    monkeypatch.delenv("OMP_WAIT_POLICY")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
