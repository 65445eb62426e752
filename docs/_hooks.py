"""What the documentation takes from the program itself, so that it cannot drift."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from typing import Any

import samslice
from samslice.plugin.keys import ACTIONS
from samslice.plugin.panels.wording import long_key
from samslice.weights import REGISTRY

_RUN = "import sys; from samslice.cli import main; sys.argv[0] = 'samslice'; sys.exit(main())"
_OPTIONS = re.compile(r"^<!-- options: (?P<name>\w+) -->$", re.MULTILINE)
_HELP = re.compile(r"^<!-- help:(?P<command>[ a-z-]*) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the placeholders of a page.

    ``<!-- help: COMMAND -->`` becomes what ``samslice COMMAND --help`` prints,
    ``<!-- options: NAME -->`` the table of an options dataclass,
    ``<!-- registry -->`` the table of the checkpoints that samslice knows by name, and
    ``<!-- keys -->`` the keys of the napari plugin.
    """
    markdown = _OPTIONS.sub(lambda found: _options(found["name"]), markdown)
    markdown = _HELP.sub(lambda found: _help_of(found["command"].split()), markdown)
    markdown = markdown.replace("<!-- keys -->", _keys())
    return markdown.replace("<!-- registry -->", _registry())


def _registry() -> str:
    lines = ["| name | what it is | file | MB | licence | cite |", "|---|---|---|---:|---|---|"]
    for row in REGISTRY.values():
        size = "" if row.bytes is None else f"{row.bytes / 1e6:.0f}"
        cells = (f"`{row.name}`", row.description, f"`{row.filename}`", size, row.licence)
        lines.append(f"| {' | '.join((*cells, row.citation))} |")
    return "\n".join(lines)


def _keys() -> str:
    lines = ["| key | button | what it does |", "|---|---|---|"]
    for action in ACTIONS:
        if action.key:
            lines.append(f"| `{long_key(action.key)}` | {action.text} | {action.help} |")
    return "\n".join(lines)


def _options(name: str) -> str:
    lines = ["| option | default | what it does |", "|---|---|---|"]
    for field in dataclasses.fields(getattr(samslice, name)):
        lines.append(f"| `{field.name}` | `{field.default!r}` | {field.metadata['help']} |")
    return "\n".join(lines)


def _help_of(command: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        # argparse wraps to the terminal and, in recent Pythons, colours what it prints.
        env={**os.environ, "COLUMNS": "88", "NO_COLOR": "1", "PYTHON_COLORS": "0"},
    )
    return f"```text\n{done.stdout.rstrip()}\n```"
