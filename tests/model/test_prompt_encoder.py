from __future__ import annotations

from math import pi

import pytest
import torch

from samslice.model.config import VARIANTS
from samslice.model.prompt_encoder import PromptEncoder, PromptTensors


@pytest.fixture
def encoder() -> PromptEncoder:
    config = VARIANTS["tiny"]
    return PromptEncoder(config=config.prompt, image_size=256, grid=16).requires_grad_(False)


def fourier(encoder: PromptEncoder, x: float, y: float) -> torch.Tensor:
    """Code of a position of the frame, by the formula."""
    unit = torch.tensor([x, y], dtype=torch.float64) / 256
    matrix = encoder.pe_layer.positional_encoding_gaussian_matrix.double()
    angles = 2 * pi * ((2 * unit - 1) @ matrix)
    return torch.cat([angles.sin(), angles.cos()]).float()


def test_points_are_coded_at_their_pixels_centre(encoder: PromptEncoder) -> None:
    """Each point is the code of its pixel's centre plus its label's embedding; padding ends."""
    prompts = PromptTensors(torch.tensor([[[3.0, 200.0], [40.0, 7.0]]]), torch.tensor([[1, 0]]))
    sparse, _ = encoder(prompts)
    outside, inside = (encoder.point_embeddings[i].weight[0] for i in (0, 1))
    expected = torch.stack(
        [
            fourier(encoder, 3.5, 200.5) + inside,
            fourier(encoder, 40.5, 7.5) + outside,
            encoder.not_a_point_embed.weight[0],
        ]
    )
    torch.testing.assert_close(sparse[0], expected, rtol=1e-4, atol=1e-4)


def test_boxes_are_two_corners_without_padding(encoder: PromptEncoder) -> None:
    """A box gives a token per corner, after the points, and no padding token."""
    prompts = PromptTensors(
        torch.tensor([[[3.0, 200.0]]]), torch.tensor([[1]]), torch.tensor([[1.0, 2.0, 90.0, 60.0]])
    )
    sparse, _ = encoder(prompts)
    assert sparse.shape == (1, 3, 32)
    first = fourier(encoder, 1.5, 2.5) + encoder.point_embeddings[2].weight[0]
    last = fourier(encoder, 90.5, 60.5) + encoder.point_embeddings[3].weight[0]
    expected = torch.stack([first, last])
    torch.testing.assert_close(sparse[0, 1:], expected, rtol=1e-4, atol=1e-4)


def test_masks_alone_give_no_sparse_tokens(encoder: PromptEncoder) -> None:
    """A mask becomes one dense token per cell, and nothing else."""
    sparse, dense = encoder(PromptTensors(masks_b1hw=torch.randn(3, 1, 64, 64)))
    assert sparse.shape == (3, 0, 32)
    assert dense.shape == (3, 256, 32)


def test_a_cell_depends_on_its_own_mask_pixels_only(encoder: PromptEncoder) -> None:
    """Dense tokens go row by row: 4 x 4 pixels of the mask reach one cell."""
    mask = torch.zeros(1, 1, 64, 64)
    changed = mask.clone()
    changed[0, 0, 4:8, 12:16] = 5.0  # row 1, column 3 of the grid
    _, dense = encoder(PromptTensors(masks_b1hw=mask))
    _, dense_changed = encoder(PromptTensors(masks_b1hw=changed))
    differs = (dense != dense_changed).any(dim=2)[0]
    assert differs.nonzero().flatten().tolist() == [1 * 16 + 3]


def test_no_mask_is_one_dense_token(encoder: PromptEncoder) -> None:
    """Without masks, all prompts and cells share one token."""
    _, dense = encoder(PromptTensors(boxes_bp=torch.rand(5, 4)))
    torch.testing.assert_close(dense, encoder.no_mask_embed.weight[None])


def test_grid_code_is_that_of_the_cells_centres(encoder: PromptEncoder) -> None:
    """Cells are coded by (x, y) of their centre, row by row."""
    code = encoder.grid_code()
    assert code.shape == (256, 32)
    expected = fourier(encoder, 3.5 * 16, 1.5 * 16)
    torch.testing.assert_close(code[1 * 16 + 3], expected, rtol=1e-4, atol=1e-4)


def test_grid_code_follows_the_weights(encoder: PromptEncoder) -> None:
    """The kept code is dropped when other frequencies are loaded."""
    before = encoder.grid_code()
    key = "pe_layer.positional_encoding_gaussian_matrix"
    encoder.load_state_dict({**encoder.state_dict(), key: torch.zeros(2, 16)})
    after = encoder.grid_code()
    assert not torch.equal(before, after)
    assert torch.equal(after[:, :16], torch.zeros(256, 16))


def test_grid_code_made_in_inference_mode_can_be_trained_with(encoder: PromptEncoder) -> None:
    """The kept code is an ordinary tensor, whatever mode it was first asked for in."""
    with torch.inference_mode():
        encoder.grid_code()
    assert not encoder.grid_code().is_inference()


def test_frequencies_stay_float32(encoder: PromptEncoder) -> None:
    """In half precision the code is rounded once, at the end, not at its frequencies."""
    exact = encoder.grid_code()
    half = encoder.to(torch.bfloat16)
    matrix = half.pe_layer.positional_encoding_gaussian_matrix
    assert matrix.dtype == torch.float32
    assert torch.equal(half.grid_code(), exact.to(torch.bfloat16))


BOX = torch.rand(2, 4)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "at least one is given"),
        ({"points_bnp": torch.rand(2, 1, 2)}, "give both or neither"),
        ({"labels_bn": torch.ones(2, 1)}, "give both or neither"),
        ({"points_bnp": torch.rand(2, 3), "labels_bn": torch.ones(2, 3)}, r"\(B, N, 2\)"),
        ({"points_bnp": torch.rand(2, 3, 2), "labels_bn": torch.ones(2, 2)}, r"\(2, 3\)"),
        ({"boxes_bp": torch.rand(4)}, r"allowed is \(B, 4\)"),
        ({"masks_b1hw": torch.rand(2, 64, 64)}, r"\(B, 1, h, w\)"),
        ({"boxes_bp": BOX, "masks_b1hw": torch.rand(3, 1, 64, 64)}, r"batch sizes \[2, 3\]"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(
    tensors: dict[str, torch.Tensor], message: str
) -> None:
    """Shapes that contradict each other are named, with what is allowed."""
    with pytest.raises(ValueError, match=message):
        PromptTensors(**tensors)


def test_masks_of_another_size_are_refused(encoder: PromptEncoder) -> None:
    """Masks come at the low resolution of the model's own logits."""
    with pytest.raises(ValueError, match=r"allowed is \(B, 1, 64, 64\)"):
        encoder(PromptTensors(masks_b1hw=torch.zeros(1, 1, 256, 256)))
