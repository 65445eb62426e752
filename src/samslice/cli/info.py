"""``samslice info``: what a report of a problem should contain."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samslice._version import __version__

if TYPE_CHECKING:
    import argparse

    from samslice.engine.device import DeviceInfo

_PACKAGES = ("torch", "numpy", "zarr", "tifffile", "dask", "napari")
_VARIABLES = ("SAMSLICE_WEIGHTS", "SAMSLICE_CACHE", "SAMSLICE_OFFLINE")


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "info",
        help="versions, devices, cache and weights of this machine",
        description="Print versions, devices, cache and weights of this machine.",
        epilog="example:\n  samslice info > report.txt",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what is here."""
    lines = [*_versions(), *_devices(), *_files(), *_variables()]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name.ljust(width)}  {value}")
    return 0


def _versions() -> list[tuple[str, str]]:
    lines = [
        ("samslice", __version__),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("platform", platform.platform()),
    ]
    for package in _PACKAGES:
        try:
            lines.append((package, version(package)))  # without the seconds that imports take
        except PackageNotFoundError:
            lines.append((package, "not installed"))
    return lines


def _devices() -> list[tuple[str, str]]:
    import torch

    from samslice.engine.device import describe_devices

    devices = describe_devices()
    auto = next((f"{d.name}, {d.default_precision}" for d in devices if d.is_default), "none works")
    return [
        *(("device", _describe(device)) for device in devices),
        ("auto device", auto),
        ("threads", f"{torch.get_num_threads()}, on {os.cpu_count()} cores"),
    ]


def _describe(device: DeviceInfo) -> str:
    memory = "" if device.memory is None else f", {device.memory / 2**30:.0f} GiB"
    can = ", ".join(device.precisions) or "does not work with this PyTorch"
    return f"{device.name} ({device.description}{memory}): {can}"


def _files() -> list[tuple[str, str]]:
    from samslice.weights import cache_dir, table

    root = cache_dir().parent
    rows = [row for row in table(check=False) if row["state"] != "absent"]
    here = [("weights", f"{row['name']}: {row['detail']}") for row in rows]
    size = f"{_folder_bytes(root) / 1e6:.1f} MB" if root.is_dir() else "not made yet"
    return [("cache", f"{root} ({size})"), *(here or [("weights", "none on this machine")])]


def _folder_bytes(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except FileNotFoundError:  # another process has just removed it
                continue
    return total


def _variables() -> list[tuple[str, str]]:
    return [(name, os.environ.get(name, "not set")) for name in _VARIABLES]
