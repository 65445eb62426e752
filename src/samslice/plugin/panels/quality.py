"""How sure each mask is, object by plane, and which ones deserve a look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QSizePolicy,
    QTableView,
    QWidget,
)

from samslice.plugin.panels.controls import Panel, row
from samslice.plugin.panels.labels import hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samslice.plugin.values import TableRow

_COLUMNS = {
    "Object": "The object's id.",
    "Plane": "Index along the stack axis.",
    "Score": "How sure the mask is, from 0 to 1.",
    "Status": "anchor: shown by you; doubtful: deserves a look; ended: nothing beyond; and why.",
}
_HEIGHT = 200  # pixels


class RowsModel(QAbstractTableModel):
    """Rows for a table view."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[TableRow, ...] = ()

    def show_rows(self, rows: Sequence[TableRow]) -> None:
        """Show other rows.

        Parameters
        ----------
        rows : sequence of TableRow
            In any order.
        """
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Count the rows, for Qt."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """Count the columns, for Qt."""
        return 0 if parent is not None and parent.isValid() else len(_COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Give Qt one cell."""
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() < 3:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role not in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.UserRole,
            Qt.ItemDataRole.ToolTipRole,
        ):
            return None
        one = self.rows[index.row()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{one.area} pixels. {one.reason}".rstrip()
        status = f"{one.status}: {one.reason}" if one.reason else one.status
        value = (one.object_id, one.plane, float(one.score), status)[index.column()]
        if index.column() == 2 and role == Qt.ItemDataRole.DisplayRole:
            return f"{value:.2f}"
        return value

    def headerData(  # noqa: N802 - Qt's name
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Give Qt a heading."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return list(_COLUMNS)[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return list(_COLUMNS.values())[section]
        return None


class _Filter(QSortFilterProxyModel):
    """Sort by value; show all rows or the doubtful ones."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSortRole(Qt.ItemDataRole.UserRole)
        self._only_doubtful = False

    def set_only_doubtful(self, only: bool) -> None:
        self._only_doubtful = only
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:  # noqa: N802 - Qt's name
        rows = self.sourceModel().rows
        return not self._only_doubtful or rows[row].status == "doubtful"


class QualityPanel(Panel):
    """Browse the masks by how sure they are.

    Attributes
    ----------
    place_chosen : Signal
        (int, int): object and plane of the row that was clicked.
    """

    place_chosen = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = RowsModel(self)
        self._filter = _Filter(self)
        self._filter.setSourceModel(self.model)
        self.table = QTableView()
        self.table.setModel(self._filter)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setFixedHeight(_HEIGHT)
        self.table.setMinimumWidth(0)
        self.table.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.table.setToolTip("Click on a row to go there.")
        self.table.verticalHeader().hide()
        line = self.table.fontMetrics().lineSpacing()
        self.table.verticalHeader().setDefaultSectionSize(line + 6)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setResizeContentsPrecision(20)  # rows to look at: a table may have thousands
        header.setStretchLastSection(True)
        self.table.clicked.connect(self._go)
        self.table.activated.connect(self._go)
        self.only_doubtful = QCheckBox("Doubtful only")
        self.only_doubtful.setToolTip("Show only the masks that deserve a look.")
        self.only_doubtful.toggled.connect(self._filter.set_only_doubtful)
        self.summary = hint()
        self.column.addLayout(row(self.summary, self.only_doubtful, stretch=0))
        self.column.addWidget(self.table)
        self.column.addLayout(row(self.add_button("next_doubtful"), self.add_button("repropagate")))
        self.show_rows(())

    def show_rows(self, rows: Sequence[TableRow]) -> None:
        """Show the table.

        Parameters
        ----------
        rows : sequence of TableRow
            One for each object and plane.
        """
        self.model.show_rows(rows)
        if not rows:
            self.summary.setText("Fills as objects are made.")
            return
        doubtful = sum(one.status == "doubtful" for one in rows)
        self.summary.setText(f"{doubtful} of {len(rows)} doubtful" if doubtful else "None doubtful")

    def _go(self, index: QModelIndex) -> None:
        one = self.model.rows[self._filter.mapToSource(index).row()]
        self.place_chosen.emit(one.object_id, one.plane)
