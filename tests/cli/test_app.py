"""Laws of the command line as a whole: exit codes, one-line errors, quick answers."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from samslice.cli import app, main
from samslice.weights import WeightsNotFoundError

COMMANDS = ["segment", "propagate", "weights", "demo", "info"]


@pytest.mark.parametrize(
    "command",
    [[], *([c] for c in COMMANDS), *(["weights", a] for a in ("list", "fetch", "verify"))],
)
def test_every_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == 0
    _, heading, examples = capsys.readouterr().out.partition("\nexample")
    assert heading
    assert f"  samslice {' '.join(command)}".rstrip() in examples


def test_examples_in_the_help_are_understood():
    parser = app.build_parser()
    help_texts = [parser.format_help()]
    subparsers = parser._subparsers._group_actions[0].choices
    help_texts += [sub.format_help() for sub in subparsers.values()]
    examples = [
        line.strip().removeprefix("samslice ").split(">")[0].split()
        for text in help_texts
        for line in text.replace("\\\n", " ").splitlines()
        if line.strip().startswith("samslice ")
    ]
    assert len(examples) > 12
    for example in examples:
        assert callable(parser.parse_args(example).run)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["bogus"], "invalid choice: 'bogus'"),
        (["segment"], "required: IMAGE"),
        (["segment", "a.tif", "--point", "1,x"], "'1,x' is not allowed; write R,C[,+|-]: "),
        (["segment", "a.tif", "--point", "5"], "'5' is not allowed; write R,C[,+|-]: "),
        (["segment", "a.tif", "--point", "1,nan"], "'1,nan' is not allowed; write R,C[,+|-]: "),
        (["segment", "a.tif", "--box", "1,2,3"], "'1,2,3' is not allowed; write R0,C0,R1,C1: "),
        (["segment", "a.tif", "--point", "-5,5"], "starts with a minus is written --point=VALUE"),
        (["segment", "a.tif", "--box", "-5,0,9,9"], "starts with a minus is written --box=VALUE"),
        (["segment", "a.tif", "--threads", "0"], "--threads: '0' is not allowed; write an integer"),
        (["segment", "a.tif", "--threads", "x"], "or leave it to torch"),
        (["propagate", "a.tif", "-o", "b.tif"], "required: --prompts"),
        (["weights", "fetch"], "required: NAME"),
    ],
)
def test_wrong_flags_are_one_line_on_stderr_and_status_2(argv, says, capsys):
    with pytest.raises(SystemExit) as left:
        main(argv)
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert out == ""
    assert err.startswith("samslice: error: ")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("v"), 2),
        (TypeError("t"), 2),
        (FileNotFoundError("f"), 2),
        (FileExistsError("f"), 2),
        (WeightsNotFoundError("w"), 1),
        (IsADirectoryError("f"), 2),
        (OSError("disk full"), 1),
        (MemoryError("m"), 1),
        (RuntimeError("r"), 1),
    ],
)
def test_status_tells_bad_input_from_failure(error, status, monkeypatch, capsys):
    def fail(args):
        raise error

    monkeypatch.setattr("samslice.cli.info.run", fail)
    assert main(["info"]) == status
    assert capsys.readouterr().err == f"samslice: error: {error}\n"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "a.tif exists; replace it (overwrite=True, --force).",
            "a.tif exists; replace it (--force).",
        ),
        ("name them: axes='TZYX', or --axes TZYX on the command line.", "name them: --axes TZYX."),
        (
            "give another, or force (--force) to replace it.",
            "give another, or --force to replace it.",
        ),
        ("choose a smaller model, or device='cpu'.", "choose a smaller model, or --device cpu."),
    ],
)
def test_errors_tell_a_shell_what_a_shell_can_do(said, shown, monkeypatch, capsys):
    def fail(args):
        raise ValueError(said)

    monkeypatch.setattr("samslice.cli.info.run", fail)
    assert main(["info"]) == 2
    assert capsys.readouterr().err == f"samslice: error: {shown}\n"


@pytest.mark.parametrize(
    "module",
    ["samslice.io.labels", "samslice.io.axes", "samslice.demo.run", "samslice.engine.device"],
)
def test_what_is_rephrased_for_a_shell_is_what_the_library_says(module):
    """Each pattern still meets the text that it was made for."""
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    for holder in ("{letters}", "{choices}"):
        source = source.replace(holder, "ZYX")
    assert any(re.search(pattern, source) for pattern, _ in app._PYTHON)


def test_the_traceback_is_shown_on_request(monkeypatch, capsys):
    def fail(args):
        raise ValueError("deep down")

    monkeypatch.setattr("samslice.cli.info.run", fail)
    assert main(["--traceback", "info"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_status_130_without_a_traceback(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("samslice.cli.info.run", interrupt)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "samslice: error: interrupted; no result was written.\n"


def _python(code, *argv, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        **kwargs,
    )


@pytest.mark.parametrize("argv", [["--version"], ["--help"], ["weights", "list"]])
def test_quick_questions_load_neither_torch_nor_napari_nor_pandas(argv):
    code = (
        "import sys; from samslice.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'napari', 'pandas', 'zarr'} & set(sys.modules), file=sys.stderr)"
    )
    done = _python(code, *argv)
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stderr.strip() == ""


def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import os, sys; from samslice.cli import main\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "sys.exit(main(['weights', 'list']))"
    )
    done = _python(code)
    assert done.stderr == ""
    assert done.returncode == 1


def test_version_is_that_of_the_package(capsys):
    from samslice import __version__

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"samslice {__version__}\n"
