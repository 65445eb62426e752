"""Embeddings that were made once: in memory by bytes, on disk by content key.

On disk each entry is a zarr group of its own, written under a temporary name
and renamed, so that it is there as a whole or not at all: a stack is resumed
plane by plane, and several processes may share a folder. Floats are kept as
float16. What `put` returns is already rounded so, which makes results the
same whether an embedding was just made or comes from the disk.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from samslice.engine.cache_folder import FORMAT, Folder, as_bytes, compact, frozen

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from samslice.engine.cache_folder import Features


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache holds and how it was used.

    Attributes
    ----------
    hits, misses : int
        How often `get` found an entry or not, since the cache was opened.
    ram_entries, ram_bytes : int
        What is held in memory.
    disk_entries, disk_bytes : int
        What lies in the folder, by this and other processes.
    """

    hits: int
    misses: int
    ram_entries: int
    ram_bytes: int
    disk_entries: int
    disk_bytes: int


def plane_key(plane: Any, model_key: str, normalization_key: str) -> str:
    """Make the key of a plane's embedding from the plane's content.

    Parameters
    ----------
    plane : array-like
        The plane as it is in the data, before normalisation; a lazy array is
        read, but nothing beyond this plane.
    model_key : str
        Identity of the model that encodes it.
    normalization_key : str
        `Normalization.key` of what it is seen through.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    TypeError
        If the plane has no content to read bytes from, as dtype object.
    """
    array = np.asarray(plane)
    if array.dtype.hasobject:
        raise TypeError(
            f"the plane has dtype {array.dtype}; allowed are bool, integers and floats."
        )
    header = repr((FORMAT, array.dtype.str, array.shape, str(model_key), str(normalization_key)))
    digest = xxhash.xxh3_128(header.encode())
    digest.update(as_bytes(array))
    return digest.hexdigest()


class EmbeddingCache:
    """Named arrays by key: the latest in memory, all of them in a folder.

    The cache never looks inside the arrays. One object may be used by several
    threads, one folder by several processes.

    Parameters
    ----------
    path : path-like, optional
        A folder, made if it is not there. In memory alone if left out: the
        arrays are then kept as they are, not rounded.
    ram_bytes : int, optional
        Bytes of arrays to hold in memory; the least recently used go first.
    disk_bytes : int, optional
        Bytes to keep in the folder; the least recently used go first.
        Unlimited if left out.

    Raises
    ------
    ValueError
        If a limit is negative.
    NotADirectoryError
        If `path` is a file.

    Warns
    -----
    UserWarning
        Once, if the folder cannot be written, for example because the disk is
        full. The cache goes on in memory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        ram_bytes: int = 1 << 30,
        disk_bytes: int | None = None,
    ) -> None:
        for name, limit in (("ram_bytes", ram_bytes), ("disk_bytes", disk_bytes)):
            if limit is not None and limit < 0:
                raise ValueError(f"{name} is {limit}; allowed is 0 or more.")
        self.ram_bytes = int(ram_bytes)
        self._lock = threading.RLock()
        self._entries: OrderedDict[str, Features] = OrderedDict()
        self._held = self._hits = self._misses = 0
        self._folder = None if path is None else Folder(Path(path), disk_bytes)

    @property
    def path(self) -> Path | None:
        """The folder, or None where there is none."""
        return None if self._folder is None else self._folder.path

    def __repr__(self) -> str:
        return f"EmbeddingCache({str(self.path) if self.path else None!r})"

    def __contains__(self, key: object) -> bool:
        with self._lock:
            if key in self._entries:
                return True
        return self._folder is not None and isinstance(key, str) and self._folder.has(key)

    def get(self, key: str) -> Features | None:
        """Return what was put under a key.

        Parameters
        ----------
        key : str
            From :func:`plane_key`.

        Returns
        -------
        mapping of str to ndarray, or None
            Read-only arrays with the dtypes they were put with; None if there
            is no such entry, or it is damaged.
        """
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
        if found is None and self._folder is not None:
            found = self._folder.read(key)
            if found is not None:
                self._keep(key, found)
        with self._lock:
            self._hits += found is not None
            self._misses += found is None
        return found

    def put(
        self, key: str, features: Features, metadata: Mapping[str, Any] | None = None
    ) -> Features:
        """Keep arrays under a key.

        Parameters
        ----------
        key : str
            From :func:`plane_key`.
        features : mapping of str to ndarray
            Any names, shapes and bool, integer or float dtypes.
        metadata : mapping, optional
            What describes the entry to a human who opens the zarr, for
            example the model and the shape of the plane. JSON alone.

        Returns
        -------
        mapping of str to ndarray
            What `get` gives from now on, in this process and later ones: with
            a folder, floats are rounded to float16.

        Raises
        ------
        ValueError
            If there are no arrays.
        TypeError
            If a dtype is another, or the metadata are not JSON.
        """
        arrays = {str(name): np.asarray(array) for name, array in features.items()}
        if not arrays:
            raise ValueError("features are empty; put at least one named array.")
        for name, array in arrays.items():
            if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
                raise TypeError(
                    f"{name!r} has dtype {array.dtype}; allowed are bool, integers and "
                    "floats of up to 64 bits."
                )
        if self._folder is None:
            kept = frozen({name: array.copy() for name, array in arrays.items()})
        else:
            stored = {name: compact(array) for name, array in arrays.items()}
            kept = frozen(
                {name: stored[name].astype(array.dtype) for name, array in arrays.items()}
            )
            self._folder.write(key, arrays, stored, dict(metadata or {}))
        self._keep(key, kept)
        return kept

    def _keep(self, key: str, features: Features) -> None:
        size = _size(features)
        with self._lock:
            old = self._entries.pop(key, None)
            self._held -= _size(old) if old is not None else 0
            if size > self.ram_bytes:
                return
            self._entries[key] = features
            self._held += size
            while self._held > self.ram_bytes:
                _, oldest = self._entries.popitem(last=False)
                self._held -= _size(oldest)

    def stats(self) -> CacheStats:
        """Count what is held, and how often `get` found it.

        Returns
        -------
        CacheStats
            The folder is read anew, with what other processes put there.
        """
        sizes = [] if self._folder is None else [size for _, size, _ in self._folder.entries()]
        with self._lock:
            return CacheStats(
                self._hits, self._misses, len(self._entries), self._held, len(sizes), sum(sizes)
            )

    def clear(self) -> None:
        """Remove all entries from memory and folder. Other files in the folder stay."""
        with self._lock:
            self._entries.clear()
            self._held = 0
        if self._folder is not None:
            self._folder.clear()


def _size(features: Features) -> int:
    return sum(int(array.nbytes) for array in features.values())
