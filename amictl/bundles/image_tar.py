"""The tar stream inside a bundle: one raw image, perhaps sparse, as GNU tar writes it.

amictl-bundle(5), THE TAR STREAM. Only what a bundler writes is read: one regular file, as it is or
in the old sparse form of GNU tar; everything else is refused. Names in it are not used.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from amictl.errors import CorruptStoreError, UnsupportedError

BLOCK = 512
RECORD = 10_240
EXTENTS_MAX = 1 << 18
PADDING_MAX = 1 << 20
"""Bytes of zeros that may follow the image."""

Extent = tuple[int, int]
"""Offset and length of data in the image, in bytes."""

_NAME_RECORD_MAX = 65_536
_PIECE = 1 << 20
_IN_HEADER, _IN_EXTENSION = 4, 21
_OCTAL = re.compile(rb"[ 0]*([0-7]+)[ \0]*")
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n]{1,256})=")
_REGULAR = (b"0", b"\0", b"7")
_OLD_MODES = {b"L": "a long name", b"x": "a pax header"}


class Stream(Protocol):
    """Bytes one after the other."""

    def take(self, length: int) -> bytes:
        """Exactly so many, or fewer at the end."""
        ...


def header_blocks(name: str, size_bytes: int, extents: Sequence[Extent], mtime: int) -> bytes:
    """What stands before the data of an image that holds data in these extents.

    They are in order and do not touch, and each begins and, but for the last, ends at a multiple
    of 512. One that covers the image makes a file that is not sparse.
    """
    if extents == [(0, size_bytes)]:
        return _finished(_header(name, b"0", size_bytes, mtime))
    entries = [*extents]
    if not entries or sum(entries[-1]) < size_bytes:
        entries.append((size_bytes, 0))  # GNU tar's way to say that a hole is last
    stored = sum(length for _, length in entries)
    header = _header(name, b"S", stored, mtime)
    _put(header, 386, entries[:_IN_HEADER])
    header[482] = len(entries) > _IN_HEADER
    header[483:495] = _number(size_bytes)
    blocks = [_finished(header)]
    for start in range(_IN_HEADER, len(entries), _IN_EXTENSION):
        block = bytearray(BLOCK)
        _put(block, 0, entries[start : start + _IN_EXTENSION])
        block[504] = start + _IN_EXTENSION < len(entries)
        blocks.append(bytes(block))
    return b"".join(blocks)


def trailer(length: int) -> bytes:
    """What follows so many bytes of headers and data: zeros to a block, the end, and a record."""
    padded = length + -length % BLOCK + 2 * BLOCK
    return bytes(padded + -padded % RECORD - length)


def read_image(stream: Stream, size_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of all data of the image, in order; the rest of it is zeros.

    Reads to the end of the stream. Raises CorruptStoreError, UnsupportedError.
    """
    kind, stored, header = _file_header(stream)
    if kind == b"S":
        extents = _sparse_map(stream, header, stored, size_bytes)
    else:
        extents = [(0, stored)] if stored else []
        if stored != size_bytes:
            raise CorruptStoreError(
                f"the image has {stored} bytes, but {size_bytes} in the manifest"
            )
    for offset, length in extents:
        for position in range(0, length, _PIECE):
            piece = min(_PIECE, length - position)
            yield offset + position, _exactly(stream, piece)
    _require_zeros(_exactly(stream, -stored % BLOCK))
    _require_end(stream)


def _file_header(stream: Stream) -> tuple[bytes, int, bytes]:
    """Kind, stored bytes and header of the one file; long names before it are passed over."""
    larger: int | None = None
    for _ in range(3):
        header = _exactly(stream, BLOCK)
        _require_sum(header)
        kind = header[156:157]
        stored = _field(header[124:136])
        if kind in _REGULAR or kind == b"S":
            return kind, stored if larger is None else larger, header
        if kind not in _OLD_MODES:
            raise CorruptStoreError(f"the tar stream has a member of the type {kind!r}")
        if stored > _NAME_RECORD_MAX:
            raise CorruptStoreError(f"{_OLD_MODES[kind]} in the tar stream is too long")
        record = _exactly(stream, stored + -stored % BLOCK)[:stored]
        if kind == b"x":
            larger = _pax_size(record)
    raise CorruptStoreError("the tar stream has too many headers before the image")


