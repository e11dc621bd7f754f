"""What is kept of a bucket on local disk: bounded, checked, and never needed."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from amictl.errors import StorageError
from amictl.storage.cache import Cache

KIB = 1024


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 100 * KIB)


def kept(cache: Cache) -> list[Path]:
    return sorted((cache.folder / "blocks").iterdir())


READING: dict[str, Callable[[Cache, str], bytes | memoryview | None]] = {
    "read": Cache.read,
    "map": Cache.map,
}


@pytest.mark.parametrize("read", READING.values(), ids=READING)
def test_what_was_kept_is_found(
    cache: Cache, read: Callable[[Cache, str], bytes | memoryview | None]
) -> None:
    cache.write("a", b"one ", memoryview(b"two"))
    found = read(cache, "a")
    assert found is not None
    assert bytes(found) == b"one two"
    assert read(cache, "b") is None


@pytest.mark.parametrize("read", READING.values(), ids=READING)
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_what_is_damaged_is_not_there_and_is_removed(
    cache: Cache, read: Callable[[Cache, str], bytes | memoryview | None], damage: str
) -> None:
    cache.write("a", b"content")
    (path,) = kept(cache)
    data = path.read_bytes()
    damaged = {"flipped": b"X" + data[1:], "cut": data[:-1], "empty": b""}
    path.write_bytes(damaged[damage])
    assert read(cache, "a") is None
    cache.write("a", b"content")
    assert cache.read("a") == b"content"


def test_more_than_the_bound_is_never_kept(cache: Cache) -> None:
    for number in range(40):
        cache.write(str(number), bytes(10 * KIB))
    assert sum(path.stat().st_size for path in kept(cache)) <= 110 * KIB
    assert cache.read("39") is not None


def test_what_was_used_longest_ago_goes_first(cache: Cache) -> None:
    for number in range(9):
        cache.write(str(number), bytes(10 * KIB))
        os.utime(cache.folder / "blocks" / str(number), (1000 + number, 1000 + number))
    assert cache.read("0") is not None  # now it is the one that was used last
    for number in range(9, 12):
        cache.write(str(number), bytes(10 * KIB))
    assert (cache.read("0") is None, cache.read("1") is None) == (False, True)


def test_what_is_larger_than_the_bound_is_not_kept(cache: Cache) -> None:
    cache.write("a", bytes(101 * KIB))
    assert cache.read("a") is None


def test_a_cache_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 0)
    cache.write("a", b"content")
    assert (cache.read("a"), (tmp_path / "cache").exists()) == (None, False)


def test_what_is_forgotten_is_gone(cache: Cache) -> None:
    for key in ("a.0", "a.1", "b.0"):
        cache.write(key, b"content")
    cache.forget("a.")
    assert [path.name for path in kept(cache)] == ["b.0"]


def test_the_cache_is_for_its_owner_only(cache: Cache) -> None:
    cache.write("a", b"content")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (cache.folder, cache.staging)}
    assert (modes, stat.S_IMODE(kept(cache)[0].stat().st_mode)) == ({0o700}, 0o600)


def test_a_cache_that_others_can_write_is_refused(cache: Cache) -> None:
    cache.folder.mkdir()
    cache.folder.chmod(0o777)
    with pytest.raises(StorageError, match="can be written by others"):
        _ = cache.staging
    cache.write("a", b"content")
    assert cache.read("a") is None


def test_a_cache_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    cache = Cache(tmp_path / "cache", 100 * KIB)
    cache.write("a", b"content")
    cache.forget("")
    assert cache.read("a") is None


SHARING = """
import sys
from pathlib import Path
from amictl.storage.cache import Cache
cache = Cache(Path(sys.argv[1]), 50_000)
for turn in range(300):
    key = str(turn % 20)
    cache.write(key, key.encode() * 5000)
    found = cache.read(key)
    assert found in (None, key.encode() * 5000)
"""


def test_many_processes_share_a_cache(tmp_path: Path) -> None:
    words = [sys.executable, "-c", SHARING, str(tmp_path / "cache")]
    processes = [subprocess.Popen(words) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
