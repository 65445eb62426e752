"""What a prompt sees of a plane: cells near its object as they are, the rest by sixteens.

What the decoder says of an object depends on the whole plane, so nothing may
be left out; but away from the object a block of 4 x 4 cells can stand for its
cells: at their mean, at the place of its centre and with their number as
weight. With a window around an object a decoder has a sixth of the cells to go
through and a tenth of them to make masks of (docs/propagation-log.md tells how
little that changes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, log

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

BLOCK_SIDE = 4
"""Cells along a side of a block."""

Window = tuple[int, int, int, int]
"""(row0, col0, row1, col1) in cells, half-open."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Which rows of a table of cells and blocks each prompt sees.

    Parameters
    ----------
    windows : sequence of Window
        The cells near each prompt's object, in whole blocks.
    index_bn : Tensor of shape (B, n), int64
        Rows of the table: the window's cells row by row, then the blocks
        outside it; padding at the end.
    log_count_bn : Tensor of shape (B, n)
        Logarithm of how many cells a row stands for; minus infinity for padding.
    """

    windows: Sequence[Window]
    index_bn: Tensor
    log_count_bn: Tensor

    @property
    def n_near(self) -> int:
        """Rows that hold the windows' cells, in the largest of them."""
        return max(map(area, self.windows))

    def take(self, table_mc: Tensor) -> Tensor:
        """Take the prompts' rows of a table: (M, C) -> (B, n, C)."""
        # Faster than indexing by two dimensions.
        rows = table_mc.index_select(0, self.index_bn.flatten())
        return rows.view(*self.index_bn.shape, -1)


def area(window: Window) -> int:
    """Cells in a window."""
    row0, col0, row1, col1 = window
    return (row1 - row0) * (col1 - col0)


def check_windows(windows: Sequence[Window], count: int, grid: int) -> None:
    """Raise ValueError unless there are `count` windows, none empty and all inside the plane."""
    if len(windows) != count:
        raise ValueError(f"got {len(windows)} windows for {count} prompts; give one for each.")
    for window in windows:
        row0, col0, row1, col1 = window
        if not (0 <= row0 < row1 <= grid and 0 <= col0 < col1 <= grid):
            raise ValueError(
                f"window {tuple(window)} is not allowed; give (row0, col0, row1, col1) in cells "
                f"with 0 <= row0 < row1 <= {grid} and 0 <= col0 < col1 <= {grid}."
            )


def whole_blocks(window: Window) -> Window:
    """Grow a window until it holds whole blocks."""
    row0, col0, row1, col1 = window
    return (
        row0 // BLOCK_SIDE * BLOCK_SIDE,
        col0 // BLOCK_SIDE * BLOCK_SIDE,
        -(-row1 // BLOCK_SIDE) * BLOCK_SIDE,
        -(-col1 // BLOCK_SIDE) * BLOCK_SIDE,
    )


def make_views(windows: Sequence[Window], grid: int, device: torch.device) -> Views:
    """Say what prompts see that look for objects inside windows.

    Parameters
    ----------
    windows : sequence of Window
        One for each prompt.
    grid : int
        Cells along a side of the plane; a multiple of `BLOCK_SIDE`.
    device : torch.device
        Where to put it.

    Returns
    -------
    Views
        For a table of the plane's cells and then its blocks, as `with_blocks` makes it.
    """
    windows = [whole_blocks(window) for window in windows]
    cells = torch.arange(grid**2).view(grid, grid)
    blocks = grid**2 + torch.arange((grid // BLOCK_SIDE) ** 2).view(grid // BLOCK_SIDE, -1)
    rows, log_counts = [], []
    for row0, col0, row1, col1 in windows:
        near = cells[row0:row1, col0:col1].flatten()
        far = torch.ones_like(blocks, dtype=torch.bool)
        far[row0 // BLOCK_SIDE : row1 // BLOCK_SIDE, col0 // BLOCK_SIDE : col1 // BLOCK_SIDE] = (
            False
        )
        rows.append(torch.cat([near, blocks[far]]))
        log_counts.append(torch.zeros(len(rows[-1])))
        log_counts[-1][len(near) :] = 2 * log(BLOCK_SIDE)
    return Views(
        windows,
        pad_sequence(rows, batch_first=True).to(device),
        pad_sequence(log_counts, batch_first=True, padding_value=-torch.inf).to(device),
    )


def with_blocks(cells_nc: Tensor) -> Tensor:
    """Append the means of the blocks to the cells of a square plane.

    Parameters
    ----------
    cells_nc : Tensor of shape (N, C)
        Cells, row by row.

    Returns
    -------
    Tensor of shape (N + N / 16, C)
        The cells, then the blocks, row by row.
    """
    side = isqrt(len(cells_nc)) // BLOCK_SIDE
    # One dimension after the other: a mean over two of five takes twenty times as long.
    rows = cells_nc.view(side, BLOCK_SIDE, -1).mean(dim=1)
    blocks = rows.view(side**2, BLOCK_SIDE, -1).mean(dim=1)
    return torch.cat([cells_nc, blocks])


def patches(masks_b1hw: Tensor, views: Views) -> Tensor:
    """Cut from each mask what its prompt sees of it, side by side.

    Parameters
    ----------
    masks_b1hw : Tensor of shape (B, 1, h, w)
        Low-resolution masks, 4 x 4 pixels a cell.
    views : Views
        For the same B prompts.

    Returns
    -------
    Tensor of shape (B, 1, 4, 4 * n)
        For each row of the view the pixels of its cell, or the means of as
        many parts of its block.
    """
    levels = (masks_b1hw, F.avg_pool2d(masks_b1hw, BLOCK_SIDE))
    table = torch.cat([_cells(level) for level in levels], dim=1)
    batch, n_rows = table.shape[:2]
    begin_b1 = n_rows * torch.arange(batch, device=table.device)[:, None]
    seen = table.flatten(0, 1).index_select(0, (views.index_bn + begin_b1).flatten())
    return seen.view(batch, -1, *table.shape[2:]).transpose(1, 2).flatten(2)[:, None]


def _cells(masks_b1hw: Tensor, side: int = 4) -> Tensor:
    """(B, 1, h, w) -> (B, cells, side, side)."""
    batch, _, height, width = masks_b1hw.shape
    cells = masks_b1hw.view(batch, height // side, side, width // side, side).transpose(2, 3)
    return cells.reshape(batch, -1, side, side)
