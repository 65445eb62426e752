"""The napari plugin: the only place that may import napari, Qt or magicgui."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from napari.components import ViewerModel
    from napari.layers import Image

    from samslice.engine.backend import SamModel
    from samslice.plugin.controller import SamController as SamController

__all__ = ["SamController", "open_in"]


def open_in(
    viewer: ViewerModel,
    image: Image | None = None,
    model: str | os.PathLike[str] | SamModel = "mobile_sam",
    **options: Any,
) -> SamController:
    """Open the widget in a viewer, for scripted work.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
        The viewer. One without a window gets no widget.
    image : napari.layers.Image, optional
        What to segment; the selected or topmost image layer if left out.
    model : str, path-like or SamModel, optional
        A registry name, a checkpoint file or a loaded model.
    **options : object
        Further arguments of `SamController`.

    Returns
    -------
    SamController
        What the widget shows and steers. ``wait()`` before reading results.

    Examples
    --------
    >>> sam = open_in(viewer, image)  # doctest: +SKIP
    >>> sam.points.add([30, 64, 80])  # doctest: +SKIP
    >>> sam.wait()  # doctest: +SKIP
    True
    >>> sam.session.propagate()  # doctest: +SKIP
    >>> sam.wait()  # doctest: +SKIP
    True
    """
    window = getattr(viewer, "window", None)
    if window is None:
        from samslice.plugin.controller import SamController

        return SamController(viewer, image, model, **options)
    from samslice.plugin.main_widget import SamWidget

    widget = SamWidget(viewer, image, model, **options)
    # Of two docks with one name napari finds the latter alone.
    docked, name, number = dict(window.dock_widgets), "samslice", 1
    while name in docked:
        number += 1
        name = f"samslice {number}"
    # One below the other they would have no room for the main path.
    beside = any(isinstance(one, SamWidget) for one in docked.values())
    window.add_dock_widget(widget, name=name, area="right", tabify=beside)
    return widget.controller


def __getattr__(name: str) -> Any:
    if name == "SamController":
        from samslice.plugin.controller import SamController

        return SamController
    raise AttributeError(f"module 'samslice.plugin' has no attribute {name!r}.")
