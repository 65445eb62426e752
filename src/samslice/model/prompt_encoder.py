"""Prompts to tokens: points, boxes and masks in the model's input frame.

Architecture: Kirillov et al., Segment Anything, 2023 (appendix A). Random
Fourier features: Tancik et al., Fourier Features Let Networks Learn High
Frequency Functions in Low Dimensional Domains, 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import torch
from torch import Tensor, nn

from samslice.model.config import PromptConfig
from samslice.model.layers import LayerNorm2d, Vectors
from samslice.model.views import BLOCK_SIDE, Views, patches


@dataclass(frozen=True, slots=True, eq=False)
class PromptTensors:
    """Prompts of one plane; all of them have the same structure.

    Parameters
    ----------
    points_bnp : Tensor of shape (B, N, 2), optional
        (x, y) in pixels of the input frame; the centre of the first pixel
        is (0, 0).
    labels_bn : Tensor of shape (B, N), optional
        1 inside the object, 0 outside.
    boxes_bp : Tensor of shape (B, 4), optional
        (x0, y0, x1, y1) in pixels of the input frame.
    masks_b1hw : Tensor of shape (B, 1, mask_size, mask_size), optional
        Logits, usually those of an earlier prediction.

    Raises
    ------
    ValueError
        If nothing is given or the shapes do not fit each other.
    """

    points_bnp: Tensor | None = None
    labels_bn: Tensor | None = None
    boxes_bp: Tensor | None = None
    masks_b1hw: Tensor | None = None

    def __post_init__(self) -> None:
        points, labels = self.points_bnp, self.labels_bn
        if (points is None) != (labels is None):
            raise ValueError("points and labels go together; give both or neither.")
        if points is not None and labels is not None:
            if points.ndim != 3 or points.shape[2] != 2:
                raise ValueError(f"points have shape {tuple(points.shape)}; allowed is (B, N, 2).")
            if labels.shape != points.shape[:2]:
                raise ValueError(
                    f"labels have shape {tuple(labels.shape)}; with points of shape "
                    f"{tuple(points.shape)} allowed is {tuple(points.shape[:2])}."
                )
        boxes, masks = self.boxes_bp, self.masks_b1hw
        if boxes is not None and (boxes.ndim != 2 or boxes.shape[1] != 4):
            raise ValueError(f"boxes have shape {tuple(boxes.shape)}; allowed is (B, 4).")
        if masks is not None and (masks.ndim != 4 or masks.shape[1] != 1):
            raise ValueError(f"masks have shape {tuple(masks.shape)}; allowed is (B, 1, h, w).")
        sizes = {len(t) for t in (points, boxes, masks) if t is not None}
        if len(sizes) != 1:
            raise ValueError(
                f"the prompts have batch sizes {sorted(sizes)}; allowed is one size for all of "
                "points, boxes and masks, of which at least one is given."
            )

    def __len__(self) -> int:
        given = (self.points_bnp, self.boxes_bp, self.masks_b1hw)
        return next(len(t) for t in given if t is not None)

    def __getitem__(self, span: slice) -> PromptTensors:
        """Take some of the prompts."""
        return self._map(lambda tensor: tensor[span])

    def to(self, device: torch.device) -> PromptTensors:
        """Move all tensors to a device."""
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, function: Callable[[Tensor], Tensor]) -> PromptTensors:
        names = ("points_bnp", "labels_bn", "boxes_bp", "masks_b1hw")
        given = {name: getattr(self, name) for name in names}
        return PromptTensors(
            **{name: None if t is None else function(t) for name, t in given.items()}
        )


class FourierPositions(nn.Module):
    """Random Fourier features of a position in the unit square.

    Parameters
    ----------
    width : int
        Channels of the code: half sines, half cosines.
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, *, width: int) -> None:
        super().__init__()
        matrix = torch.empty(2, width // 2)
        # Drawn on the CPU: normal numbers on the meta device take a second of imports.
        matrix.copy_(torch.randn(matrix.shape, device="cpu"))
        self.register_buffer("positional_encoding_gaussian_matrix", matrix)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FourierPositions:
        # Rounding the frequencies to half precision would shift the code of
        # every pixel, so the matrix follows to a device but stays float32.
        matrix = self.positional_encoding_gaussian_matrix
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        moved = self.positional_encoding_gaussian_matrix
        if moved.dtype != torch.float32:
            self.positional_encoding_gaussian_matrix = matrix.to(moved.device)
        return self

    def forward(self, unit_xy: Tensor) -> Tensor:
        """Encode positions.

        Parameters
        ----------
        unit_xy : Tensor of shape (..., 2)
            (x, y) as fractions of the frame's side.

        Returns
        -------
        Tensor of shape (..., width), float32
            The code.
        """
        angles = 2 * pi * ((2 * unit_xy.float() - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Sparse tokens for points and boxes, dense tokens for masks.

    Parameters
    ----------
    config : PromptConfig
        Geometry.
    image_size : int
        Side of the input frame, in pixels.
    grid : int
        Side of the embedding, in cells.
    """

    def __init__(self, *, config: PromptConfig, image_size: int, grid: int) -> None:
        super().__init__()
        width, channels = config.width, config.mask_channels
        self.image_size = image_size
        self.grid = grid
        self.pe_layer = FourierPositions(width=width)
        self.point_embeddings = nn.ModuleList(Vectors(count=1, width=width) for _ in range(4))
        self.not_a_point_embed = Vectors(count=1, width=width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, channels // 4, kernel_size=2, stride=2),
            LayerNorm2d(channels=channels // 4),
            nn.GELU(),
            nn.Conv2d(channels // 4, channels, kernel_size=2, stride=2),
            LayerNorm2d(channels=channels),
            nn.GELU(),
            nn.Conv2d(channels, width, kernel_size=1),
        )
        self.no_mask_embed = Vectors(count=1, width=width)
        self._code_table: Tensor | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PromptEncoder:
        self._code_table = None  # of another device or precision from now on
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._code_table = None  # of other frequencies from now on
        super()._load_from_state_dict(*args, **kwargs)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the tokens."""
        return self.no_mask_embed.weight.dtype

    def grid_code(self) -> Tensor:
        """Code of every cell's centre, (grid * grid, width); computed once."""
        return self.code_table()[: self.grid**2]

    def code_table(self) -> Tensor:
        """Code of every cell's centre, then of every block's; computed once.

        A block has the code of its centre. The mean code of its cells is shorter,
        which made masks smaller.
        """
        if self._code_table is None:
            # Never an inference tensor, as it outlives the mode it is made in.
            with torch.inference_mode(False), torch.no_grad():
                grids = (self.grid, self.grid // BLOCK_SIDE)
                table = torch.cat([self._centres_code(side) for side in grids])
                self._code_table = table.to(self.dtype)
        return self._code_table

    def _centres_code(self, side: int) -> Tensor:
        """Code of the centres of side * side squares, row by row."""
        device = self.pe_layer.positional_encoding_gaussian_matrix.device
        centres = (torch.arange(side, device=device) + 0.5) / side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        code: Tensor = self.pe_layer(torch.stack([x, y], dim=-1).flatten(0, 1))
        return code

    def _code(self, pixels_xy: Tensor) -> Tensor:
        code: Tensor = self.pe_layer((pixels_xy.float() + 0.5) / self.image_size)
        return code.to(self.dtype)

    def _kinds(self) -> Tensor:
        """(4, width) for a point outside, a point inside, and a box's two corners."""
        return torch.cat(list(self.point_embeddings.parameters()))

    def _point_tokens(self, points_bnp: Tensor, labels_bn: Tensor) -> Tensor:
        return self._code(points_bnp) + self._kinds()[:2][labels_bn.long()]

    def _box_tokens(self, boxes_bp: Tensor) -> Tensor:
        return self._code(boxes_bp.reshape(-1, 2, 2)) + self._kinds()[2:]

    def sparse_tokens(self, prompts: PromptTensors) -> Tensor:
        """Encode points and boxes.

        Parameters
        ----------
        prompts : PromptTensors
            B prompts.

        Returns
        -------
        Tensor of shape (B, N, width)
            One token per point (and a padding token, if there is no box)
            and two per box; N is 0 for masks alone.
        """
        batch = len(prompts)
        tokens = [self.no_mask_embed.weight.new_empty(batch, 0, self.no_mask_embed.weight.shape[1])]
        if prompts.points_bnp is not None and prompts.labels_bn is not None:
            tokens.append(self._point_tokens(prompts.points_bnp, prompts.labels_bn))
            if prompts.boxes_bp is None:
                # Points were always followed by a box or by this token in training.
                tokens.append(self.not_a_point_embed.weight.expand(batch, 1, -1))
        if prompts.boxes_bp is not None:
            tokens.append(self._box_tokens(prompts.boxes_bp))
        return torch.cat(tokens, dim=1)

    def dense_tokens(self, masks_b1hw: Tensor | None, views: Views | None = None) -> Tensor:
        """Encode masks, or their absence.

        Parameters
        ----------
        masks_b1hw : Tensor of shape (B, 1, mask_size, mask_size), optional
            Logits.
        views : Views, optional
            What each prompt sees; all cells if left out.

        Returns
        -------
        Tensor of shape (B, grid * grid or n, width) or (1, 1, width)
            To add to the image's cells, or to the rows of the views; the same
            everywhere without masks.

        Raises
        ------
        ValueError
            If the masks are not of the model's low resolution.
        """
        if masks_b1hw is None:
            return self.no_mask_embed.weight[None]
        side = 4 * self.grid
        if tuple(masks_b1hw.shape[2:]) != (side, side):
            raise ValueError(
                f"masks have shape {tuple(masks_b1hw.shape)}; allowed is (B, 1, {side}, {side})."
            )
        masks_b1hw = masks_b1hw.to(self.dtype)
        # A cell's token comes from its own 4 x 4 pixels, wherever they are.
        seen = masks_b1hw if views is None else patches(masks_b1hw, views)
        dense_bchw: Tensor = self.mask_downscaling(seen)
        return dense_bchw.flatten(2).transpose(1, 2)

    def forward(self, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Encode prompts: :meth:`sparse_tokens` and :meth:`dense_tokens`."""
        return self.sparse_tokens(prompts), self.dense_tokens(prompts.masks_b1hw)
