"""Hold the docstrings to numpydoc, by how public they are.

Every public class, function and method of the package needs a docstring whose
sections are well formed. What ``samslice.__all__`` offers must also document every
parameter and what it returns. Exits non-zero with one line per finding.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import samslice

# The codes are explained in numpydoc's own table of validation checks.
EVERYWHERE = {
    *("GL05", "GL06", "GL07", "GL08", "GL10"),  # unknown, misplaced, absent or misspelt parts
    *("SS01", "SS02", "SS03", "SS04"),  # the summary line
    *("PR02", "PR03", "PR06", "PR07", "PR10"),  # parameters that do not match the signature
    *("RT02", "RT03"),
}
IN_THE_API = EVERYWHERE | {"PR01", "RT01", "YD01"}

# Called by torch; the class says what it does.
CALLED_BY_OTHERS = {"forward"}


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(samslice.__path__, "samslice."):
        if not found.name.rpartition(".")[2].startswith("_"):
            yield found.name


def members(owner: type, path: str) -> Iterator[str]:
    for name, value in vars(owner).items():
        method = inspect.isfunction(value) or isinstance(
            value, (classmethod, property, staticmethod)
        )
        if method and not name.startswith("_") and name not in CALLED_BY_OTHERS:
            yield f"{path}.{name}"


def public_paths() -> Iterator[str]:
    for module_name in modules():
        module = importlib.import_module(module_name)
        for name, value in vars(module).items():
            is_code = inspect.isclass(value) or inspect.isfunction(value)
            if name.startswith("_") or not is_code or value.__module__ != module_name:
                continue
            yield f"{module_name}.{name}"
            if inspect.isclass(value):
                yield from members(value, f"{module_name}.{name}")


def api_paths() -> set[str]:
    return {f"{home}.{name}" for name, home in samslice._HOME_OF.items()}


def documents_its_fields(path: str) -> bool:
    """Whether a dataclass says what its fields are, as attributes or in their metadata."""
    module, _, name = path.rpartition(".")
    owner: Any = getattr(sys.modules.get(module), name, None)
    if not (inspect.isclass(owner) and dataclasses.is_dataclass(owner)):
        return False
    attributes = {item.name for item in NumpyDocString(inspect.getdoc(owner) or "")["Attributes"]}
    return all(f.name in attributes or "help" in f.metadata for f in dataclasses.fields(owner))


def findings() -> Iterator[str]:
    api = api_paths()
    for path in public_paths():
        in_api = path in api or path.rpartition(".")[0] in api
        checks = set(IN_THE_API if in_api else EVERYWHERE)
        if documents_its_fields(path):
            checks.discard("PR01")
        report = validate(path)
        if "\nYields\n" in report["docstring"]:
            checks.discard("RT01")
        for code, message in report["errors"]:
            if code in checks:
                yield f"{path}: {code} {message}"


def main() -> int:
    found = list(findings())
    print("\n".join(found) if found else "every public docstring is in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
