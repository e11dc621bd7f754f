"""Nodes of the block map. amictl-store(5), BLOCK MAPS."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from blake3 import blake3

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
_LENGTH_END = 12
"""The length at 8 is no part of what a seal is bound to."""


@dataclass(frozen=True, slots=True)
class ClearNode:
    """What a node shows without a key, checked against its checksum.

    `name` is the stored one. `children` are stored names, each once, in the order of first use.
    `body` is a view of the bytes it was read from, sealed with `associated` in encrypted domains.
    """

    domain: bytes
    name: Name
    level: int
    children: tuple[Name, ...]
    body: memoryview
    associated: bytes = b""


@dataclass(frozen=True, slots=True)
class BodyToSeal:
    """What is sealed of a node, with plain names: the same in every encrypted domain.

    `children` are the stored names that stand in the clear part.
    """

    level: int
    children: tuple[Name, ...]
    body: bytes

    @property
    def plain_name(self) -> Name:
        """Of the node."""
        return _plain_name(self.level, len(self.children), self.body)


def encode(node: Node) -> bytes:
    """The stored bytes of a node in the plain domain. Equal nodes give equal bytes."""
    level, names, body = _parts(node)
    clear = _clear(PLAIN_DOMAIN, level, names)
    stored = _LENGTH_END + len(clear) + len(body) + CHECKSUM_SIZE
    data = b"".join((MAGIC, stored.to_bytes(4, "little"), clear, body))
    return data + checksum(data)


def body_to_seal(node: Node) -> BodyToSeal:
    """The parts of a node that has plain names besides the stored ones."""
    level, children, body = _parts(node)
    below = node.plain_children if isinstance(node, Interior) else node.plain_names
    plain_names = tuple(dict.fromkeys(name for name in below if name is not None))
    assert len(plain_names) == len(children)
    return BodyToSeal(level, children, b"".join((*plain_names, body)))


def associated_with(domain: bytes, name: Name, level: int, children: tuple[Name, ...]) -> bytes:
    """What the sealed body of such a node is bound to."""
    return associated_data(MAGIC, domain, 0, MAGIC + _clear(domain, level, (name, *children)))


def encode_sealed(
    domain: bytes, name: Name, level: int, children: tuple[Name, ...], body: Buffer
) -> bytes:
    """The stored bytes of a node in an encrypted domain, where it is stored as `name`."""
    clear = _clear(domain, level, (name, *children))
    stored = _LENGTH_END + len(clear) + len(body) + CHECKSUM_SIZE
    data = b"".join((MAGIC, stored.to_bytes(4, "little"), clear, body))
    return data + checksum(data)


def encode_again(clear: ClearNode) -> bytes:
    """The bytes that a node was read from, whether it was opened or not."""
    own = () if clear.domain == PLAIN_DOMAIN else (clear.name,)
    head = _clear(clear.domain, clear.level, (*own, *clear.children))
    stored = _LENGTH_END + len(head) + len(clear.body) + CHECKSUM_SIZE
    data = b"".join((MAGIC, stored.to_bytes(4, "little"), head, clear.body))
    return data + checksum(data)


def name_of(data: Buffer) -> Name:
    """The plain name of a node that was encoded in the plain domain (not of arbitrary bytes)."""
    view = memoryview(data)
    count = int.from_bytes(view[16:18], "little")
    return _plain_name(view[13], count, view[HEADER_SIZE:-CHECKSUM_SIZE])


def decode(data: Buffer) -> Node:
    """A node of the plain domain.

    Raises CorruptStoreError for bytes that nobody wrote, UnsupportedError for a sealed node.
    """
    clear = clear_part(data)
    if clear.domain != PLAIN_DOMAIN:
        raise UnsupportedError("a node is sealed, and is to be read without its key")
    return decode_body(clear, clear.body)


def clear_part(data: Buffer) -> ClearNode:
    """What needs no key, of a node of any domain. Raises as `decode` does, not for a seal."""
    view = memoryview(data)
    refuse(len(view) < HEADER_SIZE + CHECKSUM_SIZE, "a node is truncated")
    magic, stored, kind, level, seal, zero, count, zeros, domain = _HEADER.unpack_from(view)
    refuse(magic != MAGIC, "a node does not begin with its magic")
    refuse(stored != len(view), "a node's length is wrong")
    refuse(checksum(view[:-CHECKSUM_SIZE]) != view[-CHECKSUM_SIZE:], "a node's checksum is wrong")
    refuse(zero != 0 or zeros != bytes(6), "a node has reserved bytes that are not zero")
    require_seal(seal, domain, "a node")
    own = NAME_SIZE if seal else 0
    body = HEADER_SIZE + own + NAME_SIZE * count
    least = NAME_SIZE * count + SEAL_SIZE if seal else 0
    refuse(body + least > stored - CHECKSUM_SIZE, "a node's lengths disagree")
    children = _names(view[HEADER_SIZE + own : body])
    refuse(len(set(children)) != count, "a node lists a name twice")
    refuse(
        (kind, level) != (_LEAF, 0) and (kind != _INTERIOR or not 1 <= level <= LEVEL_MAX),
        "a node has an unknown kind or level",
    )
    if not seal:
        name = _plain_name(level, count, view[HEADER_SIZE:-CHECKSUM_SIZE])
        return ClearNode(domain, name, level, children, view[body:-CHECKSUM_SIZE])
    associated = associated_data(MAGIC, domain, 0, bytes(view[:8]) + view[_LENGTH_END:body])
    name = bytes(view[HEADER_SIZE : HEADER_SIZE + own])
    return ClearNode(domain, name, level, children, view[body:-CHECKSUM_SIZE], associated)


def decode_body(clear: ClearNode, body: memoryview) -> Node:
    """A node from its clear part and its body, opened where it was sealed.

    Raises CorruptStoreError. Whoever opened the body compares the plain name with the stored one.
    """
    count = len(clear.children)
    names_end, plain_name, plain_names = 0, clear.name, clear.children
    if clear.domain != PLAIN_DOMAIN:
        names_end = NAME_SIZE * count
        plain_name = _plain_name(clear.level, count, body)
        plain_names = _names(body[:names_end])
    names = _Names(clear.children, plain_names, plain_name, clear.domain)
    if clear.level == 0:
        return _decode_leaf(body[names_end:], names)
    return _decode_interior(body[names_end:], names, clear.level)


def _plain_name(level: int, count: int, names_and_body: Buffer) -> Name:
    digest = blake3(_NAMED_HEAD.pack(_INTERIOR if level else _LEAF, level, count))
    digest.update(names_and_body)
    return digest.digest()


def _clear(domain: bytes, level: int, names: tuple[Name, ...]) -> bytes:
    """From offset 12 to the end of the names, of which the first is the node's own if sealed."""
    sealed = domain != PLAIN_DOMAIN
    kind, seal = _INTERIOR if level else _LEAF, SEAL_XAES if sealed else SEAL_NONE
    count = len(names) - sealed
    header = _HEADER.pack(MAGIC, 0, kind, level, seal, 0, count, bytes(6), domain)
    return b"".join((header[_LENGTH_END:], *names))


