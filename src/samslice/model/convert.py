"""From whatever a checkpoint file holds to a state dict with the official keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

MARKER = "mask_decoder.iou_token.weight"
"""A key that every SAM state dict has, whatever its encoder."""

_SHOWN = 5
_MAX_DEPTH = 3

# In checkpoints, but not in the model: what follows from the configuration,
# and the classification head that TinyViT was pretrained with.
_UNUSED_KEYS = ("pixel_mean", "pixel_std")
_UNUSED_SUFFIXES = (".attention_bias_idxs",)
_UNUSED_PREFIXES = ("image_encoder.head.", "image_encoder.norm_head.")


class CheckpointError(ValueError):
    """A checkpoint file is damaged, or is not of a known SAM architecture."""


def _describe(found: Any) -> str:
    if isinstance(found, Mapping):
        if not found:
            return "an empty dict"
        keys = ", ".join(repr(key) for key in list(found)[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return f"a dict with the keys {keys}{more}"
    if isinstance(found, Tensor):
        return f"one tensor of shape {tuple(found.shape)}"
    return f"a {type(found).__name__}"


def _dicts(found: Any, depth: int = 0) -> Iterator[Mapping[Any, Any]]:
    """The outer dict first, then the dicts in it."""
    if isinstance(found, Mapping):
        yield found
        if depth < _MAX_DEPTH:
            for value in found.values():
                yield from _dicts(value, depth + 1)


def _prefix(state: Mapping[Any, Any]) -> str | None:
    """What stands before the official keys, or None if they are not there."""
    names = [key for key in state if isinstance(key, str)]
    for ending in (MARKER, *(f"{part}." for part in ("mask_decoder", "image_encoder"))):
        for name in names:
            position = name.find(ending)
            if position == 0 or (position > 0 and name[position - 1] == "."):
                return name[:position]
    return None


def find_state_dict(found: Any) -> dict[str, Tensor]:
    """Find SAM's state dict in what a file holds.

    Parameters
    ----------
    found : object
        A state dict, or a dict that holds one (training checkpoints keep
        it next to the optimizer's state); its keys may have a common prefix
        such as ``module.`` or ``sam.``.

    Returns
    -------
    dict of str to Tensor
        Official keys, without those that the model does not need.

    Raises
    ------
    CheckpointError
        If there is none; the message says what was found instead.
    """
    for candidate in _dicts(found):
        prefix = _prefix(candidate)
        if prefix is not None:
            break
    else:
        raise CheckpointError(
            f"no SAM state dict found: the file holds {_describe(found)}. A SAM checkpoint has "
            "keys that start with image_encoder., prompt_encoder. and mask_decoder."
        )
    state = {str(key).removeprefix(prefix): value for key, value in candidate.items()}
    state = {key: value for key, value in state.items() if not _is_unused(key)}
    others = {key: value for key, value in state.items() if not isinstance(value, Tensor)}
    if others:
        key, value = next(iter(others.items()))
        raise CheckpointError(
            f"the state dict holds {_describe(value)} at {key!r}; allowed are tensors only."
        )
    return state


def _is_unused(key: str) -> bool:
    return key in _UNUSED_KEYS or key.endswith(_UNUSED_SUFFIXES) or key.startswith(_UNUSED_PREFIXES)


def _first(lines: list[str]) -> str:
    more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return ", ".join(lines[:_SHOWN]) + more


def check_keys(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], architecture: str
) -> None:
    """Refuse a state dict that does not fit the model exactly.

    Parameters
    ----------
    state : mapping of str to Tensor
        From the file.
    expected : mapping of str to Tensor
        The model's own, of which only keys, shapes and types are read.
    architecture : str
        Name of the model, for the message.

    Raises
    ------
    CheckpointError
        Naming the first missing keys, unexpected keys, wrong shapes and types.
    """
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    wrong = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and state[key].shape != tensor.shape
    ]
    other = [
        f"{key} {state[key].dtype} instead of {tensor.dtype}"
        for key, tensor in expected.items()
        if key in state and state[key].is_floating_point() != tensor.is_floating_point()
    ]
    problems = [
        f"{len(lines)} {what}: {_first(lines)}"
        for what, lines in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of the wrong shape", wrong),
            ("of the wrong type", other),
        )
        if lines
    ]
    if problems:
        raise CheckpointError(
            f"the state dict does not fit {architecture}: {'; '.join(problems)}. "
            "Use an unmodified checkpoint of this architecture."
        )
