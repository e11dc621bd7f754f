"""The tar headers of an archive: only one form of them exists. amictl-archive(5), TAR.

A reader makes the header that it expects and compares all 512 bytes, so that nothing else that
tar can say (links, devices, paths, extensions) is ever looked at.
"""

import re
import struct
from dataclasses import dataclass

from amictl.formats.framing import refuse

BLOCK_SIZE = 512
END = bytes(2 * BLOCK_SIZE)
"""Closes an archive; nothing follows."""

SIZE_MAX = 8**11 - 1
TIME_MAX = 8**11 - 1

_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x")
_MODE, _ZERO, _NO_SUM = b"0000644", b"0000000", b" " * 8
_NAME, _OCTAL = re.compile(rb"[!-~]{1,99}"), re.compile(rb"[0-7]{11}")
_SUM_START, _SUM_STOP = 148, 156


@dataclass(frozen=True, slots=True)
class Header:
    """A member: its name in visible ASCII, the size of its content in bytes, seconds since 1970."""

    name: str
    size: int
    mtime: int


def encode(header: Header) -> bytes:
    """The 512 bytes before the content of a member."""
    name = header.name.encode("ascii")
    assert _NAME.fullmatch(name)
    assert 0 <= header.size <= SIZE_MAX
    assert 0 <= header.mtime <= TIME_MAX
    size, mtime = b"%011o" % header.size, b"%011o" % header.mtime
    ids_and_size = (_ZERO, _ZERO, size, mtime)
    rest = (b"0", b"", b"ustar\x0000", b"", b"", _ZERO, _ZERO, b"")
    block = _HEADER.pack(name, _MODE, *ids_and_size, _NO_SUM, *rest)
    return block[:_SUM_START] + b"%06o\0 " % sum(block) + block[_SUM_STOP:]


def decode(block: bytes) -> Header:
    """Raises CorruptStoreError unless `encode` could have written `block`."""
    refuse(len(block) != BLOCK_SIZE, "a header of the archive is truncated")
    fields = _HEADER.unpack(block)
    name, size, mtime = fields[0].rstrip(b"\0"), fields[4][:11], fields[5][:11]
    refuse(
        not (_NAME.fullmatch(name) and _OCTAL.fullmatch(size) and _OCTAL.fullmatch(mtime)),
        "the archive has a header that is not in canonical form",
    )
    header = Header(name.decode("ascii"), int(size, 8), int(mtime, 8))
    refuse(
        encode(header) != block,
        f"the archive has a header that is not in canonical form: {header.name!r}",
    )
    return header


def padding(size: int) -> bytes:
    """The zeros between a content of this size and the next header."""
    return bytes(-size % BLOCK_SIZE)


def next_offset(offset: int, size: int) -> int:
    """Where the content of the next member begins, after one at `offset` of this size."""
    return offset + size + -size % BLOCK_SIZE + BLOCK_SIZE
