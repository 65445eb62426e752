"""Segment microscopy images and stacks with the Segment Anything Model.

The public names below are imported when they are first used, so that
``import samslice`` is quick and loads neither torch nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from samslice._version import __version__ as __version__

if TYPE_CHECKING:
    from samslice.engine.backend import load_model as load_model
    from samslice.engine.cache import EmbeddingCache as EmbeddingCache
    from samslice.engine.normalize import Normalization as Normalization
    from samslice.engine.normalize import fit_stack as fit_stack
    from samslice.engine.options import PropagateOptions as PropagateOptions
    from samslice.engine.predictor import Predictor as Predictor
    from samslice.engine.progress import Cancel as Cancel
    from samslice.engine.propagate import PropagateResult as PropagateResult
    from samslice.engine.propagate import iter_propagate as iter_propagate
    from samslice.engine.propagate import propagate as propagate
    from samslice.engine.types import Embedding as Embedding
    from samslice.engine.types import Prediction as Prediction
    from samslice.engine.types import Prompt as Prompt
    from samslice.engine.types import Seed as Seed
    from samslice.session.session import Session as Session

_HOME_OF = {
    "load_model": "samslice.engine.backend",
    "Predictor": "samslice.engine.predictor",
    "EmbeddingCache": "samslice.engine.cache",
    "Normalization": "samslice.engine.normalize",
    "fit_stack": "samslice.engine.normalize",
    "Prompt": "samslice.engine.types",
    "Seed": "samslice.engine.types",
    "Embedding": "samslice.engine.types",
    "Prediction": "samslice.engine.types",
    "propagate": "samslice.engine.propagate",
    "iter_propagate": "samslice.engine.propagate",
    "PropagateOptions": "samslice.engine.options",
    "PropagateResult": "samslice.engine.propagate",
    "Cancel": "samslice.engine.progress",
    "Session": "samslice.session.session",
}

__all__ = [*_HOME_OF, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(
            f"module 'samslice' has no attribute {name!r}; it has {', '.join(__all__)}."
        )
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value  # found directly from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
