"""Frames: new neighbouring chunks compressed together. amictl-store(5), FRAMES."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amictl.errors import UnsupportedError
from amictl.formats.framing import (
    CHECKSUM_SIZE,
    PLAIN_DOMAIN,
    SEAL_NONE,
    SEAL_SIZE,
    SEAL_XAES,
    Buffer,
    associated_data,
    checksum,
    refuse,
    require_seal,
)
from amictl.model.blockmap import NAME_SIZE, Name

MAGIC = b"AMIFRAM1"
PLAIN_SIZE_MAX = 262_144
CODEC_STORED = 0
CODEC_ZSTD = 1

_HEADER = struct.Struct("<8sIIHHBBHII16s")
HEADER_SIZE = _HEADER.size
STORED_SIZE_MAX = PLAIN_SIZE_MAX + HEADER_SIZE + 65_536
"""More bytes than any frame has as it is stored."""

_LENGTHS_END = 16
"""The lengths at 8 and 12 are no part of what a seal is bound to."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; its payload is not decoded.

    `names` and `lengths` are in volume order; `payload` is a view of the bytes it was read
    from. `needed` are chunks without which the payload cannot be decoded. `plain_names` are those
    of the chunks in an encrypted domain, and empty in the plain one.
    """

    names: tuple[Name, ...]
    lengths: tuple[int, ...]
    codec: int
    payload: memoryview
    needed: tuple[Name, ...] = ()
    plain_names: tuple[Name, ...] = ()

    @property
    def plain_length(self) -> int:
        """Size of the decoded payload in bytes."""
        return sum(self.lengths)


@dataclass(frozen=True, slots=True)
class ClearFrame:
    """What a frame shows without a key, checked against its checksum.

    `body` is a view of the bytes it was read from: in the plain domain lengths and payload, in
    others sealed with `associated`. `listed` is one of the same bytes, from the names to the end
    of the body.
    """

    domain: bytes
    names: tuple[Name, ...]
    codec: int
    body: memoryview
    listed: memoryview
    needed: tuple[Name, ...] = ()
    associated: bytes = b""


def encode(names: Sequence[Name], lengths: Sequence[int], codec: int, payload: Buffer) -> bytes:
    """The stored bytes of a frame in the plain domain."""
    count = len(names)
    clear = _clear(PLAIN_DOMAIN, names, codec)
    body_length = 4 * count + len(payload)
    stored_length = HEADER_SIZE + NAME_SIZE * count + body_length + CHECKSUM_SIZE
    lead = struct.pack("<8sII", MAGIC, stored_length, body_length)
    head = b"".join((lead, clear, struct.pack(f"<{count}I", *lengths)))
    return b"".join((head, payload, checksum(head, payload)))


def body_to_seal(plain_names: Sequence[Name], lengths: Sequence[int], payload: Buffer) -> bytes:
    """What is sealed of a frame. It is the same in every encrypted domain."""
    return b"".join((*plain_names, struct.pack(f"<{len(lengths)}I", *lengths), payload))


def associated_with(domain: bytes, names: Sequence[Name], codec: int) -> bytes:
    """What the sealed body of such a frame is bound to."""
    return _associated(domain, codec, _clear(domain, names, codec))


def sealed_size(count: int, body_length: int) -> int:
    """How long a frame of so many chunks is as it is stored, in an encrypted domain.

    `body_length` is that of what is sealed, before it is.
    """
    return HEADER_SIZE + NAME_SIZE * count + body_length + SEAL_SIZE + CHECKSUM_SIZE


def encode_sealed(
    target: memoryview,
    domain: bytes,
    names: Sequence[Name],
    codec: int,
    seal_into: Callable[[memoryview, bytes], None],
) -> None:
    """Write the stored bytes of a frame in an encrypted domain, which fill `target`.

    `names` are stored names. `seal_into` is given the place of the sealed body, so that nothing
    is copied, and the data that it is bound to.
    """
    clear = _clear(domain, names, codec)
    body = _LENGTHS_END + len(clear)
    inside = target[:-CHECKSUM_SIZE]
    target[:_LENGTHS_END] = struct.pack("<8sII", MAGIC, len(target), len(inside) - body)
    target[_LENGTHS_END:body] = clear
    seal_into(inside[body:], _associated(domain, codec, clear))
    target[-CHECKSUM_SIZE:] = checksum(inside)


def decode(data: Buffer) -> Frame:
    """A frame of the plain domain. Raises CorruptStoreError for bytes that nobody wrote.

    UnsupportedError for what version 1 only reserves, such as dictionaries, and for what is
    sealed. The payload is not decoded: whoever does checks its codec, its plain length and the
    chunks' names.
    """
    clear = clear_part(data)
    if clear.domain != PLAIN_DOMAIN:
        raise UnsupportedError("a frame is sealed, and is to be read without its key")
    return decode_body(clear, clear.body)


def clear_part(data: Buffer) -> ClearFrame:
    """What needs no key, of a frame of any domain. Raises as `decode` does, not for a seal."""
    view = memoryview(data)
    refuse(len(view) < HEADER_SIZE + CHECKSUM_SIZE, "a frame is truncated")
    fields = _HEADER.unpack_from(view)
    magic, stored, body_length, count, needed_count, codec, seal, zero, dictionary = fields[:9]
    refuse(magic != MAGIC, "a frame does not begin with its magic")
    refuse(stored != len(view), "a frame's length is wrong")
    refuse(checksum(view[:-CHECKSUM_SIZE]) != view[-CHECKSUM_SIZE:], "a frame's checksum is wrong")
    refuse(zero != 0 or fields[9] != 0, "a frame has reserved bytes that are not zero")
    domain = fields[10]
    require_seal(seal, domain, "a frame")
    if dictionary:
        raise UnsupportedError("a frame has a dictionary", hint="use a newer amictl")
    body = HEADER_SIZE + NAME_SIZE * (count + needed_count)
    least = 4 * count if seal == SEAL_NONE else (NAME_SIZE + 4) * count + SEAL_SIZE
    refuse(count == 0, "a frame is empty")
    refuse(
        body + body_length + CHECKSUM_SIZE != stored or body_length < least,
        "a frame's lengths disagree",
    )
    listed = _names(view[HEADER_SIZE:body])
    names = listed[:count]
    refuse(len(set(names)) != count, "a frame holds a chunk twice")
    clear = bytes(view[:8]) + view[_LENGTHS_END:body]
    associated = associated_data(MAGIC, domain, codec, clear) if seal else b""
    inside = view[:-CHECKSUM_SIZE]
    return ClearFrame(
        domain, names, codec, inside[body:], inside[HEADER_SIZE:], listed[count:], associated
    )


def decode_body(clear: ClearFrame, body: memoryview) -> Frame:
    """A frame from its clear part and its body, opened where it was sealed.

    Raises CorruptStoreError.
    """
    count = len(clear.names)
    lengths_at = 0 if clear.domain == PLAIN_DOMAIN else NAME_SIZE * count
    lengths = struct.unpack_from(f"<{count}I", body, lengths_at)
    refuse(
        sum(lengths) > PLAIN_SIZE_MAX or 0 in lengths, "a frame's chunks have impossible lengths"
    )
    payload = body[lengths_at + 4 * count :]
    refuse(
        clear.codec == CODEC_STORED and len(payload) != sum(lengths),
        "a stored frame's payload has a wrong length",
    )
    plain_names = _names(body[:lengths_at])
    return Frame(clear.names, lengths, clear.codec, payload, clear.needed, plain_names)


def _clear(domain: bytes, names: Sequence[Name], codec: int) -> bytes:
    """From offset 16 to the end of the names."""
    seal = SEAL_NONE if domain == PLAIN_DOMAIN else SEAL_XAES
    header = _HEADER.pack(MAGIC, 0, 0, len(names), 0, codec, seal, 0, 0, 0, domain)
    return b"".join((header[_LENGTHS_END:], *names))


def _associated(domain: bytes, codec: int, clear: bytes) -> bytes:
    return associated_data(MAGIC, domain, codec, MAGIC + clear)


def _names(listed: memoryview) -> tuple[Name, ...]:
    data = bytes(listed)
    # A list is quicker than a generator, and there are many frames.
    return tuple([data[at : at + NAME_SIZE] for at in range(0, len(data), NAME_SIZE)])
