"""Footers and headers of vhd, the format of Virtual PC and Hyper-V.

Source: Microsoft's Virtual Hard Disk Image Format Specification 1.0. All numbers are big-endian.
"""

import struct

from amictl.formats.foreign_header import SECTOR_SIZE, ForeignDisk, ForeignFile

COOKIE = b"conectix"
FOOTER_SIZE = 512
_FOOTER = ">8sIIQI4sIIQQHBBII16sB"
_CHECKSUM_AT = 64
_DYNAMIC_SIZE = 1024
_DYNAMIC = ">8sQQIIII"
_DYNAMIC_CHECKSUM_AT = 36
_FIXED, _DYNAMIC_KIND, _DIFFERENCING = 2, 3, 4
_ENTRIES_MAX = 2 << 20
_MERGE = "merge it with its parents on the machine that made it (Merge-VHD), and import that"


def look_at(file: ForeignFile) -> ForeignDisk:
    """The footer counts; a disk that grows has a copy of it at the beginning.

    The size is the one in the footer, whatever its cylinders, heads and sectors make of it. Raises
    UnsupportedError, CorruptStoreError.
    """
    if file.size_bytes < FOOTER_SIZE:
        raise file.broken("it is shorter than its footer")
    footer = file.take(file.size_bytes - FOOTER_SIZE, FOOTER_SIZE, "footer")
    if not footer.startswith(COOKIE):
        raise file.broken("its footer is missing; it may have been truncated")
    if not is_footer(footer):
        raise file.broken("the checksum of its footer is wrong")
    fields = struct.unpack_from(_FOOTER, footer)
    data_offset, size, kind = fields[3], fields[9], fields[13]
    if kind == _DIFFERENCING:
        raise file.refused("holds only differences to a parent, which is not opened", _MERGE)
    if kind not in (_FIXED, _DYNAMIC_KIND):
        raise file.broken(f"its kind is {kind}")
    if size % SECTOR_SIZE:
        raise file.broken(f"its disk has {size} bytes, which are no whole sectors")
    disk_size = file.require_disk_size(size)
    if kind == _FIXED and size + FOOTER_SIZE > file.size_bytes:
        raise file.broken(f"its disk has {size} bytes, and the file is too short for that")
    if kind == _DYNAMIC_KIND:
        _require_tables(file, data_offset, size)
    # Not the geometry: programs that count in it would lose the end of the disk.
    return ForeignDisk("VHD", "vpc", disk_size, (("force_size_calc", "current_size"),))


def is_footer(footer: bytes) -> bool:
    """Whether these 512 bytes add up to be a footer."""
    return len(footer) == FOOTER_SIZE and footer.startswith(COOKIE) and _adds_up(footer, 64)


def _adds_up(data: bytes, at: int) -> bool:
    (checksum,) = struct.unpack_from(">I", data, at)
    return bool(checksum == ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF)


def _require_tables(file: ForeignFile, offset: int, size: int) -> None:
    """Raises CorruptStoreError unless the header of a disk that grows and its table are there."""
    first = file.take(0, FOOTER_SIZE, "header")
    if not is_footer(first) or struct.unpack_from(_FOOTER, first)[9] != size:
        raise file.broken("the copy of its footer at its beginning is another one")
    header = file.take(offset, _DYNAMIC_SIZE, "header")
    cookie, _, table, _, entries, block_size, _ = struct.unpack_from(_DYNAMIC, header)
    if cookie != b"cxsparse" or not _adds_up(header, _DYNAMIC_CHECKSUM_AT):
        raise file.broken("the header behind its footer is wrong")
    if block_size < SECTOR_SIZE or block_size > 64 << 20 or block_size & (block_size - 1):
        raise file.broken(f"its blocks have {block_size} bytes")
    if entries > _ENTRIES_MAX or entries * block_size < size:
        raise file.broken(f"its table has {entries} entries")
    file.require_inside(table, entries * 4, "table")
