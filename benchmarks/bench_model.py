"""Time the model against a floor: its own FLOPs at the machine's matrix-product peak.

    python benchmarks/bench_model.py --variants mobile_sam,vit_b --precisions float32,bfloat16

The FLOPs are those of the code as it runs, and the peak is measured between the timings, so that
the ratio means something on any machine, even on one that does other work at the same time. The
weights are random: nothing is downloaded.

On a machine that is busy with other work, `--clock cpu` counts the processor time of one thread
instead of the time on the wall, which also counts the waiting.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from samslice.model.build import build
from samslice.model.config import VARIANTS
from samslice.model.layers import fold
from samslice.model.prompt_encoder import PromptTensors
from samslice.model.sam import Sam

BATCHES = (1, 8, 64)
Work = Callable[[], object]
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.thread_time}


@dataclass(frozen=True)
class Row:
    """One line of the table; times and FLOPs are per plane or per prompt."""

    variant: str
    precision: str
    work: str
    seconds: float
    flops: float
    floor: float
    ratio: float


def _attention_flops(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    batch, heads, n_queries, channels = q
    return int(2 * batch * heads * n_queries * k[2] * (channels + v[3]))


# torch counts every attention kernel but the one for CPUs.
_UNCOUNTED = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}


def count_flops(work: Work) -> int:
    """Count the FLOPs of matrix products, convolutions and attention as they run."""
    with FlopCounterMode(display=False, custom_mapping=_UNCOUNTED) as counter:
        work()
    return int(counter.get_total_flops())


def seconds_of(work: Work, device: torch.device, clock: Clock) -> float:
    """Time of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


class Peak:
    """Best rate of a large matrix product, in FLOPs per second.

    Parameters
    ----------
    dtype : torch.dtype
        Precision of the product.
    device : torch.device
        Where it runs.
    clock : callable
        What to time it with.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device, clock: Clock) -> None:
        size = 8192 if device.type == "cuda" else 1536
        self.device = device
        self.clock = clock
        self.left = torch.randn(size, size, device=device, dtype=dtype)
        self.right = torch.randn(size, size, device=device, dtype=dtype)
        self.flops = 2 * size**3
        self.rate()

    def _product(self) -> object:
        return self.left @ self.right

    def seconds_of(self, work: Work) -> float:
        """Time of one call, by the same clock."""
        return seconds_of(work, self.device, self.clock)

    def rate(self) -> float:
        """Measure now: the best of three."""
        times = [self.seconds_of(self._product) for _ in range(3)]
        return self.flops / min(times)


def measure(work: Work, peak: Peak, repeats: int) -> tuple[float, float, int]:
    """Median time, median ratio to the floor at that moment, and FLOPs."""
    work()
    flops = count_flops(work)
    times, ratios = [], []
    before = peak.rate()
    for _ in range(repeats):
        seconds = peak.seconds_of(work)
        after = peak.rate()
        times.append(seconds)
        ratios.append(seconds * (before + after) / 2 / flops)
        before = after
    return median(times), median(ratios), flops


def box_prompts(sam: Sam, count: int) -> PromptTensors:
    """Random boxes in the input frame."""
    generator = torch.Generator().manual_seed(count)
    first = torch.rand(count, 2, generator=generator) * sam.config.image_size * 0.7
    size = torch.rand(count, 2, generator=generator) * sam.config.image_size * 0.3
    return PromptTensors(boxes_bp=torch.cat([first, first + size], dim=1).to(sam.device))


def measure_variant(
    name: str, dtype: torch.dtype, device: torch.device, clock: Clock, repeats: int
) -> Iterator[Row]:
    """All rows of one variant in one precision."""
    torch.manual_seed(0)
    sam = build(VARIANTS[name]).requires_grad_(False)
    fold(sam)
    sam = sam.to(device, dtype)
    peak = Peak(dtype, device, clock)
    side = sam.config.image_size
    images = torch.randn(1, 3, side, side, device=device, dtype=dtype)
    features = sam.encode(images)
    precision = str(dtype).removeprefix("torch.")

    def row(label: str, work: Work, count: int) -> Row:
        seconds, ratio, flops = measure(work, peak, repeats)
        floor = seconds / ratio / count
        return Row(name, precision, label, seconds / count, flops / count, floor, ratio)

    yield row("encode", partial(sam.encode, images), 1)
    for count in BATCHES:
        prompts = box_prompts(sam, count)
        yield row(
            f"decode, of {count}", partial(sam.decode, features, prompts, multimask=False), count
        )


def machine(device: torch.device, clock: str) -> str:
    """Name the machine, as it bears on the numbers."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    elif cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0].split(":")[1].strip() if models else name
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, {clock} clock"


def table(rows: list[Row], peaks: dict[str, float], described: str) -> str:
    """Format the rows as markdown."""
    rates = ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in peaks.items())
    lines = [
        f"{described}; matrix-product peak: {rates}.",
        "",
        "| variant | precision | work | ms | GFLOP | floor, ms | ratio |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.variant} | {row.precision} | {row.work} | {1e3 * row.seconds:.1f} "
            f"| {row.flops / 1e9:.2f} | {1e3 * row.floor:.1f} | {row.ratio:.2f} |"
        )
    return "\n".join(lines) + "\n"


def names(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--variants", type=names, default=["mobile_sam"])
    parser.add_argument("--precisions", type=names, default=["float32"])
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice if left out")
    parser.add_argument(
        "--repeats", type=int, default=7, help="timings per row, of which the median"
    )
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: one thread's time")
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    options = parser.parse_args(arguments)
    for name in options.variants:
        if name not in VARIANTS:
            parser.error(f"unknown variant {name!r}; allowed are {', '.join(VARIANTS)}.")
    allowed = ("float32", "bfloat16", "float16")
    for name in options.precisions:
        if name not in allowed:
            parser.error(f"unknown precision {name!r}; allowed are {', '.join(allowed)}.")
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}; allowed is at least 1.")
    clock = CLOCKS[options.clock]
    if options.clock == "cpu":
        if options.device.type != "cpu" or options.threads not in (None, 1):
            parser.error("--clock cpu times one thread; allowed is --device cpu with --threads 1.")
        options.threads = 1
    if options.threads:
        torch.set_num_threads(options.threads)

    rows: list[Row] = []
    peaks: dict[str, float] = {}
    with torch.inference_mode():
        for precision in options.precisions:
            dtype = getattr(torch, precision)
            for variant in options.variants:
                for row in measure_variant(variant, dtype, options.device, clock, options.repeats):
                    rows.append(row)
                    print(f"{variant} {precision} {row.work}: {row.ratio:.2f}", file=sys.stderr)
            peaks[precision] = max(r.flops / r.floor for r in rows if r.precision == precision)
    text = table(rows, peaks, machine(options.device, options.clock))
    print(text, end="")
    if options.out:
        options.out.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
