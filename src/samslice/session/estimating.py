"""The part of a session that says what a propagation will cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from samslice.engine.schedule import make_schedule
from samslice.engine.types import Seed
from samslice.session.propagating import Propagating
from samslice.session.state import Place

if TYPE_CHECKING:
    from samslice.engine.options import PropagateOptions

_DOT = np.ones((1, 1), bool)  # stands for a mask where only its plane counts


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a propagation will cost.

    Attributes
    ----------
    planes : int
        Planes to visit at most.
    to_encode : int
        Those of them that are not known to be encoded.
    seconds : float or None
        Time to encode them, from the speed so far; None before the first.
    ram_bytes, disk_bytes : int or None
        What their embeddings will take; None before the first.
    """

    planes: int
    to_encode: int
    seconds: float | None
    ram_bytes: int | None
    disk_bytes: int | None


class Estimating(Propagating):
    """Costs of a session's work; see `samslice.session.session.Session`."""

    def estimate(
        self,
        object_ids: Iterable[int] | int | None = None,
        *,
        plane: int | None = None,
        options: PropagateOptions | None = None,
    ) -> Estimate:
        """Say what a propagation would cost. Reads no pixels of the image.

        Parameters
        ----------
        object_ids, plane, options : optional
            As for `propagate`.

        Returns
        -------
        Estimate
            Planes, time and memory; at most, as objects may end earlier.

        Raises
        ------
        ValueError
            As for `propagate`.
        """
        if object_ids is None:
            shown = {i.object_id for i in self._state.prompts if i.view == self._view}
            object_ids = shown & self.pending or shown
        chosen = self._chosen(object_ids)
        seeds = [
            Seed(o, p, mask=_DOT) if self._can_seed(o, p) else self._seed(o, p, as_mask=True)
            for o, p in self._starts(chosen, plane)
        ]
        seeds += self._end_marks(chosen)
        schedule = make_schedule(seeds, self.n_planes, options or self.options)
        planes = {p for leg in schedule.legs for p in leg.planes} | set(schedule.anchors)
        missing = sum(not self.scene.is_ready(Place(self._view, p)) for p in planes)
        cache, size = self.scene.cache, self._embedding_bytes
        seconds = missing * float(np.median(self._encode_seconds)) if self._encode_seconds else None
        ram = min(missing * size, cache.ram_bytes) if size else None
        disk = (missing * size // 2 if cache.path is not None else 0) if size else None
        return Estimate(len(planes), missing, seconds, ram, disk)
