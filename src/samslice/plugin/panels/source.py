"""Which image and which model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QWidget

from samslice.plugin.panels.controls import Choice, Panel
from samslice.plugin.panels.labels import caption, hint

if TYPE_CHECKING:
    from samslice.plugin.values import ImageChoices, ModelView


class SourcePanel(Panel):
    """Choose the image layer and the model, and read what state they are in.

    Attributes
    ----------
    image_chosen : Signal
        (str): name of an image layer.
    model_chosen : Signal
        (str): name of a model, or the path of a checkpoint.
    """

    image_chosen = Signal(str)
    model_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.image = Choice("The image layer to segment. Layers for clicks and results are made.")
        self.model = Choice("The model that makes the masks. mobile_sam is quick on any machine.")
        self.file = QPushButton("File…")
        self.file.setToolTip("Use a SAM checkpoint from a file (.pt, .pth).")
        self.status = hint()
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(caption("Image", self.image), 0, 0)
        grid.addWidget(self.image, 0, 1, 1, 2)
        grid.addWidget(caption("Model", self.model), 1, 0)
        grid.addWidget(self.model, 1, 1)
        grid.addWidget(self.file, 1, 2)
        grid.setColumnStretch(1, 1)
        self.column.addLayout(grid)
        self.column.addWidget(self.status)
        self.image.chosen.connect(self.image_chosen.emit)
        self.model.chosen.connect(self.model_chosen.emit)
        self.file.clicked.connect(self._choose_file)

    def show_images(self, choices: ImageChoices) -> None:
        """Show which images there are, and which is segmented.

        Parameters
        ----------
        choices : ImageChoices
            Names.
        """
        self.image.set_choices([(name, name) for name in choices.images], choices.image)
        there = bool(choices.images)
        self.image.setPlaceholderText("choose an image" if there else "open an image first")
        self.image.set_allowed(None if there else "there is no image layer; open an image.")

    def show_model(self, model: ModelView) -> None:
        """Show which models there are, and the state of the one in use.

        Parameters
        ----------
        model : ModelView
            Names and state.
        """
        names = model.names if model.name in model.names else (model.name, *model.names)
        self.model.set_choices([(name, _short(name)) for name in names], model.name)
        self.status.setText(model.text)
        self.status.setVisible(bool(model.text))

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Choose a SAM checkpoint", "", "Checkpoints (*.pt *.pth);;All files (*)"
        )
        if path:
            self.model_chosen.emit(path)


def _short(name: str) -> str:
    """Leave the folders of a path out."""
    return name.replace("\\", "/").rpartition("/")[2]
