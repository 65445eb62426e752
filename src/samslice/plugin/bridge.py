"""Layers and a session kept in step. Needs no Qt: a `ViewerModel`'s layers do."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.plugin.prompt_layers import Clicks, Drawings

if TYPE_CHECKING:
    from napari.layers import Image, Points, Shapes
    from numpy.typing import NDArray

    from samslice.plugin.layer_labels import LayerLabels
    from samslice.plugin.next_prompt import NextPrompt
    from samslice.plugin.viewstate import Axes
    from samslice.session.session import Session

Guard = Callable[[Callable[[], object]], object]
"""Calls a function and turns what it raises into a message."""

_DONE = ("added", "changed", "removed")


class LayerBridge:
    """Tell a session what the user does to layers, and show its state in them.

    Parameters
    ----------
    session : Session
        The session.
    image : napari.layers.Image
        What it segments.
    axes : Axes
        Its axes.
    target : LayerLabels
        Where the session writes.
    upcoming : NextPrompt
        Keeps the object and the sign of the next prompts in the layers.
    guard : callable
        Calls what layers' events ask for; must not raise.
    tell : callable
        Told, in words, what the session has refused.
    """

    def __init__(
        self,
        session: Session,
        image: Image,
        axes: Axes,
        target: LayerLabels,
        upcoming: NextPrompt,
        *,
        guard: Guard,
        tell: Callable[[str], object],
    ) -> None:
        self._session = session
        self._image = image
        self._axes = axes
        self._target = target
        self._upcoming = upcoming
        self._guard = guard
        self._tell = tell
        self._quiet = 0
        self._shown_current: int | None = None
        self._clicks: Clicks | None = None
        self._drawings: Drawings | None = None
        target.layer.events.paint.connect(self._on_paint)
        target.layer.events.colormap.connect(self._on_colormap)
        target.layer.events.set_data.connect(self._on_refresh)
        session.state_changed.connect(self._on_state)

    # ------------------------------------------------------------------ layers

    @property
    def points(self) -> Points | None:
        """Layer of clicks."""
        return None if self._clicks is None else self._clicks.layer

    @property
    def shapes(self) -> Shapes | None:
        """Layer of drawings."""
        return None if self._drawings is None else self._drawings.layer

    def attach(self, points: Points | None, shapes: Shapes | None) -> None:
        """Use other layers of clicks and drawings; what they hold becomes prompts.

        Parameters
        ----------
        points, shapes : layer or None
            None where there is none for now; the session keeps its prompts.
        """
        with self._hush():
            if points is not self.points:
                self._detach(self._clicks)
                self._clicks = None if points is None else Clicks(points, *self._parts())
                self._attach(self._clicks)
            if shapes is not self.shapes:
                self._detach(self._drawings)
                self._drawings = None if shapes is None else Drawings(shapes, *self._parts())
                self._attach(self._drawings)
        self._shown_current = None
        self.show()

    def _parts(self) -> tuple[Any, ...]:
        return self._session, self._image, self._axes, self.color_of

    def _attach(self, part: Clicks | Drawings | None) -> None:
        if part is not None:
            for refusal in part.take(merge=True)[:1]:
                self._tell(refusal)
            part.layer.events.data.connect(self._on_data)
            part.layer.events.features.connect(self._on_features)

    def _detach(self, part: Clicks | Drawings | None) -> None:
        if part is not None:
            part.layer.events.data.disconnect(self._on_data)
            part.layer.events.features.disconnect(self._on_features)

    def close(self) -> None:
        """Let go of layers and session; both stay as they are."""
        self._detach(self._clicks)
        self._detach(self._drawings)
        events = self._target.layer.events
        events.paint.disconnect(self._on_paint)
        events.colormap.disconnect(self._on_colormap)
        events.set_data.disconnect(self._on_refresh)
        self._session.state_changed.disconnect(self._on_state)

    # ------------------------------------------------------------------ layer to session

    @contextmanager
    def _hush(self) -> Generator[None, None, None]:
        """Do not take what happens inside for the user's doing."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _on_data(self, event: Any) -> None:
        if not self._quiet and str(getattr(event.action, "value", event.action)) in _DONE:
            self._guard(self.take)

    def _on_features(self, event: Any = None) -> None:
        if not self._quiet and not self._is_dragging:
            self._guard(self.take)

    @property
    def _is_dragging(self) -> bool:
        """Whether a drawing follows the mouse: what napari draws must stay until it is let go."""
        shapes: Any = self.shapes
        by_clicks = ("add_polygon", "add_polyline")
        return shapes is not None and shapes._is_creating and str(shapes.mode) not in by_clicks

    def take(self) -> None:
        """Tell the session what is different in the layers."""
        refused: list[str] = []
        with self._hush():
            for part in (self._clicks, self._drawings):
                if part is not None:
                    refused += part.take()
        self._show()
        for refusal in refused[:1]:
            self._tell(refusal)

    def _on_paint(self, event: Any) -> None:
        self._guard(lambda: self._take_stroke(event.value))

    def _take_stroke(self, atoms: list[Any]) -> None:
        patch = self._target.stroke(atoms)
        if patch is not None:
            self._session.note_stroke([patch])

    def _on_refresh(self, event: Any = None) -> None:
        """The layer is drawn anew, as after other code has written to its data."""
        self._session.note_other_changes()

    # ------------------------------------------------------------------ session to layers

    def _on_state(self) -> None:
        if not self._quiet:
            self._guard(self.show)

    def _on_colormap(self, event: Any = None) -> None:
        self._guard(self.show)

    def show(self) -> None:
        """Make the layers show the session's prompts and current object."""
        if not self._is_dragging:  # else the end of the drawing makes them
            self._show()

    def _show(self) -> None:
        with self._hush():
            for part in (self._clicks, self._drawings):
                if part is not None:
                    part.show()
            self._show_current()

    def _show_current(self) -> None:
        self._upcoming.show()
        current = self._session.current
        if current != self._shown_current:  # else the label is the user's choice, by pipette
            self._shown_current = current
            self._target.layer.selected_label = current

    def color_of(self, object_ids: NDArray[Any]) -> NDArray[Any]:
        """Colours of objects in the labels layer.

        Parameters
        ----------
        object_ids : ndarray of shape (n,)
            The objects.

        Returns
        -------
        ndarray of shape (n, 4)
            RGBA from 0 to 1.
        """
        colors = [self._target.layer.get_color(int(i)) for i in object_ids]
        missing = (0.5, 0.5, 0.5, 1.0)
        return np.array([missing if c is None else c for c in colors], float).reshape(-1, 4)
