"""Embedding cache: made once, the same ever after, and never half there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from dask import array as da

from samslice.engine.cache import EmbeddingCache, plane_key


def features(seed: int, shape: tuple[int, ...] = (8, 16, 16)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.standard_normal(shape, np.float32),
        "high/res 0": rng.standard_normal((2, 4), np.float32),
    }


def assert_same(left: Any, right: Any) -> None:
    assert left is not None
    assert list(left) == list(right)
    for name in left:
        assert left[name].dtype == right[name].dtype
        np.testing.assert_array_equal(left[name], right[name])


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.zarr"))


# --- values


def test_the_first_run_and_later_runs_get_the_same_values(tmp_path: Path) -> None:
    given = features(0)
    cache = EmbeddingCache(tmp_path)
    first = cache.put("k", given)
    assert_same(cache.get("k"), first)
    assert_same(EmbeddingCache(tmp_path).get("k"), first)
    assert_same(EmbeddingCache(tmp_path).put("k", given), first)
    for name, array in given.items():
        np.testing.assert_array_equal(first[name], array.astype(np.float16).astype(np.float32))


def test_memory_alone_keeps_the_values_as_they_are() -> None:
    given = features(0)
    cache = EmbeddingCache()
    assert_same(cache.put("k", given), given)
    assert_same(cache.get("k"), given)
    assert cache.path is None


@pytest.mark.parametrize("in_folder", [True, False])
def test_nobody_changes_what_the_cache_holds(tmp_path: Path, in_folder: bool) -> None:
    given = features(0)
    cache = EmbeddingCache(tmp_path if in_folder else None)
    kept = {name: array.copy() for name, array in cache.put("k", given).items()}
    given["image"][:] = 7
    found = cache.get("k")
    assert_same(found, kept)
    assert found is not None
    with pytest.raises(ValueError, match="read-only"):
        found["image"][:] = 7
    with pytest.raises(TypeError):
        found["image"] = given["image"]  # type: ignore[index]


def test_values_beyond_float16_do_not_become_infinite(tmp_path: Path) -> None:
    given = {
        "large": np.array([1.0, 70000.0, -1e30], np.float32),
        "double": np.array([1e300, 2.0]),
        "infinite": np.array([np.inf, -np.inf, np.nan, 3.0], np.float32),
        "edge": np.array([65504.0, -65504.0], np.float32),
    }
    assert_same(EmbeddingCache(tmp_path).put("k", given), given)
    assert_same(EmbeddingCache(tmp_path).get("k"), given)
    group = zarr.open_group(entries(tmp_path)[0], mode="r")
    assert [str(group[str(i)].dtype) for i in range(4)] == [
        "float32",
        "float64",
        "float16",
        "float16",
    ]


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4", "f8", ">f4", ">i2"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3, 4, 5)])
def test_any_dtype_and_shape_comes_back(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    given = {"a": np.ones(shape, dtype)}
    assert_same(EmbeddingCache(tmp_path).put("k", given), given)
    assert_same(EmbeddingCache(tmp_path).get("k"), given)


def test_arrays_that_are_views_come_back(tmp_path: Path) -> None:
    base = np.arange(24.0, dtype=np.float32).reshape(4, 6)
    given = {"t": base.T, "strided": base[::2, ::-1]}
    assert_same(EmbeddingCache(tmp_path).put("k", given), given)
    assert_same(EmbeddingCache(tmp_path).get("k"), given)


def test_an_entry_is_plain_zarr_that_says_what_it_is(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path).put("k", features(0), {"model": "vit_b", "shape": [5, 6]})
    group = zarr.open_group(entries(tmp_path)[0], mode="r")
    assert group.attrs["metadata"] == {"model": "vit_b", "shape": [5, 6]}
    assert group.attrs["key"] == "k"
    assert group["0"].dtype == np.float16
    assert group["0"].nchunks == 1


# --- limits and counts


def test_memory_drops_the_least_recently_used_by_bytes() -> None:
    size = sum(array.nbytes for array in features(0).values())
    cache = EmbeddingCache(ram_bytes=3 * size)
    for key in "abc":
        cache.put(key, features(1))
    assert cache.get("a") is not None
    cache.put("d", features(1))
    assert [key in cache for key in "abcd"] == [True, False, True, True]
    assert cache.stats().ram_bytes == 3 * size
    cache.put("d", features(2))
    assert cache.stats().ram_bytes == 3 * size, "a replaced entry counts once"
    cache.put("large", {"x": np.zeros(3 * size, np.uint16)})
    assert "large" not in cache
    assert cache.stats().ram_entries == 3, "what can never fit pushes nothing out"


def test_what_memory_dropped_comes_from_the_folder(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, ram_bytes=0)
    kept = cache.put("k", features(0))
    assert cache.stats().ram_entries == 0
    assert "k" in cache
    assert_same(cache.get("k"), kept)


def test_the_folder_drops_the_least_recently_used_by_bytes(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path).put("a", features(0))
    size = EmbeddingCache(tmp_path).stats().disk_bytes
    cache = EmbeddingCache(tmp_path, ram_bytes=0, disk_bytes=int(4.5 * size))
    for key in "bcd":
        cache.put(key, features(0))
    for age, key in enumerate("abcd"):
        then = time.time() - 1000 + age
        os.utime(cache._folder._entry(key), (then, then))  # type: ignore[union-attr]
    assert cache.get("a") is not None  # makes it the latest
    cache.put("e", features(0))
    assert [key in cache for key in "abcde"] == [True, False, True, True, True]
    assert cache.stats().disk_bytes <= 4.5 * size
    assert not [p for p in tmp_path.iterdir() if p.suffix != ".zarr"]


def test_stats_count_hits_misses_and_holdings(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path)
    assert cache.get("a") is None
    kept = cache.put("a", features(0))
    cache.get("a")
    cache.get("a")
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.ram_entries, stats.disk_entries) == (2, 1, 1, 1)
    assert stats.ram_bytes == sum(array.nbytes for array in kept.values())
    on_disk = sum(f.stat().st_size for f in tmp_path.rglob("*") if f.is_file())
    assert stats.disk_bytes == on_disk > stats.ram_bytes / 2


def test_clear_leaves_the_users_files_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "notes.txt").write_text("keep")
    cache = EmbeddingCache(tmp_path)
    cache.put("a", features(0))
    cache.clear()
    assert "a" not in cache
    assert cache.get("a") is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.zarr", "notes.txt"]


# --- damage


def damage_truncate(entry: Path) -> None:
    chunk = max(entry.rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    chunk.write_bytes(chunk.read_bytes()[:-100])


def damage_bit(entry: Path) -> None:
    chunk = max(entry.rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    content = bytearray(chunk.read_bytes())
    content[50] ^= 1
    chunk.write_bytes(content)


def damage_chunk_missing(entry: Path) -> None:
    max(entry.rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0).unlink()


def damage_all_empty(entry: Path) -> None:
    for file in entry.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


def damage_attributes(entry: Path) -> None:
    (entry / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')


def damage_emptied(entry: Path) -> None:
    for file in sorted(entry.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


def damage_foreign(entry: Path) -> None:
    attributes = (entry / "zarr.json").read_text()
    (entry / "zarr.json").write_text(attributes.replace('"k"', '"other"'))


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncate,
        damage_bit,
        damage_chunk_missing,
        damage_all_empty,
        damage_attributes,
        damage_emptied,
        damage_foreign,
    ],
)
def test_a_damaged_entry_is_a_miss_and_is_replaced(tmp_path: Path, damage: Any) -> None:
    kept = EmbeddingCache(tmp_path).put("k", features(0))
    damage(entries(tmp_path)[0])
    cache = EmbeddingCache(tmp_path)
    assert cache.get("k") is None
    cache.put("k", features(0))
    assert_same(EmbeddingCache(tmp_path).get("k"), kept)
    assert [p.suffix for p in tmp_path.iterdir()] == [".zarr"]


def test_an_unreadable_entry_is_a_miss_but_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails for a moment does not cost what may be whole."""
    EmbeddingCache(tmp_path).put("k", features(0))

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(zarr, "open_group", fail)
        assert EmbeddingCache(tmp_path).get("k") is None
    assert EmbeddingCache(tmp_path).get("k") is not None


