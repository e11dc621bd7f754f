"""Headers of qcow2, the format of QEMU.

Source: docs/interop/qcow2.txt of QEMU. All numbers are big-endian.
"""

from amictl.formats.foreign_header import SECTOR_SIZE, ForeignDisk, ForeignFile, shown

_HEADER = ">4sIQIIQIIQQIIQ"
_FEATURES = ">QQQII"
_FEATURES_OFFSET = 72
_OLD_HEADER_SIZE = 72
_CLUSTER_BITS = range(9, 22)
_L1_BYTES_MAX = 32 << 20
_NAME_MAX = 1023
_EXTENSION = ">II"
_EXTENSIONS_MAX = 64
_DATA_FILE, _ENCRYPTION = 0x44415441, 0x0537BE77
_DIRTY, _CORRUPT, _EXTERNAL_DATA, _COMPRESSION, _LONG_L2 = 1, 2, 4, 8, 16
_FLATTEN = "qemu-img convert -O qcow2 FILE NEWFILE makes one that stands alone; import that"


def look_at(file: ForeignFile) -> ForeignDisk:
    """Refuses whatever would lead QEMU to another file, or need a secret.

    Raises UnsupportedError, CorruptStoreError.
    """
    fields = file.fields(_HEADER, 0, "header")
    _, version, backing, backing_length, cluster_bits, size, encryption = fields[:7]
    l1_entries, l1_offset, _, _, snapshots, _ = fields[7:]
    if version not in (2, 3):
        raise file.refused(f"is of version {version} of qcow2, which is unknown", _FLATTEN)
    if backing or backing_length:
        name = b""
        if backing_length <= _NAME_MAX and backing + backing_length <= file.size_bytes:
            name = file.take(backing, backing_length, "backing file's name")
        raise file.refused(f"needs another file, {shown(name)}, which is not opened", _FLATTEN)
    if encryption:
        raise file.refused(
            f"is encrypted ({'LUKS' if encryption == 2 else 'AES'})",
            "qemu-img convert opens it with the right --object secret,...; import what it writes",
        )
    if snapshots:
        raise file.refused(
            f"has {snapshots} snapshots inside, of which only the current state would be read",
            "remove them from a copy: qemu-img snapshot -l FILE, then -d NAME; import that",
        )
    if cluster_bits not in _CLUSTER_BITS:
        raise file.broken(f"its clusters have 2^{cluster_bits} bytes")
    _require_known_features(file, version, 1 << cluster_bits)
    sectors = -(-size // SECTOR_SIZE)
    disk_size = file.require_disk_size(sectors * SECTOR_SIZE)
    if l1_entries * 8 > _L1_BYTES_MAX:
        raise file.broken(f"its first table has {l1_entries} entries")
    file.require_inside(l1_offset, l1_entries * 8, "first table")
    return ForeignDisk("QCOW2", "qcow2", disk_size, ends_early=True)


def _require_known_features(file: ForeignFile, version: int, cluster_size: int) -> None:
    """Raises UnsupportedError, CorruptStoreError."""
    header_size = _OLD_HEADER_SIZE
    if version == 3:
        incompatible, _, _, _, header_size = file.fields(_FEATURES, _FEATURES_OFFSET, "header")
        if incompatible & _EXTERNAL_DATA:
            raise file.refused("keeps its data in another file, which is not opened", _FLATTEN)
        if incompatible & _CORRUPT:
            raise file.refused("is marked as corrupt", "repair a copy: qemu-img check -r all FILE")
        unknown = incompatible & ~(_DIRTY | _COMPRESSION | _LONG_L2)
        if unknown:
            raise file.refused(f"needs features that are not known here: {unknown:#x}", _FLATTEN)
        if not 104 <= header_size <= cluster_size or header_size % 8:
            raise file.broken(f"its header has {header_size} bytes")
    _require_harmless_extensions(file, header_size, cluster_size)


def _require_harmless_extensions(file: ForeignFile, position: int, end: int) -> None:
    """Extensions that no feature announces must not lead elsewhere either."""
    for _ in range(_EXTENSIONS_MAX):
        if position + 8 > min(end, file.size_bytes):
            return
        kind, length = file.fields(_EXTENSION, position, "header")
        if kind == 0:
            return
        if position + 8 + length > end:
            raise file.broken(f"an extension of its header has {length} bytes")
        if kind == _DATA_FILE:
            name = file.take(position + 8, length, "header")
            raise file.refused(f"names another file for its data, {shown(name)}", _FLATTEN)
        if kind == _ENCRYPTION:
            raise file.refused("has the header of an encryption", _FLATTEN)
        position += 8 + -(-length // 8) * 8
    raise file.broken(f"its header has more than {_EXTENSIONS_MAX} extensions")
