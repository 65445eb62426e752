"""Downloads from a real server on this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import xxhash

from samslice.weights import download
from samslice.weights.download import download_url

from .conftest import CONTENT, Server, sha256


def test_file_arrives_whole_with_progress(server: Server, cache: Path) -> None:
    """The bytes of the server stand under the final name, alone; progress ends at the total."""
    server.answers["tiny.pt"] = CONTENT
    heard: list[tuple[int, int | None]] = []
    path = download_url(
        server.url("tiny.pt"),
        cache / "tiny.pt",
        expected=sha256(CONTENT),
        progress=lambda done, total: heard.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    assert heard[-1] == (len(CONTENT), len(CONTENT))


def test_xxh128_is_verified(server: Server, cache: Path) -> None:
    """Rows of the model zoo are held to their hash as strictly as the others."""
    server.answers["tiny.pt"] = CONTENT
    digest = xxhash.xxh128(CONTENT).hexdigest()
    for expected, fits in ((f"xxh128:{digest}", True), (f"xxh128:{digest[::-1]}", False)):
        if fits:
            download_url(server.url("tiny.pt"), cache / "a", expected=expected, progress=False)
        else:
            with pytest.raises(OSError, match=f"xxh128 is {digest}"):
                download_url(server.url("tiny.pt"), cache / "b", expected=expected, progress=False)
    assert [path.name for path in cache.iterdir()] == ["a"]


def test_another_file_is_refused(server: Server, cache: Path) -> None:
    """A log-in page in place of the file is named as what it may be, and not kept."""
    server.answers["tiny.pt"] = b"<html>please log in</html>"
    with pytest.raises(OSError, match=r"26 bytes instead of 1048576.*log-in page"):
        download_url(
            server.url("tiny.pt"),
            cache / "tiny.pt",
            expected=sha256(CONTENT),
            size=len(CONTENT),
            progress=False,
        )
    assert list(cache.iterdir()) == []


def test_broken_connection_leaves_nothing(server: Server, cache: Path) -> None:
    """A transfer that ends early is an error, and no half file stays."""
    server.answers["tiny.pt"] = CONTENT
    server.missing_bytes = 7
    with pytest.raises(OSError, match=r"^Connection broken: .*7 more expected"):
        download_url(
            server.url("tiny.pt"), cache / "tiny.pt", expected=sha256(CONTENT), progress=False
        )
    assert list(cache.iterdir()) == []


def test_interrupt_leaves_nothing(server: Server, cache: Path) -> None:
    """Ctrl+C in the middle of a transfer leaves neither a final nor a temporary file."""
    server.answers["tiny.pt"] = CONTENT * 4

    def interrupt(done: int, total: int | None) -> None:
        assert total is not None
        assert 0 < done < total
        assert len(list(cache.iterdir())) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_url(
            server.url("tiny.pt"),
            cache / "tiny.pt",
            expected=sha256(CONTENT * 4),
            progress=interrupt,
        )
    assert list(cache.iterdir()) == []


def test_reasons_are_short(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user reads is the cause, not the library's wrapping of it."""
    monkeypatch.setattr(download, "READ_SECONDS", 0.2)
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/tiny.pt"
        reasons = {
            server.url("absent.pt"): "^the server answered 404 Not Found$",
            server.url("hang.pt"): "^the server sent nothing for",
            closed: r"^Failed to establish a new connection: \[\w+ \d+\][^()<>]*$",
        }
        for url, reason in reasons.items():
            with pytest.raises(OSError, match=reason):
                download_url(url, cache / "tiny.pt", expected=sha256(CONTENT), progress=False)
