from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from samslice.model.sam import Sam
from samslice.model.views import check_windows, make_views, patches, with_blocks

GRID = 16
WINDOWS = [(0, 0, 3, 5), (5, 7, 10, 8), (13, 2, 16, 16), (0, 0, 16, 16)]
CPU = torch.device("cpu")


def stand_ins() -> torch.Tensor:
    """(rows of the table, cells): the share of each cell that each row stands for."""
    cells = torch.eye(GRID**2)
    return with_blocks(cells)


def test_blocks_are_the_means_of_their_cells() -> None:
    """After the cells come blocks of 4 x 4, row by row."""
    cells = torch.randn(GRID**2, 3)
    image_chw = cells.T.view(3, GRID, GRID)
    expected = [F.avg_pool2d(image_chw, side).flatten(1).T for side in (1, 4)]
    torch.testing.assert_close(with_blocks(cells), torch.cat(expected))


@pytest.mark.parametrize("window", WINDOWS)
def test_a_view_has_every_cell_once(window: tuple[int, int, int, int]) -> None:
    """Its rows, times how many cells each stands for, are all cells."""
    views = make_views([window, (4, 4, 8, 8)], GRID, CPU)
    counts = views.log_count_bn[0].exp()
    covered = (stand_ins()[views.index_bn[0]] * counts[:, None]).sum(dim=0)
    torch.testing.assert_close(covered, torch.ones(GRID**2))
    assert counts.sum() == pytest.approx(GRID**2)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_comes_first_cell_by_cell(window: tuple[int, int, int, int]) -> None:
    """The window grows to whole blocks, and its cells go row by row."""
    views = make_views([window], GRID, CPU)
    row0, col0, row1, col1 = views.windows[0]
    assert all(0 <= n - m <= 3 for n, m in zip(window[:2], (row0, col0), strict=True))
    assert all(0 <= m - n <= 3 for n, m in zip(window[2:], (row1, col1), strict=True))
    cells = torch.arange(GRID**2).view(GRID, GRID)[row0:row1, col0:col1].flatten()
    assert torch.equal(views.index_bn[0, : views.n_near], cells)
    assert torch.equal(views.log_count_bn[0, : views.n_near], torch.zeros(views.n_near))


def test_what_is_farther_is_coarser() -> None:
    """No row stands for more cells than one that is farther away."""
    views = make_views([(0, 0, 2, 2)], GRID, CPU)
    side = views.log_count_bn[0].exp().sqrt()
    row = (stand_ins()[views.index_bn[0]] > 0).nonzero()
    cell_side = torch.zeros(GRID**2).scatter_(0, row[:, 1], side[row[:, 0]]).view(GRID, GRID)
    assert (cell_side.diagonal().diff() >= 0).all()
    assert set(cell_side.flatten().tolist()) == {1, 4}


def test_a_token_of_a_mask_comes_from_the_patch_of_its_cell(tiny: Sam) -> None:
    """Near the object the tokens are those of the whole mask; of a flat mask they all are."""
    generator = torch.Generator().manual_seed(2)
    masks = torch.randn(2, 1, 64, 64, generator=generator)
    masks[1] = -3
    views = make_views([(2, 3, 7, 9), (0, 0, 2, 2)], GRID, CPU)
    whole = tiny.prompt_encoder.dense_tokens(masks)
    seen = tiny.prompt_encoder.dense_tokens(masks, views)
    near = views.index_bn[0, : views.n_near]
    torch.testing.assert_close(seen[0, : len(near)], whole[0, near], rtol=1e-4, atol=1e-5)
    flat = whole[1, :1].expand_as(seen[1])
    torch.testing.assert_close(seen[1], flat, rtol=1e-4, atol=1e-5)


def test_a_patch_of_a_block_has_the_means_of_its_parts() -> None:
    """A block of 4 x 4 cells becomes 4 x 4 pixels, each the mean of a cell."""
    masks = torch.randn(1, 1, 64, 64)
    views = make_views([(0, 0, 1, 1)], GRID, CPU)
    seen = patches(masks, views)
    assert seen.shape == (1, 1, 4, 4 * views.index_bn.shape[1])
    expected = F.avg_pool2d(masks[0, :, -16:, -16:], 4)[0]
    torch.testing.assert_close(seen[0, 0, :, -4:], expected)


@pytest.mark.parametrize("window", [(0, 0, 0, 4), (-1, 0, 3, 3), (3, 3, 17, 5), (5, 5, 4, 8)])
def test_windows_outside_the_plane_are_named(window: tuple[int, int, int, int]) -> None:
    """A window is inside the plane and holds a cell."""
    with pytest.raises(ValueError, match=r"row1 <= 16"):
        check_windows([window], 1, GRID)


def test_there_is_a_window_for_each_prompt() -> None:
    """Neither more nor fewer."""
    with pytest.raises(ValueError, match="1 windows for 2 prompts"):
        check_windows([(0, 0, 1, 1)], 2, GRID)
