"""The table of keys, the preferences, and the end of the interpreter."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from samslice.plugin import settings
from samslice.plugin.keys import ACTIONS, MODES
from samslice.plugin.values import TOOLS


def spelled(key):
    from napari.utils.key_bindings import coerce_keybinding

    return str(coerce_keybinding(key))


def test_no_key_stands_for_two_things():
    keys = [spelled(a.key) for a in ACTIONS if a.key]
    assert len(set(keys)) == len(keys)


def test_no_key_is_napari_s(viewer_model):
    """But for undo and redo, which are the labels layer's and are ours on our layers."""
    from napari.settings import get_settings

    shortcuts = get_settings().shortcuts.shortcuts
    taken = {str(key) for keys in shortcuts.values() for key in keys}
    layers = [
        viewer_model.add_image(np.zeros((4, 4))),
        viewer_model.add_points([[0, 0]]),
        viewer_model.add_shapes(),
        viewer_model.add_labels(np.zeros((4, 4), int)),
    ]
    for thing in (viewer_model, *layers):
        taken |= {str(key) for key in thing.class_keymap}
    ours = {spelled(a.key) for a in ACTIONS if a.key and a.name not in ("undo", "redo")}
    assert not ours & taken


def test_every_tool_has_a_key_and_every_key_an_action():
    from samslice.plugin.controller import SamController

    assert tuple(MODES) == TOOLS
    assert {a.name for a in ACTIONS if a.name.startswith("tool:")} == {f"tool:{t}" for t in TOOLS}
    for action in ACTIONS:
        assert action.text
        assert action.help.endswith(".")
        assert action.name.startswith("tool:") or callable(getattr(SamController, action.name))


def clicked_twice(open_sam):
    """Two controllers on one viewer, each with a pending object."""
    both = open_sam(), open_sam()
    for sam in both:
        sam.points.add([2, 20, 20])
        assert sam.wait(10)
    return both


def press(viewer, key):
    """Press a key as napari finds it: on the active layer, then on the viewer."""
    viewer.keymap[next(k for k in viewer.keymap if str(k) == spelled(key))](viewer)


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_widgets_a_key_acts_on_the_one_of_the_active_layer(open_sam, viewer_model, which):
    both = clicked_twice(open_sam)
    viewer_model.layers.selection.active = both[which].image
    press(viewer_model, "K")
    assert [bool(sam.state.finished) for sam in both] == [which == 0, which == 1]


def test_without_an_active_layer_a_key_acts_on_the_widget_that_is_shown(open_sam, viewer_model):
    both = clicked_twice(open_sam)
    viewer_model.layers.selection.clear()
    both[1].is_shown = True
    press(viewer_model, "K")
    assert [bool(sam.state.finished) for sam in both] == [False, True]


@pytest.mark.parametrize("which", [0, 1])
def test_the_keys_of_a_viewer_live_as_long_as_one_widget(open_sam, viewer_model, which):
    both = clicked_twice(open_sam)
    n = len(viewer_model.keymap)
    both[which].close()
    assert len(viewer_model.keymap) == n > 0
    viewer_model.layers.selection.active = both[1 - which].image
    press(viewer_model, "K")
    assert both[1 - which].state.finished == (1,)
    both[1 - which].close()
    assert not viewer_model.keymap


def test_a_key_that_the_user_has_bound_stays_the_user_s(open_sam, viewer_model):
    pressed = []
    viewer_model.bind_key("K", pressed.append)
    both = clicked_twice(open_sam)
    press(viewer_model, "K")
    assert pressed == [viewer_model]
    for sam in both:
        assert sam.state.finished == ()
        sam.close()
    assert list(viewer_model.keymap.values()) == [pressed.append]


def test_preferences_are_read(monkeypatch, tmp_path):
    import napari.settings

    found = SimpleNamespace(
        inference=SimpleNamespace(device="cpu", precision="float32"),
        cache=SimpleNamespace(folder=str(tmp_path), size=2),
    )
    monkeypatch.setattr(napari.settings, "get_plugin_settings", lambda name: found)
    assert settings.read_settings() == settings.Settings("cpu", "float32", tmp_path, 2 * 10**9)


@pytest.mark.parametrize("size", ["much", float("inf"), None, -1])
def test_preferences_of_no_use_do_not_keep_the_plugin_from_opening(monkeypatch, size):
    import napari.settings

    found = SimpleNamespace(cache=SimpleNamespace(folder=None, size=size))
    monkeypatch.setattr(napari.settings, "get_plugin_settings", lambda name: found)
    read = settings.read_settings()
    assert (read.device, read.cache_folder) == ("auto", None)
    assert read.cache_bytes >= 0


def test_without_preferences_there_are_defaults(monkeypatch):
    import napari.settings

    def unknown(name):
        raise KeyError(name)

    monkeypatch.setattr(napari.settings, "get_plugin_settings", unknown)
    assert settings.read_settings() == settings.Settings()


SCRIPT = """
import threading, time
from samslice.plugin.runner import Runner
entered = threading.Event()
def work(cancel):
    entered.set()
    while True:
        cancel.check()
        time.sleep(0.01)
        yield None
runner = Runner(lambda call: call(), has_gui=False)
worker = runner.make_worker("samslice-test")
nothing = dict(on_result=print, on_error=print, on_done=print)
worker.submit("endless", work, priority=0, **nothing)
entered.wait(5)
print(time.time())
"""


def test_the_interpreter_ends_within_a_second_of_a_running_job():
    import time

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert time.time() - float(done.stdout) < 3  # a second, and the interpreter's own end
