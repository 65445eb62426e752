"""Masks of pending objects into the labels, and out of them again.

A pending object may recede: at a later click, when its prompts are deleted, when it
is discarded. So it is remembered, for each object and plane, which pixels were changed
for it and what they covered. Nothing is remembered of finished objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.engine.regions import bounds, join_regions, tighten, within
from samslice.session.context import Context
from samslice.session.crossing import hand_down
from samslice.session.extents import Extents
from samslice.session.history import Changes, merge, swap
from samslice.session.labels import Patch
from samslice.session.records import Record, among, extended, flatten, give_back, records_of
from samslice.session.state import Key, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.engine.types import Region
    from samslice.session.labels import LabelsTarget
    from samslice.session.state import Correction

Masks = list[tuple[int, "Region | None", "NDArray[np.bool_]"]]
"""Object, region, and the mask inside it."""


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """What a painting changed.

    Attributes
    ----------
    patch : Patch or None
        The change of the labels, already made.
    records : dict
        The change of the records, already made.
    areas : dict of int to int
        Pixels that each painted object has on the plane.
    """

    patch: Patch | None
    records: Changes
    areas: dict[int, int] = field(default_factory=dict)


class Painter:
    """Writes masks to the labels.

    Parameters
    ----------
    target : LabelsTarget
        The labels.
    """

    def __init__(self, target: LabelsTarget) -> None:
        self.target = target
        self.records: dict[Key, Record] = {}
        self.extents = Extents(target)

    @property
    def holders(self) -> set[int]:
        """Objects that have changed pixels and may give them back."""
        return {key.object_id for key, record in self.records.items() if len(record.pixels)}

    def on(self, place: Place) -> dict[int, Record]:
        """Find the records of a plane.

        Parameters
        ----------
        place : Place
            The plane.

        Returns
        -------
        dict of int to Record
            By object.
        """
        return {key.object_id: r for key, r in self.records.items() if key.place == place}

    def pixels_of(self, key: Key) -> NDArray[np.bool_]:
        """Find an object on a plane.

        Parameters
        ----------
        key : Key
            Object and plane.

        Returns
        -------
        ndarray of shape (rows, columns), bool
            Where the labels have it.
        """
        return self._read(key.place) == key.object_id

    def context(self, key: Key) -> Context | None:
        """Take what an object shows on a plane, for the first click there.

        Parameters
        ----------
        key : Key
            Object and plane.

        Returns
        -------
        Context or None
            None where it has no pixels.
        """
        region = self.extents.find(key)
        if region is None:
            return None
        mask = self._read(key.place, region) == key.object_id
        return Context(*tighten(region, mask)) if mask.any() else None

    def _read(self, place: Place, window: Region | None = None) -> NDArray[Any]:
        return place.view.turn(self.target.read(place.indices(window)))

    def paint(
        self,
        place: Place,
        objects: Collection[int],
        regions: Iterable[Region],
        masks: Callable[[Region, NDArray[np.bool_]], Masks],
        *,
        gone: Collection[int] = (),
        pending: Collection[int] = (),
        overwrite: bool = False,
        corrections: Mapping[int, Correction] | None = None,
    ) -> Painted:
        """Replace what some objects have on a plane.

        Parameters
        ----------
        place : Place
            The plane.
        objects : collection of int
            Objects to paint anew.
        regions : iterable of tuple of int
            Where the new masks lie.
        masks : callable
            Called with a window of the plane and the pixels in it that nobody
            may have; returns the masks, in regions of the plane.
        gone : collection of int, optional
            Objects that give back what they took.
        pending : collection of int, optional
            Objects that are not finished: what they cover is remembered, and
            they are never covered themselves.
        overwrite : bool, optional
            Finished objects may be covered.
        corrections : mapping of int to Correction, optional
            Strokes that go over the masks.

        Returns
        -------
        Painted
            What has changed.
        """
        strokes = {o: c for o, c in (corrections or {}).items() if o in objects}
        shape = place.view.plane_shape(tuple(self.target.shape))
        known = {o: r for o, r in self.on(place).items() if o in objects or o in gone}
        spread = [*regions, *(c.region for c in strokes.values())]
        spread += [r for one in known.values() if (r := one.region(shape[1])) is not None]
        # Of an object that was finished once, the records know a part of its pixels only.
        shown = (self.extents.find(Key(o, *place)) for o in objects)
        spread += [region for region in shown if region is not None]
        if not spread:
            nothing = np.empty((0, 0), self.target.dtype)
            records = records_of(nothing, nothing, objects, (0, 0, 0, 0), shape[1])
            return self._note(place, objects, gone, None, records, pending)
        window = _clip(join_regions(spread), shape)
        current = self._read(place, window)
        base = current.copy()
        crossed: Changes = {}
        for object_id, record in known.items():
            lost = give_back(base, record, object_id, window, shape[1])
            if lost.any():
                key, labels = Key(object_id, *place), tuple(self.target.shape)
                handed = hand_down(self.records, key, record, lost, labels)
                self.replace(handed, which=1)
                merge(crossed, handed)
        new = base.copy()
        new[among(new, objects)] = 0
        cleared = new.copy()
        theirs = among(new, set(pending).difference(objects))
        taken = theirs if overwrite else new != 0
        for object_id, region, mask in masks(window, taken):
            if region is not None:
                inner = within(region, window)
                new[inner][mask & ~taken[inner]] = object_id
        for object_id, stroke in strokes.items():
            inner = within(stroke.region, window)
            new[inner][stroke.add & ~theirs[inner]] = object_id  # by hand: over finished ones too
            erased = stroke.erase & (new[inner] == object_id)
            new[inner][erased] = cleared[inner][erased]
        patch = self._write(place, window, current, new)
        changed = records_of(base, new, objects, window, shape[1])
        areas = dict.fromkeys(objects, 0) | _count(new, objects)
        painted = self._note(place, objects, gone, patch, changed, pending, areas)
        merge(painted.records, crossed)
        return painted

    def _write(
        self, place: Place, window: Region, current: NDArray[Any], new: NDArray[Any]
    ) -> Patch | None:
        changed = current != new
        if not changed.any():
            return None
        row0, col0, row1, col1 = bounds(changed)
        small = np.s_[row0:row1, col0:col1]
        at = (window[0] + row0, window[1] + col0, window[0] + row1, window[1] + col1)
        turned = [place.view.turn(a[small]).copy() for a in (current, new)]
        patch = Patch(place.indices(at), turned[0], turned[1])
        self.target.write(patch.index, patch.after)
        self.extents.written(place, at, np.unique(new[changed]).tolist())
        return patch

    def _note(
        self,
        place: Place,
        objects: Collection[int],
        gone: Collection[int],
        patch: Patch | None,
        records: Mapping[int, Record],
        pending: Collection[int],
        areas: dict[int, int] | None = None,
    ) -> Painted:
        """Remember what pending objects have; of finished ones nothing."""
        changes: Changes = {}
        for object_id in {*objects, *gone}:
            key = Key(object_id, *place)
            before = self.records.get(key)
            after = records.get(object_id) if object_id in pending else None
            if before is not after:
                changes[key] = (before, after)
        self.replace(changes, which=1)
        return Painted(patch, changes, areas or dict.fromkeys(objects, 0))

    def replace(self, changes: Changes, *, which: int) -> None:
        """Put records as they were before (0) or after (1) a change.

        Parameters
        ----------
        changes : dict
            The change.
        which : int
            0 or 1.
        """
        swap(self.records, changes, which)

    def settle(self, object_ids: Collection[int]) -> Changes:
        """Let finished objects keep what they have, and nothing else.

        Nobody gives back to them later what they lost while they were open: what they
        covered is forgotten, and so is what pending objects cover of them.

        Parameters
        ----------
        object_ids : collection of int
            The objects.

        Returns
        -------
        dict
            The change of the records.
        """
        changes: Changes = {}
        for key, record in self.records.items():
            after = None if key.object_id in object_ids else record.forgetting(object_ids)
            if after is not record:
                changes[key] = (record, after)
        self.replace(changes, which=1)
        return changes

    def note_stroke(
        self, place: Place, region: Region, before: NDArray[Any], after: NDArray[Any],
        pending: Collection[int],
    ) -> Changes:  # fmt: skip
        """Bring the records up to date with what the user painted.

        Parameters
        ----------
        place : Place
            The plane.
        region : tuple of int
            (row0, col0, row1, col1), half-open.
        before, after : ndarray of shape (rows, columns)
            Labels inside the region.
        pending : collection of int
            Objects that are not finished.

        Returns
        -------
        dict
            The change of the records.
        """
        cols = place.view.plane_shape(tuple(self.target.shape))[1]
        changed = before != after
        pixels = flatten(changed, region, cols)
        old, new = before[changed], after[changed]
        self.extents.written(place, region, np.unique(new).tolist())
        covered = old.copy()
        changes: Changes = {}
        known = self.on(place)
        rest: dict[int, Record] = dict(known)
        for object_id, record in known.items():
            lost = np.isin(record.pixels, pixels)
            hit = np.searchsorted(pixels, record.pixels[lost])
            ours = old[hit] == np.where(record.present[lost], object_id, 0)
            covered[hit[ours]] = record.covered[lost][ours]
            if lost.any():
                rest[object_id] = record.without(lost)
        for object_id in set(np.unique(new).tolist()).intersection(pending):
            mine = new == object_id
            rest[object_id] = extended(rest.get(object_id), pixels[mine], covered[mine])
        for object_id, record in rest.items():
            if record is not known.get(object_id):
                changes[Key(object_id, *place)] = (known.get(object_id), record)
        self.replace(changes, which=1)
        return changes


def _clip(window: Region, shape: tuple[int, int]) -> Region:
    return max(window[0], 0), max(window[1], 0), min(window[2], shape[0]), min(window[3], shape[1])


def _count(labels: NDArray[Any], object_ids: Collection[int]) -> dict[int, int]:
    ids, counts = np.unique(labels[among(labels, object_ids)], return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))
