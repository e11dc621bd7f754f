"""Packs: files of frames, or of nodes. amictl-store(5), PACKS."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from amictl.formats.framing import Buffer, refuse

HEADER_MAGIC = b"AMIPACK1"
FOOTER_MAGIC = b"AMIFOOT1"
END_MAGIC = b"AMIPEND1"

_HEADER = struct.Struct("<8sB7s16s")
HEADER_SIZE = _HEADER.size
_FOOTER_HEAD = struct.Struct("<8sII")
_ENTRY = struct.Struct("<II")
_TAIL = struct.Struct("<32sII8s")
TAIL_SIZE = _TAIL.size


class PackKind(IntEnum):
    """What a pack holds."""

    FRAMES = 0
    NODES = 1


PACK_KINDS = frozenset(PackKind)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one frame or node stands in its pack, in bytes."""

    offset: int
    length: int


def encode_header(kind: PackKind, pack_id: bytes) -> bytes:
    """The first 32 bytes of a pack."""
    return _HEADER.pack(HEADER_MAGIC, kind, bytes(7), pack_id)


def decode_header(data: Buffer) -> tuple[PackKind, bytes]:
    """Kind and id. Raises CorruptStoreError."""
    refuse(len(data) < HEADER_SIZE, "the pack is truncated")
    magic, kind, zeros, pack_id = _HEADER.unpack_from(data)
    refuse(magic != HEADER_MAGIC, "the file is not a pack")
    refuse(kind not in PACK_KINDS or zeros != bytes(7), "the pack is of an unknown kind")
    return PackKind(kind), pack_id


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """The footer up to its digest: magic, counts, entries, no parity."""
    numbers = [number for entry in entries for number in (entry.offset, entry.length)]
    return _FOOTER_HEAD.pack(FOOTER_MAGIC, len(entries), 0) + struct.pack(
        f"<{len(numbers)}I", *numbers
    )


def encode_tail(digest: bytes, entries_length: int) -> bytes:
    """The last 48 bytes; `digest` is the BLAKE3 of all bytes before them."""
    return _TAIL.pack(digest, entries_length + TAIL_SIZE, 0, END_MAGIC)


def decode_tail(data: Buffer) -> tuple[bytes, int]:
    """Digest, and length of the footer, from the last 48 bytes. Raises CorruptStoreError."""
    refuse(len(data) != TAIL_SIZE, "the pack is truncated")
    digest, footer_length, zero, magic = _TAIL.unpack(data)
    refuse(magic != END_MAGIC or zero != 0, "the pack does not end with its footer")
    refuse(footer_length < _FOOTER_HEAD.size + TAIL_SIZE, "the pack's footer is too short")
    return digest, footer_length


def decode_entries(footer: Buffer, pack_length: int) -> tuple[Entry, ...]:
    """The entries from the whole footer, tail included.

    Raises CorruptStoreError unless they fill the pack.
    """
    refuse(len(footer) < _FOOTER_HEAD.size + TAIL_SIZE, "the pack's footer is too short")
    magic, count, parity = _FOOTER_HEAD.unpack_from(footer)
    refuse(magic != FOOTER_MAGIC, "the pack's footer does not begin with its magic")
    end = _FOOTER_HEAD.size + 8 * count
    refuse(len(footer) != end + parity + TAIL_SIZE, "the pack's footer has a wrong length")
    entries = []
    position = HEADER_SIZE
    for offset, length in _ENTRY.iter_unpack(memoryview(footer)[_FOOTER_HEAD.size : end]):
        refuse(offset != position or length == 0, "the pack's entries leave a gap")
        entries.append(Entry(offset, length))
        position += length
    refuse(position != pack_length - len(footer), "the pack's entries do not fill it")
    return tuple(entries)
