from __future__ import annotations

import pytest
import torch
from torch import nn

from samslice.model.layers import LayerNorm2d, from_windows, to_windows


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layer_norm_2d_is_over_the_channels(memory_format: torch.memory_format) -> None:
    """Every pixel is normalised by its own mean and variance, whatever the memory format."""
    x = torch.randn(2, 5, 3, 4).contiguous(memory_format=memory_format)
    norm = LayerNorm2d(channels=5)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    centred = x - x.mean(dim=1, keepdim=True)
    scaled = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()
    expected = scaled * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize(("height", "width", "window"), [(6, 9, 3), (7, 5, 3), (2, 2, 5)])
def test_windows_go_back_to_the_grid(height: int, width: int, window: int) -> None:
    """Cutting and putting back is the identity, with and without padding."""
    x = torch.randn(2, height, width, 3)
    windows = to_windows(x, window)
    assert windows.shape[1:] == (window * window, 3)
    torch.testing.assert_close(from_windows(windows, window, height, width), x)


def test_windows_are_row_by_row_and_padded_with_zeros() -> None:
    """The second window lies right of the first; what is beyond the grid is zero."""
    x = torch.arange(1.0, 7.0).view(1, 2, 3, 1)
    windows = to_windows(x, 2)[..., 0]
    assert windows.tolist() == [[1, 2, 4, 5], [3, 0, 6, 0]]
