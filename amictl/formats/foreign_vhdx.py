"""Regions and metadata of vhdx, the format of Hyper-V.

Source: Microsoft's MS-VHDX. All numbers are little-endian. Checksums and the log are QEMU's to
check: it refuses a disk whose log was not replayed.
"""

from uuid import UUID

from amictl.formats.foreign_header import SECTOR_SIZE, ForeignDisk, ForeignFile

_REGIONS_AT = 192 << 10
_REGIONS_MAX = 2047
_METADATA_MAX = 2047
_REGION_HEAD, _REGION = "<4sIII", "<16sQII"
_METADATA_HEAD, _METADATA = "<8sHH20s", "<16sIIII"
_HAS_PARENT = 2
_BLOCK_SIZES = range(1 << 20, (256 << 20) + 1)


def _guid(text: str) -> bytes:
    return UUID(text).bytes_le


_TABLE_REGION = _guid("2DC27766-F623-4200-9D64-115E9BFD4A08")
_METADATA_REGION = _guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_FILE_PARAMETERS = _guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_DISK_SIZE = _guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
_PARENT_LOCATOR = _guid("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
_MERGE = "merge it with its parents on the machine that made it (Merge-VHD), and import that"


def look_at(file: ForeignFile) -> ForeignDisk:
    """Refuses a disk that has a parent. Raises UnsupportedError, CorruptStoreError."""
    regions = _regions(file)
    for region, name in ((_TABLE_REGION, "table of blocks"), (_METADATA_REGION, "metadata")):
        if region not in regions:
            raise file.broken(f"its {name} is missing")
        file.require_inside(*regions[region], name)
    items = _metadata(file, regions[_METADATA_REGION][0])
    if _FILE_PARAMETERS not in items or _DISK_SIZE not in items:
        raise file.broken("its metadata do not say how large it is")
    block_size, flags = file.fields("<II", items[_FILE_PARAMETERS], "metadata")
    if flags & _HAS_PARENT or _PARENT_LOCATOR in items:
        raise file.refused("holds only differences to a parent, which is not opened", _MERGE)
    if block_size not in _BLOCK_SIZES or block_size & (block_size - 1):
        raise file.broken(f"its blocks have {block_size} bytes")
    (size,) = file.fields("<Q", items[_DISK_SIZE], "metadata")
    if size % SECTOR_SIZE:
        raise file.broken(f"its disk has {size} bytes, which are no whole sectors")
    return ForeignDisk("VHDX", "vhdx", file.require_disk_size(size))


def _regions(file: ForeignFile) -> dict[bytes, tuple[int, int]]:
    """Offset and length of each region."""
    signature, _, count, _ = file.fields(_REGION_HEAD, _REGIONS_AT, "table of regions")
    if signature != b"regi" or count > _REGIONS_MAX:
        raise file.broken("its table of regions is wrong")
    found: dict[bytes, tuple[int, int]] = {}
    for number in range(count):
        place = _REGIONS_AT + 16 + 32 * number
        name, offset, length, _ = file.fields(_REGION, place, "table of regions")
        if name in found:
            raise file.broken("a region is there twice")
        found[name] = (offset, length)
    return found


def _metadata(file: ForeignFile, start: int) -> dict[bytes, int]:
    """Where each item of metadata is in the file."""
    signature, _, count, _ = file.fields(_METADATA_HEAD, start, "metadata")
    if signature != b"metadata" or count > _METADATA_MAX:
        raise file.broken("its table of metadata is wrong")
    items: dict[bytes, int] = {}
    for number in range(count):
        place = start + 32 + 32 * number
        name, offset, _, _, _ = file.fields(_METADATA, place, "metadata")
        if name in items:
            raise file.broken("an item of its metadata is there twice")
        items[name] = start + offset
    return items
