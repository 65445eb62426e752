"""The slow work of a session, in steps: what runs in the worker."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samslice.engine.progress import Cancel, Cancelled
from samslice.engine.propagate import iter_propagate
from samslice.session.context import follows
from samslice.session.scene import Encoded, ScenePredictor
from samslice.session.state import Items, Place, context_of, join

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from samslice.engine.options import PropagateOptions
    from samslice.engine.types import PlaneStep, Prediction, Seed
    from samslice.session.overlay import LabelsOverlay
    from samslice.session.scene import Scene
    from samslice.session.view import View


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The decoder's answer for one plane.

    Attributes
    ----------
    place : Place
        The plane.
    predictions : mapping of tuple of PromptItem to Prediction
        What was asked, and the candidates.
    """

    place: Place
    predictions: Mapping[Items, Prediction]


@dataclass(frozen=True, slots=True, eq=False)
class Stepped:
    """One plane of a propagation.

    Attributes
    ----------
    step : PlaneStep
        What was found.
    seconds : float
        How long it took.
    """

    step: PlaneStep
    seconds: float


def predict(
    scene: Scene, place: Place, asked: Sequence[Items], cancel: Cancel
) -> Generator[Encoded | Answered, None, None]:
    """Encode a plane and predict the masks of several objects on it.

    Parameters
    ----------
    scene : Scene
        What is looked at.
    place : Place
        The plane.
    asked : sequence of tuple of PromptItem
        The prompts of each object.
    cancel : Cancel
        Stops the encoder.

    Yields
    ------
    Encoded, Answered
        One of each.
    """
    embedding, seconds = scene.encode(place, cancel)
    yield Encoded(place, seconds, embedding.nbytes)
    prompts = [join(items, embedding.frame) for items in asked]
    answers = scene.predictor.predict_many(embedding, prompts, refine=True)
    # Beside a mask the model may pass over a click: then the mask says the same as the click.
    ignored = [
        n
        for n, items in enumerate(asked)
        if context_of(items) is not None and not follows(answers[n], prompts[n])
    ]
    again = [join(asked[n], embedding.frame, insist=True) for n in ignored]
    for n, answer in zip(ignored, scene.predictor.predict_many(embedding, again), strict=True):
        answers[n] = answer
    yield Answered(place, dict(zip(asked, answers, strict=True)))


class _PlaneCancel(Cancel):
    """Stops one plane of a job: because the job is to stop, or because it is not its turn."""

    __slots__ = ("_job",)

    def __init__(self, job: Cancel) -> None:
        super().__init__()
        self._job = job

    @property
    def is_set(self) -> bool:
        """Whether somebody asked to stop the plane or the job."""
        return super().is_set or self._job.is_set

    def check(self) -> None:
        """Stop here if somebody asked to."""
        self._job.check()
        super().check()


@dataclass(slots=True)
class Ahead:
    """What is encoded in the background; the owner may move the focus while it runs.

    Attributes
    ----------
    view : View
        Which stack.
    focus : int
        The plane that is looked at: the nearest planes come first.
    radius : int or None
        How far from the focus to go; to both ends if None.
    """

    view: View
    focus: int
    radius: int | None = None
    _at_hand: tuple[int, Cancel] | None = field(default=None, init=False, repr=False)

    def begin(self, plane: int, job: Cancel) -> Cancel:
        """Take up a plane.

        Parameters
        ----------
        plane : int
            The plane.
        job : Cancel
            Of the whole job.

        Returns
        -------
        Cancel
            Of this plane: set with the job's, or by `make_way`.
        """
        cancel = _PlaneCancel(job)
        self._at_hand = (plane, cancel)
        return cancel

    def make_way(self, plane: int | None) -> None:
        """Put the plane at hand off, because another is wanted sooner.

        Parameters
        ----------
        plane : int or None
            The one that is wanted; if it is the one at hand, it goes on.
        """
        at_hand = self._at_hand
        if at_hand is not None and at_hand[0] != plane:
            at_hand[1].set()

    def next(self, left: set[int]) -> int | None:
        """Choose the next plane.

        Parameters
        ----------
        left : set of int
            Planes that nobody has looked at yet.

        Returns
        -------
        int or None
            The nearest; of two as near, the higher. None when all are done.
        """
        focus = self.focus
        plane = min(left, key=lambda p: (abs(p - focus), -p), default=None)
        too_far = plane is not None and self.radius is not None and abs(plane - focus) > self.radius
        return None if too_far else plane


def encode_ahead(
    scene: Scene, ahead: Ahead, cancel: Cancel
) -> Generator[Encoded | None, None, None]:
    """Encode planes in the background, as many as the cache can hold.

    Parameters
    ----------
    scene : Scene
        What is looked at.
    ahead : Ahead
        Which planes.
    cancel : Cancel
        Stops the encoder.

    Yields
    ------
    Encoded or None
        One for each plane; None where a plane was put off.
    """
    left = set(range(len(scene.stack(ahead.view))))
    total = len(left) if ahead.radius is None else min(len(left), 2 * ahead.radius + 1)
    held = done = 0
    while (plane := ahead.next(left)) is not None:
        left.discard(plane)
        done += 1
        place = Place(ahead.view, plane)
        if scene.look(place):
            yield Encoded(place, None, 0, done, total)
            continue
        try:
            embedding, seconds = scene.encode(place, ahead.begin(plane, cancel))
        except Cancelled:
            cancel.check()
            left.add(plane)
            done -= 1
            yield None  # what is more urgent goes now
            continue
        yield Encoded(place, seconds, embedding.nbytes, done, total)
        held += embedding.nbytes
        # In memory alone the first planes would be lost to the last ones.
        if scene.cache.path is None and held + embedding.nbytes > scene.cache.ram_bytes:
            return


def propagate(
    scene: Scene,
    view: View,
    seeds: Sequence[Seed],
    options: PropagateOptions,
    overlay: LabelsOverlay,
    corrected: frozenset[tuple[int, int]] | None,
    cancel: Cancel,
) -> Generator[Stepped | None, None, None]:
    """Carry objects through the stack.

    Parameters
    ----------
    scene : Scene
        What is looked at.
    view : View
        Which stack.
    seeds : sequence of Seed
        Anchors and end marks.
    options : PropagateOptions
        Direction, range and stopping.
    overlay : LabelsOverlay
        Stands for the labels; written to.
    corrected : frozenset of tuple of int or None
        (object id, plane) of the anchors that have changed; None for all.
    cancel : Cancel
        Stops it, within a plane.

    Yields
    ------
    Stepped
        One for each plane that was visited or cleared.
    """
    policy = scene.policy(view)
    yield None
    steps = iter_propagate(
        ScenePredictor(scene, view, cancel),
        scene.stack(view),
        seeds,
        options=options,
        normalization=policy,
        labels=overlay,
        corrected=corrected,
        cancel=cancel,
    )
    begun = time.perf_counter()
    for step in steps:
        yield Stepped(step, time.perf_counter() - begun)
        begun = time.perf_counter()
