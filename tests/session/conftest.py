"""A model whose masks are known, so that the laws tested here are the session's."""

import threading
import time

import numpy as np
import pytest
import torch

from samslice.engine.cache import EmbeddingCache
from samslice.engine.coords import Frame
from samslice.engine.normalize import Normalization
from samslice.engine.predictor import Predictor
from samslice.engine.types import Prompt
from samslice.session.session import Session
from samslice.session.worker import Worker

RADII = (5, 3, 8)


class DiscModel:
    """A click is a disc; a box or a mask is what it says; logits follow what is bright."""

    key, device, dtype, size = "discs", torch.device("cpu"), torch.float32, 64

    def __init__(self):
        self.encoded = []
        self.decoded = []
        self.windows = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.error = None

    def frame(self, shape):
        return Frame((int(shape[0]), int(shape[1])), self.size, self.size)

    def encode(self, pictures, *, cancel=None):
        self.entered.set()
        while not self.gate.is_set():
            if cancel is not None:
                cancel.check()
            time.sleep(0.002)
        if self.error is not None:
            raise self.error
        self.encoded += [p.copy() for p in pictures]
        return [{"image": p[..., 0].astype(np.float32)} for p in pictures]

    def decode(self, features, prompts, frame, *, multimask, windows=None):
        self.decoded.append(len(prompts))
        self.windows += windows or [None] * len(prompts)
        masks = [self._logits(features["image"], p, multimask) for p in prompts]
        scores = np.array([[0.9, 0.8, 0.7][: len(m)] for m in masks], np.float32)
        return np.stack(masks), scores

    def _logits(self, image, prompt: Prompt, multimask):
        rows, cols = np.mgrid[: self.size, : self.size]
        bright = np.zeros((self.size, self.size), bool)
        bright[: image.shape[0], : image.shape[1]] = image > 50
        out = []
        for radius in RADII if multimask else RADII[:1]:
            logits = np.full((self.size, self.size), -1.0)
            for row, col in prompt.points[prompt.positive]:
                logits = np.maximum(logits, radius - np.hypot(rows - row, cols - col))
            if prompt.logits is not None:
                given = np.where((prompt.logits > 0) & bright, 9.0, -9.0)
                logits = np.where(logits > 0, logits, given)
            elif prompt.mask is not None:
                logits[: prompt.mask.shape[0], : prompt.mask.shape[1]][prompt.mask] = 9.0
            elif prompt.box is not None:
                row0, col0, row1, col1 = (int(v) for v in prompt.box)
                inside = np.s_[row0:row1, col0:col1]
                # Propagation asks for candidates: then it tells what it sees.
                logits[inside] = np.where(bright[inside], 9.0, -9.0) if multimask else 9.0
            for row, col in prompt.points[~prompt.positive]:
                logits[np.hypot(rows - row, cols - col) < 3] = -9.0
            out.append(logits.astype(np.float32))
        return np.stack(out)


def disc(centre, radius=RADII[0], shape=(64, 64)):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(rows - centre[0], cols - centre[1]) < radius


@pytest.fixture
def draw_disc():
    return disc


@pytest.fixture
def model():
    return DiscModel()


@pytest.fixture
def predictor(model):
    return Predictor(model, cache=EmbeddingCache())


POLICY = Normalization((0.0,), (255.0,))


@pytest.fixture
def volume():
    """Bright on planes 2 to 7 of 10, so that objects end there; no two planes are equal."""
    stack = np.zeros((10, 64, 64), np.uint8)
    stack[2:8] = 200
    return stack + np.arange(10, dtype=np.uint8)[:, None, None]


@pytest.fixture
def make(predictor, volume):
    """Make a session on the bright stack; all are closed at the end."""
    made = []

    def make_session(image=volume, **keywords):
        keywords.setdefault("normalization", POLICY)
        made.append(Session(image, predictor, **keywords))
        return made[-1]

    yield make_session
    for session in made:
        assert session.close()


@pytest.fixture
def session(make):
    return make()


@pytest.fixture
def threaded(make):
    """A session with a worker's thread."""
    return make(worker=Worker())


@pytest.fixture
def heard():
    """Record the signals of a session, in order."""

    def listen(session):
        log = []
        for name in (
            "state_changed", "mask_changed", "table_changed", "history_changed",
            "progress", "busy_changed", "failed", "plane_ready",
        ):  # fmt: skip
            getattr(session, name).connect(
                lambda *args, name=name: log.append((name, *args)), check_nargs=False
            )
        return log

    return listen
