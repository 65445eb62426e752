from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from samslice.model import sam as sam_module
from samslice.model.config import VARIANTS, SamConfig
from samslice.model.prompt_encoder import PromptTensors
from samslice.model.sam import Sam


def random_prompts(kind: str, batch: int) -> PromptTensors:
    generator = torch.Generator().manual_seed(7)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    points = 256 * rand(batch, 2, 2) if "points" in kind else None
    labels = (rand(batch, 2) > 0.5).long() if "points" in kind else None
    boxes = 256 * rand(batch, 4) if "boxes" in kind else None
    masks = 10 * rand(batch, 1, 64, 64) - 5 if "masks" in kind else None
    return PromptTensors(points, labels, boxes, masks)


KINDS = ["points", "boxes", "masks", "points boxes", "boxes masks", "points boxes masks"]


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_batch_is_the_prompts_one_by_one(
    tiny: Sam, kind: str, multimask: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts decoded together do not see each other, in full and in partial passes."""
    monkeypatch.setattr(sam_module, "_prompts_at_once", lambda device: 2)
    monkeypatch.setattr(sam_module, "rows_at_once", lambda device, elements: 100)
    features, prompts = torch.randn(1, 32, 16, 16), random_prompts(kind, 5)
    logits, iou = tiny.decode(features, prompts, multimask=multimask)
    assert logits.shape == (5, 3 if multimask else 1, 64, 64)
    for b in range(5):
        one = prompts[b : b + 1]
        expected_logits, expected_iou = tiny.decode(features, one, multimask=multimask)
        torch.testing.assert_close(logits[b : b + 1], expected_logits, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(iou[b : b + 1], expected_iou, rtol=1e-3, atol=1e-4)


WINDOWS = [(0, 0, 3, 5), (2, 7, 12, 9), (13, 2, 16, 16), (4, 4, 6, 6), (0, 0, 16, 16)]


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_prompts_with_windows_do_not_see_each_other(
    tiny: Sam, kind: str, multimask: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of any sizes go together, and what others ask for changes nothing."""
    monkeypatch.setattr(sam_module, "_prompts_at_once", lambda device: 3)
    monkeypatch.setattr(sam_module, "rows_at_once", lambda device, elements: 50)
    features, prompts = torch.randn(1, 32, 16, 16), random_prompts(kind, 5)
    logits, iou = tiny.decode(features, prompts, multimask=multimask, windows=WINDOWS)
    assert logits.shape == (5, 3 if multimask else 1, 64, 64)
    for b, window in enumerate(WINDOWS):
        one = prompts[b : b + 1]
        alone = tiny.decode(features, one, multimask=multimask, windows=[window])
        torch.testing.assert_close(logits[b : b + 1], alone[0], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(iou[b : b + 1], alone[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_a_window_of_the_whole_plane_changes_nothing(tiny: Sam, kind: str) -> None:
    """All cells are near then."""
    features, prompts = torch.randn(1, 32, 16, 16), random_prompts(kind, 2)
    expected = tiny.decode(features, prompts, multimask=True)
    actual = tiny.decode(features, prompts, multimask=True, windows=2 * [(0, 0, 16, 16)])
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


@torch.inference_mode()
def test_nothing_is_found_outside_a_window(tiny: Sam) -> None:
    """Masks are made in the window, grown to whole blocks, and are empty elsewhere."""
    features, prompts = torch.randn(1, 32, 16, 16), random_prompts("boxes", 1)
    logits, _ = tiny.decode(features, prompts, multimask=True, windows=[(3, 4, 7, 8)])
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[:32, 16:32] = True
    assert (logits[..., ~inside] == sam_module.OUTSIDE_LOGIT).all()
    assert (logits[..., inside] != sam_module.OUTSIDE_LOGIT).all()


@torch.inference_mode()
def test_a_plane_that_cannot_be_cut_into_blocks_is_seen_whole(
    fill: Callable[[SamConfig], Sam],
) -> None:
    """Then windows only say where masks are kept."""
    sam = fill(replace(VARIANTS["tiny"], image_size=224))
    assert sam.config.grid == 14
    features, prompts = torch.randn(1, 32, 14, 14), random_prompts("boxes", 2)
    windows = [(3, 4, 7, 8), (0, 0, 14, 1)]
    whole, expected_iou = sam.decode(features, prompts, multimask=True)
    logits, iou = sam.decode(features, prompts, multimask=True, windows=windows)
    assert torch.equal(iou, expected_iou)
    for plane, whole_plane, (row0, col0, row1, col1) in zip(logits, whole, windows, strict=True):
        there = (slice(None), slice(4 * row0, 4 * row1), slice(4 * col0, 4 * col1))
        assert torch.equal(plane[there], whole_plane[there])
        plane[there] = sam_module.OUTSIDE_LOGIT
        assert (plane == sam_module.OUTSIDE_LOGIT).all()


@torch.inference_mode()
def test_what_is_far_is_seen(tiny: Sam) -> None:
    """The decoder's answer depends on cells far outside the window, too."""
    features, prompts = torch.randn(1, 32, 16, 16), random_prompts("boxes", 1)
    before, _ = tiny.decode(features, prompts, multimask=True, windows=[(0, 0, 2, 2)])
    features[..., 12:, 12:] += 3
    after, _ = tiny.decode(features, prompts, multimask=True, windows=[(0, 0, 2, 2)])
    assert (after - before)[..., :8, :8].abs().max() > 1e-2


@torch.inference_mode()
def test_many_points_give_what_few_give(tiny: Sam) -> None:
    """A prompt of many points goes another way through the decoder, to the same place."""
    features = torch.randn(1, 32, 16, 16)
    xy = torch.tensor([[[30.0, 40.0], [100.0, 90.0], [200.0, 31.0]]])
    prompts = PromptTensors(xy, torch.ones(1, 3))
    logits, _ = tiny.decode(features, prompts, multimask=False)
    for layer in tiny.mask_decoder.modules():
        if hasattr(layer, "inner"):
            assert layer.heads * (5 + 3 + 1) > layer.inner  # as written
    few, _ = tiny.double().decode(features.double(), prompts, multimask=False)
    torch.testing.assert_close(logits, few, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("model", ["tiny", "tiny_mobile"])
@torch.inference_mode()
def test_half_precision_runs_and_is_close(
    model: str, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    """Encode and decode run in half precision, near float32, and results come as float32."""
    sam: Sam = request.getfixturevalue(model)
    size = sam.config.image_size
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    prompts = PromptTensors(boxes_bp=torch.tensor([[20.0, 30.0, 90.0, 80.0]]))
    features = sam.encode(image)
    logits, iou = sam.decode(features, prompts, multimask=True)
    windows = [(1, 0, 4, 5)]
    seen, seen_iou = sam.decode(features, prompts, multimask=True, windows=windows)
    half = sam.to(dtype)
    half_features = half.encode(image)
    half_logits, half_iou = half.decode(half_features, prompts, multimask=True)
    assert half_features.dtype == dtype
    half_seen, half_seen_iou = half.decode(half_features, prompts, multimask=True, windows=windows)
    found = (half_logits, half_iou, half_seen, half_seen_iou)
    assert all(result.dtype == torch.float32 for result in found)
    pairs = zip((half_features, *found), (features, logits, iou, seen, seen_iou), strict=True)
    for ours, exact in pairs:
        error = (ours.float() - exact).norm() / exact.norm()
        assert error < (0.08 if dtype == torch.bfloat16 else 0.01)


def test_preprocess_normalises_then_pads_with_zeros(tiny: Sam) -> None:
    """Padding is zero after normalisation, and only right and below."""
    image = torch.full((100, 256, 3), 200, dtype=torch.uint8)
    frame = tiny.preprocess(image)
    assert frame.shape == (3, 256, 256)
    mean, std = (torch.tensor(v) for v in (tiny.config.pixel_mean, tiny.config.pixel_std))
    torch.testing.assert_close(frame[:, 99, 255], (200 - mean) / std)
    assert torch.equal(frame[:, 100:], torch.zeros(3, 156, 256))


def test_preprocess_in_half_precision_rounds_once(tiny: Sam) -> None:
    """The normalisation itself is done in float32."""
    image = torch.randint(0, 256, (256, 256, 3), dtype=torch.uint8)
    exact = tiny.preprocess(image)
    assert torch.equal(tiny.to(torch.bfloat16).preprocess(image), exact.to(torch.bfloat16))


@pytest.mark.parametrize("shape", [(255, 255, 3), (256, 256), (256, 300, 3), (256, 256, 4)])
def test_preprocess_refuses_other_shapes(tiny: Sam, shape: tuple[int, ...]) -> None:
    """An image that is not resized to the frame is an error, not a surprise."""
    with pytest.raises(ValueError, match="Resize it first"):
        tiny.preprocess(torch.zeros(shape))


def test_encode_refuses_other_shapes(tiny: Sam) -> None:
    """Only whole frames are encoded."""
    with pytest.raises(ValueError, match=r"allowed is \(B, 3, 256, 256\)"):
        tiny.encode(torch.zeros(1, 3, 256, 128))


@pytest.mark.parametrize("shape", [(2, 32, 16, 16), (1, 32, 8, 8), (32, 16, 16)])
def test_decode_refuses_features_of_another_shape(tiny: Sam, shape: tuple[int, ...]) -> None:
    """Features are those of exactly one plane."""
    with pytest.raises(ValueError, match=r"allowed is \(1, 32, 16, 16\)"):
        tiny.decode(torch.zeros(shape), random_prompts("boxes", 2), multimask=False)


def test_decode_refuses_no_prompts(tiny: Sam) -> None:
    """Nothing asked is an error, not an empty answer."""
    with pytest.raises(ValueError, match="give at least one"):
        tiny.decode(torch.zeros(1, 32, 16, 16), random_prompts("boxes", 0), multimask=False)


@pytest.mark.parametrize("windows", [None, [(0, 0, 4, 4), (2, 3, 9, 8), (0, 0, 16, 16)]])
def test_gradients_reach_every_trainable_part(
    tiny: Sam, windows: list[tuple[int, int, int, int]] | None
) -> None:
    """Nothing on the way is detached, so that the model can be finetuned."""
    tiny.requires_grad_(True)
    features = tiny.encode(torch.randn(1, 3, 256, 256))
    prompts = random_prompts("points boxes masks", 3)
    logits, iou = tiny.decode(features, prompts, multimask=True, windows=windows)
    (logits.mean() + iou.mean()).backward()
    without = {name for name, p in tiny.named_parameters() if p.grad is None}
    unused = ("prompt_encoder.not_a_point_embed", "prompt_encoder.no_mask_embed")
    single = "mask_decoder.output_hypernetworks_mlps.0."
    assert all(name.startswith((*unused, single)) for name in without)
