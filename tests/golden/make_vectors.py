"""Writes the vectors: for each format bytes that are right, and bytes with one damage each.

Built with struct, json and the digests alone, by the page of the format. Run by hand when a vector
is added, never by a test: a vector that is checked in does not change.
"""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import xxhash
import zstandard
from blake3 import blake3

FOLDER = Path(__file__).parent / "vectors"
CORRUPT, UNSUPPORTED = "CorruptStoreError", "UnsupportedError"
Vector = tuple[str, str | None, str, bytes]
"""Damage, error, part of its message, bytes."""

NAME_A, NAME_B, NAME_C = (blake3(text).digest() for text in (b"a", b"b", b"c"))
ID = bytes(range(16))


def checked(data: bytes) -> bytes:
    return data + xxhash.xxh3_64_intdigest(data).to_bytes(8, "little")


def digested(data: bytes) -> bytes:
    return data + blake3(data).digest()


def u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def u16(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}H", *numbers)


def everywhere(good: bytes) -> Iterator[Vector]:
    """Damages that every binary format refuses."""
    yield "zero-length", CORRUPT, "truncated", b""
    yield "first-eight-bytes-only", CORRUPT, "truncated", good[:8]
    yield "last-byte-missing", CORRUPT, "", good[:-1]
    yield "one-byte-appended", CORRUPT, "", good + b"\0"
    yield "foreign-magic", CORRUPT, "", b"\x89PNG\r\n\x1a\n" + good[8:]
    yield "magic-of-a-newer-version", CORRUPT, "", good[:7] + b"2" + good[8:]
    yield "second-half-zeroed", CORRUPT, "", good[: len(good) // 2].ljust(len(good), b"\0")
    yield "all-zeros", CORRUPT, "", bytes(len(good))
    yield "one-bit-flipped", CORRUPT, "", good[:50] + bytes([good[50] ^ 1]) + good[51:]
    middle = len(good) // 2
    yield "halves-swapped", CORRUPT, "", good[middle:] + good[:middle]


# --- frames ------------------------------------------------------------------------------------


def frame(
    *,
    stored: int = 0,
    body_length: int | None = None,
    count: int | None = None,
    needed: int = 0,
    codec: int = 0,
    seal: int = 0,
    reserved_a: int = 0,
    dictionary: int = 0,
    reserved_b: int = 0,
    domain: bytes = bytes(16),
    names: tuple[bytes, ...] = (NAME_A, NAME_B),
    needed_names: tuple[bytes, ...] = (),
    lengths: tuple[int, ...] = (3, 4),
    payload: bytes = b"aaabbbb",
) -> bytes:
    body = u32(*lengths) + payload
    total = 48 + 32 * len(names + needed_names) + len(body) + 8
    numbers = (
        struct.pack("<II", stored or total, len(body) if body_length is None else body_length)
        + u16(len(names) if count is None else count, needed)
        + struct.pack("<BBHII", codec, seal, reserved_a, dictionary, reserved_b)
    )
    return checked(b"AMIFRAM1" + numbers + domain + b"".join(names + needed_names) + body)


def frame_vectors() -> Iterator[Vector]:
    good = frame()
    yield "right", None, "", good
    yield "right-zstd", None, "", frame(codec=1, payload=zstandard.compress(b"aaabbbb"))
    yield from everywhere(good)
    yield "checksum-wrong", CORRUPT, "checksum", good[:-8] + bytes(8)
    yield "stored-length-too-small", CORRUPT, "length is wrong", frame(stored=len(good) - 1)
    yield "stored-length-too-large", CORRUPT, "length is wrong", frame(stored=len(good) + 1)
    yield "body-length-wrong", CORRUPT, "lengths disagree", frame(body_length=14)
    yield "count-too-large", CORRUPT, "", frame(count=3)
    yield "count-too-small", CORRUPT, "lengths disagree", frame(count=1)
    no_chunks = frame(names=(), lengths=(), payload=b"")
    yield "no-chunks", CORRUPT, "empty", no_chunks
    yield "chunk-twice", CORRUPT, "twice", frame(names=(NAME_A, NAME_A))
    yield "chunk-of-no-bytes", CORRUPT, "impossible lengths", frame(lengths=(0, 7))
    yield (
        "more-than-262144-plain-bytes",
        CORRUPT,
        "impossible lengths",
        frame(lengths=(3, 262_142), codec=1),
    )
    yield "payload-too-short", CORRUPT, "wrong length", frame(payload=b"aaabbb")
    yield "payload-too-long", CORRUPT, "wrong length", frame(payload=b"aaabbbbb")
    yield "sealed", UNSUPPORTED, "sealed", frame(seal=1)
    yield "domain-that-is-not-plain", UNSUPPORTED, "sealed", frame(domain=ID)
    yield "needed-names-that-are-not-there", CORRUPT, "lengths disagree", frame(needed=1)
    yield "dictionary", UNSUPPORTED, "dictionary", frame(dictionary=1)
    yield "reserved-bytes-at-22", CORRUPT, "reserved", frame(reserved_a=256)
    yield "reserved-bytes-at-28", CORRUPT, "reserved", frame(reserved_b=1)


# --- payloads ----------------------------------------------------------------------------------


def raw_zstd(stated: int, *blocks: bytes) -> bytes:
    """A zstd frame of raw blocks, in one segment, that states a content size."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0x20, stated])
    parts = [
        (len(block) << 3 | (at == len(blocks) - 1)).to_bytes(3, "little") + block
        for at, block in enumerate(blocks)
    ]
    return head + b"".join(parts)


def payload_vectors() -> Iterator[Vector]:
    """Payloads of codec 1 for seven plain bytes."""
    good = zstandard.compress(b"aaabbbb")
    skippable = b"\x50\x2a\x4d\x18" + u32(7) + bytes(7)
    without_size = zstandard.ZstdCompressor(write_content_size=False).compress(b"aaabbbb")
    yield "right", None, "", good
    yield "right-in-two-blocks", None, "", raw_zstd(7, b"aaa", b"bbbb")
    yield "zero-length", CORRUPT, "not one zstd frame", b""
    yield "not-zstd", CORRUPT, "not one zstd frame", b"aaabbbb"
    yield "last-byte-missing", CORRUPT, "not one zstd frame", good[:-1]
    yield "one-byte-appended", CORRUPT, "not one zstd frame", good + b"\0"
    yield "second-frame", CORRUPT, "not one zstd frame", good + good
    yield "empty-second-frame", CORRUPT, "not one zstd frame", good + zstandard.compress(b"")
    yield "skippable-frame-before", CORRUPT, "not one zstd frame", skippable + good
    yield "skippable-frame-after", CORRUPT, "not one zstd frame", good + skippable
    yield "skippable-frame-alone", CORRUPT, "", skippable
    yield "no-content-size", CORRUPT, "not one zstd frame", without_size
    yield "fewer-bytes", CORRUPT, "not one zstd frame", zstandard.compress(b"aaabbb")
    yield "more-bytes", CORRUPT, "not one zstd frame", zstandard.compress(b"aaabbbbb")
    yield "bomb", CORRUPT, "not one zstd frame", zstandard.compress(bytes(10_000_000))
    yield "fewer-bytes-than-stated", CORRUPT, "", raw_zstd(7, b"aaabbb")
    yield "more-bytes-than-stated", CORRUPT, "", raw_zstd(7, b"aaabbbbb")
    yield "a-block-after-the-stated-bytes", CORRUPT, "", raw_zstd(7, b"aaabbbb", b"c")
    yield "block-of-reserved-type", CORRUPT, "", good[:6] + b"\x3f" + good[7:]


# --- nodes -------------------------------------------------------------------------------------


def node(
    body: bytes,
    names: tuple[bytes, ...] = (NAME_A, NAME_B),
    *,
    kind: int = 0,
    level: int = 0,
    seal: int = 0,
    reserved_a: int = 0,
    count: int | None = None,
    reserved_b: bytes = bytes(6),
    domain: bytes = bytes(16),
    stored: int = 0,
) -> bytes:
    total = 40 + 32 * len(names) + len(body) + 8
    head = struct.pack(
        "<8sIBBBBH6s16s",
        b"AMINODE1",
        stored or total,
        kind,
        level,
        seal,
        reserved_a,
        len(names) if count is None else count,
        reserved_b,
        domain,
    )
    return checked(head + b"".join(names) + body)


def leaf_body(plain_length: int, *pieces: tuple[int, int], count: int | None = None) -> bytes:
    rows = b"".join(struct.pack("<IH", *piece) for piece in pieces)
    return u32(plain_length) + ID + u16(len(pieces) if count is None else count) + rows


def inner_body(plain_length: int, *slots: int, count: int | None = None) -> bytes:
    head = struct.pack("<QH", plain_length, len(slots) if count is None else count)
    return head + u16(*slots)


ZERO, HOLE, SEGMENT = 1 << 31, 0xFFFF, 4 << 20


def leaf_vectors() -> Iterator[Vector]:
    pieces = ((5000, 0), (4096 | ZERO, 0), (600, 1), (5000, 0))
    good = node(leaf_body(14_696, *pieces))
    yield "right", None, "", good
    yield "right-all-zeros", None, "", node(leaf_body(SEGMENT, (SEGMENT | ZERO, 0)), ())
    yield from everywhere(good)
    yield "checksum-wrong", CORRUPT, "checksum", good[:-8] + bytes(8)
    yield "stored-length-wrong", CORRUPT, "length is wrong", node(leaf_body(1, (1, 0)), stored=9)
    sealed = node(leaf_body(14_696, *pieces), seal=1)
    yield "sealed", UNSUPPORTED, "sealed", sealed
    yield "domain-that-is-not-plain", UNSUPPORTED, "sealed", node(leaf_body(1, (1, 0)), domain=ID)
    yield "reserved-byte-at-15", CORRUPT, "reserved", node(leaf_body(1, (1, 0)), reserved_a=1)
    reserved = node(leaf_body(14_696, *pieces), reserved_b=b"\0\0\0\0\0\1")
    yield "reserved-bytes-at-18", CORRUPT, "reserved", reserved
    yield "level-1", CORRUPT, "unknown kind or level", node(leaf_body(14_696, *pieces), level=1)
    yield "kind-2", CORRUPT, "unknown kind or level", node(leaf_body(14_696, *pieces), kind=2)
    yield "count-beyond-the-end", CORRUPT, "lengths disagree", node(leaf_body(1, (1, 0)), count=99)
    twice = node(leaf_body(2, (1, 0), (1, 1)), (NAME_A, NAME_A))
    yield "name-twice", CORRUPT, "twice", twice
    unordered = node(leaf_body(3, (1, 1), (2, 0)))
    yield "names-not-in-order-of-first-use", CORRUPT, "order of first use", unordered
    unused = node(leaf_body(3, (1, 0), (2, 0)))
    yield "name-that-is-not-used", CORRUPT, "does not use", unused
    beyond = node(leaf_body(6, (1, 0), (2, 1), (3, 2)))
    yield "index-beyond-the-names", CORRUPT, "", beyond
    adjacent = node(leaf_body(8192, (4096 | ZERO, 0), (4096 | ZERO, 0)), ())
    yield "two-runs-of-zeros", CORRUPT, "follow each other", adjacent
    indexed = node(leaf_body(4097, (4096 | ZERO, 1), (1, 0)), (NAME_A,))
    yield "run-of-zeros-with-an-index", CORRUPT, "has an index", indexed
    yield "lengths-do-not-add-up", CORRUPT, "add up", node(leaf_body(4, (1, 0), (2, 1)))
    yield "piece-of-no-bytes", CORRUPT, "add up", node(leaf_body(1, (1, 0), (0, 1)))
    yield "no-bytes", CORRUPT, "impossible length", node(leaf_body(0), ())
    large = node(leaf_body(SEGMENT + 1, (SEGMENT, 0), (1, 1)))
    yield "longer-than-a-segment", CORRUPT, "impossible length", large
    fewer = node(leaf_body(3, (1, 0), (2, 1), count=1))
    yield "fewer-pieces-counted", CORRUPT, "length is wrong", fewer
    yield "body-cut-off", CORRUPT, "truncated", node(u32(1), ())


def inner_vectors() -> Iterator[Vector]:
    kind: dict[str, Any] = {"kind": 1, "level": 1}
    good = node(inner_body(3 * SEGMENT + 1, 0, HOLE, 1, 0), **kind)
    yield "right", None, "", good
    level_2 = node(inner_body(SEGMENT * 128 + 1, HOLE, 0), (NAME_A,), kind=1, level=2)
    yield "right-of-level-2", None, "", level_2
    yield from everywhere(good)
    yield "all-holes", CORRUPT, "all holes", node(inner_body(2 * SEGMENT, HOLE, HOLE), (), **kind)
    yield "slot-too-few", CORRUPT, "slots", node(inner_body(3 * SEGMENT, 0, 1), **kind)
    yield "slot-too-many", CORRUPT, "slots", node(inner_body(2 * SEGMENT, 0, 1, HOLE), **kind)
    counted = node(inner_body(2 * SEGMENT, 0, 1, count=3), **kind)
    yield "slots-counted-wrong", CORRUPT, "length is wrong", counted
    unordered = node(inner_body(2 * SEGMENT, 1, 0), **kind)
    yield "names-not-in-order-of-first-use", CORRUPT, "order of first use", unordered
    unused = node(inner_body(2 * SEGMENT, 0, 0), **kind)
    yield "name-that-is-not-used", CORRUPT, "does not use", unused
    yield (
        "name-twice",
        CORRUPT,
        "twice",
        node(inner_body(2 * SEGMENT, 0, 1), (NAME_C, NAME_C), **kind),
    )
    yield (
        "level-0",
        CORRUPT,
        "unknown kind or level",
        node(inner_body(2 * SEGMENT, 0, 1), kind=1, level=0),
    )
    yield (
        "level-9",
        CORRUPT,
        "unknown kind or level",
        node(inner_body(2 * SEGMENT, 0, 1), kind=1, level=9),
    )
    too_long = node(inner_body(128 * SEGMENT + 1, *([0] * 129)), (NAME_A,), **kind)
    yield "longer-than-its-level-covers", CORRUPT, "impossible length", too_long
    yield "no-bytes", CORRUPT, "impossible length", node(inner_body(0), (), **kind)
    yield "body-cut-off", CORRUPT, "truncated", node(u32(1), (), **kind)


# --- packs -------------------------------------------------------------------------------------


def pack(
    *,
    kind: int = 0,
    reserved: bytes = bytes(7),
    entries: tuple[tuple[int, int], ...] = ((32, 5), (37, 6)),
    count: int | None = None,
    parity: int = 0,
    body: bytes = b"framefframe",
    footer_length: int = 0,
    reserved_end: int = 0,
    end: bytes = b"AMIPEND1",
    footer: bytes = b"AMIFOOT1",
) -> bytes:
    head = b"AMIPACK1" + bytes([kind]) + reserved + ID
    numbers = [number for entry in entries for number in entry]
    rows = footer + u32(len(entries) if count is None else count, parity) + u32(*numbers)
    length = footer_length or len(rows) + 48
    return digested(head + body + rows) + u32(length, reserved_end) + end


def pack_vectors() -> Iterator[Vector]:
    good = pack()
    yield "right", None, "", good
    yield "right-of-nodes", None, "", pack(kind=1)
    yield "zero-length", CORRUPT, "truncated", b""
    yield "header-only", CORRUPT, "", good[:32]
    yield "last-byte-missing", CORRUPT, "", good[:-1]
    yield "one-byte-appended", CORRUPT, "", good + b"\0"
    yield "foreign-magic", CORRUPT, "not a pack", b"\x89PNG\r\n\x1a\n" + good[8:]
    yield "all-zeros", CORRUPT, "", bytes(len(good))
    yield "second-half-zeroed", CORRUPT, "", good[: len(good) // 2].ljust(len(good), b"\0")
    yield "kind-2", CORRUPT, "unknown kind", pack(kind=2)
    yield "reserved-bytes-at-9", CORRUPT, "unknown kind", pack(reserved=b"\0\0\0\0\0\0\1")
    yield "reserved-bytes-at-the-end", CORRUPT, "end with its footer", pack(reserved_end=1)
    yield "foreign-end", CORRUPT, "end with its footer", pack(end=b"AMIPEND2")
    yield "foreign-footer", CORRUPT, "begin with its magic", pack(footer=b"AMIFOOT2")
    yield "parity-that-is-not-there", CORRUPT, "wrong length", pack(parity=8)
    yield "footer-length-too-short", CORRUPT, "too short", pack(footer_length=63)
    yield "footer-length-wrong", CORRUPT, "", pack(footer_length=72)
    yield "entries-counted-wrong", CORRUPT, "wrong length", pack(count=3)
    yield "gap-between-entries", CORRUPT, "gap", pack(entries=((32, 4), (37, 6)))
    yield "entries-overlap", CORRUPT, "gap", pack(entries=((32, 6), (37, 6)))
    yield "entries-descend", CORRUPT, "gap", pack(entries=((37, 6), (32, 5)))
    yield "entry-of-no-bytes", CORRUPT, "gap", pack(entries=((32, 0), (32, 11)))
    yield "entries-do-not-fill", CORRUPT, "fill", pack(entries=((32, 5),))


# --- the index ---------------------------------------------------------------------------------


def current(
    *,
    packs: tuple[tuple[bytes, int, int, int, bytes], ...] = (
        (ID, 100, 0, 0, bytes(3)),
        (NAME_A[:16], 200, 4, 1, bytes(3)),
    ),
    next_pack: int = 6,
    removed: tuple[int, ...] = (1, 2),
    condemned: tuple[int, ...] = (4,),
    counts: tuple[int, int, int, int] | None = None,
    reserved: int = 0,
) -> bytes:
    runs = [(NAME_B[:16], 3, 400)]
    head = struct.pack(
        "<8sQIIIIII",
        b"AMICURR1",
        7,
        next_pack,
        *(counts or (len(packs), len(runs), len(removed), len(condemned))),
        reserved,
    )
    rows = b"".join(struct.pack("<16sQIB3s", *row) for row in packs)
    rows += b"".join(struct.pack("<16sQQ", *row) for row in runs)
    return digested(head + rows + u32(*removed) + u32(*condemned))


def current_vectors() -> Iterator[Vector]:
    good = current()
    yield "right", None, "", good
    yield from everywhere(good)
    yield "digest-wrong", CORRUPT, "digest", good[:-32] + bytes(32)
    yield "reserved-bytes-at-36", CORRUPT, "", current(reserved=1)
    yield "packs-counted-wrong", CORRUPT, "wrong length", current(counts=(3, 1, 2, 1))
    yield "counts-beyond-all-memory", CORRUPT, "wrong length", current(counts=(2**32 - 1,) * 4)
    unknown_kind = ((ID, 100, 0, 2, bytes(3)),)
    yield "pack-of-unknown-kind", CORRUPT, "unknown kind", current(packs=unknown_kind)
    reserved = ((ID, 100, 0, 0, b"\0\0\1"),)
    yield "reserved-bytes-of-a-pack", CORRUPT, "", current(packs=reserved)
    same = ((ID, 100, 3, 0, bytes(3)), (NAME_A[:16], 200, 3, 1, bytes(3)))
    yield "pack-number-twice", CORRUPT, "out of order", current(packs=same)
    yield "pack-number-not-below-the-next", CORRUPT, "beyond", current(next_pack=4)
    yield "removed-descend", CORRUPT, "out of order", current(removed=(2, 1))
    yield "condemned-twice", CORRUPT, "out of order", current(condemned=(4, 4))


def run(
    *,
    rows: int = 2,
    words: int = 1,
    step: int = 512,
    reserved: int = 0,
    reserved_end: bytes = bytes(8),
    padding: bytes = bytes(4),
) -> bytes:
    names = sorted((NAME_A, NAME_B), key=lambda name: int.from_bytes(name[:8], "little"))
    keys = [int.from_bytes(name[:8], "little") for name in names]
    bits = 0
    for key in keys:
        for shift in (0, 6, 12, 18):
            bits |= 1 << (key >> shift & 63)
    head = struct.pack("<8sQQII16s", b"AMIINDX1", rows, words, step, reserved, ID)
    body = struct.pack("<4Q", *keys, bits, keys[0]) + names[0][8:] + names[1][8:]
    body += u32(0, 1) + u32(32, 40) + u32(100, 101) + u16(0, 3)
    return digested(checked(head) + reserved_end + body + padding)


def run_vectors() -> Iterator[Vector]:
    good = run()
    yield "right", None, "", good
    yield from everywhere(good)
    yield "digest-wrong", CORRUPT, "digest", good[:-32] + bytes(32)
    header = good[:48] + bytes(8) + good[56:-32]
    yield "checksum-of-the-header-wrong", CORRUPT, "header", digested(header)
    yield "reserved-bytes-at-28", CORRUPT, "header", run(reserved=1)
    yield "reserved-bytes-at-56", CORRUPT, "header", run(reserved_end=b"\1" + bytes(7))
    yield "fence-step-wrong", CORRUPT, "header", run(step=256)
    yield "filter-words-wrong", CORRUPT, "header", run(words=2)
    yield "rows-counted-wrong", CORRUPT, "length", run(rows=3)
    yield "rows-beyond-all-memory", CORRUPT, "", run(rows=2**60, words=(10 * 2**60 + 63) // 64)


# --- records -----------------------------------------------------------------------------------

SNAPSHOT: dict[str, Any] = {
    "CompletionTime": "2026-01-02T03:04:06.000Z",
    "Cut": {"Average": 32768, "Id": 1},
    "DataBytes": 4096,
    "Domain": "0" * 32,
    "FingerprintKey": "ab" * 32,
    "Further": [],
    "Freeze": {
        "Consistency": "at-rest",
        "Method": "lease",
        "Moment": "2026-01-02T03:04:05.000Z",
        "Together": True,
    },
    "Hash": "blake3",
    "Height": 0,
    "NewBytes": 700,
    "OwnerId": "123456789012",
    "Parent": None,
    "Root": "cd" * 32,
    "Signatures": [],
    "SizeBytes": 8192,
    "SnapshotId": "snap-0123456789abcdef0",
    "Source": {
        "CtimeNs": "1767323045000000000",
        "Device": 2049,
        "Inode": "12",
        "MtimeNs": "1767323045000000000",
        "Path": "/srv/disk ü.raw",
        "SizeBytes": 8192,
    },
    "StartTime": "2026-01-02T03:04:05.000Z",
    "Unchanged": False,
    "VolumeId": "vol-0123456789abcdef0",
    "format": "amictl-snapshot",
    "version": 1,
}


def without_digest(document: Any) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def canonical(document: Any) -> bytes:
    if isinstance(document, dict):
        digest = blake3(without_digest(document)).hexdigest()
        document = {**document, "digest": digest}
    return without_digest(document) + b"\n"


def with_field(name: str, value: Any) -> bytes:
    return canonical({**SNAPSHOT, name: value})


def replaced(old: bytes, new: bytes) -> bytes:
    data = canonical(SNAPSHOT)
    assert data.count(old) == 1
    return data.replace(old, new)


def record_vectors() -> Iterator[Vector]:
    yield "right", None, "", canonical(SNAPSHOT)
    yield from json_vectors()
    yield from field_vectors()


def json_vectors() -> Iterator[Vector]:
    """Documents that are not JSON, not canonical, or not of this format."""
    good = canonical(SNAPSHOT)
    text = good.decode()
    yield "zero-length", CORRUPT, "not a JSON document", b""
    yield "truncated", CORRUPT, "not a JSON document", good[:100]
    yield "all-zeros", CORRUPT, "not a JSON document", bytes(len(good))
    yield "end-zeroed", CORRUPT, "not a JSON document", good[:-20] + bytes(20)
    yield "two-documents", CORRUPT, "not a JSON document", good + good
    yield "text-changed-under-the-digest", CORRUPT, "canonical", replaced(b"/srv", b"/srw")
    yield "no-digest", CORRUPT, "canonical", without_digest(SNAPSHOT) + b"\n"
    yield "no-final-newline", CORRUPT, "canonical", good[:-1]
    yield "two-final-newlines", CORRUPT, "canonical", good + b"\n"
    yield "carriage-return", CORRUPT, "canonical", good[:-1] + b"\r\n"
    yield "byte-order-mark", CORRUPT, "not a JSON document", b"\xef\xbb\xbf" + good
    yield "utf-16", CORRUPT, "not a JSON document", text.encode("utf-16")
    yield "latin-1", CORRUPT, "not a JSON document", text.encode("latin-1")
    yield "spaces", CORRUPT, "canonical", replaced(b'"Height":0', b'"Height": 0')
    yield "indented", CORRUPT, "canonical", json.dumps(SNAPSHOT, sort_keys=True, indent=1).encode()
    unsorted = json.dumps(dict(reversed(SNAPSHOT.items())), separators=(",", ":")).encode()
    yield "keys-not-sorted", CORRUPT, "canonical", unsorted + b"\n"
    yield "escapes-without-need", CORRUPT, "canonical", replaced("ü".encode(), b"\\u00fc")
    yield "escaped-slash", CORRUPT, "canonical", replaced(b"/srv", b"\\/srv")
    yield "lone-surrogate", CORRUPT, "", replaced("ü".encode(), b"\\ud800")
    yield (
        "encoded-surrogate",
        CORRUPT,
        "not a JSON document",
        replaced("ü".encode(), b"\xed\xa0\x80"),
    )
    yield "key-twice", CORRUPT, "canonical", replaced(b'"Height":0', b'"Height":0,"Height":0')
    other = replaced(b'"Height":0', b'"Height":5,"Height":0')
    yield "key-twice-with-other-values", CORRUPT, "canonical", other
    snake = replaced(b'"version":1', b'"snapshot_id":"snap-0123456789abcdef0","version":1')
    yield "key-in-snake-case-as-well", CORRUPT, "canonical", snake
    yield "unknown-field", CORRUPT, "canonical", with_field("Zone", "a")
    unknown_inside = replaced(b'"Id":1', b'"Id":1,"Salt":2')
    yield "unknown-field-inside", CORRUPT, "canonical", unknown_inside
    yield "array", CORRUPT, "not a record", canonical([SNAPSHOT])
    yield "null", CORRUPT, "not a record", b"null\n"
    deep = b"[" * 5000 + b"]" * 5000
    yield "huge-depth", CORRUPT, "not a JSON document", deep
    yield (
        "huge-depth-in-a-field",
        CORRUPT,
        "",
        replaced(b'"Parent":null', b'"Parent":' + b"[" * 900 + b"]" * 900),
    )
    yield "other-format", CORRUPT, "not a record", with_field("format", "amictl-image")
    yield "format-of-a-number", CORRUPT, "not a record", with_field("format", 1)
    yield "newer-version", UNSUPPORTED, "format version 2", with_field("version", 2)
    newer = {"What": "is not known", "format": "amictl-snapshot", "version": 3}
    yield "newer-version-with-other-fields", UNSUPPORTED, "format version 3", canonical(newer)
    yield "version-0", CORRUPT, "canonical", with_field("version", 0)
    yield "version-of-true", CORRUPT, "canonical", with_field("version", True)
    yield "version-of-text", CORRUPT, "canonical", with_field("version", "1")
    no_version = {key: value for key, value in SNAPSHOT.items() if key != "version"}
    yield "no-version", CORRUPT, "canonical", canonical(no_version)


def field_vectors() -> Iterator[Vector]:
    """Fields with values that nobody wrote."""
    size = b'"Height":0'
    yield "nan", CORRUPT, "not a JSON document", replaced(size, b'"Height":NaN')
    yield "infinity", CORRUPT, "not a JSON document", replaced(size, b'"Height":Infinity')
    yield "1e999", CORRUPT, "", replaced(size, b'"Height":1e999')
    yield "integer-as-1e0", CORRUPT, "", replaced(size, b'"Height":0e0')
    yield "integer-with-a-fraction", CORRUPT, "", replaced(size, b'"Height":0.0')
    yield "integer-with-a-zero-before", CORRUPT, "JSON", replaced(size, b'"Height":00')
    yield "negative-zero", CORRUPT, "", replaced(size, b'"Height":-0')
    yield "integer-as-text", CORRUPT, "valid", with_field("Height", "0")
    yield "integer-as-bool", CORRUPT, "valid", with_field("Height", False)
    yield "bool-as-integer", CORRUPT, "valid", with_field("Unchanged", 0)
    yield "text-as-null", CORRUPT, "valid", with_field("VolumeId", None)
    yield "size-as-a-huge-float", CORRUPT, "", with_field("SizeBytes", 1e300)
    yield "size-negative", CORRUPT, "valid", with_field("SizeBytes", -1)
    yield "size-of-a-hundred-digits", CORRUPT, "", with_field("SizeBytes", 10**100)
    field_missing = {key: value for key, value in SNAPSHOT.items() if key != "Root"}
    yield "field-missing", CORRUPT, "valid", canonical(field_missing)
    yield "root-in-capitals", CORRUPT, "valid", with_field("Root", "CD" * 32)
    yield "root-too-short", CORRUPT, "valid", with_field("Root", "cd" * 31)
    yield "root-not-hexadecimal", CORRUPT, "valid", with_field("Root", "xy" * 32)
    yield "root-with-a-newline", CORRUPT, "valid", with_field("Root", "cd" * 32 + "\n")
    yield "fingerprint-key-too-short", CORRUPT, "valid", with_field("FingerprintKey", "ab")
    yield "id-malformed", CORRUPT, "valid", with_field("SnapshotId", "snap-1")
    yield "id-that-leads-elsewhere", CORRUPT, "valid", with_field("Parent", "../../etc/passwd")
    yield "owner-of-eleven-digits", CORRUPT, "valid", with_field("OwnerId", "1" * 11)
    yield "height-too-high", CORRUPT, "height", with_field("Height", 1)
    yield "time-that-is-none", CORRUPT, "impossible time", with_field("StartTime", "yesterday")
    yield "hash-that-is-unknown", UNSUPPORTED, "hash", with_field("Hash", "blake4")
    yield "domain-that-is-not-plain", UNSUPPORTED, "domain", with_field("Domain", "12" * 16)
    yield "inode-as-a-number", CORRUPT, "valid", replaced(b'"Inode":"12"', b'"Inode":12')
    yield "signature-of-a-number", CORRUPT, "valid", with_field("Signatures", [1])


FORMATS = {
    "frame": frame_vectors,
    "payload": payload_vectors,
    "leaf": leaf_vectors,
    "inner": inner_vectors,
    "pack": pack_vectors,
    "current": current_vectors,
    "run": run_vectors,
    "snapshot": record_vectors,
}


def write(formats: dict[str, Callable[[], Iterator[Vector]]]) -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, vectors in formats.items():
        for damage, error, reason, data in vectors():
            document = {
                "format": name,
                "damage": damage,
                "error": error,
                "reason": reason,
                "bytes": data.hex(),
            }
            place = FOLDER / f"{name}.{damage}.json"
            assert not place.exists() or json.loads(place.read_text())["bytes"] == data.hex()
            place.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    write(FORMATS)
