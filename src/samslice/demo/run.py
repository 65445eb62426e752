"""Run the demo step by step, and say what each step did and how long it took."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samslice.demo.nuclei import MARKS, DemoCase, load_nuclei
from samslice.demo.picture import Scene, draw_overview
from samslice.engine.backend import SamModel, load_model
from samslice.engine.cache import EmbeddingCache, plane_key
from samslice.engine.normalize import Normalization, fit_stack
from samslice.engine.options import PropagateOptions
from samslice.engine.predictor import Predictor
from samslice.engine.progress import NullProgress, Progress
from samslice.engine.propagate import PropagateResult, propagate
from samslice.io import write_labels, write_prompts, write_table
from samslice.weights import cache_dir, resolve

if TYPE_CHECKING:
    import pandas as pd

    from samslice.engine.types import Seed

logger = logging.getLogger(__name__)

DEFAULT_FOLDER = "samslice-demo"
MODEL = "mobile_sam"
FILE_NAMES = ("labels.tif", "table.csv", "prompts.csv", "overview.png")

Report = Callable[[str], object]


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """Where the demo's files are.

    Attributes
    ----------
    labels, table, prompts, picture : Path
        All in one folder.
    """

    labels: Path
    table: Path
    prompts: Path
    picture: Path


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demo made, and where it is.

    Attributes
    ----------
    folder : Path
        The folder that holds the files.
    files : Files
        Labels, table, prompts and picture.
    result : PropagateResult
        What `propagate` returned.
    seconds : dict of str to float
        Duration of each step, in the order of the steps.
    """

    folder: Path
    files: Files
    result: PropagateResult
    seconds: dict[str, float]


def run_demo(
    out: Path | str | None = None,
    *,
    objects: int = 12,
    device: str = "auto",
    cache: EmbeddingCache | None = None,
    report: Report = logger.info,
    progress: Progress | None = None,
    force: bool = False,
    case: DemoCase | None = None,
    model: SamModel | None = None,
) -> DemoResult:
    """Segment a dozen nuclei in a real stack, from one box or click each.

    The weights and the stack are fetched into the user's cache when they are
    not there yet. Labels, a table and a picture are written into a folder.

    Parameters
    ----------
    out : path-like, optional
        The folder. If left out, it is ``samslice-demo`` in the current folder,
        or ``samslice-demo-2`` and so on if that is taken.
    objects : int, optional
        How many of the marked objects to segment.
    device : str, optional
        As for `load_model`.
    cache : EmbeddingCache, optional
        Where embeddings are kept; in the user's cache if left out.
    report : callable, optional
        Called with each line of what is going on; logged if left out.
    progress : Progress, optional
        Told how far encoding and propagation are; downloads then draw a bar
        on stderr.
    force : bool, optional
        Replace the demo's files in a folder that holds something. Other files
        in it are left alone in any case.
    case : DemoCase, optional
        Another stack than the nuclei.
    model : SamModel, optional
        Another model than MobileSAM.

    Returns
    -------
    DemoResult
        Results, paths and timings.

    Raises
    ------
    FileExistsError
        If the folder holds something and `force` is not set.
    ValueError
        If `objects` is out of range.
    OSError
        If weights or stack cannot be had, or the folder cannot be written.
    """
    n_marks = len(MARKS if case is None else case.marks)
    if not 1 <= objects <= n_marks:
        raise ValueError(f"objects is {objects}; allowed is 1 to {n_marks}.")
    folder = _choose_folder(out, force)
    steps = _Steps(report)
    show = progress is not None
    if model is None:
        with steps.take("weights") as say:
            say(f"{MODEL}, {resolve(MODEL, progress=show)}")
            model = load_model(MODEL, device=device)
    if case is None:
        with steps.take("stack") as say:
            case = load_nuclei(show)
            say(f"{case.source}, {' × '.join(map(str, case.volume.shape))} {case.volume.dtype}")
    case = replace(case, marks=case.marks[:objects])
    predictor = Predictor(model, cache=cache if cache is not None else _users_cache())
    progress = progress or NullProgress()
    with steps.take("encode") as say:
        normalization = fit_stack(case.volume)
        kept = _encode(predictor, case.volume, normalization, progress)
        say(
            f"{len(case.volume)} planes with {model.name} on {model.device}, "
            f"{kept} of them from the cache"
        )
    seeds = [mark.seed(i) for i, mark in enumerate(case.marks, start=1)]
    with steps.take("propagate") as say:
        result = propagate(
            predictor,
            case.volume,
            seeds,
            options=PropagateOptions(spacing=case.spacing),
            normalization=normalization,
            progress=progress,
        )
        say(_describe(result.table, case))
    with steps.take("write") as say:
        files = _write(folder, Scene(case, normalization, result), seeds)
        say(f"{', '.join(FILE_NAMES)} into {folder}")
    for line in _closing(files, case, sum(steps.seconds.values())):
        report(line)
    return DemoResult(folder, files, result, steps.seconds)


