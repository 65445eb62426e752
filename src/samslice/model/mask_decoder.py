"""Masks and their predicted quality from prompt tokens and one embedding.

Architecture: Kirillov et al., Segment Anything, 2023 (appendix A).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from samslice.model.config import DecoderConfig
from samslice.model.layers import HeadMlp, Vectors, uniform_parameter
from samslice.model.transformer import Piece, Positions, TwoWayTransformer


def _product(cells_bnc: Tensor, weight_io: Tensor, bias_o: Tensor) -> Tensor:
    cells = torch.addmm(bias_o, cells_bnc.flatten(0, 1), weight_io)
    return cells.view(len(cells_bnc), -1, len(bias_o) // 4)


class CellProduct(nn.Module):
    """What :class:`CellUpscale` does, with its weight sorted once.

    Parameters
    ----------
    weight_io : Tensor of shape (in, 4 * out)
        Grouped by the pixels (row, column) within the cell.
    bias_o : Tensor of shape (4 * out,)
        Likewise.
    """

    def __init__(self, *, weight_io: Tensor, bias_o: Tensor) -> None:
        super().__init__()
        self.weight_io = nn.Parameter(weight_io.detach())
        self.bias_o = nn.Parameter(bias_o.detach())

    def forward(self, cells_bnc: Tensor) -> Tensor:
        """Map (B, N, C) to (B, N * 4, out); the 4 are (row, column) in the cell."""
        return _product(cells_bnc, self.weight_io, self.bias_o)


class CellUpscale(nn.Module):
    """Transposed 2x2 convolution of stride 2, as one matrix product.

    Its windows do not overlap, so each cell becomes four by itself.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of a cell before and after.
    """

    def __init__(self, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        bound = in_channels**-0.5
        self.weight = uniform_parameter(in_channels, out_channels, 2, 2, bound=bound)
        self.bias = uniform_parameter(out_channels, bound=bound)

    def forward(self, cells_bnc: Tensor) -> Tensor:
        """Map (B, N, C) to (B, N * 4, out); the 4 are (row, column) in the cell."""
        return _product(cells_bnc, *self._sorted())

    def _sorted(self) -> tuple[Tensor, Tensor]:
        """Weight (in, 4 * out) and bias (4 * out,), grouped by pixel of the cell."""
        return self.weight.permute(0, 2, 3, 1).flatten(1), self.bias.repeat(4)

    def folded(self) -> CellProduct:
        """Make the layer that does the same without sorting its weight each time."""
        weight_io, bias_o = self._sorted()
        return CellProduct(weight_io=weight_io, bias_o=bias_o)


class MaskDecoder(nn.Module):
    """Two-way transformer, upscaling, hypernetworks and IoU head.

    Parameters
    ----------
    config : DecoderConfig
        Geometry.
    transformer : TwoWayTransformer
        Of the same geometry.
    """

    def __init__(self, *, config: DecoderConfig, transformer: TwoWayTransformer) -> None:
        super().__init__()
        width = config.width
        self.transformer = transformer
        self.iou_token = Vectors(count=1, width=width)
        self.mask_tokens = Vectors(count=config.mask_tokens, width=width)
        self.output_upscaling = nn.Sequential(
            CellUpscale(in_channels=width, out_channels=width // 4),
            nn.LayerNorm(width // 4, eps=1e-6),
            nn.GELU(),
            CellUpscale(in_channels=width // 4, out_channels=width // 8),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            HeadMlp(widths=(width, width, width, width // 8)) for _ in range(config.mask_tokens)
        )
        hidden = (config.iou_width,) * (config.iou_depth - 1)
        self.iou_prediction_head = HeadMlp(widths=(width, *hidden, config.mask_tokens))

    def mask_count(self, *, multimask: bool) -> int:
        """Tell how many masks there are of each prompt."""
        return len(self.mask_tokens.weight) - 1 if multimask else 1

    def forward(
        self,
        pieces: Iterable[Piece],
        positions: Sequence[Positions],
        sparse_btc: Tensor,
        *,
        multimask: bool,
        drawn: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode B prompts on one plane.

        Parameters
        ----------
        pieces : iterable of Piece
            The plane's embedding with the prompts' dense tokens added: all
            cells, row by row, or what a prompt sees of them; one for all
            prompts, or one each.
        positions : sequence of Positions
            Where the cells are, in the same pieces.
        sparse_btc : Tensor of shape (B, T, width)
            Tokens of points and boxes.
        multimask : bool
            Three masks for an ambiguous prompt, or the single one.
        drawn : int, optional
            Masks are made of so many cells, from the first; of all if left out.

        Returns
        -------
        logits_bkm : Tensor of shape (B, K, 16 * drawn)
            Low-resolution masks cell by cell, for `to_image`.
        iou_bk : Tensor of shape (B, K)
            Predicted IoU of each.
        """
        batch = sparse_btc.shape[0]
        wanted = slice(1, None) if multimask else slice(0, 1)
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens_btc = torch.cat([output_tokens.expand(batch, -1, -1), sparse_btc], dim=1)
        n_wanted = 1 + len(self.mask_tokens.weight) if multimask else 2
        tokens_btc, image_bnc = self.transformer(tokens_btc, pieces, positions, wanted=n_wanted)
        mask_tokens = tokens_btc[:, 1:][:, wanted]
        heads = self.output_hypernetworks_mlps[wanted]
        hyper_bkc = torch.stack([head(mask_tokens[:, k]) for k, head in enumerate(heads)], dim=1)
        logits_bkm = torch.cat(
            [
                torch.bmm(hyper_bkc, self.output_upscaling(piece).transpose(1, 2))
                for piece in _first(image_bnc, drawn)
            ],
            dim=2,
        )
        iou_bk: Tensor = self.iou_prediction_head(tokens_btc[:, 0])[:, wanted]
        return logits_bkm, iou_bk


def _first(pieces_bnc: Iterable[Tensor], count: int | None) -> Iterator[Tensor]:
    """Give the first `count` cells of pieces, or all."""
    left = count
    for piece in pieces_bnc:
        if left is None or left > 0:
            yield piece[:, :left]
        left = None if left is None else left - piece.shape[1]


def to_image(logits_bkm: Tensor, rows: int, cols: int) -> Tensor:
    """Put masks that come cell by cell into an image.

    Parameters
    ----------
    logits_bkm : Tensor of shape (B, K, 16 * rows * cols)
        Cells row by row, each of 2 x 2 of 2 x 2 pixels.
    rows, cols : int
        Of cells.

    Returns
    -------
    Tensor of shape (B, K, 4 * rows, 4 * cols), float32
        The same, pixel by pixel.
    """
    batch, k, _ = logits_bkm.shape
    # Two pixels side by side move as one number, and the two levels of
    # cells one after the other: ten times faster than all dimensions at once.
    pairs = torch.view_as_complex(logits_bkm.float().contiguous().view(batch * k, -1, 2))
    pairs = pairs.view(batch * k * rows, cols, 2, 4).transpose(1, 2)
    pairs = pairs.reshape(batch * k * 2 * rows, 2 * cols, 2).transpose(1, 2)
    return torch.view_as_real(pairs.contiguous()).view(batch, k, 4 * rows, 4 * cols)
