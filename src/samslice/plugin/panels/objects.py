"""The object in hand: its id, its candidate masks, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPalette, QPixmap
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QSpinBox, QWidget

from samslice.plugin.panels.controls import STEADY, Panel, row
from samslice.plugin.panels.labels import caption, hint
from samslice.plugin.values import CandidatesView, StateView

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_CANDIDATES = 3
_THUMBNAIL = 28  # pixels
_SWATCH = 14  # pixels
_SPIN_WIDTH = 100  # pixels: five digits between napari's wide buttons
_LARGEST_ID = 2**31 - 1


class ObjectPanel(Panel):
    """Show the current object and its candidates; commit, discard, undo, redo.

    Attributes
    ----------
    object_chosen : Signal
        (int): id that the user wants to work on.
    candidate_chosen : Signal
        (int): index of a candidate mask, 0 is the best.
    """

    object_chosen = Signal(int)
    candidate_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._candidates = CandidatesView()
        self.swatch = QLabel()
        self.swatch.setToolTip("Colour of the object in the result.")
        self.object_id = QSpinBox()
        self.object_id.setRange(0, _LARGEST_ID)
        self.object_id.setKeyboardTracking(False)
        self.object_id.setFixedWidth(_SPIN_WIDTH)
        self.object_id.setToolTip(
            "The object that clicks and drawings go to. A finished one may be chosen, too: the "
            "next click opens it again."
        )
        self.object_id.valueChanged.connect(self._on_object)
        self.kind = hint()
        head = row(
            caption("Object", self.object_id), self.swatch, self.object_id, self.kind, stretch=3
        )
        self.column.addLayout(head)
        self.column.addLayout(row(self.add_button("next_object"), self.add_button("use_label")))
        self.candidates = [self._make_candidate(k) for k in range(N_CANDIDATES)]
        self.column.addLayout(row(*self.candidates, self.add_button("next_candidate")))
        finish = ("commit", "commit_all", "discard")
        self.column.addLayout(row(*(self.add_button(name) for name in finish)))
        self.column.addLayout(row(self.add_button("undo"), self.add_button("redo")))
        self.show_state(StateView())
        self.show_candidates(CandidatesView())

    def _make_candidate(self, index: int) -> QPushButton:
        button = QPushButton()
        button.setCheckable(True)
        button.setObjectName(f"candidate {index}")
        button.setProperty("candidate", index)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setStyleSheet(STEADY)
        button.setMinimumWidth(_THUMBNAIL + 36)  # less than Qt asks for, enough for "0.93"
        button.setIconSize(QSize(_THUMBNAIL, _THUMBNAIL))
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.clicked.connect(self._on_candidate)
        return button

    def _on_object(self, object_id: int) -> None:
        if object_id:
            self.object_chosen.emit(object_id)

    def _on_candidate(self) -> None:
        index = int(self.sender().property("candidate"))
        self._check()  # pressed is what the controller says, not what was clicked
        self.candidate_chosen.emit(index)

    def show_state(self, state: StateView) -> None:
        """Show which object is in hand, and what undo and redo would do.

        Parameters
        ----------
        state : StateView
            What the user has said so far.
        """
        there = state.current > 0
        with QSignalBlocker(self.object_id):
            self.object_id.setMinimum(1 if there else 0)
            self.object_id.setSpecialValueText("" if there else "–")
            self.object_id.setValue(state.current)
        self.object_id.setEnabled(there)
        self.kind.setText(_kind(state))
        self.swatch.setPixmap(_swatch(state.color))
        self.swatch.setVisible(there)
        for name, label, verb in (
            ("undo", state.undo_label, "Take back"),
            ("redo", state.redo_label, "Do again"),
        ):
            button = self.buttons[name]
            help = f"{verb}: {label}." if label else button.action.help
            button.set_face(button.action.text, help)

    def show_candidates(self, candidates: CandidatesView) -> None:
        """Show the candidate masks of the object on this plane.

        Parameters
        ----------
        candidates : CandidatesView
            Scores and small pictures.
        """
        self._candidates = candidates
        for index, button in enumerate(self.candidates):
            there = index < len(candidates.scores)
            button.setEnabled(there)
            # The model's word on an overlap may exceed 1.
            button.setText(f"{min(1.0, candidates.scores[index]):.2f}" if there else "–")
            button.setToolTip(self._candidate_tip(index))
        self._check()
        self._draw_icons()

    def _candidate_tip(self, index: int) -> str:
        tip = f"Candidate mask {index + 1} and the overlap (IoU) that the model expects of it."
        n = len(self._candidates.scores)
        if index < n:
            return tip
        if n:
            why = "only a single click may mean three things; what you have shown has one answer."
        else:
            why = "there is no mask on this plane; click on the object."
        return f"{tip}\nNot now: {why}"

    def _check(self) -> None:
        shown = self._candidates
        for index, button in enumerate(self.candidates):
            button.setChecked(index == shown.chosen and index < len(shown.scores))

    def _draw_icons(self) -> None:
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        masks = self._candidates.thumbnails
        for index, button in enumerate(self.candidates):
            mask = masks[index] if index < len(masks) else np.zeros((1, 1), bool)
            button.setIcon(_silhouette(mask, colour))

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw the small pictures in the theme's colours.

        Parameters
        ----------
        event : QEvent
            What has changed.
        """
        super().changeEvent(event)
        # Qt calls this while the widget is being built, too.
        if event.type() == event.Type.PaletteChange and hasattr(self, "candidates"):
            self._draw_icons()


def _kind(state: StateView) -> str:
    if not state.current:
        return ""
    others = len(set(state.pending) - {state.current})
    if state.current in state.pending:
        return f"pending, {others} {'other' if others == 1 else 'others'}" if others else "pending"
    kind = "finished" if state.current in state.finished else "new"
    return f"{kind}, {others} pending" if others else kind


def _swatch(color: tuple[float, ...]) -> QPixmap:
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(QColor.fromRgbF(*color))
    return pixmap


def _silhouette(mask: NDArray[np.bool_], colour: QColor) -> QIcon:
    """Draw a mask in the middle of a small square."""
    rows, cols = mask.shape
    side = max(rows, cols)
    top, left = (side - rows) // 2, (side - cols) // 2
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[..., :3] = colour.getRgb()[:3]
    rgba[top : top + rows, left : left + cols, 3] = np.where(mask, 255, 0)
    image = QImage(rgba.tobytes(), side, side, 4 * side, QImage.Format.Format_RGBA8888)
    small = image.scaled(
        _THUMBNAIL,
        _THUMBNAIL,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    pixmap, icon = QPixmap.fromImage(small), QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled):
        icon.addPixmap(pixmap, mode)
    return icon
