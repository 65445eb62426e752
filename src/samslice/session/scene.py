"""What a session looks at: an image, seen through a view and a normalisation, by a model.

A scene is never changed; another normalisation or channel makes another scene.
It is used by the worker's thread and the owner's.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.engine.cache import EmbeddingCache
from samslice.engine.normalize import Normalization, fit_stack
from samslice.engine.predictor import Predictor
from samslice.session.pyramid import LevelStack, check_levels, choose_level, scaled_view
from samslice.session.state import Place
from samslice.session.view import StackView, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.progress import Cancel
    from samslice.engine.types import Embedding, Prediction, Prompt, Region


_numbers = count()


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One plane's embedding is there.

    Attributes
    ----------
    place : Place
        The plane.
    seconds : float or None
        How long the encoder took; None where it did not have to run.
    nbytes : int
        Bytes of the embedding; 0 where it was not looked at.
    done, total : int
        Planes looked at by this job so far, and in all.
    """

    place: Place
    seconds: float | None
    nbytes: int = 0
    done: int = 1
    total: int = 1


class Scene:
    """An image for the encoder.

    Parameters
    ----------
    image : array-like
        Sliced lazily.
    predictor : Predictor
        Model and cache. Without a cache one is made, in memory.
    channel_axis : int, optional
        Axis of colours or channels.
    channels : sequence of int, optional
        One or three channels to use; all if left out.
    normalization : Normalization, optional
        Fitted to each stack if left out.
    levels : sequence of array-like, optional
        Lower resolutions of the image. The encoder sees the coarsest that is
        not smaller than its input.
    percentiles : tuple of float, optional
        What a fitted normalisation is fitted to, see `fit_stack`.

    Raises
    ------
    ValueError
        If the channels are neither one nor three, nor the four of RGBA.
    """

    def __init__(
        self,
        image: Any,
        predictor: Predictor,
        *,
        channel_axis: int | None = None,
        channels: Sequence[int] | None = None,
        normalization: Normalization | None = None,
        levels: Sequence[Any] = (),
        percentiles: tuple[float, float] | None = None,
    ) -> None:
        self.number = next(_numbers)  # tells scenes apart, and keeps none of them alive
        self.image = image
        self.percentiles = percentiles
        self.levels = tuple(levels)
        check_levels(image, self.levels)
        self.channel_axis = channel_axis
        self.channels = None if channels is None else tuple(int(c) for c in channels)
        self.normalization = normalization
        if predictor.cache is None:
            predictor = Predictor(
                predictor.model,
                cache=EmbeddingCache(),
                encode_batch=predictor.encode_batch,
                decode_batch=predictor.decode_batch,
            )
        self.predictor = predictor
        self.cache: EmbeddingCache = predictor.cache  # type: ignore[assignment]
        self._check_channels()
        self._lock = threading.Lock()
        self._fitted: dict[View, Normalization] = {}
        self._keys: dict[Place, str] = {}

    def _check_channels(self) -> None:
        if self.channel_axis is None:
            if self.channels is not None:
                raise ValueError(
                    f"channels are {self.channels}, but the image has no channel axis; "
                    "give channel_axis= too."
                )
            return
        n = int(self.image.shape[self.channel_axis])
        if self.channels is not None and not all(0 <= c < n for c in self.channels):
            raise ValueError(f"channels are {self.channels}; the image has channels 0 to {n - 1}.")
        used = n if self.channels is None else len(self.channels)
        if used not in (1, 3, 4):
            raise ValueError(
                f"{used} channels are chosen of {n}; allowed are one, or three as red, green and "
                "blue: give channels=(0,) or channels=(0, 1, 2)."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image without channels."""
        shape = [int(n) for n in self.image.shape]
        if self.channel_axis is not None:
            shape.pop(self.channel_axis)
        return tuple(shape)

    def stack(self, view: View) -> StackView | LevelStack:
        """Show the image as a stack.

        Parameters
        ----------
        view : View
            Its axes.

        Returns
        -------
        StackView or LevelStack
            Nothing is read yet.
        """
        axis = None if self.channel_axis is None else self.channel_axis % len(self.image.shape)
        level = 0
        pyramid = (self.image, *self.levels)
        if self.levels:
            level = choose_level(pyramid, view, self.predictor.model.image_size, axis)
        if level == 0:
            return StackView(self.image, view, channel_axis=axis, channels=self.channels)
        small = scaled_view(view, self.image, pyramid[level], axis)
        stack = StackView(pyramid[level], small, channel_axis=axis, channels=self.channels)
        return LevelStack(stack, (view.n_planes(self.shape), *view.plane_shape(self.shape)))

    def full_size(self, embedding: Embedding, view: View) -> Embedding:
        """Let an embedding of a lower resolution answer in pixels of the image.

        Parameters
        ----------
        embedding : Embedding
            Of a plane that `stack` gave.
        view : View
            Its stack.

        Returns
        -------
        Embedding
            The same features in the frame of the whole plane.
        """
        shape = view.plane_shape(self.shape)
        if embedding.shape == shape:
            return embedding
        return replace(embedding, frame=self.predictor.model.frame(shape))

    def policy(self, view: View) -> Normalization:
        """Say what the encoder sees of a stack; fitted to it the first time.

        Parameters
        ----------
        view : View
            Which stack.

        Returns
        -------
        Normalization
            The same for all of its planes.
        """
        if self.normalization is not None:
            return self.normalization
        with self._lock:
            if view not in self._fitted:
                self._fitted[view] = fit_stack(self.stack(view), percentiles=self.percentiles)
            return self._fitted[view]

    def picture(self, place: Place) -> NDArray[np.uint8]:
        """Make the picture of a plane that the encoder sees.

        Parameters
        ----------
        place : Place
            The plane.

        Returns
        -------
        ndarray of shape (rows, columns, 3), uint8
            Before it is resized.
        """
        return self.policy(place.view).apply(self.stack(place.view)[place.plane])

    def is_ready(self, place: Place) -> bool:
        """Whether a plane is known to be in the cache. Reads no pixels.

        Parameters
        ----------
        place : Place
            The plane.

        Returns
        -------
        bool
            False also where nobody has looked yet.
        """
        key = self._keys.get(place)
        return key is not None and key in self.cache

    def look(self, place: Place) -> bool:
        """Read a plane and find out whether the cache has it.

        Parameters
        ----------
        place : Place
            The plane.

        Returns
        -------
        bool
            As `is_ready` says from now on.
        """
        if place not in self._keys:
            self._keys[place] = self.predictor.embedding_key(
                self.stack(place.view)[place.plane], normalization=self.policy(place.view)
            )
        return self.is_ready(place)

    def encode(self, place: Place, cancel: Cancel) -> tuple[Embedding, float | None]:
        """Encode a plane, or take it from the cache.

        Parameters
        ----------
        place : Place
            The plane.
        cancel : Cancel
            Asked before every layer of the encoder.

        Returns
        -------
        embedding : Embedding
            Of the plane.
        seconds : float or None
            How long it took; None if it was in the cache.
        """
        was_ready = self.look(place)
        begun = time.perf_counter()
        embedding = self.predictor.encode(
            self.stack(place.view)[place.plane],
            normalization=self.policy(place.view),
            cancel=cancel,
        )
        seconds = None if was_ready else time.perf_counter() - begun
        return self.full_size(embedding, place.view), seconds


class ScenePredictor:
    """A scene's predictor for one stack; its encoder asks `cancel` before every layer.

    Parameters
    ----------
    scene : Scene
        What does the work.
    view : View
        The stack.
    cancel : Cancel
        Stops it.
    """

    def __init__(self, scene: Scene, view: View, cancel: Cancel) -> None:
        self._scene = scene
        self._view = view
        self._predictor = scene.predictor
        self._cancel = cancel

    def encode(self, plane: Any, *, normalization: Normalization | None = None) -> Embedding:
        """Encode a plane; see `Predictor.encode`."""
        embedding = self._predictor.encode(plane, normalization=normalization, cancel=self._cancel)
        return self._scene.full_size(embedding, self._view)

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
        return self._predictor.predict_many(
            embedding, prompts, multimask=multimask, refine=refine, windows=windows
        )
