"""A model whose masks are known, and controllers on viewers without a window."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari comes with the napari extra")

import torch

from samslice.engine.cache import EmbeddingCache
from samslice.engine.coords import Frame

SIZE = 64


class DiscModel:
    """A click is a disc of 8, 5 or 12 % of the plane; boxes and masks are what they say."""

    key, name, device, dtype, image_size = "discs", "discs", torch.device("cpu"), "float32", SIZE

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.encoded = []
        self.encoded_before = []  # planes that were encoded before each answer
        self.threads = set()

    def frame(self, shape):
        return Frame((int(shape[0]), int(shape[1])), SIZE, SIZE)

    def encode(self, pictures, *, cancel=None):
        self.threads.add(threading.current_thread())
        self.entered.set()
        while not self.gate.is_set():
            if cancel is not None:
                cancel.check()
            time.sleep(0.002)
        self.encoded += [p.shape[:2] for p in pictures]
        return [{"image": p[..., 0].astype(np.float32)} for p in pictures]

    def decode(self, features, prompts, frame, *, multimask, windows=None):
        self.encoded_before.append(len(self.encoded))
        scale = SIZE / max(frame.shape)
        masks = [self._masks(p, scale, multimask) for p in prompts]
        return np.stack(masks), np.array([[0.9, 0.8, 0.7][: len(m)] for m in masks], np.float32)

    def _masks(self, prompt, scale, multimask):
        rows, cols = np.mgrid[:SIZE, :SIZE]
        out = []
        for radius in (5, 3, 8) if multimask else (5,):
            logits = np.full((SIZE, SIZE), -5.0)
            if prompt.box is not None and prompt.mask is None:
                row0, col0, row1, col1 = (round(v * scale) for v in prompt.box)
                logits[row0:row1, col0:col1] = 5.0
            if prompt.mask is not None:
                n = np.array(np.nonzero(prompt.mask)) * scale
                logits[tuple(n.astype(int))] = 5.0
            for row, col in prompt.points[prompt.positive] * scale:
                logits = np.maximum(logits, radius - np.hypot(rows - row, cols - col))
            for row, col in prompt.points[~prompt.positive] * scale:
                logits[np.hypot(rows - row, cols - col) < 3] = -9.0
            if prompt.logits is not None:
                logits = np.maximum(logits, prompt.logits)
            out.append(logits.astype(np.float32))
        return np.stack(out)


@pytest.fixture
def discs():
    return DiscModel()


@pytest.fixture
def viewer_model():
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.fixture
def heard():
    """What a controller has told its user."""
    return []


@pytest.fixture
def open_sam(viewer_model, discs, heard):
    """Open a controller on an image; closed at the end of the test, without a word."""
    from samslice.plugin.controller import SamController

    opened = []

    def open_it(data=None, *, viewer=viewer_model, image=None, model=discs, **keywords):
        options = {n: keywords.pop(n) for n in list(keywords) if n in ("labels", "points", "cache")}
        options.setdefault("cache", EmbeddingCache())
        if image is None:
            if data is None:  # no two planes are equal: each is encoded for itself
                data = np.zeros((6, 64, 64), np.uint8) + np.arange(6, dtype=np.uint8)[:, None, None]
            image = viewer.add_image(data, **{"name": "Image", **keywords})
        sam = SamController(viewer, image, model, **options)
        sam.message.connect(lambda level, text: heard.append((level, text)))
        opened.append(sam)
        assert sam.wait(20)
        return sam

    yield open_it
    for sam in opened:
        sam.close()
