"""What every test gets: a home of its own, no network, no leaked threads."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]

# Where programs look for the user's home, settings and caches on each platform.
_HOME_VARIABLES = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")
_XDG_VARIABLES = {
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
}

# They live as long as the process, by their makers' design: zarr's event loop and its
# workers, and the monitor of tqdm.
_RESIDENT_THREADS = ("zarr_io", "zarr_pool", "asyncio_", "tqdm_monitor", "TMonitor")
_THREAD_GRACE_S = 2.0

_session_environment = pytest.MonkeyPatch()
_users_environment = dict(os.environ)

_GUI_PROBE = """
from OpenGL import GL
from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QApplication
app = QApplication([])
if not QOpenGLContext().create():
    raise SystemExit("Qt cannot create an OpenGL context")
"""


def pytest_plugin_registered(plugin_name: str, manager: pytest.PytestPluginManager) -> None:
    """Leave pytest-qt out where Qt cannot be imported: it would end the whole run."""
    if plugin_name == "pytest-qt" and _qt_import_problem() is not None:
        manager.unregister(name=plugin_name)


def pytest_configure(config: pytest.Config) -> None:
    """Redirect the home before any test module is imported."""
    home = Path(tempfile.mkdtemp(prefix="samslice-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    config.add_cleanup(_session_environment.undo)
    for variable in _HOME_VARIABLES:
        _session_environment.setenv(variable, str(home))
    for variable, folder in _XDG_VARIABLES.items():
        _session_environment.setenv(variable, str(home / folder))
    _session_environment.setenv("SAMSLICE_CACHE", str(home / "samslice-cache"))
    _session_environment.setenv("NAPARI_CONFIG", str(home / "napari" / "settings.yaml"))
    _session_environment.setenv("PIP_NO_INDEX", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GUI tests, with the reason, where Qt or a display is missing."""
    gui_items = [item for item in items if item.get_closest_marker("gui")]
    problem = _gui_problem() if gui_items else None
    if problem is not None:
        for item in gui_items:
            item.add_marker(pytest.mark.skip(reason=problem))


def _qt_import_problem() -> str | None:
    for module in ("napari", "pytestqt", "qtpy"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed: pip install -c constraints.txt -e '.[test]'"
    return _python_problem("from qtpy import QtGui, QtTest, QtWidgets")


def _gui_problem() -> str | None:
    if problem := _qt_import_problem():
        return problem
    on_linux = sys.platform.startswith("linux")
    if on_linux and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "no display and no Xvfb: apt-get install xvfb, or run .ci/test"
    return _python_problem(_GUI_PROBE)


def _python_problem(code: str) -> str | None:
    """Run `code` in a process of its own: Qt aborts where a library is missing."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit status {done.returncode}"
    return f"Qt does not start here ({last}); .ci/test installs the libraries it needs"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMSLICE_CACHE", str(tmp_path_factory.mktemp("cache")))


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):  # a Unix socket
        return True
    host = str(address[0])
    return host in ("", "localhost", "::1", "0.0.0.0") or host.startswith("127.")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    attempts: list[str] = []
    really_connect, really_resolve = socket.socket.connect, socket.getaddrinfo

    def refuse(address: Any) -> None:
        attempts.append(str(address))
        raise RuntimeError(f"a test tried to reach {address}; tests never touch the network.")

    def connect(self: socket.socket, address: Any) -> None:
        if not _is_local(address):
            refuse(address)
        really_connect(self, address)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_local((name,)):
            refuse(name)
        return really_resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    if attempts:  # also where the code under test swallowed the error
        pytest.fail(f"the test tried to reach {', '.join(attempts)}.")


def _is_resident(thread: threading.Thread) -> bool:
    dask_threaded = sys.modules.get("dask.threaded")
    pool = getattr(dask_threaded, "default_pool", None)
    name = f"{thread.name} {type(thread).__name__}"
    return thread in getattr(pool, "_threads", ()) or any(r in name for r in _RESIDENT_THREADS)


@pytest.fixture(autouse=True)
def _no_leaked_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _THREAD_GRACE_S
    for thread in set(threading.enumerate()) - before:
        if not _is_resident(thread):
            thread.join(max(0.0, deadline - time.monotonic()))
    leaked = [
        thread.name
        for thread in threading.enumerate()
        if thread not in before and not _is_resident(thread)
    ]
    if leaked:
        pytest.fail(f"the test left threads running: {', '.join(leaked)}.")


@pytest.fixture
def usual_interrupt() -> Iterator[None]:
    """Ctrl-C as in a terminal, for this process and those it starts.

    A script's ``&`` and nohup start pytest with SIGINT ignored, which children inherit. A
    signal with a handler goes back to its default in a child.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def mobile_sam_path() -> Path:
    """The verified MobileSAM checkpoint, found as users find it, but never downloaded."""
    from samslice.weights import resolve

    with pytest.MonkeyPatch.context() as users:
        for variable in (*_HOME_VARIABLES, *_XDG_VARIABLES, "SAMSLICE_CACHE"):
            if variable in _users_environment:
                users.setenv(variable, _users_environment[variable])
            else:
                users.delenv(variable, raising=False)
        try:
            return Path(resolve("mobile_sam", offline=True))
        except OSError:
            pytest.skip(
                "no MobileSAM checkpoint here: run `samslice weights fetch mobile_sam`, "
                "or point SAMSLICE_WEIGHTS at its folder."
            )


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real data and golden numbers that stands beside the checkout."""
    folder = Path(os.environ.get("SAMSLICE_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; point SAMSLICE_SHARED at the shared data.")
    return folder
