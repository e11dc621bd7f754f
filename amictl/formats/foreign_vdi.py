"""Headers of vdi, the format of VirtualBox. Source: block/vdi.c of QEMU. Little-endian."""

from amictl.formats.foreign_header import SECTOR_SIZE, ForeignDisk, ForeignFile

_VERSION_AT = 0x44
_KIND_AT = 0x4C
_TABLE_AT = 0x154
_SIZES_AT = 0x168
_LINKS_AT = 0x1A8
_DYNAMIC, _FIXED = 1, 2
_BLOCK_SIZE = 1 << 20
_CLONE = "VBoxManage clonemedium disk FILE NEWFILE makes one that stands alone; import that"


def look_at(file: ForeignFile) -> ForeignDisk:
    """Refuses differences to another disk. Raises UnsupportedError, CorruptStoreError."""
    (version,) = file.fields("<I", _VERSION_AT, "header")
    if version != 0x00010001:
        raise file.refused(f"is of version {version:#x} of vdi, which is unknown", _CLONE)
    (kind,) = file.fields("<I", _KIND_AT, "header")
    links = file.take(_LINKS_AT, 32, "header")
    if kind in (3, 4) or any(links):
        raise file.refused("holds only differences to another disk, which is not opened", _CLONE)
    if kind not in (_DYNAMIC, _FIXED):
        raise file.broken(f"its kind is {kind}")
    table, _ = file.fields("<II", _TABLE_AT, "header")
    sector, _, size, block_size, _, blocks, _ = file.fields("<IIQIIII", _SIZES_AT, "header")
    if sector != SECTOR_SIZE or block_size != _BLOCK_SIZE:
        raise file.refused(f"has sectors of {sector} and blocks of {block_size} bytes", _CLONE)
    disk_size = file.require_disk_size(-(-size // SECTOR_SIZE) * SECTOR_SIZE)
    if blocks * block_size < size:
        raise file.broken(f"its table has {blocks} entries")
    file.require_inside(table, blocks * 4, "table")
    return ForeignDisk("VDI", "vdi", disk_size, ends_early=True)
