"""Which device and precision the model runs in, and batches that fit its memory."""

from __future__ import annotations

import gc
import platform
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch.nn import functional as F

Item = TypeVar("Item")
Result = TypeVar("Result")

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""Names of the precisions the image encoder can run in."""

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What one device is.

    Attributes
    ----------
    name : str
        What :func:`choose_device` takes: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    description : str
        The hardware, in words.
    memory : int or None
        Bytes of memory, where that can be told.
    precisions : tuple of str
        What it can do, of `PRECISIONS`.
    default_precision : str
        What ``"auto"`` means on it.
    is_default : bool
        Whether ``"auto"`` means this device.
    """

    name: str
    description: str
    memory: int | None
    precisions: tuple[str, ...]
    default_precision: str
    is_default: bool


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Choose the device that the model runs on.

    Parameters
    ----------
    name : str or torch.device, optional
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; ``"auto"`` takes CUDA,
        then MPS, then the CPU, whichever is there and works.

    Returns
    -------
    torch.device
        A device that has done a small calculation; ``"cuda"`` is the first of them.

    Raises
    ------
    ValueError
        If there is no such device here, or it does not work.

    Warns
    -----
    UserWarning
        If ``"auto"`` passes over a device that is there but does not work.
    """
    available = _available()
    if str(name) == "auto":
        for candidate in available:
            problem = _problem(torch.device(candidate), torch.float32)
            if problem is None:
                return torch.device(candidate)
            warnings.warn(
                f"{candidate} is there but does not work with this PyTorch ({problem}); trying "
                "the next device. Install a PyTorch built for it to use it.",
                UserWarning,
                stacklevel=2,
            )
    wanted = "cuda:0" if str(name) == "cuda" else "mps" if str(name) == "mps:0" else str(name)
    if wanted not in available:
        raise ValueError(
            f"device is {str(name)!r}; available here are {', '.join(['auto', *available])}. "
            f"PyTorch {torch.__version__} sees no other: for CUDA install a CUDA build of "
            "PyTorch and the driver, for MPS use macOS on Apple silicon."
        )
    device = torch.device(wanted)
    problem = _problem(device, torch.float32)
    if problem is not None:
        raise ValueError(
            f"device {wanted!r} does not work with PyTorch {torch.__version__} ({problem}); "
            "choose 'cpu', or install a PyTorch built for it."
        )
    return device


def choose_precision(
    name: str | torch.dtype = "auto", device: torch.device | str = "cpu"
) -> torch.dtype:
    """Choose the precision of the image encoder.

    ``"auto"`` is float32 on the CPU and on MPS, where the smaller types gain
    little or lose time. On CUDA it is bfloat16 from compute capability 8.0
    (Ampere) on, float16 on 7.x (Volta, Turing), and float32 before, where half
    precision has no tensor cores.

    Parameters
    ----------
    name : str or torch.dtype, optional
        ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    device : torch.device or str, optional
        From :func:`choose_device`.

    Returns
    -------
    torch.dtype
        A precision in which the device has done a small part of an encoder.

    Raises
    ------
    ValueError
        If the name is another, or the device cannot do it.
    """
    device = torch.device(device)
    wanted = str(name).removeprefix("torch.")
    if wanted == "auto":
        return PRECISIONS[_default_precision(device)]
    if wanted not in PRECISIONS:
        raise ValueError(
            f"precision is {wanted!r}; allowed are {', '.join(['auto', *PRECISIONS])}."
        )
    problem = _problem(device, PRECISIONS[wanted])
    if problem is not None:
        raise ValueError(
            f"{device} cannot do {wanted} ({problem}); choose 'auto', which is "
            f"{_default_precision(device)} on it."
        )
    return PRECISIONS[wanted]


def set_threads(n: int | None) -> int:
    """Set how many CPU threads one operation may use.

    Parameters
    ----------
    n : int or None
        Number of threads; None leaves it as it is.

    Returns
    -------
    int
        Number of threads from now on.

    Raises
    ------
    ValueError
        If `n` is less than 1.
    """
    if n is not None:
        if n < 1:
            raise ValueError(f"threads is {n}; allowed is at least 1, or None for torch's choice.")
        torch.set_num_threads(int(n))
    return torch.get_num_threads()


def describe_devices() -> list[DeviceInfo]:
    """Describe the devices that are here, best first.

    Returns
    -------
    list of DeviceInfo
        Devices that are there but do not work have no precisions.
    """
    infos: list[DeviceInfo] = []
    has_default = False
    for name in _available():
        device = torch.device(name)
        precisions = tuple(p for p, dtype in PRECISIONS.items() if _problem(device, dtype) is None)
        is_default = bool(precisions) and not has_default
        has_default = has_default or is_default
        description, memory = _hardware(device)
        default = _default_precision(device)
        infos.append(DeviceInfo(name, description, memory, precisions, default, is_default))
    return infos


def run_in_batches(
    fn: Callable[[Sequence[Item]], Sequence[Result]],
    items: Sequence[Item],
    batch_size: int,
    *,
    on_halve: Callable[[int], object] | None = None,
) -> tuple[list[Result], int]:
    """Run a function over items, in batches that fit into memory.

    A batch that does not fit is run again as halves, and so are all after it.

    Parameters
    ----------
    fn : callable
        Takes some of the items and returns one result for each.
    items : sequence
        What to run it over.
    batch_size : int
        How many items to try at once.
    on_halve : callable, optional
        Called with the new batch size whenever one did not fit.

    Returns
    -------
    results : list
        One for each item, in their order.
    batch_size : int
        The batch size that fits: use it from now on.

    Raises
    ------
    MemoryError
        If a single item does not fit.
    ValueError
        If `batch_size` is less than 1.

    Warns
    -----
    UserWarning
        Once, if batches had to be made smaller.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; allowed is at least 1.")
    results: list[Result] = []
    asked = batch_size
    while len(results) < len(items):
        batch = items[len(results) : len(results) + batch_size]
        done, problem = _try(fn, batch)
        if done is not None:
            results.extend(done)
            continue
        # Only now, with the failed call's frames gone, can its memory be freed.
        _free_memory()
        if len(batch) == 1:
            raise MemoryError(
                f"a single item did not fit into memory ({problem}). Close other programs that "
                "use the device, choose a smaller model such as mobile_sam, or device='cpu'."
            )
        batch_size = max(1, len(batch) // 2)
        if on_halve is not None:
            on_halve(batch_size)
    if batch_size < asked:
        warnings.warn(
            f"batches of {asked} did not fit into memory; went on with batches of {batch_size}.",
            UserWarning,
            stacklevel=2,
        )
    return results, batch_size


def _try(
    fn: Callable[[Sequence[Item]], Sequence[Result]], batch: Sequence[Item]
) -> tuple[Sequence[Result] | None, str]:
    """Run one batch: its results, or None and why it did not fit into memory."""
    try:
        return fn(batch), ""
    except MemoryError as error:
        return None, _first_line(error)
    except RuntimeError as error:  # includes torch.OutOfMemoryError
        if not any(text in str(error).lower() for text in _OUT_OF_MEMORY) and not isinstance(
            error, torch.cuda.OutOfMemoryError
        ):
            raise
        return None, _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _available() -> list[str]:
    """Names of the devices that torch sees, best first."""
    names = []
    if torch.cuda.is_available():
        names += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def _default_precision(device: torch.device) -> str:
    if device.type != "cuda":
        return "float32"
    capability = torch.cuda.get_device_capability(device)
    if capability >= (8, 0):
        return "bfloat16"
    return "float16" if capability >= (7, 0) else "float32"


def _problem(device: torch.device, dtype: torch.dtype) -> str | None:
    """Try what an image encoder is made of; None if the device can do it."""
    try:
        with torch.inference_mode():
            image_bchw = torch.ones(1, 3, 8, 8, dtype=dtype, device=device)
            weight = torch.ones(4, 3, 4, 4, dtype=dtype, device=device)
            tokens_bnc = F.conv2d(image_bchw, weight, stride=4).flatten(2).transpose(1, 2)
            tokens_bnc = F.gelu(F.layer_norm(tokens_bnc, (4,)))
            heads_bhnc = tokens_bnc[:, None]
            out = F.scaled_dot_product_attention(heads_bhnc, heads_bhnc, heads_bhnc)
            finite = bool(out.float().isfinite().all().item())
    except (RuntimeError, TypeError, NotImplementedError) as error:
        return _first_line(error)
    return None if finite else "it gave values that are not finite"


def _hardware(device: torch.device) -> tuple[str, int | None]:
    """Describe a device, with its memory in bytes."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        capability = f"compute capability {properties.major}.{properties.minor}"
        return f"{properties.name}, {capability}", int(properties.total_memory)
    if device.type == "mps":
        return "Apple GPU", int(torch.mps.recommended_max_memory())
    name = platform.processor() or platform.machine() or "CPU"
    return f"{name}, {torch.get_num_threads()} threads", None
