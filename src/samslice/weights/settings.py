"""What the environment says about weights: folders and whether to use the network."""

from __future__ import annotations

import os
from pathlib import Path

WEIGHTS_VARIABLE = "SAMSLICE_WEIGHTS"
CACHE_VARIABLE = "SAMSLICE_CACHE"
OFFLINE_VARIABLE = "SAMSLICE_OFFLINE"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


def share_cores() -> None:
    """Let the threads of torch sleep while they wait for each other.

    By default they spin, and where another process is busy, too, that makes
    them several times slower. It has an effect before torch is imported; what
    the environment says of OMP_WAIT_POLICY goes before it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def cache_dir() -> Path:
    """Folder in which downloaded checkpoints are kept.

    Returns
    -------
    Path
        ``weights`` inside the folder that the environment variable
        SAMSLICE_CACHE names, or inside the user's cache folder for samslice.
        It need not exist.
    """
    root = os.environ.get(CACHE_VARIABLE, "").strip()
    if root:
        return Path(root).expanduser().absolute() / "weights"
    from platformdirs import user_cache_path

    return user_cache_path("samslice", appauthor=False) / "weights"


def weights_dir() -> Path | None:
    """Folder of the user's own checkpoint files.

    Returns
    -------
    Path or None
        The folder that SAMSLICE_WEIGHTS names, None where it is not set. It is
        read and never written.
    """
    folder = os.environ.get(WEIGHTS_VARIABLE, "").strip()
    return Path(folder).expanduser().absolute() if folder else None


def why_offline(offline: bool | None = None) -> str | None:
    """Say what forbids the network, if anything does.

    Parameters
    ----------
    offline : bool, optional
        The caller's wish; None leaves it to SAMSLICE_OFFLINE.

    Returns
    -------
    str or None
        The setting that forbids it, None where the network may be used.

    Raises
    ------
    ValueError
        If SAMSLICE_OFFLINE is neither a yes nor a no.
    """
    if offline is not None:
        return "offline=True" if offline else None
    value = os.environ.get(OFFLINE_VARIABLE, "").strip()
    if value.lower() in _FALSE:
        return None
    if value.lower() in _TRUE:
        return f"{OFFLINE_VARIABLE}={value}"
    raise ValueError(
        f"{OFFLINE_VARIABLE} is {value!r}; allowed are 1 (no network) and 0, "
        "or leave it unset to use the network."
    )
