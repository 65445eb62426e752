"""The predictor: any image in, masks out; and the same masks as the official predictor's."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from samslice.engine.backend import SamModel, load_model
from samslice.engine.cache import EmbeddingCache
from samslice.engine.normalize import Normalization
from samslice.engine.predictor import Predictor
from samslice.engine.types import Prompt
from samslice.model.build import build
from samslice.model.config import VARIANTS


@pytest.fixture(scope="module")
def tiny():
    return SamModel(build(VARIANTS["tiny"]), name="tiny", fingerprint="test", device="cpu")


@pytest.fixture
def predictor(tiny):
    return Predictor(tiny)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 4000, (60, 80), dtype=np.uint16)


DTYPES = [
    "bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (20, 30, 4)])
def test_any_dtype_and_channels(predictor, dtype, shape):
    plane = np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
    prediction = predictor.predict(predictor.encode(plane), Prompt(points=[(5, 5)]))
    assert prediction.masks.shape == (3, 20, 30)
    assert prediction.masks.dtype == bool


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3)])
def test_extreme_shapes(predictor, shape):
    plane = np.arange(shape[0] * shape[1]).reshape(shape)
    prediction = predictor.predict(predictor.encode(plane), Prompt(box=(0, 0, *shape)))
    assert prediction.mask.shape == shape


def test_nan_and_inf_pass_without_a_warning(predictor):
    plane = np.ones((16, 16))
    plane[0, :3] = [np.nan, np.inf, -np.inf]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prediction = predictor.predict(predictor.encode(plane), Prompt(points=[(5, 5)]))
    assert np.isfinite(prediction.logits).all()


@pytest.mark.parametrize("plane", [np.zeros((4, 4, 2)), np.zeros(5), np.zeros((2, 2, 2, 3))])
def test_wrong_dimensions_are_named(predictor, plane):
    with pytest.raises(ValueError, match="shape"):
        predictor.encode(plane)


def test_a_lone_click_yields_three_candidates_best_first(predictor, image):
    embedding = predictor.encode(image)
    three = predictor.predict(embedding, Prompt(points=[(5, 5)]))
    assert three.scores.shape == (3,)
    assert (np.diff(three.scores) <= 0).all()
    assert three.score == three.scores[0]
    np.testing.assert_array_equal(three.mask, three.masks[0])
    assert len(predictor.predict(embedding, Prompt(box=(2, 2, 9, 9))).scores) == 1
    assert len(predictor.predict(embedding, Prompt(points=[(5, 5), (9, 9)])).scores) == 1


def test_many_equals_one_by_one_in_order(predictor, image):
    """Prompts of all structures, in more chunks than one, in the caller's order."""
    mask = np.zeros(image.shape, bool)
    mask[10:20, 10:30] = True
    prompts = [
        Prompt(points=[(5, 5)]),
        Prompt(box=(2, 3, 30, 40)),
        Prompt(points=[(5, 5), (50, 70)], positive=[True, False]),
        Prompt(mask=mask),
        Prompt(points=[(8, 9)], box=(2, 3, 30, 40)),
        Prompt(points=[(30, 30)]),
        Prompt(points=[(12, 12)], mask=mask),
        Prompt(box=(12, 3, 33, 44)),
        Prompt(box=(1, 3, 13, 14)),
    ]
    embedding = predictor.encode(image)
    predictor.decode_batch = 2
    for prompt, many in zip(prompts, predictor.predict_many(embedding, prompts), strict=True):
        one = predictor.predict(embedding, prompt)
        np.testing.assert_allclose(many.logits, one.logits, atol=1e-4)
        np.testing.assert_allclose(many.scores, one.scores, atol=1e-5)


