from __future__ import annotations

import pytest
import torch
from torch import nn

from samslice.model.config import DecoderConfig
from samslice.model.mask_decoder import CellUpscale, MaskDecoder, to_image
from samslice.model.transformer import Positions, TwoWayTransformer, add_code

CONFIG = DecoderConfig(width=32, heads=4, mlp_width=64, iou_width=32)


def make_decoder() -> MaskDecoder:
    decoder = MaskDecoder(config=CONFIG, transformer=TwoWayTransformer(config=CONFIG))
    return decoder.eval().requires_grad_(False)


def run(
    decoder: MaskDecoder, *, multimask: bool, drawn: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = ((1, 36, 32), (36, 32), (2, 3, 32))
    image, code, sparse = (torch.randn(s, generator=generator) for s in shapes)
    positions = [Positions(part) for part in code.split(16)]
    pieces = [*add_code(image.split(16, 1), positions)]
    return decoder(pieces, positions, sparse, multimask=multimask, drawn=drawn)


@torch.no_grad()
def test_cell_upscale_is_a_transposed_convolution() -> None:
    """Each cell's four pixels are those that a transposed convolution of stride 2 makes."""
    upscale = CellUpscale(in_channels=6, out_channels=5)
    cells = torch.randn(2, 12, 6)
    image_bchw = cells.transpose(1, 2).reshape(2, 6, 3, 4)
    expected = nn.functional.conv_transpose2d(image_bchw, upscale.weight, upscale.bias, stride=2)
    ours = upscale(cells).view(2, 3, 4, 2, 2, 5).permute(0, 5, 1, 3, 2, 4).reshape(2, 5, 6, 8)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(upscale.folded()(cells), upscale(cells))


def test_pixels_are_in_place() -> None:
    """Cells, and the pixels in them, go row by row into the image."""
    rows, cols = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    image = 8 * rows + cols
    nested = image.view(2, 2, 2, 2, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 1, 64)
    assert torch.equal(to_image(nested.expand(2, 3, 64), 2, 2)[1, 2], image.float())
    assert torch.equal(to_image(nested[..., :32], 1, 2)[0, 0], image[:4].float())


def test_three_masks_or_one() -> None:
    """The single mask has a token of its own; the three are the others."""
    decoder = make_decoder()
    three, iou_three = run(decoder, multimask=True)
    one, iou_one = run(decoder, multimask=False)
    assert three.shape == (2, decoder.mask_count(multimask=True), 16 * 36) == (2, 3, 16 * 36)
    assert one.shape == (2, decoder.mask_count(multimask=False), 16 * 36) == (2, 1, 16 * 36)
    assert iou_three.shape == (2, 3)
    assert iou_one.shape == (2, 1)
    decoder.output_hypernetworks_mlps[0].layers[-1].bias += 1
    assert torch.equal(run(decoder, multimask=True)[0], three)
    assert not torch.equal(run(decoder, multimask=False)[0], one)


def test_masks_are_inner_products_with_the_hypernetworks() -> None:
    """A hypernetwork that gives zeros gives a mask of zeros, and touches no other mask."""
    decoder = make_decoder()
    before, _ = run(decoder, multimask=True)
    last = decoder.output_hypernetworks_mlps[2].layers[-1]
    last.weight.zero_()
    last.bias.zero_()
    after, _ = run(decoder, multimask=True)
    assert torch.equal(after[:, 1], torch.zeros_like(after[:, 1]))
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]])


@pytest.mark.parametrize("drawn", [5, 16, 20, 36])
def test_masks_of_the_first_cells_are_those_of_all(drawn: int) -> None:
    """Cells that nobody asked for are left out of the masks, and change nothing else."""
    decoder = make_decoder()
    every, iou_every = run(decoder, multimask=True)
    some, iou_some = run(decoder, multimask=True, drawn=drawn)
    torch.testing.assert_close(some, every[:, :, : 16 * drawn], rtol=1e-4, atol=1e-5)
    assert torch.equal(iou_some, iou_every)