def _names(listed: memoryview) -> tuple[Name, ...]:
    data = bytes(listed)
    return tuple([data[at : at + NAME_SIZE] for at in range(0, len(data), NAME_SIZE)])


def _parts(node: Node) -> tuple[int, tuple[Name, ...], bytes]:
    """Level, names each once, and the body without names."""
    index: dict[Name, int] = {}
    if isinstance(node, Interior):
        slots = _indexed(node.children, index, _HOLE)
        head = _INTERIOR_HEAD.pack(node.plain_length, len(slots))
        return node.level, tuple(index), head + struct.pack(f"<{len(slots)}H", *slots)
    words: list[int] = []
    for length, name in zip(node.lengths, node.names, strict=True):
        if name is None:
            words += (length | _ZEROS, 0)
        else:
            words += (length, index.setdefault(name, len(index)))
    head = _LEAF_HEAD.pack(node.plain_length, node.fingerprint, len(node.lengths))
    return 0, tuple(index), head + struct.pack("<" + "IH" * len(node.lengths), *words)


def _indexed(children: Iterable[Name | None], index: dict[Name, int], absent: int) -> list[int]:
    return [absent if child is None else index.setdefault(child, len(index)) for child in children]


def _require_first_use_order(indexes: Iterable[int], count: int) -> None:
    """Names appear in the order of first use, and each is used."""
    seen = 0
    for index in indexes:
        refuse(index > seen, "a node's names are not in the order of first use")
        seen += index == seen
    refuse(seen != count, "a node lists a name that it does not use")


@dataclass(frozen=True, slots=True)
class _Names:
    """What a node lists: its children by both names; and its own plain name and its domain."""

    stored: tuple[Name, ...]
    plain: tuple[Name, ...]
    own: Name
    domain: bytes


def _decode_leaf(body: memoryview, names: _Names) -> Leaf:
    refuse(len(body) < _LEAF_HEAD.size, "a leaf is truncated")
    plain_length, fingerprint, pieces = _LEAF_HEAD.unpack_from(body)
    refuse(len(body) != _LEAF_HEAD.size + _PIECE.size * pieces, "a leaf's length is wrong")
    refuse(not 0 < plain_length <= SEGMENT_SIZE, "a leaf covers an impossible length")
    rows = list(_PIECE.iter_unpack(body[_LEAF_HEAD.size :]))
    refuse(any(word & _ZEROS and index for word, index in rows), "a run of zeros has an index")
    used = [index for word, index in rows if not word & _ZEROS]
    _require_first_use_order(used, len(names.stored))
    lengths = tuple(word & ~_ZEROS for word, _ in rows)
    refuse(sum(lengths) != plain_length or 0 in lengths, "a leaf's pieces do not add up")
    slots = [None if word & _ZEROS else index for word, index in rows]
    refuse(
        any(a is None and b is None for a, b in pairwise(slots)),
        "two runs of zeros follow each other",
    )
    stored = _at(names.stored, slots)
    plain = stored if names.plain is names.stored else _at(names.plain, slots)
    return Leaf(lengths, stored, bytes(fingerprint), plain, names.own, names.domain)


def _decode_interior(body: memoryview, names: _Names, level: int) -> Interior:
    refuse(len(body) < _INTERIOR_HEAD.size, "a node is truncated")
    plain_length, slots = _INTERIOR_HEAD.unpack_from(body)
    refuse(len(body) != _INTERIOR_HEAD.size + 2 * slots, "a node's length is wrong")
    refuse(not 0 < plain_length <= child_span(level) * FANOUT, "a node covers an impossible length")
    refuse(slots != slot_count(level, plain_length), "a node has a wrong number of slots")
    indexes = struct.unpack_from(f"<{slots}H", body, _INTERIOR_HEAD.size)
    used = [index for index in indexes if index != _HOLE]
    refuse(not used, "a node is all holes")
    _require_first_use_order(used, len(names.stored))
    chosen = [None if index == _HOLE else index for index in indexes]
    stored = _at(names.stored, chosen)
    plain = stored if names.plain is names.stored else _at(names.plain, chosen)
    return Interior(level, plain_length, stored, plain, names.own, names.domain)


def _at(names: tuple[Name, ...], indexes: Iterable[int | None]) -> tuple[Name | None, ...]:
    return tuple(None if index is None else names[index] for index in indexes)
