"""The whole model: encode a plane once, decode many prompts on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samslice.model.config import SamConfig
from samslice.model.mask_decoder import MaskDecoder, to_image
from samslice.model.prompt_encoder import PromptEncoder, PromptTensors
from samslice.model.strips import rows_at_once
from samslice.model.transformer import Piece, Positions, add_code
from samslice.model.views import (
    BLOCK_SIDE,
    Window,
    area,
    check_windows,
    make_views,
    whole_blocks,
    with_blocks,
)

OUTSIDE_LOGIT = -32.0
"""Logit of pixels outside the window in which an object is looked for: clearly not in a mask."""


def _prompts_at_once(device: torch.device) -> int:
    """Prompts whose intermediate results go through the decoder together.

    Each has its own copy of what it sees of the image, about 4 MB per tensor
    if that is all of it: on a CPU more of them leave the cache, on an
    accelerator they fill the device.
    """
    return 4 if device.type == "cpu" else 64


class Sam(nn.Module):
    """Segment Anything.

    Parameters
    ----------
    config : SamConfig
        Geometry and normalisation.
    image_encoder : nn.Module
        (B, 3, S, S) -> (B, C, G, G).
    prompt_encoder : PromptEncoder
        Prompts to tokens.
    mask_decoder : MaskDecoder
        Tokens and embedding to masks.
    """

    def __init__(
        self,
        *,
        config: SamConfig,
        image_encoder: nn.Module,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
    ) -> None:
        super().__init__()
        self.config = config
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.prompt_encoder.no_mask_embed.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return self.prompt_encoder.dtype

    def preprocess(self, image_hwc: Tensor) -> Tensor:
        """Normalise an image and pad it with zeros to the input frame.

        Parameters
        ----------
        image_hwc : Tensor of shape (h, w, 3)
            RGB on the 0..255 scale, any dtype, already resized so that its
            longest side is the frame's.

        Returns
        -------
        Tensor of shape (3, S, S)
            On the model's device and in its precision.

        Raises
        ------
        ValueError
            If the shape is another.
        """
        size = self.config.image_size
        if image_hwc.ndim != 3 or image_hwc.shape[2] != 3 or max(image_hwc.shape[:2]) != size:
            raise ValueError(
                f"image has shape {tuple(image_hwc.shape)}; allowed is (h, w, 3) with the longer "
                f"of h and w equal to {size}. Resize it first."
            )
        image_hwc = image_hwc.to(self.device).float()
        mean, std = (
            torch.tensor(values, device=self.device)
            for values in (self.config.pixel_mean, self.config.pixel_std)
        )
        image_chw = ((image_hwc - mean) / std).permute(2, 0, 1)
        height, width = image_hwc.shape[:2]
        return F.pad(image_chw, (0, size - width, 0, size - height)).to(self.dtype)

    def encode(self, images_bchw: Tensor) -> Tensor:
        """Encode preprocessed planes.

        Parameters
        ----------
        images_bchw : Tensor of shape (B, 3, S, S)
            Results of :meth:`preprocess`.

        Returns
        -------
        Tensor of shape (B, C, G, G)
            Their embeddings, in the encoder's precision, which may be lower
            than that of the rest.

        Raises
        ------
        ValueError
            If the shape is another.
        """
        size = self.config.image_size
        if images_bchw.ndim != 4 or tuple(images_bchw.shape[1:]) != (3, size, size):
            raise ValueError(
                f"images have shape {tuple(images_bchw.shape)}; allowed is (B, 3, {size}, {size})."
            )
        encoder_dtype = next(self.image_encoder.parameters()).dtype
        features: Tensor = self.image_encoder(images_bchw.to(self.device, encoder_dtype))
        return features

    def decode(
        self,
        features_1cgg: Tensor,
        prompts: PromptTensors,
        *,
        multimask: bool,
        windows: Sequence[Window] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts on one plane.

        Parameters
        ----------
        features_1cgg : Tensor of shape (1, C, G, G)
            The plane's embedding.
        prompts : PromptTensors
            B prompts, on any device.
        multimask : bool
            Three masks for an ambiguous prompt, or the single one.
        windows : sequence of Window, optional
            The cells in which each prompt's object is; they grow to whole
            blocks. What lies outside is in no mask, and is seen more coarsely,
            as `samslice.model.views` says, if the plane can be cut into
            blocks. The whole plane if left out.

        Returns
        -------
        logits_bkhw : Tensor of shape (B, K, 4 * G, 4 * G), float32
            Low-resolution masks; K is 3 or 1. `OUTSIDE_LOGIT` outside the
            blocks of the windows.
        iou_bk : Tensor of shape (B, K), float32
            Predicted IoU of each.

        Raises
        ------
        ValueError
            If the features are of another shape, there are no prompts, or
            the windows are not one for each prompt and inside the plane.
        """
        expected = (1, self.config.encoder.out_channels, self.config.grid, self.config.grid)
        if tuple(features_1cgg.shape) != expected:
            raise ValueError(
                f"features have shape {tuple(features_1cgg.shape)}; allowed is {expected}, "
                f"the embedding of one plane by {self.config.name}."
            )
        if len(prompts) == 0:
            raise ValueError("there are no prompts; give at least one.")
        image_1nc = features_1cgg.to(self.device, self.dtype).flatten(2).transpose(1, 2)
        image_1nc = image_1nc.contiguous()
        prompts = prompts.to(self.device)
        if windows is None:
            return self._decode_everywhere(image_1nc, prompts, multimask)
        check_windows(windows, len(prompts), self.config.grid)
        if self.config.grid % BLOCK_SIDE:
            logits_bkhw, iou_bk = self._decode_everywhere(image_1nc, prompts, multimask)
            return _keep_inside(logits_bkhw, windows), iou_bk
        return self._decode_inside(image_1nc[0], prompts, multimask, windows)

    def _cells_at_once(self, batch: int) -> int:
        return rows_at_once(self.device, batch * self.config.encoder.out_channels)

    def _decode_everywhere(
        self, image_1nc: Tensor, prompts: PromptTensors, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts whose objects may be anywhere."""
        step = min(len(prompts), _prompts_at_once(self.device))
        codes = torch.split(self.prompt_encoder.grid_code(), self._cells_at_once(step))
        positions = [Positions(code) for code in codes]
        without = prompts.masks_b1hw is None
        shared = [*self._pieces(image_1nc, None, positions)] if without else []
        parts = []
        for start in range(0, len(prompts), step):
            some = prompts[start : start + step]
            pieces = shared or self._pieces(image_1nc, some.masks_b1hw, positions)
            sparse_btc = self.prompt_encoder.sparse_tokens(some)
            logits, iou = self.mask_decoder(pieces, positions, sparse_btc, multimask=multimask)
            parts.append((to_image(logits, self.config.grid, self.config.grid), iou))
        logits_bkhw, iou_bk = (torch.cat(part) for part in zip(*parts, strict=True))
        return logits_bkhw, iou_bk.float()

    def _pieces(
        self, image_1nc: Tensor, masks_b1hw: Tensor | None, positions: Sequence[Positions]
    ) -> Iterator[Piece]:
        """The embedding with what masks add to it, for all prompts or for each."""
        image_bnc = image_1nc + self.prompt_encoder.dense_tokens(masks_b1hw)
        return add_code(torch.split(image_bnc, len(positions[0].code), dim=1), positions)

    def _decode_inside(
        self, image_nc: Tensor, prompts: PromptTensors, multimask: bool, windows: Sequence[Window]
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts that look for their objects inside windows."""
        image_table, code_table = with_blocks(image_nc), self.prompt_encoder.code_table()
        # Twice as many as of whole planes, as each sees a sixth of the cells.
        step = min(len(prompts), 2 * _prompts_at_once(self.device))
        cells = self._cells_at_once(step)
        side, k = self.config.mask_size, self.mask_decoder.mask_count(multimask=multimask)
        iou_bk = torch.empty(len(prompts), k, device=self.device, dtype=torch.float32)
        logits_bkhw = iou_bk.new_full((*iou_bk.shape, side, side), OUTSIDE_LOGIT)
        sparse_btc = self.prompt_encoder.sparse_tokens(prompts)
        windows = [whole_blocks(window) for window in windows]
        # Prompts of similar windows go together, as each is padded to the largest.
        order = sorted(range(len(prompts)), key=lambda b: area(windows[b]))
        for start in range(0, len(prompts), step):
            chosen = order[start : start + step]
            masks_b1hw = None if prompts.masks_b1hw is None else prompts.masks_b1hw[chosen]
            views = make_views([windows[b] for b in chosen], self.config.grid, self.device)
            dense_bnc = self.prompt_encoder.dense_tokens(masks_b1hw, views)
            counts_bn = views.log_count_bn.to(self.dtype)
            parts = (torch.split(t, cells, 1) for t in (views.take(code_table), counts_bn))
            positions = [Positions(*part) for part in zip(*parts, strict=True)]
            image_bnc = views.take(image_table) + dense_bnc
            logits_bkm, iou = self.mask_decoder(
                add_code(torch.split(image_bnc, cells, 1), positions),
                positions,
                sparse_btc[chosen],
                multimask=multimask,
                drawn=views.n_near,
            )
            iou_bk[chosen] = iou.float()
            for b, window, inside_km in zip(chosen, views.windows, logits_bkm, strict=True):
                _put(inside_km, window, logits_bkhw[b])
        return logits_bkhw, iou_bk


def _pixels(window: Window) -> tuple[slice, slice]:
    """Low-resolution pixels of a window, 4 x 4 a cell."""
    row0, col0, row1, col1 = (4 * n for n in window)
    return slice(row0, row1), slice(col0, col1)


def _put(inside_km: Tensor, window: Window, plane_khw: Tensor) -> None:
    """Put what was found in a window into its place."""
    row0, col0, row1, col1 = window
    image = to_image(inside_km[None, :, : 16 * area(window)], row1 - row0, col1 - col0)
    plane_khw[:, *_pixels(window)] = image[0]


def _keep_inside(logits_bkhw: Tensor, windows: Sequence[Window]) -> Tensor:
    """Empty masks outside of windows."""
    kept_bkhw = torch.full_like(logits_bkhw, OUTSIDE_LOGIT)
    for kept_khw, plane_khw, window in zip(kept_bkhw, logits_bkhw, windows, strict=True):
        there = (slice(None), *_pixels(window))
        kept_khw[there] = plane_khw[there]
    return kept_bkhw
