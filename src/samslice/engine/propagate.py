"""Carry objects through a stack, plane by plane.

The driver knows no model. It reads one plane at a time, asks a strategy where
the objects are, lets them compete for pixels, writes the labels and records
why every object went on or stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from samslice.engine.driver import Driver
from samslice.engine.flow_strategy import FlowStrategy
from samslice.engine.label_store import LabelStore, labels_dtype
from samslice.engine.normalize import fit_stack
from samslice.engine.options import PropagateOptions
from samslice.engine.progress import Cancel, NullProgress, Progress
from samslice.engine.schedule import Schedule, make_schedule
from samslice.engine.types import PlaneResult, PlaneStep, Prompt, Seed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from samslice.engine.normalize import Normalization
    from samslice.engine.predictor import PlanePredictor
    from samslice.engine.strategy import Strategy

TABLE_COLUMNS = {
    "object": np.int64,
    "plane": np.int64,
    "direction": object,
    "status": object,
    "reason": object,
    "score": np.float64,
    "predicted_iou": np.float64,
    "overlap": np.float64,
    "area": np.int64,
}


@dataclass(frozen=True, slots=True, eq=False)
class PropagateResult:
    """What a propagation made.

    Attributes
    ----------
    labels : array-like of shape (planes, rows, columns)
        Integer labels, 0 is background.
    table : pandas.DataFrame
        One row for each object and plane that was looked at: ``object``,
        ``plane``, ``direction``, ``status``, ``reason``, ``score``,
        ``predicted_iou``, ``overlap`` and ``area``.
    cancelled : bool
        Whether it was cancelled; what was done until then is in `labels`.
    """

    labels: Any
    table: pd.DataFrame
    cancelled: bool


def propagate(
    predictor: PlanePredictor,
    volume: Any,
    seeds: Iterable[Seed],
    *,
    options: PropagateOptions | None = None,
    normalization: Normalization | None = None,
    labels: Any = None,
    strategy: Strategy | None = None,
    corrected: Iterable[tuple[int, int]] | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> PropagateResult:
    """Carry objects through a stack and return labels and a table.

    Parameters
    ----------
    predictor : Predictor
        Model and cache.
    volume : array-like of shape (planes, rows, columns) or (..., 3 or 4)
        numpy, memmap, dask, zarr: one plane is read at a time.
    seeds : iterable of Seed
        Anchors of all objects, and "ends here" marks.
    options : PropagateOptions, optional
        Direction, range and stopping.
    normalization : Normalization, optional
        What the encoder sees; fitted to the stack if left out.
    labels : array-like of shape (planes, rows, columns), optional
        Where labels are written, for instance a zarr array. Objects in it
        that have no seed are finished: they keep their pixels. A new numpy
        array if left out.
    strategy : Strategy, optional
        How objects are found on the next plane.
    corrected : iterable of tuple of int, optional
        (object id, plane) of the anchors and end marks that have changed since
        `labels` were made. Only what they affect is done again: the planes up to the next
        anchor, end mark or end of the range on both sides, to which the object
        is carried from both anchors. Those stay as they are in `labels`, and
        so do all other planes. Everything is carried if left out.
    progress : Progress, optional
        Told of every plane.
    cancel : Cancel, optional
        Asked before every plane.

    Returns
    -------
    PropagateResult
        Labels, table, and whether it was cancelled.

    Raises
    ------
    ValueError, TypeError
        If a seed, the volume or the labels do not fit, or `corrected` names
        what is no anchor or comes without `labels`.

    See Also
    --------
    iter_propagate : The same, plane by plane.

    Notes
    -----
    An object's last mask moves with the optical flow between the two pictures
    [1]_ and prompts the model [2]_ on the next plane, which corrects it, as a
    network does in MaskTrack [3]_; see
    `samslice.engine.flow_strategy.FlowStrategy`. All objects of a plane are
    decoded together and compete for its pixels. What two sweeps find on the same
    plane is reconciled by `samslice.engine.meeting.Meeting`.

    References
    ----------
    .. [1] Zach, Pock and Bischof, "A duality based approach for realtime TV-L1
       optical flow", DAGM 2007.
    .. [2] Kirillov et al., "Segment Anything", ICCV 2023.
    .. [3] Perazzi et al., "Learning video object segmentation from static
       images", CVPR 2017.
    """
    cancel = cancel or Cancel()
    driver = _start(predictor, volume, seeds, options, normalization, labels, strategy, corrected)
    rows: dict[tuple[int, int], tuple[Any, ...]] = {}
    for step in driver.run(progress or NullProgress(), cancel):
        for result in step.results:  # what is said last of an object and plane counts
            rows[result.object_id, result.plane] = _row(step, result)
    table = pd.DataFrame(list(rows.values()), columns=list(TABLE_COLUMNS)).astype(TABLE_COLUMNS)
    table = table.sort_values(["object", "plane"], kind="stable", ignore_index=True)
    return PropagateResult(driver.labels, table, driver.was_cancelled)


def _row(step: PlaneStep, result: PlaneResult) -> tuple[Any, ...]:
    return (
        result.object_id,
        result.plane,
        step.direction,
        result.status,
        result.reason,
        result.score,
        result.predicted_iou,
        result.overlap,
        result.area,
    )


def iter_propagate(
    predictor: PlanePredictor,
    volume: Any,
    seeds: Iterable[Seed],
    *,
    options: PropagateOptions | None = None,
    normalization: Normalization | None = None,
    labels: Any = None,
    strategy: Strategy | None = None,
    corrected: Iterable[tuple[int, int]] | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Generator[PlaneStep, None, None]:
    """Carry objects through a stack, handing back every plane as it is done.

    Stop by closing the generator, by leaving the loop, or through `cancel`;
    planes handed back by then are in `labels`.

    Parameters
    ----------
    predictor : Predictor
        Model and cache.
    volume : array-like of shape (planes, rows, columns) or (..., 3 or 4)
        One plane is read at a time.
    seeds : iterable of Seed
        Anchors of all objects, and "ends here" marks.
    options : PropagateOptions, optional
        Direction, range and stopping.
    normalization : Normalization, optional
        What the encoder sees; fitted to the stack if left out.
    labels : array-like of shape (planes, rows, columns), optional
        Where labels are written, as for `propagate`.
    strategy : Strategy, optional
        How objects are found on the next plane.
    corrected : iterable of tuple of int, optional
        The anchors and marks that have changed, as for `propagate`.
    progress : Progress, optional
        Told of every plane.
    cancel : Cancel, optional
        Asked before every plane.

    Yields
    ------
    PlaneStep
        The plane, and what became of each object on it. A plane comes once more
        with the second direction and where a branch is found; of what is said
        of an object and plane more than once, the last word counts.

    Raises
    ------
    ValueError, TypeError
        As for `propagate`. Raised by the call itself, before the first plane.
    """
    driver = _start(predictor, volume, seeds, options, normalization, labels, strategy, corrected)
    return driver.run(progress or NullProgress(), cancel or Cancel())


def _start(
    predictor: PlanePredictor,
    volume: Any,
    seeds: Iterable[Seed],
    options: PropagateOptions | None,
    normalization: Normalization | None,
    labels: Any,
    strategy: Strategy | None,
    corrected: Iterable[tuple[int, int]] | None,
) -> Driver:
    """Check everything before the first plane is read."""
    seeds = list(seeds)
    options = PropagateOptions() if options is None else options
    if not isinstance(options, PropagateOptions):
        raise TypeError(
            f"options is a {type(options).__name__}; allowed is samslice.PropagateOptions, for "
            "instance PropagateOptions(spacing=(2, 1, 1))."
        )
    schedule = plan(volume, seeds, options, corrected)
    if corrected is not None and labels is None:
        raise ValueError(
            "corrected is given without labels; give the labels that were made before the "
            "correction, or leave corrected out."
        )
    n_planes, rows, cols = (int(size) for size in volume.shape[:3])
    shape = (n_planes, rows, cols)
    fresh = labels is None
    if labels is None:
        labels = np.zeros(shape, labels_dtype(max(seed.object_id for seed in seeds)))
    store = LabelStore(labels, shape, seeds)
    if strategy is None:
        if normalization is None:
            normalization = fit_stack(volume)
        strategy = FlowStrategy(predictor, options, normalization)
    return Driver(volume, schedule, store, strategy, options, fresh=fresh)


def plan(
    volume: Any,
    seeds: Sequence[Seed],
    options: PropagateOptions,
    corrected: Iterable[tuple[int, int]] | None = None,
) -> Schedule:
    """Check seeds against a stack, and say which planes they lead to. Nothing is read.

    Parameters
    ----------
    volume : array-like of shape (planes, rows, columns) or (..., 3 or 4)
        The stack.
    seeds : sequence of Seed
        Anchors of all objects, and "ends here" marks.
    options : PropagateOptions
        Direction and range.
    corrected : iterable of tuple of int, optional
        The anchors and marks that have changed, as for `propagate`.

    Returns
    -------
    Schedule
        What would be visited.

    Raises
    ------
    ValueError
        If a seed, the volume or `corrected` does not fit.
    """
    n_planes, shape = _check_volume(volume)
    schedule = make_schedule(seeds, n_planes, options, corrected)
    for seed in seeds:
        _check_seed(seed, shape)
    return schedule


def _check_volume(volume: Any) -> tuple[int, tuple[int, int]]:
    shape = tuple(getattr(volume, "shape", ()))
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] in (3, 4))
    if not fits or 0 in shape:
        raise ValueError(
            f"the volume has shape {shape}; allowed is (planes, rows, columns), with a last "
            "axis of 3 or 4 for RGB. Choose one channel or time point of a larger array."
        )
    return int(shape[0]), (int(shape[1]), int(shape[2]))


def _check_seed(seed: Seed, shape: tuple[int, int]) -> None:
    try:
        if seed.prompt is not None:
            seed.prompt.check_inside(shape)
        elif seed.mask is not None:
            Prompt(mask=seed.mask).check_inside(shape)
    except ValueError as error:
        raise ValueError(
            f"the seed of object {seed.object_id} on plane {seed.plane}: {error}"
        ) from None
