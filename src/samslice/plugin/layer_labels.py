"""A napari Labels layer as the place where a session writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.session.labels import Patch

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

    from samslice.plugin.viewstate import Axes
    from samslice.session.labels import Index


class LayerLabels:
    """Write to a Labels layer through its own history, only the pixels that change.

    Reading is safe in any thread, writing belongs to the GUI's.

    Parameters
    ----------
    layer : napari.layers.Labels
        Of a single scale.
    axes : Axes
        Its axes; the channel axis, of one index, is not seen by the session.
    """

    def __init__(self, layer: Labels, axes: Axes) -> None:
        self._layer = layer
        self._axes = axes
        self._writing = False
        self._told = False
        self._staged: list[tuple[NDArray[Any], ...]] = []

    @property
    def layer(self) -> Labels:
        """The layer."""
        return self._layer

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the labels without the channel axis."""
        return tuple(int(n) for n in self._axes.drop(self._layer.data.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the labels."""
        return np.dtype(self._layer.data.dtype)

    def read(self, index: Index) -> NDArray[Any]:
        """Return a copy of a window; see `LabelsTarget.read`."""
        return np.array(self._layer.data[self._axes.insert(index)])

    def write(self, index: Index, values: NDArray[Any]) -> None:
        """Replace a window; see `LabelsTarget.write`."""
        changed = np.asarray(values) != self.read(index)
        if not changed.any():
            return
        indices = _coordinates(self._axes.insert(index), self._layer.data.shape, changed)
        new = np.asarray(values, self.dtype)[changed]
        if not self._is_shown():
            self._layer.data[indices] = new  # napari draws it when it shows the layer again
            return
        self._writing, self._told = True, False
        try:
            self._layer.data_setitem(indices, new)
        finally:
            self._writing = False
        if not self._told:  # napari holds it back until the stroke that is being drawn ends
            self._staged.append(indices)

    def _is_shown(self) -> bool:
        """Whether napari holds the pixels that it shows of the layer.

        A layer that is hidden or lies beside the slider's plane has a placeholder of one
        pixel of a smaller dtype. `data_setitem` would cast labels to it, and fail on it.
        """
        return bool(self._layer.visible) and not self._layer._slice.empty

    def stroke(self, atoms: list[Any]) -> Patch | None:
        """Say what the user has changed, from what a `paint` event carries.

        Parameters
        ----------
        atoms : list
            Single changes, in their order: napari's masked changes of a
            window, and (indices, old, new) of `data_setitem`.

        Returns
        -------
        Patch or None
            One window over all of them; None if the session itself has
            written, or nothing has changed.
        """
        if self._writing:
            self._told = True
            return None
        strokes = [atom for atom in atoms if not self._is_ours(atom)]
        self._staged.clear()
        shape = tuple(self._layer.data.shape)
        spans = [span for atom in strokes if (span := _span(atom, shape)) is not None]
        if not spans:
            return None
        lows = np.min([low for low, _ in spans], axis=0)
        highs = np.max([high for _, high in spans], axis=0)
        window = tuple(slice(int(a), int(b)) for a, b in zip(lows, highs, strict=True))
        before = np.array(self._layer.data[window])
        for atom in reversed(strokes):
            _put(atom, before, lows, shape, old=True)
        after = before.copy()  # napari tells of a single change before it is made
        for atom in strokes:
            _put(atom, after, lows, shape, old=False)
        if self._axes.channel is not None:
            after, before = (np.take(a, 0, axis=self._axes.channel) for a in (after, before))
        return Patch(self._axes.drop(window), before, after)

    def _is_ours(self, atom: Any) -> bool:
        if len(atom) != 3:
            return False
        return any(
            all(np.array_equal(a, b) for a, b in zip(atom[0], ours, strict=True))
            for ours in self._staged
        )


def _coordinates(
    index: Index, shape: tuple[int, ...], changed: NDArray[np.bool_]
) -> tuple[NDArray[Any], ...]:
    """Positions in the whole array of the pixels of a window that change."""
    found = iter(np.nonzero(changed))
    count = int(np.count_nonzero(changed))
    return tuple(
        next(found) + entry.indices(size)[0]
        if isinstance(entry, slice)
        else np.full(count, entry, np.intp)
        for entry, size in zip(index, shape, strict=True)
    )


def _span(atom: Any, shape: tuple[int, ...]) -> tuple[list[int], list[int]] | None:
    """Lowest and highest index, exclusive, that a change reaches on each axis."""
    if len(atom) == 4:  # slice_key, mask, old_values, new_value
        ends = [s.indices(n)[:2] for s, n in zip(atom[0], shape, strict=True)]
        return [a for a, _ in ends], [b for _, b in ends]
    arrays = [np.asarray(a) for a in atom[0]]
    if not arrays or not arrays[0].size:
        return None
    return [int(a.min()) for a in arrays], [int(a.max()) + 1 for a in arrays]


def _put(
    atom: Any, pixels: NDArray[Any], lows: NDArray[Any], shape: tuple[int, ...], *, old: bool
) -> None:
    """Put a change's old or new values into a window of the array that begins at `lows`."""
    values = atom[-2] if old else atom[-1]
    if len(atom) == 3:
        pixels[tuple(np.asarray(a) - o for a, o in zip(atom[0], lows, strict=True))] = values
        return
    key, mask = atom[:2]
    starts = [s.indices(n)[:2] for s, n in zip(key, shape, strict=True)]
    inner = tuple(slice(a - o, b - o) for (a, b), o in zip(starts, lows, strict=True))
    if mask is None:
        pixels[inner] = values
    else:
        pixels[inner][mask] = values
