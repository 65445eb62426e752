from __future__ import annotations

import pytest
import torch

from samslice.model import vit
from samslice.model.config import VARIANTS
from samslice.model.vit import GlobalAttention, ViTEncoder, WindowAttention


def naive_attention(layer: GlobalAttention | WindowAttention, x_nc: torch.Tensor) -> torch.Tensor:
    """Scores with decomposed relative positions, one query-key pair at a time."""
    n, channels = x_nc.shape
    d = channels // layer.heads
    q, k, v = layer.qkv(x_nc).view(n, 3, layer.heads, d).permute(1, 2, 0, 3)
    scores = q @ k.transpose(1, 2) / d**0.5
    for i in range(n):
        for j in range(n):
            rows = i // layer.side - j // layer.side + layer.side - 1
            cols = i % layer.side - j % layer.side + layer.side - 1
            offset = layer.rel_pos_h[rows] + layer.rel_pos_w[cols]
            scores[:, i, j] += q[:, i] @ offset
    out = (scores.softmax(-1) @ v).transpose(0, 1).reshape(n, channels)
    return layer.proj(out)


@pytest.fixture(params=[1, 10**9], ids=["one at a time", "all at once"])
def _budget(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vit, "_bias_budget", lambda device: request.param)


@pytest.mark.usefixtures("_budget")
@torch.no_grad()
def test_global_attention_is_the_formula() -> None:
    """However the queries are split, attention with relative positions is the plain formula."""
    layer = GlobalAttention(width=12, heads=3, side=4)
    x = torch.randn(2, 4, 4, 12)
    expected = torch.stack([naive_attention(layer, image.flatten(0, 1)) for image in x])
    torch.testing.assert_close(layer(x), expected.view_as(x), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_budget")
@torch.no_grad()
def test_window_attention_is_the_formula_in_each_window() -> None:
    """Windows do not see each other, and padding takes part as zero tokens."""
    layer = WindowAttention(width=8, heads=2, side=3)
    x = torch.randn(1, 3, 5, 8)
    padded = torch.cat([x, torch.zeros(1, 3, 1, 8)], dim=2)
    windows = [padded[0, :, :3].reshape(9, 8), padded[0, :, 3:].reshape(9, 8)]
    outputs = [naive_attention(layer, window).view(3, 3, 8) for window in windows]
    expected = torch.cat(outputs, dim=1)[None, :, :5]
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_blocks_are_windowed_unless_listed_as_global() -> None:
    """The blocks named in the configuration, and no others, attend to the whole grid."""
    config = VARIANTS["tiny"]
    encoder = ViTEncoder(config=config.encoder, grid=config.grid)
    kinds = [type(block.attn) for block in encoder.blocks]
    assert kinds == [WindowAttention, GlobalAttention] * 2
