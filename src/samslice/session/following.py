"""The part of a session that makes masks follow the state.

Every user action makes a new state. Then each plane that it touched is *followed up*:
if the answers of the decoder are there, the plane is painted at once, else they are
asked for, and an answer that comes when the state has moved on is never written. So
undo, redo, deleted prompts and late answers all take the same way.

What each mask was made from is remembered, of finished objects too: one that is opened
again keeps its mask on every plane where nothing else was said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.engine.compete import compete
from samslice.session import jobs
from samslice.session.core import Core
from samslice.session.history import Edit, merge, swap
from samslice.session.job import PREDICT
from samslice.session.painter import Painted
from samslice.session.scene import Encoded
from samslice.session.state import Key, Place, context_of, items_on
from samslice.session.strokes import corrections_on
from samslice.session.table import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.strategy import Proposal
    from samslice.engine.types import Prediction, Region
    from samslice.session.context import Context
    from samslice.session.history import Changes
    from samslice.session.painter import Masks
    from samslice.session.state import Items


class Following(Core):
    """Masks of a session; see `samslice.session.session.Session`."""

    def _prepare(self) -> None:
        super()._prepare()
        self._shown: dict[Key, tuple[Any, ...]] = {}

    def _wanted(self, place: Place) -> dict[int, Items]:
        """Prompts of the objects whose masks are to be on a plane."""
        shown = self.pending | self._awaited.get(place, frozenset())
        return {o: items for o, items in items_on(self._state, place).items() if o in shown}

    def _follow_up(self, places: Iterable[Place]) -> None:
        """Bring planes in line with the state: at once, or when the answers come."""
        if self._batch is not None:
            self._batch.update(places)
            return
        for place in list(places):
            wanted = self._wanted(place)
            known = {items: self._answers.get(items) for items in wanted.values()}
            missing = [items for items, prediction in known.items() if prediction is None]
            if not missing:
                self._worker.cancel(("predict", place))
                self._awaited.pop(place, None)
                self._show(place, {i: p for i, p in known.items() if p is not None})
                continue
            self._awaited[place] = frozenset(wanted)
            held = {i: p for i, p in known.items() if p is not None}
            if self._ahead is not None:
                self._ahead.make_way(place.plane if place.view == self._ahead.view else None)
            self._submit(
                ("predict", place),
                lambda cancel, place=place, missing=missing: jobs.predict(  # type: ignore[misc]
                    self.scene, place, missing, cancel
                ),
                priority=PREDICT,
                on_result=partial(self._on_predict, held),
                on_error=partial(self._on_predict_failed, place),
            )
        self._tell_busy()

    def _on_predict(self, held: dict[Items, Prediction], value: Encoded | jobs.Answered) -> None:
        if isinstance(value, Encoded):
            self._note_encoded(value)
            return
        for items, prediction in value.predictions.items():
            self._answers.put(items, prediction)
        try:
            self._show(value.place, {**held, **value.predictions})
        finally:
            self._awaited.pop(value.place, None)

    def _on_predict_failed(self, place: Place, error: Exception) -> None:
        self._awaited.pop(place, None)
        self._fail(error)

    def _show(self, place: Place, answers: Mapping[Items, Prediction]) -> None:
        """Paint what is wanted on a plane, unless it is painted already."""
        state = self._state
        asked = self._wanted(place)
        wanted = {o: i for o, i in asked.items() if i in answers}
        keys = {o: Key(o, *place) for o in wanted}
        choices = {o: state.choices.get(k, 0) for o, k in keys.items()}
        how = (self._overwrite, self.options.compete, self.scene.number)
        # Strokes are in the pixels already: they are no reason to paint anew.
        shown = {k: (wanted[o], choices[o], *how) for o, k in keys.items()}
        held = {k.object_id for k in self._shown if k.place == place}
        gone = held.difference(asked, state.finished)
        if not gone and all(self._shown.get(k) == made_from for k, made_from in shown.items()):
            return
        proposals = [self._answers.proposal(i, answers[i], choices[o]) for o, i in wanted.items()]
        before = self._as_before(place, gone)
        proposals += [context.proposal(o) for o, context in before.items()]
        painted = self._painter.paint(
            place,
            [p.object_id for p in proposals],
            [p.region for p in proposals if p.region is not None],
            partial(_competing, proposals, share=not self.options.compete),
            gone=gone,
            pending=self.pending,
            overwrite=self._overwrite,
            corrections=corrections_on(state.corrections, place),
        )
        rows: dict[Key, Row | None] = {Key(o, *place): None for o in gone}
        for o, context in before.items():
            if context.row is not None:
                rows[Key(o, *place)] = context.row.written(painted.areas[o])
        for p in proposals:
            if p.object_id in keys:
                score = float(np.clip(p.predicted_iou, 0, 1))
                rows[keys[p.object_id]] = Row.shown(score, painted.areas[p.object_id])
        dropped: dict[Key, None] = dict.fromkeys(Key(o, *place) for o in gone)
        self._attach(painted, rows, self._history.top, {**dropped, **shown})

    def _as_before(self, place: Place, gone: Iterable[int]) -> dict[int, Context]:
        """What objects showed on a plane before clicks that are deleted now."""
        found = ((o, context_of(self._shown[Key(o, *place)][0])) for o in gone)
        return {o: context for o, context in found if context is not None}

    def _attach(
        self,
        painted: Painted,
        rows: Mapping[Key, Row | None],
        edit: Edit | None,
        shown: Mapping[Key, tuple[Any, ...] | None] | None = None,
    ) -> None:
        """Let an edit take back what was painted."""
        changes = self._table.put(rows)
        made_from: Changes = {
            key: (self._shown.get(key), now) for key, now in (shown or {}).items()
        }
        swap(self._shown, made_from, which=1)
        if edit is not None:
            if painted.patch is not None:
                edit.patches.append(painted.patch)
            merge(edit.records, painted.records)
            merge(edit.shown, made_from)
            merge(edit.rows, changes)
            self._history.trim()
        for key in rows:
            self.mask_changed.emit(key.object_id, key.plane)
        if changes:
            self.table_changed.emit()


def _competing(
    proposals: Sequence[Proposal], window: Region, taken: NDArray[np.bool_], *, share: bool
) -> Masks:
    """Let proposals compete inside a window of the plane."""
    row0, col0 = window[:2]
    shifted = [
        p
        if p.region is None
        else replace(
            p,
            region=(
                p.region[0] - row0,
                p.region[1] - col0,
                p.region[2] - row0,
                p.region[3] - col0,
            ),
        )
        for p in proposals
    ]
    masks = compete(shifted, taken, share=share)
    return [(p.object_id, p.region, mask) for p, mask in zip(proposals, masks, strict=True)]
