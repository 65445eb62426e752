from __future__ import annotations

import pytest
import torch

from samslice.model.config import DecoderConfig
from samslice.model.transformer import (
    Attention,
    ImageToTokenAttention,
    Piece,
    Positions,
    TokenToImageAttention,
    TwoWayTransformer,
    add_code,
)

CONFIG = DecoderConfig(width=32, heads=4, mlp_width=64, iou_width=32)


def cut(image: torch.Tensor, coded: torch.Tensor) -> list[Piece]:
    """Ten positions in pieces of four, four and two."""
    return [Piece(*pair) for pair in zip(image.split(4, 1), coded.split(4, 1), strict=True)]


@torch.no_grad()
def naive(layer: Attention, q_x: torch.Tensor, k_x: torch.Tensor, v_x: torch.Tensor):
    """Multi-head attention by the formula, head by head, for one example."""
    q, k, v = layer.q_proj(q_x), layer.k_proj(k_x), layer.v_proj(v_x)
    d = layer.inner // layer.heads
    outputs = []
    for head in range(layer.heads):
        cut = slice(head * d, (head + 1) * d)
        weights = (q[:, cut] @ k[:, cut].T / d**0.5).softmax(dim=-1)
        outputs.append(weights @ v[:, cut])
    return layer.out_proj(torch.cat(outputs, dim=1))


# 4 heads of 4 channels: up to 4 tokens are evaluated in the cheaper order, more as written.
@pytest.mark.parametrize("n_tokens", [1, 4, 5, 9])
@pytest.mark.parametrize("shared", [True, False])
@torch.no_grad()
def test_tokens_gather_by_the_formula(n_tokens: int, shared: bool) -> None:
    """Either order of evaluation gives plain attention, for shared and for own images."""
    layer = TokenToImageAttention(width=32, inner=16, heads=4)
    tokens = torch.randn(3, n_tokens, 32)
    coded, image = (torch.randn(1 if shared else 3, 10, 32) for _ in range(2))
    expected = [
        naive(layer, tokens[b], coded[0 if shared else b], image[0 if shared else b])
        for b in range(3)
    ]
    actual = layer(tokens, cut(image, coded))
    torch.testing.assert_close(actual, torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_tokens", [1, 4, 5, 9])
@pytest.mark.parametrize("shared", [True, False])
@torch.no_grad()
def test_image_gathers_by_the_formula(n_tokens: int, shared: bool) -> None:
    """Either order of evaluation adds plain attention to the image."""
    layer = ImageToTokenAttention(width=32, inner=16, heads=4)
    keys, values = torch.randn(3, n_tokens, 32), torch.randn(3, n_tokens, 32)
    coded, image = (torch.randn(1 if shared else 3, 10, 32) for _ in range(2))
    expected = [
        image[0 if shared else b] + naive(layer, coded[0 if shared else b], keys[b], values[b])
        for b in range(3)
    ]
    actual = torch.cat([*layer(cut(image, coded), keys, values)], dim=1)
    torch.testing.assert_close(actual, torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_tokens", [2, 5])
@torch.no_grad()
def test_a_position_that_stands_for_several_weighs_as_many(n_tokens: int) -> None:
    """Three equal positions are one with a count of three; a count of zero is none."""
    layer = TokenToImageAttention(width=32, inner=16, heads=4)
    tokens = torch.randn(2, n_tokens, 32)
    coded, image = torch.randn(2, 10, 32), torch.randn(2, 10, 32)
    log_count = torch.zeros(2, 10)
    log_count[:, 3] = torch.tensor(3.0).log()
    log_count[:, 7:] = -torch.inf
    split = (t.split(4, 1) for t in (image, coded, log_count))
    actual = layer(tokens, [Piece(*parts) for parts in zip(*split, strict=True)])
    repeated = torch.tensor([0, 1, 2, 3, 3, 3, 4, 5, 6])
    expected = layer(tokens, [Piece(image[:, repeated], coded[:, repeated])])
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def run(transformer: TwoWayTransformer, images: int, size: int, wanted: int = 4):
    """Three prompts of four tokens on ten positions, in pieces of `size`."""
    generator = torch.Generator().manual_seed(5)
    shapes = ((3, 4, 32), (1, 10, 32), (10, 32))
    tokens, image, code = (torch.randn(shape, generator=generator) for shape in shapes)
    positions = [Positions(part) for part in code.split(size)]
    pieces = add_code(image.repeat(images, 1, 1).split(size, 1), positions)
    tokens, image_pieces = transformer(tokens, pieces, positions, wanted=wanted)
    return tokens, torch.cat(image_pieces, dim=1)


@pytest.mark.parametrize(("images", "size"), [(3, 10), (1, 4), (3, 4)])
@torch.no_grad()
def test_sharing_and_cutting_change_nothing(images: int, size: int) -> None:
    """One image for all prompts or a copy each, whole or in pieces: the result is the same."""
    transformer = TwoWayTransformer(config=CONFIG).eval()
    expected_tokens, expected_image = run(transformer, 1, 10)
    tokens, image = run(transformer, images, size)
    torch.testing.assert_close(tokens, expected_tokens, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(image, expected_image, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_wanted_tokens_are_the_first_of_all() -> None:
    """Leaving out tokens that nobody asked for does not touch the others."""
    transformer = TwoWayTransformer(config=CONFIG).eval()
    expected_tokens, expected_image = run(transformer, 1, 4)
    tokens, image = run(transformer, 1, 4, wanted=2)
    torch.testing.assert_close(tokens, expected_tokens[:, :2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(image, expected_image, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_first_layer_replaces_its_tokens() -> None:
    """The first self-attention has neither code nor residual; later ones have both."""
    transformer = TwoWayTransformer(config=CONFIG).eval()
    tokens, code = torch.randn(1, 3, 32), torch.randn(1, 3, 32)
    first, second = transformer.layers
    expected = naive(first.self_attn, tokens[0], tokens[0], tokens[0])
    torch.testing.assert_close(first._mix_tokens(tokens, code)[0], expected, rtol=1e-4, atol=1e-5)
    coded = tokens[0] + code[0]
    expected = tokens[0] + naive(second.self_attn, coded, coded, tokens[0])
    torch.testing.assert_close(second._mix_tokens(tokens, code)[0], expected, rtol=1e-4, atol=1e-5)
