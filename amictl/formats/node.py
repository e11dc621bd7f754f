"""Nodes of the block map. amictl-store(5), BLOCK MAPS."""

import struct
from collections.abc import Iterable
from itertools import pairwise

from blake3 import blake3

from amictl.errors import UnsupportedError
from amictl.formats.framing import CHECKSUM_SIZE, PLAIN_DOMAIN, Buffer, checksum, refuse
from amictl.model.blockmap import (
    FANOUT,
    FINGERPRINT_SIZE,
    NAME_SIZE,
    SEGMENT_SIZE,
    Interior,
    Leaf,
    Name,
    Node,
    child_span,
    slot_count,
)

MAGIC = b"AMINODE1"
LEVEL_MAX = 8
SIZE_MAX = 4 * 1024 * 1024
"""More than the bytes of any node, whose counts are u16."""

_HEADER = struct.Struct("<8sIBBBBH6s16s")
HEADER_SIZE = _HEADER.size
_LEAF_HEAD = struct.Struct(f"<I{FINGERPRINT_SIZE}sH")
_PIECE = struct.Struct("<IH")
_INTERIOR_HEAD = struct.Struct("<QH")
_NAMED_HEAD = struct.Struct("<BBH")
_ZEROS = 0x80000000
_HOLE = 0xFFFF
_LEAF, _INTERIOR = 0, 1


def encode(node: Node) -> bytes:
    """The stored bytes of a node in the plain domain. Equal nodes give equal bytes."""
    kind, level, names, body = _parts(node)
    count = len(names)
    stored = HEADER_SIZE + NAME_SIZE * count + len(body) + CHECKSUM_SIZE
    header = _HEADER.pack(MAGIC, stored, kind, level, 0, 0, count, bytes(6), PLAIN_DOMAIN)
    data = b"".join((header, *names, body))
    return data + checksum(data)


def name_of(data: Buffer) -> Name:
    """The plain name of an encoded node (not of arbitrary bytes)."""
    kind, level, count = data[12], data[13], int.from_bytes(data[16:18], "little")
    digest = blake3(_NAMED_HEAD.pack(kind, level, count))
    digest.update(data[HEADER_SIZE:-CHECKSUM_SIZE])
    return digest.digest()


def decode(data: Buffer) -> Node:
    """Raises CorruptStoreError for bytes that nobody wrote, UnsupportedError for a sealed node."""
    view = memoryview(data)
    refuse(len(view) < HEADER_SIZE + CHECKSUM_SIZE, "a node is truncated")
    magic, stored, kind, level, seal, zero, count, zeros, domain = _HEADER.unpack_from(view)
    refuse(magic != MAGIC, "a node does not begin with its magic")
    refuse(stored != len(view), "a node's length is wrong")
    refuse(checksum(view[:-CHECKSUM_SIZE]) != view[-CHECKSUM_SIZE:], "a node's checksum is wrong")
    refuse(zero != 0 or zeros != bytes(6), "a node has reserved bytes that are not zero")
    if seal != 0 or domain != PLAIN_DOMAIN:
        raise UnsupportedError("a node is sealed", hint="use a newer amictl")
    body = HEADER_SIZE + NAME_SIZE * count
    refuse(body > stored - CHECKSUM_SIZE, "a node's lengths disagree")
    name_bytes = bytes(view[HEADER_SIZE:body])
    names = [name_bytes[i : i + NAME_SIZE] for i in range(0, len(name_bytes), NAME_SIZE)]
    refuse(len(set(names)) != count, "a node lists a name twice")
    if kind == _LEAF and level == 0:
        return _decode_leaf(view[body:-CHECKSUM_SIZE], names)
    refuse(kind != _INTERIOR or not 1 <= level <= LEVEL_MAX, "a node has an unknown kind or level")
    return _decode_interior(view[body:-CHECKSUM_SIZE], names, level)


def _parts(node: Node) -> tuple[int, int, list[Name], bytes]:
    index: dict[Name, int] = {}
    if isinstance(node, Interior):
        slots = _indexed(node.children, index, _HOLE)
        head = _INTERIOR_HEAD.pack(node.plain_length, len(slots))
        return _INTERIOR, node.level, list(index), head + struct.pack(f"<{len(slots)}H", *slots)
    words: list[int] = []
    for length, name in zip(node.lengths, node.names, strict=True):
        if name is None:
            words += (length | _ZEROS, 0)
        else:
            words += (length, index.setdefault(name, len(index)))
    head = _LEAF_HEAD.pack(node.plain_length, node.fingerprint, len(node.lengths))
    return _LEAF, 0, list(index), head + struct.pack("<" + "IH" * len(node.lengths), *words)


def _indexed(children: Iterable[Name | None], index: dict[Name, int], absent: int) -> list[int]:
    return [absent if child is None else index.setdefault(child, len(index)) for child in children]


def _require_first_use_order(indexes: Iterable[int], count: int) -> None:
    """Names appear in the order of first use, and each is used."""
    seen = 0
    for index in indexes:
        refuse(index > seen, "a node's names are not in the order of first use")
        seen += index == seen
    refuse(seen != count, "a node lists a name that it does not use")


def _decode_leaf(body: memoryview, names: list[Name]) -> Leaf:
    refuse(len(body) < _LEAF_HEAD.size, "a leaf is truncated")
    plain_length, fingerprint, pieces = _LEAF_HEAD.unpack_from(body)
    refuse(len(body) != _LEAF_HEAD.size + _PIECE.size * pieces, "a leaf's length is wrong")
    refuse(not 0 < plain_length <= SEGMENT_SIZE, "a leaf covers an impossible length")
    rows = list(_PIECE.iter_unpack(body[_LEAF_HEAD.size :]))
    refuse(any(word & _ZEROS and index for word, index in rows), "a run of zeros has an index")
    used = [index for word, index in rows if not word & _ZEROS]
    _require_first_use_order(used, len(names))
    lengths = tuple(word & ~_ZEROS for word, _ in rows)
    refuse(sum(lengths) != plain_length or 0 in lengths, "a leaf's pieces do not add up")
    leaf = Leaf(
        lengths,
        tuple(None if word & _ZEROS else names[index] for word, index in rows),
        bytes(fingerprint),
    )
    refuse(
        any(a is None and b is None for a, b in pairwise(leaf.names)),
        "two runs of zeros follow each other",
    )
    return leaf


def _decode_interior(body: memoryview, names: list[Name], level: int) -> Interior:
    refuse(len(body) < _INTERIOR_HEAD.size, "a node is truncated")
    plain_length, slots = _INTERIOR_HEAD.unpack_from(body)
    refuse(len(body) != _INTERIOR_HEAD.size + 2 * slots, "a node's length is wrong")
    refuse(not 0 < plain_length <= child_span(level) * FANOUT, "a node covers an impossible length")
    refuse(slots != slot_count(level, plain_length), "a node has a wrong number of slots")
    indexes = struct.unpack_from(f"<{slots}H", body, _INTERIOR_HEAD.size)
    used = [index for index in indexes if index != _HOLE]
    refuse(not used, "a node is all holes")
    _require_first_use_order(used, len(names))
    return Interior(level, plain_length, tuple(None if i == _HOLE else names[i] for i in indexes))
