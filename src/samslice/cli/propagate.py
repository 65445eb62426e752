"""``samslice propagate``: objects through a stack."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samslice.cli.arguments import (
    add_input,
    add_model,
    add_normalization,
    add_options,
    add_output,
    choose_normalization,
    load_predictor,
    make_options,
    open_volume,
)
from samslice.cli.messages import TerminalProgress, format_table, note, say
from samslice.engine.options import PropagateOptions
from samslice.engine.progress import Cancel, NullProgress

if TYPE_CHECKING:
    import argparse

    import pandas as pd

    from samslice.engine.propagate import PropagateResult
    from samslice.io import LabelsFile, Volume

_INTERRUPTED = 130
_UNITS = ("pm", "nm", "µm", "mm", "cm", "m")

_EXAMPLES = """\
examples:
  samslice propagate stack.tif --prompts prompts.csv -o labels.tif --table qa.csv
  a larger stack, kept compressed on disk, and quick to run again:
    samslice propagate stack.ome.zarr --channel 1 --prompts prompts.csv \\
        --cache stack.samslice-cache -o labels.zarr
  only upwards, and stop sooner:
    samslice propagate stack.tif --prompts prompts.csv -o labels.tif \\
        --direction forward --min-overlap 0.75

The table of prompts has the columns object, plane, row, col, positive, and/or
row0, col0, row1, col1, and ends; see docs/formats.md. A summary of the objects
goes to standard output, a row per object and plane to --table. Ctrl-C stops after
the plane at hand; what was done until then is kept under another name.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "propagate",
        help="carry objects through a stack",
        description="Carry objects from prompted planes through a stack.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("stack", type=Path, metavar="STACK", help="TIFF, zarr or .npy")
    parser.add_argument(
        "--prompts",
        "--points",
        dest="prompts",
        type=Path,
        required=True,
        metavar="CSV",
        help="a table of prompts",
    )
    add_output(parser)
    parser.add_argument(
        "--table", type=Path, metavar="CSV", help="write a row for each object and plane"
    )
    add_options(
        parser,
        PropagateOptions,
        "propagation (the spacing is taken from the file where it tells one)",
    )
    parser.add_argument(
        "--unit",
        type=_micro,
        choices=_UNITS,
        help=f"unit of --spacing, kept with the labels: {', '.join(_UNITS)} (default: the labels "
        "say that it has none)",
    )
    add_input(parser)
    add_model(parser)
    add_normalization(parser)
    parser.set_defaults(run=run)


def _micro(text: str) -> str:
    """Spell micrometres in the one way in which files do."""
    return "µm" if text in ("um", "μm") else text  # the second has the Greek letter


def run(args: argparse.Namespace) -> int:
    """Propagate, write labels and table, and print the summary."""
    from samslice.engine.label_store import labels_dtype
    from samslice.engine.propagate import plan, propagate
    from samslice.io import check_output, open_labels, read_prompts

    target = check_output(args.output, overwrite=args.force)
    if args.table is not None:
        check_output(args.table, overwrite=args.force, suffixes=(".csv",))
    if args.unit is not None and "spacing" not in args:
        raise ValueError(
            f"--unit is {args.unit} without a --spacing; allowed is the unit of the --spacing that "
            "is given with it. Give both, or neither to keep what the file tells."
        )
    options = make_options(args, PropagateOptions)
    seeds = read_prompts(args.prompts)
    volume = open_volume(args.stack, args)
    if not volume.is_stack:
        raise ValueError(_one_plane(volume, args.axes))
    if "spacing" not in args and volume.spacing is not None:
        z, row, col = volume.spacing
        options = replace(options, spacing=(z, row, col))
    dtype = labels_dtype(max((seed.object_id for seed in seeds), default=0))
    plan(volume, seeds, options)  # a prompt that does not fit is told before a model is fetched
    predictor = load_predictor(args)
    cancel = Cancel()
    with open_labels(
        target,
        volume.shape[:3],
        dtype,
        spacing=options.spacing if "spacing" in args else volume.spacing,
        unit=args.unit if "spacing" in args else volume.unit,
        axis=volume.axes[0],
        overwrite=args.force,
    ) as labels:
        with stop_on_interrupt(cancel), keep_what_is_done(labels):
            result = propagate(
                predictor,
                volume,
                seeds,
                options=options,
                normalization=choose_normalization(volume, args),
                labels=labels.array,
                progress=NullProgress() if args.quiet else TerminalProgress(),
                cancel=cancel,
            )
        _write(result, labels, args)
    print(summarise(result.table))
    return _INTERRUPTED if result.cancelled else 0


