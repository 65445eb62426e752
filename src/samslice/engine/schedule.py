"""Which object is to be looked for on which plane, coming from which anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from samslice.engine.options import PropagateOptions
    from samslice.engine.types import Seed

FORWARD, BACKWARD = 1, -1


@dataclass(frozen=True, slots=True)
class Leg:
    """One object's way from an anchor in one direction.

    Attributes
    ----------
    object_id : int
        Label of the object.
    anchor : int
        Plane of the anchor it starts from; not part of the leg.
    direction : int
        +1 towards higher planes, -1 towards lower ones.
    last : int
        Last plane of the leg, included.
    closed : bool
        Another anchor of the object lies ahead, so it does not end on the way.
    branch : int
        0 for the whole object; else the number of the branch that is followed
        back from where it joined the object, which the `anchor` then is.
    """

    object_id: int
    anchor: int
    direction: int
    last: int
    closed: bool
    branch: int = 0

    @property
    def planes(self) -> range:
        """The planes to visit, in order."""
        return range(self.anchor + self.direction, self.last + self.direction, self.direction)

    def __contains__(self, plane: int) -> bool:
        return plane in self.planes


@dataclass(frozen=True, slots=True)
class Schedule:
    """Anchors by plane, and legs.

    Attributes
    ----------
    anchors : dict of int to list of Seed
        Seeds with a prompt or a mask, by plane.
    legs : tuple of Leg
        Every way from every anchor.
    sweeps : tuple of int
        Directions to sweep, in order; anchors are met in the first.
    standing : dict of int to list of Seed
        Anchors that are looked at but not drawn anew, by plane: those that legs
        start from, and all of an object that may end anew.
    absent : dict of int to set of int
        Objects that an end mark keeps off a plane, by plane.
    is_correction : bool
        Only what some changed anchors and marks affect is planned.
    """

    anchors: dict[int, list[Seed]]
    legs: tuple[Leg, ...]
    sweeps: tuple[int, ...]
    standing: dict[int, list[Seed]]
    absent: dict[int, set[int]]
    is_correction: bool = False

    def objects(self, plane: int) -> set[int]:
        """Objects that this propagation may change on a plane.

        Parameters
        ----------
        plane : int
            Index along the stack axis.

        Returns
        -------
        set of int
            Those that are drawn there, or looked for.
        """
        drawn = {seed.object_id for seed in self.anchors.get(plane, ())}
        return drawn | {leg.object_id for leg in self.legs if plane in leg}

    def way_back(self, leg: Leg, joined: int, branch: int) -> Leg | None:
        """Plan how a branch is followed back from where it joined an object.

        It goes as far as the object is looked for without a gap, so it passes
        no end mark and leaves neither the range nor what a correction affects;
        and it stops before a mask that the user gave, which shows all there is.

        Parameters
        ----------
        leg : Leg
            The way on which the object was joined.
        joined : int
            On which plane.
        branch : int
            Number of the branch.

        Returns
        -------
        Leg or None
            The way back; None if there is no plane to go to.
        """
        back, last = -leg.direction, joined
        while self._may_join(leg.object_id, last + back):
            last += back
        if last == joined:
            return None
        return Leg(leg.object_id, joined, back, last, closed=False, branch=branch)

    def _may_join(self, object_id: int, plane: int) -> bool:
        given = [s for s in self.anchors.get(plane, ()) if s.mask is not None]
        whole = any(seed.object_id == object_id for seed in given)
        return object_id in self.objects(plane) and not whole

    def planes(self, direction: int) -> list[int]:
        """Planes that a sweep visits.

        Parameters
        ----------
        direction : int
            +1 or -1.

        Returns
        -------
        list of int
            In the order of the visit.
        """
        found = {p for leg in self.legs if leg.direction == direction for p in leg.planes}
        if direction == self.sweeps[0]:
            found.update(self.anchors, self.standing)
        return sorted(found, reverse=direction == BACKWARD)


def make_schedule(
    seeds: Sequence[Seed],
    n_planes: int,
    options: PropagateOptions,
    corrected: Iterable[tuple[int, int]] | None = None,
) -> Schedule:
    """Plan a propagation.

    Between two anchors of an object a leg runs from each to the other, if both
    directions are swept; an "ends here" mark stops the legs on both its sides. With `corrected`,
    only legs that start from one of these anchors are planned, and those that
    run towards one, or towards one of these marks, from the next anchor.

    Parameters
    ----------
    seeds : sequence of Seed
        All seeds of all objects.
    n_planes : int
        Planes of the stack.
    options : PropagateOptions
        Direction and range.
    corrected : iterable of tuple of int, optional
        (object id, plane) of the anchors and end marks that have changed; all
        if left out.

    Returns
    -------
    Schedule
        What to visit.

    Raises
    ------
    ValueError
        If there is no seed, a seed lies outside the range, two seeds of an
        object share a plane, an object has end marks only, or a corrected
        plane has neither anchor nor mark.
    """
    first = options.first_plane or 0
    last = n_planes - 1 if options.last_plane is None else options.last_plane
    _check(seeds, n_planes, first, last)
    both = options.direction == "both"
    sweeps = (FORWARD, BACKWARD) if both else (FORWARD,)
    if options.direction == "backward":
        sweeps = (BACKWARD,)
    by_object: dict[int, dict[int, Seed]] = {}
    for seed in seeds:
        by_object.setdefault(seed.object_id, {})[seed.plane] = seed
    changed = {(seed.object_id, seed.plane) for seed in seeds}
    if corrected is not None:
        changed = _changed(corrected, changed)
    legs: list[Leg] = []
    absent: dict[int, set[int]] = {}
    for object_id, marks in by_object.items():
        for direction in sweeps:
            for here, ahead in _ways(marks, direction):
                if not {(object_id, here), (object_id, ahead)} & changed:
                    continue
                edge = last if direction == FORWARD else first
                leg = _leg(object_id, marks, direction, here, ahead, edge)
                legs += [leg] if leg else []
                if ahead is not None and marks[ahead].ends:
                    for plane in _beyond(marks, direction, ahead, edge):
                        absent.setdefault(plane, set()).add(object_id)
    # Where an object may end, all its anchors tell what it looks like.
    open_ended = {leg.object_id for leg in legs if not leg.closed}
    needed = {(leg.object_id, leg.anchor) for leg in legs}
    needed |= {(s.object_id, s.plane) for s in seeds if s.object_id in open_ended}
    standing = _by_plane(seeds, needed - changed)
    shown = _by_plane(seeds, changed)
    return Schedule(shown, tuple(legs), sweeps, standing, absent, corrected is not None)


def _by_plane(seeds: Sequence[Seed], chosen: set[tuple[int, int]]) -> dict[int, list[Seed]]:
    found: dict[int, list[Seed]] = {}
    for seed in seeds:
        if (seed.object_id, seed.plane) in chosen and not seed.ends:
            found.setdefault(seed.plane, []).append(seed)
    return found


def _changed(
    corrected: Iterable[tuple[int, int]], shown: set[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Check which anchors and marks have changed."""
    changed = {(int(object_id), int(plane)) for object_id, plane in corrected}
    if not changed:
        raise ValueError(
            "corrected is empty; name the anchors and end marks that have changed, as (object id, "
            "plane), or leave it out to carry objects from all their anchors."
        )
    for object_id, plane in sorted(changed - shown):
        known = ", ".join(str(p) for o, p in sorted(shown) if o == object_id) or "none"
        raise ValueError(
            f"object {object_id} is said to be corrected on plane {plane}, where it has no "
            f"seed; its seeds are on planes {known}. Give it one with a prompt, a mask or an end "
            "mark there."
        )
    return changed


