"""How well napari answers while samslice works in it.

It opens the real window, as a user would, and needs a display:

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/bench_gui.py

Four things are measured with the model on the CPU:

timer
    How late a 20 ms timer of Qt's event loop fires, while planes are encoded in the
    background and while objects are propagated. The same window without work is the
    baseline.
click
    The time from a click on a plane that is not encoded, while others are being encoded,
    to its mask in the labels: against one plane's encoding and decoding with nothing
    else to do, in the same run.
display
    The time from the decoder's answer on a 2000 × 2000 plane to the end of the drawing
    that shows it.
close
    The time that closing the widget takes while planes are encoded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
import torch
from numpy.typing import NDArray
from qtpy.QtCore import QEventLoop, Qt, QTimer

import samslice as ss
import samslice.plugin
from samslice.engine.normalize import fit_stack

INTERVAL_MS = 20
LIMIT_S = 900.0


def make_stack(n_planes: int, side: int, n_discs: int, seed: int = 0) -> NDArray[np.uint16]:
    """Make bright columns over noise; no two planes are equal."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:side, :side]
    plane = np.zeros((side, side), np.uint16)
    for row, col in centres(n_discs, side):
        plane[np.hypot(rows - row, cols - col) < side / 14] = 800
    noise = rng.integers(100, 200, (n_planes, side, side), np.uint16)
    return noise + plane


