"""MobileSAM's image encoder: TinyViT.

Architecture: Wu et al., TinyViT, 2022 (section 3.3); Zhang et al., Faster
Segment Anything: Towards Lightweight SAM for Mobile Applications, 2023.
Everything runs in channels-last memory, where a grid of tokens
(B, H, W, C) and an image (B, C, H, W) are two views of the same bytes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samslice.model.config import TinyViTConfig
from samslice.model.layers import from_windows, make_neck, to_windows, uniform_parameter
from samslice.model.strips import rows_at_once, strips


class PixelLinear(nn.Linear):
    """A 1x1 convolution as one matrix product."""

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, out, H, W)."""
        return super().forward(x_bchw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNorm(nn.Module):
    """Convolution without bias, then batch normalisation.

    Parameters
    ----------
    in_channels, out_channels, kernel, stride, groups : int
        As in a convolution; the padding keeps the size at stride 1.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size=kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Convolve and normalise (B, C, H, W)."""
        y: Tensor = self.bn(self.c(x_bchw))
        return y

    def folded(self) -> nn.Conv2d | PixelLinear:
        """Make the one layer that does the same in inference."""
        conv, norm = self.c, self.bn
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("the batch normalisation keeps no running statistics to fold.")
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        weight = conv.weight * scale[:, None, None, None]
        folded: nn.Conv2d | PixelLinear
        if conv.kernel_size == (1, 1) and conv.stride == (1, 1):
            folded = PixelLinear(conv.in_channels, conv.out_channels)
            weight = weight[:, :, 0, 0]
        else:
            folded = nn.Conv2d(
                conv.in_channels,
                conv.out_channels,
                kernel_size=conv.kernel_size,  # type: ignore[arg-type]
                stride=conv.stride,  # type: ignore[arg-type]
                padding=conv.padding,  # type: ignore[arg-type]
                groups=conv.groups,
            )
        folded.weight = nn.Parameter(weight.detach())
        folded.bias = nn.Parameter((norm.bias - norm.running_mean * scale).detach())
        return folded


class Stem(nn.Module):
    """Two convolutions from pixels to the first grid of tokens.

    Parameters
    ----------
    width : int
        Channels of a token.
    kernel, stride : int
        Of both convolutions.
    """

    def __init__(self, *, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.stride = stride**2
        self.width = width
        self.seq = nn.Sequential(
            ConvNorm(in_channels=3, out_channels=width // 2, kernel=kernel, stride=stride),
            nn.GELU(),
            ConvNorm(in_channels=width // 2, out_channels=width, kernel=kernel, stride=stride),
        )

    def forward(self, images_bchw: Tensor) -> Tensor:
        """Map (B, 3, S, S) to (B, width, S / stride**2, S / stride**2)."""
        # A row of the first convolution's output, per row of the second's.
        row = images_bchw.shape[3] * self.width // 2
        rows = rows_at_once(images_bchw.device, row)
        parts = [
            self.seq(images_bchw[:, :, strip.input])[:, :, strip.keep]
            for strip in strips(images_bchw.shape[2], rows, self.stride)
        ]
        return torch.cat(parts, dim=2)


class MBConv(nn.Module):
    """Inverted bottleneck: expand, depthwise convolution, project, add.

    Parameters
    ----------
    width, hidden : int
        Channels outside and inside.
    """

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv1 = ConvNorm(in_channels=width, out_channels=hidden)
        self.conv2 = ConvNorm(in_channels=hidden, out_channels=hidden, kernel=3, groups=hidden)
        self.conv3 = ConvNorm(in_channels=hidden, out_channels=width)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        rows = rows_at_once(x_bchw.device, x_bchw.shape[3] * self.hidden)
        parts = []
        for strip in strips(x_bchw.shape[2], rows):
            hidden = F.gelu(self.conv1(x_bchw[:, :, strip.input]))
            hidden = F.gelu(self.conv2(hidden)[:, :, strip.keep])
            parts.append(F.gelu(x_bchw[:, :, strip.output] + self.conv3(hidden)))
        return torch.cat(parts, dim=2)


class PatchMerging(nn.Module):
    """Change of width, and of resolution by `stride`, between two stages.

    Parameters
    ----------
    in_width, out_width : int
        Channels before and after.
    stride : int
        Of the depthwise convolution.
    """

    def __init__(self, *, in_width: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.width = out_width
        self.conv1 = ConvNorm(in_channels=in_width, out_channels=out_width)
        self.conv2 = ConvNorm(
            in_channels=out_width, out_channels=out_width, kernel=3, stride=stride, groups=out_width
        )
        self.conv3 = ConvNorm(in_channels=out_width, out_channels=out_width)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Map (B, in_width, H, W) to (B, out_width, H / stride, W / stride)."""
        rows = rows_at_once(x_bchw.device, x_bchw.shape[3] * self.width * self.stride)
        parts = []
        for strip in strips(x_bchw.shape[2], rows, self.stride):
            hidden = F.gelu(self.conv1(x_bchw[:, :, strip.input]))
            hidden = F.gelu(self.conv2(hidden)[:, :, strip.keep])
            parts.append(self.conv3(hidden))
        return torch.cat(parts, dim=2)


class BiasedAttention(nn.Module):
    """Attention in a window, with a learned bias per head and offset.

    Parameters
    ----------
    width, heads : int
        Channels and heads.
    window : int
        Side of the window, in tokens.
    """

    def __init__(self, *, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        # Offset (rows, columns) in absolute value, row by row.
        self.attention_biases = uniform_parameter(heads, window * window)

    def bias(self) -> Tensor:
        """Bias of every query-key pair, (heads, window**2, window**2)."""
        index = torch.arange(self.window, device=self.attention_biases.device)
        offset = (index[:, None] - index[None, :]).abs()
        table = self.attention_biases.view(self.heads, self.window, self.window)
        bias = table[:, offset][..., offset]  # heads, row, row', column, column'
        return bias.transpose(2, 3).reshape(self.heads, self.window**2, self.window**2)

    def forward(self, windows_mnc: Tensor, bias: Tensor) -> Tensor:
        """Map windows (M, window**2, C), with :meth:`bias`, to the same shape."""
        m, n, channels = windows_mnc.shape
        qkv = self.qkv(self.norm(windows_mnc)).view(m, n, self.heads, 3, channels // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        output: Tensor = self.proj(attended.transpose(1, 2).reshape(m, n, channels))
        return output


class TinyMlp(nn.Module):
    """Norm, two linear layers and a GELU between.

    Parameters
    ----------
    width, hidden : int
        Channels outside and inside.
    """

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens_bhwc: Tensor) -> Tensor:
        """Map (..., width) to the same shape."""
        y: Tensor = self.fc2(F.gelu(self.fc1(self.norm(tokens_bhwc))))
        return y


class TinyBlock(nn.Module):
    """Windowed attention, a depthwise convolution and an MLP.

    Parameters
    ----------
    width, heads, window : int
        Channels, heads and window side in tokens.
    mlp_width : int
        Hidden channels of the MLP.
    """

    def __init__(self, *, width: int, heads: int, window: int, mlp_width: int) -> None:
        super().__init__()
        self.window = window
        self.mlp_width = mlp_width
        self.attn = BiasedAttention(width=width, heads=heads, window=window)
        self.local_conv = ConvNorm(in_channels=width, out_channels=width, kernel=3, groups=width)
        self.mlp = TinyMlp(width=width, hidden=mlp_width)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x_bchw = self._mix_windows(x_bchw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        rows = rows_at_once(x_bchw.device, x_bchw.shape[3] * self.mlp_width)
        parts = []
        for strip in strips(x_bchw.shape[2], rows):
            local_bchw = self.local_conv(x_bchw[:, :, strip.input])[:, :, strip.keep]
            tokens_bhwc = local_bchw.permute(0, 2, 3, 1)
            parts.append(tokens_bhwc + self.mlp(tokens_bhwc))
        return torch.cat(parts, dim=1).permute(0, 3, 1, 2)

    def _mix_windows(self, tokens_bhwc: Tensor) -> Tensor:
        """Add what windowed attention finds, some rows of windows at a time."""
        _, height, width, channels = tokens_bhwc.shape
        rows = rows_at_once(tokens_bhwc.device, width * 3 * channels)
        rows = max(1, rows // self.window) * self.window
        bias = self.attn.bias()
        parts = []
        for start in range(0, height, rows):
            tokens = tokens_bhwc[:, start : start + rows]
            # Padding comes before the norm, so that padding tokens take part
            # as the norm's bias: the published weights were trained that way.
            windows_mnc = self.attn(to_windows(tokens, self.window), bias)
            parts.append(tokens + from_windows(windows_mnc, self.window, tokens.shape[1], width))
        return torch.cat(parts, dim=1)


class Stage(nn.Module):
    """Blocks of one width, then the merging layer into the next stage, if any.

    Parameters
    ----------
    blocks : list of nn.Module
        :class:`MBConv` or :class:`TinyBlock`.
    downsample : nn.Module, optional
        Left out in the last stage.
    """

    def __init__(self, *, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = nn.Identity() if downsample is None else downsample

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Map (B, C, H, W) to the next stage's input."""
        for block in self.blocks:
            x_bchw = block(x_bchw)
        y: Tensor = self.downsample(x_bchw)
        return y


class TinyViTEncoder(nn.Module):
    """Image encoder of MobileSAM and LiteMedSAM checkpoints.

    Parameters
    ----------
    config : TinyViTConfig
        Geometry.
    """

    def __init__(self, *, config: TinyViTConfig) -> None:
        super().__init__()
        widths = config.widths
        self.patch_embed = Stem(
            width=widths[0], kernel=config.stem_kernel, stride=config.stem_stride
        )
        self.layers = nn.ModuleList(self._stage(config, index) for index in range(len(widths)))
        self.neck = make_neck(in_channels=widths[-1], out_channels=config.out_channels)

    @staticmethod
    def _stage(config: TinyViTConfig, index: int) -> Stage:
        width, depth = config.widths[index], config.depths[index]
        blocks: list[nn.Module] = [
            MBConv(width=width, hidden=config.expansion * width)
            if index == 0
            else TinyBlock(
                width=width,
                heads=config.heads[index],
                window=config.windows[index],
                mlp_width=config.mlp_ratio * width,
            )
            for _ in range(depth)
        ]
        if index == len(config.widths) - 1:
            return Stage(blocks=blocks, downsample=None)
        merging = PatchMerging(
            in_width=width, out_width=config.widths[index + 1], stride=config.merge_strides[index]
        )
        return Stage(blocks=blocks, downsample=merging)

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
        x_bchw = self.patch_embed(images_bchw.contiguous(memory_format=torch.channels_last))
        for stage in self.layers:
            x_bchw = stage(x_bchw)
        embedding: Tensor = self.neck(x_bchw)
        return embedding
