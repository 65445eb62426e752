"""Files that are complete or absent: hashing, temporary names, renaming."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger("samslice.weights")

_PARTIAL = ".part"
_STALE_SECONDS = 24 * 3600.0


def _algorithm(hash_: str) -> tuple[str, Any, str]:
    name, _, digest = hash_.partition(":")
    if name == "sha256":
        return name, hashlib.sha256, digest.lower()
    if name == "xxh128":
        # Not a cryptographic hash: it finds damage, not malice. It is all that
        # the model zoo publishes for these files, and they are unpickled with
        # weights_only=True for that reason too.
        import xxhash

        return name, xxhash.xxh128, digest.lower()
    raise ValueError(f"hash {hash_!r} is unknown; allowed are 'sha256:<hex>' and 'xxh128:<hex>'.")


def mismatch(path: Path, expected: str, size: int | None = None) -> str | None:
    """Compare a file with the hash that it must have.

    Parameters
    ----------
    path : Path
        The file; it is read to its end.
    expected : str
        ``"sha256:<hex>"`` or ``"xxh128:<hex>"``.
    size : int, optional
        Expected size in bytes, which makes the answer clearer.

    Returns
    -------
    str or None
        None if the file matches, else one sentence with both hashes.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the hash names an unknown algorithm.
    """
    name, algorithm, digest = _algorithm(expected)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found == digest:
        return None
    sizes = ""
    if size is not None and path.stat().st_size != size:
        sizes = f" ({path.stat().st_size} bytes instead of {size})"
    return f"{name} is {found}, expected {digest}{sizes}"


@contextmanager
def partial_file(destination: Path) -> Iterator[Path]:
    """Lend a unique temporary name in the folder of a file that is to be written.

    Whatever ends the block, an interrupt included, nothing stays behind under
    the temporary name.

    Parameters
    ----------
    destination : Path
        The final file; its folder is made.

    Yields
    ------
    Path
        The temporary name, on the same file system as `destination`.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(destination.parent)
    part = destination.parent / f".{destination.name}.{uuid.uuid4().hex}{_PARTIAL}"
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def partial_folder(destination: Path) -> Iterator[Path]:
    """Lend a temporary folder beside a file that is to be written.

    Parameters
    ----------
    destination : Path
        The final file; its folder is made.

    Yields
    ------
    Path
        An empty folder that is removed when the block ends, however it ends.
    """
    with partial_file(destination) as part:
        part.mkdir()
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def install(part: Path, destination: Path, expected: str) -> Path:
    """Give a complete, verified file its final name in one step.

    Parameters
    ----------
    part : Path
        The file under its temporary name.
    destination : Path
        The final name; a file that stands there is replaced.
    expected : str
        The hash that both have.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    OSError
        If the file cannot be renamed and no good one stands there.
    """
    try:
        os.replace(part, destination)
    except PermissionError:
        # On Windows a file that another process has open cannot be replaced.
        # If that process has just put the same bytes there, all is well.
        if not destination.is_file() or mismatch(destination, expected) is not None:
            raise
    return destination


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left; a live download is younger than a day."""
    limit = time.time() - _STALE_SECONDS
    for path in folder.glob(f".*{_PARTIAL}"):
        try:
            if path.stat().st_mtime >= limit:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            logger.debug("removed %s, left by an interrupted download", path)
        except OSError as error:
            # Another process removed it first, or it is not ours to remove.
            logger.debug("left %s in place: %s", path, error)
