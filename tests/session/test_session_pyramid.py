"""Images that are also there at lower resolutions, and other models."""

import numpy as np
import pytest

from samslice.engine.cache import EmbeddingCache
from samslice.engine.predictor import Predictor
from samslice.engine.types import Prompt
from samslice.session.session import Session
from samslice.session.view import View


class Counted:
    """An array that notes which of its windows were read."""

    def __init__(self, array):
        self.array, self.reads = array, []
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, index):
        self.reads.append(index)
        return self.array[index]


@pytest.fixture
def pyramid(model):
    """Three levels of a stack with a bright square; the model's input has 64 pixels."""
    model.image_size = 64
    really_decode = model.decode

    def decode(features, prompts, frame, **more):  # the model counts in pixels of its input
        scale = 64 / max(frame.shape)
        scaled = [
            Prompt(
                points=p.points * scale,
                positive=p.positive,
                box=None if p.box is None else tuple(v * scale for v in p.box),
                logits=p.logits,
            )
            for p in prompts
        ]
        return really_decode(features, scaled, frame, **more)

    model.decode = decode
    full = np.zeros((6, 256, 256), np.uint8)
    full[:, 80:120, 100:140] = 200
    return [Counted(np.ascontiguousarray(full[:, ::s, ::s])) for s in (1, 2, 4, 8)]


def session_on(model, pyramid, **more):
    predictor = Predictor(model, cache=EmbeddingCache())
    return Session(pyramid[0], predictor, levels=pyramid[1:], **more)


def test_the_encoder_reads_the_coarsest_level_that_fills_its_input(model, pyramid):
    session = session_on(model, pyramid)
    session.add_point((2, 100, 120))
    assert [bool(level.reads) for level in pyramid] == [False, False, True, False]


def test_results_are_in_pixels_of_the_full_resolution(model, pyramid):
    session = session_on(model, pyramid)
    session.add_point((2, 100, 120))
    found = np.argwhere(session.labels[2] == 1)
    assert session.labels.shape == (6, 256, 256)
    np.testing.assert_allclose(found.mean(axis=0), (100, 120), atol=3)
    assert 30 < np.ptp(found[:, 0]) < 50  # a disc of 10 pixels on a level of one quarter


def test_objects_are_carried_at_the_full_resolution(model, pyramid):
    session = session_on(model, pyramid)
    session.add_box(2, (80, 100, 120, 140))
    session.propagate()
    areas = (session.labels == 1).sum(axis=(1, 2))
    assert (areas > 1000).all()
    assert not pyramid[0].reads


def test_planes_of_a_level_with_fewer_planes_are_those_at_the_same_height(model):
    model.image_size = 64
    full = np.zeros((6, 128, 128), np.uint8)
    small = Counted(np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((3, 64, 64), np.uint8))
    session = Session(full, Predictor(model, cache=EmbeddingCache()), levels=[small])
    stack = session.scene.stack(View.whole(3))
    assert [int(stack[p][0, 0]) for p in range(6)] == [0, 0, 1, 1, 2, 2]
    assert stack.shape == (6, 128, 128)


def test_a_level_of_another_image_is_refused(model):
    with pytest.raises(ValueError, match="lower resolution"):
        Session(np.zeros((4, 64, 64)), Predictor(model), levels=[np.zeros((4, 128, 32))])


def test_known_ids_are_not_searched_for(model):
    """A labels layer of gigabytes must not be read on the GUI's thread."""
    labels = np.zeros((4, 64, 64), np.uint16)
    labels[0, 0, 0] = 1
    session = Session(np.zeros((4, 64, 64)), Predictor(model), labels=labels, used_ids=[1, 2, 0])
    assert session.current == 3


def test_another_model_makes_the_masks_of_pending_objects_anew(model):
    session = Session(np.zeros((4, 64, 64)), Predictor(model))
    session.add_point((1, 20, 20))
    session.labels[1] = 0
    before = len(model.decoded)
    session.set_source(predictor=Predictor(model))
    assert len(model.decoded) == before + 1
    assert session.state.prompts


def test_percentiles_decide_what_the_encoder_sees(model):
    image = np.tile(np.arange(64, dtype=np.uint16), (4, 64, 1))
    session = Session(image, Predictor(model))
    session.set_source(percentiles=(0.0, 50.0))
    assert session.normalization.high[0] == pytest.approx(31.5, abs=1)
