"""Walking the block maps of a check: what below a node cannot be read, with a key or without."""

from collections.abc import Callable

from amictl.errors import UNREADABLE, AmictlError, CorruptStoreError, KeyUnavailableError
from amictl.model.blockmap import Interior, Leaf, Name, child_span
from amictl.model.records import DamagedFrame
from amictl.store.index import ABSENT
from amictl.store.store import Store

_ANOTHER_DOMAIN = "it is of another domain than what leads to it"

Ranges = tuple[tuple[int, int], ...]
"""Damaged bytes below a node, as start and stop from where it begins."""


class MapCheck:
    """Looks at the maps of all snapshots; what they share is looked at once.

    `fault` is told kind, place and message of what is wrong. `found` are the damaged places that
    are known so far, to which those of nodes are added.
    """

    def __init__(
        self, store: Store, fault: Callable[[str, str, str], None], found: list[DamagedFrame]
    ) -> None:
        self.node_count = 0
        self._store = store
        self._fault = fault
        self._found = found
        self._below: dict[tuple[bytes, Name, int, int], Ranges] = {}
        self._sealed: dict[tuple[bytes, Name], bool] = {}

    def is_damaged_below(self, domain: bytes, name: Name, level: int) -> bool:
        """Whether something below a node, or it, cannot be read, or is of another domain. It needs
        no key.

        Where in the volume that is, is sealed.
        """
        known = self._sealed.get((domain, name))
        if known is not None:
            return known
        self.node_count += 1
        try:
            node = self._store.read_clear_node(name)
            if node.level != level:
                raise CorruptStoreError("it is of another level than its parent says")
            if node.domain != domain:
                raise CorruptStoreError(_ANOTHER_DOMAIN)
        except UNREADABLE as error:
            self._take_damaged(name, error)
            damaged = True
        else:
            if level == 0:
                damaged = bool(node.children and self._unusable(list(node.children)))
            else:
                # All of them are looked at, so that all damage is found.
                below = [self.is_damaged_below(domain, child, level - 1) for child in node.children]
                damaged = any(below)
        self._sealed[domain, name] = damaged
        return damaged

    def damage_below(self, domain: bytes, name: Name, level: int, length: int) -> Ranges:
        """What cannot be read below a node, or is of another domain; shared subtrees are looked at
        once.
        """
        known = self._below.get((domain, name, level, length))
        if known is not None:
            return known
        self.node_count += 1
        found: Ranges = ((0, length),)
        try:
            node = self._store.read_node(name)
        except KeyUnavailableError:  # the key of this domain is at hand
            self._fault("node", name.hex(), _ANOTHER_DOMAIN)
        except UNREADABLE as error:
            self._take_damaged(name, error)
        else:
            if (0 if isinstance(node, Leaf) else node.level, node.plain_length) != (level, length):
                message = "it is of another level or length than its parent says"
                self._fault("node", name.hex(), message)
            elif node.domain != domain:
                self._fault("node", name.hex(), _ANOTHER_DOMAIN)
            elif isinstance(node, Leaf):
                found = self._leaf_damage(node)
            else:
                found = self._interior_damage(node)
        self._below[domain, name, level, length] = found
        return found

    def _take_damaged(self, name: Name, error: AmictlError) -> None:
        """A node could not be read."""
        self._fault("node", name.hex(), error.message)
        if isinstance(error, CorruptStoreError):
            self._take_node(name)

    def _take_node(self, name: Name) -> None:
        """The place where a damaged node was looked for is not to be trusted."""
        place = self._store.index.find(name)
        row = self._store.index.packs.get(place.pack) if place else None
        if place is not None and row is not None:
            self._found.append(DamagedFrame(row.pack_id.hex(), place.offset, place.length))

    def _interior_damage(self, node: Interior) -> Ranges:
        span = child_span(node.level)
        found: list[tuple[int, int]] = []
        for slot, child in enumerate(node.children):
            if child is not None:
                start = slot * span
                below = self.damage_below(
                    node.domain, child, node.level - 1, min(span, node.plain_length - start)
                )
                found += [(start + first, start + last) for first, last in below]
        return _joined(found)

    def _leaf_damage(self, leaf: Leaf) -> Ranges:
        names = [name for name in leaf.names if name is not None]
        if not names:
            return ()
        unusable = self._unusable(names)
        found: list[tuple[int, int]] = []
        position = 0
        for length, name in zip(leaf.lengths, leaf.names, strict=True):
            if name in unusable:
                found.append((position, position + length))
            position += length
        return _joined(found)

    def _unusable(self, names: list[Name]) -> set[Name]:
        """Chunks that are nowhere, or only where damage was found."""
        index = self._store.index
        packs = index.find_many(names).packs.tolist()
        bad = {(frame.pack, frame.offset) for frame in self._found}
        unusable: set[Name] = set()
        for name, pack in zip(names, packs, strict=True):
            if pack == ABSENT:
                self._fault(
                    "chunk", name.hex(), "it is not in the index, or only in damaged places"
                )
                unusable.add(name)
            elif bad and all(
                (index.packs[place.pack].pack_id.hex(), at) in bad
                for place in index.places(name)
                for at in (
                    (0,) if (index.packs[place.pack].pack_id.hex(), 0) in bad else (place.offset,)
                )
            ):
                unusable.add(name)
        return unusable


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    """Ranges in order, those that touch made one."""
    joined: list[tuple[int, int]] = []
    for start, stop in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return tuple(joined)
