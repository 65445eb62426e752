"""The parser of all commands, and what becomes of errors and Ctrl-C."""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import TYPE_CHECKING

from samslice._version import __version__
from samslice.cli import demo, info, propagate, segment, weights
from samslice.cli.arguments import ArgumentParser
from samslice.cli.messages import messages, say
from samslice.weights.settings import share_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

# What the library's errors tell a Python program to do, and what a shell can do instead.
_PYTHON = (
    (r"axes='\w+', or (--axes \w+) on the command line", r"\1"),
    (r"\boverwrite=True, (?=--force)", ""),
    (r"\bforce \((--force)\)", r"\1"),
    (r"\bdevice='(\w+)'", r"--device \1"),
)

_EXAMPLES = """\
examples:
  samslice demo
  samslice segment cells.tif --point 120,85 -o labels.tif
  samslice propagate stack.tif --prompts prompts.csv -o labels.tif --table qa.csv
  samslice weights list

Exit status: 0 done; 1 it failed on the way; 2 a flag, a file or a value was not
allowed; 130 interrupted with Ctrl-C.
"""


def build_parser() -> ArgumentParser:
    """Make the parser of all commands.

    Returns
    -------
    ArgumentParser
        What it parses has the attribute ``run``, the command's function.
    """
    parser = ArgumentParser(
        prog="samslice",
        description="Segment microscopy images and stacks with the Segment Anything Model.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"samslice {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="show Python's traceback of an error, for a report"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (segment, propagate, weights, demo, info):
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The command and its flags; those of the process if left out.

    Returns
    -------
    int
        Exit status: 0 done, 1 failed on the way, 2 bad input, 130 interrupted.

    Raises
    ------
    SystemExit
        Where flags are wrong (status 2) or ask for help or the version (0).
    """
    args = build_parser().parse_args(argv)
    share_cores()
    with messages(quiet=getattr(args, "quiet", False)):
        try:
            status: int = args.run(args)
            sys.stdout.flush()
        except KeyboardInterrupt:
            say("interrupted; no result was written.", kind="error")
            return INTERRUPTED
        except BrokenPipeError:
            # Who read standard output has gone; Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except (ValueError, TypeError, OSError, MemoryError, RuntimeError, ImportError) as error:
            if args.traceback:
                traceback.print_exc()
            say(_in_flags(str(error)) or type(error).__name__, kind="error")
            return _status_of(error)
        except Exception as error:
            # Decoders of damaged files raise all kinds; a user needs one line, not a traceback.
            if args.traceback:
                traceback.print_exc()
            name = type(error).__name__
            say(
                f"{name}: {str(error) or 'no details'}. A file may be damaged; if not, "
                "please report this with what --traceback shows.",
                kind="error",
            )
            return FAILED
    return status


def _in_flags(message: str) -> str:
    """Leave out of an error what only helps in Python."""
    for pattern, replacement in _PYTHON:
        message = re.sub(pattern, replacement, message)
    return message


def _status_of(error: Exception) -> int:
    """Tell what the user gave from what happened on the way."""
    from samslice.weights import WeightsNotFoundError

    folders = (NotADirectoryError, IsADirectoryError)
    theirs = (ValueError, TypeError, FileNotFoundError, FileExistsError, *folders)
    if isinstance(error, theirs) and not isinstance(error, WeightsNotFoundError):
        return BAD_INPUT
    return FAILED
