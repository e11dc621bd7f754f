"""The state of a disk at a moment, and the deleting of disks that nobody uses."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from amictl.errors import ConflictError, SourceInUseError, UnsupportedError
from amictl.storage.disk import Disk
from amictl.volumes.disk_states import delete_disk, disk_state, require_deletable

MIB = 1 << 20

needs_devices = pytest.mark.needs("root", "losetup")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"d" * MIB)
    return path


@pytest.fixture
def device(disk: Path) -> Iterator[Path]:
    words = ["losetup", "--find", "--show", str(disk)]
    name = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield Path(name)
    finally:
        subprocess.run(["losetup", "--detach", name], check=True)


def inode(path: Path) -> str:
    return str(path.stat().st_ino)


def test_a_folder_is_no_disk(tmp_path: Path) -> None:
    state = disk_state(tmp_path, tmp_path)
    assert (state.state, state.size_bytes) == ("error", None)
    assert "neither a regular file nor a block device" in str(state.reason)


def test_where_nobody_can_tell_who_uses_a_disk_it_is_available_with_a_reason(
    tmp_path: Path,
) -> None:
    state = disk_state(Path("/sys/kernel/profiling"), tmp_path)
    assert state.state == "available"
    assert "cannot tell whether" in str(state.reason)


def test_what_nobody_can_tell_is_not_deleted() -> None:
    path = Path("/sys/kernel/profiling")
    with pytest.raises(UnsupportedError, match="cannot tell whether"):
        require_deletable(path, inode(path))


@needs_devices
def test_a_device_has_its_size_and_is_in_use_while_it_is_held(device: Path, tmp_path: Path) -> None:
    free = disk_state(device, tmp_path)
    descriptor = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        held = disk_state(device, tmp_path)
    finally:
        os.close(descriptor)
    assert [(one.state, one.size_bytes) for one in (free, held)] == [
        ("available", MIB),
        ("in-use", MIB),
    ]


@needs_devices
def test_a_device_is_not_deleted(device: Path) -> None:
    with pytest.raises(UnsupportedError, match="block device"):
        delete_disk(device, inode(device), Disk())
    assert device.exists()


def test_a_disk_is_deleted_that_is_the_one_that_is_meant(disk: Path) -> None:
    with pytest.raises(ConflictError):
        delete_disk(disk, "1", Disk())
    with pytest.raises(ConflictError):
        delete_disk(disk, None, Disk())
    delete_disk(disk, inode(disk), Disk())
    assert not disk.exists()


def test_a_disk_in_use_is_not_deleted(disk: Path) -> None:
    with disk.open("r+b"), pytest.raises(SourceInUseError):
        delete_disk(disk, inode(disk), Disk())
    assert disk.exists()
