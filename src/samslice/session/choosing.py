"""The part of a session that marks ends and chooses among candidate masks."""

from __future__ import annotations

from dataclasses import replace

from samslice.session.answers import Candidates
from samslice.session.prompting import Prompting
from samslice.session.state import Key, Place, items_of, items_on


class Choosing(Prompting):
    """End marks and candidates of a session; see `samslice.session.session.Session`."""

    def mark_end(self, object_id: int, plane: int) -> None:
        """Say that an object is absent on a plane: propagation stops before it.

        A finished object is open again, as with a click: the mark would come to nothing else.

        Parameters
        ----------
        object_id : int
            The object.
        plane : int
            Plane of the view.

        Raises
        ------
        ValueError
            If the object has prompts there.
        """
        key = Key(self._checked_id(object_id), *self._checked_place(plane))
        if key.object_id in items_on(self._state, key.place):
            raise ValueError(
                f"object {object_id} has prompts on plane {plane}; delete them, or mark another "
                "plane."
            )
        if key not in self._state.ends:
            finished = self._state.finished - {key.object_id}
            after = replace(self._state, ends=self._state.ends | {key}, finished=finished)
            self._edit("mark end", after)

    def unmark_end(self, object_id: int, plane: int) -> None:
        """Take an end mark away.

        Parameters
        ----------
        object_id : int
            The object.
        plane : int
            Plane of the view.
        """
        key = Key(int(object_id), *self._checked_place(plane))
        if key in self._state.ends:
            self._edit("unmark end", replace(self._state, ends=self._state.ends - {key}))

    # ------------------------------------------------------------------ candidates

    def candidates(
        self, plane: int | None = None, object_id: int | None = None
    ) -> Candidates | None:
        """Show the candidate masks of an object on a plane.

        Parameters
        ----------
        plane : int, optional
            Plane of the view; that of the object's latest prompt if left out.
        object_id : int, optional
            The object; the current one if left out.

        Returns
        -------
        Candidates or None
            None where there are no prompts, or the answer is not there yet.
        """
        object_id = self._state.current if object_id is None else object_id
        if plane is None:
            items = items_of(self._state, object_id, self._view)
            if not items:
                return None
            plane = items[-1].plane
        place = Place(self._view, int(plane))
        found = items_on(self._state, place).get(object_id)
        prediction = None if found is None else self._answers.get(found)
        if prediction is None:
            return None
        chosen = self._state.choices.get(Key(object_id, *place), 0)
        return Candidates(object_id, int(plane), prediction, chosen)

    def choose(self, k: int, plane: int | None = None, object_id: int | None = None) -> None:
        """Show another candidate.

        Parameters
        ----------
        k : int
            Which, 0 is the best.
        plane, object_id : int, optional
            As for `candidates`.

        Raises
        ------
        ValueError
            If there are no candidates, or not so many.
        """
        found = self.candidates(plane, object_id)
        if found is None:
            raise ValueError("there are no candidates; click on the object and wait for its mask.")
        if not 0 <= k < len(found):
            raise ValueError(f"candidate is {k}; allowed is 0 to {len(found) - 1}.")
        if k == found.chosen:
            return
        key = Key(found.object_id, self._view, found.plane)
        choices = {**self._state.choices, key: int(k)}
        after = replace(
            self._state, choices=choices, finished=self._state.finished - {key.object_id}
        )
        self._edit("choose", after, [key.place])
        self._follow_up([key.place])

    def cycle(self, step: int = 1, plane: int | None = None, object_id: int | None = None) -> int:
        """Show the next candidate.

        Parameters
        ----------
        step : int, optional
            1 forward, -1 back.
        plane, object_id : int, optional
            As for `candidates`.

        Returns
        -------
        int
            Which is shown now.

        Raises
        ------
        ValueError
            If there are no candidates.
        """
        found = self.candidates(plane, object_id)
        k = 0 if found is None else (found.chosen + step) % len(found)
        self.choose(k, plane, object_id)
        return k
