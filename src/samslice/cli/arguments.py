"""Flags that commands share, and flags made from an options dataclass."""

from __future__ import annotations

import argparse
import dataclasses
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from samslice.engine.normalize import Normalization
    from samslice.engine.predictor import Predictor
    from samslice.io import Volume

Options = TypeVar("Options")


class ArgumentParser(argparse.ArgumentParser):
    """A parser whose errors are one line, and whose help keeps its examples' lines."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(**kwargs)

    def error(self, message: str) -> NoReturn:
        """Leave with status 2 and one line."""
        flag = re.match(r"argument (?:\S+/)?(--[\w-]+): expected one argument", message)
        if flag is not None:
            message += f" (one that starts with a minus is written {flag[1]}=VALUE)"
        found = re.match(r"argument (--[\w-]+): (?:expected \d|invalid \w+ value)", message)
        count = self._option_string_actions[found[1]].nargs if found is not None else None
        if isinstance(count, int):
            message += f"; write {count} numbers after it, with a point for decimals"
        self.exit(2, f"samslice: error: {message}; see {self.prog} --help\n")


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose from a file with many axes or images."""
    group = parser.add_argument_group("which part of the file (all counted from 0)")
    for flag, text in (
        ("channel", "which channel"),
        ("time", "which time point"),
        ("z", "which plane of a z-stack; what is left may be a time series"),
    ):
        group.add_argument(f"--{flag}", type=int, metavar="N", help=text)
    group.add_argument(
        "--series", type=int, default=0, metavar="N", help="which image of a file that holds many"
    )
    group.add_argument(
        "--level", type=int, default=0, metavar="N", help="which resolution of a pyramid; 0: finest"
    )
    group.add_argument(
        "--axes", metavar="LETTERS", help="axes of the file, if it does not say or lies: ZYX, TZCYX"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose the model and where it runs."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="mobile_sam",
        metavar="NAME|FILE",
        help="a name of `samslice weights list`, or a checkpoint file (default: mobile_sam)",
    )
    add_device(group)
    group.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="of the image encoder (default: auto)",
    )
    group.add_argument(
        "--threads", type=_threads, metavar="N", help="CPU threads (default: torch's)"
    )
    add_cache(group)


def _threads(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed; write an integer from 1 on, or leave it to torch"
        )
    return int(text)


def add_device(group: argparse._ActionsContainer) -> None:
    """Add the flag that chooses the device."""
    group.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps (default: auto)",
    )


def add_cache(group: argparse._ActionsContainer) -> None:
    """Add the flag that chooses where embeddings are kept."""
    group.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="keep what the encoder makes of each plane, so that a second run is quick",
    )