def _ways(marks: dict[int, Seed], direction: int) -> Iterator[tuple[int, int | None]]:
    """Each anchor of an object, with the plane of the next anchor or mark ahead of it."""
    order = sorted(marks, reverse=direction == BACKWARD)
    for here, ahead in zip(order, [*order[1:], None], strict=True):
        if not marks[here].ends:
            yield here, ahead


def _leg(
    object_id: int,
    marks: dict[int, Seed],
    direction: int,
    here: int,
    ahead: int | None,
    edge: int,
) -> Leg | None:
    """Go from an anchor towards what is ahead; None if no plane lies between."""
    closed = ahead is not None and not marks[ahead].ends
    end = edge if ahead is None else ahead - direction
    if (end - here) * direction <= 0:
        return None
    return Leg(object_id, here, direction, end, closed)


def _beyond(marks: dict[int, Seed], direction: int, mark: int, edge: int) -> range:
    """Planes that an end mark clears: up to the last mark before the next anchor, or the edge."""
    last = edge
    for plane in sorted(marks, reverse=direction == BACKWARD):
        if (plane - mark) * direction > 0 and not marks[plane].ends:
            marked = [p for p in marks if 0 <= (p - mark) * direction < (plane - mark) * direction]
            last = max(marked, key=lambda p: p * direction)
            break
    return range(mark, last + direction, direction)


def _check(seeds: Sequence[Seed], n_planes: int, first: int, last: int) -> None:
    if not seeds:
        raise ValueError("there are no seeds; give at least one Seed(object_id, plane, prompt).")
    if last >= n_planes or first >= n_planes:
        raise ValueError(
            f"the range of planes {first} to {last} exceeds the stack, which has planes 0 to "
            f"{n_planes - 1}. Narrow first_plane and last_plane, or leave them out."
        )
    seen: set[tuple[int, int]] = set()
    for seed in seeds:
        if not first <= seed.plane <= last:
            raise ValueError(
                f"the {'end mark' if seed.ends else 'seed'} of object {seed.object_id} is on "
                f"plane {seed.plane}; allowed are planes {first} to {last}. Widen the range of "
                "planes, or take it away."
            )
        if (seed.object_id, seed.plane) in seen:
            raise ValueError(
                f"object {seed.object_id} has two seeds on plane {seed.plane}; join them into "
                "one Prompt, and keep an end mark off an anchor's plane."
            )
        seen.add((seed.object_id, seed.plane))
    anchored = {seed.object_id for seed in seeds if not seed.ends}
    for seed in seeds:
        if seed.object_id not in anchored:
            raise ValueError(
                f"object {seed.object_id} has end marks only; give it a seed with a prompt or mask."
            )
