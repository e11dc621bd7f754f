"""Faults of the members of disks: maps, frames, and what is sealed."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pyrage
import zstandard

from tests.hostile.archives import (
    CHUNKS,
    FIRST_SEGMENT,
    HOLE,
    MIB,
    SEGMENT,
    ZEROS,
    Archive,
    DiskMember,
    Part,
    built,
    fingerprint,
    leaf_entry,
    plain_bytes,
    sealed_to,
    zero_frame,
)
from tests.hostile.corpus import Vector
from tests.hostile.identity_files import AGE, END, OTHER_KEY, SECRET, protected

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


_ZERO = 1 << 31
_NAME = bytes(32)

MAPS = {
    "map-of-another-archive": member(archive_id=bytes(16)),
    "map-of-another-disk": member(disk=1),
    "map-of-another-member": member(number=1),
    "map-of-disk-2-to-32": member(disk=2**32 - 1),
    "map-that-begins-later": member(first=SEGMENT),
    "map-that-begins-inside-a-segment": member(first=512),
    "map-that-begins-at-2-to-63": member(first=1 << 63),
    "map-of-no-bytes": member(plain_length=0),
    "map-of-over-a-gibibyte": member(plain_length=(1 << 30) + 1),
    "map-of-4-gib": member(plain_length=2**32 - 1),
    "map-of-fewer-segments": member(plain_length=2 * SEGMENT),
    "map-of-more-segments": member(plain_length=4 * SEGMENT),
    "map-of-one-byte-less": member(plain_length=3 * SEGMENT - 1),
    "map-with-a-foreign-magic": member(magic=b"AMIINDX1"),
    "map-of-a-newer-version": member(magic=b"AMIAMAP2"),
    "map-in-another-skippable-frame": member(skippable=0x184D2A50),
    "map-in-a-frame-of-data": member(skippable=0xFD2FB528),
    "map-length-of-4-gib": member(map_length=2**32 - 1),
    "map-length-zero": member(map_length=0),
    "map-length-one-less": member(map_length=200),
    "map-length-over-16-mib": member(map_length=16 * MIB),
    "map-digest-wrong": member(digest=lambda _: bytes(32)),
    "map-with-bytes-behind": member(behind_map=b"\0"),
    "map-frames-none": member(table=[], count=0),
    "map-frames-2-to-32": member(count=2**32 - 1),
    "map-frames-2-to-29": member(count=2**29),
    "map-frames-one-more": member(count=6),
    "map-frames-one-less": member(count=4),
    "frame-of-no-stored-bytes": table(lambda rows: rows.__setitem__(0, (0, MIB))),
    "frame-of-no-plain-bytes": table(lambda rows: rows.insert(0, (13, 0))),
    "frame-of-4-gib-stored": table(lambda rows: rows.__setitem__(0, (2**32 - 1, MIB))),
    "frames-that-sum-to-2-to-64": table(lambda rows: rows.__setitem__(slice(0, 4), [(9, 2**32 - 1)] * 4)),
    "frame-over-a-mebibyte": table(
        lambda rows: rows.__setitem__(slice(0, 2), [(rows[0][0], MIB + 1), (rows[1][0], MIB - 1)])
    ),
    "frames-cross-a-segment": table(
        lambda rows: rows.__setitem__(slice(3, 5), [(rows[3][0], 2 * MIB), (rows[4][0], 7 * MIB)])
    ),
    "frame-stored-one-byte-longer": table(
        lambda rows: rows.__setitem__(slice(0, 2), [(rows[0][0] + 1, MIB), (rows[1][0] - 1, MIB)])
    ),
    "frame-reaches-beyond-the-member": table(
        lambda rows: rows.__setitem__(3, (rows[3][0] + 8000, MIB))
    ),
    "frame-of-zeros-one-byte-longer": table(
        lambda rows: rows.__setitem__(4, (rows[4][0] + 1, rows[4][1]))
    ),
    "frames-swapped": table(lambda rows: rows.reverse()),
    "kind-3": member(kinds=[3, HOLE, ZEROS]),
    "kind-of-chunks-for-zeros": member(kinds=[2, 2, ZEROS]),
    "kind-of-zeros-for-chunks": member(kinds=[ZEROS, HOLE, ZEROS], entries=[]),
    "kind-of-zeros-for-a-hole": member(kinds=[2, ZEROS, ZEROS]),
    "kind-of-a-hole-for-zeros": member(kinds=[2, HOLE, HOLE]),
    "kinds-all-holes": member(
        kinds=[HOLE] * 3, entries=[], frames=[(zero_frame(3 * SEGMENT), 3 * SEGMENT)]
    ),
    "leaf-without-pieces": entry(words()),
    "leaf-of-zeros-alone": entry(words(SEGMENT | _ZERO)),
    "leaf-of-two-zeros": entry(
        leaf_entry([*FIRST_SEGMENT[:2], MIB, *FIRST_SEGMENT[2:-1], MIB - 8192])
    ),
    "leaf-of-zeros-of-no-length": entry(words(_ZERO, SEGMENT, names=_NAME)),
    "leaf-of-a-chunk-of-no-length": entry(words(0, SEGMENT, names=_NAME * 2)),
    "leaf-one-byte-short": entry(leaf_entry([*FIRST_SEGMENT[:-1], 2 * MIB - 8193])),
    "leaf-one-byte-long": entry(leaf_entry([*FIRST_SEGMENT[:-1], 2 * MIB - 8191])),
    "leaf-lengths-that-overflow": entry(words(2**31 - 1, 2**31 - 1, SEGMENT + 2, names=_NAME * 3)),
    "leaf-of-one-chunk-of-4-mib": entry(words(SEGMENT, names=_NAME)),
    "leaf-count-one-more": entry(leaf_entry(FIRST_SEGMENT, count=6)),
    "leaf-count-of-65535": entry(leaf_entry(FIRST_SEGMENT, count=65_535)),
    "leaf-without-its-last-name": entry(leaf_entry(FIRST_SEGMENT)[:-32]),
    "leaf-truncated": entry(leaf_entry(FIRST_SEGMENT)[:10]),
    "leaf-absent": member(entries=[]),
    "leaf-twice": member(entries=[leaf_entry(FIRST_SEGMENT)] * 2),
    "fingerprint-wrong": entry(leaf_entry(FIRST_SEGMENT, bytes(16))),
    "chunk-name-wrong": entry(leaf_entry(FIRST_SEGMENT)[:-32] + _NAME),
    "chunk-names-swapped": entry(
        leaf_entry([CHUNKS[1], CHUNKS[0], *FIRST_SEGMENT[2:]], FINGERPRINT)
    ),
    "chunk-borders-moved": entry(
        words(8191, 8193, FIRST_SEGMENT[2] | _ZERO, 8192, FIRST_SEGMENT[4] | _ZERO, names=_NAME * 3)
    ),
    "member-empty-of-frames": member(frames=[]),
    "member-with-a-byte-behind": member(behind=b"\0"),
    "member-with-a-frame-behind": member(behind=zero_frame(MIB)),
    "member-with-a-skippable-frame-behind": member(behind=struct.pack("<II", 0x184D2A50, 0)),
    "member-without-a-map": lambda archive: setattr(
        archive, "change_parts", lambda parts: setattr(parts[1], "content", zero_frame(SEGMENT))
    ),
    "member-of-a-map-alone": lambda archive: setattr(
        archive, "change_parts", lambda parts: setattr(parts[1], "content", parts[1].content[:200])
    ),
    "contents-of-members-swapped": lambda archive: setattr(archive, "change_parts", _swapped),
}


def _swapped(parts: list[Part]) -> None:
    parts[-2].content, parts[-1].content = parts[-1].content, parts[-2].content


def too_many_frames() -> Change:
    """A segment of two thousand frames."""
    plain = plain_bytes(FIRST_SEGMENT)
    small = zstandard.ZstdCompressor(level=1)
    frames = [(small.compress(plain[at : at + 2048]), 2048) for at in range(0, SEGMENT, 2048)]
    return member(frames=[*frames, (zero_frame(2 * SEGMENT), 2 * SEGMENT)])


# --- frames ------------------------------------------------------------------------------------

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
    return [raw(data[at : at + size], last=at + size >= len(data)) for at in range(0, len(data), size)]


def repeated(count: int) -> list[bytes]:
    """Blocks that each decode to 128 KiB of a letter."""
    return [block(1, 131_072, b"x", last=at == count - 1) for at in range(count)]


def compressed(**parameters: Any) -> bytes:
    return zstandard.ZstdCompressor(**parameters).compress(PLAIN)


def with_dictionary() -> bytes:
    dictionary = zstandard.ZstdCompressionDict(PLAIN[:4096], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return compressed(dict_data=dictionary)


_TAIL = zero_frame(8192)

FRAMES = {
    "zstd-bomb": frame(zstd(MIB, *repeated(2000))),
    "zstd-bomb-that-states-a-gibibyte": frame(zstd(1 << 30, *repeated(8192))),
    "zstd-states-32-tib": frame(
        struct.pack("<IBBQ", _ZSTD, 0xC0, 0x50, 1 << 45) + b"".join(repeated(8))
    ),
    "zstd-states-2-to-64": frame(
        struct.pack("<IBBQ", _ZSTD, 0xC0, 0x50, 2**64 - 1) + b"".join(repeated(8))
    ),
    "zstd-states-no-size": frame(struct.pack("<IBB", _ZSTD, 0, 0x50) + b"".join(repeated(8))),
    "zstd-states-one-byte-more": frame(zstd(MIB + 1, *raw_blocks(PLAIN))),
    "zstd-states-one-byte-less": frame(zstd(MIB - 1, *raw_blocks(PLAIN))),
    "zstd-decodes-to-less": frame(zstd(MIB, *repeated(7))),
    "zstd-decodes-to-more": frame(zstd(MIB, *repeated(9))),
    "zstd-window-of-2-gib": frame(zstd(MIB, *raw_blocks(PLAIN), window=21 << 3)),
    "zstd-window-of-16-mib": frame(zstd(MIB, *raw_blocks(PLAIN), window=14 << 3)),
    "zstd-window-of-2-to-41": frame(zstd(MIB, *raw_blocks(PLAIN), window=0xFF)),
    "zstd-names-a-dictionary": frame(
        struct.pack("<IBBBI", _ZSTD, 0x81, 0x50, 7, MIB) + b"".join(raw_blocks(PLAIN))
    ),
    "zstd-needs-a-dictionary": frame(with_dictionary()),
    "zstd-reserved-bit": frame(zstd(MIB, *raw_blocks(PLAIN), descriptor=0x88)),
    "zstd-block-of-reserved-type": frame(zstd(MIB, block(3, 8, bytes(8), last=True))),
    "zstd-block-over-128-kib": frame(zstd(MIB, block(1, MIB, b"\0", last=True))),
    "zstd-block-beyond-the-frame": frame(zstd(MIB, block(0, 100_000, b"x", last=True))),
    "zstd-without-a-last-block": frame(zstd(MIB, *raw_blocks(PLAIN)[:-1])),
    "zstd-checksum-wrong": frame(zstd(MIB, *raw_blocks(PLAIN), b"abcd", descriptor=0x84)),
    "zstd-checksum-absent": frame(zstd(MIB, *raw_blocks(PLAIN), descriptor=0x84)),
    "zstd-byte-behind": frame_again(lambda stored: stored + b"\0"),
    "zstd-byte-missing": frame_again(lambda stored: stored[:-1]),
    "zstd-two-frames": frame(
        zstd(MIB - 8192, *raw_blocks(PLAIN[:-8192])) + zstd(8192, raw(PLAIN[-8192:], last=True))
    ),
    "zstd-frame-of-no-bytes-behind": frame_again(
        lambda stored: stored + zstd(0, raw(b"", last=True))
    ),
    "zstd-skippable-frame-before": frame_again(
        lambda stored: struct.pack("<II", 0x184D2A50, 4) + b"skip" + stored
    ),
    "zstd-skippable-frame-instead": frame(struct.pack("<II", 0x184D2A51, 100) + bytes(100)),
    "zstd-skippable-frame-of-4-gib": frame(struct.pack("<II", 0x184D2A51, 2**32 - 1) + bytes(99)),
    "zstd-of-old-version": frame(struct.pack("<I", 0xFD2FB527) + bytes(100)),
    "zstd-without-magic": frame_again(lambda stored: stored[4:]),
    "zstd-instead-gzip": frame(b"\x1f\x8b\x08" + bytes(100)),
    "zstd-of-other-bytes": frame(zstd(MIB, *repeated(8))),
    "zeros-of-letters": frame(
        zero_frame(2 * SEGMENT).replace(b"\0" + block(1, 131_072, b"\0"), b"x" + block(1, 131_072, b"\0"), 1),
        at=4,
        plain=2 * SEGMENT,
    ),
    "zeros-of-letters-everywhere": frame(
        zero_frame(0)[:0]
        + struct.pack("<IBBI", _ZSTD, 0x80, 0x38, 2 * SEGMENT)
        + b"".join(repeated(64)),
        at=4,
        plain=2 * SEGMENT,
    ),
    "zeros-in-two-frames": member(
        frames=[*DiskMember(0, 0, [], [], []).frames, *[(zero_frame(SEGMENT), SEGMENT)] * 2]
    ),
    "zeros-compressed-otherwise": frame(
        zstandard.ZstdCompressor().compress(bytes(2 * SEGMENT)), at=4, plain=2 * SEGMENT
    ),
}


# --- what is sealed ----------------------------------------------------------------------------


def identity(text: bytes) -> Change:
    return lambda archive: setattr(archive, "identity", text)


def key_file(data: bytes) -> Change:
    return lambda archive: setattr(
        archive, "change_parts", lambda parts: setattr(parts[0], "content", data)
    )


def sealed(at: int, change: Callable[[bytes], bytes]) -> Change:
    """A member, after it was sealed, is changed so."""

    def changed(parts: list[Part]) -> None:
        parts[at].content = change(parts[at].content)

    return lambda archive: setattr(archive, "change_parts", changed)


def sealed_by(seal: Callable[[bytes], bytes]) -> Change:
    return lambda archive: setattr(archive, "seal", seal)


def _of_another(data: bytes) -> bytes:
    return sealed_to(data, str(pyrage.x25519.Identity.generate().to_public()))


def _of_two(data: bytes) -> bytes:
    one = pyrage.x25519.Identity.from_str(SECRET).to_public()
    other = pyrage.x25519.Identity.generate().to_public()
    return bytes(pyrage.encrypt(data, [one, other]))


_PLUGIN = b"AGE-PLUGIN-X-1QQQ\n"

SEALED = {
    "key-empty-inside": identity(b""),
    "key-of-two-identities": identity(f"{SECRET}\n{SECRET}\n".encode()),
    "key-with-a-comment": identity(f"# a comment\n{SECRET}\n".encode()),
    "key-without-newline": identity(SECRET.encode()),
    "key-in-small-letters": identity(f"{SECRET.lower()}\n".encode()),
    "key-of-a-plugin": identity(_PLUGIN),
    "key-of-noise": identity(bytes(range(256))),
    "key-of-a-mebibyte": identity(SECRET.encode() * 14_000),
    "key-file-of-noise": key_file(bytes(range(256))),
    "key-file-for-a-passphrase": key_file(protected("18")),
    "key-file-for-a-passphrase-of-factor-30": key_file(protected("30")),
    "key-file-of-65-recipients": key_file(AGE + OTHER_KEY * 65 + END),
    "key-file-of-a-thousand-recipients": key_file(AGE + OTHER_KEY * 700 + END),
    "key-file-without-recipients": key_file(AGE + END),
    "key-file-without-end": key_file(AGE + OTHER_KEY),
    "key-file-truncated": sealed(0, lambda data: data[:-1]),
    "key-file-with-a-byte-behind": sealed(0, lambda data: data + b"\0"),
    "key-file-armored": key_file(
        bytes(
            pyrage.encrypt(
                f"{SECRET}\n".encode(),
                [pyrage.x25519.Identity.from_str(SECRET).to_public()],
                armored=True,
            )
        )
    ),
    "manifest-not-sealed": sealed(1, lambda _: b"{}\n"),
    "manifest-sealed-twice": sealed(1, sealed_to),
    "manifest-says-plain": lambda archive: archive.manifest.update(Encrypted=False),
    "manifest-truncated-when-sealed": sealed(1, lambda data: data[:-1]),
    "manifest-with-a-byte-behind-when-sealed": sealed(1, lambda data: data + b"\0"),
    "manifest-with-a-bit-flipped": sealed(1, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "member-truncated-when-sealed": sealed(2, lambda data: data[:-1]),
    "member-with-a-bit-flipped": sealed(2, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "member-for-a-passphrase": sealed(2, lambda _: protected("18")),
    "member-for-a-passphrase-of-factor-30": sealed(2, lambda _: protected("30")),
    "member-of-100-recipients": sealed(2, lambda _: AGE + OTHER_KEY * 100 + END),
    "members-sealed-to-another": sealed_by(_of_another),
    "members-sealed-to-two": sealed_by(_of_two),
    "members-sealed-twice": sealed_by(lambda data: sealed_to(sealed_to(data))),
    "sealed-members-swapped": lambda archive: setattr(archive, "change_parts", _swapped),
    "key-missing": lambda archive: setattr(archive, "change_parts", lambda parts: parts[1:]),
    "key-after-the-manifest": lambda archive: setattr(
        archive, "change_parts", lambda parts: [parts[1], parts[0], *parts[2:]]
    ),
    "plain-member-among-sealed-ones": lambda archive: setattr(
        archive, "change_parts", lambda parts: setattr(parts[3], "name", "disk-1/000000.zst")
    ),
    "disk-of-4-pib-when-sealed": lambda archive: archive.manifest["Disks"][0].update(
        SizeBytes=1 << 52
    ),
    "sealed-map-of-another-archive": member(archive_id=bytes(16)),
    "sealed-map-of-another-disk": member(disk=1),
    "sealed-fingerprint-wrong": entry(leaf_entry(FIRST_SEGMENT, bytes(16))),
    "sealed-zstd-bomb": frame(zstd(MIB, *repeated(2000))),
}


def vectors() -> Iterator[Vector]:
    yield Vector("archive", "right-sealed", None, "", lambda: built(lambda _: None, sealed=True))
    plain = {**MAPS, "frames-2048-of-a-segment": too_many_frames(), **FRAMES}
    for fault, change in plain.items():
        yield Vector("archive", fault, INVALID, "", lambda change=change: built(change))
    for fault, change in SEALED.items():
        make = lambda change=change: built(change, sealed=True)  # noqa: E731
        yield Vector("archive", fault, INVALID, "", make)
    nobody = lambda archive: setattr(archive, "owner", str(_NOBODY))  # noqa: E731
    make = lambda: built(nobody, sealed=True)  # noqa: E731
    yield Vector("archive", "key-file-to-another", "KeyUnavailableError", "", make)


_NOBODY = pyrage.x25519.Identity.generate().to_public()