def test_many_with_windows_equal_one_by_one_in_order(predictor, image):
    """Prompts of all structures, each with its own window; refined ones keep theirs."""
    mask = np.zeros(image.shape, bool)
    mask[10:20, 10:30] = True
    prompts = [
        Prompt(points=[(5, 5)]),
        Prompt(box=(2, 3, 30, 40)),
        Prompt(mask=mask),
        Prompt(box=(12, 3, 33, 44)),
    ]
    windows = [(0, 0, 60, 80), (0, 0, 40, 50), (5, 5, 25, 35), (10, 0, 40, 50)]
    embedding = predictor.encode(image)
    predictor.decode_batch = 2
    many = predictor.predict_many(embedding, prompts, windows=windows, refine=True)
    for prompt, window, found in zip(prompts, windows, many, strict=True):
        (one,) = predictor.predict_many(embedding, [prompt], windows=[window], refine=True)
        np.testing.assert_allclose(found.logits, one.logits, atol=1e-3)
        np.testing.assert_allclose(found.scores, one.scores, atol=1e-4)
    inside = [(p.logits != p.logits.min()).any(axis=0).mean() for p in many]
    assert inside[0] == 1
    assert all(share < 1 for share in inside[1:])


def test_a_mask_is_empty_outside_its_window(predictor, image):
    prompt, window = Prompt(points=[(30, 50)]), (24, 44, 36, 56)
    embedding = predictor.encode(image)
    (found,) = predictor.predict_many(embedding, [prompt], windows=[window])
    drawn = found.logits != found.logits.min()
    # Whole blocks of 4 x 4 cells: twenty pixels of this plane, 16 logits.
    assert drawn[:, 16:32, 32:48].all()
    drawn[:, 16:32, 32:48] = False
    assert not drawn.any()
    grown = found.masks.copy()
    grown[:, 19:41, 39:61] = False
    assert not grown.any()


@pytest.mark.parametrize(
    "window",
    [(0, 0, 61, 10), (-1, 0, 5, 5), (5, 5, 5, 9), (0.0, 0.0, 9.0, 9.0), (0, 0, 9), None, 7],
)
def test_windows_that_are_no_part_of_the_plane_are_refused(predictor, image, window):
    with pytest.raises(ValueError, match="60 x 80 pixels"):
        predictor.predict_many(predictor.encode(image), [Prompt(points=[(5, 5)])], windows=[window])


def test_windows_and_prompts_go_together(predictor, image):
    with pytest.raises(ValueError, match="2 windows for 1 prompts"):
        predictor.predict_many(
            predictor.encode(image), [Prompt(points=[(5, 5)])], windows=2 * [(0, 0, 9, 9)]
        )


def test_encode_many_equals_one_by_one(predictor, image):
    planes = [image, image[::-1], image[:, :20]]
    predictor.encode_batch = 2
    for plane, many in zip(planes, predictor.encode_many(iter(planes)), strict=True):
        one = predictor.encode(plane)
        assert one.shape == many.shape == plane.shape
        np.testing.assert_allclose(many.features["image"], one.features["image"], atol=1e-4)


def test_no_prompt_is_no_prediction(predictor, image):
    assert predictor.predict_many(predictor.encode(image), []) == []


def test_an_embedding_cannot_be_changed(predictor, image):
    with pytest.raises(ValueError, match="read-only"):
        predictor.encode(image).features["image"][0] = 0


def test_prompt_outside_the_plane_is_refused(predictor, image):
    with pytest.raises(ValueError, match="60 rows and 80 columns"):
        predictor.predict(predictor.encode(image), Prompt(points=[(61, 5)]))


def test_something_else_than_a_prompt_is_refused(predictor, image):
    with pytest.raises(TypeError, match=r"samslice\.Prompt"):
        predictor.predict(predictor.encode(image), (3, 4))


def test_logits_of_another_size_are_refused(predictor, image):
    with pytest.raises(ValueError, match=r"\(64, 64\)"):
        predictor.predict(predictor.encode(image), Prompt(logits=np.ones((256, 256))))


