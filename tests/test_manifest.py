"""The plugin manifest: found by npe2, and one file wherever it is seen."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

import samslice

ROOT = Path(__file__).parents[1]


def test_npe2_finds_a_valid_manifest_in_the_installed_package() -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 comes with the napari extra")
    manifest = npe2.PluginManifest.from_distribution("samslice")
    manifest.validate_imports()
    assert manifest.name == "samslice"
    assert manifest.package_version == samslice.__version__
    assert manifest.is_visible


def test_the_manifest_at_the_top_level_is_the_one_in_the_package() -> None:
    inside = ROOT / "src" / "samslice" / "napari.yaml"
    assert (ROOT / "napari.yaml").read_bytes() == inside.read_bytes()
    assert files("samslice").joinpath("napari.yaml").read_bytes() == inside.read_bytes()


def test_everything_that_the_issue_promises_comes_from_the_manifest() -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 comes with the napari extra")
    contributions = npe2.PluginManifest.from_distribution("samslice").contributions
    assert [w.display_name for w in contributions.widgets] == ["samslice segmentation"]
    assert [item.command for item in contributions.menus["napari/layers/segment"]] == [
        "samslice.widget"
    ]
    assert {s.key for s in contributions.sample_data} == {"nuclei", "cells", "tissue", "series"}
    properties = {
        f"{name}.{key}"
        for name, configuration in contributions.configurations.items()
        for key in configuration.properties
    }
    assert properties == {"inference.device", "inference.precision", "cache.folder", "cache.size"}


def test_every_action_of_the_palette_is_one_of_the_keys_table() -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 comes with the napari extra")
    from samslice.plugin.keys import ACTIONS

    commands = npe2.PluginManifest.from_distribution("samslice").contributions.commands
    names = {c.python_name.split(":")[1] for c in commands if ".actions:" in c.python_name}
    assert names
    assert names <= {action.name for action in ACTIONS}
    assert all(c.title for c in commands)


def test_preferences_offer_what_the_engine_takes() -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 comes with the napari extra")
    from samslice.engine.device import PRECISIONS

    contributions = npe2.PluginManifest.from_distribution("samslice").contributions
    inference = contributions.configurations["inference"].properties
    assert inference["precision"].enum == ["auto", *PRECISIONS]
    assert inference["precision"].default == inference["device"].default == "auto"


@pytest.mark.gui
def test_napari_starts_with_the_plugin_registered(request: pytest.FixtureRequest) -> None:
    from npe2 import PluginManager

    viewer = request.getfixturevalue("make_napari_viewer")()
    assert not viewer.layers
    assert "samslice" in PluginManager.instance()
