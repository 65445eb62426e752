"""Make a model: from a configuration, or from a checkpoint file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from samslice.model.config import (
    VARIANTS,
    DecoderConfig,
    PromptConfig,
    SamConfig,
    TinyViTConfig,
    ViTConfig,
)
from samslice.model.convert import CheckpointError, check_keys, find_state_dict
from samslice.model.layers import fold
from samslice.model.mask_decoder import MaskDecoder
from samslice.model.prompt_encoder import PromptEncoder
from samslice.model.sam import Sam
from samslice.model.tiny_vit import TinyViTEncoder
from samslice.model.transformer import TwoWayTransformer
from samslice.model.vit import ViTEncoder


def build(config: SamConfig) -> Sam:
    """Make a model with random weights.

    Parameters
    ----------
    config : SamConfig
        Geometry, usually one of :data:`samslice.model.config.VARIANTS`.

    Returns
    -------
    Sam
        In evaluation mode, float32, on the default device. Its state dict
        has the keys of the official checkpoints.
    """
    encoder: ViTEncoder | TinyViTEncoder
    if isinstance(config.encoder, ViTConfig):
        encoder = ViTEncoder(config=config.encoder, grid=config.grid)
    else:
        encoder = TinyViTEncoder(config=config.encoder)
    sam = Sam(
        config=config,
        image_encoder=encoder,
        prompt_encoder=PromptEncoder(
            config=config.prompt, image_size=config.image_size, grid=config.grid
        ),
        mask_decoder=MaskDecoder(
            config=config.decoder, transformer=TwoWayTransformer(config=config.decoder)
        ),
    )
    return sam.eval()


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Number of numbered modules under a prefix."""
    numbers = {key[len(prefix) :].partition(".")[0] for key in state if key.startswith(prefix)}
    return sum(number.isdigit() for number in numbers)


