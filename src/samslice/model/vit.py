"""SAM's image encoder: a plain vision transformer.

Architecture: Kirillov et al., Segment Anything, 2023 (appendix A), after
Li et al., Exploring Plain Vision Transformer Backbones for Object Detection,
2022. Decomposed relative positions: Li et al., MViTv2, 2022 (section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samslice.model.config import ViTConfig
from samslice.model.layers import (
    TransformerMlp,
    from_windows,
    make_neck,
    to_windows,
    uniform_parameter,
)


def _bias_budget(device: torch.device) -> int:
    """Elements of attention bias to hold at a time.

    On a CPU the bias should stay in the cache between being written and
    read; on an accelerator fewer, larger launches are better.
    """
    return 2**21 if device.type == "cpu" else 2**28


def _spans(total: int, step: int) -> Iterator[slice]:
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))


def relative_table(positions_rd: Tensor, side: int) -> Tensor:
    """Look up the embedding of every query-key offset along one axis.

    Parameters
    ----------
    positions_rd : Tensor of shape (2 * side - 1, d)
        Embedding of each offset, from -(side - 1) to side - 1.
    side : int
        Positions along the axis.

    Returns
    -------
    Tensor of shape (side, side, d)
        Entry (i, j) belongs to a query at i and a key at j.
    """
    index = torch.arange(side, device=positions_rd.device)
    return positions_rd[index[:, None] - index[None, :] + side - 1]


class _RelativeAttention(nn.Module):
    """Multi-head attention whose scores also depend on row and column offset.

    Parameters
    ----------
    width, heads : int
        Channels and heads.
    side : int
        Side of the square that attends to itself, in tokens.
    """

    def __init__(self, *, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.side = side
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = uniform_parameter(2 * side - 1, width // heads)
        self.rel_pos_w = uniform_parameter(2 * side - 1, width // heads)

    def _project(self, tokens_bnc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, heads, N, channels of a head)."""
        batch, n_tokens, channels = tokens_bnc.shape
        qkv = self.qkv(tokens_bnc).view(batch, n_tokens, 3, self.heads, channels // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        return q, k, v

    def _offset_scores(self, q_bmnd: Tensor) -> tuple[Tensor, Tensor]:
        """Scores by key row and by key column, each (B, heads, side, side, side)."""
        batch, heads, _, channels = q_bmnd.shape
        q_bmhwd = q_bmnd.reshape(batch, heads, self.side, self.side, channels)
        table_h = relative_table(self.rel_pos_h, self.side)
        table_w = relative_table(self.rel_pos_w, self.side)
        by_row = torch.einsum("bmhwd,hkd->bmhwk", q_bmhwd, table_h)
        by_col = torch.einsum("bmhwd,wkd->bmhwk", q_bmhwd, table_w)
        return by_row, by_col


def _outer_sum(by_row: Tensor, by_col: Tensor) -> Tensor:
    """(B, heads, query rows, side, side) twice -> bias (B, heads, queries, keys)."""
    bias = by_row[..., :, None] + by_col[..., None, :]
    return bias.flatten(2, 3).flatten(3, 4)


class WindowAttention(_RelativeAttention):
    """Attention within square windows; the grid is padded with zero tokens.

    Parameters
    ----------
    width, heads : int
        Channels and heads.
    side : int
        Side of a window, in tokens.
    """

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        """Attend within windows; (B, H, W, C) in and out."""
        _, height, width, _ = tokens_bhwc.shape
        windows_mnc = to_windows(tokens_bhwc, self.side)
        q, k, v = self._project(windows_mnc)
        by_row, by_col = self._offset_scores(q)
        step = max(1, _bias_budget(q.device) // (self.heads * self.side**4))
        attended = torch.cat(
            [
                F.scaled_dot_product_attention(
                    q[span], k[span], v[span], attn_mask=_outer_sum(by_row[span], by_col[span])
                )
                for span in _spans(len(q), step)
            ]
        )
        windows_mnc = self.proj(attended.transpose(1, 2).reshape(windows_mnc.shape))
        return from_windows(windows_mnc, self.side, height, width)


class GlobalAttention(_RelativeAttention):
    """Attention over the whole grid.

    Parameters
    ----------
    width, heads : int
        Channels and heads.
    side : int
        Side of the grid, in tokens.
    """

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        """Attend over the grid; (B, side, side, C) in and out.

        The bias of all queries would take side**4 numbers per head (1 GiB in
        ViT-H), so that queries go a few grid rows at a time.
        """
        q, k, v = self._project(tokens_bhwc.flatten(1, 2))
        by_row, by_col = self._offset_scores(q)
        q = q.reshape(len(q), self.heads, self.side, self.side, -1)
        step = max(1, _bias_budget(q.device) // (len(q) * self.heads * self.side**3))
        attended = torch.cat(
            [
                F.scaled_dot_product_attention(
                    q[:, :, span].flatten(2, 3),
                    k,
                    v,
                    attn_mask=_outer_sum(by_row[:, :, span], by_col[:, :, span]),
                )
                for span in _spans(self.side, step)
            ],
            dim=2,
        )
        output: Tensor = self.proj(attended.transpose(1, 2).reshape(tokens_bhwc.shape))
        return output


class Block(nn.Module):
    """Pre-norm transformer block.

    Parameters
    ----------
    attention : nn.Module
        :class:`WindowAttention` or :class:`GlobalAttention`.
    width, mlp_width : int
        Channels outside and inside the MLP.
    """

    def __init__(self, *, attention: nn.Module, width: int, mlp_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = attention
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = TransformerMlp(width=width, hidden=mlp_width, activation=nn.GELU())

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        tokens_bhwc = tokens_bhwc + self.attn(self.norm1(tokens_bhwc))
        return tokens_bhwc + self.mlp(self.norm2(tokens_bhwc))


class PatchEmbed(nn.Module):
    """One token per square patch of pixels.

    Parameters
    ----------
    patch : int
        Side of a patch, in pixels.
    width : int
        Channels of a token.
    """

    def __init__(self, *, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch)

    def forward(self, images_bchw: Tensor) -> Tensor:
        """Map (B, 3, S, S) to (B, S / patch, S / patch, width)."""
        tokens_bchw: Tensor = self.proj(images_bchw)
        return tokens_bchw.permute(0, 2, 3, 1)


class ViTEncoder(nn.Module):
    """Image encoder of the official ViT-B, ViT-L and ViT-H checkpoints.

    Parameters
    ----------
    config : ViTConfig
        Geometry.
    grid : int
        Side of the embedding, in cells.
    """

    def __init__(self, *, config: ViTConfig, grid: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(patch=config.patch, width=config.width)
        self.pos_embed = uniform_parameter(1, grid, grid, config.width)
        self.blocks = nn.ModuleList(
            Block(
                attention=self._attention(config, grid, index),
                width=config.width,
                mlp_width=config.mlp_width,
            )
            for index in range(config.depth)
        )
        self.neck = make_neck(in_channels=config.width, out_channels=config.out_channels)

    @staticmethod
    def _attention(config: ViTConfig, grid: int, index: int) -> nn.Module:
        if index in config.global_blocks:
            return GlobalAttention(width=config.width, heads=config.heads, side=grid)
        return WindowAttention(width=config.width, heads=config.heads, side=config.window)

    def forward(self, images_bchw: Tensor) -> Tensor:
        """Encode normalised images.

        Parameters
        ----------
        images_bchw : Tensor of shape (B, 3, S, S)
            Normalised and padded input frames.

        Returns
        -------
        Tensor of shape (B, out_channels, grid, grid)
            The embedding.
        """
        tokens_bhwc = self.patch_embed(images_bchw) + self.pos_embed
        for block in self.blocks:
            tokens_bhwc = block(tokens_bhwc)
        embedding: Tensor = self.neck(tokens_bhwc.permute(0, 3, 1, 2))
        return embedding
