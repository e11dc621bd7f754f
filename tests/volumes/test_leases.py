"""Leases where they say nothing, or may not be asked for; and the signal of a break."""

import fcntl
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amictl.errors import NotFoundError, SourceChangedError, UnsupportedError
from amictl.volumes import leases
from amictl.volumes.freezing import FreezeRequest, frozen
from amictl.volumes.leases import ReadLease, file_system_magic, lease_break_seconds
from amictl.volumes.private_copies import private_copy
from amictl.volumes.sources import CLOCK_TICK_NS, opened_sources

HOLD_A_LEASE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from amictl.volumes.freezing import FreezeRequest, frozen
path = Path(sys.argv[1])
with frozen([path], FreezeRequest(), staging=path.parent, now=lambda: datetime.now(UTC)) as (disk,):
    print("held", flush=True)
    sys.stdin.readline()
    disk.require_held(1, 1000.0)
    print("alive", flush=True)
"""

FREEZE_AS_NOBODY = """
import ctypes, os, sys  # this Python may lie where nobody can read it
from datetime import UTC, datetime
from pathlib import Path
from amictl.errors import AmictlError
from amictl.volumes.freezing import FreezeRequest, frozen
os.setuid(65534)
path = Path(sys.argv[1])
try:
    with frozen([path], FreezeRequest(), staging=path.parent, now=lambda: datetime.now(UTC)):
        print("frozen")
except AmictlError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def disk(tmpfs: Path) -> Path:
    path = tmpfs / "disk.raw"
    path.write_bytes(b"content")
    return path


def test_broken_lease_does_not_kill_the_process(disk, start, open_for_writing):
    holder = start(sys.executable, "-c", HOLD_A_LEASE, disk)
    assert holder.await_line() == b"held\n"
    open_for_writing(disk)
    await_waiting_writer(disk)
    holder.say(b"\n")
    assert holder.await_line() == b"alive\n"


def await_waiting_writer(path: Path) -> None:
    """Until the kernel's list of locks says that the lease is being broken."""
    inode = f":{path.stat().st_ino} "
    end = time.monotonic() + 20
    while not any(
        inode in line and "BREAKING" in line
        for line in Path("/proc/locks").read_text().splitlines()
    ):
        assert time.monotonic() < end
        time.sleep(0.001)


def test_break_is_told_by_a_signal_that_is_ignored_by_default(disk, freeze):
    with freeze(disk) as (frozen_disk,):
        assert fcntl.fcntl(frozen_disk.descriptor, fcntl.F_GETSIG) == signal.SIGURG


@pytest.fixture
def lease(disk, open_for_writing):
    """A lease for which a writer waits at most 0.4 seconds; let go before the writer is ended."""
    with opened_sources([disk]) as (source,):
        lease = ReadLease(source)
        lease.break_seconds = 0.4
        yield lease
        lease.release()


def test_time_counts_from_when_the_lease_was_last_seen_whole(
    disk, lease, open_for_writing, await_broken
):
    time.sleep(0.3)
    lease.require_held(1, 1.0)
    open_for_writing(disk)
    await_broken(lease)
    lease.require_held(0, 1.0)


def test_half_of_the_time_is_left_to_the_writer(disk, lease, open_for_writing, await_broken):
    open_for_writing(disk)
    await_broken(lease)
    time.sleep(0.25)
    with pytest.raises(SourceChangedError):
        lease.confirm()


def test_copy_ends_when_the_rest_cannot_be_copied_in_time(
    disk, lease, tmpfs, open_for_writing, await_broken
):
    open_for_writing(disk)
    await_broken(lease)
    time.sleep(0.25)
    with opened_sources([disk]) as (source,), pytest.raises(SourceChangedError):
        private_copy(source, lease, tmpfs)


def test_moment_secured_too_late_for_a_writer_is_not_believed(
    disk, tmpfs, open_for_writing, monkeypatch
):
    monkeypatch.setattr(leases, "lease_break_seconds", lambda: 0.01)
    os.truncate(disk, 0)
    os.truncate(disk, 1 << 20)  # nothing to copy, so that only the end is looked at

    def writer_comes() -> datetime:
        open_for_writing(disk)
        await_waiting_writer(disk)
        time.sleep(0.05)
        return datetime.now(UTC)

    with pytest.raises(SourceChangedError):
        frozen([disk], FreezeRequest("copy"), staging=tmpfs, now=writer_comes).__enter__()


def test_disk_is_frozen_only_when_its_last_change_is_a_tick_old(disk, freeze):
    disk.write_bytes(b"just written")
    with freeze(disk) as (frozen_disk,):
        assert time.time_ns() - frozen_disk.identity.ctime_ns >= CLOCK_TICK_NS


@pytest.mark.needs_root
def test_user_who_does_not_own_the_disk_is_told_so(disk, start):
    disk.chmod(0o644)
    disk.parent.chmod(0o755)
    stranger = start(sys.executable, "-c", FREEZE_AS_NOBODY, disk)
    assert b"StorageError only its owner and root" in stranger.await_line()


@pytest.fixture
def overlay(tmpfs: Path, tool) -> Path:
    """A folder on overlayfs, which grants leases beside a writer."""
    for name in ("lower", "upper", "work", "overlay"):
        (tmpfs / name).mkdir()
    options = f"lowerdir={tmpfs}/lower,upperdir={tmpfs}/upper,workdir={tmpfs}/work"
    tool("mount", "-t", "overlay", "overlay", "-o", options, tmpfs / "overlay")
    yield tmpfs / "overlay"
    tool("umount", tmpfs / "overlay")


@pytest.mark.needs_root
def test_leases_of_other_file_systems_are_not_believed(overlay, freeze):
    (overlay / "disk.raw").write_bytes(b"content")
    with pytest.raises(UnsupportedError, match=r"cannot tell whether .* is in use"):
        freeze(overlay / "disk.raw").__enter__()


@pytest.mark.needs_root
def test_refusal_on_other_file_systems_names_those_that_are_believed(overlay, freeze):
    (overlay / "disk.raw").write_bytes(b"content")
    with pytest.raises(UnsupportedError) as raised:
        freeze(overlay / "disk.raw", no_reboot=True).__enter__()
    assert "XFS or btrfs" in str(raised.value.hint)


def test_lease_break_time_is_that_of_the_kernel():
    assert lease_break_seconds() == int(Path("/proc/sys/fs/lease-break-time").read_text())


def test_file_system_is_told_by_its_magic(disk):
    with disk.open("rb") as file:
        assert file_system_magic(file.fileno()) == 0x01021994


def test_file_system_of_a_closed_descriptor_is_an_error():
    with pytest.raises(OSError, match="Bad file descriptor"):
        file_system_magic(-1)


def test_sources_are_closed_when_one_of_them_is_wrong(disk, tmpfs):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(NotFoundError, match="nothing"):
        opened_sources([disk, tmpfs / "nothing"]).__enter__()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
