"""The state of a disk at a moment, and the deleting of disks that nobody uses."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.errors import ConflictError, SourceInUseError, UnsupportedError
from amictl.storage.disk import Disk
from amictl.volumes.disk_states import delete_disk, disk_state, require_deletable
from amictl.volumes.written_files import written_file

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
    with pytest.raises(ConflictError, match="not the file that was written there"):
        require_deletable(path, written_file(path))


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
        delete_disk(device, written_file(device), Disk())
    assert device.exists()


@pytest.mark.parametrize(
    "other",
    [
        {"inode": "1"},
        {"inode": None},
        {"size_bytes": MIB + 1},
        {"size_bytes": None},
        {"birth_time": "1"},
        {"birth_time": None},
    ],
)
def test_a_file_that_is_not_the_one_that_was_written_is_not_deleted(
    disk: Path, other: dict[str, Any]
) -> None:
    with pytest.raises(ConflictError, match="not the file that was written there"):
        delete_disk(disk, replace(written_file(disk), **other), Disk())
    assert disk.exists()


def test_the_file_that_was_written_is_deleted(disk: Path) -> None:
    written = written_file(disk)
    with disk.open("r+b") as file:
        file.write(b"later")
    delete_disk(disk, written, Disk())
    assert not disk.exists()


def test_a_file_is_told_by_when_it_came_to_be(disk: Path) -> None:
    before = time.time_ns()
    words = ["stat", "--format=%W", str(disk)]
    seconds = int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    birth_time = int(written_file(disk).birth_time or "")
    assert birth_time // 1_000_000_000 == seconds
    assert birth_time <= before


def test_a_link_that_leads_to_itself_is_in_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    state = disk_state(tmp_path / "loop", tmp_path)
    assert (state.state, state.size_bytes) == ("error", None)
    assert "Too many levels of symbolic links" in str(state.reason)


def test_a_name_for_which_no_mark_fits_is_no_unfinished_restore(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 252)
    path.write_bytes(b"disk")
    assert disk_state(path, tmp_path).state == "available"


@pytest.mark.needs("root")
def test_a_folder_that_we_may_not_search_is_an_error_of_the_disk(disk: Path) -> None:
    disk.parent.chmod(0o700)
    os.seteuid(65534)
    try:
        state = disk_state(disk, disk.parent)
    finally:
        os.seteuid(0)
    assert (state.state, state.size_bytes) == ("error", None)
    assert "Permission denied" in str(state.reason)


def test_a_disk_in_use_is_not_deleted(disk: Path) -> None:
    with disk.open("r+b"), pytest.raises(SourceInUseError):
        delete_disk(disk, written_file(disk), Disk())
    assert disk.exists()
