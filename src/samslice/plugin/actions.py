"""Commands for napari's menus and command palette: they act on the open widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari

    from samslice.plugin.main_widget import SamWidget

_HELP = "Open the widget first: Plugins → samslice segmentation."


def find_widget(viewer: napari.Viewer) -> SamWidget | None:
    """Find the dock widget of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.

    Returns
    -------
    SamWidget or None
        Where there are several, the one on the active layer, else one that is shown.
    """
    from qtpy.QtWidgets import QApplication

    from samslice.plugin.main_widget import SamWidget

    # Not `viewer.window.dock_widgets`: of two docks with one name it holds the latter alone.
    windows = QApplication.topLevelWidgets()
    found = [widget for window in windows for widget in window.findChildren(SamWidget)]
    docked = [widget for widget in found if widget.controller.viewer == viewer]
    return max(docked, key=lambda widget: widget.controller.rank(), default=None)


def _do(viewer: napari.Viewer, name: str) -> None:
    """Do one action of the controller, or say why not."""
    from napari.utils.notifications import show_info

    widget = find_widget(viewer)
    reason = _HELP if widget is None else widget.controller.can.get(name)
    if widget is None or reason is not None:
        show_info(str(reason))
    else:
        getattr(widget.controller, name)()


def commit(viewer: napari.Viewer) -> None:
    """Finish the object and go on to the next one.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "commit")


def commit_all(viewer: napari.Viewer) -> None:
    """Finish all pending objects.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "commit_all")


def discard(viewer: napari.Viewer) -> None:
    """Drop the object and its prompts.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "discard")


def next_candidate(viewer: napari.Viewer) -> None:
    """Show the next of the candidate masks.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "next_candidate")


def use_label(viewer: napari.Viewer) -> None:
    """Refine the label that is selected in the labels layer.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "use_label")


def propagate(viewer: napari.Viewer) -> None:
    """Carry the pending objects through the stack.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "propagate")


def cancel(viewer: napari.Viewer) -> None:
    """Stop what is running.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "cancel")


def next_doubtful(viewer: napari.Viewer) -> None:
    """Go to the next plane that deserves a look.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "next_doubtful")


def undo(viewer: napari.Viewer) -> None:
    """Take the latest step back.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "undo")


def redo(viewer: napari.Viewer) -> None:
    """Do the latest undone step again.

    Parameters
    ----------
    viewer : napari.Viewer
        Given by napari.
    """
    _do(viewer, "redo")
