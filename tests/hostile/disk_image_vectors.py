"""Disks in the formats of others, as `import-snapshot` takes them from anybody.

The right ones are made by qemu-img; a fault is a few bytes of one that are changed.
"""

import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from tests.hostile.corpus import Vector

Change = Callable[[bytearray], object]

DAMAGED, REFUSED = "CorruptStoreError", "UnsupportedError"
DISK_SIZE = 1 << 20
FAR = 2**62
RIGHT = {
    "qcow2": ("qcow2", "cluster_size=512"),
    "qcow2-v2": ("qcow2", "compat=0.10,cluster_size=4096"),
    "vmdk": ("vmdk", "subformat=monolithicSparse"),
    "vmdk-stream": ("vmdk", "subformat=streamOptimized"),
    "vhd": ("vpc", "subformat=dynamic,force_size=on"),
    "vhd-fixed": ("vpc", "subformat=fixed,force_size=on"),
    "vhdx": ("vhdx", "block_size=1M,log_size=1M"),
    "vdi": ("vdi", "static=off"),
}


@cache
def right(name: str) -> bytes:
    """A disk of a mebibyte, of which each part is another."""
    driver, options = RIGHT[name]
    with tempfile.TemporaryDirectory() as folder:
        raw, made = Path(folder, "raw"), Path(folder, "made")
        raw.write_bytes(b"".join(struct.pack(">Q", at) * 512 for at in range(DISK_SIZE // 4096)))
        words = ["qemu-img", "convert", "-f", "raw", "-O", driver, "-o", options]
        subprocess.run([*words, raw, made], check=True, capture_output=True)
        return made.read_bytes()


def put(offset: int, layout: str, *numbers: int | bytes) -> Change:
    """Write numbers over what is there."""
    return lambda data: struct.pack_into(layout, data, offset, *numbers)


def both(*changes: Change) -> Change:
    def change(data: bytearray) -> None:
        for one in changes:
            one(data)

    return change


def cut(length: int) -> Change:
    """Only so many bytes are left; a negative number is of those that are missing."""

    def change(data: bytearray) -> None:
        del data[length:]

    return change


def extended(kind: int, text: bytes, length: int | None = None) -> Change:
    """The header of a qcow2 has an extension, and the end of extensions after it."""
    said = len(text) if length is None else length
    body = struct.pack(">II", kind, said) + text + bytes(-len(text) % 8) + bytes(8)
    return put(112, f"{len(body)}s", body)


def backing(name: bytes) -> Change:
    return both(put(8, ">QI", 400, len(name)), put(400, f"{len(name)}s", name))


def table_entry(entry: int) -> Change:
    """The first entry of the first table of a qcow2."""

    def change(data: bytearray) -> None:
        (offset,) = struct.unpack_from(">Q", data, 40)
        struct.pack_into(">Q", data, offset, entry)

    return change


def cluster_entry(entry: int) -> Change:
    """The first entry of the first second-level table of a qcow2."""

    def change(data: bytearray) -> None:
        (first,) = struct.unpack_from(">Q", data, 40)
        (second,) = struct.unpack_from(">Q", data, first)
        struct.pack_into(">Q", data, second & 0x00FFFFFFFFFFFE00, entry)

    return change


QCOW2: dict[str, tuple[Change, str, str]] = {
    "backing-file": (backing(b"/etc/passwd"), REFUSED, "/etc/passwd"),
    "backing-file-with-escape": (backing(b"\x1b[2J"), REFUSED, r"\x1b[2J"),
    "backing-file-of-json": (backing(b'json:{"driver":"null-co"}'), REFUSED, "needs another file"),
    "backing-name-behind-the-end": (put(8, ">QI", FAR, 9), REFUSED, "needs another file"),
    "backing-name-of-4-gib": (put(8, ">QI", 8, 2**32 - 1), REFUSED, "needs another file"),
    "backing-length-only": (put(16, ">I", 4), REFUSED, "needs another file"),
    "data-in-another-file": (put(72, ">Q", 4), REFUSED, "keeps its data in another file"),
    "name-of-a-data-file": (extended(0x44415441, b"/etc/shadow"), REFUSED, "/etc/shadow"),
    "header-of-luks": (extended(0x0537BE77, bytes(16)), REFUSED, "header of an encryption"),
    "encrypted-luks": (put(32, ">I", 2), REFUSED, "encrypted (LUKS)"),
    "encrypted-aes": (put(32, ">I", 1), REFUSED, "encrypted (AES)"),
    "snapshots-inside": (put(60, ">I", 3), REFUSED, "3 snapshots inside"),
    "marked-as-corrupt": (put(72, ">Q", 2), REFUSED, "marked as corrupt"),
    "unknown-feature": (put(72, ">Q", 1 << 40), REFUSED, "features that are not known"),
    "version-4": (put(4, ">I", 4), REFUSED, "version 4"),
    "version-0": (put(4, ">I", 0), REFUSED, "version 0"),
    "clusters-of-2-to-63": (put(20, ">I", 63), DAMAGED, "2^63"),
    "clusters-of-one-byte": (put(20, ">I", 0), DAMAGED, "2^0"),
    "8-eib": (put(24, ">Q", 2**63 - 512), REFUSED, "64 TiB"),
    "16-eib": (put(24, ">Q", 2**64 - 1), REFUSED, "64 TiB"),
    "no-bytes": (put(24, ">Q", 0), DAMAGED, "empty"),
    "first-table-of-32-gib": (put(36, ">I", 2**32 - 1), DAMAGED, "first table"),
    "first-table-behind-the-end": (put(40, ">Q", FAR), DAMAGED, "first table"),
    "first-table-too-short": (put(36, ">I", 1), DAMAGED, "cannot be read"),
    "header-of-4-gib": (put(100, ">I", 2**32 - 8), DAMAGED, "its header has"),
    "header-of-odd-length": (put(100, ">I", 111), DAMAGED, "its header has"),
    "extension-of-4-gib": (extended(1, b"", 2**32 - 1), DAMAGED, "an extension"),
    "reference-table-of-2-tib": (put(56, ">I", 2**32 - 1), DAMAGED, "cannot be read"),
    "second-table-behind-the-end": (table_entry(1 << 50 | 1 << 63), DAMAGED, "tables lead to"),
    "cluster-behind-the-end": (cluster_entry(1 << 55 | 1 << 63), DAMAGED, "tables lead to"),
    "cluster-of-garbage-compressed": (cluster_entry(1 << 62), DAMAGED, "cannot be read"),
    "header-cut": (cut(70), DAMAGED, "behind its end"),
    "data-cut": (cut(-(DISK_SIZE // 2)), DAMAGED, "tables lead to"),
}

_TEXT_AT = 512


def described(old: bytes, new: bytes) -> Change:
    """Replace a part of the description inside a vmdk."""

    def change(data: bytearray) -> None:
        end = data.index(b"\0", _TEXT_AT)
        text = bytes(data[_TEXT_AT:end])
        assert old in text
        text = text.replace(old, new)
        data[_TEXT_AT : _TEXT_AT + 4096] = text.ljust(4096, b"\0")

    return change


def instead(text: bytes) -> Change:
    def change(data: bytearray) -> None:
        data[:] = text

    return change


def flat(name: bytes) -> bytes:
    return (
        b"# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n"
        b'createType="monolithicFlat"\n'
        b'RW 2048 FLAT "' + name + b'" 0\n'
    )


def first_table(change: Change) -> Change:
    """Change the first entry of the table of tables."""

    def changed(data: bytearray) -> None:
        (tables,) = struct.unpack_from("<Q", data, 56)
        entry = data[tables * 512 : tables * 512 + 4]
        change(entry)
        data[tables * 512 : tables * 512 + 4] = entry

    return changed


def first_grain(change: Change) -> Change:
    """Change the first entry of the first table."""

    def changed(data: bytearray) -> None:
        (tables,) = struct.unpack_from("<Q", data, 56)
        (table,) = struct.unpack_from("<I", data, tables * 512)
        entry = data[table * 512 : table * 512 + 4]
        change(entry)
        data[table * 512 : table * 512 + 4] = entry

    return changed


_SPARSE_EXTENT = b'RW 2048 SPARSE "made"'
VMDK: dict[str, tuple[Change, str, str]] = {
    "text-that-leads-elsewhere": (instead(flat(b"/etc/passwd")), REFUSED, "/etc/passwd"),
    "text-with-escape": (instead(flat(b"\x1b[2J")), REFUSED, r"\x1b[2J"),
    "text-of-nothing": (instead(b"# Disk DescriptorFile"), REFUSED, "none of which it names"),
    "text-of-many-extents": (
        instead(flat(b"a") + b'RW 1 FLAT "b" 0\n' * 20_000),
        REFUSED,
        "leads to other files",
    ),
    "parent": (described(b"parentCID=ffffffff", b"parentCID=00000001"), REFUSED, "its parent"),
    "parent-name": (
        described(b"version=1", b'version=1\nparentFileNameHint="/etc/passwd"'),
        REFUSED,
        "/etc/passwd",
    ),
    "extent-of-a-device": (
        described(_SPARSE_EXTENT, b'RW 2048 FLAT "/dev/sda" 0'),
        REFUSED,
        "/dev/sda",
    ),
    "two-extents": (
        described(_SPARSE_EXTENT, _SPARSE_EXTENT + b'\nRW 1 SPARSE "/etc/passwd"'),
        REFUSED,
        "/etc/passwd",
    ),
    "no-extent": (described(_SPARSE_EXTENT, b""), REFUSED, "other extents"),
    "kind-of-a-split-disk": (
        described(b"monolithicSparse", b"twoGbMaxExtentSparse"),
        REFUSED,
        "not one file",
    ),
    "kind-of-a-device": (described(b"monolithicSparse", b"fullDevice"), REFUSED, "not one file"),
    "part-of-a-split-disk": (put(28, "<QQ", 0, 0), REFUSED, "part of a disk"),
    "frame": (put(12, "<Q", 0), REFUSED, "a frame for other files"),
    "version-9": (put(4, "<I", 9), REFUSED, "version 9"),
    "esx-2": (put(0, "4s", b"COWD"), REFUSED, "ESX 2"),
    "8-eib": (put(12, "<Q", 2**54 - 1), REFUSED, "64 TiB"),
    "2-to-64-sectors": (put(12, "<Q", 2**64 - 1), REFUSED, "64 TiB"),
    "no-grain": (put(20, "<Q", 0), DAMAGED, "grains"),
    "grain-of-2-to-63": (put(20, "<Q", 1 << 63), DAMAGED, "grains"),
    "grain-of-three-sectors": (put(20, "<Q", 3), DAMAGED, "grains"),
    "no-entries": (put(44, "<I", 0), DAMAGED, "entries"),
    "4-gib-of-entries": (put(44, "<I", 2**32 - 1), DAMAGED, "entries"),
    "description-of-8-eib": (put(36, "<Q", 2**54), DAMAGED, "description"),
    "description-behind-the-end": (put(28, "<Q", 1 << 40), DAMAGED, "description"),
    "tables-behind-the-end": (put(56, "<Q", 1 << 40), DAMAGED, "table of tables"),
    "tables-at-an-end-that-is-none": (put(56, "<Q", 2**64 - 1), DAMAGED, "footer is missing"),
    "table-behind-the-end": (first_table(put(0, "<I", 2**31)), DAMAGED, "its last table"),
    "grain-behind-the-end": (first_grain(put(0, "<I", 2**31)), DAMAGED, "tables lead to"),
    "header-cut": (cut(60), DAMAGED, "behind its end"),
    "data-cut": (cut(-(DISK_SIZE // 2)), DAMAGED, "tables lead to"),
}
VMDK_STREAM: dict[str, tuple[Change, str, str]] = {
    "data-cut": (lambda data: cut(len(data) // 2)(data), DAMAGED, "cannot be read"),
    "table-behind-the-end": (first_table(put(0, "<I", 2**31)), DAMAGED, "its last table"),
    "grain-behind-the-end": (first_grain(put(0, "<I", 2**31)), DAMAGED, "cannot be read"),
}


def summed(*changes: Change, at: int = 0) -> Change:
    """Change both footers of a vhd that grows, and make their checksums right again."""

    def change(data: bytearray) -> None:
        for start in {at, len(data) - 512}:
            footer = data[start : start + 512]
            for one in changes:
                one(footer)
            struct.pack_into(">I", footer, 64, 0)
            struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
            data[start : start + 512] = footer

    return change


def grown(change: Change) -> Change:
    """Change the header of a vhd that grows, and make its checksum right again."""

    def changed(data: bytearray) -> None:
        header = data[512:1536]
        change(header)
        struct.pack_into(">I", header, 36, 0)
        struct.pack_into(">I", header, 36, ~sum(header) & 0xFFFFFFFF)
        data[512:1536] = header

    return changed


VHD: dict[str, tuple[Change, str, str]] = {
    "differences": (summed(put(60, ">I", 4)), REFUSED, "differences to a parent"),
    "unknown-kind": (summed(put(60, ">I", 7)), DAMAGED, "its kind is 7"),
    "wrong-checksum": (put(64, ">I", 1), DAMAGED, "another one"),
    "8-eib": (summed(put(48, ">Q", 2**63 - 512)), REFUSED, "64 TiB"),
    "no-bytes": (summed(put(48, ">Q", 0)), DAMAGED, "empty"),
    "half-a-sector": (summed(put(48, ">Q", 1000)), DAMAGED, "no whole sectors"),
    "header-behind-the-end": (summed(put(16, ">Q", FAR)), DAMAGED, "behind its end"),
    "header-of-zeros": (put(512, "8s", b""), DAMAGED, "the header behind"),
    "header-with-a-wrong-sum": (put(540, ">I", 5), DAMAGED, "the header behind"),
    "16-gib-of-entries": (grown(put(28, ">I", 2**32 - 1)), DAMAGED, "entries"),
    "too-few-entries": (grown(put(28, ">I", 0)), DAMAGED, "entries"),
    "table-behind-the-end": (grown(put(16, ">Q", FAR)), DAMAGED, "its table"),
    "blocks-of-4-gib": (grown(put(32, ">I", 2**32 - 1)), DAMAGED, "blocks"),
    "no-blocks": (grown(put(32, ">I", 0)), DAMAGED, "blocks"),
    "block-behind-the-end": (put(1536, ">I", 2**31), DAMAGED, "cannot be read"),
    "end-cut": (cut(-512), DAMAGED, "footer is missing"),
    "footer-cut": (cut(300), DAMAGED, "shorter than its footer"),
}
VHD_FIXED: dict[str, tuple[Change, str, str]] = {
    "longer-than-its-file": (
        summed(put(48, ">Q", 1 << 40), at=DISK_SIZE),
        DAMAGED,
        "too short for that",
    ),
    "differences": (summed(put(60, ">I", 4), at=DISK_SIZE), REFUSED, "differences to a parent"),
}

_REGIONS, _FIRST_REGION = 192 << 10, (192 << 10) + 16
_METADATA_REGION = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
_FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
_DISK_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
_PARENT = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")


def item(name: bytes, change: Change) -> Change:
    """Change the value of an item of metadata."""

    def changed(data: bytearray) -> None:
        start = data.index(b"metadata")
        entry = data.index(name, start)
        (offset,) = struct.unpack_from("<I", data, entry + 16)
        value = data[start + offset : start + offset + 8]
        change(value)
        data[start + offset : start + offset + 8] = value

    return changed


def renamed(old: bytes, new: bytes) -> Change:
    def change(data: bytearray) -> None:
        at = data.index(old)
        data[at : at + 16] = new

    return change


def region_of_metadata(change: Change) -> Change:
    """Change the entry of the region with the metadata."""

    def changed(data: bytearray) -> None:
        at = data.index(_METADATA_REGION, _REGIONS)
        entry = data[at : at + 32]
        change(entry)
        data[at : at + 32] = entry

    return changed


def first_block(change: Change) -> Change:
    """Change the first entry of the table of blocks."""

    def changed(data: bytearray) -> None:
        region = data.index(bytes.fromhex("6677c22d23f600429d64115e9bfd4a08"), _REGIONS)
        (table,) = struct.unpack_from("<Q", data, region + 16)
        entry = data[table : table + 8]
        change(entry)
        data[table : table + 8] = entry

    return changed


VHDX: dict[str, tuple[Change, str, str]] = {
    "has-a-parent": (item(_FILE_PARAMETERS, put(4, "<I", 2)), REFUSED, "differences to a parent"),
    "place-of-a-parent": (
        renamed(bytes.fromhex("c748a3cd5d4471449cc9e9885251c556"), _PARENT),
        REFUSED,
        "differences to a parent",
    ),
    "4-gib-of-regions": (put(_REGIONS + 8, "<I", 2**32 - 1), DAMAGED, "table of regions"),
    "no-regions": (put(_REGIONS + 8, "<I", 0), DAMAGED, "is missing"),
    "regions-of-zeros": (put(_REGIONS, "4s", b""), DAMAGED, "table of regions"),
    "regions-without-their-sum": (put(_REGIONS + 4, "<I", 1), DAMAGED, "cannot be read"),
    "metadata-behind-the-end": (
        region_of_metadata(put(16, "<Q", FAR)),
        DAMAGED,
        "its metadata would be",
    ),
    "metadata-of-4-gib": (region_of_metadata(put(24, "<I", 2**32 - 1)), DAMAGED, "metadata"),
    "metadata-of-zeros": (
        lambda data: put(data.index(b"metadata"), "8s", b"")(data),
        DAMAGED,
        "table of metadata",
    ),
    "no-size": (renamed(_DISK_SIZE, bytes(16)), DAMAGED, "how large it is"),
    "size-twice": (renamed(_FILE_PARAMETERS, _DISK_SIZE), DAMAGED, "twice"),
    "8-eib": (item(_DISK_SIZE, put(0, "<Q", 2**63 - 512)), REFUSED, "64 TiB"),
    "blocks-of-three-bytes": (item(_FILE_PARAMETERS, put(0, "<I", 3)), DAMAGED, "blocks"),
    "block-behind-the-end": (first_block(put(0, "<Q", 1 << 40 | 6)), DAMAGED, "cannot be read"),
    "data-cut": (cut(-(DISK_SIZE // 2)), DAMAGED, "cannot be read"),
    "cut": (cut(100_000), DAMAGED, "behind its end"),
}

VDI: dict[str, tuple[Change, str, str]] = {
    "differences": (put(0x4C, "<I", 4), REFUSED, "differences to another disk"),
    "undo": (put(0x4C, "<I", 3), REFUSED, "differences to another disk"),
    "parent": (put(0x1B8, "<Q", 5), REFUSED, "differences to another disk"),
    "unknown-kind": (put(0x4C, "<I", 9), DAMAGED, "its kind is 9"),
    "version-2": (put(0x44, "<I", 0x20000), REFUSED, "version 0x20000"),
    "8-eib": (put(0x170, "<Q", 2**63 - 512), REFUSED, "64 TiB"),
    "no-bytes": (put(0x170, "<Q", 0), DAMAGED, "empty"),
    "sectors-of-4-kib": (put(0x168, "<I", 4096), REFUSED, "sectors of 4096"),
    "blocks-of-one-byte": (put(0x178, "<I", 1), REFUSED, "blocks of 1 bytes"),
    "16-gib-of-entries": (put(0x180, "<I", 2**32 - 1), DAMAGED, "its table"),
    "too-few-entries": (put(0x180, "<I", 0), DAMAGED, "its table"),
    "table-behind-the-end": (put(0x154, "<I", 2**32 - 512), DAMAGED, "its table"),
    "header-cut": (cut(200), DAMAGED, "behind its end"),
    "data-cut": (cut(-(DISK_SIZE // 2)), DAMAGED, "tables lead to"),
}

OTHERS = {
    "qed": (b"QED\0".ljust(512, b"\0"), REFUSED, "a QED image"),
    "qcow": (b"QFI\xfb\0\0\0\x01".ljust(512, b"\0"), REFUSED, "a QCOW image"),
    "parallels": (b"WithoutFreeSpace".ljust(512, b"\0"), REFUSED, "a PARALLELS image"),
    "gzip": (b"\x1f\x8b\x08".ljust(512, b"\0"), REFUSED, "packed with gzip"),
    "xz": (b"\xfd7zXZ\0".ljust(512, b"\0"), REFUSED, "packed with xz"),
    "zstd": (b"\x28\xb5\x2f\xfd".ljust(512, b"\0"), REFUSED, "packed with zstd"),
    "ova": (b"web.ovf".ljust(257, b"\0") + b"ustar".ljust(255, b"\0"), REFUSED, "an OVA"),
    "nothing": (b"", "UsageError", "is empty"),
}
SETS = {
    "qcow2": QCOW2,
    "vmdk": VMDK,
    "vmdk-stream": VMDK_STREAM,
    "vhd": VHD,
    "vhd-fixed": VHD_FIXED,
    "vhdx": VHDX,
    "vdi": VDI,
}


def _changed(name: str, change: Change) -> Callable[[], bytes]:
    def make() -> bytes:
        data = bytearray(right(name))
        change(data)
        return bytes(data)

    return make


def _right(name: str) -> Callable[[], bytes]:
    return lambda: right(name)


def _as_it_is(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def vectors() -> Iterator[Vector]:
    for name in RIGHT:
        yield Vector("disk-image", f"{name}-right", None, "", _right(name))
    yield Vector("disk-image", "raw-right", None, "", _as_it_is(bytes(1000)))
    for name, faults in SETS.items():
        for fault, (change, error, reason) in faults.items():
            make = _changed(name, change)
            yield Vector("disk-image", f"{name}-{fault}", error, reason, make)
    for fault, (data, error, reason) in OTHERS.items():
        yield Vector("disk-image", fault, error, reason, _as_it_is(data))