def test_what_killed_processes_left_is_swept_once_it_is_old(tmp_path: Path) -> None:
    old, new, user = (tmp_path / f".{c * 32}.{c * 32}.tmp" for c in "abz")
    for path in (old, new, user):
        path.mkdir()
        (path / "part").write_bytes(b"x")
    for path in (old, user):
        os.utime(path, (0, 0))
    EmbeddingCache(tmp_path)
    assert not old.exists()
    assert new.exists(), "it may be written right now"
    assert user.exists(), "its name is not ours"


def run_python(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_process_leaves_a_readable_cache(tmp_path: Path) -> None:
    writer = run_python(
        """
        import sys, numpy as np
        from samslice.engine.cache import EmbeddingCache
        cache = EmbeddingCache(sys.argv[1])
        for i in range(10**6):
            cache.put(str(i), {"image": np.full((64, 64, 64), i % 1000, np.float32)})
            print(i, flush=True)
        """,
        str(tmp_path),
    )
    assert writer.stdout is not None
    done = [int(writer.stdout.readline()) for _ in range(3)]
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    cache = EmbeddingCache(tmp_path)
    for i in done:
        found = cache.get(str(i))
        assert found is not None
        assert (found["image"] == i).all()
    for path in entries(tmp_path):
        group = zarr.open_group(path, mode="r")
        found = cache.get(str(group.attrs["key"]))
        assert found is not None
        assert (found["image"] == int(str(group.attrs["key"]))).all()


# --- a folder that cannot be written


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_warns_once_and_loses_nothing(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path).put("before", features(9))
    writer = run_python(
        """
        import resource, sys, warnings, numpy as np
        from samslice.engine.cache import EmbeddingCache
        cache = EmbeddingCache(sys.argv[1])
        given = {"image": np.linspace(0, 1, 40000, dtype=np.float32)}
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kept = cache.put("a", given)
            cache.put("b", given)
        rounded = given["image"].astype(np.float16).astype(np.float32)
        assert (kept["image"] == rounded).all()
        assert cache.get("a") is not None and cache.get("b") is not None
        assert cache.get("before") is not None
        for warning in caught:
            print(warning.category.__name__, warning.message)
        """,
        str(tmp_path),
    )
    output, errors = writer.communicate(timeout=60)
    assert writer.returncode == 0, errors
    assert len(output.splitlines()) == 1, output
    assert output.startswith("UserWarning")
    assert "going on in memory alone" in output
    assert len(list(tmp_path.iterdir())) == 1, "nothing half-written stays"


def test_a_folder_that_cannot_be_made_warns_and_memory_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot be written") as caught:
        cache = EmbeddingCache(tmp_path / "file" / "cache")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = cache.put("k", features(0))
    assert_same(cache.get("k"), kept)
    assert cache.stats().disk_entries == 0
    cache.clear()


def test_a_file_as_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="allowed is a folder"):
        EmbeddingCache(tmp_path / "file")