def _pax_size(record: bytes) -> int | None:
    """The size that a pax header gives, if it gives one."""
    size = None
    position = 0
    while position < len(record):
        match = _PAX_RECORD.match(record, position)
        stop = position + int(match[1]) if match else 0
        if match is None or not match.end() < stop <= len(record) or record[stop - 1] != 10:
            raise CorruptStoreError("the tar stream has a damaged pax header")
        key, value = match[2], record[match.end() : stop - 1]
        if key.startswith(b"GNU.sparse"):
            raise UnsupportedError("the tar stream is sparse in the manner of pax, not of old GNU")
        if key == b"size":
            if not value.isdigit() or len(value) > 18:
                raise CorruptStoreError("the tar stream has a pax header with a wrong size")
            size = int(value)
        position = stop
    return size


def _sparse_map(stream: Stream, header: bytes, stored: int, size_bytes: int) -> list[Extent]:
    """The extents of a sparse file, which are in order, inside of it, and as long as is stored."""
    if _field(header[483:495]) != size_bytes:
        raise CorruptStoreError("the image has another size in the tar stream than in the manifest")
    entries = _entries(header, 386, _IN_HEADER)
    more = header[482]
    while more:
        block = _exactly(stream, BLOCK)
        entries += _entries(block, 0, _IN_EXTENSION)
        more = block[504]
        if len(entries) > EXTENTS_MAX:
            raise CorruptStoreError(f"the image has more than {EXTENTS_MAX} extents")
    extents = [entry for entry in entries if entry[1]]
    end = 0
    for number, (offset, length) in enumerate(extents):
        is_last = number == len(extents) - 1
        if offset < end or offset + length > size_bytes or (length % BLOCK and not is_last):
            raise CorruptStoreError(f"the extent at byte {offset} of the image is out of place")
        end = offset + length
    if sum(length for _, length in extents) != stored:
        raise CorruptStoreError("the extents of the image are not what is stored of it")
    return extents


def _entries(block: bytes, start: int, count: int) -> list[Extent]:
    """The entries of a map; one whose fields are empty ends it."""
    found: list[Extent] = []
    for at in range(start, start + 24 * count, 24):
        if not block[at + 12]:
            break
        found.append((_field(block[at : at + 12]), _field(block[at + 12 : at + 24])))
    return found


def _field(text: bytes) -> int:
    """A number: octal digits, or eleven bytes after one that says so."""
    if text[0] == 0x80:
        return int.from_bytes(text[1:], "big")
    match = _OCTAL.fullmatch(text)
    if match is None:
        raise CorruptStoreError("a number in the tar stream cannot be read")
    return int(match[1], 8)


def _require_sum(header: bytes) -> None:
    own = sum(header) - sum(header[148:156]) + 8 * 32
    if own != _field(header[148:156]):
        raise CorruptStoreError("a header in the tar stream has a wrong checksum")


def _require_zeros(data: bytes) -> None:
    if data.count(0) != len(data):
        raise CorruptStoreError("the tar stream has something after the image")


def _require_end(stream: Stream) -> None:
    _require_zeros(_exactly(stream, 2 * BLOCK))
    rest = stream.take(PADDING_MAX + 1)
    _require_zeros(rest)
    if len(rest) > PADDING_MAX:
        raise CorruptStoreError("the tar stream goes on long after its end")


def _exactly(stream: Stream, length: int) -> bytes:
    data = stream.take(length)
    if len(data) != length:
        raise CorruptStoreError("the tar stream ends too soon")
    return data


def _header(name: str, kind: bytes, stored: int, mtime: int) -> bytearray:
    header = bytearray(BLOCK)
    encoded = name.encode()
    assert len(encoded) <= 100
    fields = (
        (0, encoded),
        (100, b"0000644\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, _number(stored)),
        (136, _number(mtime)),
        (156, kind),
        (257, b"ustar  \0"),
        (265, b"root"),
        (297, b"root"),
    )
    for offset, value in fields:
        header[offset : offset + len(value)] = value
    return header


def _finished(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _put(block: bytearray, start: int, entries: Sequence[Extent]) -> None:
    for number, (offset, length) in enumerate(entries):
        at = start + 24 * number
        block[at : at + 24] = _number(offset) + _number(length)


def _number(value: int) -> bytes:
    if value < 8**11:
        return b"%011o\0" % value
    return b"\x80" + value.to_bytes(11, "big")
