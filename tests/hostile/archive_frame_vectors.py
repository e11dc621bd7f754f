"""Faults of the zstd frames in an archive."""

import struct
from collections.abc import Iterator
from typing import Any

import zstandard

from tests.hostile.archive_member_vectors import INVALID, frame, frame_again, member
from tests.hostile.archives import (
    FIRST_SEGMENT,
    MIB,
    SEGMENT,
    DiskMember,
    built,
    plain_bytes,
    zero_frame,
)
from tests.hostile.corpus import Vector

_ZSTD = 0xFD2FB528
PLAIN = plain_bytes(FIRST_SEGMENT)[:MIB]


def zstd(size: int, *blocks: bytes, descriptor: int = 0x80, window: int = 0x50) -> bytes:
    """A frame of these blocks that states a size in four bytes."""
    return struct.pack("<IBBI", _ZSTD, descriptor, window, size) + b"".join(blocks)


def block(kind: int, size: int, content: bytes, *, last: bool = False) -> bytes:
    return (size << 3 | kind << 1 | last).to_bytes(3, "little") + content


def raw(data: bytes, *, last: bool = False) -> bytes:
    return block(0, len(data), data, last=last)


def raw_blocks(data: bytes) -> list[bytes]:
    size = 131_072
    return [
        raw(data[at : at + size], last=at + size >= len(data)) for at in range(0, len(data), size)
    ]


def repeated(count: int) -> list[bytes]:
    """Blocks that each decode to 128 KiB of a letter."""
    return [block(1, 131_072, b"x", last=at == count - 1) for at in range(count)]


def compressed(**parameters: Any) -> bytes:
    return zstandard.ZstdCompressor(**parameters).compress(PLAIN)


def with_dictionary() -> bytes:
    dictionary = zstandard.ZstdCompressionDict(
        PLAIN[:4096], dict_type=zstandard.DICT_TYPE_RAWCONTENT
    )
    return compressed(dict_data=dictionary)


_TAIL = zero_frame(8192)

FRAMES = {
    "zstd-bomb": (frame(zstd(MIB, *repeated(2000))), "a frame cannot be decompressed"),
    "zstd-bomb-that-states-a-gibibyte": (
        frame(zstd(1 << 30, *repeated(8192))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-states-32-tib": (
        frame(struct.pack("<IBBQ", _ZSTD, 0xC0, 0x50, 1 << 45) + b"".join(repeated(8))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-states-2-to-64": (
        frame(struct.pack("<IBBQ", _ZSTD, 0xC0, 0x50, 2**64 - 1) + b"".join(repeated(8))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-states-no-size": (
        frame(struct.pack("<IBB", _ZSTD, 0, 0x50) + b"".join(repeated(8))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-states-one-byte-more": (
        frame(zstd(MIB + 1, *raw_blocks(PLAIN))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-states-one-byte-less": (
        frame(zstd(MIB - 1, *raw_blocks(PLAIN))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-decodes-to-less": (frame(zstd(MIB, *repeated(7))), "a frame cannot be decompressed"),
    "zstd-decodes-to-more": (frame(zstd(MIB, *repeated(9))), "a frame cannot be decompressed"),
    "zstd-window-of-2-gib": (
        frame(zstd(MIB, *raw_blocks(PLAIN), window=21 << 3)),
        "is not one zstd frame",
    ),
    "zstd-window-of-16-mib": (
        frame(zstd(MIB, *raw_blocks(PLAIN), window=14 << 3)),
        "is not one zstd frame",
    ),
    "zstd-window-of-2-to-41": (
        frame(zstd(MIB, *raw_blocks(PLAIN), window=0xFF)),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-names-a-dictionary": (
        frame(struct.pack("<IBBBI", _ZSTD, 0x81, 0x50, 7, MIB) + b"".join(raw_blocks(PLAIN))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-needs-a-dictionary": (frame(with_dictionary()), "a frame cannot be decompressed"),
    "zstd-reserved-bit": (
        frame(zstd(MIB, *raw_blocks(PLAIN), descriptor=0x88)),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-block-of-reserved-type": (
        frame(zstd(MIB, block(3, 8, bytes(8), last=True))),
        "a frame cannot be decompressed",
    ),
    "zstd-block-over-128-kib": (
        frame(zstd(MIB, block(1, MIB, b"\0", last=True))),
        "has other content",
    ),
    "zstd-block-beyond-the-frame": (
        frame(zstd(MIB, block(0, 100_000, b"x", last=True))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-without-a-last-block": (
        frame(zstd(MIB, *raw_blocks(PLAIN)[:-1])),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-checksum-wrong": (
        frame(zstd(MIB, *raw_blocks(PLAIN), b"abcd", descriptor=0x84)),
        "a frame cannot be decompressed",
    ),
    "zstd-checksum-absent": (
        frame(zstd(MIB, *raw_blocks(PLAIN), descriptor=0x84)),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-byte-behind": (
        frame_again(lambda stored: stored + b"\0"),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-byte-missing": (
        frame_again(lambda stored: stored[:-1]),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-two-frames": (
        frame(
            zstd(MIB - 8192, *raw_blocks(PLAIN[:-8192])) + zstd(8192, raw(PLAIN[-8192:], last=True))
        ),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-frame-of-no-bytes-behind": (
        frame_again(lambda stored: stored + zstd(0, raw(b"", last=True))),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-skippable-frame-before": (
        frame_again(lambda stored: struct.pack("<II", 0x184D2A50, 4) + b"skip" + stored),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-skippable-frame-instead": (
        frame(struct.pack("<II", 0x184D2A51, 100) + bytes(100)),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-skippable-frame-of-4-gib": (
        frame(struct.pack("<II", 0x184D2A51, 2**32 - 1) + bytes(99)),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-of-old-version": (
        frame(struct.pack("<I", 0xFD2FB527) + bytes(100)),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-without-magic": (
        frame_again(lambda stored: stored[4:]),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-instead-gzip": (
        frame(b"\x1f\x8b\x08" + bytes(100)),
        "a frame's payload is not one zstd frame of its length",
    ),
    "zstd-of-other-bytes": (frame(zstd(MIB, *repeated(8))), "has other content"),
    "zeros-of-letters": (
        frame(
            zero_frame(2 * SEGMENT).replace(
                b"\0" + block(1, 131_072, b"\0"), b"x" + block(1, 131_072, b"\0"), 1
            ),
            at=4,
            plain=2 * SEGMENT,
        ),
        "what should be zeros from byte 4194304 on is not",
    ),
    "zeros-of-letters-everywhere": (
        frame(
            zero_frame(0)[:0]
            + struct.pack("<IBBI", _ZSTD, 0x80, 0x38, 2 * SEGMENT)
            + b"".join(repeated(64)),
            at=4,
            plain=2 * SEGMENT,
        ),
        "what should be zeros from byte 4194304 on is not",
    ),
    "zeros-in-two-frames": (
        member(
            frames=[*DiskMember(0, 0, [], [], []).frames, *[(zero_frame(SEGMENT), SEGMENT)] * 2]
        ),
        "a frame of a member has an impossible length",
    ),
    "zeros-compressed-otherwise": (
        frame(zstandard.ZstdCompressor().compress(bytes(2 * SEGMENT)), at=4, plain=2 * SEGMENT),
        "the zeros of a member are not one frame",
    ),
}


def vectors() -> Iterator[Vector]:
    for fault, (change, reason) in FRAMES.items():
        yield Vector("archive", fault, INVALID, reason, lambda change=change: built(change))
