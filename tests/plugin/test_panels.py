"""The views: they show values, tell only what people do, and say why a control is off."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("qtpy", reason="qtpy comes with the napari extra")
pytest.importorskip("superqt", reason="superqt comes with the napari extra")
from samslice.engine.options import PropagateOptions
from samslice.plugin import values
from samslice.plugin.keys import ACTIONS

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.gui


def make(qtbot: QtBot, cls: type, *args: Any, **kwargs: Any) -> Any:
    panel = cls(*args, **kwargs)
    qtbot.addWidget(panel)
    panel.show()
    return panel


def click(qtbot: QtBot, button: Any) -> None:
    from qtpy.QtCore import Qt

    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def heard(signal: Any) -> list[Any]:
    got: list[Any] = []
    signal.connect(lambda *args: got.append(args[0] if len(args) == 1 else args))
    return got


def test_a_button_that_is_off_says_why_and_a_button_that_is_on_does_not(qtbot: QtBot) -> None:
    from samslice.plugin.panels.propagation import PropagatePanel

    panel = make(qtbot, PropagatePanel)
    button = panel.buttons["propagate"]
    told = heard(panel.triggered)
    panel.set_allowed({"propagate": "no object has prompts."})
    assert not button.isEnabled()
    assert "no object has prompts." in button.toolTip()
    click(qtbot, button)
    assert told == []
    panel.set_allowed({"propagate": None})
    assert "no object has prompts." not in button.toolTip()
    click(qtbot, button)
    assert told == ["propagate"]


def test_every_button_shows_its_key_and_explains_itself(qtbot: QtBot) -> None:
    from samslice.plugin.panels.wording import long_key, short_key

    panels = _panels_with_buttons(qtbot)
    buttons = {name: button for panel in panels for name, button in panel.buttons.items()}
    by_name = {action.name: action for action in ACTIONS}
    for name, button in buttons.items():
        assert short_key(by_name[name].key) in button.text()
        assert long_key(by_name[name].key) in button.toolTip()
        assert by_name[name].help in button.toolTip()
    keys_alone = {"toggle_sign", "previous_candidate"}
    assert set(by_name) - set(buttons) == keys_alone, "an action without a button"


def _panels_with_buttons(qtbot: QtBot) -> list[Any]:
    from samslice.plugin.panels.jobs import JobsPanel
    from samslice.plugin.panels.objects import ObjectPanel
    from samslice.plugin.panels.propagation import PropagatePanel
    from samslice.plugin.panels.quality import QualityPanel
    from samslice.plugin.panels.tools import ToolsPanel

    kinds = (ToolsPanel, ObjectPanel, PropagatePanel, JobsPanel, QualityPanel)
    return [make(qtbot, kind) for kind in kinds]


def test_the_tool_shown_is_the_controllers_not_the_one_clicked(qtbot: QtBot) -> None:
    from samslice.plugin.panels.tools import ToolsPanel

    panel = make(qtbot, ToolsPanel)
    panel.set_allowed(dict.fromkeys(panel.buttons))
    told = heard(panel.triggered)
    panel.show_tool("positive")
    click(qtbot, panel.buttons["tool:box"])
    assert told == ["tool:box"]
    assert panel.buttons["tool:positive"].isChecked()
    assert not panel.buttons["tool:box"].isChecked()
    panel.show_tool("")
    assert not any(button.isChecked() for button in panel.buttons.values())


def test_images_and_models_are_chosen_by_people_alone(qtbot: QtBot) -> None:
    from samslice.plugin.panels.source import SourcePanel

    panel = make(qtbot, SourcePanel)
    images, models = heard(panel.image_chosen), heard(panel.model_chosen)
    panel.show_images(values.ImageChoices())
    assert not panel.image.isEnabled()
    assert "open an image" in panel.image.toolTip()
    panel.show_images(values.ImageChoices(("nuclei", "membranes"), "membranes"))
    assert panel.image.currentText() == "membranes"
    model = values.ModelView(("mobile_sam", "vit_b"), "/home/me/own.pt", "ready", "on the CPU")
    panel.show_model(model)
    assert (panel.model.currentText(), panel.model.value) == ("own.pt", "/home/me/own.pt")
    assert panel.status.text() == "on the CPU"
    assert images == models == []
    panel.image.activated.emit(0)
    panel.model.activated.emit(1)
    assert (images, models) == (["nuclei"], ["mobile_sam"])


def test_a_checkpoint_chosen_as_a_file_is_told_by_its_path(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samslice.plugin.panels import source

    panel = make(qtbot, source.SourcePanel)
    told = heard(panel.model_chosen)
    answers = iter(["", "/data/own.pt"])
    monkeypatch.setattr(
        source.QFileDialog, "getOpenFileName", lambda *_: (next(answers), "Checkpoints")
    )
    click(qtbot, panel.file)
    assert told == [], "the dialog was cancelled"
    click(qtbot, panel.file)
    assert told == ["/data/own.pt"]


def test_candidates_show_scores_and_which_is_in_the_image(qtbot: QtBot) -> None:
    from samslice.plugin.panels.objects import ObjectPanel

    panel = make(qtbot, ObjectPanel)
    told = heard(panel.candidate_chosen)
    assert not any(button.isEnabled() for button in panel.candidates)
    masks = tuple(np.arange(64).reshape(8, 8) > n for n in (10, 20, 30))
    panel.show_candidates(values.CandidatesView(3, (1.04, 0.85, 0.6), 1, masks))
    assert [button.text() for button in panel.candidates] == ["1.00", "0.85", "0.60"]
    assert [button.isChecked() for button in panel.candidates] == [False, True, False]
    click(qtbot, panel.candidates[2])
    assert told == [2]
    assert panel.candidates[1].isChecked(), "what is shown is the controller's word"
    panel.show_candidates(values.CandidatesView(3, (0.9,), 0))
    assert [button.isEnabled() for button in panel.candidates] == [True, False, False]
    assert "Not now" in panel.candidates[1].toolTip()


def test_the_object_in_hand_is_shown_without_being_chosen(qtbot: QtBot) -> None:
    from samslice.plugin.panels.objects import ObjectPanel

    panel = make(qtbot, ObjectPanel)
    told = heard(panel.object_chosen)
    assert not panel.object_id.isEnabled()
    panel.show_state(values.StateView(current=1))
    assert panel.object_id.text() == "1"
    panel.show_state(values.StateView(current=4, pending=(2, 4), undo_label="click"))
    assert (panel.object_id.value(), panel.kind.text()) == (4, "pending, 1 other")
    assert "click" in panel.buttons["undo"].toolTip()
    panel.show_state(values.StateView(current=5, finished=(5,)))
    assert panel.kind.text() == "finished"
    panel.show_state(values.StateView(current=6, pending=(2, 4)))
    assert panel.kind.text() == "new, 2 pending"
    assert told == []
    panel.object_id.setValue(7)
    assert told == [7]


def test_the_job_that_matters_is_shown(qtbot: QtBot) -> None:
    from samslice.plugin.panels.jobs import JobsPanel

    panel = make(qtbot, JobsPanel)
    panel.show_progress(values.ProgressView("encode", 3, 60, 30.0))
    assert panel.bar.text() == "Encoding: 3 of 60, 30 s left"
    panel.show_progress(values.ProgressView("propagate", 1, 20, None, paused=True))
    panel.show_progress(values.ProgressView("encode", 4, 60, 29.0))
    assert panel.bar.text() == "Paused: 1 of 20"
    assert "Resume" in panel.buttons["pause"].text()
    panel.show_progress(values.ProgressView("propagate", 20, 20, active=False))
    assert (panel.bar.value(), panel.bar.maximum()) == (4, 60)
    panel.show_progress(values.ProgressView("encode", 60, 60, active=False))
    assert panel.shown is None
    assert panel.bar.value() == 0


def test_the_form_has_a_field_for_every_option_with_its_help(qtbot: QtBot) -> None:
    from samslice.plugin.panels.options import OptionsForm

    form = make(qtbot, OptionsForm, PropagateOptions(), skip=("direction",))
    names = {field.name for field in fields(PropagateOptions)} - {"direction"}
    assert set(form.fields) == names
    for field in fields(PropagateOptions):
        if field.name in names:
            assert form.fields[field.name].toolTip() == field.metadata["help"]
    assert form.options == PropagateOptions()


def test_the_form_tells_new_options_and_shows_those_it_is_given(qtbot: QtBot) -> None:
    from samslice.plugin.panels.options import OptionsForm

    form = make(qtbot, OptionsForm, PropagateOptions(), skip=("direction",))
    told = heard(form.changed)
    given = PropagateOptions(
        direction="forward",
        first_plane=0,
        spacing=(2.0, 0.5, 0.5),
        min_score=0.25,
        compete=False,
        components="largest",
    )
    form.set_options(given)
    assert told == []
    form.fields["last_plane"].setValue(9)
    assert told[-1] == PropagateOptions(
        direction="forward",
        first_plane=0,
        last_plane=9,
        spacing=(2.0, 0.5, 0.5),
        min_score=0.25,
        compete=False,
        components="largest",
    )
    form.fields["spacing"].numbers[0].setValue(3.0)
    form.fields["compete"].setChecked(True)
    assert told[-1].spacing == (3.0, 0.5, 0.5)
    assert told[-1].compete


def test_options_that_contradict_each_other_are_explained_and_not_told(qtbot: QtBot) -> None:
    from samslice.plugin.panels.options import OptionsForm

    form = make(qtbot, OptionsForm, PropagateOptions(last_plane=5))
    told = heard(form.changed)
    form.fields["first_plane"].setValue(8)
    assert told == []
    assert "first_plane ≤ last_plane" in form.problem.text()
    form.fields["first_plane"].setValue(2)
    assert told == [PropagateOptions(first_plane=2, last_plane=5)]
    assert form.problem.text() == ""


def rows() -> tuple[values.TableRow, ...]:
    return (
        values.TableRow(1, 2, "anchor", "", 0.95, 300),
        values.TableRow(1, 3, "doubtful", "low confidence", 0.6, 280),
        values.TableRow(2, 10, "ended", "nothing found", 0.1, 0),
        values.TableRow(2, 9, "doubtful", "low confidence", 0.7, 12),
    )


def shown_rows(panel: Any) -> list[tuple[str, ...]]:
    model = panel.table.model()
    return [
        tuple(str(model.index(r, c).data()) for c in range(model.columnCount()))
        for r in range(model.rowCount())
    ]


def test_the_table_gives_score_and_reason_and_takes_people_to_a_row(qtbot: QtBot) -> None:
    from qtpy.QtCore import Qt

    from samslice.plugin.panels.quality import QualityPanel

    panel = make(qtbot, QualityPanel)
    told = heard(panel.place_chosen)
    panel.show_rows(rows())
    assert ("2", "10", "0.10", "ended: nothing found") in shown_rows(panel)
    assert "2 of 4 doubtful" in panel.summary.text()
    panel.table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert [line[2] for line in shown_rows(panel)] == ["0.10", "0.60", "0.70", "0.95"]
    panel.table.clicked.emit(panel.table.model().index(1, 0))
    assert told == [(1, 3)], "the row as it is sorted"


def test_the_table_can_show_the_doubtful_alone(qtbot: QtBot) -> None:
    from samslice.plugin.panels.quality import QualityPanel

    panel = make(qtbot, QualityPanel)
    panel.show_rows(rows())
    panel.only_doubtful.setChecked(True)
    assert [line[:2] for line in shown_rows(panel)] == [("1", "3"), ("2", "9")]
    panel.only_doubtful.setChecked(False)
    assert len(shown_rows(panel)) == 4


def axes(*sizes: int) -> tuple[values.AxisChoice, ...]:
    return tuple(
        values.AxisChoice(axis, f"{axis} ({size})", size) for axis, size in enumerate(sizes)
    )


def test_what_the_encoder_sees_is_chosen_by_people_alone(qtbot: QtBot) -> None:
    from samslice.plugin.panels.encoder import EncoderPanel

    panel = make(qtbot, EncoderPanel)
    contrast, channels = heard(panel.normalization_chosen), heard(panel.channels_chosen)
    stack = heard(panel.stack_axis_chosen)
    source = values.SourceView(
        stack_axes=axes(6, 12),
        stack_axis=1,
        channel_axes=axes(6, 12),
        channel_axis=0,
        n_channels=4,
        channels=(1,),
        percentiles=(1.0, 99.0),
    )
    panel.show_source(source)
    assert (panel.stack_axis.value, panel.channels.value) == (1, (1,))
    assert not panel.percentiles.isVisible()
    assert contrast == channels == stack == []
    panel.stack_axis.activated.emit(0)
    assert stack == [0]
    panel.channels.activated.emit(4)
    assert channels == [((0, 1, 2), 0)]
    panel.channel_axis.activated.emit(0)
    assert channels[-1] == ((), None)
    panel.normalization.setCurrentIndex(2)
    panel.normalization.activated.emit(2)
    assert contrast == [("percentiles", 1.0, 99.0)]
    assert panel.percentiles.isVisible()
    panel.high.setValue(0.5)
    assert len(contrast) == 1, "percentiles in the wrong order are not told"


def test_rgb_and_single_planes_say_why_there_is_nothing_to_choose(qtbot: QtBot) -> None:
    from samslice.plugin.panels.encoder import EncoderPanel

    panel = make(qtbot, EncoderPanel)
    panel.show_source(values.SourceView(is_rgb=True))
    for choice, word in ((panel.stack_axis, "single plane"), (panel.channels, "RGB")):
        assert not choice.isEnabled()
        assert word in choice.toolTip()


def test_the_small_picture_is_what_it_was_given(qtbot: QtBot) -> None:
    from samslice.plugin.panels.encoder import EncoderPanel

    panel = make(qtbot, EncoderPanel)
    pixels = np.zeros((20, 50, 3), np.uint8)
    pixels[:, 25:] = (255, 0, 0)
    panel.show_picture(values.PictureView(3, pixels, "limits 1 to 2"))
    image = panel.picture.pixmap().toImage()
    assert (image.width(), image.height()) == (200, 80)
    assert image.pixelColor(10, 40).getRgb()[:3] == (0, 0, 0)
    assert image.pixelColor(190, 40).getRgb()[:3] == (255, 0, 0)
    panel.show_picture(values.PictureView(3, None, "no plane"))
    assert not panel.picture.isVisible()
    assert panel.picture_text.text() == "no plane"


def test_layers_and_overwriting_are_chosen_by_people_alone(qtbot: QtBot) -> None:
    from samslice.plugin.panels.folded import LayersPanel

    panel = make(qtbot, LayersPanel)
    layers, overwrite = heard(panel.layer_chosen), heard(panel.overwrite_changed)
    panel.show_layers(values.ImageChoices(labels=("a", "cellpose"), labels_used="a"))
    panel.show_state(values.StateView(overwrite=True))
    assert panel.overwrite.isChecked()
    assert not panel.layers["points"].isEnabled()
    assert layers == overwrite == []
    panel.layers["labels"].activated.emit(1)
    panel.overwrite.setChecked(False)
    assert (layers, overwrite) == ([("labels", "cellpose")], [False])


def test_the_cost_is_told_in_full_or_not_at_all(qtbot: QtBot) -> None:
    from qtpy.QtWidgets import QLabel

    from samslice.plugin.panels.folded import CostPanel

    panel = make(qtbot, CostPanel)
    cost = values.CostEstimate(60, 42, 130.0, 84_000_000, 42_000_000, "60 planes")
    panel.show_cost(cost)
    said = {label.text() for label in panel.findChildren(QLabel)}
    assert {"60", "42", "about 2 min", "84 MB", "42 MB"} <= said
    panel.show_cost(values.CostEstimate(text="click on an object first"))
    assert panel.text.text() == "click on an object first"


def test_keys_are_all_in_the_widgets_table(qtbot: QtBot) -> None:
    from qtpy.QtWidgets import QLabel

    from samslice.plugin.panels.folded import KeysPanel
    from samslice.plugin.panels.wording import long_key

    panel = make(qtbot, KeysPanel)
    said = [label.text() for label in panel.findChildren(QLabel)]
    for action in ACTIONS:
        assert long_key(action.key) in said
        assert action.help in said


def test_a_folded_section_takes_no_room_and_an_unfolded_one_all_it_needs(qtbot: QtBot) -> None:
    from samslice.plugin.panels.controls import Section
    from samslice.plugin.panels.folded import KeysPanel

    section = make(qtbot, Section, "Keys", KeysPanel(), "All keys.")
    section.resize(300, 40)
    assert not section.content().isVisible()
    folded = section.sizeHint().height()
    click(qtbot, section.toggleButton())
    assert section.content().isVisible()
    assert section.content().maximumHeight() > 10_000
    click(qtbot, section.toggleButton())
    assert section.sizeHint().height() == folded


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than 1 s"),
        (8.4, "8 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (3540, "59 min"),
        (3600, "1 h"),
        (7900, "2 h 10 min"),
    ],
)
def test_times_are_told_as_exactly_as_an_estimate_deserves(seconds: float, words: str) -> None:
    from samslice.plugin.panels.wording import duration

    assert duration(seconds) == words


def test_sizes_are_told_in_the_larger_unit() -> None:
    from samslice.plugin.panels.wording import size

    assert [size(n) for n in (1, 84_000_000, 2_500_000_000)] == ["1 MB", "84 MB", "2.5 GB"]


def test_the_cost_takes_as_much_room_for_one_line_as_for_two(qtbot: QtBot) -> None:
    """Else Pause and Cancel move under the mouse while planes are encoded."""
    from samslice.plugin.panels.propagation import PropagatePanel

    panel = make(qtbot, PropagatePanel)
    panel.resize(280, 10)
    heights = []
    for text in (
        "Nothing to propagate yet.",
        "At most 60 planes, 52 of them to encode: about 31 s",
    ):
        panel.show_cost(values.CostEstimate(60, 52, 31.0, 0, 0, text))
        heights.append(panel.heightForWidth(280))
    assert heights[0] == heights[1]


def test_contrast_cannot_be_chosen_where_it_is_ignored(qtbot: QtBot) -> None:
    from samslice.plugin.panels.encoder import EncoderPanel

    panel = make(qtbot, EncoderPanel)
    panel.show_source(values.SourceView(is_rgb=True))
    assert not panel.normalization.isEnabled()
    assert "RGB" in panel.normalization.toolTip()
    panel.show_source(values.SourceView())
    assert panel.normalization.isEnabled()
