"""The object and the sign of the next click or drawing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from samslice.plugin import layers as make

if TYPE_CHECKING:
    from napari.layers import Points, Shapes


class NextPrompt:
    """Keep in layers which object and sign their next prompts get.

    napari takes the defaults of new rows from the last row whenever features are written,
    and from a row that is selected: each time they are set right again here.

    Parameters
    ----------
    current : callable
        Says which object is the current one.
    guard : callable
        Calls what layers' events ask for; must not raise.

    Attributes
    ----------
    positive : bool
        Sign of the next prompts; `show` after changing it.
    """

    def __init__(
        self, current: Callable[[], int], guard: Callable[[Callable[[], object]], object]
    ) -> None:
        self.positive = True
        self._current = current
        self._guard = guard
        self._layers: list[Points | Shapes] = []
        self._writing = False

    def join(self, layer: Points | Shapes) -> None:
        """Keep a layer's defaults, and add the features that it lacks."""
        self._layers.append(layer)
        for name in ("features", "feature_defaults"):
            getattr(layer.events, name).connect(self._on_defaults)
        self.show()

    def leave(self, layer: Points | Shapes) -> None:
        """Let go of a layer."""
        if any(one is layer for one in self._layers):
            self._layers = [one for one in self._layers if one is not layer]
            for name in ("features", "feature_defaults"):
                getattr(layer.events, name).disconnect(self._on_defaults)

    def _on_defaults(self, event: Any = None) -> None:
        self._guard(self.show)

    def show(self) -> None:
        """Write object and sign where they are different."""
        if self._writing:
            return
        self._writing = True
        try:
            current = self._current()
            for layer in self._layers:
                if not {make.UID, make.OBJECT, make.POSITIVE} <= set(layer.features):
                    make.complete_features(layer, current)
                make.set_defaults(layer, current, self.positive)
        finally:
            self._writing = False
