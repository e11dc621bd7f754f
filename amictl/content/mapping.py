"""Building the inner nodes of a block map from its leaves. amictl-store(5), BLOCK MAPS."""

from collections.abc import Callable

from amictl.model.blockmap import (
    FANOUT,
    Interior,
    Name,
    NodeName,
    child_span,
    slot_count,
    tree_height,
)


class MapBuilder:
    """Takes leaves in ascending order, hands out each inner node as soon as it is complete.

    `emit` stores a node and returns its names; every node's children were emitted before it.
    Memory holds one open node for each level, whatever the size of the volume.
    """

    def __init__(self, size_bytes: int, emit: Callable[[Interior], NodeName]) -> None:
        self.height = tree_height(size_bytes)
        self._size = size_bytes
        self._emit = emit
        self._open: list[tuple[int, dict[int, NodeName]] | None] = [None] * (self.height + 1)
        self._root: Name | None = None

    def add(self, index: int, leaf: NodeName) -> None:
        """The leaf of segment `index`; segments left out are holes."""
        self._put(1, index, leaf)

    def finish(self) -> Name | None:
        """The stored name of the root; None if no leaf was added."""
        for level in range(1, self.height + 1):
            self._close(level)
        return self._root

    def _put(self, level: int, index: int, name: NodeName) -> None:
        if level > self.height:
            self._root = name.stored
            return
        number, slot = divmod(index, FANOUT)
        node = self._open[level]
        if node is not None and node[0] != number:
            self._close(level)
            node = None
        if node is None:
            node = self._open[level] = (number, {})
        node[1][slot] = name

    def _close(self, level: int) -> None:
        node = self._open[level]
        if node is None:
            return
        self._open[level] = None
        number, children = node
        span = child_span(level) * FANOUT
        covered = min(span, self._size - number * span)
        slots = [children.get(slot) for slot in range(slot_count(level, covered))]
        stored = tuple(name.stored if name else None for name in slots)
        plain = tuple(name.plain if name else None for name in slots)
        self._put(level + 1, number, self._emit(Interior(level, covered, stored, plain)))