def test_an_embedding_of_another_model_is_refused(tiny, predictor, image):
    other = Predictor(
        SamModel(build(VARIANTS["tiny"]), name="tiny", fingerprint="other", device="cpu")
    )
    with pytest.raises(ValueError, match="encode the plane with this predictor"):
        other.predict(predictor.encode(image), Prompt(points=[(1, 1)]))


def test_a_plane_is_encoded_once(tiny, image, monkeypatch, tmp_path):
    """By content: the same pixels again, or from another run, cost nothing."""
    pictures = []
    encode = tiny.encode
    monkeypatch.setattr(tiny, "encode", lambda batch: pictures.extend(batch) or encode(batch))
    first = Predictor(tiny, cache=EmbeddingCache(tmp_path)).encode(image)
    predictor = Predictor(tiny, cache=EmbeddingCache(tmp_path))
    again = predictor.encode(image.copy())
    assert len(pictures) == 1
    np.testing.assert_array_equal(first.features["image"], again.features["image"])
    predictor.encode(image, normalization=Normalization(low=(0.0,), high=(9999.0,)))
    assert len(pictures) == 2


def test_running_out_of_memory_halves_the_batch_and_goes_on(tiny, image, monkeypatch):
    encode = tiny.encode

    def small(batch):
        if len(batch) > 1:
            raise MemoryError("out of memory")
        return encode(batch)

    monkeypatch.setattr(tiny, "encode", small)
    predictor = Predictor(tiny, encode_batch=4)
    with pytest.warns(UserWarning, match="memory"):
        assert len(predictor.encode_many([image] * 3)) == 3
    assert predictor.encode_batch == 1


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("variant", ["tiny", "mobile_sam"])
def test_a_lower_precision_of_the_encoder_is_close_to_float32(variant, precision, image):
    """The decoder stays in float32, so features and scores go on as they are."""
    torch.manual_seed(0)
    state = build(VARIANTS[variant]).state_dict()
    embeddings = []
    for wanted in ("float32", precision):
        sam = build(VARIANTS[variant])
        sam.load_state_dict(state)
        model = SamModel(sam, name="x", fingerprint="x", device="cpu", precision=wanted)
        predictor = Predictor(model)
        embeddings.append(predictor.encode(image))
        prediction = predictor.predict(embeddings[-1], Prompt(points=[(5, 5)]))
        assert np.isfinite(prediction.logits).all()
    exact, rough = (e.features["image"] for e in embeddings)
    assert rough.dtype == np.float32
    assert np.linalg.norm(rough - exact) < 0.05 * np.linalg.norm(exact)
    assert embeddings[0].model_key != embeddings[1].model_key


@pytest.mark.parametrize("name", ["encode_batch", "decode_batch"])
def test_batches_hold_at_least_one(tiny, name):
    with pytest.raises(ValueError, match=name):
        Predictor(tiny, **{name: 0})


@pytest.fixture(scope="module")
def mobile_sam(mobile_sam_path):
    return Predictor(load_model(mobile_sam_path, device="cpu"))


def _prompts(golden):
    """Every prompt of a golden file, turned from SAM's (x, y) into ours."""
    prompts = {}
    for name in ("point", "points_neg", "box", "box_point"):
        points = positive = box = None
        if f"{name}/point_coords" in golden:
            points = golden[f"{name}/point_coords"][:, ::-1]
            positive = golden[f"{name}/point_labels"] == 1
        if f"{name}/box" in golden:
            col0, row0, col1, row1 = golden[f"{name}/box"].ravel()
            box = (row0, col0, row1 + 1, col1 + 1)
        prompts[name] = Prompt(points=points, positive=positive, box=box)
    fed_back = golden["box+mask/mask_input"].reshape(256, 256)
    prompts["box+mask"] = Prompt(box=prompts["box"].box, logits=fed_back)
    return prompts