def _infer_vit(state: Mapping[str, Tensor]) -> tuple[ViTConfig, int]:
    """Encoder and image size."""
    encoder = "image_encoder."
    grid, width = state[f"{encoder}pos_embed"].shape[1], state[f"{encoder}pos_embed"].shape[3]
    patch = state[f"{encoder}patch_embed.proj.weight"].shape[-1]
    depth = _count(state, f"{encoder}blocks.")
    tables = [state[f"{encoder}blocks.{i}.attn.rel_pos_h"] for i in range(depth)]
    sides = [(len(table) + 1) // 2 for table in tables]
    config = ViTConfig(
        depth=depth,
        width=width,
        heads=width // tables[0].shape[1],
        global_blocks=tuple(i for i, side in enumerate(sides) if side == grid),
        window=next((side for side in sides if side != grid), grid),
        patch=patch,
        mlp_width=len(state[f"{encoder}blocks.0.mlp.lin1.weight"]),
        out_channels=len(state[f"{encoder}neck.0.weight"]),
    )
    return config, grid * patch


def _infer_tiny_vit(state: Mapping[str, Tensor]) -> tuple[TinyViTConfig, int]:
    """Encoder and image size, which follows from the kind of stem."""
    layers = "image_encoder.layers."
    n_stages = _count(state, layers)
    stem = state["image_encoder.patch_embed.seq.0.c.weight"]
    first = f"{layers}0.blocks.0.conv1.c.weight"
    biases = [state[f"{layers}{i}.blocks.0.attn.attention_biases"] for i in range(1, n_stages)]
    # Strides, input size and whatever belongs to the first stage's attention
    # leave no trace in the shapes: take them from the variant with this stem.
    like = next(
        (
            config
            for config in VARIANTS.values()
            if isinstance(config.encoder, TinyViTConfig)
            and config.encoder.stem_kernel == stem.shape[-1]
        ),
        None,
    )
    if like is None or not isinstance(like.encoder, TinyViTConfig):
        raise CheckpointError(
            f"the TinyViT stem has kernels of {stem.shape[-1]} pixels; known are 3 (MobileSAM) "
            "and 1 (LiteMedSAM)."
        )
    known = like.encoder
    config = replace(
        known,
        widths=(
            state[first].shape[1],
            *(len(state[f"{layers}{i}.downsample.conv1.c.weight"]) for i in range(n_stages - 1)),
        ),
        depths=tuple(_count(state, f"{layers}{i}.blocks.") for i in range(n_stages)),
        heads=(known.heads[0], *(len(table) for table in biases)),
        windows=(known.windows[0], *(isqrt(table.shape[1]) for table in biases)),
        expansion=len(state[first]) // state[first].shape[1],
        out_channels=len(state["image_encoder.neck.0.weight"]),
    )
    return config, like.image_size


def _infer_decoder(state: Mapping[str, Tensor]) -> DecoderConfig:
    decoder = "mask_decoder."
    layer = f"{decoder}transformer.layers.0."
    mask_tokens, width = state[f"{decoder}mask_tokens.weight"].shape
    # The number of heads leaves no trace in the shapes.
    heads = {config.decoder.width: config.decoder.heads for config in VARIANTS.values()}
    if width not in heads:
        raise CheckpointError(
            f"the mask decoder has {width} channels; known are "
            f"{', '.join(map(str, sorted(heads)))}, for which the number of heads is known."
        )
    iou = f"{decoder}iou_prediction_head.layers."
    return DecoderConfig(
        width=width,
        depth=_count(state, f"{decoder}transformer.layers."),
        heads=heads[width],
        mlp_width=len(state[f"{layer}mlp.lin1.weight"]),
        attention_downsample=width // len(state[f"{layer}cross_attn_token_to_image.q_proj.weight"]),
        mask_tokens=mask_tokens,
        iou_depth=_count(state, iou),
        iou_width=len(state[f"{iou}0.weight"]),
    )


def _infer(state: Mapping[str, Tensor]) -> SamConfig:
    encoder: ViTConfig | TinyViTConfig
    if "image_encoder.pos_embed" in state:
        encoder, image_size = _infer_vit(state)
    elif "image_encoder.patch_embed.seq.0.c.weight" in state:
        encoder, image_size = _infer_tiny_vit(state)
    else:
        keys = [key for key in state if key.startswith("image_encoder.")][:3]
        raise CheckpointError(
            "the image encoder is neither SAM's ViT nor MobileSAM's TinyViT: its first keys are "
            f"{', '.join(keys) or 'none'}."
        )
    prompt = PromptConfig(
        width=state["prompt_encoder.no_mask_embed.weight"].shape[1],
        mask_channels=len(state["prompt_encoder.mask_downscaling.3.weight"]),
    )
    decoder = _infer_decoder(state)
    inferred = {
        "image_size": image_size,
        "encoder": encoder,
        "prompt": prompt,
        "decoder": decoder,
    }
    for config in VARIANTS.values():
        if all(getattr(config, name) == value for name, value in inferred.items()):
            return config
    kind = "ViT" if isinstance(encoder, ViTConfig) else "TinyViT"
    return SamConfig(
        name=f"unlisted {kind} of {image_size} px",
        image_size=image_size,
        encoder=encoder,
        prompt=prompt,
        decoder=decoder,
    )


def infer_config(state_dict: Mapping[str, Tensor]) -> SamConfig:
    """Tell a checkpoint's configuration from its keys and shapes.

    Parameters
    ----------
    state_dict : mapping of str to Tensor
        Official keys, as :func:`samslice.model.convert.find_state_dict` gives.

    Returns
    -------
    SamConfig
        One of :data:`samslice.model.config.VARIANTS` if one fits.

    Raises
    ------
    CheckpointError
        If the architecture is unknown, the keys that tell it are missing, or
        a tensor is empty.
    """
    empty = next((key for key, tensor in state_dict.items() if tensor.numel() == 0), None)
    if empty is not None:
        raise CheckpointError(f"{empty} has no elements. Use an unmodified checkpoint.")
    try:
        return _infer(state_dict)
    except KeyError as error:
        raise CheckpointError(
            f"the state dict has no {error.args[0]}, so its architecture cannot be told. "
            "Use an unmodified checkpoint."
        ) from error
    except (IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"the state dict's shapes fit no known architecture ({error}). "
            "Use an unmodified checkpoint."
        ) from error


def _read(path: Path) -> Any:
    """What the file holds, without running any code from it."""
    with path.open("rb"):
        pass  # a file that is not there, or not ours to read, stays an OSError
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it is damaged, or not a plain checkpoint of tensors, and "
            "unpickling anything else could run code. Fetch the file again, or give another "
            "checkpoint."
        ) from error
    except Exception as error:
        # From damaged bytes torch.load raises whatever they lead it into: IndexError,
        # struct.error, AssertionError, even OSError.
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) cannot be read: {_reason(error)}. "
            "It is truncated, damaged or not a PyTorch file; fetch it again."
        ) from error


def _reason(error: Exception) -> str:
    """Say what went wrong in one clause, with the error's type where torch did not word it."""
    line = (str(error).splitlines() or [""])[0].partition(". ")[0].strip(" .")
    if isinstance(error, (RuntimeError, EOFError)) and line:
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def load_checkpoint(path: str | os.PathLike[str]) -> Sam:
    """Load a checkpoint of any known architecture.

    Parameters
    ----------
    path : path-like
        File made with ``torch.save``. It is read with ``weights_only=True``.

    Returns
    -------
    Sam
        Float32, on the CPU, in evaluation mode, without gradients, and
        with batch normalisations folded into the convolutions.

    Raises
    ------
    CheckpointError
        If the file is damaged, holds no SAM state dict, or does not fit its
        architecture exactly.
    OSError
        If the file cannot be opened.
    """
    path = Path(path)
    found = _read(path)
    try:
        state = find_state_dict(found)
        config = infer_config(state)
        # No memory and no random numbers for parameters that are replaced anyway.
        with torch.device("meta"):
            sam = build(config)
        check_keys(state, sam.state_dict(), config.name)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    floats = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    sam.load_state_dict(floats, strict=True, assign=True)
    fold(sam)
    return sam.requires_grad_(False)
