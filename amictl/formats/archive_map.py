"""Maps of members: what is where in the zstd frames behind them. amictl-archive(5), MAPS.

A map is a skippable frame of zstd, so that every decoder passes over it.
"""

import struct
from collections.abc import Iterator
from itertools import accumulate, pairwise

from blake3 import blake3

from amictl.formats.framing import Buffer, refuse
from amictl.model.archives import (
    FRAME_PLAIN_MAX,
    MEMBER_PLAIN_MAX,
    SEGMENT_FRAMES_MAX,
    Blank,
    FramePlace,
    MemberMap,
)
from amictl.model.blockmap import (
    FINGERPRINT_SIZE,
    NAME_SIZE,
    SEGMENT_SIZE,
    Leaf,
    segment_count,
    segment_length,
)

MAGIC = b"AMIAMAP1"
SKIPPABLE_MAGIC = 0x184D2A5A
LEAD_SIZE = 8
"""Magic and length of the skippable frame."""

SIZE_MAX = 16 * 1024**2
"""The longest map, its lead included."""

SIZE_LEAST = 88
"""The length of a map without frames and segments."""

PIECES_MAX = 65_535
STORED_EXCESS_MAX = 8192
"""Bytes by which a frame may be longer than what it decodes to."""

BLOCK = 128 * 1024
"""Plain bytes of a block in a frame that is made here, but for the last one."""

