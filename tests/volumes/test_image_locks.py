"""QEMU's image locks, as real QEMU programs hold them."""

import pytest

from amictl.errors import SourceInUseError
from amictl.storage.disk import Disk
from amictl.volumes.image_locks import lock_as_reader, written_by_a_machine
from amictl.volumes.targets import ExistingTarget

pytestmark = pytest.mark.needs_tool("qemu-io")


@pytest.fixture
def disk(tmpfs):
    path = tmpfs / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.fixture
def descriptor(disk):
    with disk.open("rb") as file:
        yield file.fileno()


def test_image_that_nobody_uses_is_not_written(descriptor):
    assert not written_by_a_machine(descriptor)


def test_image_open_for_writing_is_written(disk, descriptor, open_with_qemu):
    open_with_qemu(disk)
    assert written_by_a_machine(descriptor)


def test_image_open_for_reading_is_not_written(disk, descriptor, open_with_qemu):
    open_with_qemu(disk, "-r")
    assert not written_by_a_machine(descriptor)


def test_disk_that_a_machine_only_reads_is_at_rest(disk, freeze, open_with_qemu):
    open_with_qemu(disk, "-r")
    with freeze(disk) as (frozen_disk,):
        assert frozen_disk.freeze.consistency == "at-rest"


def test_disk_of_a_running_machine_is_in_use(disk, freeze, open_with_qemu):
    open_with_qemu(disk)
    with pytest.raises(SourceInUseError):
        freeze(disk).__enter__()


def test_lock_of_a_machine_counts_where_the_lease_was_granted(disk, freeze):
    with disk.open("rb") as machine:
        hold_the_writers_lock(machine.fileno())
        with pytest.raises(SourceInUseError, match="virtual machine holds its image lock"):
            freeze(disk).__enter__()


def test_disk_refused_for_its_image_lock_is_not_left_under_a_lease(disk, freeze):
    with disk.open("rb") as machine:
        hold_the_writers_lock(machine.fileno())
        with pytest.raises(SourceInUseError):
            freeze(disk).__enter__()
    with disk.open("r+b") as writer:
        assert writer.write(b"x") == 1


def hold_the_writers_lock(descriptor: int) -> None:
    """As a machine does on another host, whose open files this kernel does not see."""
    import fcntl
    import struct

    request = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 101, 1, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)


def test_reader_who_locks_keeps_writing_machines_out(disk, descriptor, start):
    lock_as_reader(descriptor)
    assert b"lock" in start("qemu-io", "-f", "raw", "-c", "length", disk).end()


def test_reader_who_locks_lets_reading_machines_in(disk, descriptor, start):
    lock_as_reader(descriptor)
    assert start("qemu-io", "-r", "-f", "raw", "-c", "length", disk).end() == b"1 MiB\n"


@pytest.mark.parametrize("options", [[], ["-r"]])
def test_target_that_is_rewritten_keeps_all_machines_out(disk, tmp_path, start, options):
    target = ExistingTarget(disk, Disk(), tmp_path / "marks")
    opened = ["qemu-io", *options, "-f", "raw", "-c", "length", disk]
    try:
        assert b"lock" in start(*opened).end()
    finally:
        target.close()
    assert start(*opened).end() == b"1 MiB\n"


def test_lock_of_a_reader_is_no_sign_of_a_writer(disk, descriptor):
    with disk.open("rb") as other:
        lock_as_reader(other.fileno())
        assert not written_by_a_machine(descriptor)
