"""Frames: new neighbouring chunks compressed together. amictl-store(5), FRAMES."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from amictl.errors import UnsupportedError
from amictl.formats.framing import CHECKSUM_SIZE, PLAIN_DOMAIN, Buffer, checksum, refuse
from amictl.model.blockmap import NAME_SIZE, Name

MAGIC = b"AMIFRAM1"
PLAIN_SIZE_MAX = 262_144
CODEC_STORED = 0
CODEC_ZSTD = 1

_HEADER = struct.Struct("<8sIIHHBBHII16s")
HEADER_SIZE = _HEADER.size
_SEAL_NONE = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, checked against its checksum, its payload not yet decoded.

    `names` and `lengths` are in volume order; `payload` is a view of the bytes it was read from.
    `needed` are chunks without which the payload cannot be decoded.
    """

    names: tuple[Name, ...]
    lengths: tuple[int, ...]
    codec: int
    payload: memoryview
    needed: tuple[Name, ...] = ()

    @property
    def plain_length(self) -> int:
        """Size of the decoded payload in bytes."""
        return sum(self.lengths)


def encode(names: Sequence[Name], lengths: Sequence[int], codec: int, payload: Buffer) -> bytes:
    """The stored bytes of a frame in the plain domain."""
    count = len(names)
    body_length = 4 * count + len(payload)
    stored_length = HEADER_SIZE + NAME_SIZE * count + body_length + CHECKSUM_SIZE
    header = _HEADER.pack(
        MAGIC, stored_length, body_length, count, 0, codec, _SEAL_NONE, 0, 0, 0, PLAIN_DOMAIN
    )
    head = b"".join((header, *names, struct.pack(f"<{count}I", *lengths)))
    return b"".join((head, payload, checksum(head, payload)))


def decode(data: Buffer) -> Frame:
    """Raises CorruptStoreError for bytes that nobody wrote.

    UnsupportedError for what version 1 only reserves: seals, dictionaries. The payload is not
    decoded: whoever does checks its codec, its plain length and the chunks' names.
    """
    view = memoryview(data)
    refuse(len(view) < HEADER_SIZE + CHECKSUM_SIZE, "a frame is truncated")
    fields = _HEADER.unpack_from(view)
    magic, stored, body_length, count, needed_count, codec, seal, zero, dictionary = fields[:9]
    refuse(magic != MAGIC, "a frame does not begin with its magic")
    refuse(stored != len(view), "a frame's length is wrong")
    refuse(checksum(view[:-CHECKSUM_SIZE]) != view[-CHECKSUM_SIZE:], "a frame's checksum is wrong")
    refuse(zero != 0 or fields[9] != 0, "a frame has reserved bytes that are not zero")
    if seal != _SEAL_NONE or fields[10] != PLAIN_DOMAIN or dictionary:
        raise UnsupportedError("a frame is sealed, or has a dictionary", hint="use a newer amictl")
    body = HEADER_SIZE + NAME_SIZE * (count + needed_count)
    refuse(count == 0, "a frame is empty")
    refuse(
        body + body_length + CHECKSUM_SIZE != stored or body_length < 4 * count,
        "a frame's lengths disagree",
    )
    name_bytes = bytes(view[HEADER_SIZE:body])
    listed = tuple(name_bytes[i : i + NAME_SIZE] for i in range(0, len(name_bytes), NAME_SIZE))
    names = listed[:count]
    lengths = struct.unpack_from(f"<{count}I", view, body)
    refuse(
        sum(lengths) > PLAIN_SIZE_MAX or 0 in lengths, "a frame's chunks have impossible lengths"
    )
    refuse(len(set(names)) != count, "a frame holds a chunk twice")
    payload = view[body + 4 * count : -CHECKSUM_SIZE]
    refuse(
        codec == CODEC_STORED and len(payload) != sum(lengths),
        "a stored frame's payload has a wrong length",
    )
    return Frame(names, lengths, codec, payload, listed[count:])
