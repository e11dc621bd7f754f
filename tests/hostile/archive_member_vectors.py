"""Faults of the maps in an archive, and of members as a whole."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

from tests.hostile.archives import (
    CHUNKS,
    FIRST_SEGMENT,
    HOLE,
    MIB,
    SEGMENT,
    ZEROS,
    Archive,
    Part,
    built,
    fingerprint,
    leaf_entry,
    plain_bytes,
    zero_frame,
)
from tests.hostile.corpus import Vector

Change = Callable[[Archive], object]
INVALID = "InvalidArchiveError"
FINGERPRINT = fingerprint(plain_bytes(FIRST_SEGMENT))


def member(at: int = 0, **changed: Any) -> Change:
    """The first member of a disk is so."""

    def change(archive: Archive) -> None:
        for name, value in changed.items():
            assert hasattr(archive.members[at], name)
            setattr(archive.members[at], name, value)

    return change


def entry(data: bytes) -> Change:
    """The map says this of the first segment."""
    return member(entries=[data])


def table(change: Callable[[list[tuple[int, int]]], Any]) -> Change:
    """The map says this of its frames; what is not changed is right."""

    def changed(archive: Archive) -> None:
        rows = [(len(stored), plain) for stored, plain in archive.members[0].frames]
        change(rows)
        archive.members[0].table = rows

    return changed


def frame(stored: bytes, at: int = 0, plain: int = MIB) -> Change:
    """One frame has these bytes, whose number the map knows."""

    def change(archive: Archive) -> None:
        archive.members[0].frames[at] = (stored, plain)

    return change


def frame_again(change: Callable[[bytes], bytes]) -> Change:
    """The first frame, with a change."""

    def changed(archive: Archive) -> None:
        stored, plain = archive.members[0].frames[0]
        archive.members[0].frames[0] = (change(stored), plain)

    return changed


def words(*words: int, names: bytes = b"") -> bytes:
    """An entry of a segment with these words for lengths."""
    return FINGERPRINT + struct.pack(f"<H{len(words)}I", len(words), *words) + names


def swapped(parts: list[Part]) -> None:
    parts[-2].content, parts[-1].content = parts[-1].content, parts[-2].content


_ZERO = 1 << 31
_NAME = bytes(32)

MAPS = {
    "map-of-another-archive": (
        member(archive_id=bytes(16)),
        "disk-0/000000.zst is a member of something else",
    ),
    "map-of-another-disk": (member(disk=1), "disk-0/000000.zst is a member of something else"),
    "map-of-another-member": (member(number=1), "disk-0/000000.zst is a member of something else"),
    "map-of-disk-2-to-32": (
        member(disk=2**32 - 1),
        "disk-0/000000.zst is a member of something else",
    ),
    "map-that-begins-later": (
        member(first=SEGMENT),
        "member 0 does not go on where the one before it ends",
    ),
    "map-that-begins-inside-a-segment": (
        member(first=512),
        "a member does not begin with a segment",
    ),
    "map-that-begins-at-2-to-63": (
        member(first=1 << 63),
        "member 0 does not go on where the one before it ends",
    ),
    "map-of-no-bytes": (member(plain_length=0), "a member covers an impossible length"),
    "map-of-over-a-gibibyte": (
        member(plain_length=(1 << 30) + 1),
        "a member covers an impossible length",
    ),
    "map-of-4-gib": (member(plain_length=2**32 - 1), "a member covers an impossible length"),
    "map-of-fewer-segments": (member(plain_length=2 * SEGMENT), "the map of a member is truncated"),
    "map-of-more-segments": (
        member(plain_length=4 * SEGMENT),
        "a segment of a member has no chunks",
    ),
    "map-of-one-byte-less": (
        member(plain_length=3 * SEGMENT - 1),
        "a frame of a member crosses the end of a segment",
    ),
    "map-with-a-foreign-magic": (
        member(magic=b"AMIINDX1"),
        "the map of a member does not begin with its magic",
    ),
    "map-of-a-newer-version": (
        member(magic=b"AMIAMAP2"),
        "the map of a member does not begin with its magic",
    ),
    "map-in-another-skippable-frame": (
        member(skippable=0x184D2A50),
        "a member does not begin with its map",
    ),
    "map-in-a-frame-of-data": (
        member(skippable=0xFD2FB528),
        "a member does not begin with its map",
    ),
    "map-length-of-4-gib": (
        member(map_length=2**32 - 1),
        "the map of a member has an impossible length",
    ),
    "map-length-zero": (member(map_length=0), "the map of a member has an impossible length"),
    "map-length-one-less": (member(map_length=200), "the map of a member is damaged"),
    "map-length-over-16-mib": (
        member(map_length=16 * MIB),
        "the map of a member has an impossible length",
    ),
    "map-digest-wrong": (member(digest=lambda _: bytes(32)), "the map of a member is damaged"),
    "map-with-bytes-behind": (member(behind_map=b"\0"), "the map of a member has a wrong length"),
    "map-frames-none": (
        member(table=[], count=0),
        "the map of a member has an impossible number of frames",
    ),
    "map-frames-2-to-32": (
        member(count=2**32 - 1),
        "the map of a member has an impossible number of frames",
    ),
    "map-frames-2-to-29": (
        member(count=2**29),
        "the map of a member has an impossible number of frames",
    ),
    "map-frames-one-more": (member(count=6), "a segment of a member is of an unknown kind"),
    "map-frames-one-less": (member(count=4), "a segment of a member is of an unknown kind"),
    "frame-of-no-stored-bytes": (
        table(lambda rows: rows.__setitem__(0, (0, MIB))),
        "a frame of a member has an impossible length",
    ),
    "frame-of-no-plain-bytes": (
        table(lambda rows: rows.insert(0, (13, 0))),
        "a frame of a member has an impossible length",
    ),
    "frame-of-4-gib-stored": (
        table(lambda rows: rows.__setitem__(0, (2**32 - 1, MIB))),
        "a frame of a member has an impossible length",
    ),
    "frames-that-sum-to-2-to-64": (
        table(lambda rows: rows.__setitem__(slice(0, 4), [(9, 2**32 - 1)] * 4)),
        "a frame of a member crosses the end of a segment",
    ),
    "frame-over-a-mebibyte": (
        table(
            lambda rows: rows.__setitem__(
                slice(0, 2), [(rows[0][0], MIB + 1), (rows[1][0], MIB - 1)]
            )
        ),
        "a frame of a member has an impossible length",
    ),
    "frames-cross-a-segment": (
        table(
            lambda rows: rows.__setitem__(
                slice(3, 5), [(rows[3][0], 2 * MIB), (rows[4][0], 7 * MIB)]
            )
        ),
        "a frame of a member crosses the end of a segment",
    ),
    "frame-stored-one-byte-longer": (
        table(
            lambda rows: rows.__setitem__(
                slice(0, 2), [(rows[0][0] + 1, MIB), (rows[1][0] - 1, MIB)]
            )
        ),
        "a frame's payload is not one zstd frame of its length",
    ),
    "frame-reaches-beyond-the-member": (
        table(lambda rows: rows.__setitem__(3, (rows[3][0] + 8000, MIB))),
        "disk-0/000000.zst has another length than its map says",
    ),
    "frame-of-zeros-one-byte-longer": (
        table(lambda rows: rows.__setitem__(4, (rows[4][0] + 1, rows[4][1]))),
        "the zeros of a member are not one frame",
    ),
    "frames-swapped": (
        table(lambda rows: rows.reverse()),
        "a frame of a member crosses the end of a segment",
    ),
    "kind-3": (member(kinds=[3, HOLE, ZEROS]), "a segment of a member is of an unknown kind"),
    "kind-of-chunks-for-zeros": (member(kinds=[2, 2, ZEROS]), "the map of a member is truncated"),
    "kind-of-zeros-for-chunks": (
        member(kinds=[ZEROS, HOLE, ZEROS], entries=[]),
        "the zeros of a member are not one frame",
    ),
    "kind-of-zeros-for-a-hole": (
        member(kinds=[2, ZEROS, ZEROS]),
        "it has other content than its manifest says",
    ),
    "kind-of-a-hole-for-zeros": (
        member(kinds=[2, HOLE, HOLE]),
        "it has other content than its manifest says",
    ),
    "kinds-all-holes": (
        member(kinds=[HOLE] * 3, entries=[], frames=[(zero_frame(3 * SEGMENT), 3 * SEGMENT)]),
        "it has other content than its manifest says",
    ),
    "leaf-without-pieces": (entry(words()), "a segment of a member has no chunks"),
    "leaf-of-zeros-alone": (entry(words(SEGMENT | _ZERO)), "a segment of a member has no chunks"),
    "leaf-of-two-zeros": (
        entry(leaf_entry([*FIRST_SEGMENT[:2], MIB, *FIRST_SEGMENT[2:-1], MIB - 8192])),
        "runs of zeros follow each other in a segment of a member",
    ),
    "leaf-of-zeros-of-no-length": (
        entry(words(_ZERO, SEGMENT, names=_NAME)),
        "a piece of a segment of a member is empty",
    ),
    "leaf-of-a-chunk-of-no-length": (
        entry(words(0, SEGMENT, names=_NAME * 2)),
        "a piece of a segment of a member is empty",
    ),
    "leaf-one-byte-short": (
        entry(leaf_entry([*FIRST_SEGMENT[:-1], 2 * MIB - 8193])),
        "the pieces of a segment of a member do not add up",
    ),
    "leaf-one-byte-long": (
        entry(leaf_entry([*FIRST_SEGMENT[:-1], 2 * MIB - 8191])),
        "the pieces of a segment of a member do not add up",
    ),
    "leaf-lengths-that-overflow": (
        entry(words(2**31 - 1, 2**31 - 1, SEGMENT + 2, names=_NAME * 3)),
        "the pieces of a segment of a member do not add up",
    ),
    "leaf-of-one-chunk-of-4-mib": (
        entry(words(SEGMENT, names=_NAME)),
        "a chunk is longer than any is cut",
    ),
    "leaf-count-one-more": (
        entry(leaf_entry(FIRST_SEGMENT, count=6)),
        "the map of a member is truncated",
    ),
    "leaf-count-of-65535": (
        entry(leaf_entry(FIRST_SEGMENT, count=65_535)),
        "the map of a member is truncated",
    ),
    "leaf-without-its-last-name": (
        entry(leaf_entry(FIRST_SEGMENT)[:-32]),
        "the map of a member is truncated",
    ),
    "leaf-truncated": (entry(leaf_entry(FIRST_SEGMENT)[:10]), "the map of a member is truncated"),
    "leaf-absent": (member(entries=[]), "the map of a member is truncated"),
    "leaf-twice": (
        member(entries=[leaf_entry(FIRST_SEGMENT)] * 2),
        "the map of a member has a wrong length",
    ),
    "fingerprint-wrong": (
        entry(leaf_entry(FIRST_SEGMENT, bytes(16))),
        "its content has another fingerprint",
    ),
    "chunk-name-wrong": (entry(leaf_entry(FIRST_SEGMENT)[:-32] + _NAME), "has other content"),
    "chunk-names-swapped": (
        entry(leaf_entry([CHUNKS[1], CHUNKS[0], *FIRST_SEGMENT[2:]], FINGERPRINT)),
        "has other content",
    ),
    "chunk-borders-moved": (
        entry(
            words(
                8191,
                8193,
                FIRST_SEGMENT[2] | _ZERO,
                8192,
                FIRST_SEGMENT[4] | _ZERO,
                names=_NAME * 3,
            )
        ),
        "has other content",
    ),
    "member-empty-of-frames": (
        member(frames=[]),
        "the map of a member has an impossible number of frames",
    ),
    "member-with-a-byte-behind": (
        member(behind=b"\0"),
        "disk-0/000000.zst has another length than its map says",
    ),
    "member-with-a-frame-behind": (
        member(behind=zero_frame(MIB)),
        "disk-0/000000.zst has another length than its map says",
    ),
    "member-with-a-skippable-frame-behind": (
        member(behind=struct.pack("<II", 0x184D2A50, 0)),
        "disk-0/000000.zst has another length than its map says",
    ),
    "member-without-a-map": (
        lambda archive: setattr(
            archive, "change_parts", lambda parts: setattr(parts[1], "content", zero_frame(SEGMENT))
        ),
        "a member does not begin with its map",
    ),
    "member-of-a-map-alone": (
        lambda archive: setattr(
            archive,
            "change_parts",
            lambda parts: setattr(parts[1], "content", parts[1].content[:200]),
        ),
        "disk-0/000000.zst is shorter than its map",
    ),
    "contents-of-members-swapped": (
        lambda archive: setattr(archive, "change_parts", swapped),
        "disk-0/000000.zst is a member of something else",
    ),
}


def too_many_frames() -> Change:
    """A segment of two thousand frames."""
    plain = plain_bytes(FIRST_SEGMENT)
    small = zstandard.ZstdCompressor(level=1)
    frames = [(small.compress(plain[at : at + 2048]), 2048) for at in range(0, SEGMENT, 2048)]
    return member(frames=[*frames, (zero_frame(2 * SEGMENT), 2 * SEGMENT)])


def vectors() -> Iterator[Vector]:
    many = (too_many_frames(), "too many frames")
    for fault, (change, reason) in {**MAPS, "frames-2048-of-a-segment": many}.items():
        yield Vector("archive", fault, INVALID, reason, lambda change=change: built(change))
