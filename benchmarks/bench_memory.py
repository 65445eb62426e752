"""Peak memory of `propagate` against the depth of the stack.

The stack is made plane by plane as it is read, and the labels go to a zarr
array on disk, one chunk per plane (a memmap's touched pages would count as
this process's memory although the system may drop them at any time). Each
depth runs in a process of its own, whose peak resident memory is compared with
that of the shallowest.

The model is a tiny one with random weights, so that 2000 planes take minutes.
Its embeddings are not kept: a cache takes what it is allowed to (1 GiB by
default) and no more, whatever the depth.
Its objects stay alive because the first and the last plane both show them:
between two anchors an object does not end.

    python benchmarks/bench_memory.py
    python benchmarks/bench_memory.py --depths 100 1000 --objects 16
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 512
MIB = 2**20


class MadeStack:
    """A stack of discs over noise, each plane made when it is read.

    Parameters
    ----------
    depth : int
        Planes.
    centres_rc : ndarray of shape (n, 2)
        Middle of each disc.
    radius : float
        Of the discs.
    """

    def __init__(self, depth: int, centres_rc: NDArray[np.float64], radius: float) -> None:
        self.shape = (depth, SIDE, SIDE)
        self.dtype = np.dtype(np.uint16)
        rows, cols = np.mgrid[:SIDE, :SIDE]
        squared = [(rows - r) ** 2 + (cols - c) ** 2 for r, c in centres_rc]
        self._discs = np.min(squared, axis=0) < radius**2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[np.uint16]:
        noise = np.random.default_rng(index).integers(100, 200, self.shape[1:], np.uint16)
        return noise + np.uint16(800) * self._discs


def peak_bytes() -> int:
    """Highest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def run_child(depth: int, n_objects: int) -> dict[str, Any]:
    """Propagate through one depth and say what it took."""
    import torch
    import zarr

    import samslice as ss
    from samslice.engine.backend import SamModel
    from samslice.model.build import build
    from samslice.model.config import VARIANTS

    torch.manual_seed(0)
    model = SamModel(build(VARIANTS["tiny"]), name="tiny", fingerprint="random", device="cpu")
    predictor = ss.Predictor(model)
    across = int(np.ceil(np.sqrt(n_objects)))
    step, radius = SIDE / across, SIDE / across / 4
    grid = np.stack(np.divmod(np.arange(n_objects), across), axis=1)
    centres = (grid + 0.5) * step
    volume = MadeStack(depth, centres, radius)
    seeds = [
        ss.Seed(i, plane=plane, prompt=ss.Prompt(box=(*(rc - radius), *(rc + radius))))
        for i, rc in enumerate(centres, start=1)
        for plane in (0, depth - 1)
    ]
    options = ss.PropagateOptions(min_area=1, compete=False, components="all")
    with tempfile.TemporaryDirectory() as folder:
        labels = zarr.create_array(
            store=folder, shape=volume.shape, chunks=(1, SIDE, SIDE), dtype=np.uint8
        )
        before = peak_bytes()
        result = ss.propagate(predictor, volume, seeds, options=options, labels=labels)
    found = result.table["area"] > 0
    return {
        "depth": depth,
        "before": before,
        "peak": peak_bytes(),
        "table": int(result.table.memory_usage(deep=True).sum()),
        "labels": int(np.prod(volume.shape)),
        "alive": float(found.sum() / (n_objects * depth)),
    }


def measure(depths: list[int], n_objects: int) -> list[dict[str, Any]]:
    """Run each depth in a process of its own."""
    results = []
    for depth in depths:
        command = [sys.executable, __file__, "--child", str(depth), "--objects", str(n_objects)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(done.stdout))
        if results[-1]["alive"] < 0.9:
            raise RuntimeError(
                f"objects were alive on {results[-1]['alive']:.0%} of {depth} planes only; "
                "the measure means nothing unless they travel through the stack."
            )
        print(f"{depth} planes: {results[-1]}", file=sys.stderr)
    return results


def markdown(results: list[dict[str, Any]]) -> str:
    """Set the results as a table."""
    least = results[0]["peak"]
    lines = [
        "| planes | peak memory, MiB | of that before the first plane | labels, MiB "
        "| result table, MiB | peak ÷ peak of the first row |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for r in results:
        lines.append(
            f"| {r['depth']} | {r['peak'] / MIB:.0f} | {r['before'] / MIB:.0f} "
            f"| {r['labels'] / MIB:.0f} | {r['table'] / MIB:.1f} | {r['peak'] / least:.3f} |"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Measure every depth and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--depths", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--objects", type=int, default=4)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="file for the table")
    args = parser.parse_args(argv)
    if args.child is not None:
        print(json.dumps(run_child(args.child, args.objects)))
        return
    text = markdown(measure(sorted(args.depths), args.objects))
    print(f"{args.objects} objects, {SIDE} × {SIDE} uint16 planes, labels uint8 in zarr\n\n{text}")
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
