"""A bucket that is a directory: what is special about files."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amictl.errors import (
    AmictlError,
    BucketNotFoundError,
    ObjectExistsError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.storage.disk import Disk
from amictl.storage.object_files import DirectoryBucket, FileSource
from tests.faults.crash_states import states_after_a_power_cut, states_at_the_end
from tests.faults.recording_disk import RecordingDisk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory."""
    path = tmp_path / "bucket"
    path.mkdir()
    return path


def put(bucket: DirectoryBucket, key: str, content: bytes) -> None:
    with bucket.create(key, {}, {}, None) as writer:
        writer.write(content)
        writer.finish()


def test_a_file_is_private_and_has_no_companion(root: Path) -> None:
    put(DirectoryBucket(root), "a/b/object.bin", b"content")
    assert [path.name for path in root.rglob("*")] == ["a", "b", "object.bin"]
    assert (root / "a/b/object.bin").stat().st_mode & 0o777 == 0o600


def test_zeros_are_holes(root: Path) -> None:
    with DirectoryBucket(root).create("object", {}, {}, None) as writer:
        for data in (bytes(1 << 20), b"data", bytes(1 << 20)):
            writer.write(data)
        writer.finish()
    path = root / "object"
    assert path.read_bytes() == bytes(1 << 20) + b"data" + bytes(1 << 20)
    assert path.stat().st_blocks * 512 < 100_000


def test_metadata_is_kept_in_an_extended_attribute(root: Path) -> None:
    with DirectoryBucket(root).create("object", {"name": "süß"}, {}, None) as writer:
        writer.finish()
    assert os.getxattr(root / "object", "user.amictl.metadata") == '{"name": "süß"}'.encode()


@pytest.mark.parametrize("text", [b"[]", b"\xff", b'{"a": 1}', b"[" * 3_000, b"{"])
def test_damaged_metadata_is_no_metadata(root: Path, text: bytes) -> None:
    put(DirectoryBucket(root), "object", b"")
    os.setxattr(root / "object", "user.amictl.metadata", text)
    assert DirectoryBucket(root).open("object").metadata == {}


@pytest.mark.parametrize("words", [({"a": "b"}, None), ({}, "GLACIER")])
def test_tags_and_classes_are_refused(root: Path, words: tuple[dict[str, str], str | None]) -> None:
    with pytest.raises(UnsupportedError):
        DirectoryBucket(root).create("object", {}, *words)
    assert list(root.iterdir()) == []


def test_a_directory_that_is_missing_is_not_made(tmp_path: Path) -> None:
    bucket = DirectoryBucket(tmp_path / "bucket")
    with pytest.raises(BucketNotFoundError, match="there is no directory"):
        bucket.create("object", {}, {}, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/./b", ".hidden", "a\nb", "a\0b", "ä" * 451],
)
def test_keys_that_lead_elsewhere_are_refused(root: Path, key: str) -> None:
    bucket = DirectoryBucket(root)
    for action in (bucket.exists, bucket.open, bucket.delete):
        with pytest.raises(UsageError, match="is not the key of an object"):
            action(key)
    with pytest.raises(UsageError):
        bucket.create(key, {}, {}, None)


def test_nothing_is_reached_through_a_link(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "object").write_bytes(b"secret")
    (root / "folder").symlink_to(outside)
    (root / "link").symlink_to(outside / "object")
    bucket = DirectoryBucket(root)
    for key in ("folder/object", "link"):
        with pytest.raises(StorageError):
            bucket.open(key)
    with pytest.raises(StorageError):
        bucket.create("folder/new", {}, {}, None)
    with pytest.raises(ObjectExistsError):
        bucket.create("link", {}, {}, None)
    assert [path.name for path in outside.iterdir()] == ["object"]


def test_what_is_no_file_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UsageError, match="is not a file"):
            FileSource(root / name)


def test_what_a_dead_writer_left_is_removed_and_a_living_one_is_left_alone(root: Path) -> None:
    bucket = DirectoryBucket(root)
    (root / ".amictl-writing-dead").write_bytes(b"part")
    with bucket.create("living", {}, {}, None) as living:
        living.write(b"alive")
        put(bucket, "other", b"content")
        assert not (root / ".amictl-writing-dead").exists()
        living.finish()
    assert sorted(path.name for path in root.iterdir()) == ["living", "other"]


