"""Walking block maps: the leaves of one, and where two differ. Cost follows what is visited."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from amictl.errors import CorruptStoreError
from amictl.formats.framing import PLAIN_DOMAIN
from amictl.model.blockmap import (
    FANOUT,
    SEGMENT_SIZE,
    Interior,
    Leaf,
    Name,
    Node,
    child_span,
    segment_length,
)
from amictl.model.records import SnapshotCore
from amictl.store.store import Store


@dataclass(frozen=True, slots=True)
class Map:
    """The root of a block map; `root` is None when nothing was allocated.

    All of it is in one domain, the plain one where none is given: else whoever can write to the
    store could have what is encrypted read as plain.
    """

    root: Name | None
    height: int
    size_bytes: int
    domain: bytes = PLAIN_DOMAIN


def map_of(core: SnapshotCore) -> Map:
    """The block map of a snapshot."""
    root = bytes.fromhex(core.root) if core.root else None
    return Map(root, core.height, core.size_bytes, bytes.fromhex(core.domain))


def leaves(
    store: Store, block_map: Map, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, Name]]:
    """Segment index and name of each leaf from segment `start` to before `stop`; holes are skipped.

    Raises CorruptStoreError where a node cannot be read.
    """
    span = FANOUT**block_map.height
    end = span if stop is None else stop
    if block_map.root is not None and start < span and end > 0:
        wanted = range(start, end)
        yield from _leaves_below(store, block_map, block_map.root, block_map.height, 0, wanted)


def with_others(
    own: Iterator[tuple[int, Name]], others: Iterable[int]
) -> Iterator[tuple[int, Name | None]]:
    """Leaves, and the segments in `others` (ascending) that have none, in order."""
    leaf = next(own, None)
    for index in others:
        while leaf is not None and leaf[0] < index:
            yield leaf
            leaf = next(own, None)
        if leaf is not None and leaf[0] == index:
            yield leaf
            leaf = next(own, None)
        else:
            yield index, None
    while leaf is not None:
        yield leaf
        leaf = next(own, None)


def leaf_at(store: Store, block_map: Map, index: int) -> Name | None:
    """The leaf of segment `index`, or None for a hole."""
    name, span = block_map.root, FANOUT**block_map.height
    if index >= span:
        return None
    for level in range(block_map.height, 0, -1):
        if name is None:
            return None
        span //= FANOUT
        first = index - index % (span * FANOUT)
        children = _children(store, block_map, name, level, first)
        slot = (index - first) // span
        if slot >= len(children):
            return None
        name = children[slot]
    return name


def changed_leaves(
    store: Store, first: Map, second: Map, start: int = 0
) -> Iterator[tuple[int, Name | None, Name | None]]:
    """Segment index and both leaves (None: hole) wherever two maps differ, from segment `start` on.

    Shared subtrees are not visited. The maps may have different heights.
    """
    height = max(first.height, second.height)
    one, other = (_Side(side.root, side.height, side.domain) for side in (first, second))
    yield from _changed_below(store, one, other, height, 0, start)


def read_leaf_at(store: Store, block_map: Map, index: int, name: Name) -> Leaf:
    """The leaf that a map has for segment `index`.

    Raises CorruptStoreError if it cannot be read, or is not as long as that segment.
    """
    leaf = store.read_leaf(name)
    _require_domain(leaf, block_map.domain, name)
    if leaf.plain_length != segment_length(block_map.size_bytes, index):
        raise CorruptStoreError(f"leaf {name.hex()} is not as long as segment {index}")
    return leaf


def read_interior_at(store: Store, block_map: Map, name: Name, level: int, first: int) -> Interior:
    """The node of `level` that begins with segment `first` of a map.

    Raises CorruptStoreError if it cannot be read, or does not cover what is there of the volume.
    """
    node = store.read_interior(name, level)
    _require_domain(node, block_map.domain, name)
    rest = block_map.size_bytes - first * SEGMENT_SIZE
    if node.plain_length != min(rest, child_span(level) * FANOUT):
        raise CorruptStoreError(f"node {name.hex()} does not cover what its place in the map does")
    return node


def _require_domain(node: Node, domain: bytes, name: Name) -> None:
    if node.domain != domain:
        raise CorruptStoreError(f"node {name.hex()} is of another domain than its snapshot")


def _leaves_below(
    store: Store, block_map: Map, name: Name, level: int, first: int, wanted: range
) -> Iterator[tuple[int, Name]]:
    if level == 0:
        yield first, name
        return
    span = FANOUT ** (level - 1)
    for slot, child in enumerate(_children(store, block_map, name, level, first)):
        at = first + slot * span
        if child is not None and at < wanted.stop and at + span > wanted.start:
            yield from _leaves_below(store, block_map, child, level - 1, at, wanted)


def _children(
    store: Store, block_map: Map, name: Name, level: int, first: int
) -> tuple[Name | None, ...]:
    """Of the node of `level` that begins with segment `first`. Raises CorruptStoreError."""
    return read_interior_at(store, block_map, name, level, first).children


class _Side:
    """One of two maps that are walked together, raised to the height of the higher one."""

    __slots__ = ("domain", "level", "name")

    def __init__(self, name: Name | None, level: int, domain: bytes) -> None:
        self.name = name
        self.level = level
        self.domain = domain

    def children(self, store: Store, level: int) -> "list[_Side]":
        """The sides one level down; a lower map is the first child of what would be above it."""
        if self.name is None:
            return []
        if self.level < level:
            return [self]
        node = store.read_interior(self.name, level)
        _require_domain(node, self.domain, self.name)
        return [_Side(child, level - 1, self.domain) for child in node.children]


def _changed_below(
    store: Store, first: _Side, second: _Side, level: int, at: int, start: int
) -> Iterator[tuple[int, Name | None, Name | None]]:
    span = FANOUT**level
    if at + span <= start or (first.name == second.name and first.level == second.level):
        return
    if level == 0:
        yield at, first.name, second.name
        return
    below_first, below_second = first.children(store, level), second.children(store, level)
    nothing = _Side(None, level - 1, PLAIN_DOMAIN)
    for slot in range(max(len(below_first), len(below_second))):
        a = below_first[slot] if slot < len(below_first) else nothing
        b = below_second[slot] if slot < len(below_second) else nothing
        yield from _changed_below(store, a, b, level - 1, at + slot * (span // FANOUT), start)
