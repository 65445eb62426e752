"""A running encoder can be stopped between two of its layers, and only by its own caller."""

import threading

import numpy as np
import pytest

from samslice.engine.backend import SamModel
from samslice.engine.cache import EmbeddingCache
from samslice.engine.normalize import Normalization
from samslice.engine.predictor import Predictor
from samslice.engine.progress import Cancel, Cancelled
from samslice.model.build import build
from samslice.model.config import VARIANTS

PLANE = np.arange(24 * 32).reshape(24, 32)


@pytest.fixture
def sam():
    return build(VARIANTS["tiny"])


@pytest.fixture
def predictor(sam):
    model = SamModel(sam, name="tiny", fingerprint="t", device="cpu")
    return Predictor(model, cache=EmbeddingCache())


def hooks(sam):
    return sum(len(layer._forward_pre_hooks) for layer in sam.modules())


def test_cancel_within_a_pass_stops_it_and_leaves_no_hook(sam, predictor):
    cancel = Cancel()
    layers = list(sam.image_encoder.modules())
    seen = []

    def set_half_way(layer, _):
        seen.append(layer)
        if len(seen) == 5:
            cancel.set()

    for layer in layers:
        layer.register_forward_pre_hook(set_half_way)
    before = hooks(sam)
    with pytest.raises(Cancelled):
        predictor.encode(PLANE, cancel=cancel)
    assert len(seen) < len(layers) / 2
    assert hooks(sam) == before
    key = predictor.embedding_key(PLANE)
    assert key not in predictor.cache


def test_an_unset_cancel_changes_nothing(sam, predictor):
    plain = predictor.encode(PLANE)
    predictor.cache.clear()
    watched = predictor.encode(PLANE, cancel=Cancel())
    np.testing.assert_array_equal(plain.features["image"], watched.features["image"])
    assert hooks(sam) == 0


def test_another_threads_pass_through_the_same_network_goes_on(sam, predictor):
    """Two sessions share a model: the one's cancel is not the other's."""
    model, cancel = predictor.model, Cancel()
    inside, results = threading.Event(), []
    picture = np.zeros((8, 8, 3), np.uint8)

    def encode_meanwhile():
        results.append(model.encode([picture]))
        inside.set()

    def on_first_layer(*_):
        handle.remove()
        cancel.set()
        other = threading.Thread(target=encode_meanwhile)
        other.start()
        assert inside.wait(20)
        other.join()

    handle = sam.image_encoder.register_forward_pre_hook(on_first_layer)
    with pytest.raises(Cancelled):
        model.encode([picture], cancel=cancel)
    assert len(results[0]) == 1


def test_the_key_says_whether_the_cache_has_a_plane(predictor):
    policy = Normalization((0.0,), (700.0,))
    key = predictor.embedding_key(PLANE, normalization=policy)
    assert key not in predictor.cache
    predictor.encode(PLANE, normalization=policy)
    assert key in predictor.cache
    assert predictor.embedding_key(PLANE) not in predictor.cache


def test_a_plane_that_is_in_the_cache_is_not_normalised_again(predictor, monkeypatch):
    """A click on a large plane waits for the decoder alone."""
    policy = Normalization((0.0,), (700.0,))
    first = predictor.encode(PLANE, normalization=policy)

    def refuse(*_):
        raise RuntimeError("the picture was made again")

    monkeypatch.setattr(Normalization, "apply", refuse)
    again = predictor.encode(PLANE, normalization=policy)
    assert again.frame == first.frame
    np.testing.assert_array_equal(again.features["image"], first.features["image"])
