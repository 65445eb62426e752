from __future__ import annotations

import pytest
import torch

from samslice.model import tiny_vit
from samslice.model.sam import Sam
from samslice.model.strips import rows_at_once, strips


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
@pytest.mark.parametrize("stride", [1, 2])
def test_strips_make_the_whole(rows: int, stride: int) -> None:
    """A 3x3 convolution with zero padding is the same in strips of any height."""
    conv = torch.nn.Conv2d(2, 3, 3, stride=stride, padding=1)
    x = torch.randn(1, 2, 12, 5)
    parts = [conv(x[:, :, s.input])[:, :, s.keep] for s in strips(12, rows, stride)]
    torch.testing.assert_close(torch.cat(parts, dim=2), conv(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_strips_make_the_whole_of_two_strided_convolutions(rows: int) -> None:
    """So is a chain of two convolutions of stride 2, as the stem is."""
    convs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, stride=2, padding=1), torch.nn.Conv2d(3, 2, 3, stride=2, padding=1)
    )
    x = torch.randn(1, 2, 16, 8)
    parts = [convs(x[:, :, s.input])[:, :, s.keep] for s in strips(16, rows, 4)]
    torch.testing.assert_close(torch.cat(parts, dim=2), convs(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_encoder_does_not_depend_on_the_strips(
    tiny_mobile: Sam, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedding is the same whether the cache takes two rows or the whole plane."""
    image = torch.randn(1, 3, 128, 128)
    monkeypatch.setattr(tiny_vit, "rows_at_once", lambda device, elements: 2**31)
    whole = tiny_mobile.encode(image)
    monkeypatch.setattr(tiny_vit, "rows_at_once", lambda device, elements: 2)
    torch.testing.assert_close(tiny_mobile.encode(image), whole, rtol=1e-3, atol=1e-4)


def test_only_cpus_cut() -> None:
    """An accelerator gets everything at once; a CPU at least one row."""
    assert rows_at_once(torch.device("cuda"), 10**9) > 10**6
    assert rows_at_once(torch.device("cpu"), 10**12) == 1
