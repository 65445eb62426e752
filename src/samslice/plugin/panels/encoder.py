"""How the encoder sees the image: channels, stack axis, normalisation, a small picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QLabel, QSizePolicy, QWidget

from samslice.plugin.panels.controls import Choice, Panel, row
from samslice.plugin.panels.labels import hint

if TYPE_CHECKING:
    from samslice.plugin.values import PictureView, SourceView

NORMALIZATIONS = (
    ("auto", "automatic"),
    ("contrast", "the layer's contrast limits"),
    ("percentiles", "percentiles"),
)
"""Values of `SourceView.normalization`, and what the user reads."""

_PICTURE = 200  # pixels


class EncoderPanel(Panel):
    """Say how the encoder sees the image.

    Attributes
    ----------
    normalization_chosen : Signal
        (str, float, float): one of `NORMALIZATIONS` and the percentiles.
    channels_chosen : Signal
        (tuple of int, int or None): channels, and the axis they are on.
    stack_axis_chosen : Signal
        (int): axis to carry objects along.
    """

    normalization_chosen = Signal(str, float, float)
    channels_chosen = Signal(object, object)
    stack_axis_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.stack_axis = Choice("The axis that objects are carried along.")
        self.channel_axis = Choice("The axis that holds channels, if there is one.")
        self.channels = Choice("The channel that the model sees, or three of them as colours.")
        self.normalization = Choice(
            "How data become the grey levels that the model sees: one policy for all planes."
        )
        self.normalization.set_choices(NORMALIZATIONS, "auto")
        self.low, self.high = _percent(0.0), _percent(100.0)
        self.low.setToolTip("Percentile of the pixels that becomes black.")
        self.high.setToolTip("Percentile of the pixels that becomes white.")
        self.percentiles = QWidget()
        self.percentiles.setLayout(row(self.low, self.high))
        self.form = QFormLayout()
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.form.addRow("Stack axis", self.stack_axis)
        self.form.addRow("Channel axis", self.channel_axis)
        self.form.addRow("Channels", self.channels)
        self.form.addRow("Contrast", self.normalization)
        self.form.addRow("Percentiles", self.percentiles)
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setToolTip("What the encoder sees of this plane, after normalisation.")
        self.picture_text = hint()
        self.column.addLayout(self.form)
        self.column.addWidget(self.picture)
        self.column.addWidget(self.picture_text)
        self.stack_axis.chosen.connect(self.stack_axis_chosen.emit)
        self.channel_axis.chosen.connect(self._choose_channel_axis)
        self.channels.chosen.connect(self._choose_channels)
        self.normalization.chosen.connect(self._choose_normalization)
        self.low.valueChanged.connect(self._choose_normalization)
        self.high.valueChanged.connect(self._choose_normalization)

    def show_source(self, source: SourceView) -> None:
        """Show the choices, and what is chosen.

        Parameters
        ----------
        source : SourceView
            Axes, channels, normalisation.
        """
        self.stack_axis.set_choices(
            [(one.axis, one.label) for one in source.stack_axes], source.stack_axis
        )
        self.stack_axis.set_allowed(None if source.stack_axes else "this image is a single plane.")
        axes = [(one.axis, one.label) for one in source.channel_axes]
        self.channel_axis.set_choices([(None, "none"), *axes], source.channel_axis)
        rgb = "the layer is RGB and is used as it is." if source.is_rgb else None
        self.channel_axis.set_allowed(rgb or (None if axes else "no axis can hold channels."))
        self.channels.set_choices(
            _channel_choices(source.n_channels, source.channels), source.channels
        )
        self.channels.set_allowed(
            rgb or (None if source.n_channels else "no axis is taken as channels.")
        )
        self.normalization.set_current(source.normalization)
        self.normalization.set_allowed(rgb)
        for box, value in zip((self.low, self.high), source.percentiles, strict=True):
            with QSignalBlocker(box):
                box.setValue(value)
        self._show_percentiles(source.normalization)

    def show_picture(self, picture: PictureView) -> None:
        """Show what the encoder sees.

        Parameters
        ----------
        picture : PictureView
            A small picture, or why there is none.
        """
        self.picture_text.setText(picture.text)
        self.picture.setVisible(picture.picture is not None)
        if picture.picture is None:
            return
        pixels = np.ascontiguousarray(picture.picture)
        rows, cols = pixels.shape[:2]
        image = QImage(pixels.tobytes(), cols, rows, 3 * cols, QImage.Format.Format_RGB888)
        small = image.scaled(
            _PICTURE,
            _PICTURE,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        self.picture.setPixmap(QPixmap.fromImage(small))

    def _show_percentiles(self, normalization: str) -> None:
        shown = normalization == "percentiles"
        self.percentiles.setVisible(shown)
        self.form.labelForField(self.percentiles).setVisible(shown)

    def _choose_channel_axis(self, axis: int | None) -> None:
        self.channels_chosen.emit(() if axis is None else (0,), axis)

    def _choose_channels(self, channels: tuple[int, ...]) -> None:
        self.channels_chosen.emit(channels, self.channel_axis.value)

    def _choose_normalization(self) -> None:
        low, high = self.low.value(), self.high.value()
        self._show_percentiles(self.normalization.value)
        if low < high:  # in between, while both are being changed, there is nothing to tell
            self.normalization_chosen.emit(self.normalization.value, low, high)


def _percent(value: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0.0, 100.0)
    box.setDecimals(2)
    box.setSingleStep(0.5)
    box.setSuffix(" %")
    box.setKeyboardTracking(False)
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    box.setStyleSheet("min-width: 50px;")  # napari's style asks for more than two can have
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setValue(value)
    return box


def _channel_choices(
    n_channels: int, current: tuple[int, ...]
) -> list[tuple[tuple[int, ...], str]]:
    """Offer each channel alone, and threes as colours."""
    singles = [((c,), f"channel {c}") for c in range(n_channels)]
    threes = [tuple(range(3))] if n_channels >= 3 else []
    if len(current) == 3 and current not in threes:
        threes.append(current)
    return singles + [(three, "colours " + ", ".join(map(str, three))) for three in threes]