def centres(n_discs: int, side: int) -> list[tuple[int, int]]:
    """Say where the columns of `make_stack` are: on a grid four wide."""
    step = side // 4
    return [(step // 2 + step * (i // 4), step // 2 + step * (i % 4)) for i in range(n_discs)]


class Ticker:
    """Record how late a timer of the event loop fires."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._last = 0.0
        self.late_ms: list[float] = []

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late_ms.append(max(0.0, (now - self._last) * 1000 - INTERVAL_MS))
        self._last = now

    def measure(self, until: Callable[[], bool]) -> NDArray[np.float64]:
        """Serve the event loop until something holds; how late each tick was, in ms."""
        self.late_ms = []
        self._last = time.perf_counter()
        self._timer.start(INTERVAL_MS)
        try:
            serve(until)
        finally:
            self._timer.stop()
        return np.array(self.late_ms)


def serve(until: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Run the event loop, as the application would, until something holds."""
    loop = QEventLoop()
    poll = QTimer()
    deadline = time.perf_counter() + limit_s

    def look() -> None:
        if until() or time.perf_counter() > deadline:
            loop.quit()

    poll.timeout.connect(look)
    poll.start(5)
    loop.exec()
    poll.stop()
    if not until():
        raise RuntimeError(f"nothing came within {limit_s:g} s.")


def after(seconds: float) -> Callable[[], bool]:
    """Hold once a time has passed."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() > end


class Decoded:
    """A model that notes when its decoder answered last."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.answered = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """Decode, and note the time."""
        out = self._model.decode(*args, **kwargs)
        self.answered = time.perf_counter()
        return out


def row(name: str, late_ms: NDArray[np.float64]) -> str:
    """Set one line of the table."""
    p50, p99 = np.percentile(late_ms, (50, 99))
    return f"| {name} | {len(late_ms)} | {p50:.1f} | {p99:.1f} | {late_ms.max():.0f} |"


def one_plane_seconds(model: Any, volume: NDArray[np.uint16]) -> float:
    """Encode and decode one plane with nothing else to do."""
    predictor = ss.Predictor(model)
    policy = fit_stack(volume)
    times = []
    for plane in volume[:3]:
        begun = time.perf_counter()
        embedding = predictor.encode(plane, normalization=policy)
        predictor.predict(embedding, ss.Prompt(points=[(10, 10)]))
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def measure_work(model: Any, args: argparse.Namespace) -> list[str]:
    """Timer and clicks while a stack is encoded and propagated, and closing."""
    volume = make_stack(args.planes, args.side, args.objects)
    alone = one_plane_seconds(model, volume)
    viewer = napari.Viewer()
    viewer.window.resize(1200, 800)
    image = viewer.add_image(volume, name="stack")
    ticker = Ticker()
    serve(after(1.0))
    lines = [
        "| while | ticks | median, ms late | 99th percentile | largest |",
        "|---|--:|--:|--:|--:|",
        row("nothing is done", ticker.measure(after(args.seconds))),
    ]
    late = []
    viewer.dims.set_current_step(0, args.planes // 2)
    begun = time.perf_counter()
    sam = samslice.plugin.open_in(viewer, image, model)
    opening = time.perf_counter() - begun
    late.append(ticker.measure(after(args.seconds)))
    lines.append(row("planes are encoded in the background", late[-1]))
    clicks = []
    for number, plane in enumerate((0, args.planes - 1, 1)):
        viewer.dims.set_current_step(0, plane)
        at = centres(args.objects, args.side)[number]
        begun = time.perf_counter()
        sam.points.add([plane, *at])
        there = lambda at=at, plane=plane: bool(sam.labels.data[(plane, *at)])  # noqa: E731
        late.append(ticker.measure(there))
        clicks.append(time.perf_counter() - begun)
        sam.commit()
    lines.append(row("three clicks are served, encoding goes on", np.concatenate(late[1:])))
    plane = args.planes // 2
    viewer.dims.set_current_step(0, plane)
    for at in centres(args.objects, args.side)[3:]:
        sam.points.add([plane, *at])
        sam.next_object()
    serve(lambda: not sam.session.waiting)
    sam.propagate()
    late.append(ticker.measure(lambda: not sam.session.is_propagating))
    lines.append(row(f"{args.objects - 3} objects are propagated", late[-1]))
    lines.append(row("**all of the work**", np.concatenate(late)))
    image.data = make_stack(args.planes, args.side, args.objects, seed=1)  # to be encoded anew
    serve(after(1.0))
    begun = time.perf_counter()
    sam.close()
    closing = time.perf_counter() - begun
    viewer.close()
    worst = max(clicks)
    return [
        *lines,
        "",
        f"- opening the widget: {opening:.2f} s; closing it while planes are encoded: "
        f"{closing:.2f} s",
        f"- a click on a plane that is not ready, while others are encoded: "
        f"{', '.join(f'{c:.2f}' for c in clicks)} s; one plane alone takes {alone:.2f} s "
        f"(the slowest click is {worst / alone:.1f} × that)",
    ]


def measure_display(model: Any, args: argparse.Namespace) -> list[str]:
    """From the decoder's answer on a large plane to the end of the drawing."""
    noted = Decoded(model)
    viewer = napari.Viewer()
    viewer.window.resize(1200, 800)
    image = viewer.add_image(make_stack(1, args.large, 16)[0], name="large")
    sam = samslice.plugin.open_in(viewer, image, noted, encode_ahead=False)
    serve(lambda: sam.labels is not None and sam.session is not None and sam.session.is_ready(0))
    shown: list[float] = []
    waiting: list[tuple[int, int]] = []

    def drawn(event: Any) -> None:
        if waiting and sam.labels.data[waiting[0]]:
            shown.append(time.perf_counter() - noted.answered)
            waiting.clear()

    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    canvas.events.draw.connect(drawn, position="last")
    for at in centres(16, args.large):
        waiting.append(at)
        sam.points.add([*at])
        serve(lambda: not waiting)
        serve(after(0.3))
        sam.commit()
        serve(after(0.3))
    sam.close()
    viewer.close()
    ms = np.array(shown) * 1000
    return [
        f"- a mask on a {args.large} × {args.large} plane, from the decoder's answer to the end of "
        f"the drawing: median {np.median(ms):.0f} ms, largest {ms.max():.0f} ms "
        f"({len(ms)} masks of {np.pi * (args.large / 14) ** 2:.0f} pixels or so)"
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="mobile_sam", help="registry name or checkpoint")
    parser.add_argument("--planes", type=int, default=40)
    parser.add_argument("--side", type=int, default=512, help="rows and columns of a plane")
    parser.add_argument("--large", type=int, default=2000, help="of the plane for the display")
    parser.add_argument("--objects", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each timing")
    parser.add_argument("--out", type=Path, help="write the results to this file too")
    args = parser.parse_args()
    model = ss.load_model(args.model, device="cpu")
    lines = [
        f"{model.name} on the CPU, {torch.get_num_threads()} threads, napari "
        f"{napari.__version__}; {args.planes} planes of {args.side} × {args.side}.",
        "",
        *measure_work(model, args),
        *measure_display(model, args),
    ]
    text = "\n".join(lines)
    print(text)
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
