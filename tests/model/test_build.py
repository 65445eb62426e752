from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from samslice.model.build import CheckpointError, build, infer_config, load_checkpoint
from samslice.model.config import VARIANTS, SamConfig
from samslice.model.convert import find_state_dict
from samslice.model.prompt_encoder import PromptTensors
from samslice.model.sam import Sam

State = dict[str, torch.Tensor]


@pytest.fixture
def state(tiny: Sam) -> State:
    return dict(tiny.state_dict())


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object], Path]:
    def save(content: object) -> Path:
        path = tmp_path / "checkpoint.pth"
        torch.save(content, path)
        return path

    return save


def meta_state(config: SamConfig) -> State:
    """Keys and shapes of a variant, without its memory."""
    with torch.device("meta"):
        return dict(build(config).state_dict())


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_told_from_its_keys_and_shapes(name: str) -> None:
    """The configuration follows from the state dict alone."""
    assert infer_config(meta_state(VARIANTS[name])) == VARIANTS[name]


def test_unlisted_geometry_is_inferred_too() -> None:
    """Depth, widths, windows, patch and image size are read off the shapes."""
    encoder = replace(
        VARIANTS["vit_b"].encoder, depth=3, width=96, heads=4, global_blocks=(0,), mlp_width=100
    )
    config = replace(VARIANTS["vit_b"], image_size=512, encoder=encoder)
    inferred = infer_config(meta_state(config))
    assert replace(inferred, name=config.name) == config
    assert inferred.name == "unlisted ViT of 512 px"


@torch.inference_mode()
def test_loaded_model_is_the_saved_one(tiny: Sam, save: Callable[[object], Path]) -> None:
    """A round trip through a file changes nothing, and the result is ready for inference."""
    loaded = load_checkpoint(save(tiny.state_dict()))
    assert loaded.config == tiny.config
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    image, prompts = torch.randn(1, 3, 256, 256), PromptTensors(boxes_bp=256 * torch.rand(2, 4))
    features = tiny.encode(image)
    assert torch.equal(loaded.encode(image), features)
    for ours, theirs in zip(
        loaded.decode(features, prompts, multimask=True),
        tiny.decode(features, prompts, multimask=True),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


@torch.inference_mode()
def test_lite_medsam_geometry_loads(
    fill: Callable[[SamConfig], Sam], save: Callable[[object], Path]
) -> None:
    """A checkpoint with LiteMedSAM's keys and shapes is recognised, loads and runs."""
    sam = fill(VARIANTS["lite_medsam"])
    loaded = load_checkpoint(save(sam.state_dict()))
    assert loaded.config == VARIANTS["lite_medsam"]
    assert loaded.preprocess(torch.full((256, 256, 3), 255)).unique().tolist() == [1.0]
    image = torch.rand(1, 3, 256, 256)
    expected = sam.encode(image)
    error = (loaded.encode(image) - expected).norm() / expected.norm()
    assert error < 1e-4
    logits, _ = loaded.decode(expected, PromptTensors(boxes_bp=torch.rand(1, 4)), multimask=False)
    assert logits.shape == (1, 1, 256, 256)


def test_training_checkpoint_of_micro_sam_loads(
    state: State, save: Callable[[object], Path]
) -> None:
    """The state dict is found beside an optimizer's state, under a prefix."""
    wrapped = {"model_state": {f"sam.{k}": v for k, v in state.items()}, "epoch": 5}
    assert load_checkpoint(save(wrapped)).config.name == "tiny"


def test_half_precision_checkpoint_loads_as_float32(
    state: State, save: Callable[[object], Path]
) -> None:
    """Whatever precision it is stored in, a model is float32."""
    loaded = load_checkpoint(save({k: v.half() for k, v in state.items()}))
    assert {p.dtype for p in loaded.state_dict().values()} == {torch.float32}


@pytest.mark.weights
def test_official_file_loads_strictly(mobile_sam_path: Path) -> None:
    """The official file has exactly our keys, but for the unused classification head."""
    official = torch.load(mobile_sam_path, weights_only=True, map_location="cpu")
    ours = meta_state(VARIANTS["mobile_sam"])
    assert {k: v.shape for k, v in find_state_dict(official).items()} == {
        k: v.shape for k, v in ours.items()
    }
    assert load_checkpoint(mobile_sam_path).config is VARIANTS["mobile_sam"]


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is not there stays an OSError."""
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "nothing.pth")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_truncated_file(state: State, save: Callable[[object], Path], share: float) -> None:
    """A file cut anywhere is refused, with its name and the remedy."""
    path = save(state)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=re.escape(str(path))) as caught:
        load_checkpoint(path)
    assert "fetch it again" in str(caught.value)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"\x80\x02x", b"PK\x03\x04" + bytes(99)])
def test_foreign_file(tmp_path: Path, content: bytes) -> None:
    """A web page, half a pickle or another archive is refused as what it is: no checkpoint."""
    path = tmp_path / "page.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=re.escape(str(path))):
        load_checkpoint(path)


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_damaged_file(tmp_path: Path, seed: int, as_zip: bool) -> None:
    """Whatever a cut or flipped bytes lead torch.load into, the file is refused by name."""
    path = tmp_path / "damaged.pth"
    parts = {f"image_encoder.{i}": torch.zeros(i, 2) for i in range(4)}
    torch.save(parts, path, _use_new_zipfile_serialization=as_zip)
    whole = path.read_bytes()
    chance = random.Random(seed)
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 8))):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=re.escape(str(path))) as caught:
            load_checkpoint(path)
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (IndexError("list index out of range"), "IndexError: list index out of range"),
        (KeyError(4785755), "KeyError: 4785755"),
        (AssertionError(), "AssertionError"),
        (OSError(22, "Invalid argument"), r"OSError: \[Errno 22\] Invalid argument"),
        (RuntimeError("no central directory. This is\nan error."), "no central directory"),
    ],
)
def test_reason_of_a_damaged_file_is_a_sentence(
    state: State,
    save: Callable[[object], Path],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    reason: str,
) -> None:
    """The type is named where the message alone says nothing, and the remedy stands apart."""

    def fail(*_: object, **__: object) -> None:
        raise error

    path = save(state)
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(CheckpointError, match=rf"cannot be read: {reason}\. It is truncated"):
        load_checkpoint(path)


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("exploited"),)


def test_pickled_object_is_refused_without_running_it(
    save: Callable[[object], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading a file never runs code from it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="could run code"):
        load_checkpoint(save({"model": Exploit()}))
    assert not (tmp_path / "exploited").exists()


def test_foreign_state_dict(save: Callable[[object], Path]) -> None:
    """Another network's weights are refused, naming the first keys."""
    path = save(torch.nn.Linear(2, 3).state_dict())
    with pytest.raises(CheckpointError, match="a dict with the keys 'weight', 'bias'") as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def test_renamed_key(state: State, save: Callable[[object], Path]) -> None:
    """A renamed key is named twice: as missing and as unexpected."""
    state["mask_decoder.renamed"] = state.pop("mask_decoder.iou_prediction_head.layers.2.bias")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(save(state))
    assert "1 missing: mask_decoder.iou_prediction_head.layers.2.bias" in str(caught.value)
    assert "1 unexpected: mask_decoder.renamed" in str(caught.value)


def test_wrong_shape(state: State, save: Callable[[object], Path]) -> None:
    """A tensor of another shape is named with both shapes."""
    state["image_encoder.neck.1.bias"] = torch.zeros(7)
    with pytest.raises(CheckpointError, match=r"neck\.1\.bias \(7,\) instead of \(32,\)"):
        load_checkpoint(save(state))


@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64])
def test_wrong_type(state: State, save: Callable[[object], Path], dtype: torch.dtype) -> None:
    """A tensor that holds no real numbers is named with both types."""
    state["image_encoder.neck.1.bias"] = torch.zeros(32, dtype=dtype)
    with pytest.raises(CheckpointError, match=rf"neck\.1\.bias {dtype} instead of torch\.float32"):
        load_checkpoint(save(state))