def _one_plane(volume: Volume, given: str | None) -> str:
    """Say that there is no stack, and how there would be one."""
    from samslice.io.axes import describe_axes

    axes = (given or volume.file_axes).upper()
    text = (
        f"{volume.path.name} has one plane; use samslice segment for it. "
        f"The axes of the file are {describe_axes(axes, volume.file_shape)}"
    )
    if "S" in axes and "Z" not in axes:
        # Many programs mark any three planes as the colours of one.
        text += f"; if S are planes and not colours, say so: --axes {axes.replace('S', 'Z')}"
    return f"{text}."


@contextmanager
def stop_on_interrupt(cancel: Cancel) -> Iterator[None]:
    """Let the first Ctrl-C ask the work to stop; a second one ends it at once.

    Parameters
    ----------
    cancel : Cancel
        Set by the first one.

    Yields
    ------
    None
        Afterwards Ctrl-C does again what it did before. Where it was ignored
        (nohup, a script's ``&``) or is not Python's to handle, it stays so.
    """
    before = signal.getsignal(signal.SIGINT)
    # Python delivers signals to the main thread alone.
    ours = threading.current_thread() is threading.main_thread()
    if not ours or before is None or before is signal.SIG_IGN:
        yield
        return

    def ask(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        cancel.set()
        note("stopping after this plane; press Ctrl-C again to give up at once.")

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def keep_what_is_done(labels: LabelsFile) -> Iterator[None]:
    """Save the planes that are done where the work fails on the way.

    Parameters
    ----------
    labels : LabelsFile
        What is written into.

    Yields
    ------
    None
        An error goes on after the labels, if any, are in a file.
    """
    try:
        yield
    except Exception:
        array = labels.array
        if any(array[index].any() for index in range(array.shape[0])):
            note(f"what was done until then is in {labels.commit(free_name(labels.path))}.")
        raise


def _write(result: PropagateResult, labels: LabelsFile, args: argparse.Namespace) -> None:
    """Write the results, or under other names what there is of them."""
    from samslice.io import write_table

    paths = [labels.commit(free_name(labels.path) if result.cancelled else None)]
    if args.table is not None:
        table = free_name(args.table) if result.cancelled else args.table
        paths.append(
            write_table(table, result.table, overwrite=args.force and not result.cancelled)
        )
    wrote = " and ".join(str(path) for path in paths)
    if result.cancelled:
        say(f"interrupted; what was done is in {wrote}", kind="error")
    else:
        note(f"wrote {wrote}")


def free_name(path: Path) -> Path:
    """Find a name for a partial result that nothing has yet.

    Parameters
    ----------
    path : Path
        Name of the complete result, for instance ``labels.tif``.

    Returns
    -------
    Path
        ``labels.partial.tif``, or ``labels.partial-2.tif`` and so on.
    """
    free, number = path.with_suffix(f".partial{path.suffix}"), 1
    while free.exists():
        number += 1
        free = path.with_suffix(f".partial-{number}{path.suffix}")
    return free


def summarise(table: pd.DataFrame) -> str:
    """Write one line for each object.

    Parameters
    ----------
    table : pandas.DataFrame
        A `PropagateResult.table`.

    Returns
    -------
    str
        An aligned table: planes on which it is, first and last of them, how
        many are doubtful, its voxels, and the mean score.
    """
    rows = []
    for object_id, part in table.groupby("object"):
        found = part[part["area"] > 0]
        empty = found.empty
        rows.append(
            (
                object_id,
                len(found),
                None if empty else int(found["plane"].min()),
                None if empty else int(found["plane"].max()),
                int((found["status"] == "doubtful").sum()),
                int(found["area"].sum()),
                None if empty else float(found["score"].mean()),
            )
        )
    columns = ("object", "planes", "first", "last", "doubtful", "voxels", "score")
    return format_table(columns, rows)
