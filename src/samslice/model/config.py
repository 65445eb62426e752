"""What distinguishes one variant of SAM from another, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType

Rgb = tuple[float, float, float]

IMAGENET_MEAN: Rgb = (123.675, 116.28, 103.53)
IMAGENET_STD: Rgb = (58.395, 57.12, 57.375)


@dataclass(frozen=True, kw_only=True, slots=True)
class ViTConfig:
    """Plain vision transformer with windowed and global blocks.

    Parameters
    ----------
    depth, width, heads : int
        Number of blocks, channels per token, attention heads.
    global_blocks : tuple of int
        Indices of the blocks that attend to the whole grid; the others
        attend within windows.
    window : int
        Side of a window, in tokens.
    patch : int
        Side of a patch, in pixels of the input frame.
    mlp_width : int
        Hidden channels of each block's MLP.
    out_channels : int
        Channels of the embedding that the neck makes.

    Notes
    -----
    Kirillov et al., Segment Anything, 2023 (appendix A); Li et al.,
    Exploring Plain Vision Transformer Backbones for Object Detection, 2022.
    """

    depth: int
    width: int
    heads: int
    global_blocks: tuple[int, ...]
    window: int = 14
    patch: int = 16
    mlp_width: int
    out_channels: int = 256

    @property
    def stride(self) -> int:
        """Pixels of the input frame per cell of the embedding."""
        return self.patch


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyViTConfig:
    """TinyViT with one convolutional and several windowed-attention stages.

    Parameters
    ----------
    widths, depths, heads, windows : tuple of int
        Per stage: channels, blocks, attention heads and window side in
        tokens. The first stage is convolutional, so its heads and window
        are not used.
    merge_strides : tuple of int
        Stride of the merging layer between each stage and the next.
    stem_kernel, stem_stride : int
        Kernel and stride of both convolutions of the stem.
    expansion : int
        Hidden channels of a convolutional block over its channels.
    mlp_ratio : int
        Hidden channels of an MLP over its channels.
    out_channels : int
        Channels of the embedding that the neck makes.

    Notes
    -----
    Wu et al., TinyViT, 2022; Zhang et al., Faster Segment Anything
    (MobileSAM), 2023.
    """

    widths: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (2, 4, 5, 10)
    windows: tuple[int, ...] = (7, 7, 14, 7)
    merge_strides: tuple[int, ...] = (2, 2, 1)
    stem_kernel: int = 3
    stem_stride: int = 2
    expansion: int = 4
    mlp_ratio: int = 4
    out_channels: int = 256

    @property
    def stride(self) -> int:
        """Pixels of the input frame per cell of the embedding."""
        return self.stem_stride**2 * prod(self.merge_strides)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptConfig:
    """Prompt encoder: channels of its tokens and of its mask branch."""

    width: int = 256
    mask_channels: int = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """Mask decoder: a two-way transformer, hypernetworks and an IoU head.

    Parameters
    ----------
    width, depth, heads, mlp_width : int
        Two-way transformer: channels, layers, attention heads, hidden
        channels of its MLPs.
    attention_downsample : int
        Channels over the inner channels of attention between tokens and image.
    mask_tokens : int
        One for the single mask, the others for the ambiguous ones.
    iou_depth, iou_width : int
        Layers and hidden channels of the head that predicts the IoU.
    """

    width: int = 256
    depth: int = 2
    heads: int = 8
    mlp_width: int = 2048
    attention_downsample: int = 2
    mask_tokens: int = 4
    iou_depth: int = 3
    iou_width: int = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class SamConfig:
    """Everything needed to build one variant.

    Parameters
    ----------
    name : str
        Key in :data:`VARIANTS`, or a description of an unlisted geometry.
    image_size : int
        Side of the square input frame, in pixels.
    pixel_mean, pixel_std : tuple of three floats
        Per RGB channel, on the 0..255 scale.
    encoder : ViTConfig or TinyViTConfig
        Image encoder.
    prompt : PromptConfig
        Prompt encoder.
    decoder : DecoderConfig
        Mask decoder.
    """

    name: str
    image_size: int = 1024
    pixel_mean: Rgb = IMAGENET_MEAN
    pixel_std: Rgb = IMAGENET_STD
    encoder: ViTConfig | TinyViTConfig
    prompt: PromptConfig = field(default_factory=PromptConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)

    @property
    def grid(self) -> int:
        """Side of the embedding, in cells."""
        return self.image_size // self.encoder.stride

    @property
    def mask_size(self) -> int:
        """Side of the low-resolution masks, in pixels."""
        return 4 * self.grid


_ALL = (
    SamConfig(
        name="vit_b",
        encoder=ViTConfig(
            depth=12, width=768, heads=12, global_blocks=(2, 5, 8, 11), mlp_width=3072
        ),
    ),
    SamConfig(
        name="vit_l",
        encoder=ViTConfig(
            depth=24, width=1024, heads=16, global_blocks=(5, 11, 17, 23), mlp_width=4096
        ),
    ),
    SamConfig(
        name="vit_h",
        encoder=ViTConfig(
            depth=32, width=1280, heads=16, global_blocks=(7, 15, 23, 31), mlp_width=5120
        ),
    ),
    SamConfig(name="mobile_sam", encoder=TinyViTConfig()),
    # LiteMedSAM: every pixel of its 256 px frame is a token of the first
    # stage. It was trained on images stretched to 0..1, without mean and std.
    SamConfig(
        name="lite_medsam",
        image_size=256,
        pixel_mean=(0.0, 0.0, 0.0),
        pixel_std=(255.0, 255.0, 255.0),
        encoder=TinyViTConfig(stem_kernel=1, stem_stride=1),
    ),
    # Small enough for every test run; no trained weights exist.
    SamConfig(
        name="tiny",
        image_size=256,
        encoder=ViTConfig(
            depth=4,
            width=48,
            heads=3,
            global_blocks=(1, 3),
            window=6,
            mlp_width=192,
            out_channels=32,
        ),
        prompt=PromptConfig(width=32),
        decoder=DecoderConfig(width=32, heads=4, mlp_width=64, iou_width=32),
    ),
)

VARIANTS: Mapping[str, SamConfig] = MappingProxyType({config.name: config for config in _ALL})
"""Known variants by name."""
