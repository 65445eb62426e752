"""Planes to embeddings, embeddings and prompts to predictions."""

from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from samslice.engine.cache import EmbeddingCache, plane_key
from samslice.engine.device import run_in_batches
from samslice.engine.normalize import fit
from samslice.engine.types import Embedding, Prediction, Prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from samslice.engine.backend import SamModel
    from samslice.engine.normalize import Normalization
    from samslice.engine.progress import Cancel
    from samslice.engine.types import Region


class PlanePredictor(Protocol):
    """What propagation asks of a predictor."""

    def encode(self, plane: Any, *, normalization: Normalization | None = None) -> Embedding:
        """Encode a plane; see `Predictor.encode`."""
        ...

    def predict_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool | None = None,
        refine: bool = False,
        windows: Sequence[Region] | None = None,
    ) -> list[Prediction]:
        """Predict masks; see `Predictor.predict_many`."""
        ...


class Predictor:
    """Encode planes and predict masks on them.

    It keeps no current image: an embedding is a value that the caller holds.

    Parameters
    ----------
    model : SamModel
        From `load_model`.
    cache : EmbeddingCache, optional
        Where embeddings are kept; without one each call encodes anew.
    encode_batch : int, optional
        Planes in one encoder pass. By default one on a CPU, which gains
        nothing from more, and eight elsewhere; halved when memory runs out.
    decode_batch : int, optional
        Prompts in one decoder pass, 64 by default; halved likewise.
    """

    def __init__(
        self,
        model: SamModel,
        *,
        cache: EmbeddingCache | None = None,
        encode_batch: int | None = None,
        decode_batch: int = 64,
    ) -> None:
        if encode_batch is None:
            encode_batch = 1 if model.device.type == "cpu" else 8
        for name, value in (("encode_batch", encode_batch), ("decode_batch", decode_batch)):
            if value < 1:
                raise ValueError(f"{name} is {value}; allowed is at least 1.")
        self.model = model
        self.cache = cache
        self.encode_batch = encode_batch
        self.decode_batch = decode_batch

    def embedding_key(self, plane: Any, *, normalization: Normalization | None = None) -> str:
        """Key under which the cache has a plane's embedding.

        Parameters
        ----------
        plane : array-like
            As for `encode`.
        normalization : Normalization, optional
            As for `encode`.

        Returns
        -------
        str
            ``key in predictor.cache`` says whether encoding it costs nothing.
        """
        pixels = np.asarray(plane)
        policy = normalization if normalization is not None else fit(pixels)
        return plane_key(pixels, self.model.key, policy.key)

    def encode(
        self,
        plane: Any,
        *,
        normalization: Normalization | None = None,
        cancel: Cancel | None = None,
    ) -> Embedding:
        """Run the image encoder on one plane, or take its result from the cache.

        Parameters
        ----------
        plane : array-like of shape (rows, columns) or (rows, columns, 3 or 4)
            Any boolean, integer or real dtype.
        normalization : Normalization, optional
            What the encoder sees of it. Fitted to this plane if left out; fit
            one for the whole stack when the plane belongs to a stack.
        cancel : Cancel, optional
            Asked before every layer of the encoder.

        Returns
        -------
        Embedding
            To pass to `predict`.

        Raises
        ------
        ValueError, TypeError
            If the plane has another shape or dtype.
        MemoryError
            If one plane does not fit into the device's memory.
        Cancelled
            If `cancel` was set.
        """
        return self.encode_many([plane], normalization=normalization, cancel=cancel)[0]

    def encode_many(
        self,
        planes: Iterable[Any],
        *,
        normalization: Normalization | None = None,
        cancel: Cancel | None = None,
    ) -> list[Embedding]:
        """Encode several planes, in batches where the device gains from them.

        Parameters
        ----------
        planes : iterable of array-like
            As for `encode`; one of them is read at a time.
        normalization : Normalization, optional
            For all of them; fitted to each plane if left out.
        cancel : Cancel, optional
            Asked before every layer of the encoder.

        Returns
        -------
        list of Embedding
            In the order of `planes`.

        Raises
        ------
        ValueError, TypeError
            If a plane has another shape or dtype.
        MemoryError
            If one plane does not fit into the device's memory.
        Cancelled
            If `cancel` was set; planes encoded by then are in the cache.
        """
        embeddings: list[Embedding | None] = []
        missing: list[tuple[int, str, np.ndarray]] = []
        for plane in planes:
            pixels = np.asarray(plane)
            policy = normalization if normalization is not None else fit(pixels)
            key = self.embedding_key(pixels, normalization=policy) if self.cache is not None else ""
            found = self.cache.get(key) if self.cache is not None else None
            if found is None:
                missing.append((len(embeddings), key, policy.apply(pixels)))
                embeddings.append(None)
                if len(missing) == self.encode_batch:
                    self._encode_missing(missing, embeddings, cancel)
            else:
                frame = self.model.frame(pixels.shape[:2])
                embeddings.append(Embedding(found, frame, self.model.key))
        self._encode_missing(missing, embeddings, cancel)
        return [e for e in embeddings if e is not None]

    def _encode_missing(
        self,
        missing: list[tuple[int, str, np.ndarray]],
        embeddings: list[Embedding | None],
        cancel: Cancel | None,
    ) -> None:
        """Encode what is `missing`, put it in its places and empty the list."""
        if not missing:
            return
        pictures = [picture for _, _, picture in missing]
        encode = self.model.encode if cancel is None else partial(self.model.encode, cancel=cancel)
        results, self.encode_batch = run_in_batches(encode, pictures, self.encode_batch)
        for (index, key, picture), made in zip(missing, results, strict=True):
            frame = self.model.frame(picture.shape[:2])
            features: Mapping[str, np.ndarray] = made
            if self.cache is not None:
                about = {"model": self.model.key, "shape": list(frame.shape)}
                features = self.cache.put(key, made, about)
            for array in features.values():
                array.flags.writeable = False
            embeddings[index] = Embedding(features, frame, self.model.key)
        missing.clear()

    def predict(
        self, embedding: Embedding, prompt: Prompt, *, multimask: bool | None = None
    ) -> Prediction:
        """Predict the mask that one prompt asks for.

        Parameters
        ----------
        embedding : Embedding
            From `encode`, with the same model.
        prompt : Prompt
            In the plane's data pixels.
        multimask : bool, optional
            Three candidates instead of one. By default three for a single
            positive click, which may mean a part or the whole, else one.

        Returns
        -------
        Prediction
            Candidates, best first.

        Raises
        ------
        ValueError
            If the prompt lies outside the plane or has another size, or the
            embedding was made by another model.
        """
        return self.predict_many(embedding, [prompt], multimask=multimask)[0]

    def predict_many(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool | None = None,
        refine: bool = False,
        windows: Sequence[Region] | None = None,
    ) -> list[Prediction]:
        """Predict the masks of many objects of one plane.

        Prompts of the same structure share one decoder pass, in chunks that
        fit into memory; without `windows` the results equal those of
        `predict` one by one.

        Parameters
        ----------
        embedding : Embedding
            From `encode`, with the same model.
        prompts : sequence of Prompt
            One for each object, in the plane's data pixels.
        multimask : bool, optional
            As for `predict`, for all prompts.
        refine : bool, optional
            Ask a second time about every box that is alone and gets one mask,
            together with the logits of the first answer: the sequence that
            SAM was trained on.
        windows : sequence of Region, optional
            For each prompt the part of the plane in which its object is, with
            some room around it. Decoding many then takes about a quarter of
            the time: masks are made in the blocks of 4 x 4 cells of the
            embedding that the window touches, and are empty elsewhere. What
            lies farther away is seen at a quarter of the resolution, so
            answers differ slightly from those without windows; see
            `samslice.model.views`.

        Returns
        -------
        list of Prediction
            In the order of `prompts`.

        Raises
        ------
        TypeError
            If something else than a Prompt is passed.
        ValueError
            As for `predict`, and if the windows are not one for each prompt,
            or one of them is empty, not inside the plane or not of whole
            pixels.
        """
        self._check(embedding, prompts)
        regions = None if windows is None else _read_windows(windows, len(prompts), embedding.shape)
        groups: dict[tuple[int, bool, bool, bool], list[int]] = {}
        for index, prompt in enumerate(prompts):
            wanted = prompt.is_ambiguous if multimask is None else multimask
            groups.setdefault((*_structure(prompt), wanted), []).append(index)
        predictions: dict[int, Prediction] = {}
        for (*_, wanted), indices in groups.items():
            chosen = [(prompts[i], regions[i] if regions is not None else None) for i in indices]
            predictions.update(zip(indices, self._decode(embedding, chosen, wanted), strict=True))
        alone = [i for i, p in enumerate(prompts) if _structure(p) == (0, True, False)]
        if refine and not multimask and alone:
            again = [Prompt(box=prompts[i].box, logits=predictions[i].logits[0]) for i in alone]
            there = None if regions is None else [regions[i] for i in alone]
            second = self.predict_many(embedding, again, multimask=False, windows=there)
            predictions.update(zip(alone, second, strict=True))
        return [predictions[i] for i in range(len(prompts))]

    def _check(self, embedding: Embedding, prompts: Sequence[Prompt]) -> None:
        if embedding.model_key != self.model.key:
            raise ValueError(
                f"the embedding was made by {embedding.model_key}, this predictor runs "
                f"{self.model.key}; encode the plane with this predictor."
            )
        for prompt in prompts:
            if not isinstance(prompt, Prompt):
                raise TypeError(
                    f"got a {type(prompt).__name__}; allowed is samslice.Prompt, "
                    "for instance Prompt(points=[(row, col)])."
                )
            prompt.check_inside(embedding.shape)

    def _decode(
        self, embedding: Embedding, asked: list[tuple[Prompt, Region | None]], multimask: bool
    ) -> list[Prediction]:
        def decode(chunk: Sequence[tuple[Prompt, Region | None]]) -> list[Prediction]:
            prompts, windows = zip(*chunk, strict=True)
            logits, scores = self.model.decode(
                embedding.features,
                prompts,
                embedding.frame,
                multimask=multimask,
                windows=None if windows[0] is None else windows,
            )
            order = np.argsort(-scores, axis=1, kind="stable")
            return [
                Prediction(one[best], score[best], embedding.frame)
                for one, score, best in zip(logits, scores, order, strict=True)
            ]

        results, self.decode_batch = run_in_batches(decode, asked, self.decode_batch)
        return results


def _read_windows(
    windows: Iterable[Iterable[int]], count: int, shape: tuple[int, int]
) -> list[Region]:
    regions = [_read_window(window, shape) for window in windows]
    if len(regions) != count:
        raise ValueError(f"got {len(regions)} windows for {count} prompts; give one for each.")
    return regions


def _read_window(window: Iterable[int], shape: tuple[int, int]) -> Region:
    try:
        row0, col0, row1, col1 = map(operator.index, window)
        is_inside = 0 <= row0 < row1 <= shape[0] and 0 <= col0 < col1 <= shape[1]
    except (TypeError, ValueError):
        is_inside = False
    if not is_inside:
        raise ValueError(
            f"window {window!r} is not allowed; give (row0, col0, row1, col1) in whole pixels, "
            f"half-open, not empty and inside the plane of {shape[0]} x {shape[1]} pixels."
        )
    return row0, col0, row1, col1


def _structure(prompt: Prompt) -> tuple[int, bool, bool]:
    has_mask = prompt.mask is not None or prompt.logits is not None
    return len(prompt.points), prompt.box is not None, has_mask
