"""The model computes what the official implementations compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from samslice.model.build import load_checkpoint
from samslice.model.config import VARIANTS, SamConfig
from samslice.model.prompt_encoder import PromptTensors
from samslice.model.sam import Sam

DATA = Path(__file__).parents[1] / "data"


def relative_error(ours: torch.Tensor, theirs: np.ndarray) -> float:
    return float(np.linalg.norm(ours.numpy() - theirs) / np.linalg.norm(theirs))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("tiny", "filled_tiny_256.npz"),
        ("vit_b", "filled_vit_b.npz"),
        pytest.param("vit_l", "filled_vit_l.npz", marks=pytest.mark.slow),
    ],
)
def test_filled_weights_give_the_official_numbers(
    name: str,
    file: str,
    fill: Callable[[SamConfig], Sam],
    golden_prompts: Callable[[int, torch.Tensor], Mapping[str, PromptTensors]],
) -> None:
    """Embedding within 1e-4, logits and IoU within 1e-3, for every prompt in the file."""
    golden = np.load(DATA / file)
    sam = fill(VARIANTS[name])
    size = sam.config.image_size
    image = np.random.default_rng(0).standard_normal((1, 3, size, size), dtype=np.float32)
    checked = set()
    with torch.inference_mode():
        embedding = sam.encode(torch.from_numpy(image))
        every_8th = embedding[:, ::8, ::4, ::4]
        assert relative_error(every_8th, golden["embedding_every_8th"]) <= 1e-4
        mean_std = torch.stack([embedding.mean(), embedding.std()])
        assert relative_error(mean_std, golden["embedding_mean_std"]) <= 1e-4

        mask_size = sam.config.mask_size
        box_point = golden_prompts(size, torch.zeros(1, 1, mask_size, mask_size))["box_point"]
        fed_back, _ = sam.decode(embedding, box_point, multimask=False)
        for prompt, tensors in golden_prompts(size, fed_back).items():
            for multi in (0, 1):
                key = f"{prompt}/multi{multi}"
                if f"{key}/iou" not in golden:
                    continue
                logits, iou = sam.decode(embedding, tensors, multimask=bool(multi))
                ours = logits[..., ::4, ::4]
                assert relative_error(ours, golden[f"{key}/logits_every_4th"]) <= 1e-3, key
                assert relative_error(iou, golden[f"{key}/iou"]) <= 1e-3, key
                checked |= {f"{key}/iou", f"{key}/logits_every_4th"}
    assert checked | {"embedding_every_8th", "embedding_mean_std"} == set(golden.files)


def _official_input(sam: Sam, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The frame as the official code makes it, and its (x, y) scale."""
    rows, cols = image.shape[:2]
    scale = sam.config.image_size / max(rows, cols)
    new_rows, new_cols = int(rows * scale + 0.5), int(cols * scale + 0.5)
    resized = Image.fromarray(image).resize((new_cols, new_rows), Image.Resampling.BILINEAR)
    frame = sam.preprocess(torch.from_numpy(np.array(resized)))
    return frame[None], torch.tensor([new_cols / cols, new_rows / rows])


def _prompt_tensors(
    golden: Mapping[str, np.ndarray], prompt: str, scale_xy: torch.Tensor
) -> PromptTensors:
    given = "box" if prompt == "box+mask" else prompt
    points = labels = box = mask = None
    if f"{given}/point_coords" in golden:
        points = torch.from_numpy(golden[f"{given}/point_coords"])[None] * scale_xy
        labels = torch.from_numpy(golden[f"{given}/point_labels"])[None]
    if f"{given}/box" in golden:
        box = (torch.from_numpy(golden[f"{given}/box"]).view(2, 2) * scale_xy).view(1, 4)
    if prompt == "box+mask":
        mask = torch.from_numpy(golden["box+mask/mask_input"])[None]
    return PromptTensors(points, labels, box, mask)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["amg_nuclei_256", "em_300x517", "amg_ihc_384x512"])
def test_mobile_sam_gives_the_official_numbers(
    name: str, mobile_sam_path: Path, shared_dir: Path
) -> None:
    """Real weights on real images: embedding, logits and scores, for every prompt in the file."""
    golden = np.load(shared_dir / "golden" / f"mobile_sam_{name}.npz")
    sam = load_checkpoint(mobile_sam_path)
    assert sam.config == VARIANTS["mobile_sam"]
    with torch.inference_mode():
        frame, scale_xy = _official_input(sam, golden["image"])
        embedding = sam.encode(frame)
        every_8th = embedding[:, ::8, ::4, ::4]
        assert relative_error(every_8th, golden["embedding_every_8th"]) <= 1e-4
        keys = [key.removesuffix("/scores") for key in golden.files if key.endswith("/scores")]
        assert len(keys) == 9
        for key in keys:
            prompt, _, multi = key.partition("/multi")
            tensors = _prompt_tensors(golden, prompt, scale_xy)
            logits, scores = sam.decode(embedding, tensors, multimask=multi == "1")
            # The file's logits are rounded to float16, which alone is 2e-4.
            assert relative_error(logits[0], golden[f"{key}/logits"].astype("f4")) <= 1e-3, key
            assert np.abs(scores[0].numpy() - golden[f"{key}/scores"]).max() <= 1e-4, key
