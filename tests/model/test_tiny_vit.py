from __future__ import annotations

import copy

import pytest
import torch

from samslice.model.layers import fold
from samslice.model.sam import Sam
from samslice.model.tiny_vit import BiasedAttention, ConvNorm, MBConv


@torch.no_grad()
def test_attention_bias_depends_on_the_absolute_offset() -> None:
    """Query (r, c) and key (r', c') share entry |r - r'| * window + |c - c'| of the table."""
    attention = BiasedAttention(width=4, heads=2, window=3)
    bias = attention.bias()
    for i in range(9):
        for j in range(9):
            entry = abs(i // 3 - j // 3) * 3 + abs(i % 3 - j % 3)
            assert torch.equal(bias[:, i, j], attention.attention_biases[:, entry])


@torch.no_grad()
def test_attention_is_the_formula() -> None:
    """Norm, interleaved queries, keys and values per head, scaled scores plus bias."""
    attention = BiasedAttention(width=6, heads=2, window=2)
    x = torch.randn(3, 4, 6)
    q, k, v = attention.qkv(attention.norm(x)).view(3, 4, 2, 3, 3).unbind(3)
    scores = torch.einsum("mihd,mjhd->mhij", q, k) / 3**0.5 + attention.bias()
    expected = attention.proj(torch.einsum("mhij,mjhd->mihd", scores.softmax(-1), v).flatten(2))
    torch.testing.assert_close(attention(x, attention.bias()), expected)


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 2, 1), (3, 1, 4)])
@torch.no_grad()
def test_folded_convolution_does_the_same(kernel: int, stride: int, groups: int) -> None:
    """Folding the batch normalisation into the convolution changes nothing in inference."""
    layer = ConvNorm(in_channels=4, out_channels=8, kernel=kernel, stride=stride, groups=groups)
    layer.eval()
    for tensor in (layer.bn.weight, layer.bn.bias, layer.bn.running_mean):
        tensor.normal_()
    layer.bn.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(layer.folded()(x), layer(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_folded_encoder_does_the_same(tiny_mobile: Sam) -> None:
    """Folding reaches every batch normalisation and leaves the embedding as it was."""
    images = torch.randn(2, 3, 128, 128)
    folded = copy.deepcopy(tiny_mobile)
    fold(folded)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    expected = tiny_mobile.encode(images)
    torch.testing.assert_close(folded.encode(images), expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_mbconv_is_expand_depthwise_project_add() -> None:
    """The block's output is the activated sum of its input and its bottleneck."""
    block = MBConv(width=3, hidden=6).eval()
    x = torch.randn(1, 3, 5, 7)
    gelu = torch.nn.functional.gelu
    hidden = gelu(block.conv2(gelu(block.conv1(x))))
    torch.testing.assert_close(block(x), gelu(block.conv3(hidden) + x))


@torch.no_grad()
def test_batch_is_the_images_one_by_one(tiny_mobile: Sam) -> None:
    """Images of a batch do not see each other, though their windows share a dimension."""
    images = torch.randn(2, 3, 128, 128)
    one_by_one = torch.cat([tiny_mobile.encode(image[None]) for image in images])
    torch.testing.assert_close(tiny_mobile.encode(images), one_by_one, rtol=1e-3, atol=1e-4)
