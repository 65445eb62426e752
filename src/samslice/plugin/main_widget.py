"""The dock widget: panels, and what connects them to a controller."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from samslice.engine.options import PropagateOptions
from samslice.plugin.controller import SamController
from samslice.plugin.panels.controls import Panel, Section
from samslice.plugin.panels.encoder import EncoderPanel
from samslice.plugin.panels.folded import CostPanel, KeysPanel, LayersPanel
from samslice.plugin.panels.jobs import JobsPanel
from samslice.plugin.panels.objects import ObjectPanel
from samslice.plugin.panels.options import OptionsForm
from samslice.plugin.panels.propagation import PropagatePanel
from samslice.plugin.panels.quality import QualityPanel
from samslice.plugin.panels.source import SourcePanel
from samslice.plugin.panels.tools import ToolsPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari.layers

_SECTIONS = {
    "Propagation": "When an object ends, what is doubtful, and which planes to visit.",
    "Quality": "How sure each mask is, object by plane; the next doubtful one.",
    "Image": "Channels, stack axis and contrast: what the encoder sees.",
    "Layers": "Use layers that exist already; protect finished objects.",
    "Keys": "All keys.",
    "Cost": "What a propagation would take: planes, time, memory, disk.",
}


class SamWidget(QWidget):
    """Segment an image layer: everything a user sees of samslice in napari.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari finds the parameter by its name.
    image : napari.layers.Image, optional
        What to segment; see `SamController`.
    model : str, path-like or SamModel, optional
        A registry name, a checkpoint file or a loaded model.
    **options : object
        For `SamController`.

    Attributes
    ----------
    controller : SamController
        What does the work. It is closed with the widget.
    """

    def __init__(
        self,
        napari_viewer: Any,
        image: napari.layers.Image | None = None,
        model: Any = "mobile_sam",
        **options: Any,
    ) -> None:
        super().__init__()
        self.controller = SamController(napari_viewer, image, model, **options)
        self.source = SourcePanel()
        self.tools = ToolsPanel()
        self.objects = ObjectPanel()
        self.propagation = PropagatePanel()
        self.jobs = JobsPanel()
        self.options = OptionsForm(PropagateOptions(), skip=("direction", "spacing"))
        self.quality = QualityPanel()
        self.encoder = EncoderPanel()
        self.layers = LayersPanel()
        self.keys = KeysPanel()
        self.cost = CostPanel()
        self.sections: dict[str, Section] = {}
        self._lay_out()
        self._listen()
        self._speak()
        self.destroyed.connect(self.controller.close)

    # ------------------------------------------------------------------ what it looks like

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(8)
        for panel in self._main_path:
            column.addWidget(panel)
        folded = (self.options, self.quality, self.encoder, self.layers, self.keys, self.cost)
        sections = QVBoxLayout()
        sections.setSpacing(0)
        for (title, help), content in zip(_SECTIONS.items(), folded, strict=True):
            self.sections[title] = Section(title, content, help)
            sections.addWidget(self.sections[title])
        column.addLayout(sections)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        self.scroll = scroll
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 0)
        outside.addWidget(scroll)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Say how small the widget may be.

        Returns
        -------
        QSize
            As wide as its content and a scroll bar: what is narrower would be cut off.
        """
        bar = self.scroll.verticalScrollBar().sizeHint().width() + 2 * self.scroll.frameWidth()
        width = self.scroll.widget().minimumSizeHint().width() + bar
        return QSize(width, super().minimumSizeHint().height())

    @property
    def _main_path(self) -> tuple[QWidget, ...]:
        return (self.source, self.tools, self.objects, self.propagation, self.jobs)

    @property
    def _acting(self) -> tuple[Panel, ...]:
        return (self.tools, self.objects, self.propagation, self.jobs, self.quality)

    # ------------------------------------------------------------------ controller to panels

    def _listen(self) -> None:
        sam = self.controller
        states = (self.objects, self.propagation, self.jobs, self.layers)
        shows: tuple[tuple[Any, Any, tuple[Callable[[Any], None], ...]], ...] = (
            (
                sam.image_changed,
                sam.choices,
                (self.source.show_images, self.layers.show_layers, self._show_options),
            ),
            (sam.source_changed, sam.source, (self.encoder.show_source, self._show_options)),
            (sam.model_changed, sam.model, (self.source.show_model,)),
            (sam.state_changed, sam.state, tuple(panel.show_state for panel in states)),
            (sam.candidates_changed, sam.candidates, (self.objects.show_candidates,)),
            (sam.tool_changed, sam.tool, (self.tools.show_tool,)),
            (sam.table_changed, sam.table, (self.quality.show_rows,)),
            (sam.cost_changed, sam.cost, (self.propagation.show_cost, self.cost.show_cost)),
            (sam.can_changed, sam.can, tuple(panel.set_allowed for panel in self._acting)),
        )
        for signal, value, slots in shows:
            for show in slots:
                signal.connect(show)
                show(value)
        sam.picture_changed.connect(self.encoder.show_picture)
        sam.progress.connect(self.jobs.show_progress)

    def _show_options(self, _: object = None) -> None:
        options = self.controller.options
        self.options.set_options(options)
        self.propagation.show_direction(options.direction)

    # ------------------------------------------------------------------ panels to controller

    def _speak(self) -> None:
        sam = self.controller
        for panel in self._acting:
            panel.triggered.connect(sam.act)
        self.source.image_chosen.connect(sam.choose_image)
        self.source.model_chosen.connect(sam.choose_model)
        self.objects.object_chosen.connect(sam.set_current)
        self.objects.candidate_chosen.connect(sam.choose_candidate)
        self.propagation.direction_changed.connect(self._set_direction)
        self.options.changed.connect(sam.set_options)
        self.quality.place_chosen.connect(sam.go_to)
        self.encoder.stack_axis_chosen.connect(sam.set_stack_axis)
        self.encoder.channels_chosen.connect(sam.set_channels)
        self.encoder.normalization_chosen.connect(self._set_normalization)
        self.layers.layer_chosen.connect(self._choose_layer)
        self.layers.overwrite_changed.connect(sam.set_overwrite)
        self.sections["Image"].toggled.connect(sam.want_picture)
        for section in self.sections.values():
            section.toggled.connect(self._on_folded)

    def _on_folded(self, _: bool) -> None:
        self.updateGeometry()  # what is unfolded may be wider

    def _set_direction(self, direction: str) -> None:
        self.controller.set_options(replace(self.controller.options, direction=direction))
        self.options.set_options(self.controller.options)

    def _set_normalization(self, kind: str, low: float, high: float) -> None:
        self.controller.set_normalization(kind, (low, high) if kind == "percentiles" else None)

    def _choose_layer(self, kind: str, name: str) -> None:
        self.controller.choose_layers(**{kind: name})

    # ------------------------------------------------------------------ life

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Stop all work.

        Parameters
        ----------
        event : QCloseEvent
            Accepted.
        """
        self.controller.close()
        super().closeEvent(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Let keys and commands prefer this widget to one that is hidden.

        Parameters
        ----------
        event : QShowEvent
            Passed on.
        """
        super().showEvent(event)
        self.controller.is_shown = True

    def hideEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave keys and commands to a widget that is shown.

        Parameters
        ----------
        event : QHideEvent
            Passed on.
        """
        super().hideEvent(event)
        self.controller.is_shown = False

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Stop all work when napari takes the widget out of its dock, which closes nothing.

        Parameters
        ----------
        event : QEvent
            What has changed.
        """
        super().changeEvent(event)
        if event.type() == event.Type.ParentChange and self.parent() is None:
            self.controller.close()
