"""Object by plane: how sure each mask is, and which planes deserve a look."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from samslice.engine.propagate import TABLE_COLUMNS
from samslice.session.history import swap
from samslice.session.state import Key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samslice.engine.types import PlaneResult
    from samslice.session.history import Changes
    from samslice.session.view import View


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of one object on one plane.

    Attributes
    ----------
    direction : str
        ``"forward"``, ``"backward"``; empty for what the user has shown.
    status : str
        ``"anchor"``, ``"ok"``, ``"doubtful"`` or ``"ended"``.
    reason : str
        Why it is doubtful or has ended.
    score, predicted_iou, overlap : float
        As in `PlaneResult`.
    area : int
        Pixels.
    """

    direction: str
    status: str
    reason: str
    score: float
    predicted_iou: float
    overlap: float
    area: int

    @classmethod
    def shown(cls, score: float, area: int) -> Row:
        """Make the row of a plane on which the user has shown the object.

        Parameters
        ----------
        score : float
            The model's word on its mask.
        area : int
            Pixels.

        Returns
        -------
        Row
            An anchor.
        """
        return cls("", "anchor", "", score, score, float("nan"), area)

    @classmethod
    def found(cls, result: PlaneResult, direction: str, area: int) -> Row:
        """Make the row of a plane that a propagation reached.

        Parameters
        ----------
        result : PlaneResult
            What was found.
        direction : str
            The way it came.
        area : int
            Pixels that were written.

        Returns
        -------
        Row
            The row.
        """
        r = result
        return cls(direction, r.status, r.reason, r.score, r.predicted_iou, r.overlap, area)

    def written(self, area: int) -> Row:
        """Say how much of it was written.

        Parameters
        ----------
        area : int
            Pixels; none if objects that are never covered have all of them, or
            the user has erased them.

        Returns
        -------
        Row
            Doubtful, where a mask was found and nothing of it was written.
        """
        if area or self.status == "ended":
            return replace(self, area=area)
        reason = "others have its pixels, or they were erased by hand"
        return replace(self, area=0, status="doubtful", reason=reason, score=0.0)


class Table:
    """Rows by object and plane."""

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}

    def put(self, rows: Mapping[Key, Row | None]) -> Changes:
        """Set rows, or take them out.

        Parameters
        ----------
        rows : mapping of Key to Row or None
            None takes a row out.

        Returns
        -------
        dict
            What has changed, for the history.
        """
        changes: Changes = {key: (self.rows.get(key), row) for key, row in rows.items()}
        self.replace(changes, which=1)
        return changes

    def replace(self, changes: Changes, *, which: int) -> None:
        """Put rows as they were before (0) or after (1) a change.

        Parameters
        ----------
        changes : dict
            The change.
        which : int
            0 or 1.
        """
        swap(self.rows, changes, which)

    def frame(self, view: View) -> pd.DataFrame:
        """Show one stack's rows.

        Parameters
        ----------
        view : View
            Which stack.

        Returns
        -------
        pandas.DataFrame
            The columns of `PropagateResult.table`, sorted by object and plane.
        """
        here = [(k, row) for k, row in self.rows.items() if k.view == view]
        data = [(k.object_id, k.plane, *astuple(row)) for k, row in here]
        table = pd.DataFrame(data, columns=list(TABLE_COLUMNS)).astype(TABLE_COLUMNS)
        return table.sort_values(["object", "plane"], kind="stable", ignore_index=True)

    def doubtful(
        self, view: View, after: tuple[int, int] | None, order: str
    ) -> tuple[int, int] | None:
        """Find the next mask that deserves a look.

        Parameters
        ----------
        view : View
            Which stack.
        after : tuple of int or None
            (object, plane) to go on from.
        order : str
            ``"plane"`` or ``"score"``.

        Returns
        -------
        tuple of int or None
            (object, plane), beginning anew after the last; None if there is
            nothing doubtful.
        """
        if order not in ("plane", "score"):
            raise ValueError(f"order is {order!r}; allowed are 'plane' and 'score'.")
        found = {
            (k.object_id, k.plane): row.score
            for k, row in self.rows.items()
            if k.view == view and row.status == "doubtful"
        }
        if order == "score":
            ranked = sorted(found, key=lambda one: (found[one], *one))
            start = ranked.index(after) + 1 if after in found else 0
        else:
            ranked = sorted(found, key=lambda one: one[::-1])
            start = sum(after is not None and one[::-1] <= after[::-1] for one in ranked)
        return ranked[start % len(ranked)] if ranked else None
