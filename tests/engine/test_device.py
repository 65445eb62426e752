"""Device, precision, threads, and batches that fit into memory."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch

from samslice.engine import device as module
from samslice.engine.device import (
    PRECISIONS,
    choose_device,
    choose_precision,
    describe_devices,
    run_in_batches,
    set_threads,
)

HAS_CUDA = torch.cuda.is_available()
HAS_MPS = torch.backends.mps.is_available()


# --- device


def test_auto_takes_the_best_device_that_is_here() -> None:
    expected = "cuda" if HAS_CUDA else "mps" if HAS_MPS else "cpu"
    assert choose_device("auto").type == expected
    assert choose_device().type == expected


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "CPU", "cuda:x", "meta"])
def test_an_unknown_device_is_refused_with_those_that_are_here(name: str) -> None:
    with pytest.raises(ValueError, match=r"available here are auto, .*cpu.*CUDA build"):
        choose_device(name)


@pytest.mark.parametrize(("name", "here"), [("cuda", HAS_CUDA), ("mps", HAS_MPS)])
def test_a_device_is_taken_where_it_is_and_refused_where_it_is_not(name: str, here: bool) -> None:
    if here:
        assert choose_device(name).type == name
    else:
        with pytest.raises(ValueError, match=f"'{name}'"):
            choose_device(name)


def test_auto_passes_over_a_device_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a GPU too old for the installed PyTorch; "meta" stands in, which holds no values."""
    monkeypatch.setattr(module, "_available", lambda: ["meta", "cpu"])
    with pytest.warns(UserWarning, match="meta is there but does not work"):
        assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="'meta' does not work"):
        choose_device("meta")
    meta, cpu = describe_devices()
    assert (meta.precisions, meta.is_default, cpu.is_default) == ((), False, True)


# --- precision


def test_auto_is_float32_on_the_cpu() -> None:
    assert choose_precision("auto", torch.device("cpu")) == torch.float32
    assert choose_precision() == torch.float32


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((6, 1), torch.float32),
        ((7, 5), torch.float16),
        ((8, 0), torch.bfloat16),
        ((9, 0), torch.bfloat16),
    ],
)
def test_auto_on_cuda_follows_the_generation(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert choose_precision("auto", torch.device("cuda:0")) == expected


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_precision_is_taken_where_the_device_can_do_it(name: str) -> None:
    assert choose_precision(name, "cpu") == PRECISIONS[name]
    assert choose_precision(PRECISIONS[name], torch.device("cpu")) == PRECISIONS[name]


@pytest.mark.parametrize("name", ["float64", "half", ""])
def test_an_unknown_precision_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="allowed are auto, float32, bfloat16, float16"):
        choose_precision(name, "cpu")


def test_a_precision_that_the_device_cannot_do_is_refused_with_one_it_can() -> None:
    with pytest.raises(ValueError, match=r"meta cannot do float16 .* choose 'auto', which is"):
        choose_precision("float16", "meta")


# --- threads and description


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_threads_are_set_and_none_leaves_them(threads: int) -> None:
    assert set_threads(None) == threads
    assert set_threads(1) == torch.get_num_threads() == 1
    assert set_threads(None) == 1
    with pytest.raises(ValueError, match="at least 1"):
        set_threads(0)


def test_described_devices_are_those_that_can_be_chosen() -> None:
    infos = describe_devices()
    assert infos[-1].name == "cpu"
    assert sum(info.is_default for info in infos) == 1
    for info in infos:
        assert choose_device(info.name) == torch.device(info.name)
        assert "float32" in info.precisions
        assert info.default_precision in info.precisions
        assert info.description
    default = next(info for info in infos if info.is_default)
    assert torch.device(default.name) == choose_device("auto")


# --- batches


def cuda_error() -> Exception:
    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def mps_error() -> Exception:
    return RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)")


def cublas_error() -> Exception:
    return RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")


def memory_error() -> Exception:
    return MemoryError()


def real_torch_error() -> Exception:
    """What torch's CPU allocator really raises here."""
    try:
        torch.empty(2**60, dtype=torch.uint8)
    except RuntimeError as error:
        return RuntimeError(str(error))
    raise AssertionError("2**60 bytes fit into memory")


def real_numpy_error() -> Exception:
    try:
        np.empty(2**60, np.uint8)
    except MemoryError as error:
        return error
    raise AssertionError("2**60 bytes fit into memory")


ERRORS = [cuda_error, mps_error, cublas_error, memory_error, real_torch_error, real_numpy_error]


class Fits:
    """Doubles its items, where there is memory for so many."""

    def __init__(self, limit: int, error: Callable[[], Exception] = memory_error) -> None:
        self.limit, self.error = limit, error
        self.batches: list[int] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(len(items))
        if len(items) > self.limit:
            raise self.error()
        return [2 * item for item in items]


def test_all_items_are_run_once_in_order() -> None:
    fits = Fits(limit=4)
    assert run_in_batches(fits, range(10), 4) == ([2 * i for i in range(10)], 4)
    assert fits.batches == [4, 4, 2]
    assert run_in_batches(fits, [], 4) == ([], 4)


@pytest.mark.parametrize("error", ERRORS)
def test_out_of_memory_halves_goes_on_and_says_so_once(error: Callable[[], Exception]) -> None:
    fits, halved = Fits(limit=3, error=error), []
    with pytest.warns(UserWarning, match=r"batches of 16 did not fit.* batches of 2") as caught:
        results, batch_size = run_in_batches(fits, list(range(21)), 16, on_halve=halved.append)
    assert len(caught) == 1
    assert results == [2 * i for i in range(21)]
    assert batch_size == 2
    assert halved == [8, 4, 2]
    assert max(fits.batches[3:]) == 2, "what did not fit is not tried again"


def test_fewer_items_than_a_batch_are_halved_themselves() -> None:
    fits = Fits(limit=2)
    with pytest.warns(UserWarning, match="batches of 2"):
        assert run_in_batches(fits, range(5), 64)[1] == 2
    assert fits.batches == [5, 2, 2, 1]


@pytest.mark.parametrize("error", ERRORS)
def test_a_single_item_that_does_not_fit_is_an_error_with_a_remedy(
    error: Callable[[], Exception],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MemoryError, match=r"single item .*smaller model"):
            run_in_batches(Fits(limit=0, error=error), range(4), 4)


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes"), ValueError("x"), OSError()]
)
def test_other_errors_are_not_taken_for_memory(error: Exception) -> None:
    fits = Fits(limit=1, error=lambda: error)
    with pytest.raises(type(error)) as caught:
        run_in_batches(fits, range(4), 4)
    assert caught.value is error
    assert fits.batches == [4]


def test_what_the_failed_batch_held_is_freed_before_the_next() -> None:
    """Else the halves would not fit beside the whole."""
    held: list[weakref.ref[torch.Tensor]] = []

    def fn(items: Sequence[int]) -> Sequence[int]:
        assert all(ref() is None for ref in held)
        tensor = torch.zeros(len(items))
        held.append(weakref.ref(tensor))
        if len(items) > 1:
            raise cuda_error()
        return items

    gc.disable()  # the frames go by themselves, not because the collector came by
    try:
        with pytest.warns(UserWarning, match="did not fit"):
            assert run_in_batches(fn, [1, 2, 3, 4], 4) == ([1, 2, 3, 4], 1)
    finally:
        gc.enable()


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        run_in_batches(Fits(limit=1), range(3), 0)
