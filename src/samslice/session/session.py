"""A session: everything the dock widget can do, without a GUI."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING, Any

from samslice.session import jobs
from samslice.session.estimating import Estimating
from samslice.session.job import ENCODE
from samslice.session.propagating import PROPAGATION
from samslice.session.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from samslice.engine.normalize import Normalization
    from samslice.engine.predictor import Predictor
    from samslice.session.scene import Encoded
    from samslice.session.state import Place
    from samslice.session.view import View


class Session(Estimating):
    """Segment objects of an image one after another, or many at once, with undo.

    Prompts and strokes make an object *pending*: its mask stands in the labels and follows
    every prompt. `commit` finishes it; finished objects and other labels are
    never overwritten unless `overwrite` is on. Everything belongs to one
    thread, the owner's; a `Worker` does the slow work in another and hands
    its results over.

    Parameters
    ----------
    image : array-like
        Of two dimensions or more; numpy, memmap, dask or zarr, read plane by
        plane.
    predictor : Predictor
        Model and cache. Without a cache one is made, in memory.
    labels : array-like or LabelsTarget, optional
        Where results are written, of the image's shape without channels. New
        zeros, uint16, if left out.
    view : View, optional
        Which axes are the plane and the stack. The last two and the one
        before them if left out.
    channel_axis : int, optional
        Axis of `image` with colours or channels.
    channels : sequence of int, optional
        One or three channels to use; all if left out.
    normalization : Normalization, optional
        What the encoder sees; fitted to each stack if left out.
    options : PropagateOptions, optional
        For `propagate`.
    overwrite : bool, optional
        Whether pending objects may take pixels of finished ones.
    worker : Worker or InlineWorker, optional
        What does the slow work. At once, in the caller's thread, if left out.
    cache : EmbeddingCache, optional
        Instead of the predictor's.
    history_bytes : int, optional
        Limit of what undo keeps.
    levels : sequence of array-like, optional
        The image at lower resolutions, as in a pyramid: the encoder sees the
        coarsest that is not smaller than its input. Prompts and results stay
        in pixels of `image`.
    used_ids : iterable of int, optional
        Ids that are taken, where they are known; searched for in `labels`
        when the first id is needed if left out.

    Attributes
    ----------
    state_changed, table_changed, history_changed : psygnal.Signal
        Prompts or objects, the table, what can be undone.
    mask_changed : psygnal.Signal
        (object, plane): the labels have changed.
    progress : psygnal.Signal
        (kind, done, total, seconds left or None); kind is ``"encode"`` or
        ``"propagate"``.
    busy_changed : psygnal.Signal
        (bool): whether there is work.
    failed : psygnal.Signal
        (error): a job has failed. Raised instead where nobody listens.
    plane_ready : psygnal.Signal
        (plane): a plane of the view is encoded.

    Raises
    ------
    ValueError, TypeError
        If labels, view or channels do not fit the image.

    Examples
    --------
    >>> session = Session(volume, predictor)  # doctest: +SKIP
    >>> session.add_point((30, 64, 80))  # doctest: +SKIP
    1
    >>> session.commit()  # doctest: +SKIP
    [1]
    >>> session.propagate()  # doctest: +SKIP
    """

    # ------------------------------------------------------------------ what is looked at

    @property
    def plane(self) -> int:
        """The plane that is looked at."""
        return self._plane

    @plane.setter
    def plane(self, plane: int) -> None:
        self._plane = self._checked_place(plane).plane

    @property
    def normalization(self) -> Normalization:
        """What the encoder sees of the view's stack; reads planes the first time."""
        return self.scene.policy(self._view)

    def set_view(self, view: View, plane: int | None = None) -> None:
        """Look at another stack of the image.

        Prompts and results belong to the view they were made in and stay.
        What is being encoded ahead is stopped.

        Parameters
        ----------
        view : View
            Axes, and where the others are held.
        plane : int, optional
            The plane that is looked at; the same, if there is one, if left
            out.

        Raises
        ------
        ValueError
            If it does not fit the image.
        """
        self._check_view(view)
        changed, self._view = view != self._view, view
        self.plane = min(self._plane, self.n_planes - 1) if plane is None else plane
        if changed:
            self._stop_ahead()
            self.state_changed.emit()
            self.table_changed.emit()

    def set_source(
        self,
        *,
        normalization: Normalization | None = None,
        channels: Sequence[int] | None = None,
        image: Any = None,
        levels: Sequence[Any] | None = None,
        predictor: Predictor | None = None,
        percentiles: tuple[float, float] | None = None,
    ) -> None:
        """Let the encoder see the image otherwise; masks of pending objects are made anew.

        Parameters
        ----------
        normalization : Normalization, optional
            Fitted to each stack if left out.
        channels : sequence of int, optional
            One or three channels; all if left out.
        image : array-like, optional
            Other data of the same shape; the same if left out.
        levels : sequence of array-like, optional
            Lower resolutions of it; the same, or none for another image, if
            left out.
        predictor : Predictor, optional
            Another model; the same if left out.
        percentiles : tuple of float, optional
            (low, high): what the normalisation is fitted to where none is
            given; robust limits if left out.

        Raises
        ------
        ValueError
            If the channels or the shape do not fit.
        """
        old = self.scene
        scene = Scene(
            old.image if image is None else image,
            old.predictor if predictor is None else predictor,
            channel_axis=old.channel_axis,
            channels=channels,
            normalization=normalization,
            levels=levels if levels is not None else old.levels if image is None else (),
            percentiles=percentiles,
        )
        if scene.shape != old.shape:
            raise ValueError(f"the image has shape {scene.shape}; allowed is {old.shape}.")
        self._stop_ahead()
        if self.cancel(PROPAGATION):
            self._fail(
                RuntimeError(
                    "the image, its contrast or the model has changed, so the propagation was "
                    "stopped; what it had found is kept. Undo it, or propagate again."
                )
            )
        self.scene = scene
        if predictor is not None:
            self._encode_seconds, self._embedding_bytes = [], 0
        self._answers.clear()
        self._follow_up(self._prompted_places())

    def picture(self, plane: int | None = None) -> NDArray[np.uint8]:
        """Make the picture that the encoder sees of a plane.

        Parameters
        ----------
        plane : int, optional
            The plane that is looked at if left out.

        Returns
        -------
        ndarray of shape (rows, columns, 3), uint8
            After normalisation.
        """
        return self.scene.picture(self._checked_place(self._plane if plane is None else plane))

    def is_ready(self, plane: int) -> bool:
        """Whether a plane is known to be encoded: a click on it is answered at once.

        Parameters
        ----------
        plane : int
            Plane of the view.

        Returns
        -------
        bool
            False also where nobody has looked into the cache yet.
        """
        return self.scene.is_ready(self._checked_place(plane))

    # ------------------------------------------------------------------ encode ahead

    def encode_ahead(self, plane: int | None = None, *, radius: int | None = None) -> None:
        """Encode the plane that is looked at, then its neighbours outward.

        Parameters
        ----------
        plane : int, optional
            Becomes the session's `plane`.
        radius : int, optional
            How far to go; to both ends of the stack if left out.
        """
        if plane is not None:
            self.plane = plane
        running = self._ahead
        if running is not None and (running.view, running.radius) == (self._view, radius):
            running.focus = self._plane
            if not self.is_ready(self._plane):
                running.make_way(self._plane)
            return
        ahead = self._ahead = jobs.Ahead(self._view, self._plane, radius)
        self._submit(
            "encode",
            partial(jobs.encode_ahead, self.scene, ahead),
            priority=ENCODE,
            on_result=self._on_encoded,
            on_error=self._on_encode_failed,
            on_done=self._on_ahead_done,
        )

    def _on_encoded(self, value: Encoded) -> None:
        self._note_encoded(value)
        eta = None
        if self._encode_seconds:
            eta = statistics.median(self._encode_seconds) * (value.total - value.done)
        self.progress.emit("encode", value.done, value.total, eta)

    def _on_ahead_done(self) -> None:
        self._ahead = None
        self._tell_busy()

    def _on_encode_failed(self, error: Exception) -> None:
        self._ahead = None
        self._fail(error)

    def _stop_ahead(self) -> None:
        self._ahead = None
        self.cancel("encode")

    def cancel(self, kind: str = "propagate") -> bool:
        """Stop a job; what it has done is kept, and can be undone.

        Parameters
        ----------
        kind : str, optional
            ``"propagate"`` or ``"encode"``.

        Returns
        -------
        bool
            Whether there was one.

        Raises
        ------
        ValueError
            If the kind is another.
        """
        if kind == "encode":
            self._ahead = None
        return super().cancel(kind)

    @property
    def waiting_planes(self) -> list[int]:
        """Planes of the view whose masks are being made."""
        return sorted(place.plane for place in self.waiting if place.view == self._view)

    def place(self, plane: int) -> Place:
        """Name a plane of the view for good, whatever is looked at later.

        Parameters
        ----------
        plane : int
            Plane of the view.

        Returns
        -------
        Place
            View and plane.
        """
        return self._checked_place(plane)