_LEAD = struct.Struct("<II")
_HEAD = struct.Struct("<8s16sIIQII")
_LEAF = struct.Struct(f"<{FINGERPRINT_SIZE}sH")
_ZEROS = 0x80000000
_CHUNKS = 2
_DIGEST_SIZE = 32
_FRAME = struct.Struct("<II")
_FRAMES_MAX = SEGMENT_FRAMES_MAX * (MEMBER_PLAIN_MAX // SEGMENT_SIZE)
_FRAME_HEAD = struct.Struct("<IBBI")
_ZSTD_MAGIC, _SIZE_IN_FOUR_BYTES, _WINDOW_OF_128_KIB = 0xFD2FB528, 0x80, 0x38
_RAW, _RLE = 0, 1


def encode(member: MemberMap) -> bytes:
    """The skippable frame with the map. Equal maps give equal bytes."""
    head = _HEAD.pack(
        MAGIC,
        member.archive_id,
        member.disk,
        member.number,
        member.first,
        member.plain_length,
        len(member.frames),
    )
    lengths = [
        length for frame in member.frames for length in (frame.stored_length, frame.plain_length)
    ]
    kinds = bytes(
        segment.value if isinstance(segment, Blank) else _CHUNKS for segment in member.segments
    )
    leaves = [_leaf(segment) for segment in member.segments if isinstance(segment, Leaf)]
    body = b"".join((head, struct.pack(f"<{len(lengths)}I", *lengths), kinds, *leaves))
    lead = _LEAD.pack(SKIPPABLE_MAGIC, len(body) + _DIGEST_SIZE)
    return b"".join((lead, body, blake3(body).digest()))


def size_in(lead: Buffer) -> int:
    """Length of the whole skippable frame that begins with these eight bytes.

    Raises CorruptStoreError, also if that is more than a map may have.
    """
    refuse(len(lead) < LEAD_SIZE, "the map of a member is truncated")
    magic, length = _LEAD.unpack_from(lead)
    refuse(magic != SKIPPABLE_MAGIC, "a member does not begin with its map")
    refuse(
        not _HEAD.size + _DIGEST_SIZE <= length <= SIZE_MAX - LEAD_SIZE,
        "the map of a member has an impossible length",
    )
    return LEAD_SIZE + int(length)


def decode(data: Buffer) -> MemberMap:
    """The map in a whole skippable frame.

    Raises CorruptStoreError unless `encode` could have written it of a member that holds together.
    """
    view = memoryview(data)
    refuse(len(view) < LEAD_SIZE + _HEAD.size + _DIGEST_SIZE, "the map of a member is truncated")
    refuse(size_in(view[:LEAD_SIZE]) != len(view), "the map of a member has a wrong length")
    body = view[LEAD_SIZE:-_DIGEST_SIZE]
    refuse(blake3(body).digest() != view[-_DIGEST_SIZE:], "the map of a member is damaged")
    magic, archive_id, disk, number, first, plain_length, count = _HEAD.unpack_from(body)
    refuse(magic != MAGIC, "the map of a member does not begin with its magic")
    refuse(not 0 < plain_length <= MEMBER_PLAIN_MAX, "a member covers an impossible length")
    refuse(first % SEGMENT_SIZE != 0, "a member does not begin with a segment")
    segments = segment_count(plain_length)
    frames_end = _HEAD.size + _FRAME.size * count
    refuse(
        not 0 < count <= _FRAMES_MAX or frames_end + segments > len(body),
        "the map of a member has an impossible number of frames",
    )
    numbers = struct.unpack_from(f"<{2 * count}I", body, _HEAD.size)
    frames = tuple(map(FramePlace, numbers[::2], numbers[1::2]))
    kinds = bytes(body[frames_end : frames_end + segments])
    found = _segments(body[frames_end + segments :], kinds, plain_length)
    member = MemberMap(archive_id, disk, number, first, plain_length, frames, found)
    _require_frames(member)
    return member


def size_with(segment: Leaf | Blank, frames: int) -> int:
    """Bytes that a segment with so many frames adds to a map of `SIZE_LEAST`."""
    if isinstance(segment, Blank):
        return 1 + _FRAME.size  # as if none before it were blank
    names = sum(name is not None for name in segment.names)
    entry = _LEAF.size + 4 * len(segment.names) + NAME_SIZE * names
    return 1 + _FRAME.size * frames + entry


def frames_of_segments(member: MemberMap) -> Iterator[tuple[int, int, tuple[FramePlace, ...]]]:
    """For each run of blank segments, and for each other segment: index of the first segment,
    how many there are, and their frames.

    Indexes count from the first segment of the member. Raises CorruptStoreError if frames cross
    what they must not.
    """
    position = 0  # in the frames
    for start, stop in _units(member.segments):
        end = min(stop * SEGMENT_SIZE, member.plain_length)
        length, begin = start * SEGMENT_SIZE, position
        while length < end and position < len(member.frames):
            length += member.frames[position].plain_length
            position += 1
        refuse(length != end, "a frame of a member crosses the end of a segment")
        yield start, stop - start, member.frames[begin:position]
    refuse(position != len(member.frames), "a member has frames beyond its end")


def zero_frame(plain_length: int) -> bytes:
    """The one zstd frame that stands for so many zeros, up to 1 GiB."""
    whole, last = divmod(plain_length - 1, BLOCK)
    blocks = (_block(_RLE, BLOCK) + b"\0") * whole
    return _head(plain_length) + blocks + _block(_RLE, last + 1, is_last=True) + b"\0"


def zero_frame_size(plain_length: int) -> int:
    """Length of `zero_frame` in bytes."""
    return _FRAME_HEAD.size + 4 * -(-plain_length // BLOCK)


def raw_frame(plain: Buffer) -> bytes:
    """A zstd frame of these bytes, up to 1 MiB, as they are."""
    pieces: list[Buffer] = [_head(len(plain))]
    for start in range(0, len(plain), BLOCK):
        piece = plain[start : start + BLOCK]
        pieces += [_block(_RAW, len(piece), is_last=start + BLOCK >= len(plain)), piece]
    return b"".join(pieces)


def _head(plain_length: int) -> bytes:
    return _FRAME_HEAD.pack(_ZSTD_MAGIC, _SIZE_IN_FOUR_BYTES, _WINDOW_OF_128_KIB, plain_length)


def _block(kind: int, size: int, *, is_last: bool = False) -> bytes:
    return (is_last | kind << 1 | size << 3).to_bytes(3, "little")


def _units(segments: tuple[Leaf | Blank, ...]) -> Iterator[tuple[int, int]]:
    """Start and stop of each longest run of blank segments, and of each other segment."""
    start = 0
    for at, segment in enumerate(segments):
        if isinstance(segment, Leaf):
            if start < at:
                yield start, at
            yield at, at + 1
            start = at + 1
    if start < len(segments):
        yield start, len(segments)


def _require_frames(member: MemberMap) -> None:
    for first, _, frames in frames_of_segments(member):
        if isinstance(member.segments[first], Blank):
            refuse(
                len(frames) != 1
                or frames[0].stored_length != zero_frame_size(frames[0].plain_length),
                "the zeros of a member are not one frame",
            )
            continue
        refuse(len(frames) > SEGMENT_FRAMES_MAX, "a segment of a member has too many frames")
        for frame in frames:
            refuse(
                not 0 < frame.plain_length <= FRAME_PLAIN_MAX
                or not 0 < frame.stored_length <= frame.plain_length + STORED_EXCESS_MAX,
                "a frame of a member has an impossible length",
            )


def _leaf(leaf: Leaf) -> bytes:
    count = len(leaf.lengths)
    words = (
        length | _ZEROS if name is None else length
        for length, name in zip(leaf.lengths, leaf.names, strict=True)
    )
    names = (name for name in leaf.names if name is not None)
    head = _LEAF.pack(leaf.fingerprint, count)
    return b"".join((head, struct.pack(f"<{count}I", *words), *names))


def _segments(body: memoryview, kinds: bytes, plain_length: int) -> tuple[Leaf | Blank, ...]:
    found: list[Leaf | Blank] = []
    position = 0
    for index, kind in enumerate(kinds):
        refuse(kind > _CHUNKS, "a segment of a member is of an unknown kind")
        if kind != _CHUNKS:
            found.append(Blank(kind))
            continue
        leaf, position = _decode_leaf(body, position)
        refuse(
            sum(leaf.lengths) != segment_length(plain_length, index),
            "the pieces of a segment of a member do not add up",
        )
        found.append(leaf)
    refuse(position != len(body), "the map of a member has a wrong length")
    return tuple(found)


def _decode_leaf(body: memoryview, position: int) -> tuple[Leaf, int]:
    """A leaf, and where the next one begins."""
    refuse(position + _LEAF.size > len(body), "the map of a member is truncated")
    fingerprint, count = _LEAF.unpack_from(body, position)
    position += _LEAF.size
    refuse(position + 4 * count > len(body), "the map of a member is truncated")
    words = struct.unpack_from(f"<{count}I", body, position)
    position += 4 * count
    chunks = sum(not word & _ZEROS for word in words)
    refuse(chunks == 0, "a segment of a member has no chunks")
    stop = position + NAME_SIZE * chunks
    refuse(stop > len(body), "the map of a member is truncated")
    listed = bytes(body[position:stop])
    starts = accumulate((0 if word & _ZEROS else NAME_SIZE for word in words), initial=0)
    names = tuple(
        None if word & _ZEROS else listed[at : at + NAME_SIZE]
        for word, at in zip(words, starts, strict=False)
    )
    refuse(
        any(a is None and b is None for a, b in pairwise(names)),
        "two runs of zeros follow each other in a segment of a member",
    )
    lengths = tuple(word & ~_ZEROS for word in words)
    refuse(0 in lengths, "a piece of a segment of a member is empty")
    return Leaf(lengths, names, fingerprint, names), stop
