"""Numbers in words: times, sizes, costs."""

from __future__ import annotations

from math import ceil


def duration(seconds: float) -> str:
    """Say how long something takes, as exactly as an estimate deserves.

    Parameters
    ----------
    seconds : float
        Not negative.

    Returns
    -------
    str
        Such as ``"8 s"``, ``"3 min"`` or ``"2 h 10 min"``.
    """
    if seconds < 1:
        return "less than 1 s"
    if seconds < 99.5:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    rest = rest // 10 * 10
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def size(n_bytes: float) -> str:
    """Say how large something is.

    Parameters
    ----------
    n_bytes : float
        Bytes.

    Returns
    -------
    str
        In MB, or GB from one on.
    """
    if n_bytes >= 0.95e9:
        return f"{n_bytes / 1e9:.1f} GB"
    return f"{ceil(n_bytes / 1e6)} MB"


def cost_lines(
    n_planes: int,
    to_encode: int,
    seconds: float | None,
    ram_bytes: int | None,
    disk_bytes: int | None,
) -> list[tuple[str, str]]:
    """Say in full what a propagation costs.

    Parameters
    ----------
    n_planes : int
        Planes to visit at most.
    to_encode : int
        Those of them that are not encoded yet.
    seconds : float or None
        Time to encode them; None before the speed is known.
    ram_bytes, disk_bytes : int or None
        What the embeddings will take; None before it is known.

    Returns
    -------
    list of (str, str)
        Names and values.
    """
    unknown = "known after the first plane"
    disk = unknown if disk_bytes is None else size(disk_bytes)
    return [
        ("Planes, at most", str(n_planes)),
        ("To encode", str(to_encode)),
        ("Time to encode", unknown if seconds is None else f"about {duration(seconds)}"),
        ("Memory", unknown if ram_bytes is None else size(ram_bytes)),
        ("Disk", "none: no cache folder is set" if disk_bytes == 0 and to_encode else disk),
    ]


def progress_line(done: int, total: int, eta: float | None) -> str:
    """Say how far a job is.

    Parameters
    ----------
    done, total : int
        Planes.
    eta : float or None
        Seconds left; None while unknown.

    Returns
    -------
    str
        Such as ``"12 of 60, 8 s left"``.
    """
    text = f"{done} of {total}"
    return text if eta is None or done >= total else f"{text}, {duration(eta)} left"


def long_key(key: str) -> str:
    """Spell a key as keyboards and menus do.

    Parameters
    ----------
    key : str
        As napari spells it: ``"Control-Shift-Z"``.

    Returns
    -------
    str
        Such as ``"Ctrl+Shift+Z"``.
    """
    return "+".join("Ctrl" if part == "Control" else part for part in key.split("-"))


def short_key(key: str) -> str:
    """Spell a key for a narrow button.

    Parameters
    ----------
    key : str
        As napari spells it.

    Returns
    -------
    str
        Such as ``"⇧C"``; keys with other modifiers as `long_key` spells them.
    """
    return f"⇧{key[-1]}" if key.startswith("Shift-") else long_key(key)
