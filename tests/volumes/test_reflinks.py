"""Cloning on real XFS and btrfs, at rest and beside writers; leases on ext4."""

import os
import time
from pathlib import Path

import pytest

from amictl.errors import SourceChangedError, SourceInUseError

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_tool("mkfs.xfs", "mkfs.btrfs", "mkfs.ext4"),
]

CONTENT = b"before" * 100_000


def new_disk(folder: Path, name: str = "disk.raw") -> Path:
    """A disk whose last change is too long ago to be mistaken for a later one."""
    path = folder / name
    path.write_bytes(CONTENT)
    time.sleep(0.03)
    return path


@pytest.fixture(params=["xfs", "btrfs"])
def folder(request: pytest.FixtureRequest) -> Path:
    """A folder on each of the file systems that clone."""
    return Path(request.getfixturevalue(request.param))


@pytest.fixture
def disk(folder: Path) -> Path:
    return new_disk(folder)


# --- at rest -----------------------------------------------------------------------------------


def test_disk_at_rest_is_cloned(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        assert (frozen_disk.freeze.method, frozen_disk.freeze.consistency) == ("reflink", "at-rest")


def test_clone_is_secured_at_once(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        assert frozen_disk.secured


def test_clone_keeps_the_moment_when_the_source_is_overwritten_and_deleted(disk, freeze, read_all):
    with freeze(disk) as (frozen_disk,):
        disk.write_bytes(b"after")
        disk.unlink()
        assert read_all(frozen_disk) == CONTENT


def test_writer_does_not_wait_for_the_reader_of_a_clone(disk, freeze, open_for_writing):
    with freeze(disk):
        assert open_for_writing(disk).await_line() == b"open\n"


def test_clone_has_no_name(disk, folder, freeze):
    with freeze(disk):
        assert list(folder.iterdir()) == [disk]


def test_clone_cannot_be_written_to(disk, freeze):
    with (
        freeze(disk) as (frozen_disk,),
        pytest.raises(OSError, match="Bad file descriptor"),
    ):
        os.pwrite(frozen_disk.descriptor, b"x", 0)


def test_clone_is_made_in_staging_where_that_is_the_same_file_system(disk, folder, freeze):
    (folder / "staging").mkdir()
    with freeze(disk, staging=folder / "staging") as (frozen_disk,):
        place = Path(f"/proc/self/fd/{frozen_disk.descriptor}").readlink()
        assert place.parent == folder / "staging"


def test_clone_is_made_beside_the_source_where_staging_is_elsewhere(disk, folder, tmpfs, freeze):
    with freeze(disk, staging=tmpfs) as (frozen_disk,):
        assert Path(f"/proc/self/fd/{frozen_disk.descriptor}").readlink().parent == folder


def test_clone_is_made_beside_the_file_that_a_link_leads_to(disk, tmpfs, freeze):
    (tmpfs / "link").symlink_to(disk)
    with freeze(tmpfs / "link", staging=tmpfs) as (frozen_disk,):
        assert frozen_disk.freeze.method == "reflink"


def test_identity_is_what_fstat_says(disk, freeze):
    status = disk.stat()
    with freeze(disk) as (frozen_disk,):
        found = frozen_disk.identity
    assert (found.device, found.inode) == (status.st_dev, status.st_ino)
    assert found.size_bytes == len(CONTENT)
    assert (found.mtime_ns, found.ctime_ns) == (status.st_mtime_ns, status.st_ctime_ns)


def test_identity_of_a_disk_at_rest_is_found_again(disk, freeze):
    with freeze(disk) as (first,), freeze(disk) as (second,):
        assert first.identity == second.identity


def test_lease_can_be_asked_for_where_clones_work(disk, freeze):
    with freeze(disk, method="lease") as (frozen_disk,):
        assert (frozen_disk.freeze.method, frozen_disk.secured) == ("lease", False)


def test_disks_of_two_file_systems_are_held_together(xfs, btrfs, freeze):
    with freeze(new_disk(xfs), new_disk(btrfs)) as disks:
        assert [each.freeze.together for each in disks] == [True, True]


def test_cloned_disk_is_released_while_another_is_read_under_a_lease(
    xfs, ext4, freeze, open_for_writing
):
    cloned = new_disk(xfs)
    with freeze(cloned, new_disk(ext4)) as disks:
        assert [each.secured for each in disks] == [True, False]
        assert open_for_writing(cloned).await_line() == b"open\n"


@pytest.mark.needs_tool("chattr")
def test_btrfs_file_without_copy_on_write_is_cloned(btrfs, freeze, tool):
    disk = btrfs / "disk.raw"
    disk.touch()
    tool("chattr", "+C", disk)
    disk.write_bytes(CONTENT)
    with freeze(disk) as (frozen_disk,):
        assert frozen_disk.freeze.method == "reflink"


@pytest.mark.needs_tool("btrfs")
def test_btrfs_clone_reaches_staging_in_another_subvolume(btrfs, freeze, tool):
    tool("btrfs", "subvolume", "create", btrfs / "staging")
    with freeze(new_disk(btrfs), staging=btrfs / "staging") as (frozen_disk,):
        place = Path(f"/proc/self/fd/{frozen_disk.descriptor}").readlink()
        assert place.parent == btrfs / "staging"


def test_ext4_is_read_under_a_lease(ext4, freeze):
    with freeze(new_disk(ext4)) as (frozen_disk,):
        assert frozen_disk.freeze.method == "lease"


# --- in use ------------------------------------------------------------------------------------


def test_live_disk_is_refused(disk, freeze, open_for_writing):
    open_for_writing(disk).await_line()
    with pytest.raises(SourceInUseError, match="open for writing") as raised:
        freeze(disk).__enter__()
    assert "--no-reboot" in str(raised.value.hint)


def test_live_disk_is_cloned_with_no_reboot(disk, freeze, open_for_writing, read_all):
    open_for_writing(disk).await_line()
    with freeze(disk, no_reboot=True) as (frozen_disk,):
        assert read_all(frozen_disk) == CONTENT


def test_clone_of_a_live_disk_is_recorded_as_a_crash(disk, freeze, open_for_writing):
    open_for_writing(disk).await_line()
    with freeze(disk, no_reboot=True) as (frozen_disk,):
        assert (frozen_disk.freeze.method, frozen_disk.freeze.consistency) == ("reflink", "crash")


def test_disk_at_rest_is_recorded_as_such_also_with_no_reboot(disk, freeze):
    with freeze(disk, no_reboot=True) as (frozen_disk,):
        assert frozen_disk.freeze.consistency == "at-rest"


def test_live_disk_under_a_successful_command_is_quiesced(disk, freeze, open_for_writing):
    open_for_writing(disk).await_line()
    with freeze(disk, no_reboot=True, pre_freeze="true") as (frozen_disk,):
        assert frozen_disk.freeze.consistency == "quiesced"


def test_two_live_disks_are_not_one_moment(disk, folder, freeze, open_for_writing):
    other = new_disk(folder, "other.raw")
    open_for_writing(disk).await_line()
    open_for_writing(other).await_line()
    with freeze(disk, other, no_reboot=True) as disks:
        assert [each.freeze.together for each in disks] == [False, False]


def test_two_live_disks_held_by_a_command_are_one_moment(disk, folder, freeze, open_for_writing):
    other = new_disk(folder, "other.raw")
    open_for_writing(disk).await_line()
    open_for_writing(other).await_line()
    with freeze(disk, other, no_reboot=True, pre_freeze="true") as disks:
        assert [each.freeze.together for each in disks] == [True, True]


def test_one_live_disk_among_disks_at_rest_is_one_moment(disk, folder, freeze, open_for_writing):
    open_for_writing(disk).await_line()
    with freeze(disk, new_disk(folder, "other.raw"), no_reboot=True) as disks:
        assert [each.freeze.together for each in disks] == [True, True]


def test_live_disk_written_to_after_the_clone_has_another_identity(disk, freeze):
    with disk.open("r+b", buffering=0) as writer:
        writer.write(b"1")
        with freeze(disk, no_reboot=True) as (frozen_disk,):
            writer.write(b"2")
        status = disk.stat()
    assert (status.st_mtime_ns, status.st_ctime_ns) != (
        frozen_disk.identity.mtime_ns,
        frozen_disk.identity.ctime_ns,
    )


def test_live_disk_written_to_just_now_is_not_found_again(disk, freeze):
    with disk.open("r+b", buffering=0) as writer:
        writer.write(b"1")
        with freeze(disk, no_reboot=True) as (first,), freeze(disk, no_reboot=True) as (second,):
            assert first.identity != second.identity


def test_live_disk_that_rests_for_a_moment_is_found_again(disk, freeze):
    with disk.open("r+b"):
        time.sleep(0.03)
        with (
            freeze(disk, no_reboot=True) as (first,),
            freeze(disk, no_reboot=True) as (second,),
        ):
            assert first.identity == second.identity


def test_file_behind_a_loop_device_is_in_use(xfs, freeze, tool):
    disk = new_disk(xfs)
    device = tool("losetup", "--find", "--show", disk).strip()
    try:
        with pytest.raises(SourceInUseError, match="open for writing"):
            freeze(disk).__enter__()
    finally:
        tool("losetup", "--detach", device)


def test_disk_whose_file_system_is_mounted_is_cloned_with_no_reboot(xfs, tmp_path, freeze, tool):
    disk, mount = xfs / "disk.raw", tmp_path / "mount"
    mount.mkdir()
    with disk.open("wb") as file:
        file.truncate(16 << 20)
    tool("mkfs.ext4", "-q", "-F", disk)
    tool("mount", "-o", "loop", disk, mount)
    try:
        (mount / "file").write_bytes(b"written in the machine")
        os.sync()
        with freeze(disk, no_reboot=True) as (frozen_disk,):
            assert b"written in the machine" in os.pread(frozen_disk.descriptor, 16 << 20, 0)
    finally:
        tool("umount", mount)


def test_time_to_read_a_clone_counts_for_the_disk_that_is_read_after_it(
    xfs, ext4, freeze, open_for_writing, await_broken
):
    leased = new_disk(ext4)
    os.truncate(leased, 512)
    with freeze(new_disk(xfs), leased) as (first, second):
        open_for_writing(leased)
        await_broken(second)
        with pytest.raises(SourceChangedError):
            first.require_held(1_000_000, 1000.0)