@pytest.mark.parametrize(
    "key",
    [
        "image_encoder.pos_embed",
        "image_encoder.blocks.0.attn.rel_pos_h",
        "mask_decoder.mask_tokens.weight",
        "prompt_encoder.no_mask_embed.weight",
    ],
)
def test_key_that_tells_the_architecture_is_missing(
    state: State, save: Callable[[object], Path], key: str
) -> None:
    """Without a key that the inference needs, the error says so instead of guessing."""
    del state[key]
    with pytest.raises(CheckpointError, match=r"no |neither"):
        load_checkpoint(save(state))


def test_unknown_decoder_width(state: State) -> None:
    """The number of heads cannot be seen, so an unknown width is refused with the known ones."""
    state["mask_decoder.mask_tokens.weight"] = torch.zeros(4, 48)
    with pytest.raises(CheckpointError, match="48 channels; known are 32, 256"):
        infer_config(state)


def test_unknown_stem() -> None:
    """A TinyViT with another stem has unknown strides, so it is refused."""
    state = meta_state(VARIANTS["mobile_sam"])
    state["image_encoder.patch_embed.seq.0.c.weight"] = torch.zeros(32, 3, 5, 5)
    with pytest.raises(CheckpointError, match="kernels of 5 pixels"):
        infer_config(state)


@pytest.mark.parametrize(
    "key", ["image_encoder.patch_embed.proj.weight", "image_encoder.neck.0.weight"]
)
def test_empty_tensor(state: State, save: Callable[[object], Path], key: str) -> None:
    """A tensor without elements is named before a model is made of nothing."""
    state[key] = state[key][..., :0]
    with pytest.raises(CheckpointError, match=rf"{re.escape(key)} has no elements"):
        load_checkpoint(save(state))


def test_shapes_that_fit_nothing(state: State) -> None:
    """Shapes that the inference cannot read at all are a checkpoint's error, not a crash."""
    for key in ("image_encoder.pos_embed", "image_encoder.blocks.0.mlp.lin1.weight"):
        with pytest.raises(CheckpointError, match="fit no known architecture"):
            infer_config({**state, key: torch.tensor(4.0)})
    with pytest.raises(CheckpointError, match="fit no known architecture"):
        infer_config({**state, "image_encoder.pos_embed": torch.zeros(4)})
