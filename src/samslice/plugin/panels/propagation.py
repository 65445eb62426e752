"""Carry objects through the stack: which way, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from samslice.plugin.panels.controls import Choice, Panel, row
from samslice.plugin.panels.labels import hint

if TYPE_CHECKING:
    from samslice.plugin.values import CostEstimate, StateView

DIRECTIONS = (("both", "both ways"), ("forward", "forward"), ("backward", "backward"))
"""Values of `PropagateOptions.direction`, and what the user reads."""


class PropagatePanel(Panel):
    """Start a propagation.

    Attributes
    ----------
    direction_changed : Signal
        (str): ``"both"``, ``"forward"`` or ``"backward"``.
    """

    direction_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.direction = Choice("Towards which planes objects are carried from where you click.")
        self.direction.set_choices(DIRECTIONS, "both")
        self.cost = hint(lines=2)
        self.cost.setToolTip("What a propagation costs at most. More under Cost, below.")
        start, end = self.add_button("propagate"), self.add_button("mark_end", checkable=True)
        self.column.addLayout(row(start, self.direction, end, stretch=0))
        self.column.addWidget(self.cost)
        self.direction.chosen.connect(self.direction_changed.emit)

    def show_state(self, state: StateView) -> None:
        """Show whether the object is marked as absent on this plane.

        Parameters
        ----------
        state : StateView
            What the user has said so far.
        """
        end = self.buttons["mark_end"]
        end.setChecked(state.ends_here)
        again = " Press again to take the mark away." if state.ends_here else ""
        end.set_face(end.action.text, end.action.help + again)

    def show_direction(self, direction: str) -> None:
        """Show the direction.

        Parameters
        ----------
        direction : str
            One of the values in `DIRECTIONS`.
        """
        self.direction.set_current(direction)

    def show_cost(self, cost: CostEstimate) -> None:
        """Say what it costs.

        Parameters
        ----------
        cost : CostEstimate
            The estimate, or why there is none.
        """
        self.cost.setText(cost.text)
