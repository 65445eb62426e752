"""What the user has set in napari's preferences for this plugin."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger("samslice.plugin")


@dataclass(frozen=True, slots=True)
class Settings:
    """Preferences, with what holds where napari has none.

    Attributes
    ----------
    device, precision : str
        As for `samslice.load_model`.
    cache_folder : Path or None
        Where embeddings are kept on disk; None keeps them in memory alone.
    cache_bytes : int
        Limit of that folder.
    """

    device: str = "auto"
    precision: str = "auto"
    cache_folder: Path | None = None
    cache_bytes: int = 10 * 10**9


def read_settings() -> Settings:
    """Read the preferences.

    Returns
    -------
    Settings
        Defaults where napari does not know the plugin, for instance in a
        script that has not installed it, or where a value is of no use.
    """
    try:
        from napari.settings import get_plugin_settings

        found: Any = get_plugin_settings("samslice")
    except Exception as error:  # preferences must never keep the plugin from opening
        logger.info("napari has no preferences for samslice: %s", error)
        return Settings()
    default = Settings()
    folder = str(_value(found, "cache", "folder", "")).strip()
    size = _value(found, "cache", "size", default.cache_bytes / 10**9)
    try:
        cache_bytes = int(float(size) * 10**9)
    except (TypeError, ValueError, OverflowError):
        cache_bytes = default.cache_bytes
    return Settings(
        device=str(_value(found, "inference", "device", default.device)),
        precision=str(_value(found, "inference", "precision", default.precision)),
        cache_folder=Path(folder).expanduser() if folder else None,
        cache_bytes=max(0, cache_bytes),
    )


def _value(settings: Any, group: str, name: str, default: Any) -> Any:
    value = getattr(getattr(settings, group, None), name, None)
    return default if value is None else value