# --- several processes and threads


def write_and_read(folder: str, keys: list[str], start: Any, problems: Any) -> None:
    try:
        warnings.simplefilter("error")
        cache = EmbeddingCache(folder, ram_bytes=0)
        start.wait(60)
        for key in keys:
            expected = EmbeddingCache().put(key, {"x": np.full((32, 32), float(key))})
            kept = cache.put(key, expected)
            assert_same(kept, expected)
            assert_same(cache.get(key), expected)
    except BaseException as error:
        problems.put(repr(error))
        raise


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    start, problems = spawn.Barrier(2), spawn.SimpleQueue()
    same = [str(i) for i in range(12)]
    workers = [
        spawn.Process(
            target=write_and_read, args=(str(tmp_path), [*same, str(own)], start, problems)
        )
        for own in (100, 200)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0], (
        "" if problems.empty() else problems.get()
    )
    assert [p.suffix for p in tmp_path.iterdir()] == [".zarr"] * 14
    cache = EmbeddingCache(tmp_path)
    for key in [*same, "100", "200"]:
        assert_same(cache.get(key), {"x": np.full((32, 32), float(key))})


def test_several_threads_share_a_cache(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, ram_bytes=40_000)
    problems: list[BaseException] = []

    def work() -> None:
        try:
            for i in [*range(12), *range(12)]:
                found = cache.get(str(i)) or cache.put(str(i), {"x": np.full((32, 32), float(i))})
                assert (found["x"] == i).all()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    stats = cache.stats()
    assert stats.disk_entries == 12
    assert stats.ram_bytes == stats.ram_entries * 8192 <= 40_000
    assert stats.hits + stats.misses == 4 * 24


# --- keys and what is refused


def test_the_key_depends_on_all_that_the_embedding_depends_on() -> None:
    plane = np.arange(24, dtype=np.uint16).reshape(4, 6)
    other = plane.copy()
    other[3, 5] += 1
    keys = [
        plane_key(plane, "m", "n"),
        plane_key(other, "m", "n"),
        plane_key(plane.reshape(6, 4), "m", "n"),
        plane_key(plane.astype(np.int16), "m", "n"),
        plane_key(plane, "m2", "n"),
        plane_key(plane, "m", "n2"),
        plane_key(plane, "mn", ""),
        plane_key(plane, "", "mn"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)


def test_the_key_depends_on_content_not_on_where_it_lies(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 999, (3, 8, 9), np.uint16)
    stored = zarr.create_array(
        tmp_path / "v.zarr", shape=volume.shape, chunks=(1, 8, 9), dtype="u2"
    )
    stored[:] = volume
    expected = plane_key(volume[1], "m", "n")
    wide = np.zeros((8, 18), np.uint16)
    wide[:, ::2] = volume[1]
    views = [wide[:, ::2], np.asfortranarray(volume[1]), da.from_array(volume)[1], stored[1]]
    assert [plane_key(view, "m", "n") for view in views] == [expected] * 4


def test_the_key_is_stable_between_versions() -> None:
    """A changed key would orphan the caches of all users: change FORMAT knowingly."""
    plane = np.arange(24, dtype="<u2").reshape(4, 6)
    assert plane_key(plane, "model", "limits 0.0:1.0") == "a5760b35884a330c92781df7c6e6c39b"


def test_what_is_no_content_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        plane_key(np.zeros((2, 2), object), "m", "n")
    with pytest.raises(ValueError, match="empty"):
        EmbeddingCache().put("k", {})
    with pytest.raises(TypeError, match="complex64"):
        EmbeddingCache().put("k", {"x": np.zeros(3, np.complex64)})
    with pytest.raises(ValueError, match="ram_bytes"):
        EmbeddingCache(ram_bytes=-1)
    with pytest.raises(ValueError, match="disk_bytes"):
        EmbeddingCache(disk_bytes=-1)


def test_a_cache_in_memory_does_not_import_zarr() -> None:
    code = """
        import sys
        from samslice.engine.cache import EmbeddingCache
        import numpy as np
        EmbeddingCache().put("k", {"x": np.zeros(3)})
        sys.exit("zarr" in sys.modules)
    """
    process = run_python(code)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
