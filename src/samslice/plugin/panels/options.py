"""A form made from an options dataclass: its fields say what is allowed."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from samslice.plugin.panels.controls import Choice
from samslice.plugin.panels.labels import hint

_LARGEST = 999_999
_LARGEST_FLOAT = 1e6
_NARROW = "min-width: 40px;"  # napari's style asks for more than three in a row can have


class OptionsForm(QWidget):
    """Edit the options of a task.

    Parameters
    ----------
    default : dataclass instance
        Options whose fields were made by `samslice.engine.options.option`.
    skip : collection of str, optional
        Fields that are chosen elsewhere; they keep their value.
    parent : QWidget, optional
        Its parent.

    Attributes
    ----------
    changed : Signal
        (object): new options; not emitted while fields contradict each other.
    """

    changed = Signal(object)

    def __init__(
        self, default: Any, skip: Collection[str] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._default = self._options = default
        self.fields: dict[str, QWidget] = {}
        hints = typing.get_type_hints(type(default))
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for field in dataclasses.fields(default):
            if field.name in skip:
                continue
            editor = _editor(field, hints[field.name])
            editor.setObjectName(field.name)
            _changed_signal(editor).connect(self._on_edited)
            self.fields[field.name] = editor
            form.addRow(field.name.replace("_", " ").capitalize(), editor)
            form.labelForField(editor).setToolTip(field.metadata["help"])
        self.problem = hint()
        reset = QPushButton("Defaults")
        reset.setToolTip("Set all of these as they were at first.")
        reset.clicked.connect(self._reset)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.problem)
        layout.addWidget(reset)
        self.set_options(default)

    @property
    def options(self) -> Any:
        """The options that are shown; the last ones that fit together."""
        return self._options

    def set_options(self, options: Any) -> None:
        """Show options.

        Parameters
        ----------
        options : dataclass instance
            Of the same class.
        """
        self._options = options
        for name, editor in self.fields.items():
            with QSignalBlocker(editor):
                _show(editor, getattr(options, name))
        self._tell("")

    def _reset(self) -> None:
        defaults = {name: getattr(self._default, name) for name in self.fields}
        self.set_options(dataclasses.replace(self._options, **defaults))
        self.changed.emit(self._options)

    def _on_edited(self) -> None:
        values = {name: _value(editor) for name, editor in self.fields.items()}
        try:
            self._options = dataclasses.replace(self._options, **values)
        except ValueError as error:
            self._tell(str(error))
            return
        self._tell("")
        self.changed.emit(self._options)

    def _tell(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))


class _Number(QDoubleSpinBox):
    """A float that is shown without the zeros that mean nothing."""

    def __init__(self, low: float | None, high: float | None) -> None:
        super().__init__()
        top = _LARGEST_FLOAT if high is None else high
        self.setDecimals(4)
        self.setRange(max(low or 0.0, 1e-4 if low else 0.0), top)
        self.setSingleStep(0.05 if top <= 1 else 0.1)
        _make_calm(self)

    def textFromValue(self, value: float) -> str:  # noqa: N802 - Qt's name
        return self.locale().toString(value, "g", 6)


class _Vector(QWidget):
    """Several floats side by side."""

    edited = Signal()

    def __init__(self, length: int, low: float | None, high: float | None) -> None:
        super().__init__()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.numbers = [_Number(low, high) for _ in range(length)]
        for number in self.numbers:
            number.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
            number.setStyleSheet(_NARROW)
            layout.addWidget(number)
            number.valueChanged.connect(self._tell)

    def _tell(self) -> None:
        self.edited.emit()


class _Integer(QSpinBox):
    """An integer, or nothing where that is allowed."""

    def __init__(self, low: float | None, high: float | None, optional: bool) -> None:
        super().__init__()
        self._unset = int(low or 0) - 1 if optional else None
        self.setRange(int(low or 0) if self._unset is None else self._unset, int(high or _LARGEST))
        if optional:
            self.setSpecialValueText("not set")
        _make_calm(self)

    @property
    def number(self) -> int | None:
        return None if self.value() == self._unset else self.value()

    def show_number(self, number: int | None) -> None:
        self.setValue(self.minimum() if number is None else number)


def _make_calm(box: QSpinBox | QDoubleSpinBox) -> None:
    """Tell a value when it is complete, and leave the wheel to whoever scrolls."""
    box.setKeyboardTracking(False)
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def _editor(field: dataclasses.Field[Any], annotation: Any) -> QWidget:
    """Make the control for one field."""
    meta = field.metadata
    kinds = typing.get_args(annotation) or (annotation,)
    editor: QWidget
    if meta["choices"] is not None:
        editor = Choice(meta["help"])
        editor.set_choices([(choice, choice) for choice in meta["choices"]])
    elif annotation is bool:
        editor = QCheckBox()
    elif meta["length"]:
        editor = _Vector(meta["length"], meta["low"], meta["high"])
    elif int in kinds:
        editor = _Integer(meta["low"], meta["high"], type(None) in kinds)
    elif float in kinds:
        editor = _Number(meta["low"], meta["high"])
    else:
        raise TypeError(
            f"the option {field.name} has type {annotation}; allowed are bool, int, float, "
            "choices, or a tuple of floats with a length."
        )
    editor.setToolTip(meta["help"])
    return editor


def _changed_signal(editor: QWidget) -> Any:
    if isinstance(editor, Choice):
        return editor.chosen
    if isinstance(editor, QCheckBox):
        return editor.toggled
    return editor.edited if isinstance(editor, _Vector) else editor.valueChanged


def _value(editor: QWidget) -> Any:
    if isinstance(editor, Choice):
        return editor.value
    if isinstance(editor, QCheckBox):
        return editor.isChecked()
    if isinstance(editor, _Vector):
        return tuple(number.value() for number in editor.numbers)
    return editor.number if isinstance(editor, _Integer) else editor.value()


def _show(editor: QWidget, value: Any) -> None:
    if isinstance(editor, Choice):
        editor.set_current(value)
    elif isinstance(editor, QCheckBox):
        editor.setChecked(value)
    elif isinstance(editor, _Vector):
        for number, one in zip(editor.numbers, value, strict=True):
            with QSignalBlocker(number):
                number.setValue(one)
    elif isinstance(editor, _Integer):
        editor.show_number(value)
    else:
        editor.setValue(value)
