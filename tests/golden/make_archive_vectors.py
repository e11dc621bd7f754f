"""Writes the vectors of an archive's parts. See `make_vectors`.

Built with struct, json and the digest alone, by the page of the format.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blake3 import blake3

from tests.golden.make_vectors import (
    CORRUPT,
    ID,
    NAME_A,
    NAME_B,
    UNSUPPORTED,
    Vector,
    everywhere,
    write,
)

MIB = 1 << 20
SEGMENT = 4 * MIB
BIT = 1 << 31


# --- headers of tar ----------------------------------------------------------------------------


TYPES = {
    "1": "hard-link",
    "2": "symbolic-link",
    "3": "character-device",
    "4": "block-device",
    "5": "folder",
    "6": "fifo",
    "7": "contiguous-file",
    "g": "global-pax",
    "x": "pax",
    "L": "long-name",
    "K": "long-link",
    "S": "sparse",
    "D": "dump-folder",
    "M": "multi-volume",
    "V": "volume-label",
}


def header(**changes: bytes) -> bytes:
    """Fields as POSIX gives them, each with its width."""
    fields = {
        "name": (b"disk-0/000000.zst", 100),
        "mode": (b"0000644\0", 8),
        "uid": (b"0000000\0", 8),
        "gid": (b"0000000\0", 8),
        "size": (b"00000001000\0", 12),
        "mtime": (b"15253227200\0", 12),
        "sum": (b" " * 8, 8),
        "type": (b"0", 1),
        "link": (b"", 100),
        "magic": (b"ustar\0", 6),
        "version": (b"00", 2),
        "uname": (b"", 32),
        "gname": (b"", 32),
        "major": (b"0000000\0", 8),
        "minor": (b"0000000\0", 8),
        "prefix": (b"", 155),
        "rest": (b"", 12),
    }
    assert set(changes) <= set(fields)
    block = b"".join(
        changes.get(name, value).ljust(width, b"\0") for name, (value, width) in fields.items()
    )
    return block if "sum" in changes else block[:148] + b"%06o\0 " % sum(block) + block[156:]


def tar_vectors() -> Iterator[Vector]:
    canonical = "not in canonical form"
    yield "right", None, "", header()
    yield "right-longest-name", None, "", header(name=b"n" * 99)
    yield "zero-length", CORRUPT, "truncated", b""
    yield "last-byte-missing", CORRUPT, "truncated", header()[:-1]
    yield "one-byte-appended", CORRUPT, "truncated", header() + b"\0"
    yield "all-zeros", CORRUPT, canonical, bytes(512)
    yield "checksum-wrong", CORRUPT, canonical, header(sum=b"000000\0 ")
    yield "checksum-with-a-space-first", CORRUPT, canonical, header(sum=b" 11610\0 ")
    yield "name-of-a-hundred", CORRUPT, canonical, header(name=b"n" * 100)
    yield "name-with-bytes-behind-its-end", CORRUPT, canonical, header(name=b"a\0b")
    yield "name-that-is-not-ascii", CORRUPT, canonical, header(name="ä".encode())
    yield "name-empty", CORRUPT, canonical, header(name=b"")
    yield "executable", CORRUPT, canonical, header(mode=b"0000755\0")
    yield "set-user-id", CORRUPT, canonical, header(mode=b"0004644\0")
    yield "of-a-user", CORRUPT, canonical, header(uid=b"0001750\0")
    yield "of-a-group", CORRUPT, canonical, header(gid=b"0001750\0")
    yield "of-a-user-by-name", CORRUPT, canonical, header(uname=b"root")
    yield "of-a-group-by-name", CORRUPT, canonical, header(gname=b"root")
    yield "size-in-base-256", CORRUPT, canonical, header(size=b"\x80" + bytes(10) + b"\1")
    yield "size-negative", CORRUPT, canonical, header(size=b"-0000000001\0")
    yield "size-with-spaces", CORRUPT, canonical, header(size=b"       1000\0")
    yield "size-with-an-eight", CORRUPT, canonical, header(size=b"00000000800\0")
    yield "size-without-its-end", CORRUPT, canonical, header(size=b"000000001000")
    yield "time-with-spaces", CORRUPT, canonical, header(mtime=b"15253227200 ")
    yield "old-type-of-a-file", CORRUPT, canonical, header(type=b"\0")
    for kind, name in TYPES.items():
        yield f"type-of-a-{name}", CORRUPT, canonical, header(type=kind.encode())
    yield "link-of-a-file", CORRUPT, canonical, header(link=b"/etc/passwd")
    yield "magic-of-gnu", CORRUPT, canonical, header(magic=b"ustar ", version=b" \0")
    yield "without-magic", CORRUPT, canonical, header(magic=b"", version=b"")
    yield "with-a-prefix", CORRUPT, canonical, header(prefix=b"/tmp")
    yield "device-numbers-empty", CORRUPT, canonical, header(major=b"", minor=b"")
    yield "bytes-at-the-end", CORRUPT, canonical, header(rest=b"x")


# --- maps of members ---------------------------------------------------------------------------


def zero_frame_size(length: int) -> int:
    return 10 + 4 * -(-length // 131_072)


def entry(
    *pieces: tuple[int, bytes], fingerprint: bytes = b"f" * 16, count: int | None = None
) -> bytes:
    """A leaf with chunks; a piece without a name has bit 31 set."""
    number = len(pieces) if count is None else count
    lengths = struct.pack(f"<{len(pieces)}I", *(length for length, _ in pieces))
    return fingerprint + struct.pack("<H", number) + lengths + b"".join(name for _, name in pieces)


ENTRY = entry((SEGMENT - 8192, NAME_A), (4096 | BIT, b""), (4096, NAME_B))


@dataclass(frozen=True)
class Map:
    """Two blank segments, one with content, and a short blank one."""

    lead: int = 0x184D2A5A
    lead_length: int | None = None
    magic: bytes = b"AMIAMAP1"
    first: int = 3 * SEGMENT
    covers: int = 3 * SEGMENT + 5
    frames: tuple[tuple[int, int], ...] = (
        (zero_frame_size(2 * SEGMENT), 2 * SEGMENT),
        *((1000, MIB),) * 4,
        (14, 5),
    )
    count: int | None = None
    kinds: bytes = b"\0\1\2\0"
    entries: bytes = ENTRY
    digest: bytes | None = None

    def encoded(self) -> bytes:
        count = len(self.frames) if self.count is None else self.count
        body = struct.pack("<8s16sIIQII", self.magic, ID, 1, 2, self.first, self.covers, count)
        body += b"".join(struct.pack("<II", *frame) for frame in self.frames)
        body += self.kinds + self.entries
        body += blake3(body).digest() if self.digest is None else self.digest
        length = len(body) if self.lead_length is None else self.lead_length
        return struct.pack("<II", self.lead, length) + body


def map_vectors() -> Iterator[Vector]:
    good = Map()
    frames = good.frames
    crossing = "crosses the end of a segment"
    one_frame = "not one frame"
    yield "right", None, "", good.encoded()
    yield (
        "right-all-zeros",
        None,
        "",
        Map(covers=1 << 30, frames=((32_778, 1 << 30),), kinds=bytes(256), entries=b"").encoded(),
    )
    short = Map(covers=7, frames=((20, 7),), kinds=b"\2", entries=entry((7, NAME_A)))
    yield "right-short", None, "", short.encoded()
    yield from everywhere(good.encoded())
    yield "another-skippable-magic", CORRUPT, "with its map", Map(lead=0x184D2A50).encoded()
    yield "magic-of-a-frame", CORRUPT, "with its map", Map(lead=0xFD2FB528).encoded()
    yield "longer-than-it-is", CORRUPT, "wrong length", Map(lead_length=400).encoded()
    yield "longer-than-any-map", CORRUPT, "impossible length", Map(lead_length=1 << 31).encoded()
    yield "digest-wrong", CORRUPT, "damaged", Map(digest=bytes(32)).encoded()
    yield "inner-magic-of-a-newer-version", CORRUPT, "magic", Map(magic=b"AMIAMAP2").encoded()
    yield "begins-inside-a-segment", CORRUPT, "begin with a segment", Map(first=512).encoded()
    yield "covers-nothing", CORRUPT, "impossible length", Map(covers=0).encoded()
    yield "covers-more-than-a-gibibyte", CORRUPT, "", Map(covers=(1 << 30) + 1).encoded()
    yield "frames-counted-beyond-memory", CORRUPT, "number of", Map(count=2**32 - 1).encoded()
    yield "frames-counted-wrong", CORRUPT, "", Map(count=5).encoded()
    yield "no-frames", CORRUPT, "number of frames", Map(frames=(), count=0).encoded()
    yield "one-frame-missing", CORRUPT, crossing, Map(frames=frames[:-1]).encoded()
    yield "one-frame-too-many", CORRUPT, "beyond its end", Map(frames=(*frames, (14, 5))).encoded()
    crosses = (frames[0], (1000, MIB + 1), *frames[2:4], (1000, MIB), (14, 4))
    yield "frame-crosses-a-segment", CORRUPT, crossing, Map(frames=crosses).encoded()
    large = (frames[0], (1000, 2 * MIB), *frames[1:3], frames[-1])
    yield "frame-over-a-mebibyte", CORRUPT, "impossible length", Map(frames=large).encoded()
    empty = (*frames[:3], (1000, 0), *frames[3:])
    yield "frame-of-nothing", CORRUPT, "impossible length", Map(frames=empty).encoded()
    nowhere = (frames[0], (0, MIB), *frames[2:])
    yield "frame-without-bytes", CORRUPT, "impossible length", Map(frames=nowhere).encoded()
    swollen = (frames[0], (MIB + 8193, MIB), *frames[2:])
    yield "frame-far-longer-than-plain", CORRUPT, "impossible", Map(frames=swollen).encoded()
    many = (frames[0], *((9, 4096),) * 1023, (9, 2048), (9, 2048), frames[-1])
    yield "frames-too-many-in-a-segment", CORRUPT, "too many frames", Map(frames=many).encoded()
    halves = (*((zero_frame_size(SEGMENT), SEGMENT),) * 2, *frames[1:])
    yield "zeros-in-two-frames", CORRUPT, one_frame, Map(frames=halves).encoded()
    other = ((frames[0][0] - 1, frames[0][1]), *frames[1:])
    yield "zeros-in-another-frame", CORRUPT, one_frame, Map(frames=other).encoded()
    yield "kind-3", CORRUPT, "unknown kind", Map(kinds=b"\0\3\2\0").encoded()
    yield "kind-of-chunks-without-an-entry", CORRUPT, "", Map(kinds=b"\0\2\2\0").encoded()
    yield "kind-of-zeros-with-an-entry", CORRUPT, "", Map(kinds=b"\0\0\0\0").encoded()
    yield "entry-twice", CORRUPT, "wrong length", Map(entries=ENTRY * 2).encoded()
    yield "entry-cut-off", CORRUPT, "truncated", Map(entries=ENTRY[:-1]).encoded()
    yield "entry-cut-off-in-its-head", CORRUPT, "truncated", Map(entries=ENTRY[:17]).encoded()
    pieces = (SEGMENT - 8192, NAME_A), (4096, NAME_B)
    yield "pieces-short", CORRUPT, "add up", Map(entries=entry(*pieces)).encoded()
    long = (SEGMENT, NAME_A), (4096, NAME_B)
    yield "pieces-long", CORRUPT, "add up", Map(entries=entry(*long)).encoded()
    many_counted = entry((SEGMENT, NAME_A), count=65_535)
    yield "pieces-counted-wrong", CORRUPT, "truncated", Map(entries=many_counted).encoded()
    nothing = entry((SEGMENT, NAME_A), (0, NAME_B))
    yield "piece-of-nothing", CORRUPT, "empty", Map(entries=nothing).encoded()
    blank = entry((SEGMENT | BIT, b""))
    yield "leaf-without-chunks", CORRUPT, "no chunks", Map(entries=blank).encoded()
    yield "leaf-without-pieces", CORRUPT, "no chunks", Map(entries=entry()).encoded()
    zeros = entry((SEGMENT - 8192, NAME_A), (4096 | BIT, b""), (4096 | BIT, b""))
    yield "zeros-follow-zeros", CORRUPT, "follow each other", Map(entries=zeros).encoded()


# --- documents ---------------------------------------------------------------------------------


def text(value: Any) -> bytes:
    return (
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    ).encode()


SNAPSHOT, KEY = "snap-" + "1" * 17, "01234567-89ab-cdef-0123-456789abcdef"
STORED = "2026-11-22T10:00:00.000Z"


def mapping(device: str, snapshot: str | None = None) -> dict[str, Any]:
    return {
        "DeviceName": device,
        "SnapshotId": snapshot,
        "VolumeSize": 1,
        "DeleteOnTermination": True,
        "VolumeType": "gp3",
        "Iops": None,
        "Throughput": None,
        "VirtualName": None,
    }


def disk(**changes: Any) -> dict[str, Any]:
    return {
        "SnapshotId": SNAPSHOT,
        "VolumeId": "vol-" + "2" * 17,
        "OwnerId": "123456789012",
        "SizeBytes": 4096,
        "DataBytes": 4096,
        "Root": "a" * 64,
        "Cut": {"Id": 1, "Average": 32768},
        "CutSecret": None,
        "FingerprintKey": "b" * 64,
        "Hash": "blake3",
        "Encrypted": False,
        "KmsKeyId": None,
        "StartTime": STORED,
        "Freeze": {
            "Moment": STORED,
            "Method": "lease",
            "Consistency": "at-rest",
            "Together": True,
        },
        "Source": {
            "Path": "/srv/web.raw",
            "Device": 1,
            "Inode": "2",
            "SizeBytes": 4096,
            "MtimeNs": "3",
            "CtimeNs": "4",
        },
        "Description": "",
        "Tags": [],
        "Further": [],
    } | changes


def image(**changes: Any) -> dict[str, Any]:
    return {
        "ImageId": "ami-" + "3" * 17,
        "Name": "web-1",
        "OwnerId": "123456789012",
        "CreationDate": STORED,
        "Architecture": "x86_64",
        "BootMode": None,
        "Platform": None,
        "RootDeviceName": "/dev/sda1",
        "Mappings": [mapping("/dev/sda1", SNAPSHOT), mapping("/dev/sdb")],
        "Description": "größer",
        "Tags": [{"Key": "Name", "Value": "web"}, {"Key": "Team", "Value": "ops"}],
        "Further": [],
    } | changes


def manifest(**changes: Any) -> bytes:
    return text(
        {
            "Format": "amictl-archive",
            "Version": 1,
            "ArchiveId": ID.hex(),
            "Stored": STORED,
            "Encrypted": False,
            "Image": image(),
            "Disks": [disk()],
        }
        | changes
    )


def manifest_vectors() -> Iterator[Vector]:
    good = manifest()
    sealed = disk(Encrypted=True, KmsKeyId=KEY, Cut={"Id": 2, "Average": 32768}, CutSecret="c" * 64)
    yield "right", None, "", good
    yield "right-encrypted", None, "", manifest(Encrypted=True, Disks=[sealed])
    yield "zero-length", CORRUPT, "truncated", b""
    yield "without-its-newline", CORRUPT, "truncated", good[:-1]
    yield "second-newline", CORRUPT, "truncated", good + b"\n"
    yield "second-document", CORRUPT, "", good + good
    yield "with-a-byte-order-mark", CORRUPT, "", b"\xef\xbb\xbf" + good
    yield "in-utf-16", CORRUPT, "", good.decode().encode("utf-16")
    yield "bytes-that-are-no-utf-8", CORRUPT, "", good.replace(b"web-1", b"web\xff1")
    yield "half-a-surrogate", CORRUPT, "", good.replace(b"web-1", b"\\ud800")
    yield "with-spaces", CORRUPT, "canonical", good.replace(b'"Version":1', b'"Version": 1')
    yield "key-twice", CORRUPT, "canonical", b'{"Version":1,' + good[1:]
    yield "key-unknown", CORRUPT, "canonical", manifest(Zebra=1)
    yield "not-an-object", CORRUPT, "", b"[]}\n"
    yield "depth", CORRUPT, "", b'{"Image":' + b"[" * 3_000 + b"]" * 3_000 + b"}\n"
    yield "not-a-number", CORRUPT, "", good.replace(b'"Version":1', b'"Version":NaN')
    yield "version-of-a-float", CORRUPT, "", good.replace(b'"Version":1', b'"Version":1.0')
    yield "version-of-true", CORRUPT, "", good.replace(b'"Version":1', b'"Version":true')
    yield "newer-version", UNSUPPORTED, "version 2", manifest(Version=2)
    yield "version-0", CORRUPT, "impossible version", manifest(Version=0)
    yield "other-format", CORRUPT, "not of format", manifest(Format="amictl-image")
    yield "id-too-short", CORRUPT, "", manifest(ArchiveId="0")
    yield "id-in-capitals", CORRUPT, "", manifest(ArchiveId="A" * 32)
    yield "time-impossible", CORRUPT, "impossible", manifest(Stored="2026-02-30T00:00:00.000Z")
    yield "time-without-a-zone", CORRUPT, "impossible", manifest(Stored="2026-02-03T00:00:00.000")
    yield "disk-missing", CORRUPT, "not the snapshots", manifest(Disks=[])
    yield "disk-twice", CORRUPT, "not the snapshots", manifest(Disks=[disk(), disk()])
    other = disk(SnapshotId="snap-" + "4" * 17)
    yield "disk-of-another-image", CORRUPT, "not the snapshots", manifest(Disks=[other])
    no_root = image(Mappings=[mapping("/dev/sdb", SNAPSHOT)])
    yield "root-not-mapped", CORRUPT, "root device", manifest(Image=no_root)
    doubled = image(Mappings=[mapping("/dev/sda1", SNAPSHOT), mapping("/dev/sda1")])
    yield "device-twice", CORRUPT, "twice", manifest(Image=doubled)
    traversal = image(Mappings=[mapping("/dev/../sda", SNAPSHOT)])
    yield "device-that-is-a-path", CORRUPT, "", manifest(Image=traversal)
    yield "image-id-that-is-a-path", CORRUPT, "", manifest(Image=image(ImageId="../../etc"))
    tags = [{"Key": "b", "Value": ""}, {"Key": "a", "Value": ""}]
    yield "tags-not-in-order", CORRUPT, "in order", manifest(Image=image(Tags=tags))
    yield "tag-twice", CORRUPT, "twice", manifest(Image=image(Tags=tags[:1] * 2))
    yield "size-negative", CORRUPT, "", manifest(Disks=[disk(SizeBytes=-1)])
    yield "size-zero", CORRUPT, "impossible size", manifest(Disks=[disk(SizeBytes=0, DataBytes=0)])
    yield "size-beyond-files", CORRUPT, "impossible size", manifest(Disks=[disk(SizeBytes=2**63)])
    yield "size-of-a-float", CORRUPT, "", manifest(Disks=[disk(SizeBytes=4096.5)])
    yield "more-data-than-disk", CORRUPT, "size", manifest(Disks=[disk(DataBytes=4097)])
    yield "hash-unknown", UNSUPPORTED, "hash", manifest(Disks=[disk(Hash="sha256")])
    unknown = disk(Cut={"Id": 3, "Average": 32768})
    yield "cut-unknown", UNSUPPORTED, "cut", manifest(Disks=[unknown])
    tiny = disk(Cut={"Id": 1, "Average": 1})
    yield "cut-average-impossible", CORRUPT, "impossible cut", manifest(Disks=[tiny])
    yield "secret-without-a-cut", CORRUPT, "secret", manifest(Disks=[disk(CutSecret="c" * 64)])
    yield "key-of-a-plain-disk", CORRUPT, "key", manifest(Disks=[disk(KmsKeyId=KEY)])
    yield "encrypted-disk-in-plain", CORRUPT, "plain archive", manifest(Disks=[sealed])


def table(*rows: tuple[str, int], digest: str = "d" * 64, **changes: Any) -> bytes:
    """A table of members of these sizes, one after the other."""
    offset, listed = 512, []
    for name, size in rows:
        listed.append({"Name": name, "Offset": offset, "Size": size, "SHA256": digest})
        offset += -(-size // 512) * 512 + 512
    return text(
        {
            "Format": "amictl-archive-members",
            "Version": 1,
            "ArchiveId": ID.hex(),
            "Stored": STORED,
            "Members": listed,
        }
        | changes
    )


def members_vectors() -> Iterator[Vector]:
    manifest, first, second = (
        ("manifest.json", 700),
        ("disk-0/000000.zst", 5),
        ("disk-1/000000.zst", 6),
    )
    good = table(manifest, first, ("disk-0/000001.zst", 512), second)
    key, sealed = ("key.age", 300), ("manifest.json.age", 900)
    comes_next = "not the member that comes next"
    yield "right", None, "", good
    yield "right-sealed", None, "", table(key, sealed, ("disk-0/000000.zst.age", 600))
    yield "right-without-disks", None, "", table(manifest)
    yield "zero-length", CORRUPT, "truncated", b""
    yield "without-its-newline", CORRUPT, "truncated", good[:-1]
    yield "with-spaces", CORRUPT, "canonical", good.replace(b'"Version":1', b'"Version": 1')
    yield "key-unknown", CORRUPT, "", table(manifest, Zebra=1)
    yield "newer-version", UNSUPPORTED, "version 2", table(manifest, Version=2)
    yield "other-format", CORRUPT, "not of format", table(manifest, Format="amictl-archive")
    yield "id-in-capitals", CORRUPT, "no id", table(manifest, ArchiveId="A" * 32)
    yield "time-before-1970", CORRUPT, "time", table(manifest, Stored="1969-01-01T00:00:00.000Z")
    yield "time-that-no-header-holds", CORRUPT, "", table(manifest, Stored="2300-01-01T00:00:00Z")
    yield "no-members", CORRUPT, "no members", table()
    yield "no-manifest", CORRUPT, comes_next, table(first)
    yield "key-without-a-manifest", CORRUPT, "no manifest", table(key)
    yield "plain-manifest-after-a-key", CORRUPT, comes_next, table(key, manifest)
    yield "plain-member-after-a-key", CORRUPT, comes_next, table(key, sealed, first)
    yield "sealed-member-without-a-key", CORRUPT, "", table(manifest, ("disk-0/000000.zst.age", 5))
    yield "manifest-twice", CORRUPT, comes_next, table(manifest, manifest)
    yield "member-twice", CORRUPT, comes_next, table(manifest, first, first)
    yield "member-missing", CORRUPT, comes_next, table(manifest, first, ("disk-0/000002.zst", 5))
    yield "disk-missing", CORRUPT, comes_next, table(manifest, first, ("disk-2/000000.zst", 5))
    yield "first-disk-missing", CORRUPT, comes_next, table(manifest, second)
    yield "disks-not-in-order", CORRUPT, comes_next, table(manifest, second, first)
    yield (
        "disk-goes-on-later",
        CORRUPT,
        comes_next,
        table(manifest, first, second, ("disk-0/000001.zst", 5)),
    )
    yield "number-of-five-digits", CORRUPT, comes_next, table(manifest, ("disk-0/00000.zst", 5))
    yield "number-of-a-disk-with-a-zero", CORRUPT, "", table(manifest, ("disk-00/000000.zst", 5))
    yield "name-that-is-a-path", CORRUPT, comes_next, table(manifest, ("../../etc/passwd", 5))
    yield "name-that-is-absolute", CORRUPT, comes_next, table(manifest, ("/disk-0/000000.zst", 5))
    yield "size-zero", CORRUPT, "impossible size", table(("manifest.json", 0))
    yield "size-negative", CORRUPT, "impossible size", table(("manifest.json", -1))
    yield "manifest-too-large", CORRUPT, "impossible size", table(("manifest.json", 2**24 + 1))
    large = ("disk-0/000000.zst", 2**26 + 1)
    yield "member-too-large", CORRUPT, "impossible size", table(manifest, large)
    yield "key-too-large", CORRUPT, "impossible size", table(("key.age", 65_537), sealed)
    yield "size-beyond-64-bits", CORRUPT, "", table(manifest, ("disk-0/000000.zst", 2**70))
    yield "digest-too-short", CORRUPT, "no digest", table(manifest, digest="d" * 63)
    yield "digest-in-capitals", CORRUPT, "no digest", table(manifest, digest="D" * 64)
    yield "gap", CORRUPT, "where the one before", good.replace(b'"Offset":2048', b'"Offset":2560')
    yield (
        "overlap",
        CORRUPT,
        "where the one before",
        good.replace(b'"Offset":2048', b'"Offset":1536'),
    )
    yield "offset-inside-a-block", CORRUPT, "", good.replace(b'"Offset":512', b'"Offset":513')


FORMATS = {
    "tar-header": tar_vectors,
    "archive-map": map_vectors,
    "archive-manifest": manifest_vectors,
    "archive-members": members_vectors,
}


if __name__ == "__main__":
    write(FORMATS)
