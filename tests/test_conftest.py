"""The guards in conftest.py fail the tests that they are there to fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "reaches_out": (
        "import socket\n"
        "def test():\n"
        "    try:\n"
        "        socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
        "    except Exception:\n"
        "        pass  # swallowed, as code with a fallback would\n",
        "the test tried to reach",
    ),
    "looks_up_a_name": (
        "import socket\ndef test():\n    socket.getaddrinfo('example.org', 443)\n",
        "tests never touch the network",
    ),
    "leaks_a_thread": (
        "import threading\n"
        "def test():\n"
        "    threading.Thread(target=threading.Event().wait, args=(30,), daemon=True).start()\n",
        "the test left threads running",
    ),
    "warns": ("import warnings\ndef test():\n    warnings.warn('old')\n", "UserWarning: old"),
}


KEEPS_THE_RULES = (
    "import socket, threading\n"
    "def test():\n"
    "    with socket.create_server(('127.0.0.1', 0)) as server:\n"
    "        socket.create_connection(server.getsockname()).close()\n"
    "    threading.Thread(target=lambda: None).start()\n"
)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest prints about all cases, run with the project's own settings."""
    folder = tmp_path_factory.mktemp("project")
    here = Path(__file__).parent
    (folder / "tests").mkdir()
    shutil.copy(here / "conftest.py", folder / "tests")
    shutil.copy(here.parent / "pyproject.toml", folder)
    for name, (code, _) in CASES.items():
        (folder / "tests" / f"test_{name}.py").write_text(code, encoding="utf-8")
    (folder / "tests" / "test_keeps_the_rules.py").write_text(KEEPS_THE_RULES, encoding="utf-8")
    without = [f"-pno:{plugin}" for plugin in ("napari", "pytest-qt", "xvfb")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", *without],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_a_test_that_breaks_a_rule_fails_and_says_which(name: str, output: str) -> None:
    assert re.search(rf"^(FAILED|ERROR) tests/test_{name}\.py", output, re.MULTILINE), output
    assert CASES[name][1] in output


def test_a_test_that_keeps_the_rules_passes(output: str) -> None:
    assert re.search(r"^PASSED tests/test_keeps_the_rules\.py", output, re.MULTILINE), output
    assert not re.search(r"^ERROR tests/test_keeps_the_rules\.py", output, re.MULTILINE)


def test_the_home_and_the_caches_are_temporary() -> None:
    home = Path(os.environ["HOME"])
    assert home.name.startswith("samslice-tests-")
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "NAPARI_CONFIG"):
        assert home in Path(os.environ[variable]).parents
    assert Path(os.environ["SAMSLICE_CACHE"]) != home / "samslice-cache"
