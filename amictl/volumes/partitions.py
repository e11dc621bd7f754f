"""Read the partition table of a disk: GPT, or MBR with its chain of logical partitions.

The table is a guest's, so it may say anything: what lies outside the disk is left out, counts and
chains have limits. Checksums are not asked for, because firmware differs in what it forgives.
Sources: UEFI specification 2.10, chapter 5; the classical master boot record.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SECTOR_BYTES = 512
EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
MICROSOFT_RESERVED = "e3c9e316-0b5c-4db8-817d-f92df00215ae"
LINUX_DATA = "0fc63daf-8483-4772-8e79-3d69d8477de4"
MBR_EFI_SYSTEM = "ef"

_PROTECTIVE = 0xEE
_EXTENDED = (0x05, 0x0F, 0x85)
_MOST_GPT_ENTRIES = 1024
_MOST_LOGICAL_PARTITIONS = 64
_BOOT_CODE_BYTES = 440
_BARE_FILE_SYSTEM = ((3, b"NTFS    "), (3, b"EXFAT   "), (54, b"FAT"), (82, b"FAT32"))

_MBR_ENTRY = struct.Struct("<B3xB3xII")  # status, type, first sector, sectors
_GPT_HEADER = struct.Struct("<8s64xQII")  # signature, first sector, count and size of the entries
_GPT_ENTRY = struct.Struct("<16s16xQQ")  # type, first and last sector
_GUID = struct.Struct("<IHH2s6s")


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of the disk, in bytes. `type` is a GUID (GPT) or two hex digits (MBR), lower case."""

    start: int
    size_bytes: int
    type: str
    active: bool


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """`scheme` is gpt, mbr, or None where there is no table; then there are no partitions."""

    scheme: str | None
    partitions: tuple[Partition, ...]
    has_boot_code: bool


def read_partition_table(descriptor: int, size_bytes: int) -> PartitionTable:
    """Never raises for what the disk says; raises OSError when it cannot be read."""
    sector = os.pread(descriptor, SECTOR_BYTES, 0)
    if not _is_boot_record(sector):
        return PartitionTable(None, (), has_boot_code=False)
    has_boot_code = any(sector[:_BOOT_CODE_BYTES])
    entries = _boot_record_entries(sector)
    if any(kind == _PROTECTIVE for _, kind, _, _ in entries):
        for sector_bytes in (512, 4096):
            found = _gpt_partitions(descriptor, size_bytes, sector_bytes)
            if found is not None:
                return PartitionTable("gpt", tuple(found), has_boot_code)
    if not all(status in (0, 0x80) for status, _, _, _ in entries):
        return PartitionTable(None, (), has_boot_code=False)
    partitions = tuple(_mbr_partitions(descriptor, size_bytes, entries))
    return PartitionTable("mbr" if partitions else None, partitions, has_boot_code)


def _is_boot_record(sector: bytes) -> bool:
    if len(sector) < SECTOR_BYTES or sector[510:] != b"\x55\xaa":
        return False
    return not any(sector[at:].startswith(name) for at, name in _BARE_FILE_SYSTEM)


def _boot_record_entries(sector: bytes) -> list[tuple[int, int, int, int]]:
    """Status, type, first sector and sectors of the four entries."""
    return list(_MBR_ENTRY.iter_unpack(sector[446:510]))


def _mbr_partitions(
    descriptor: int, size_bytes: int, entries: list[tuple[int, int, int, int]]
) -> Iterator[Partition]:
    for status, kind, first, count in entries:
        if kind in _EXTENDED:
            yield from _logical_partitions(descriptor, size_bytes, first)
        elif kind not in (0, _PROTECTIVE):
            yield from _inside(
                size_bytes,
                Partition(first * SECTOR_BYTES, count * SECTOR_BYTES, f"{kind:02x}", status != 0),
            )


def _logical_partitions(descriptor: int, size_bytes: int, first: int) -> Iterator[Partition]:
    """Each record of the chain describes one partition and says where the next record is."""
    record = first
    for _ in range(_MOST_LOGICAL_PARTITIONS):
        sector = os.pread(descriptor, SECTOR_BYTES, record * SECTOR_BYTES)
        if not _is_boot_record(sector):
            return
        (status, kind, start, count), (_, next_kind, next_record, _), *_ = _boot_record_entries(
            sector
        )
        if kind != 0:
            partition_start = (record + start) * SECTOR_BYTES
            yield from _inside(
                size_bytes,
                Partition(partition_start, count * SECTOR_BYTES, f"{kind:02x}", status == 0x80),
            )
        if next_kind not in _EXTENDED:
            return
        record = first + next_record


def _gpt_partitions(descriptor: int, size_bytes: int, sector_bytes: int) -> list[Partition] | None:
    """None when there is no GPT with sectors of this size."""
    header = os.pread(descriptor, _GPT_HEADER.size, sector_bytes)
    if len(header) < _GPT_HEADER.size:
        return None
    signature, first, count, entry_bytes = _GPT_HEADER.unpack(header)
    if signature != b"EFI PART" or not 128 <= entry_bytes <= 4096:
        return None
    start = first * sector_bytes
    if start >= size_bytes:
        return []
    table = os.pread(descriptor, min(count, _MOST_GPT_ENTRIES) * entry_bytes, start)
    found: list[Partition] = []
    for offset in range(0, len(table) - entry_bytes + 1, entry_bytes):
        kind, first, last = _GPT_ENTRY.unpack_from(table, offset)
        if any(kind):
            size = (last - first + 1) * sector_bytes
            found.extend(
                _inside(
                    size_bytes, Partition(first * sector_bytes, size, _guid(kind), active=False)
                )
            )
    return found


def _guid(data: bytes) -> str:
    first, second, third, fourth, fifth = _GUID.unpack(data)
    return f"{first:08x}-{second:04x}-{third:04x}-{fourth.hex()}-{fifth.hex()}"


def _inside(disk_bytes: int, partition: Partition) -> Iterator[Partition]:
    """The partition, cut off at the end of the disk; nothing when nothing is left."""
    size = min(partition.size_bytes, disk_bytes - partition.start)
    if partition.start > 0 and size > 0:
        yield Partition(partition.start, size, partition.type, partition.active)
