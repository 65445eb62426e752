"""What the panels are made of: buttons that say why not, folded sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from samslice.plugin.keys import ACTIONS
from samslice.plugin.panels.wording import long_key, short_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtWidgets import QBoxLayout

    from samslice.plugin.keys import Action

_ACTIONS = {action.name: action for action in ACTIONS}
STEADY = "QPushButton:enabled { border: 1px solid transparent; }"
"""Style of a button. napari frames a button that is off: without this the rows below move."""

_HEADING = "text-align: left; border: none; background: transparent; font-weight: bold;"
_LEAST_WIDTH = 84  # pixels: less than Qt asks for, so that three fit beside a scroll bar
_UNBOUNDED = (1 << 24) - 1  # QWIDGETSIZE_MAX, which no binding exports


class ActionButton(QPushButton):
    """A button of one action: its tooltip tells what it does, its key, or why it is off.

    Parameters
    ----------
    action : Action
        What it does.
    checkable : bool, optional
        Whether it stays pressed.
    """

    def __init__(self, action: Action, *, checkable: bool = False) -> None:
        super().__init__()
        self.action = action
        self._reason: str | None = None
        self.setObjectName(action.name)
        self.setCheckable(checkable)
        # Not by a click: the canvas keeps the focus, and with it its keys.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(_LEAST_WIDTH)
        self.setStyleSheet(STEADY)
        self.set_face(action.text, action.help)

    @property
    def reason(self) -> str | None:
        """Why the button is off, None if it is on."""
        return self._reason

    def set_allowed(self, reason: str | None) -> None:
        """Switch the button on, or off with the reason.

        Parameters
        ----------
        reason : str or None
            None switches it on.
        """
        self._reason = reason
        self.setEnabled(reason is None)
        self._describe()

    def set_face(self, text: str, help: str) -> None:
        """Change what stands on the button and what it does.

        Parameters
        ----------
        text : str
            A word or two; its key is added.
        help : str
            One sentence.
        """
        key = self.action.key
        self.setText(f"{text}  {short_key(key)}" if key else text)
        self.setAccessibleName(text)
        self._help = f"{help}\nKey: {long_key(key)}" if key else help
        self._describe()

    def _describe(self) -> None:
        tip = self._help if self._reason is None else f"{self._help}\nNot now: {self._reason}"
        self.setToolTip(tip)
        self.setAccessibleDescription(tip)


class Panel(QWidget):
    """A part of the widget: buttons by the name of their action, and a column for the rest.

    Attributes
    ----------
    triggered : Signal
        (str): name of the action whose button was pressed.
    """

    triggered = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, ActionButton] = {}
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(4)

    def add_button(self, name: str, *, checkable: bool = False) -> ActionButton:
        """Make a button; placing it is left to the caller.

        Parameters
        ----------
        name : str
            Name of an action in `samslice.plugin.keys.ACTIONS`.
        checkable : bool, optional
            Whether it stays pressed.

        Returns
        -------
        ActionButton
            The button, off until `set_allowed` says otherwise.
        """
        button = ActionButton(_ACTIONS[name], checkable=checkable)
        button.set_allowed("choose an image first.")
        button.clicked.connect(self._on_clicked)
        self.buttons[name] = button
        return button

    def _on_clicked(self) -> None:
        button = self.sender()
        if button.isCheckable():
            button.setChecked(not button.isChecked())  # pressed is what the controller says
        self.triggered.emit(button.action.name)

    def set_allowed(self, reasons: Mapping[str, str | None]) -> None:
        """Switch buttons on, or off with the reason.

        Parameters
        ----------
        reasons : mapping of str to (str or None)
            By action; buttons of other actions stay as they are.
        """
        for name, button in self.buttons.items():
            if name in reasons:
                button.set_allowed(reasons[name])


class Section(QCollapsible):
    """A part that is folded away under a plain heading.

    Parameters
    ----------
    title : str
        The heading.
    content : QWidget
        What is folded away.
    help : str
        One sentence for the heading's tooltip.
    """

    def __init__(self, title: str, content: QWidget, help: str) -> None:
        # superqt draws its arrows once, in the colour of the moment; as part of the text
        # they follow the theme.
        super().__init__(title, None, QIcon(), QIcon())
        self._title = title
        self.setDuration(0)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(2)
        content.setMaximumHeight(0)
        if content.layout() is not None:
            content.layout().setContentsMargins(8, 2, 0, 6)
        self.setContent(content)
        content.setVisible(False)  # out of the order of the Tab key
        self.toggled.connect(self._unfold)
        # A heading, not a button like those that do something.
        self.toggleButton().setStyleSheet(_HEADING)
        self.toggleButton().setToolTip(help)
        self.toggleButton().setObjectName(f"section {title}")
        self._unfold(False)

    def _unfold(self, expanded: bool) -> None:
        self.setText(f"{'▾' if expanded else '▸'}  {self._title}")
        # superqt freezes the height of the moment; text that wraps needs more later.
        self.content().setMaximumHeight(_UNBOUNDED if expanded else 0)
        self.content().setVisible(expanded)


class Choice(QComboBox):
    """A combo box of (value, text) that shrinks with the dock and tells only people's choices.

    Parameters
    ----------
    help : str
        One sentence for the tooltip.
    parent : QWidget, optional
        Its parent.

    Attributes
    ----------
    chosen : Signal
        (object): the value that a person chose.
    """

    chosen = Signal(object)

    def __init__(self, help: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._help = help
        self.setToolTip(help)
        self.setAccessibleDescription(help)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._values: list[Any] = []
        self.activated.connect(self._on_activated)

    def _on_activated(self, index: int) -> None:
        self.chosen.emit(self._values[index])

    def set_choices(self, choices: Sequence[tuple[Any, str]], current: Any = None) -> None:
        """Show what there is to choose from.

        Parameters
        ----------
        choices : sequence of (object, str)
            Values and what stands for them.
        current : object, optional
            The value that is shown; nothing if it is not among them.
        """
        with QSignalBlocker(self):
            self.clear()
            self._values = [value for value, _ in choices]
            self.addItems([text for _, text in choices])
        self.set_current(current)

    def set_current(self, value: Any) -> None:
        """Show a value.

        Parameters
        ----------
        value : object
            One of the choices; otherwise nothing is shown.
        """
        with QSignalBlocker(self):
            self.setCurrentIndex(self._values.index(value) if value in self._values else -1)

    @property
    def value(self) -> Any:
        """The value that is shown; None for nothing."""
        index = self.currentIndex()
        return self._values[index] if 0 <= index < len(self._values) else None

    def set_allowed(self, reason: str | None) -> None:
        """Switch it on, or off with the reason.

        Parameters
        ----------
        reason : str or None
            None switches it on.
        """
        self.setEnabled(reason is None)
        self.setToolTip(self._help if reason is None else f"{self._help}\nNot now: {reason}")

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to the scroll area unless the box has the focus.

        Parameters
        ----------
        event : QWheelEvent
            The turn of the wheel.
        """
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


def row(*widgets: QWidget, stretch: int | None = None) -> QBoxLayout:
    """Put widgets side by side.

    Parameters
    ----------
    *widgets : QWidget
        From left to right.
    stretch : int, optional
        Index of the one that takes the space that is left.

    Returns
    -------
    QBoxLayout
        The layout.
    """
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, 1 if index == stretch else 0)
    return layout
