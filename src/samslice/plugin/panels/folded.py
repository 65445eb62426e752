"""Small parts that are folded away: layers, keys, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QFormLayout, QGridLayout, QLabel, QWidget

from samslice.plugin.keys import ACTIONS
from samslice.plugin.panels.controls import Choice, Panel
from samslice.plugin.panels.labels import hint
from samslice.plugin.panels.wording import cost_lines, long_key

if TYPE_CHECKING:
    from samslice.plugin.values import CostEstimate, ImageChoices, StateView

_LAYERS = {
    "points": ("Clicks", "The Points layer that holds the clicks."),
    "shapes": ("Drawings", "The Shapes layer that holds boxes, outlines and scribbles."),
    "labels": ("Result", "The Labels layer that results are written to."),
}


class LayersPanel(Panel):
    """Use existing layers instead of the ones that were made.

    Attributes
    ----------
    layer_chosen : Signal
        (str, str): ``"points"``, ``"shapes"`` or ``"labels"``, and a layer's name.
    overwrite_changed : Signal
        (bool): whether new objects may take pixels of finished ones.
    """

    layer_chosen = Signal(str, str)
    overwrite_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.layers: dict[str, Choice] = {}
        for kind, (name, help) in _LAYERS.items():
            choice = self.layers[kind] = Choice(help)
            choice.setObjectName(kind)
            choice.chosen.connect(self._on_chosen)
            form.addRow(name, choice)
        self.overwrite = QCheckBox("New objects may overwrite finished ones")
        self.overwrite.setToolTip("Otherwise pixels of a finished object are never taken.")
        self.overwrite.toggled.connect(self.overwrite_changed)
        self.column.addLayout(form)
        self.column.addWidget(self.overwrite)

    def show_layers(self, choices: ImageChoices) -> None:
        """Show which layers there are, and which are used.

        Parameters
        ----------
        choices : ImageChoices
            Names.
        """
        for kind, choice in self.layers.items():
            used = getattr(choices, f"{kind}_used")
            names = getattr(choices, kind)
            if used is not None and used not in names:
                names = (used, *names)
            choice.set_choices([(name, name) for name in names], used)
            choice.set_allowed(None if names else "no layer of this kind fits the image.")

    def show_state(self, state: StateView) -> None:
        """Show whether finished objects are protected.

        Parameters
        ----------
        state : StateView
            What the user has said so far.
        """
        with QSignalBlocker(self.overwrite):
            self.overwrite.setChecked(state.overwrite)

    def _on_chosen(self, name: str) -> None:
        self.layer_chosen.emit(self.sender().objectName(), name)


class KeysPanel(Panel):
    """The table of keys."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        for line, action in enumerate(action for action in ACTIONS if action.key):
            grid.addWidget(QLabel(long_key(action.key)), line, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(hint(action.help), line, 1)
        self.column.addLayout(grid)


class CostPanel(Panel):
    """What a propagation would cost, in full."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self.text = hint()
        self.column.addWidget(self.text)
        self.column.addLayout(self._form)

    def show_cost(self, cost: CostEstimate) -> None:
        """Show an estimate.

        Parameters
        ----------
        cost : CostEstimate
            The estimate, or why there is none.
        """
        while self._form.rowCount():
            self._form.removeRow(0)
        self.text.setText(cost.text if not cost.planes else "")
        self.text.setVisible(not cost.planes)
        if not cost.planes:
            return
        lines = cost_lines(
            cost.planes, cost.to_encode, cost.seconds, cost.ram_bytes, cost.disk_bytes
        )
        for name, value in lines:
            self._form.addRow(name, hint(value))
