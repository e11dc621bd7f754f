"""Find out from a raw disk what a register request says of it: processor, firmware, Windows.

Nothing is mounted and no file system is parsed: the partition table, the boot code and the heads
of programs are looked at. What is on the disk comes from a guest; whatever it is, the answer is
facts or None, after a limited number of reads.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from amictl.volumes.holes import next_data
from amictl.volumes.machine_code import count_efi_programs, count_programs
from amictl.volumes.partitions import (
    BIOS_BOOT,
    EFI_SYSTEM,
    LINUX_DATA,
    MBR_EFI_SYSTEM,
    MICROSOFT_RESERVED,
    SECTOR_BYTES,
    Partition,
    PartitionTable,
    read_partition_table,
)

_PIECE_BYTES = 4 << 20
_MOST_PIECES = 48
_MOST_EFI_PIECES = 16
_MOST_PARTITIONS = 4
_ENOUGH_PROGRAMS = 24
_NTFS_BOOT_BYTES = 8192
_EFI_TYPES = (EFI_SYSTEM, MBR_EFI_SYSTEM)
_MBR_NTFS = "07"


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """What was found out; None where nothing was. The words are EC2's.

    `architecture` is x86_64, arm64 or i386; `boot_mode` legacy-bios, uefi or uefi-preferred;
    `platform` windows.
    """

    architecture: str | None
    boot_mode: str | None
    platform: str | None


def inspect_disk(descriptor: int, size_bytes: int) -> DiskFacts:
    """Reads at most 256 MiB, seldom more than 12. Raises OSError when the disk cannot be read."""
    table = read_partition_table(descriptor, size_bytes)
    efi = _efi_programs(descriptor, table)
    windows = _is_windows(descriptor, table)
    return DiskFacts(
        _architecture(descriptor, size_bytes, table, efi),
        _boot_mode(table, has_efi_programs=bool(efi), windows=windows),
        "windows" if windows else None,
    )


def _boot_mode(table: PartitionTable, *, has_efi_programs: bool, windows: bool) -> str | None:
    if table.scheme is None:
        return None
    bios = table.has_boot_code or any(
        part.active or part.type == BIOS_BOOT for part in table.partitions
    )
    if windows and table.scheme == "gpt":
        bios = False  # Windows puts boot code before every GPT, but starts from none that way
    if has_efi_programs:
        return "uefi-preferred" if bios else "uefi"
    return "legacy-bios" if bios else None


def _architecture(
    descriptor: int, size_bytes: int, table: PartitionTable, efi: Counter[str]
) -> str | None:
    """What firmware starts, if for one 64-bit processor only; else what most programs are for."""
    if len(efi) == 1 and "i386" not in efi:
        return _most_common(efi)
    parts = [part for part in table.partitions if part.type not in _EFI_TYPES]
    parts = sorted(parts, key=lambda part: -part.size_bytes)[:_MOST_PARTITIONS]
    if table.scheme is None:
        parts = [Partition(0, size_bytes, "", active=False)]
    found: Counter[str] = Counter()
    for part in parts:
        for piece in _pieces(descriptor, part, _MOST_PIECES // len(parts)):
            found += count_programs(piece)
            if found.total() >= _ENOUGH_PROGRAMS and max(found.values()) > found.total() * 0.9:
                return _most_common(found)
    return _most_common(found) or _most_common(efi)


def _most_common(found: Counter[str]) -> str | None:
    return max(found, key=found.__getitem__) if found else None


def _efi_programs(descriptor: int, table: PartitionTable) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in table.partitions:
        if part.type in _EFI_TYPES:
            for piece in _in_order(descriptor, part, _MOST_EFI_PIECES):
                found += count_efi_programs(piece)
            break
    return found


def _is_windows(descriptor: int, table: PartitionTable) -> bool:
    """Whether Windows starts from this disk; that there is NTFS on it is not enough."""
    if table.scheme == "mbr":
        return any(
            part.active and _starts_windows(descriptor, part)
            for part in table.partitions
            if part.type == _MBR_NTFS
        )
    types = {part.type for part in table.partitions}
    return {EFI_SYSTEM, MICROSOFT_RESERVED} <= types and LINUX_DATA not in types


def _starts_windows(descriptor: int, part: Partition) -> bool:
    """Whether the NTFS boot code loads Windows (Linux formats with code that only complains)."""
    head = os.pread(descriptor, min(_NTFS_BOOT_BYTES, part.size_bytes), part.start)
    loaders = (b"BOOTMGR", "BOOTMGR".encode("utf-16-le"), "NTLDR".encode("utf-16-le"), b"NTLDR")
    return head[3:11] == b"NTFS    " and any(loader in head for loader in loaders)


def _pieces(descriptor: int, part: Partition, most: int) -> Iterator[bytes]:
    """At most `most` pieces of data: half of them spread over the partition, then from its start.

    The second half finds what a sparse disk holds, when the first half met holes.
    """
    seen = set()
    for index in range(most // 2):
        position = part.start + part.size_bytes * _reversed_bits(index) // 256
        data = _data_in(descriptor, part, position)
        if data is not None and data[0] not in seen:
            seen.add(data[0])
            yield os.pread(descriptor, data[1] - data[0], data[0])
    yield from _in_order(descriptor, part, most - most // 2)


def _in_order(descriptor: int, part: Partition, most: int) -> Iterator[bytes]:
    """The first `most` pieces of data of the partition."""
    position = part.start
    for _ in range(most):
        data = _data_in(descriptor, part, position)
        if data is None:
            return
        yield os.pread(descriptor, data[1] - data[0], data[0])
        position = data[1]


def _reversed_bits(index: int) -> int:
    """The eight bits of `index` in reverse: 0, 128, 64, 192 … fill a range ever more densely."""
    return int(f"{index:08b}"[::-1], 2)


def _data_in(descriptor: int, part: Partition, position: int) -> tuple[int, int] | None:
    """As `next_data`, from the border of a sector on, where a program could begin."""
    position -= position % SECTOR_BYTES
    return next_data(descriptor, position, part.start + part.size_bytes, _PIECE_BYTES)
