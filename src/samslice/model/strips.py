"""Work on a few rows at a time, so that intermediate results stay in the cache.

The convolutional stages expand a plane to tensors of 64 MiB. On a CPU, writing
and reading those through main memory (and getting the memory from the system)
takes longer than the arithmetic in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of the output and what makes them.

    Parameters
    ----------
    output : slice
        Rows of the output.
    input : slice
        Rows of the input to compute them from.
    keep : slice
        Which rows of the result are the output: those at an inner edge of
        the strip are missing a neighbour.
    """

    output: slice
    input: slice
    keep: slice


def rows_at_once(device: torch.device, elements_per_row: int) -> int:
    """Tell how many rows of intermediate results fit the cache.

    Parameters
    ----------
    device : torch.device
        Where the work is done. Only CPUs profit from strips; an accelerator
        wants few, large launches.
    elements_per_row : int
        Numbers per row in the largest intermediate result.

    Returns
    -------
    int
        Number of rows, at least one.
    """
    if device.type != "cpu":
        return 2**31
    cached = 2**19 * torch.get_num_threads()  # 2 MiB of float32 per core
    return max(1, cached // elements_per_row)


def strips(height: int, rows: int, stride: int = 1) -> Iterator[Strip]:
    """Cut the output of 3x3 convolutions with zero padding into strips of rows.

    Parameters
    ----------
    height : int
        Rows of the input, a multiple of `stride`.
    rows : int
        Rows of the output per strip.
    stride : int
        Rows of the input per row of the output. An output row must depend
        on no more than its own input rows, `stride` rows before the first
        of them and, at stride 1, one row after.

    Yields
    ------
    Strip
        From first to last.
    """
    n_out = height // stride
    for start in range(0, n_out, rows):
        stop = min(start + rows, n_out)
        before = min(start, 1)
        last = max(stride * stop, stride * (stop - 1) + 2)
        yield Strip(
            output=slice(start, stop),
            input=slice(stride * (start - before), min(last, height)),
            keep=slice(before, before + stop - start),
        )
