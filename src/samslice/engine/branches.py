"""Parts that join an object on its way, to be followed back to where they come from.

An object that travels one way meets branches of itself that come from the other
way: two profiles become one. On the plane where they do, the object grows by a
part that was not there before. A part grows for some planes, as no strategy
looks far around an object; when it no longer does, it sets out on a leg of its
own, in the other direction, from the plane on which it joined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from samslice.engine.regions import crop, tighten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.label_store import Page
    from samslice.engine.options import PropagateOptions
    from samslice.engine.schedule import Leg, Schedule
    from samslice.engine.types import PlaneResult, Region

MOST_TURNS = 3
"""Changes of direction between an object's anchor and the last of its branches."""

_MOST_PLANES = 5  # on which a part may grow before it sets out
_GROWS = 1.25  # times larger than on the plane before: it is not all there yet


def rim_reach(options: PropagateOptions) -> float:
    """Say how far the rim of an object may move from one plane to the next.

    Parameters
    ----------
    options : PropagateOptions
        Spacing.

    Returns
    -------
    float
        In pixels: one, and as many as planes are apart. What appears farther
        from the object has joined it.
    """
    return 1.0 + options.plane_step


@dataclass(frozen=True, slots=True, eq=False)
class _Growing:
    """An object and the part that has joined it, on the last plane."""

    since: int
    region: Region
    body: NDArray[np.bool_]
    part: NDArray[np.bool_]


class Branches:
    """What has joined the objects of one propagation, and what is known of their planes.

    Parameters
    ----------
    schedule : Schedule
        Where objects are looked for: branches go no further.
    options : PropagateOptions
        Spacing and the smallest area.
    """

    def __init__(self, schedule: Schedule, options: PropagateOptions) -> None:
        self._schedule = schedule
        self._min_area = options.min_area
        self._reach = rim_reach(options)
        self._growing: dict[Leg, _Growing] = {}
        self._waiting: list[Leg] = []
        self._count = 0
        self._known: dict[tuple[int, int], PlaneResult] = {}

    def watch(
        self,
        leg: Leg,
        result: PlaneResult,
        joined: NDArray[np.bool_] | None,
    ) -> list[tuple[Leg, Region, NDArray[np.bool_]]]:
        """See whether a part that has joined an object is all there.

        Parameters
        ----------
        leg : Leg
            The object's way.
        result : PlaneResult
            Its mask on the plane at hand.
        joined : ndarray of bool or None
            What has joined it on this plane, inside the result's region.

        Returns
        -------
        list of tuple of Leg, Region, ndarray of bool
            Ways back that start now, each with its mask on this plane.
        """
        before = self._growing.pop(leg, None)
        if result.region is None or (before is None and joined is None):
            return []
        part = np.zeros_like(result.mask) if joined is None else joined
        if before is not None:
            part = part | _share_of_part(before, result)
        if not part.any():
            return []
        since = result.plane if before is None else before.since
        grows = before is None or np.count_nonzero(part) > _GROWS * np.count_nonzero(before.part)
        if grows and abs(result.plane - since) < _MOST_PLANES and result.plane != leg.last:
            body = result.mask & ~part
            self._growing[leg] = _Growing(since, result.region, body, part)
            return []
        return self._set_out(leg, since, result.region, part)

    def _set_out(
        self, leg: Leg, since: int, region: Region, part: NDArray[np.bool_]
    ) -> list[tuple[Leg, Region, NDArray[np.bool_]]]:
        """Start a way back for each connected piece that is no mere seam of the rim."""
        pieces, count = ndimage.label(part)
        ways = []
        for number in range(1, count + 1):
            piece = pieces == number
            # Narrower than this it may be a rim that has moved on two sides.
            wide = ndimage.distance_transform_edt(np.pad(piece, 1)).max() > self._reach
            if not wide or np.count_nonzero(piece) < self._min_area:
                continue
            way = self._schedule.way_back(leg, since, self._count + 1)
            if way is not None:
                self._count += 1
                self._waiting.append(way)
                ways.append((way, *tighten(region, piece)))
        return ways

    def take(self) -> list[Leg]:
        """Hand over the ways back that have not been gone yet.

        Returns
        -------
        list of Leg
            In the order in which they were found.
        """
        waiting, self._waiting = self._waiting, []
        self._growing.clear()
        return waiting

    def note(self, results: Sequence[PlaneResult]) -> None:
        """Keep what is said of planes, for branches that reach them later.

        Parameters
        ----------
        results : sequence of PlaneResult
            Their masks are not kept.
        """
        for result in results:
            empty = np.zeros((0, 0), bool)
            self._known[result.object_id, result.plane] = replace(result, mask=empty)

    def unite(self, page: Page, results: Sequence[PlaneResult]) -> list[PlaneResult]:
        """Put branches on a page, beside what their objects have there.

        Parameters
        ----------
        page : Page
            The labels of the plane.
        results : sequence of PlaneResult
            One for each branch.

        Returns
        -------
        list of PlaneResult
            At most one for each object, with all its pixels. It says what is
            said of the least certain part; an anchor stays one. Where a branch
            is not found and the object was looked for before, there is none.
        """
        united = []
        for object_id in dict.fromkeys(result.object_id for result in results):
            known = self._known.get((object_id, page.index))
            mine = [result for result in results if result.object_id == object_id]
            found = [result for result in mine if result.region is not None]
            for result in found:
                page.add(object_id, result.region, result.mask)
            if not found:
                united += mine[:1] if known is None else []
                continue
            parts = found if known is None or known.region is None else [known, *found]
            said = min(parts, key=lambda r: (r.status != "anchor", r.score))
            shape = page.pixels.shape
            region, mask = tighten((0, 0, *shape), page.pixels == object_id)
            united.append(replace(said, region=region, mask=mask))
        self.note(united)
        return united


def _share_of_part(before: _Growing, result: PlaneResult) -> NDArray[np.bool_]:
    """Pixels that lie nearer to where the part was than to where the rest of the object was."""
    if result.region is None:
        return np.zeros_like(result.mask)
    part, body = (crop(before.region, m, result.region) for m in (before.part, before.body))
    if not part.any() or not body.any():
        return result.mask & part.any()
    to_part = ndimage.distance_transform_edt(~part)
    to_body = ndimage.distance_transform_edt(~body)
    return np.asarray(result.mask & (to_part < to_body))
