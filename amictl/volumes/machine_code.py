"""Tell for which processors the programs on a disk are, from the heads of ELF and PE files.

File systems begin a file at a block border, so heads are looked for at sector borders only. No
file system is parsed. Sources: ELF gABI, PE format specification.
"""

import struct
import sys
from collections import Counter
from collections.abc import Iterator

from amictl.volumes.partitions import SECTOR_BYTES

_ELF_MACHINES = {3: "i386", 62: "x86_64", 183: "arm64"}
_PE_MACHINES = {0x014C: "i386", 0x8664: "x86_64", 0xAA64: "arm64"}
_PE_KINDS = (0x10B, 0x20B)  # PE32, PE32+
_PE_EFI_SUBSYSTEMS = range(10, 14)  # application, boot driver, run-time driver, ROM
_FURTHEST_PE_HEADER = 4096

_ELF_HEAD = struct.Struct("<4sBBB9xHHI")  # magic, class, order, version, type, machine, version
_ELF_RUNNABLE = (2, 3)  # executable, shared object
_DOS_HEAD_BYTES = 64
_PE_OFFSET = struct.Struct("<60xI")
_PE_HEAD = struct.Struct("<4sH18xH66xH")  # magic, machine, kind, subsystem
_BEGINNINGS = {int.from_bytes(two, sys.byteorder): two for two in (b"\x7fE", b"MZ")}


def count_programs(piece: bytes) -> Counter[str]:
    """How many executables and libraries for each processor begin in a piece of a disk."""
    found: Counter[str] = Counter()
    for offset, beginning in _heads(piece):
        if beginning == b"MZ":
            machine, _ = _pe_machine(piece, offset)
        else:
            machine = _elf_machine(piece, offset)
        if machine is not None:
            found[machine] += 1
    return found


def count_efi_programs(piece: bytes) -> Counter[str]:
    """How many programs that firmware can start begin in a piece of an EFI system partition."""
    found: Counter[str] = Counter()
    for offset, beginning in _heads(piece):
        if beginning == b"MZ":
            machine, subsystem = _pe_machine(piece, offset)
            if machine is not None and subsystem in _PE_EFI_SUBSYSTEMS:
                found[machine] += 1
    return found


def _heads(piece: bytes) -> Iterator[tuple[int, bytes]]:
    """The offsets of sectors that begin as a program does, with their first two bytes."""
    whole = len(piece) // SECTOR_BYTES * SECTOR_BYTES
    beginnings = memoryview(piece)[:whole].cast("H")[:: SECTOR_BYTES // 2].tolist()
    for index, beginning in enumerate(beginnings):
        if beginning in _BEGINNINGS:
            yield index * SECTOR_BYTES, _BEGINNINGS[beginning]


def _elf_machine(piece: bytes, offset: int) -> str | None:
    magic, _, order, version, kind, machine, again = _ELF_HEAD.unpack_from(piece, offset)
    if magic != b"\x7fELF" or order != 1 or (version, again) != (1, 1):
        return None
    return _ELF_MACHINES.get(machine) if kind in _ELF_RUNNABLE else None


def _pe_machine(piece: bytes, offset: int) -> tuple[str | None, int]:
    """The processor and the subsystem; None when there is no such head."""
    (distance,) = _PE_OFFSET.unpack_from(piece, offset)
    start = offset + distance
    too_far = not _DOS_HEAD_BYTES <= distance <= _FURTHEST_PE_HEADER
    if too_far or start + _PE_HEAD.size > len(piece):
        return None, 0
    magic, machine, kind, subsystem = _PE_HEAD.unpack_from(piece, start)
    if magic != b"PE\0\0" or kind not in _PE_KINDS:
        return None, 0
    return _PE_MACHINES.get(machine), subsystem