def _choose_folder(out: Path | str | None, force: bool) -> Path:
    """Find a folder that may be written into, before any work is done."""
    if out is None:
        return _free_folder()
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; give a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise FileExistsError(
            f"{folder} is not empty; give another folder, or force (--force) to replace "
            f"{', '.join(FILE_NAMES)} in it."
        )
    return folder


def _free_folder() -> Path:
    folder, number = Path(DEFAULT_FOLDER), 1
    while folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        number += 1
        folder = Path(f"{DEFAULT_FOLDER}-{number}")
    return folder


def _users_cache() -> EmbeddingCache:
    return EmbeddingCache(cache_dir().parent / "demo" / "embeddings")


def _encode(
    predictor: Predictor, volume: Any, normalization: Normalization, progress: Progress
) -> int:
    """Put the embeddings of all planes into the cache, and count those that were there."""
    kept = 0
    progress.start(len(volume), "encode")
    try:
        for plane in volume:
            if predictor.cache is not None:
                key = plane_key(plane, predictor.model.key, normalization.key)
                kept += key in predictor.cache
            predictor.encode(plane, normalization=normalization)
            progress.advance()
    finally:
        progress.done()
    return kept


def _describe(table: pd.DataFrame, case: DemoCase) -> str:
    found = table[table["area"] > 0]
    boxes = sum(mark.box is not None for mark in case.marks)
    doubtful = int((found["status"] == "doubtful").sum())
    return (
        f"{len(case.marks)} {case.name} from {boxes} boxes and {len(case.marks) - boxes} clicks, "
        f"through {len(case.volume)} planes: {len(found)} masks, {doubtful} of them doubtful"
    )


def _write(folder: Path, scene: Scene, seeds: list[Seed]) -> Files:
    """Write the files; each appears under its name when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(*(folder.absolute() / name for name in FILE_NAMES))
    case, result = scene.case, scene.result
    write_labels(files.labels, result.labels, spacing=case.spacing, unit=case.unit, overwrite=True)
    write_table(files.table, result.table.round(4), overwrite=True)
    write_prompts(files.prompts, seeds, overwrite=True)
    part = files.picture.with_name(f".{files.picture.name}.{os.getpid()}.part")
    try:
        draw_overview(scene).save(part, format="PNG")
        part.replace(files.picture)
    finally:
        part.unlink(missing_ok=True)
    return files


def _closing(files: Files, case: DemoCase, total: float) -> list[str]:
    again = files.labels.with_name("again.tif")
    arguments = ["propagate", case.source, "--prompts", files.prompts, "-o", again]
    return [
        f"done in {total:.1f} s. Look at:",
        f"  {files.picture}  planes with outlines",
        f"  {files.labels}  labels; open them over the stack, in napari or Fiji",
        f"  {files.table}  score, overlap, area and status of each object on each plane",
        f"  {files.prompts}  the boxes and clicks that it started from",
        "The same by hand, and then with a stack and prompts of your own:",
        f"  {_shell_line([*_command(), *map(str, arguments)])}",
    ]


def _command() -> list[str]:
    """How this samslice is started: by its name only where the shell finds it by that."""
    found, running = shutil.which("samslice"), Path(sys.argv[0])
    if running.stem == "samslice" and running.is_file():
        # Another environment's samslice may be the one that the shell finds.
        same = found is not None and os.path.samefile(found, running)
        return ["samslice"] if same else [str(running.absolute())]
    return ["samslice"] if found or not sys.executable else [sys.executable, "-m", "samslice"]


def _shell_line(words: list[str]) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


class _Steps:
    """Time each step, and report it when it is done."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.seconds: dict[str, float] = {}

    @contextmanager
    def take(self, name: str) -> Iterator[Callable[[str], None]]:
        """Run one step; call what it hands out with what it did."""
        said: list[str] = []
        begun = time.perf_counter()
        yield said.append
        self.seconds[name] = time.perf_counter() - begun
        self._report(f"{name:<10}{self.seconds[name]:6.1f} s  {'; '.join(said)}")
