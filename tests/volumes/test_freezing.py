"""Freezing regular files where nothing can be cloned, as any user may."""

import mmap
import os
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from amictl.errors import (
    NotFoundError,
    SourceChangedError,
    SourceInUseError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.volumes.claims import claim
from amictl.volumes.private_copies import private_copy
from amictl.volumes.sources import opened_sources

CONTENT = b"before" * 10_000


@pytest.fixture
def disk(tmpfs: Path) -> Path:
    path = tmpfs / "disk.raw"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def other(tmpfs: Path) -> Path:
    path = tmpfs / "other.raw"
    path.write_bytes(b"other" * 1000)
    return path


def test_file_at_rest_is_read_under_a_lease(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        assert frozen_disk.freeze.method == "lease"


def test_file_at_rest_is_recorded_as_at_rest(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        assert frozen_disk.freeze.consistency == "at-rest"


def test_leased_file_is_read_as_it_is(disk, freeze, read_all):
    with freeze(disk) as (frozen_disk,):
        assert read_all(frozen_disk) == CONTENT


def test_moment_is_what_the_clock_said(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        assert frozen_disk.freeze.moment == "2026-03-04T05:06:07.890Z"


def test_leased_disk_is_not_secured_before_it_is_read(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        assert not frozen_disk.secured


def test_leased_disk_is_secured_after_it_was_read(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        frozen_disk.finish_reading()
        assert frozen_disk.secured


def test_finishing_twice_is_finishing_once(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        frozen_disk.finish_reading()
        frozen_disk.finish_reading()
        assert frozen_disk.secured


def test_closing_twice_is_closing_once(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        frozen_disk.close()
        frozen_disk.close()
        assert frozen_disk.descriptor == -1


def test_file_that_can_be_changed_without_a_trace_is_never_taken_for_unchanged(disk, freeze):
    content_before, status = disk.read_bytes(), disk.stat()
    change_through_memory(disk)
    assert disk.read_bytes() != content_before
    assert disk.stat().st_mtime_ns == status.st_mtime_ns
    with freeze(disk) as (frozen_disk,):
        assert frozen_disk.identity.inode == 0


def change_through_memory(path: Path) -> None:
    """Write to a page that was read through the same mapping before."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0] = (memory[0] + 1) % 256


def test_write_right_after_freezing_changes_the_times(disk, freeze):
    disk.write_bytes(b"just written")
    with freeze(disk) as (frozen_disk,):
        frozen_disk.finish_reading()
    disk.write_bytes(b"and once more")
    assert disk.stat().st_ctime_ns != frozen_disk.identity.ctime_ns


def test_source_is_opened_for_reading_only(disk, freeze):
    with freeze(disk) as (frozen_disk,), pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(frozen_disk.descriptor, b"x", 0)


def test_reading_leaves_the_access_time_alone(disk, freeze, read_all):
    os.utime(disk, (1, 1))
    with freeze(disk) as (frozen_disk,):
        read_all(frozen_disk)
    assert disk.stat().st_atime == 1


def test_symbolic_link_is_followed(disk, tmpfs, freeze, read_all):
    (tmpfs / "link").symlink_to(disk)
    with freeze(tmpfs / "link") as (frozen_disk,):
        assert read_all(frozen_disk) == CONTENT


def test_disk_keeps_the_name_that_it_was_given(disk, tmpfs, freeze):
    (tmpfs / "link").symlink_to(disk)
    with freeze(tmpfs / "link") as (frozen_disk,):
        assert frozen_disk.path == tmpfs / "link"


# --- disks in use ------------------------------------------------------------------------------


def test_file_open_for_writing_is_refused(disk, freeze, open_for_writing):
    assert open_for_writing(disk).await_line() == b"open\n"
    with pytest.raises(SourceInUseError, match="open for writing") as raised:
        freeze(disk).__enter__()
    assert raised.value.code == "IncorrectInstanceState"


def test_live_file_that_cannot_be_cloned_is_refused_even_with_no_reboot(
    disk, freeze, open_for_writing
):
    open_for_writing(disk).await_line()
    with pytest.raises(SourceInUseError, match="no single moment"):
        freeze(disk, no_reboot=True).__enter__()


def test_refusal_names_the_ways_out(disk, freeze, open_for_writing):
    open_for_writing(disk).await_line()
    with pytest.raises(SourceInUseError) as raised:
        freeze(disk, no_reboot=True).__enter__()
    assert "stop the machine, or move the disk to XFS or btrfs" in str(raised.value.hint)


@pytest.mark.parametrize("method", ["lease", "copy"])
def test_methods_that_need_rest_refuse_a_live_disk(disk, freeze, open_for_writing, method):
    open_for_writing(disk).await_line()
    with pytest.raises(SourceInUseError, match=f"{method} needs a disk at rest"):
        freeze(disk, no_reboot=True, method=method).__enter__()


def test_file_open_for_reading_is_at_rest(disk, freeze):
    with disk.open("rb"), freeze(disk) as (frozen_disk,):
        assert frozen_disk.freeze.consistency == "at-rest"


def test_one_disk_in_use_refuses_all(disk, other, freeze, open_for_writing):
    open_for_writing(other).await_line()
    with pytest.raises(SourceInUseError, match=r"other\.raw"):
        freeze(disk, other).__enter__()


def test_refused_disk_is_not_left_under_a_lease(disk, other, freeze, open_for_writing):
    open_for_writing(other).await_line()
    with pytest.raises(SourceInUseError):
        freeze(disk, other).__enter__()
    os.close(os.open(disk, os.O_RDWR | os.O_NONBLOCK))


# --- a writer that comes while we read ---------------------------------------------------------


def test_writer_waits_until_reading_is_finished(
    disk, freeze, read_all, open_for_writing, await_broken
):
    with freeze(disk) as (frozen_disk,):
        writer = open_for_writing(disk)
        await_broken(frozen_disk)
        content = read_all(frozen_disk)
        frozen_disk.finish_reading()
        assert writer.await_line() == b"open\n"
    assert content == CONTENT


def test_short_rest_is_read_although_a_writer_waits(disk, freeze, open_for_writing, await_broken):
    with freeze(disk) as (frozen_disk,):
        open_for_writing(disk)
        await_broken(frozen_disk)
        frozen_disk.require_held(1000, 1000.0)
        frozen_disk.finish_reading()
        assert frozen_disk.secured


def test_long_rest_is_given_up_when_a_writer_waits(disk, freeze, open_for_writing, await_broken):
    with freeze(disk) as (frozen_disk,):
        open_for_writing(disk)
        await_broken(frozen_disk)
        with pytest.raises(SourceChangedError):
            frozen_disk.require_held(1_000_000, 1000.0)


def test_writer_goes_on_at_once_when_the_rest_is_given_up(
    disk, freeze, open_for_writing, await_broken
):
    with freeze(disk) as (frozen_disk,):
        writer = open_for_writing(disk)
        await_broken(frozen_disk)
        with pytest.raises(SourceChangedError):
            frozen_disk.require_held(1_000_000, 1000.0)
        assert writer.await_line() == b"open\n"


def test_given_up_disk_never_becomes_secured(disk, freeze, open_for_writing, await_broken):
    with freeze(disk) as (frozen_disk,):
        open_for_writing(disk)
        await_broken(frozen_disk)
        with pytest.raises(SourceChangedError):
            frozen_disk.require_held(1_000_000, 1000.0)
        with pytest.raises(SourceChangedError):
            frozen_disk.finish_reading()
        assert not frozen_disk.secured


def test_writer_of_the_second_disk_is_noticed_while_the_first_is_read(
    disk, other, freeze, open_for_writing, await_broken
):
    with freeze(disk, other) as (first, second):
        open_for_writing(other)
        await_broken(second)
        with pytest.raises(SourceChangedError, match=r"other\.raw"):
            first.require_held(1_000_000, 1000.0)


def test_change_of_times_under_the_lease_is_a_change(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        os.utime(disk, (1, 1))
        with pytest.raises(SourceChangedError, match="size or times"):
            frozen_disk.finish_reading()


def test_writer_goes_on_when_the_block_is_left(disk, freeze, open_for_writing, await_broken):
    with freeze(disk) as (frozen_disk,):
        writer = open_for_writing(disk)
        await_broken(frozen_disk)
    assert writer.await_line() == b"open\n"


# --- methods -----------------------------------------------------------------------------------


def test_reflink_is_refused_where_nothing_can_be_cloned(disk, tmpfs, freeze):
    with pytest.raises(UnsupportedError, match="cannot clone"):
        freeze(disk, staging=tmpfs, method="reflink").__enter__()


def test_copy_is_secured_at_once(disk, tmpfs, freeze):
    with freeze(disk, staging=tmpfs, method="copy") as (frozen_disk,):
        assert frozen_disk.secured


def test_copy_is_recorded_as_a_copy(disk, tmpfs, freeze):
    with freeze(disk, staging=tmpfs, method="copy") as (frozen_disk,):
        assert frozen_disk.freeze.method == "copy"


def test_copy_keeps_the_moment_when_the_source_is_overwritten(disk, tmpfs, freeze, read_all):
    with freeze(disk, staging=tmpfs, method="copy") as (frozen_disk,):
        disk.write_bytes(b"after")
        assert read_all(frozen_disk) == CONTENT


def test_copy_to_another_file_system_is_the_same(disk, tmp_path, freeze, read_all):
    with freeze(disk, staging=tmp_path, method="copy") as (frozen_disk,):
        assert read_all(frozen_disk) == CONTENT


@pytest.fixture
def sparse(tmpfs: Path) -> Path:
    path = tmpfs / "sparse.raw"
    with path.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(b"data")
    return path


def test_copy_is_as_sparse_as_the_source(sparse, tmpfs, freeze):
    with freeze(sparse, staging=tmpfs, method="copy") as (frozen_disk,):
        assert os.fstat(frozen_disk.descriptor).st_blocks == sparse.stat().st_blocks


def test_copy_has_the_data_of_a_sparse_source_in_its_place(sparse, tmpfs, freeze):
    with freeze(sparse, staging=tmpfs, method="copy") as (frozen_disk,):
        assert os.pread(frozen_disk.descriptor, 6, (1 << 39) - 1) == b"\0data\0"


def test_copy_is_as_long_as_the_source(sparse, tmpfs, freeze):
    with freeze(sparse, staging=tmpfs, method="copy") as (frozen_disk,):
        assert frozen_disk.size_bytes == 1 << 40


def test_copy_cannot_be_written_to(disk, tmpfs, freeze):
    with (
        freeze(disk, staging=tmpfs, method="copy") as (frozen_disk,),
        pytest.raises(OSError, match="Bad file descriptor"),
    ):
        os.pwrite(frozen_disk.descriptor, b"x", 0)


def test_copy_has_no_name(disk, tmpfs, freeze):
    with freeze(disk, staging=tmpfs, method="copy"):
        assert list(tmpfs.iterdir()) == [disk]


def test_copy_can_get_no_name(disk, tmpfs, freeze, tool):
    with (
        freeze(disk, staging=tmpfs, method="copy") as (frozen_disk,),
        pytest.raises(CalledProcessError),
    ):
        tool("ln", "-L", f"/proc/{os.getpid()}/fd/{frozen_disk.descriptor}", tmpfs / "name")


def test_copy_into_a_missing_folder_is_an_error_that_names_it(disk, tmpfs, freeze):
    with pytest.raises(StorageError, match="nowhere"):
        freeze(disk, staging=tmpfs / "nowhere", method="copy").__enter__()


def test_two_disks_at_rest_are_one_moment(disk, other, freeze):
    with freeze(disk, other) as disks:
        assert [each.freeze.together for each in disks] == [True, True]


def test_all_disks_are_leased_before_the_first_is_read(disk, other, freeze):
    with freeze(disk, other), pytest.raises(BlockingIOError):
        os.open(other, os.O_WRONLY | os.O_NONBLOCK)


# --- what is no disk ---------------------------------------------------------------------------


def test_missing_file_is_not_found(tmpfs, freeze):
    with pytest.raises(NotFoundError, match="nothing"):
        freeze(tmpfs / "nothing").__enter__()


def test_empty_file_is_refused(tmpfs, freeze):
    (tmpfs / "empty").touch()
    with pytest.raises(UsageError, match="empty"):
        freeze(tmpfs / "empty").__enter__()


def test_folder_is_refused(tmpfs, freeze):
    with pytest.raises(UsageError, match="neither a regular file nor a block device"):
        freeze(tmpfs).__enter__()


def test_pipe_is_refused_without_waiting_for_it(tmpfs, freeze):
    os.mkfifo(tmpfs / "pipe")
    with pytest.raises(UsageError, match="neither a regular file nor a block device"):
        freeze(tmpfs / "pipe").__enter__()


def test_character_device_is_refused(freeze):
    with pytest.raises(UsageError, match="neither a regular file nor a block device"):
        freeze(Path("/dev/zero")).__enter__()


def test_loop_of_links_is_a_storage_error(tmpfs, freeze):
    (tmpfs / "link").symlink_to(tmpfs / "link")
    with pytest.raises(StorageError, match="link"):
        freeze(tmpfs / "link").__enter__()


def test_same_file_twice_is_refused(disk, freeze):
    with pytest.raises(UsageError, match="the same disk"):
        freeze(disk, disk).__enter__()


def test_same_file_under_two_names_is_refused(disk, tmpfs, freeze):
    (tmpfs / "second").hardlink_to(disk)
    with pytest.raises(UsageError, match="the same disk"):
        freeze(disk, tmpfs / "second").__enter__()


def test_unknown_method_is_refused(disk, freeze):
    with pytest.raises(UsageError, match="snap"):
        freeze(disk, method="snap").__enter__()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_time_that_is_no_time_is_refused(disk, freeze, seconds):
    with pytest.raises(UsageError, match="cannot last"):
        freeze(disk, timeout_seconds=seconds).__enter__()


def test_no_descriptor_is_left_open(disk, tmpfs, freeze):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with freeze(disk, staging=tmpfs, method="copy"):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_source_whose_times_change_while_it_is_copied_has_changed(disk, tmpfs):
    with opened_sources([disk]) as (source,):
        held = claim(source)
        os.utime(disk, (1, 1))
        with pytest.raises(SourceChangedError, match="size or times"):
            private_copy(source, held, tmpfs)
