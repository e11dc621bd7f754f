"""Partition tables, as real programs write them and as no program would."""

import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from amictl.volumes.partitions import (
    EFI_SYSTEM,
    LINUX_DATA,
    Partition,
    PartitionTable,
    read_partition_table,
)

SIZE = 64 << 20
MIB = 1 << 20


def table_of(path: Path) -> PartitionTable:
    with path.open("rb") as file:
        return read_partition_table(file.fileno(), path.stat().st_size)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


@pytest.mark.needs_tool("sfdisk")
def test_gpt_partitions_are_read(disk, tool):
    tool("sfdisk", disk, text="label: gpt\nstart=2048, size=4096, type=U\nsize=8192, type=L\n")
    assert table_of(disk) == PartitionTable(
        "gpt",
        (
            Partition(MIB, 2 * MIB, EFI_SYSTEM, active=False),
            Partition(3 * MIB, 4 * MIB, LINUX_DATA, active=False),
        ),
        has_boot_code=False,
    )


@pytest.mark.needs_tool("sfdisk")
def test_mbr_partitions_are_read(disk, tool):
    tool("sfdisk", disk, text="label: dos\nstart=63, size=4096, type=83, bootable\n")
    assert table_of(disk) == PartitionTable(
        "mbr", (Partition(63 * 512, 2 * MIB, "83", active=True),), has_boot_code=False
    )


@pytest.mark.needs_tool("sfdisk")
def test_logical_partitions_are_read(disk, tool):
    extended = "start=2048, size=65536, type=5"
    logical = "start=4096, size=4096, type=83\nsize=6144, type=7"
    tool("sfdisk", disk, text=f"label: dos\n1: {extended}\n5: {logical}\n")
    assert [(part.type, part.size_bytes) for part in table_of(disk).partitions] == [
        ("83", 2 * MIB),
        ("07", 3 * MIB),
    ]


@pytest.mark.needs_tool("mkfs.ext4")
def test_bare_file_system_has_no_table(disk, tool):
    tool("mkfs.ext4", "-q", "-F", disk)
    assert table_of(disk).scheme is None


@pytest.mark.needs_tool("mkfs.vfat")
def test_bare_fat_file_system_has_no_table_although_it_has_a_boot_record(disk, tool):
    tool("mkfs.vfat", disk)
    assert table_of(disk).scheme is None


def test_gpt_with_sectors_of_4096_bytes_is_read(disk):
    write(disk, 0, protective_record())
    write(disk, 4096, gpt_header(first=2, count=4, entry_bytes=128))
    write(disk, 8192, gpt_entry(256, 511))
    assert table_of(disk).partitions == (
        Partition(256 * 4096, 256 * 4096, LINUX_DATA, active=False),
    )


def test_boot_code_is_noticed(disk):
    write(disk, 0, b"\xfa\xb8" + protective_record()[2:])
    write(disk, 512, gpt_header(first=2, count=4, entry_bytes=128))
    assert table_of(disk).has_boot_code


def test_partition_that_leaves_the_disk_is_cut_off(disk):
    write(disk, 0, boot_record((0, 0x83, 2048, 0xFFFFFFFF)))
    assert table_of(disk).partitions == (Partition(MIB, SIZE - MIB, "83", active=False),)


def test_partition_outside_the_disk_is_left_out(disk):
    write(disk, 0, boot_record((0, 0x83, 0xFFFFFFF0, 2048)))
    assert table_of(disk).partitions == ()


def test_partition_over_the_table_is_left_out(disk):
    write(disk, 0, boot_record((0, 0x83, 0, 2048)))
    assert table_of(disk).partitions == ()


def test_partition_that_ends_before_it_begins_is_left_out(disk):
    write(disk, 0, protective_record())
    write(disk, 512, gpt_header(first=2, count=4, entry_bytes=128))
    write(disk, 1024, gpt_entry(4096, 2048))
    assert table_of(disk).partitions == ()


def test_record_with_an_impossible_status_is_no_table(disk):
    write(disk, 0, boot_record((0x17, 0x83, 2048, 2048)))
    assert table_of(disk).scheme is None


def test_chain_of_logical_partitions_that_leads_to_itself_ends(disk):
    write(disk, 0, boot_record((0, 5, 2048, 8192)))
    write(disk, MIB, boot_record((0, 0x83, 2048, 2048), (0, 5, 0, 8192)))
    assert len(table_of(disk).partitions) == 64


def test_gpt_with_more_entries_than_anybody_has_is_cut_off(disk):
    write(disk, 0, protective_record())
    write(disk, 512, gpt_header(first=2, count=0xFFFFFFFF, entry_bytes=128))
    write(disk, 1024, gpt_entry(4096, 8191) * 5000)
    assert len(table_of(disk).partitions) == 1024


@pytest.mark.parametrize("entry_bytes", [0, 1, 127, 4097, 0xFFFFFFFF])
def test_gpt_with_entries_of_a_wrong_size_is_none(disk, entry_bytes):
    write(disk, 0, protective_record())
    write(disk, 512, gpt_header(first=2, count=128, entry_bytes=entry_bytes))
    assert table_of(disk).scheme is None


def test_gpt_whose_entries_are_outside_the_disk_has_none(disk):
    write(disk, 0, protective_record())
    write(disk, 512, gpt_header(first=(1 << 64) - 1, count=128, entry_bytes=128))
    assert table_of(disk) == PartitionTable("gpt", (), has_boot_code=False)


RECORD = st.builds(
    lambda entries: boot_record(*entries),
    st.lists(
        st.tuples(
            st.sampled_from([0, 0x80]),
            st.sampled_from([0, 5, 7, 0x83, 0xEE, 0xEF]),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 64),
            st.integers(0, 0xFFFFFFFF),
        ),
        max_size=4,
    ),
)
HEADER = st.builds(
    lambda first, count, size: gpt_header(first=first, count=count, entry_bytes=size),
    st.integers(0, (1 << 64) - 1) | st.integers(0, 8),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF) | st.just(128),
)
SECTOR = st.binary(min_size=512, max_size=512) | RECORD | HEADER.map(lambda head: head.ljust(512))


@settings(max_examples=300)
@given(st.lists(SECTOR, min_size=1, max_size=12))
@example([b""])
@example([b"\xff" * 511])
def test_any_table_gives_partitions_inside_the_disk(tmp_path_factory, sectors):
    path = tmp_path_factory.mktemp("table") / "disk.raw"
    path.write_bytes(b"".join(sectors))
    size = path.stat().st_size
    parts = table_of(path).partitions
    assert all(0 < part.start < part.start + part.size_bytes <= size for part in parts)


# --- pieces of tables --------------------------------------------------------------------------


def write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def boot_record(*entries: tuple[int, int, int, int]) -> bytes:
    """`entries`: status, type, first sector, sectors."""
    packed = b"".join(struct.pack("<B3xB3xII", *entry) for entry in entries)
    return bytes(446) + packed.ljust(64, b"\0") + b"\x55\xaa"


def protective_record() -> bytes:
    return boot_record((0, 0xEE, 1, 0xFFFFFFFF))


def gpt_header(*, first: int, count: int, entry_bytes: int) -> bytes:
    return struct.pack("<8s64xQII", b"EFI PART", first, count, entry_bytes)


def gpt_entry(first: int, last: int) -> bytes:
    kind = bytes.fromhex("af3dc60f838472478e793d69d8477de4")
    return struct.pack("<16s16xQQ80x", kind, first, last)
