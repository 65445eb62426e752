"""The package as it is imported and installed."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import samslice

HEAVY = ("torch", "napari", "numpy", "qtpy", "magicgui", "zarr", "dask", "skimage", "pandas")


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["samslice", "samslice.plugin", "samslice.engine.types"])
def test_importing_loads_neither_torch_nor_napari(module: str) -> None:
    assert not modules_after(f"import {module}") & {"torch", "napari", "qtpy", "magicgui"}


def test_importing_the_package_loads_none_of_the_libraries_it_builds_on() -> None:
    loaded = modules_after("import samslice")
    assert "samslice" in loaded
    assert not loaded & set(HEAVY)


def test_a_package_imports_without_its_modules() -> None:
    for package in ("engine", "model", "weights"):
        assert "torch" not in modules_after(f"import samslice.{package}")


@pytest.mark.parametrize("name", samslice.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(samslice, name) is not None
    assert name in dir(samslice)


def test_type_checkers_see_the_same_names_in_the_same_homes() -> None:
    """The imports under TYPE_CHECKING and the lazy table must not drift apart."""
    tree = ast.parse(Path(samslice.__file__).read_text(encoding="utf-8"))
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == samslice._HOME_OF


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"'Predictr'; it has load_model, Predictor"):
        _ = samslice.Predictr  # type: ignore[attr-defined]


def test_the_installed_version_is_the_one_in_the_code() -> None:
    assert importlib.metadata.version("samslice") == samslice.__version__


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(samslice.__file__).parent / "py.typed").is_file()