def test_a_file_of_a_locked_writer_is_not_removed(root: Path) -> None:
    with (root / ".amictl-writing-other").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        put(DirectoryBucket(root), "object", b"content")
        assert (root / ".amictl-writing-other").exists()


class WithoutRenames(Disk):
    """A file system that cannot rename without replacing."""

    def rename_new(self, old: Path, new: Path) -> None:
        os.link(old, new, follow_symlinks=False)
        old.unlink()


def test_two_names_are_as_good_as_a_rename(root: Path) -> None:
    bucket = DirectoryBucket(root, WithoutRenames())
    with bucket.create("object", {}, {}, None) as late:
        late.write(b"late")
        put(bucket, "object", b"first")
        with pytest.raises(ObjectExistsError):
            late.finish()
    assert (root / "object").read_bytes() == b"first"
    assert [path.name for path in root.iterdir()] == ["object"]


def test_after_a_power_cut_an_object_is_whole_or_not_there(root: Path, tmp_path: Path) -> None:
    disk = RecordingDisk(root)
    with DirectoryBucket(root, disk).create("folder/object", {}, {}, None) as writer:
        writer.write(b"first " * 1000)
        writer.write(b"second")
        writer.finish()
    whole = b"first " * 1000 + b"second"
    for number, (_, state) in enumerate(states_after_a_power_cut(disk, seed=1, choices=5)):
        folder = tmp_path / f"after-{number}"
        folder.mkdir()
        state.materialise(folder)
        found = folder / "folder" / "object"
        assert not found.exists() or found.read_bytes() == whole
    for number, state in enumerate(states_at_the_end(disk, seed=1, choices=5)):
        folder = tmp_path / f"end-{number}"
        folder.mkdir()
        state.materialise(folder)
        assert (folder / "folder" / "object").read_bytes() == whole


class FullDisk(Disk):
    """A disk on which the n-th write or sync finds no room."""

    def __init__(self, number: int) -> None:
        self.number = number

    def _count(self) -> None:
        self.number -= 1
        if self.number == 0:
            raise OSError(28, "No space left on device")

    def write_at(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        self._count()
        super().write_at(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)

    def sync_directory(self, path: Path) -> None:
        self._count()
        super().sync_directory(path)


@pytest.mark.parametrize("number", range(1, 4))
def test_a_failed_write_leaves_nothing(root: Path, number: int) -> None:
    bucket = DirectoryBucket(root, FullDisk(number))
    with pytest.raises(AmictlError, match="No space left"):
        put(bucket, "object", b"content")
    assert list(root.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a mebibyte."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.mark.needs("root", "mount")
def test_on_a_full_disk_nothing_is_left_and_there_is_room_again(small_disk: Path) -> None:
    bucket = DirectoryBucket(small_disk)
    put(bucket, "first", os.urandom(300_000))
    for _ in range(3):
        with pytest.raises(StorageError, match="No space left") as caught:
            put(bucket, "second", os.urandom(1 << 20))
        assert caught.value.hint is not None
        assert "free some space" in caught.value.hint
    put(bucket, "third", os.urandom(600_000))
    assert bucket.names("") == ["first", "third"]
    assert [path.name for path in small_disk.iterdir() if path.name.startswith(".")] == []


WRITER = """
import sys
from pathlib import Path
from amictl.storage.object_files import DirectoryBucket
with DirectoryBucket(Path(sys.argv[1])).create("folder/object", {}, {}, None) as writer:
    writer.write(b"part")
    print("written", flush=True)
    sys.stdin.read()
    writer.finish()
"""


def test_a_killed_writer_leaves_nothing_visible_and_the_next_one_tidies_up(root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.kill()
    bucket = DirectoryBucket(root)
    assert (bucket.exists("folder/object"), bucket.names("folder/")) == (False, [])
    assert len(list((root / "folder").iterdir())) == 1
    put(bucket, "folder/object", b"whole")
    assert [path.name for path in (root / "folder").iterdir()] == ["object"]
