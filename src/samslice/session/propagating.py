"""The part of a session that carries objects through the stack."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.engine.regions import regions_meet
from samslice.engine.schedule import make_schedule
from samslice.engine.types import Seed
from samslice.session import jobs
from samslice.session.finishing import Finishing
from samslice.session.history import Edit
from samslice.session.job import PROPAGATE
from samslice.session.overlay import LabelsOverlay
from samslice.session.state import Key, Place, anchors, context_of, items_of, items_on, join
from samslice.session.strokes import corrections_on
from samslice.session.table import Row

if TYPE_CHECKING:
    from samslice.engine.options import PropagateOptions
    from samslice.engine.schedule import Schedule
    from samslice.engine.types import PlaneStep, Region
    from samslice.session.painter import Masks
    from samslice.session.view import View

PROPAGATION = "propagate"


@dataclass(slots=True, eq=False)
class _Run:
    """A propagation that is running."""

    edit: Edit
    view: View
    stamps: dict[int, Any]
    schedule: Schedule
    begun: float = field(default_factory=time.monotonic)


class Propagating(Finishing):
    """Propagation of a session; see `samslice.session.session.Session`."""

    def _prepare(self) -> None:
        super()._prepare()
        self._run: _Run | None = None

    def propagate(
        self,
        object_ids: Iterable[int] | int | None = None,
        *,
        plane: int | None = None,
        options: PropagateOptions | None = None,
    ) -> None:
        """Carry objects through the stack, from all planes on which they were shown.

        Planes are written as they are done, all in one step of the history.

        Parameters
        ----------
        object_ids : iterable of int, optional
            The objects. All pending ones if left out; if there are none, all
            that have prompts.
        plane : int, optional
            Plane whose pixels an object without prompts starts from; the
            session's `plane` if left out.
        options : PropagateOptions, optional
            The session's if left out.

        Raises
        ------
        ValueError
            If there is nothing to carry, nowhere to go, or the options do not
            fit.
        """
        if object_ids is None:
            shown = {i.object_id for i in self._state.prompts if i.view == self._view}
            object_ids = shown & self.pending or shown
            if not object_ids:
                raise ValueError(
                    "no object has prompts in this stack; click on one, or say which to carry."
                )
        seeds = self._seeds_of(self._chosen(object_ids), plane)
        self._start(PROPAGATION, seeds, options or self.options)

    def repropagate(self, object_ids: Iterable[int] | int, planes: Iterable[int] | int) -> None:
        """Carry corrections to the neighbouring anchors, and no further.

        An "ends here" mark is a correction, too: it takes the object off what lies beyond.

        Parameters
        ----------
        object_ids : int or iterable of int
            The objects that were corrected.
        planes : int or iterable of int
            The planes on which each of them was corrected.

        Raises
        ------
        ValueError
            If an object has neither prompts nor pixels on one of the planes,
            or none is given.
        """
        at = [planes] if isinstance(planes, (int, np.integer)) else planes
        chosen = self._chosen(object_ids)
        corrected = frozenset((o, p) for o in chosen for p in at)
        if not corrected:
            raise ValueError("no object or no plane is given; name those that were corrected.")
        marks = self._end_marks(chosen)
        shown = corrected.union((o, p) for o in chosen for p in self._anchored(o))
        shown -= {(mark.object_id, mark.plane) for mark in marks}
        seeds = [*(self._seed(*one, as_mask=False) for one in sorted(shown)), *marks]
        # Anchors outside the range of planes are not drawn, but tell where a correction ends.
        bounds = [s.plane for s in seeds if (s.object_id, s.plane) not in corrected]
        first, last = self.options.first_plane, self.options.last_plane
        options = replace(
            self.options,
            direction="both",
            first_plane=None if first is None else min([first, *bounds]),
            last_plane=None if last is None else max([last, *bounds]),
        )
        self._start("propagate correction", seeds, options, corrected)

    def _seeds_of(self, object_ids: list[int], plane: int | None) -> list[Seed]:
        seeds = [self._seed(o, p, as_mask=False) for o, p in self._starts(object_ids, plane)]
        return seeds + self._end_marks(object_ids)

    def _starts(self, object_ids: list[int], plane: int | None) -> list[tuple[int, int]]:
        """Objects, and the planes that each is carried from."""
        start = self._plane if plane is None else plane
        return [(o, p) for o in object_ids for p in self._anchored(o) or [start]]

    def _end_marks(self, object_ids: list[int]) -> list[Seed]:
        marks = [k for k in self._state.ends if k.object_id in object_ids and k.view == self._view]
        return [Seed(k.object_id, k.plane, ends=True) for k in marks]

    def _anchored(self, object_id: int) -> list[int]:
        marks = anchors(self._state, object_id, self._view)
        return [p for p in marks if self._can_seed(object_id, p)]

    def _can_seed(self, object_id: int, plane: int) -> bool:
        """Whether there is anything of an object on a plane."""
        key = Key(object_id, *self._checked_place(plane))
        return object_id in items_on(self._state, key.place) or self._painter.extents.shows(key)

    def _seed(self, object_id: int, plane: int, *, as_mask: bool) -> Seed:
        """Make an anchor: its prompt, or its pixels where they are not the prompt's alone."""
        self._checked_place(plane)
        key = Key(object_id, self._view, plane)
        items = items_on(self._state, key.place).get(object_id)
        by_hand = key in self._state.corrections or self._state.choices.get(key, 0) > 0
        in_context = context_of(items or ()) is not None and key.place not in self._awaited
        if as_mask or by_hand or in_context or items is None:
            mask = self._painter.pixels_of(key)
            if mask.any():
                return Seed(object_id, plane, mask=mask)
        if items is None:
            raise ValueError(
                f"object {object_id} has neither prompts nor pixels on plane {plane}; click on "
                "it, or choose a plane that shows it."
            )
        frame = self.scene.predictor.model.frame(self._view.plane_shape(self.scene.shape))
        return Seed(object_id, plane, prompt=join(items, frame))

    def _stamp(self, object_id: int, view: View) -> Any:
        """What a propagation of the object rests on: if it changes, results are stale."""
        ends = frozenset(k for k in self._state.ends if k[:2] == (object_id, view))
        return items_of(self._state, object_id, view), ends

    def _start(
        self,
        label: str,
        seeds: list[Seed],
        options: PropagateOptions,
        corrected: frozenset[tuple[int, int]] | None = None,
    ) -> None:
        if self.n_planes < 2:
            raise ValueError("the view has one plane; choose a stack axis to carry objects along.")
        schedule = make_schedule(seeds, self.n_planes, options, corrected)  # refuses what is amiss
        self.cancel(PROPAGATION)
        object_ids = {seed.object_id for seed in seeds}
        visible = self.pending | object_ids if self._overwrite else None
        overlay = LabelsOverlay(self.target, self._view, visible=visible)
        edit = self._edit(label, self._state)
        edit.open = True
        stamps = {o: self._stamp(o, self._view) for o in object_ids}
        run = self._run = _Run(edit, self._view, stamps, schedule)
        self._submit(
            PROPAGATION,
            partial(jobs.propagate, self.scene, self._view, seeds, options, overlay, corrected),
            priority=PROPAGATE,
            on_result=partial(self._on_step, run),
            on_error=partial(self._on_propagate_failed, run),
            on_done=partial(self._end_run, run),
        )

    def _on_step(self, run: _Run, value: jobs.Stepped) -> None:
        fresh = {o for o, stamp in run.stamps.items() if stamp == self._stamp(o, run.view)}
        if not fresh:  # every object was changed meanwhile
            self.cancel(PROPAGATION)
            return
        step = value.step
        results = [r for r in step.results if r.object_id in fresh]
        masks = [(r.object_id, r.region, r.mask) for r in results]
        place = Place(run.view, step.plane)
        gone = {o for o in fresh.intersection(step.gone) if self._is_known(Key(o, *place))}
        rows: dict[int, Row | None] = dict.fromkeys(gone)
        rows |= {r.object_id: Row.found(r, step.direction, r.area) for r in results}
        if rows:
            later = run.schedule.objects(step.plane).intersection(fresh).difference(rows)
            older = self._in_the_way(place, later, [r.region for r in results if r.region])
            rows |= {o: self._table.rows.get(Key(o, *place)) for o, _, _ in older}
            self._write_step(run, place, rows, older + masks)
        self._tell_step(run, step)

    def _is_known(self, key: Key) -> bool:
        """Whether the table or the labels have an object on a plane."""
        return key in self._table.rows or self._painter.extents.shows(key)

    def _in_the_way(
        self, place: Place, object_ids: Iterable[int], regions: Sequence[Region]
    ) -> Masks:
        """What objects had before the run, which has yet to come to them: it gives way."""
        found = ((o, self._painter.context(Key(o, *place))) for o in sorted(object_ids))
        return [
            (o, shown.region, shown.mask)
            for o, shown in found
            if shown is not None and any(regions_meet(shown.region, r) for r in regions)
        ]

    def _write_step(
        self, run: _Run, place: Place, rows: dict[int, Row | None], masks: Masks
    ) -> None:
        painted = self._painter.paint(
            place,
            rows,
            [region for _, region, _ in masks if region is not None],
            lambda *_: masks,
            pending=self.pending,
            overwrite=self._overwrite,
            corrections=corrections_on(self._state.corrections, place),
        )
        exact = {
            Key(o, *place): None if row is None else row.written(painted.areas[o])
            for o, row in rows.items()
        }
        self._attach(painted, exact, run.edit)

    def _tell_step(self, run: _Run, step: PlaneStep) -> None:
        elapsed = time.monotonic() - run.begun
        eta = elapsed / max(step.done, 1) * (step.total - step.done)
        self.progress.emit(PROPAGATION, step.done, step.total, eta)
        if run.view == self._view:
            self.plane_ready.emit(step.plane)

    def _end_run(self, run: _Run) -> None:
        run.edit.open = False
        if self._run is run:
            self._run = None
        if run.edit.is_empty:
            self._history.drop(run.edit)
            self.history_changed.emit()
        self._tell_busy()

    def _on_propagate_failed(self, run: _Run, error: Exception) -> None:
        self._end_run(run)
        self._fail(error)

    def _stop_open(self, edit: Edit) -> None:
        if self._run is not None and self._run.edit is edit:
            self._worker.cancel(PROPAGATION)
            self._run = None
        edit.open = False
        self._tell_busy()

    def cancel(self, kind: str = PROPAGATION) -> bool:
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
        _check_kind(kind)
        found = self._worker.cancel(kind)
        if kind == PROPAGATION and self._run is not None:
            self._end_run(self._run)
        self._tell_busy()
        return found

    def pause(self, kind: str = PROPAGATION) -> bool:
        """Leave a job out until it is resumed.

        Parameters
        ----------
        kind : str, optional
            ``"propagate"`` or ``"encode"``.

        Returns
        -------
        bool
            Whether there is one.
        """
        _check_kind(kind)
        found = self._worker.pause(kind)
        self._tell_busy()
        return found

    def resume(self, kind: str = PROPAGATION) -> bool:
        """Go on with a job.

        Parameters
        ----------
        kind : str, optional
            ``"propagate"`` or ``"encode"``.

        Returns
        -------
        bool
            Whether there is one.
        """
        _check_kind(kind)
        found = self._worker.resume(kind)
        self._tell_busy()
        return found

    @property
    def is_propagating(self) -> bool:
        """Whether objects are being carried."""
        return self._run is not None


def _check_kind(kind: str) -> None:
    if kind not in (PROPAGATION, "encode"):
        raise ValueError(f"kind is {kind!r}; allowed are 'propagate' and 'encode'.")
