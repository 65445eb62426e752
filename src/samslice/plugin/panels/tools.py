"""What the mouse does: buttons that select the right layer and mode."""

from __future__ import annotations

from qtpy.QtWidgets import QGridLayout, QWidget

from samslice.plugin.panels.controls import Panel
from samslice.plugin.values import TOOLS

_COLUMNS = 3


class ToolsPanel(Panel):
    """One button for each tool; `triggered` gives ``tool:NAME``."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for index, tool in enumerate(TOOLS):
            button = self.add_button(f"tool:{tool}", checkable=True)
            grid.addWidget(button, *divmod(index, _COLUMNS))
        for column in range(_COLUMNS):
            grid.setColumnStretch(column, 1)
        self.column.addLayout(grid)

    def show_tool(self, name: str) -> None:
        """Show which tool is in use.

        Parameters
        ----------
        name : str
            One of the tools; empty where the user has chosen something else.
        """
        for action, button in self.buttons.items():
            button.setChecked(action == f"tool:{name}")
