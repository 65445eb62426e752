"""Keys of the plugin: one table, for binding, for the widget and for the docs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samslice.plugin.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Action:
    """Something the user can do with a key.

    Attributes
    ----------
    name : str
        Method of `SamController`; for tools ``"tool:NAME"``.
    key : str
        As napari spells it; empty if there is none.
    text : str
        What the button says.
    help : str
        One sentence for tooltips and docs.
    """

    name: str
    key: str
    text: str
    help: str


ACTIONS = (
    Action("tool:positive", "Shift-C", "Click +", "Click on the object."),
    Action("tool:negative", "Shift-N", "Click −", "Click on what is not the object."),
    Action("tool:box", "Shift-B", "Box", "Drag a box around the object."),
    Action("tool:polygon", "Shift-G", "Polygon", "Draw the outline of the object."),
    Action("tool:scribble", "Shift-S", "Scribble", "Draw a line along the inside of the object."),
    Action("tool:brush", "Shift-R", "Brush", "Paint or erase by hand; strokes are kept."),
    Action("toggle_sign", "Q", "+/−", "Turn the selected clicks, or the next ones, around."),
    Action("next_candidate", "W", "Next mask", "Show the next of the candidate masks."),
    Action("previous_candidate", "Shift-W", "Previous mask", "Show the previous candidate mask."),
    Action("commit", "K", "Commit", "Finish the object and go on to the next one."),
    Action("commit_all", "Shift-K", "Commit all", "Finish all pending objects."),
    Action("discard", "Shift-D", "Discard", "Drop the object and its prompts."),
    Action("next_object", "J", "New object", "Leave the object pending and begin another."),
    Action("use_label", "U", "Use label", "Refine the label that is selected in the labels layer."),
    Action("propagate", "G", "Propagate", "Carry the pending objects through the stack."),
    Action("repropagate", "Shift-J", "Re-propagate", "Carry a correction to the next anchors."),
    Action("mark_end", "H", "Ends here", "Mark the object as absent on this plane."),
    Action("next_doubtful", "N", "Next doubtful", "Go to the next plane that deserves a look."),
    Action("pause", "Shift-H", "Pause", "Pause or resume propagation or encoding."),
    Action("cancel", "Shift-Q", "Cancel", "Stop propagation, encoding or loading."),
    Action("undo", "Control-Z", "Undo", "Take the latest step back."),
    Action("redo", "Control-Shift-Z", "Redo", "Do the latest undone step again."),
)
"""All keys, in the order of work. Undo and redo are bound on our layers alone."""

_LAYERS_ONLY = ("undo", "redo")

MODES = {
    "positive": ("points", "add"),
    "negative": ("points", "add"),
    "box": ("shapes", "add_rectangle"),
    "polygon": ("shapes", "add_polygon"),
    "scribble": ("shapes", "add_path"),
    "brush": ("labels", "paint"),
}
"""The layer and its mode for each tool."""

_ALSO = {
    "polygon": ("add_ellipse", "add_polygon_lasso"),
    "scribble": ("add_line", "add_polyline"),
    "brush": ("erase",),
}
"""Other modes of napari's that draw what a tool draws: its button shows them, too."""


class _Press:
    """A bound key; of several widgets on one viewer it acts on the one that ranks highest."""

    def __init__(self, name: str) -> None:
        self.__name__ = "samslice"  # napari asks for it, and looks for its own: undo is one
        self.name = name
        self.owners: list[Keys] = []

    def __call__(self, _: Any) -> None:
        if self.owners:
            max(self.owners, key=lambda keys: keys.rank()).act(self.name)


class Keys:
    """Bind the keys to layers and a viewer, and unbind them.

    Parameters
    ----------
    act : callable
        Given the name of an action.
    rank : callable
        Which of several widgets on one viewer a key is for: the highest.
    """

    def __init__(self, act: Callable[[str], object], rank: Callable[[], tuple[bool, bool]]) -> None:
        self.act = act
        self.rank = rank
        self._bound: list[tuple[Any, str, _Press]] = []

    def bind(self, thing: Any) -> None:
        """Bind the keys.

        Parameters
        ----------
        thing : layer or viewer
            A viewer gets no undo and redo, and none that is the user's own.
            Widgets on one viewer share its keys.
        """
        if any(bound is thing for bound, *_ in self._bound):
            return
        is_viewer = hasattr(thing, "layers")
        taken = {str(key): call for key, call in thing.keymap.items()}
        for action in ACTIONS:
            if not action.key or (is_viewer and action.name in _LAYERS_ONLY):
                continue
            call = taken.get(_spelled(action.key)) if is_viewer else None
            if call is None:
                call = _Press(action.name)
                thing.bind_key(action.key, call, overwrite=True)
            elif not isinstance(call, _Press):
                continue
            call.owners.append(self)
            self._bound.append((thing, action.key, call))

    def unbind(self, thing: Any) -> None:
        """Unbind the keys of one layer or viewer."""
        for bound, key, call in self._bound:
            if bound is thing:
                call.owners.remove(self)
                if not call.owners and any(call is one for one in thing.keymap.values()):
                    thing.bind_key(key, None)
        self._bound = [entry for entry in self._bound if entry[0] is not thing]

    def close(self) -> None:
        """Unbind all keys."""
        things = list({id(thing): thing for thing, *_ in self._bound}.values())
        for thing in things:
            self.unbind(thing)


def _spelled(key: str) -> str:
    from napari.utils.key_bindings import coerce_keybinding

    return str(coerce_keybinding(key))


def tool_of(active: Any, place: Workplace | None) -> str:
    """Say which tool is in hand.

    Parameters
    ----------
    active : layer or None
        The layer that is selected.
    place : Workplace or None
        Whose layers count.

    Returns
    -------
    str
        Empty if it is none of ours.
    """
    if active is None or place is None:
        return ""
    for tool, (kind, mode) in MODES.items():
        layer = getattr(place, kind)
        modes = (mode, *_ALSO.get(tool, ()))
        if layer is not None and layer == active and str(layer.mode) in modes:
            if kind == "points":
                return "positive" if place.upcoming.positive else "negative"
            return tool
    return ""
