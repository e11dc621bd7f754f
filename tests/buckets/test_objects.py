"""Objects for archives: the contract, in a directory and at each of the two servers."""

import random
import threading
from pathlib import Path
from typing import Any

import pytest

from amictl.errors import (
    AmictlError,
    BucketNotFoundError,
    CorruptStoreError,
    ObjectExistsError,
    ObjectNotFoundError,
    UsageError,
)
from amictl.storage.object_files import DirectoryBucket
from tests.buckets.objects import PART, Objects
from tests.buckets.servers import KINDS, Region, Servers

SIZES = [0, 1, PART - 1, PART, PART + 1, 4 * PART + 12_345]


@pytest.fixture(params=["directory", *KINDS])
def objects(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Objects:
    """An empty bucket."""
    if request.param == "directory":
        folder = tmp_path / "bucket"
        folder.mkdir()
        return Objects(folder, None)
    server = servers.get(request.param)
    return Objects(tmp_path, Region(server, server.new_bucket(), tmp_path / "cache"))


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read(objects: Objects, size: int) -> None:
    objects.put("folder/object.bin", noise(size))
    assert objects.get("folder/object.bin") == noise(size)
    assert objects.everything() == ["folder/object.bin"]


def test_ranges_are_exact(objects: Objects) -> None:
    objects.put("object", noise(1_000_000))
    source = objects.open().open("object")
    assert source.size == 1_000_000
    assert source.read(999_990, 10) == noise(1_000_000)[-10:]
    assert source.read(500_000, 0) == b""
    with pytest.raises(CorruptStoreError, match="ends before byte 1000001"):
        source.read(999_991, 10)
    source.close()


def test_many_threads_read_at_once(objects: Objects) -> None:
    objects.put("object", noise(1_000_000))
    source = objects.open().open("object")
    found: dict[int, bytes] = {}

    def read(start: int) -> None:
        found[start] = source.read(start, 50_000)

    threads = [threading.Thread(target=read, args=(at,)) for at in range(0, 1_000_000, 50_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.close()
    assert b"".join(found[start] for start in sorted(found)) == noise(1_000_000)


@pytest.mark.parametrize("size", [10, PART + 10])
def test_nobody_sees_an_object_before_it_is_finished(objects: Objects, size: int) -> None:
    bucket = objects.open()
    with bucket.create("object", {}, {}, None) as writer:
        writer.write(noise(size))
        assert not bucket.exists("object")
        assert bucket.names("") == []
        with pytest.raises(ObjectNotFoundError):
            bucket.open("object")
        writer.finish()
    assert bucket.exists("object")
    assert bucket.names("") == ["object"]


@pytest.mark.parametrize("size", [10, 2 * PART + 10])
def test_an_abandoned_object_leaves_nothing(objects: Objects, size: int) -> None:
    with objects.open().create("object", {}, {}, None) as writer:
        writer.write(noise(size))
    assert objects.everything() == []


def test_an_object_that_exists_is_refused_at_once(objects: Objects) -> None:
    objects.put("object", b"first")
    with pytest.raises(ObjectExistsError, match="object exists already"):
        objects.open().create("object", {}, {}, None)
    assert objects.get("object") == b"first"


@pytest.mark.parametrize("size", [10, PART + 10])
def test_of_two_who_write_one_object_one_is_told_that_it_lost(objects: Objects, size: int) -> None:
    first, second = (objects.open().create("object", {}, {}, None) for _ in range(2))
    second.write(b"second")
    first.write(noise(size))
    first.finish()
    with pytest.raises(ObjectExistsError), second:
        second.finish()
    assert objects.get("object") == noise(size)
    assert objects.everything() == ["object"]


def test_of_many_who_finish_at_once_one_wins(objects: Objects) -> None:
    writers = [objects.open().create("object", {}, {}, None) for _ in range(6)]
    results: list[str] = []
    for number, writer in enumerate(writers):
        writer.write(b"%d" % number)

    def finish(number: int) -> None:
        try:
            writers[number].finish()
            results.append(f"won {number}")
        except ObjectExistsError:
            results.append("lost")

    threads = [threading.Thread(target=finish, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results)[:5] == ["lost"] * 5
    assert f"won {objects.get('object').decode()}" in results
    assert objects.everything() == ["object"]


METADATA = {"ami-name": "web server", "ami-description": "süß ☃", "empty": "", "odd": " =?x?= "}


@pytest.mark.parametrize("size", [10, PART + 10])
def test_metadata_is_kept(objects: Objects, size: int) -> None:
    objects.put("object", noise(size), metadata=METADATA)
    source = objects.open().open("object")
    assert source.metadata == METADATA
    source.close()


def test_metadata_that_is_too_long_is_refused(objects: Objects) -> None:
    with pytest.raises(UsageError, match="of 2048 that are allowed"):
        objects.open().create("object", {"name": "x" * 2048}, {}, None)


def test_names_are_those_that_go_on_without_a_slash(objects: Objects) -> None:
    for key in ("a-1", "a-2", "a/3", "a/4", "b-5", "a/c/6"):
        objects.put(key, b"")
    bucket = objects.open()
    found = [bucket.names(prefix) for prefix in ("", "a", "a/", "a/3", "none", "none/x")]
    assert found == [["a-1", "a-2", "b-5"], ["a-1", "a-2"], ["a/3", "a/4"], ["a/3"], [], []]


def test_a_deleted_object_is_gone_and_may_be_deleted_again(objects: Objects) -> None:
    objects.put("a/object", b"content")
    bucket = objects.open()
    for _ in range(2):
        bucket.delete("a/object")
    assert (bucket.exists("a/object"), objects.everything()) == (False, [])
    objects.put("a/object", b"again")
    assert objects.get("a/object") == b"again"


@pytest.mark.parametrize("key", ["", "../a", "a//b", ".hidden", "a\n"])
def test_odd_keys_are_refused(objects: Objects, key: str) -> None:
    bucket = objects.open()
    with pytest.raises(UsageError):
        bucket.create(key, {}, {}, None)
    with pytest.raises(UsageError):
        bucket.open(key)


def test_a_bucket_that_is_not_there_is_told(objects: Objects, tmp_path: Path) -> None:
    elsewhere: dict[str, Any] = {"folder": tmp_path / "none", "region": objects.region}
    if objects.region is not None:
        region = objects.region
        elsewhere["region"] = Region(region.server, "nobody-made-this", tmp_path / "cache")
    bucket = Objects(**elsewhere).open()
    for action in (
        lambda: bucket.names(""),
        lambda: bucket.create("object", {}, {}, None),
        lambda: bucket.open("object"),
    ):
        with pytest.raises(BucketNotFoundError, match="there is no"):
            action()


def test_a_replaced_object_is_not_mixed_with_another(objects: Objects) -> None:
    objects.put("object", noise(100_000))
    source = objects.open().open("object")
    objects.open().delete("object")
    objects.put("object", noise(100_001))
    if isinstance(objects.open(), DirectoryBucket):
        assert source.read(0, 100_000) == noise(100_000)
    else:
        with pytest.raises(AmictlError, match="was replaced while it was read"):
            source.read(0, 100_000)
        objects.open().delete("object")
        with pytest.raises(AmictlError, match="was deleted while it was read"):
            source.read(0, 100_000)
    source.close()
