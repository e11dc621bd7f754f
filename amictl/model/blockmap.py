"""The block map: a tree of nodes that leads from a volume's bytes to chunks.

amictl-store(5), BLOCK MAPS.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

SEGMENT_SIZE = 4 * 1024 * 1024
FANOUT = 128
NAME_SIZE = 32
FINGERPRINT_SIZE = 16
CUT_ID = 1
SECRET_CUT_ID = 2
"""Cut by a pattern that is secret, as all is that begins encrypted."""
AVERAGE_SIZES = (16_384, 32_768, 65_536)
"""Average chunk sizes of both cuts, in bytes."""

Name = bytes
"""A BLAKE3 digest, 32 bytes: under which something is stored, unless `plain` is said of it."""


class NodeName(NamedTuple):
    """The two names of a node, which are the same in the plain domain."""

    stored: Name
    plain: Name


@dataclass(frozen=True, slots=True)
class Leaf:
    """The content of one segment: chunks and runs of zeros, in volume order, without gaps.

    Two columns of equal length, one row for each piece: its length in bytes, and its name, or
    None for a run of zeros. The lengths add up to SEGMENT_SIZE, or to the tail of the volume.
    `plain_names` is the same column with plain names, which in the plain domain are the same.
    `plain_name` is the leaf's own, where it was read from a store, and `domain` the 16 bytes of
    the domain that it was read from: all that it names is in that.
    """

    lengths: tuple[int, ...]
    names: tuple[Name | None, ...]
    fingerprint: bytes  # 16 bytes; equal under one fingerprint key means equal plain bytes
    plain_names: tuple[Name | None, ...] = field(default=(), compare=False)
    plain_name: Name = field(default=b"", compare=False)
    domain: bytes = field(default=bytes(16), compare=False)

    @property
    def plain_length(self) -> int:
        """Bytes of the volume that this leaf describes."""
        return sum(self.lengths)

    @property
    def zero_length(self) -> int:
        """Bytes of them that are in runs of zeros."""
        pieces = zip(self.lengths, self.names, strict=True)
        return sum(length for length, name in pieces if name is None)


@dataclass(frozen=True, slots=True)
class Interior:
    """A node of level 1 or above; a child that is None is a hole. Plain names and domain as in
    leaves.
    """

    level: int
    plain_length: int  # bytes of the volume that it covers
    children: tuple[Name | None, ...]
    plain_children: tuple[Name | None, ...] = field(default=(), compare=False)
    plain_name: Name = field(default=b"", compare=False)
    domain: bytes = field(default=bytes(16), compare=False)


Node = Leaf | Interior


@dataclass(frozen=True, slots=True)
class Location:
    """Where a frame or node is stored, and which chunk of the frame is meant."""

    pack: int
    offset: int
    length: int
    position: int


def child_span(level: int) -> int:
    """Bytes of the volume that a full child of a node of `level` (1 and above) covers."""
    return SEGMENT_SIZE << 7 * (level - 1)


def slot_count(level: int, plain_length: int) -> int:
    """Number of children of a node of `level` that covers `plain_length` bytes."""
    return -(-plain_length // child_span(level))


def segment_count(size_bytes: int) -> int:
    """Number of segments of a volume."""
    return -(-size_bytes // SEGMENT_SIZE)


def segment_length(size_bytes: int, index: int) -> int:
    """Plain length of segment `index` of a volume of `size_bytes`."""
    return min(SEGMENT_SIZE, size_bytes - index * SEGMENT_SIZE)


def tree_height(size_bytes: int) -> int:
    """The least height whose tree covers the volume; 0 for a single leaf."""
    height = 0
    while SEGMENT_SIZE * FANOUT**height < size_bytes:
        height += 1
    return height
