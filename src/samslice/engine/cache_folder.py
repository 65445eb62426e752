"""Embeddings in a folder: one zarr group each, whole or not there at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

Features = Mapping[str, NDArray[Any]]

FORMAT = 1
"""Version of the entries on disk; part of their names, so that versions live side by side."""

_ENTRY = re.compile(r"[0-9a-f]{32}\.zarr")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.[0-9a-f]{32}\.tmp")
_STALE_SECONDS = 3600.0  # an entry is written within milliseconds
_KEEP_SHARE = 0.9  # of the disk limit, so that not every put has to evict


class Folder:
    """Entries in a folder, each a zarr group."""

    def __init__(self, path: Path, limit: int | None) -> None:
        self.path = path
        self._limit = limit
        self._lock = threading.Lock()
        self._writable = True
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(
                f"the cache {str(path)!r} is a file; allowed is a folder, or a path for a new one."
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._give_up(error)
        self._sweep()
        self._bytes = sum(size for _, size, _ in self.entries()) if limit is not None else 0

    def _entry(self, key: str) -> Path:
        name = f"{FORMAT} {key}"  # a digest of it is a safe file name, whatever the key
        return self.path / f"{xxhash.xxh3_128_hexdigest(name.encode())}.zarr"

    def has(self, key: str) -> bool:
        """Whether an entry is there, damaged or not."""
        return self._entry(key).is_dir()

    def read(self, key: str) -> Features | None:
        """Return an entry; None if it is not there, or damaged and now removed."""
        entry = self._entry(key)
        if not entry.is_dir():
            return None
        try:
            features = _read_group(entry, key)
        except Exception as error:  # a damaged file makes zarr raise almost anything
            may_be_whole = isinstance(error, (MemoryError, OSError))
            if not may_be_whole or isinstance(error, FileNotFoundError):
                _remove(entry)
            return None
        with contextlib.suppress(OSError):
            os.utime(entry)  # its age is the time since its last use
        return features

    def write(self, key: str, arrays: Features, stored: Features, metadata: dict[str, Any]) -> None:
        """Write an entry, unless another process was first."""
        entry = self._entry(key)
        if not self._writable or entry.is_dir():
            return
        temporary = self.path / f".{entry.stem}.{uuid.uuid4().hex}.tmp"
        try:
            temporary.mkdir()
            _write_group(temporary, key, arrays, stored, metadata)
            size = _tree_size(temporary)
            try:
                temporary.rename(entry)
            except OSError:
                if not entry.is_dir():
                    raise
                return
        except OSError as error:
            self._give_up(error)
            return
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        if self._limit is not None:
            self._evict(size)

    def _evict(self, written: int) -> None:
        with self._lock:
            self._bytes += written
            limit = self._limit or 0
            if self._bytes <= limit:
                return
            # Count anew: other processes write and evict here too.
            entries = sorted(self.entries(), key=lambda entry: entry[2])
            self._bytes = sum(size for _, size, _ in entries)
            goal = limit * _KEEP_SHARE if self._bytes > limit else limit
            for path, size, _ in entries:
                if self._bytes <= goal:
                    break
                _remove(path)
                self._bytes -= size

    def entries(self) -> Iterator[tuple[Path, int, float]]:
        """Yield path, bytes and time of last use of every entry."""
        for path in self._named(_ENTRY):
            with contextlib.suppress(OSError):
                yield path, _tree_size(path), path.stat().st_mtime

    def clear(self) -> None:
        """Remove every entry."""
        for path in self._named(_ENTRY):
            _remove(path)
        with self._lock:
            self._bytes = 0

    def _named(self, pattern: re.Pattern[str]) -> list[Path]:
        try:
            return [path for path in self.path.iterdir() if pattern.fullmatch(path.name)]
        except OSError:
            return []

    def _sweep(self) -> None:
        """Remove what killed processes left half-written."""
        for path in self._named(_TEMPORARY):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)

    def _give_up(self, error: OSError) -> None:
        with self._lock:
            was_writable, self._writable = self._writable, False
        if was_writable:
            warnings.warn(
                f"the embedding cache {str(self.path)!r} cannot be written ({error}); going on "
                "in memory alone. Free some space, or choose another folder.",
                UserWarning,
                stacklevel=4,
            )


def _write_group(
    path: Path, key: str, arrays: Features, stored: Features, metadata: dict[str, Any]
) -> None:
    import zarr  # here, because it takes long and a cache in memory does without

    members = [
        {"name": name, "dtype": array.dtype.str, "digest": _digest(stored[name])}
        for name, array in arrays.items()
    ]
    attributes = {"format": FORMAT, "key": key, "arrays": members, "metadata": metadata}
    group = zarr.create_group(path, zarr_format=3, attributes=attributes)
    for i, array in enumerate(stored.values()):
        # One chunk, as it is always read whole; no compressor, as features are noise to it.
        chunks = tuple(max(1, n) for n in array.shape)
        member = group.create_array(
            str(i), shape=array.shape, dtype=array.dtype, chunks=chunks, compressors=None
        )
        member[...] = array


def _read_group(path: Path, key: str) -> Features:
    """Read an entry; raises anything at all if it is damaged."""
    import zarr

    group = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    if group.attrs["format"] != FORMAT or group.attrs["key"] != key:
        raise ValueError(f"{path} is the entry of another key")
    features = {}
    members: Any = group.attrs["arrays"]
    for i, member in enumerate(members):
        array = np.asarray(group[str(i)][...])  # type: ignore[index]
        # zarr reads a chunk that is not there as zeros: only the digest tells.
        if _digest(array) != member["digest"]:
            raise ValueError(f"{path} has damaged content")
        features[str(member["name"])] = array.astype(member["dtype"], copy=False)
    return frozen(features)


def compact(array: NDArray[Any]) -> NDArray[Any]:
    """Return floats as float16, or as they are if float16 would make them infinite."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype.kind != "f":
        return native
    with np.errstate(over="ignore"):
        half = native.astype(np.float16)
    infinite = np.isinf(half)
    return native if infinite.any() and not np.isinf(native[infinite]).all() else half


def frozen(arrays: dict[str, NDArray[Any]]) -> Features:
    """Make the arrays and their mapping read-only."""
    for array in arrays.values():
        array.flags.writeable = False
    return MappingProxyType(arrays)


def as_bytes(array: NDArray[Any]) -> memoryview:
    """View an array of any dtype as its bytes, copied only if it is not contiguous."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _digest(array: NDArray[Any]) -> str:
    return xxhash.xxh3_128_hexdigest(as_bytes(array))


def _tree_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _remove(entry: Path) -> None:
    """Remove an entry so that nobody sees a part of it."""
    doomed = entry.with_name(f".{entry.stem}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(OSError):
        entry.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