def add_normalization(parser: argparse.ArgumentParser) -> None:
    """Add the flags that decide what the encoder sees."""
    group = parser.add_argument_group("contrast (default: robust limits for the whole stack)")
    either = group.add_mutually_exclusive_group()
    for flag, text in (
        ("limits", "data values that become black and white"),
        ("percentiles", "percentiles that become black and white"),
    ):
        either.add_argument(f"--{flag}", nargs=2, type=float, metavar=("LOW", "HIGH"), help=text)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the flags about results."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="LABELS",
        help="labels to write: .tif (OME-TIFF) or .zarr",
    )
    add_force(parser)


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add the flags about overwriting and talking."""
    parser.add_argument("--force", action="store_true", help="replace results that exist")
    parser.add_argument("--quiet", action="store_true", help="no progress, notes and warnings")


def add_options(parser: argparse.ArgumentParser, options: type, title: str) -> None:
    """Add a flag for each field of an options dataclass.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Where to add them.
    options : type
        A dataclass whose fields were made by `samslice.engine.options.option`.
    title : str
        Heading in the help.
    """
    group = parser.add_argument_group(title)
    hints = typing.get_type_hints(options)
    for field in dataclasses.fields(options):
        meta = field.metadata
        kinds = typing.get_args(hints[field.name]) or (hints[field.name],)
        kind = next(k for k in kinds if k is not type(None))
        flag = "--" + field.name.replace("_", "-")
        keywords: dict[str, Any] = {
            "default": argparse.SUPPRESS,  # the dataclass knows its defaults
            "dest": field.name,
            "help": f"{meta['help']} {_allowed(field)}".replace("%", "%%").strip(),
        }
        if kind is bool:
            keywords["action"] = argparse.BooleanOptionalAction
        elif meta["choices"] is not None:
            keywords["choices"] = meta["choices"]
        else:
            keywords |= {"type": kind, "metavar": "N"}
            if meta["length"]:
                keywords |= {"nargs": meta["length"]}
        group.add_argument(flag, **keywords)


def _allowed(field: dataclasses.Field[Any]) -> str:
    """Write the range and the default of an option for its help."""
    low, high = field.metadata["low"], field.metadata["high"]
    parts = []
    if high is not None:
        parts.append(f"{low:g} to {high:g}")
    elif low and not field.metadata["length"]:
        parts.append(f"from {low:g}")
    if isinstance(field.default, tuple):
        parts.append("default: " + " ".join(f"{v:g}" for v in field.default))
    elif field.default is not None:
        shown: object = field.default
        if isinstance(shown, bool):
            shown = "yes" if shown else "no"
        parts.append(f"default: {shown}")
    return f"({'; '.join(parts)})" if parts else ""


def given_options(args: argparse.Namespace, options: type) -> dict[str, Any]:
    """Collect the fields of an options dataclass that were given as flags.

    Parameters
    ----------
    args : argparse.Namespace
        What was parsed.
    options : type
        The dataclass.

    Returns
    -------
    dict
        Arguments for its constructor.
    """
    given = {f.name: getattr(args, f.name) for f in dataclasses.fields(options) if f.name in args}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}


def make_options(args: argparse.Namespace, options: type[Options]) -> Options:
    """Make an options dataclass from flags, with errors that name the flags.

    Parameters
    ----------
    args : argparse.Namespace
        What was parsed.
    options : type
        The dataclass.

    Returns
    -------
    dataclass instance
        What was given as flags, and the defaults of the rest.

    Raises
    ------
    ValueError
        If a value is not allowed.
    """
    try:
        return options(**given_options(args, options))
    except ValueError as error:
        message = str(error)
        for field in dataclasses.fields(options):  # type: ignore[arg-type]
            owner = rf"{options.__name__}\."
            # A name of one word alone may be just that word.
            name = rf"(?:{owner})?{field.name}" if "_" in field.name else f"{owner}{field.name}"
            message = re.sub(rf"\b{name}\b", "--" + field.name.replace("_", "-"), message)
        raise ValueError(message) from error


def open_volume(path: Path, args: argparse.Namespace) -> Volume:
    """Open the file that the flags of `add_input` choose from."""
    from samslice.io import read_volume

    return read_volume(
        path,
        channel=args.channel,
        time=args.time,
        z=args.z,
        series=args.series,
        level=args.level,
        axes=args.axes,
    )


def load_predictor(args: argparse.Namespace) -> Predictor:
    """Load the model that the flags of `add_model` choose."""
    from samslice.engine.backend import load_model
    from samslice.engine.cache import EmbeddingCache
    from samslice.engine.predictor import Predictor

    model = load_model(
        args.model,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
        progress=not args.quiet,  # a download draws a bar
    )
    return Predictor(model, cache=EmbeddingCache(args.cache))


def choose_normalization(volume: Volume, args: argparse.Namespace) -> Normalization:
    """Fit what the encoder sees, to the whole stack where there is one."""
    from samslice.engine.normalize import fit, fit_stack

    choices: dict[str, Any] = {}
    for name in ("limits", "percentiles"):
        value: Sequence[float] | None = getattr(args, name)
        if value is not None:
            choices[name] = tuple(value)
    return fit_stack(volume, **choices) if volume.is_stack else fit(volume[...], **choices)
