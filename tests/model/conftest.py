"""Models and prompts that the tests of the model share."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from samslice.model.build import build
from samslice.model.config import (
    VARIANTS,
    DecoderConfig,
    PromptConfig,
    SamConfig,
    TinyViTConfig,
)
from samslice.model.prompt_encoder import PromptTensors
from samslice.model.sam import Sam


def _filled(config: SamConfig) -> Sam:
    """A model whose weights follow from their keys: see tests/data/README.md."""
    sam = build(config)
    state = {}
    for key, tensor in sam.state_dict().items():
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        values = rng.standard_normal(tuple(tensor.shape), dtype=np.float32)
        if key.endswith(("running_var", "num_batches_tracked")):
            values = 1 + 0.1 * np.abs(values)
        elif key.endswith("positional_encoding_gaussian_matrix"):
            pass
        elif values.ndim == 1 and key.endswith("weight"):
            values = 1 + 0.1 * values
        elif values.ndim <= 1:
            values = 0.05 * values
        else:
            values = values / np.sqrt(np.prod(values.shape[1:]))
        state[key] = torch.as_tensor(values).to(tensor.dtype)
    sam.load_state_dict(state)
    return sam.requires_grad_(False)


@pytest.fixture(scope="session")
def fill() -> Callable[[SamConfig], Sam]:
    """Build a model and fill its weights from their keys."""
    return _filled


@pytest.fixture
def tiny() -> Sam:
    """The smallest ViT variant, with deterministic weights."""
    return _filled(VARIANTS["tiny"])


@pytest.fixture
def tiny_mobile() -> Sam:
    """A small TinyViT of MobileSAM's stem, with deterministic weights."""
    encoder = TinyViTConfig(
        widths=(8, 16, 24, 32),
        depths=(1, 1, 2, 1),
        heads=(1, 2, 3, 4),
        windows=(7, 3, 6, 3),
        out_channels=32,
    )
    config = SamConfig(
        name="tiny_mobile",
        image_size=128,
        encoder=encoder,
        prompt=PromptConfig(width=32),
        decoder=DecoderConfig(width=32, heads=4, mlp_width=64, iou_width=32),
    )
    return _filled(config)


def _golden_prompts(size: int, logits: torch.Tensor) -> dict[str, PromptTensors]:
    scale = size / 1024

    def points(*xy: tuple[float, float]) -> torch.Tensor:
        return torch.tensor([xy]) * scale

    box = torch.tensor([[200.0, 300.0, 640.0, 800.0]]) * scale
    positive, negative = torch.tensor([[1]]), torch.tensor([[0]])
    centre = points((500.0, 375.0))
    several = points((500.0, 375.0), (700.0, 600.0), (90.0, 30.0))
    return {
        "point": PromptTensors(centre, positive),
        "points_neg": PromptTensors(several, torch.tensor([[1, 1, 0]])),
        "box": PromptTensors(boxes_bp=box),
        "box_point": PromptTensors(centre, negative, box),
        "box_point+mask": PromptTensors(centre, negative, box, logits),
    }


@pytest.fixture(scope="session")
def golden_prompts() -> Callable[[int, torch.Tensor], Mapping[str, PromptTensors]]:
    """The prompts of tests/data, by the side of the frame and fed-back logits."""
    return _golden_prompts
