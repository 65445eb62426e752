from __future__ import annotations

from typing import Any

import pytest
import torch

from samslice.model.convert import MARKER, CheckpointError, check_keys, find_state_dict

STATE = {
    "image_encoder.pos_embed": torch.zeros(1, 2, 2, 3),
    "prompt_encoder.no_mask_embed.weight": torch.zeros(1, 3),
    MARKER: torch.zeros(1, 3),
}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in STATE.items()}


@pytest.mark.parametrize(
    "found",
    [
        STATE,
        prefixed("module."),
        prefixed("sam."),
        prefixed("module.sam."),
        {"model_state": STATE, "optimizer_state": {"step": 3}, "epoch": 7},
        {"model_state": prefixed("sam."), "decoder_state": {"conv.weight": torch.zeros(2)}},
        {"trainer": {"model": prefixed("module.")}},
    ],
    ids=["plain", "module", "sam", "module.sam", "wrapped", "both", "nested"],
)
def test_state_dict_is_found(found: Any) -> None:
    """Wherever it lies and whatever stands before its keys, the same state dict is found."""
    assert list(find_state_dict(found)) == list(STATE)


def test_what_the_model_does_not_need_is_dropped() -> None:
    """Recomputed buffers and TinyViT's classification head are no surprise."""
    unused = (
        "pixel_mean",
        "pixel_std",
        "image_encoder.head.weight",
        "image_encoder.norm_head.bias",
        "image_encoder.layers.1.blocks.0.attn.attention_bias_idxs",
    )
    assert list(find_state_dict({**STATE, **dict.fromkeys(unused, torch.zeros(1))})) == list(STATE)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "an empty dict"),
        (torch.zeros(3, 4), r"one tensor of shape \(3, 4\)"),
        ([1, 2], "a list"),
        ({"conv1.weight": torch.zeros(1), "fc.bias": torch.zeros(1)}, "'conv1.weight', 'fc.bias'"),
        ({str(i): i for i in range(9)}, "'4' and 4 more"),
    ],
)
def test_anything_else_is_described(found: Any, message: str) -> None:
    """If there is no state dict, the error says what there is."""
    with pytest.raises(CheckpointError, match=message):
        find_state_dict(found)


def test_values_must_be_tensors() -> None:
    """A state dict with something else in it is refused by the first such key."""
    with pytest.raises(CheckpointError, match=r"holds a str at 'image_encoder\.note'"):
        find_state_dict({**STATE, "image_encoder.note": "hello"})


def test_all_differences_are_named() -> None:
    """Missing and unexpected keys and wrong shapes come in one message."""
    expected = {"a": torch.zeros(1), "b": torch.zeros(2), "c": torch.zeros(3)}
    state = {"a": torch.zeros(1), "b": torch.zeros(2, 2), "d": torch.zeros(4)}
    with pytest.raises(CheckpointError) as caught:
        check_keys(state, expected, "vit_b")
    message = str(caught.value)
    assert "does not fit vit_b" in message
    assert "1 missing: c;" in message
    assert "1 unexpected: d;" in message
    assert "1 of the wrong shape: b (2, 2) instead of (2,)" in message


def test_long_lists_are_cut() -> None:
    """Only the first few keys are listed, with the number of the others."""
    expected = {f"key{i}": torch.zeros(1) for i in range(12)}
    with pytest.raises(CheckpointError, match=r"12 missing: key0, .*key4 and 7 more\."):
        check_keys({}, expected, "vit_b")
