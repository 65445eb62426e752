"""What can be taken back: edits, several levels deep, within a limit of bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samslice.session.labels import Patch
    from samslice.session.state import Place, State

Changes = dict[Hashable, tuple[Any, Any]]
"""What stood under a key before and after; None where there was nothing."""


@dataclass(slots=True, eq=False)
class Edit:
    """One thing that the user did, with all that followed from it.

    Attributes
    ----------
    label : str
        What it was, for a menu: ``"click"``, ``"commit"``, ``"propagate"``.
    before, after : State
        The session's state.
    places : set of Place
        Planes whose prompts it changed.
    patches : list of Patch
        What became of the labels, in the order of writing.
    records, shown, rows : dict
        What became of the record of pending pixels, of what masks are made from,
        and of the table.
    open : bool
        Whether a running job still adds to it.
    """

    label: str
    before: State
    after: State
    places: set[Place] = field(default_factory=set)
    patches: list[Patch] = field(default_factory=list)
    records: Changes = field(default_factory=dict)
    shown: Changes = field(default_factory=dict)
    rows: Changes = field(default_factory=dict)
    open: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes that taking it back needs."""
        held = sum(patch.nbytes for patch in self.patches)
        held += sum(getattr(r, "nbytes", 0) for pair in self.records.values() for r in pair)
        known = {id(item) for item in self.before.prompts}
        return held + sum(i.nbytes for i in self.after.prompts if id(i) not in known)

    @property
    def is_empty(self) -> bool:
        """Whether it changed nothing."""
        changed = self.patches or self.records or self.shown or self.rows
        return self.before is self.after and not changed


def swap(held: dict[Any, Any], changes: Changes, which: int) -> None:
    """Put entries as they were before (0) or after (1) a change.

    Parameters
    ----------
    held : dict
        Changed in place.
    changes : dict
        The change.
    which : int
        0 or 1.
    """
    for key, pair in changes.items():
        if pair[which] is None:
            held.pop(key, None)
        else:
            held[key] = pair[which]


def merge(into: Changes, changes: Mapping[Hashable, tuple[Any, Any]]) -> None:
    """Add later changes to earlier ones.

    Parameters
    ----------
    into : dict
        Changed in place: what stood before the first, and after the last.
    changes : mapping
        The later changes.
    """
    for key, (before, after) in changes.items():
        into[key] = (into[key][0] if key in into else before, after)


class History:
    """Edits done and undone.

    Parameters
    ----------
    limit_bytes : int, optional
        The oldest edits are forgotten beyond this; the latest is always kept.

    Raises
    ------
    ValueError
        If the limit is negative.
    """

    def __init__(self, limit_bytes: int = 1 << 29) -> None:
        if limit_bytes < 0:
            raise ValueError(f"limit_bytes is {limit_bytes}; allowed is 0 or more.")
        self._limit = limit_bytes
        self._done: deque[Edit] = deque()
        self._undone: list[Edit] = []
        self._set_aside: tuple[Edit, list[Edit]] | None = None

    def __len__(self) -> int:
        return len(self._done)

    @property
    def top(self) -> Edit | None:
        """The latest edit, or None."""
        return self._done[-1] if self._done else None

    @property
    def undo_label(self) -> str:
        """What `undo` would take back; empty if nothing."""
        return self._done[-1].label if self._done else ""

    @property
    def redo_label(self) -> str:
        """What `redo` would do again; empty if nothing."""
        return self._undone[-1].label if self._undone else ""

    @property
    def nbytes(self) -> int:
        """Bytes that the edits take."""
        return sum(edit.nbytes for edit in (*self._done, *self._undone))

    def push(self, edit: Edit) -> None:
        """Note an edit; what was undone cannot be redone any more.

        Parameters
        ----------
        edit : Edit
            The latest edit.
        """
        self._set_aside = (edit, self._undone)
        self._undone = []
        self._done.append(edit)
        self.trim()

    def drop(self, edit: Edit) -> None:
        """Forget an edit that came to nothing; what it kept from being redone can be again.

        Parameters
        ----------
        edit : Edit
            One of the edits; ignored if it is not.
        """
        if edit in self._done:
            self._done.remove(edit)
            if self._set_aside is not None and self._set_aside[0] is edit:
                self._undone, self._set_aside = self._set_aside[1], None

    def clear(self) -> None:
        """Forget everything: nothing can be undone or redone."""
        self._done.clear()
        self._undone.clear()
        self._set_aside = None

    def undo(self) -> Edit | None:
        """Move the latest edit to those undone.

        Returns
        -------
        Edit or None
            The edit to take back.
        """
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Edit | None:
        """Move the latest undone edit back.

        Returns
        -------
        Edit or None
            The edit to do again.
        """
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]

    def trim(self) -> None:
        """Forget the oldest edits beyond the limit."""
        held = self.nbytes
        while held > self._limit and len(self._done) > 1 and not self._done[0].open:
            held -= self._done.popleft().nbytes