@pytest.mark.weights
@pytest.mark.parametrize("name", ["amg_nuclei_256", "em_300x517", "amg_ihc_384x512"])
def test_parity_with_the_official_predictor(mobile_sam, shared_dir, name):
    """Mask IoU at least 0.99 and scores within 5e-3, for every prompt."""
    golden = np.load(shared_dir / "golden" / f"mobile_sam_{name}.npz")
    embedding = mobile_sam.encode(golden["image"])
    for label, prompt in _prompts(golden).items():
        for multimask in (False, True):
            stem = label if label == "box+mask" else f"{label}/multi{int(multimask)}"
            if f"{stem}/scores" not in golden or (label == "box+mask" and multimask):
                continue
            prediction = mobile_sam.predict(embedding, prompt, multimask=multimask)
            scores = golden[f"{stem}/scores"].ravel()
            order = np.argsort(-scores, kind="stable")
            np.testing.assert_allclose(prediction.scores, scores[order], atol=5e-3)
            packed = golden[f"{stem}/masks"]
            width = golden["image"].shape[1]
            masks = np.unpackbits(packed, axis=-1, count=width).astype(bool)
            masks = masks.reshape(-1, *golden["image"].shape[:2])[order]
            for ours, theirs in zip(prediction.masks, masks, strict=True):
                assert (ours & theirs).sum() >= 0.99 * (ours | theirs).sum(), (stem, name)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["amg_nuclei_256", "em_300x517", "amg_ihc_384x512"])
def test_masks_in_a_window_are_nearly_those_of_the_whole_plane(mobile_sam, shared_dir, name):
    """What is far from an object is seen coarsely; a mask that is sure hardly changes."""
    golden = np.load(shared_dir / "golden" / f"mobile_sam_{name}.npz")
    embedding = mobile_sam.encode(golden["image"])
    shape = golden["image"].shape[:2]
    prompts = [prompt for prompt in _prompts(golden).values() if prompt.box is not None]
    prompts = [replace(prompt, logits=None) for prompt in prompts]
    masks = [p.mask for p in mobile_sam.predict_many(embedding, prompts, multimask=True)]
    prompts += [Prompt(box=p.box, mask=m) for p, m in zip(prompts, masks, strict=True)]
    windows = []
    for prompt in prompts:
        row0, col0, row1, col1 = (int(n) for n in prompt.box)
        room = max(shape) // 8
        low = (max(row0 - room, 0), max(col0 - room, 0))
        windows.append((*low, min(row1 + room, shape[0]), min(col1 + room, shape[1])))
    whole = mobile_sam.predict_many(embedding, prompts, multimask=True)
    inside = mobile_sam.predict_many(embedding, prompts, multimask=True, windows=windows)
    for one, other, (row0, col0, row1, col1) in zip(whole, inside, windows, strict=True):
        np.testing.assert_allclose(other.scores, one.scores, atol=0.05)
        assert np.array_equal(other.scores, np.sort(other.scores)[::-1])
        there = np.s_[row0:row1, col0:col1]
        mask, other_mask = one.mask[there], other.mask[there]
        if one.score > 0.8:  # of others two candidates may be so close that they change places
            assert (mask & other_mask).sum() > 0.98 * (mask | other_mask).sum()


def test_refined_boxes_are_asked_again_with_their_own_logits_and_nothing_else_is(predictor, image):
    embedding = predictor.encode(image)
    box, click = Prompt(box=(5, 5, 30, 40)), Prompt(points=[(9, 9)])
    mixed = Prompt(points=[(9, 9)], box=(5, 5, 30, 40))
    once = predictor.predict_many(embedding, [click, box, mixed])
    twice = predictor.predict_many(embedding, [click, box, mixed], refine=True)
    again = Prompt(box=box.box, logits=once[1].logits[0])
    expected = [once[0], predictor.predict(embedding, again), once[2]]
    for found, wanted in zip(twice, expected, strict=True):
        np.testing.assert_allclose(found.logits, wanted.logits, rtol=1e-4, atol=1e-4)
    assert not np.allclose(twice[1].logits, once[1].logits)
