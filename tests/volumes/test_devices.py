"""Block devices: held exclusively, refused when something else holds them."""

import fcntl
import os
import struct
from pathlib import Path

import pytest

from amictl.errors import SourceChangedError, SourceInUseError, UnsupportedError, UsageError
from amictl.volumes.claims import claim
from amictl.volumes.private_copies import private_copy
from amictl.volumes.sources import opened_sources

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_tool("losetup")]


def test_device_at_rest_is_held_exclusively(loop_device, freeze):
    with freeze(loop_device) as (frozen_disk,):
        assert (frozen_disk.freeze.method, frozen_disk.freeze.consistency) == (
            "exclusive",
            "at-rest",
        )


def test_device_is_as_long_as_the_kernel_says(loop_device, freeze):
    with freeze(loop_device) as (frozen_disk,):
        assert frozen_disk.size_bytes == 32 << 20


def test_device_is_read(loop_device, freeze, read_all):
    with freeze(loop_device) as (frozen_disk,):
        assert read_all(frozen_disk) == b"d" * (32 << 20)


def test_nobody_else_opens_a_frozen_device_exclusively(loop_device, freeze):
    with freeze(loop_device), pytest.raises(OSError, match="busy"):
        os.open(loop_device, os.O_RDONLY | os.O_EXCL)


def test_device_is_let_go_after_reading(loop_device, freeze):
    with freeze(loop_device) as (frozen_disk,):
        frozen_disk.finish_reading()
        os.close(os.open(loop_device, os.O_RDONLY | os.O_EXCL))


def test_device_that_is_read_undisturbed_is_secured(loop_device, freeze, read_all):
    with freeze(loop_device) as (frozen_disk,):
        read_all(frozen_disk)
        frozen_disk.finish_reading()
        assert frozen_disk.secured


def test_device_that_somebody_writes_to_meanwhile_has_changed(loop_device, freeze, tool):
    with freeze(loop_device) as (frozen_disk,):
        tool("dd", "if=/dev/zero", f"of={loop_device}", "bs=4096", "count=1", "conv=notrunc")
        with pytest.raises(SourceChangedError, match="written to"):
            frozen_disk.finish_reading()


def test_unflushed_writes_of_others_count_as_changes(loop_device, freeze):
    with loop_device.open("r+b", buffering=0) as writer, freeze(loop_device) as (frozen_disk,):
        writer.write(b"x" * 4096)
        with pytest.raises(SourceChangedError, match="written to"):
            frozen_disk.finish_reading()


def test_unflushed_writes_from_before_are_no_change(loop_device, freeze):
    with loop_device.open("r+b", buffering=0) as writer:
        writer.write(b"x" * 4096)
        with freeze(loop_device) as (frozen_disk,):
            frozen_disk.finish_reading()
            assert frozen_disk.secured


def test_device_held_by_somebody_else_is_in_use(loop_device, freeze):
    holder = os.open(loop_device, os.O_RDONLY | os.O_EXCL)
    try:
        with pytest.raises(SourceInUseError, match="something else holds it"):
            freeze(loop_device).__enter__()
    finally:
        os.close(holder)


@pytest.fixture
def mounted_device(loop_device: Path, tmp_path: Path, tool):
    (tmp_path / "mount").mkdir()
    tool("mkfs.ext4", "-q", "-F", loop_device)
    tool("mount", loop_device, tmp_path / "mount")
    yield loop_device
    tool("umount", tmp_path / "mount")


def test_mounted_device_is_in_use(mounted_device, freeze):
    with pytest.raises(SourceInUseError, match="mounted"):
        freeze(mounted_device).__enter__()


def test_mounted_device_is_refused_with_no_reboot(mounted_device, freeze):
    with pytest.raises(SourceInUseError) as raised:
        freeze(mounted_device, no_reboot=True).__enter__()
    assert "LVM" in str(raised.value.hint)


@pytest.mark.parametrize("method", ["reflink", "lease"])
def test_methods_of_files_are_refused(loop_device, freeze, method):
    with pytest.raises(UnsupportedError, match=f"cannot be frozen by {method}"):
        freeze(loop_device, method=method).__enter__()


def test_device_is_copied_when_asked_for(loop_device, tmpfs, freeze, read_all):
    with freeze(loop_device, method="copy", staging=tmpfs) as (frozen_disk,):
        assert (frozen_disk.freeze.method, frozen_disk.secured) == ("copy", True)
        assert read_all(frozen_disk) == b"d" * (32 << 20)


def test_device_is_never_taken_for_unchanged(loop_device, freeze):
    with freeze(loop_device) as (first,):
        first.finish_reading()
    with freeze(loop_device) as (second,):
        second.finish_reading()
    assert first.identity != second.identity


def test_device_under_two_names_is_refused(loop_device, tmpfs, freeze):
    (tmpfs / "link").symlink_to(loop_device)
    with pytest.raises(UsageError, match="the same disk"):
        freeze(loop_device, tmpfs / "link").__enter__()


@pytest.mark.needs_tool("qemu-io")
def test_device_of_a_virtual_machine_is_in_use(loop_device, freeze, open_with_qemu):
    open_with_qemu(loop_device)
    with pytest.raises(SourceInUseError, match="virtual machine"):
        freeze(loop_device).__enter__()


def test_device_whose_image_lock_somebody_holds_alone_is_in_use(loop_device, freeze):
    with loop_device.open("r+b") as holder:
        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 100, 1, 0)
        fcntl.fcntl(holder.fileno(), fcntl.F_OFD_SETLK, request)
        with pytest.raises(SourceInUseError, match="image lock"):
            freeze(loop_device).__enter__()


@pytest.mark.needs_tool("qemu-io")
def test_no_virtual_machine_opens_a_device_that_is_held(loop_device, freeze, start):
    with freeze(loop_device):
        machine = start("qemu-io", "-f", "raw", "-c", "length", loop_device)
        assert b"lock" in machine.end()


@pytest.mark.needs_tool("qemu-io")
def test_virtual_machine_opens_a_device_that_was_let_go(loop_device, freeze, start):
    with freeze(loop_device) as (frozen_disk,):
        frozen_disk.finish_reading()
        machine = start("qemu-io", "-f", "raw", "-c", "length", loop_device)
        assert machine.end() == b"32 MiB\n"


def test_device_that_somebody_writes_to_while_it_is_copied_has_changed(loop_device, tmpfs, tool):
    with opened_sources([loop_device]) as (source,):
        held = claim(source)
        tool("dd", "if=/dev/zero", f"of={loop_device}", "bs=4096", "count=1", "conv=notrunc")
        with pytest.raises(SourceChangedError, match="written to"):
            private_copy(source, held, tmpfs)
        held.release()
