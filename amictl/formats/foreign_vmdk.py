"""Headers of vmdk, the format of VMware: disks that are one file, sparse or optimised for streams.

Source: VMware's Virtual Disk Format 5.0. All numbers are little-endian.
"""

import re
from array import array

from amictl.formats.foreign_header import SECTOR_SIZE, ForeignDisk, ForeignFile, shown

_SPARSE, _OLD_SPARSE = b"KDMV", b"COWD"
_HEADER = "<4sIIQQQQIQQQB4sH"
_DESCRIPTOR_SECTORS_MAX = 2048
_GRAIN_SECTORS = range(1, 2049)
_ENTRIES = range(1, 4097)
_GRAIN_TABLES_BYTES_MAX = 32 << 20
_PACKED = 1 << 16
_AT_END = 2**64 - 1
_FOOTER_BYTES = 1536
_LINES_MAX = 1000
_WORD = re.compile(rb'\s*([A-Za-z.]+)\s*=\s*"?([^"\r\n]*?)"?\s*')
_EXTENT = re.compile(rb"\s*(RW|RDONLY|NOACCESS)\s+([0-9]{1,19})\s+([A-Z]+)(\s.*)?")
_WHOLE = "qemu-img convert -O vmdk -o subformat=streamOptimized DESCRIPTOR NEWFILE; import that"


def look_at(file: ForeignFile) -> ForeignDisk:
    """Refuses whatever is in more than one file, or has a parent.

    Raises UnsupportedError, CorruptStoreError.
    """
    magic = file.take(0, 4, "header")
    if magic == _OLD_SPARSE:
        raise file.refused("is a disk of ESX 2, an old format", _WHOLE)
    if magic != _SPARSE:
        raise file.refused(
            f"is a text that leads to other files, {_extents_of(file)}, which are not opened",
            _WHOLE,
        )
    sectors, tables_at, packed = _looked_at(file, 0)
    if tables_at == _AT_END:
        if file.size_bytes < 2 * _FOOTER_BYTES:
            raise file.broken("its footer is missing; it may have been truncated")
        footer = file.size_bytes - _FOOTER_BYTES + SECTOR_SIZE
        if file.take(footer, 4, "footer") != _SPARSE:
            raise file.broken("its footer is missing; it may have been truncated")
        if _looked_at(file, footer)[0] != sectors:
            raise file.broken("its header and its footer are of disks of different sizes")
    disk_size = file.require_disk_size(sectors * SECTOR_SIZE)
    # Of packed grains QEMU reads more than there is, and finds by itself what is missing of them.
    return ForeignDisk("VMDK", "vmdk", disk_size, ends_early=not packed and tables_at != _AT_END)


def _looked_at(file: ForeignFile, offset: int) -> tuple[int, int, bool]:
    """Sectors of the disk, where the tables begin, and whether grains are packed.

    Of a header, or of the footer at `offset`.
    """
    fields = file.fields(_HEADER, offset, "header")
    _, version, flags, sectors, grain, described_at, described, entries = fields[:8]
    tables_at = fields[9]
    if version not in (1, 2, 3):
        raise file.refused(f"is of version {version} of vmdk, which is unknown", _WHOLE)
    if sectors == 0:
        raise file.refused("is a frame for other files, which are not opened", _WHOLE)
    if grain not in _GRAIN_SECTORS or grain & (grain - 1):
        raise file.broken(f"its grains have {grain} sectors")
    if entries not in _ENTRIES:
        raise file.broken(f"its tables have {entries} entries")
    file.require_disk_size(sectors * SECTOR_SIZE)
    tables_bytes = -(-sectors // (grain * entries)) * 4
    if tables_bytes > _GRAIN_TABLES_BYTES_MAX:
        raise file.broken(f"it would need {tables_bytes} bytes of tables of tables")
    if tables_at != _AT_END:
        tables = array("I", file.take(tables_at * SECTOR_SIZE, tables_bytes, "table of tables"))
        file.require_inside(max(tables) * SECTOR_SIZE, entries * 4, "last table")
    if offset == 0:
        _require_alone(file, described_at, described)
    return sectors, tables_at, bool(flags & _PACKED)


def _require_alone(file: ForeignFile, described_at: int, described: int) -> None:
    """The text inside must be of a disk that is this file and no other."""
    if not described_at or not described:
        raise file.refused("is a part of a disk in several files", _WHOLE)
    if described > _DESCRIPTOR_SECTORS_MAX:
        raise file.broken(f"its description has {described} sectors")
    text = file.take(described_at * SECTOR_SIZE, described * SECTOR_SIZE, "description")
    words, extents = _read(text.split(b"\0", 1)[0])
    kind = words.get(b"createtype", b"")
    if words.get(b"parentcid", b"ffffffff").lower() != b"ffffffff":
        hint = words.get(b"parentfilenamehint", b"")
        raise file.refused(f"needs its parent, {shown(hint)}, which is not opened", _WHOLE)
    if b"parentfilenamehint" in words:
        hint = words[b"parentfilenamehint"]
        raise file.refused(f"names a parent, {shown(hint)}, which is not opened", _WHOLE)
    if kind.lower() not in (b"monolithicsparse", b"streamoptimized"):
        raise file.refused(f"is of the kind {shown(kind)}, which is not one file", _WHOLE)
    if len(extents) != 1 or extents[0][0] != b"SPARSE":
        names = ", ".join(shown(name) for _, name in extents[:4])
        raise file.refused(f"has other extents than itself: {names or 'none'}", _WHOLE)


def _extents_of(file: ForeignFile) -> str:
    """The names of the files that a description on its own leads to, for a message."""
    text = file.take(0, min(file.size_bytes, SECTOR_SIZE * _DESCRIPTOR_SECTORS_MAX), "description")
    _, extents = _read(text)
    return ", ".join(shown(name) for _, name in extents[:4]) or "none of which it names"


def _read(text: bytes) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]]]:
    """Words by lower-case name, and kind and name of each extent, of the first lines."""
    words: dict[bytes, bytes] = {}
    extents = []
    for line in text.split(b"\n", _LINES_MAX)[:_LINES_MAX]:
        line = line[:1000]
        if extent := _EXTENT.fullmatch(line.rstrip(b"\r")):
            name = (extent[4] or b"").split(b'"')
            extents.append((extent[3], name[1] if len(name) > 1 else name[0].strip()))
        elif word := _WORD.fullmatch(line):
            words.setdefault(word[1].lower(), word[2])
    return words, extents
