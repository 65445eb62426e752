"""The registry and what of it is on this machine, as rows for a table."""

from __future__ import annotations

from pathlib import Path

from samslice.weights import registry
from samslice.weights.store import status

Row = dict[str, str | int | None]


def table(*, cache_dir: Path | None = None, check: bool = True) -> list[Row]:
    """List every checkpoint of the registry with its state on this machine.

    Parameters
    ----------
    cache_dir : Path, optional
        Folder for downloaded files, instead of `samslice.weights.cache_dir`.
    check : bool, optional
        Whether to hash the files that are there, or to compare sizes only.

    Returns
    -------
    list of dict
        One per checkpoint, with the keys name, architecture, state, source
        (None where absent), path (where it is or would be), bytes (of the file,
        else as published, else None), licence, description, citation, detail.
    """
    rows: list[Row] = []
    for checkpoint in registry.REGISTRY.values():
        here = status(checkpoint.name, cache_dir=cache_dir, check=check)
        rows.append(
            {
                "name": checkpoint.name,
                "architecture": checkpoint.architecture,
                "state": here.state,
                "source": None if here.state == "absent" else here.source,
                "path": str(here.path),
                "bytes": checkpoint.bytes if here.bytes is None else here.bytes,
                "licence": checkpoint.licence,
                "description": checkpoint.description,
                "citation": checkpoint.citation,
                "detail": here.detail,
            }
        )
    return rows
