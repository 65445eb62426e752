"""Text in the panels: names of controls, and lines that wrap."""

from __future__ import annotations

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

_LARGE = 1 << 15  # pixels: more than any text takes


class Hint(QLabel):
    """A label that wraps, and keeps room for some lines: what is below it does not move.

    Parameters
    ----------
    text : str, optional
        What it says.
    lines : int, optional
        How many lines it has room for, whatever it says.
    """

    def __init__(self, text: str = "", lines: int = 1) -> None:
        super().__init__(text)
        self._lines = lines
        if lines > 1:
            self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            self.setIndent(0)  # else a framed label that is aligned to the top is indented there

    def _room(self) -> int:
        """Height of its lines as Qt measures them, which is more than the sum of their spacings."""
        area = QRect(0, 0, _LARGE, _LARGE)
        lines = "\n".join("x" * self._lines)
        margins = self.contentsMargins()
        text = self.fontMetrics().boundingRect(area, 0, lines).height()
        return text + margins.top() + margins.bottom() + 2 * self.margin()

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """Say how high it is.

        Parameters
        ----------
        width : int
            Its width.

        Returns
        -------
        int
            At least the room for its lines.
        """
        return max(super().heightForWidth(width), self._room())

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Say how large it likes to be, where nobody has told the width yet.

        Returns
        -------
        QSize
            As high as the lines that it has room for. Qt takes a narrow width for granted,
            and then the dock would scroll though all of it fits.
        """
        return QSize(super().sizeHint().width(), self._room())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Say how small it may be; see `sizeHint`.

        Returns
        -------
        QSize
            As high as the lines that it has room for.
        """
        return QSize(super().minimumSizeHint().width(), self._room())


def hint(text: str = "", lines: int = 1) -> QLabel:
    """Make a label that wraps.

    Parameters
    ----------
    text : str, optional
        What it says.
    lines : int, optional
        How many lines it has room for, whatever it says.

    Returns
    -------
    QLabel
        The label.
    """
    label = Hint(text, lines)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def caption(text: str, buddy: QWidget | None = None) -> QLabel:
    """Make the name that stands before a control.

    Parameters
    ----------
    text : str
        The name.
    buddy : QWidget, optional
        The control: the name gets its tooltip.

    Returns
    -------
    QLabel
        The label.
    """
    label = QLabel(text)
    if buddy is not None:
        label.setBuddy(buddy)
        label.setToolTip(buddy.toolTip())
    return label
