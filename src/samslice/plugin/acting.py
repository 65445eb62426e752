"""The part of a controller that acts: what buttons, keys and the command palette do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from samslice.plugin import reports
from samslice.plugin.choosing import Choosing
from samslice.plugin.layers import POSITIVE
from samslice.plugin.viewstate import spacing_of
from samslice.session.state import Key

if TYPE_CHECKING:
    from samslice.session.session import Session


def action(method: Callable[[Any], None]) -> Callable[[Any], None]:
    """Do it where it can be done, else say why not; never raise."""

    @wraps(method)
    def do(self: Choosing) -> None:
        if self.is_closed:
            return
        reason = self.can[method.__name__]
        if reason is not None:
            self.tell("info", reason)
            return
        self.guard(lambda: method(self))
        self.refresh()

    return do


class Acting(Choosing):
    """Actions; see `samslice.plugin.controller.SamController`."""

    def act(self, name: str) -> None:
        """Do an action by its name.

        Parameters
        ----------
        name : str
            One of `samslice.plugin.keys.ACTIONS`.
        """
        if name.startswith("tool:"):
            self.set_tool(name.removeprefix("tool:"))
        else:
            getattr(self, name)()

    # ------------------------------------------------------------------ prompts

    @action
    def toggle_sign(self) -> None:
        """Turn the selected clicks around, or while clicks are added the next ones."""
        place = self._place
        if place is None or place.points is None:
            return
        points = place.points
        selected = sorted(points.selected_data)
        if selected and str(points.mode) == "select":
            features = points.features.copy()
            column = features.columns.get_loc(POSITIVE)
            for row in selected:
                features.iloc[row, column] = not features.iloc[row, column]
            points.features = features  # the bridge tells the session
            return
        self._set_sign(not place.upcoming.positive)

    @action
    def next_candidate(self) -> None:
        """Show the next candidate mask."""
        self._cycle(1)

    @action
    def previous_candidate(self) -> None:
        """Show the previous candidate mask."""
        self._cycle(-1)

    def _cycle(self, step: int) -> None:
        if self.session is not None:
            self.session.cycle(step, plane=self.session.plane)

    def choose_candidate(self, k: int) -> None:
        """Show a candidate mask.

        Parameters
        ----------
        k : int
            Which; 0 is the best.
        """
        session = self.session
        if session is not None:
            self.guard(lambda: session.choose(k, session.plane))

    # ------------------------------------------------------------------ objects

    @action
    def commit(self) -> None:
        """Finish the current object and go on to the next id."""
        if self.session is not None:
            self.session.commit()

    @action
    def commit_all(self) -> None:
        """Finish all pending objects."""
        if self.session is not None:
            self.session.commit(self.session.pending)

    @action
    def discard(self) -> None:
        """Drop the current object."""
        if self.session is not None:
            self.session.discard()

    @action
    def next_object(self) -> None:
        """Leave the current object pending and begin another."""
        if self.session is not None:
            self.session.next_object()

    def set_current(self, object_id: int) -> None:
        """Make an object the current one.

        Parameters
        ----------
        object_id : int
            Its id.
        """
        session = self.session
        if session is not None:
            self.guard(lambda: setattr(session, "current", object_id))

    @action
    def use_label(self) -> None:
        """Make the selected label, where this plane shows it, an object to refine."""
        if self.session is not None and self.labels is not None:
            self.session.use_label(int(self.labels.selected_label), self.session.plane)

    # ------------------------------------------------------------------ propagation

    @action
    def propagate(self) -> None:
        """Carry the pending objects through the stack, else the selected label."""
        if self._place is not None and self.session is not None:
            self._measure(self.session)
            self.session.propagate(reports.chosen_objects(self._place))

    def _measure(self, session: Session) -> None:
        """Take the size of a voxel from the layer, unless options say it."""
        from samslice.engine.options import PropagateOptions

        place, options = self._place, self._options
        if place is not None and options.spacing == PropagateOptions().spacing:
            spacing = spacing_of(place.image, place.axes, session.view)
            options = options if spacing is None else replace(options, spacing=spacing)
        session.options = options

    @action
    def repropagate(self) -> None:
        """Carry the current object's correction on this plane to the neighbouring anchors."""
        if self.session is not None:
            self._measure(self.session)
            self.session.repropagate(self.session.current, self.session.plane)

    @action
    def mark_end(self) -> None:
        """Mark the current object as absent on this plane, or take the mark away."""
        session = self.session
        if session is None:
            return
        if Key(session.current, session.view, session.plane) in session.state.ends:
            session.unmark_end(session.current, session.plane)
        else:
            session.mark_end(session.current, session.plane)

    @action
    def cancel(self) -> None:
        """Stop the propagation, else the loading of a model, else the encoding."""
        session, place = self.session, self._place
        if session is not None and session.is_propagating:
            session.cancel("propagate")
            kind = "propagate"
        elif self._loader.is_loading:
            self._loader.cancel()
            return
        elif session is not None:
            session.cancel("encode")
            kind = "encode"
        else:
            return
        if place is not None:
            place.paused.discard(kind)
            place.encoding = place.encoding and kind != "encode"
        self._end_progress({"encode", "propagate"} - {kind})

    @action
    def pause(self) -> None:
        """Pause or resume the propagation, else the encoding."""
        session, place = self.session, self._place
        if session is None or place is None:
            return
        kind = "propagate" if session.is_propagating else "encode"
        if kind in place.paused:
            place.paused.discard(kind)
            session.resume(kind)
        else:
            place.paused.add(kind)  # first: that nothing is busy is told while the job pauses
            if not session.pause(kind):
                place.paused.discard(kind)
        self._show_paused(kind)

    # ------------------------------------------------------------------ history and table

    @action
    def undo(self) -> None:
        """Take the latest step back."""
        if self.session is not None:
            self.session.undo()

    @action
    def redo(self) -> None:
        """Do the latest undone step again."""
        if self.session is not None:
            self.session.redo()

    @action
    def next_doubtful(self) -> None:
        """Go to the next plane that deserves a look."""
        session = self.session
        if session is not None:
            found = session.doubtful((session.current, session.plane))
            if found is not None:
                self._go_to(*found)

    def go_to(self, object_id: int, plane: int) -> None:
        """Show a plane and make an object current.

        Parameters
        ----------
        object_id : int
            The object.
        plane : int
            Plane of the view.
        """
        if self.session is not None:
            self.guard(lambda: self._go_to(object_id, plane))

    def _go_to(self, object_id: int, plane: int) -> None:
        session, place = self.session, self._place
        if session is None or place is None:
            return
        session.current = object_id
        stack = session.view.stack_axis
        if stack is None:
            return
        image, dims = place.image, self._viewer.dims
        axis = place.axes.layer(stack)
        offset = dims.ndim - image.ndim
        at = list(image.world_to_data(list(dims.point)[offset:]))
        at[axis] = plane
        dims.set_point(axis + offset, float(image.data_to_world(at)[axis]))
