"""How the map of a snapshot becomes one of another store: as it is, or in another domain.

Inside a domain nodes and frames keep their bytes and names. With the key, or where there is none,
what they hold is looked at on the way; without it they go unopened. Into another domain they are
opened and sealed anew. amictl-store(5), COPIES.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from amictl.content.domains import Domain, RandomBytes, SealedDomain
from amictl.content.resealing import resealed_node
from amictl.errors import CorruptStoreError
from amictl.formats import node as node_format
from amictl.formats.node import ClearNode
from amictl.model.blockmap import Leaf, Name, Node, child_span
from amictl.model.records import SnapshotCore
from amictl.store.carrying import Carrier, ResealedFrames, UnopenedFrames, UsedChunks, WholeFrames
from amictl.store.domains import opened
from amictl.store.store import Store
from amictl.store.walking import Map, map_of
from amictl.store.writing import Writer


class Place(NamedTuple):
    """A node of a map: its names in the source and in the target; from where to where it is in
    the volume, about where that cannot be seen."""

    source: Name
    target: Name
    level: int
    start: int
    stop: int


class Chunks(NamedTuple):
    """The chunks of a leaf, each once, as columns: their names in the source and in the target,
    their plain names, and their plain lengths, about where that cannot be seen.

    Where plain names cannot be seen, those in the source stand for them.
    """

    sources: Sequence[Name] = ()
    targets: Sequence[Name] = ()
    plain: Sequence[Name] = ()
    lengths: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Moving:
    """A node that was read: what is below it, each once; and what the target is to store of it."""

    below: tuple[Place, ...]
    chunks: Chunks
    zero: int
    name: Name
    data: bytes


class Passage(Protocol):
    """One map on its way. Used from many threads."""

    @property
    def domains(self) -> tuple[bytes, bytes]:
        """Ids of the domains in the source and in the target."""
        ...

    def root(self) -> Place | None:
        """Where to begin; None for a map of nothing."""
        ...

    def read(self, place: Place) -> Moving:
        """A node, which is what its place says. Raises CorruptStoreError."""
        ...

    def where(self, place: Place) -> str:
        """A place in words, for messages."""
        ...

    def carrier(self) -> Carrier:
        """What frames go through, for one thread."""
        ...


class OpenPassage:
    """Inside a domain, which is open or plain."""

    def __init__(
        self,
        source: Store,
        block_map: Map,
        domain: Domain,
        reduced_to: tuple[int, RandomBytes] | None,
    ) -> None:
        """With `reduced_to`, a compression level and random bytes, frames are made anew without
        what the map does not use.
        """
        self._source = source
        self._map = block_map
        self._domain = domain
        self._reduced_to = reduced_to

    @property
    def domains(self) -> tuple[bytes, bytes]:
        return self._domain.id, self._domain.id

    def root(self) -> Place | None:
        """See Passage."""
        return _root(self._map, self._map.root)

    def read(self, place: Place) -> Moving:
        """See Passage."""
        clear, node = _read(self._source, self._domain, place)
        same = {name: name for name in clear.children}
        return _moving(node, place, same, (clear.name, node_format.encode_again(clear)))

    def where(self, place: Place) -> str:
        """See Passage."""
        return f"bytes {place.start} to {place.stop}"

    def carrier(self) -> Carrier:
        """See Passage."""
        if self._reduced_to is None:
            return WholeFrames(self._domain)
        return UsedChunks(self._domain, *self._reduced_to)


class UnopenedPassage:
    """Inside an encrypted domain whose key is not at hand.

    Which bytes of the volume a node covers cannot be seen: each child is given an equal part.
    """

    def __init__(self, source: Store, block_map: Map, domain_id: bytes) -> None:
        self._source = source
        self._map = block_map
        self._domain_id = domain_id

    @property
    def domains(self) -> tuple[bytes, bytes]:
        return self._domain_id, self._domain_id

    def root(self) -> Place | None:
        """See Passage."""
        return _root(self._map, self._map.root)

    def read(self, place: Place) -> Moving:
        """See Passage."""
        clear = self._source.read_clear_node(place.source)
        _require_domain(clear, self._domain_id)
        if clear.level != place.level:
            raise CorruptStoreError(f"node {clear.name.hex()} is not of level {place.level}")
        data = node_format.encode_again(clear)
        size, count = place.stop - place.start, len(clear.children)
        if clear.level == 0:
            names = clear.children
            chunks = Chunks(names, names, names, [size // count] * count)
            return Moving((), chunks, 0, clear.name, data)
        ends = [place.start + size * at // count for at in range(count + 1)]
        below = tuple(
            Place(name, name, clear.level - 1, ends[at], ends[at + 1])
            for at, name in enumerate(clear.children)
        )
        return Moving(below, Chunks(), 0, clear.name, data)

    def where(self, place: Place) -> str:
        """See Passage."""
        return "a place that only its key shows"

    def carrier(self) -> Carrier:
        """See Passage."""
        return UnopenedFrames(self._domain_id)


class ResealedPassage:
    """From the plain domain, or from an encrypted one that is open, into an encrypted one."""

    def __init__(
        self,
        source: Store,
        block_map: Map,
        domains: tuple[Domain, SealedDomain],
        compression_level: int,
        random_bytes: RandomBytes,
    ) -> None:
        self._source = source
        self._map = block_map
        self._from, self._into = domains
        self._level = compression_level
        self._random = random_bytes

    @property
    def domains(self) -> tuple[bytes, bytes]:
        return self._from.id, self._into.id

    def root(self) -> Place | None:
        """See Passage."""
        if self._map.root is None:
            return None
        plain = self._source.read_node(self._map.root).plain_name
        return _root(self._map, self._into.stored_names([plain])[0])

    def read(self, place: Place) -> Moving:
        """See Passage."""
        clear, node = _read(self._source, self._from, place)
        name, children, data = resealed_node(clear, self._from, self._into, self._random)
        if name.stored != place.target:
            raise CorruptStoreError(f"node {clear.name.hex()} is not what its parent says")
        targets = dict(zip(clear.children, children, strict=True))
        return _moving(node, place, targets, (name.stored, data))

    def where(self, place: Place) -> str:
        """See Passage."""
        return f"bytes {place.start} to {place.stop}"

    def carrier(self) -> Carrier:
        """See Passage."""
        return ResealedFrames(self._from, self._into, self._level, self._random)


def _root(block_map: Map, target: Name | None) -> Place | None:
    if block_map.root is None or target is None:
        return None
    return Place(block_map.root, target, block_map.height, 0, block_map.size_bytes)


def _read(source: Store, domain: Domain, place: Place) -> tuple[ClearNode, Node]:
    """Raises CorruptStoreError unless the node is of the domain, and as its place is."""
    clear, node = source.read_both(place.source)
    _require_domain(clear, domain.id)
    if clear.level != place.level or node.plain_length != place.stop - place.start:
        raise CorruptStoreError(
            f"node {clear.name.hex()} does not cover what its place in the map does"
        )
    return clear, node


def _require_domain(clear: ClearNode, domain_id: bytes) -> None:
    if clear.domain != domain_id:
        raise CorruptStoreError(f"node {clear.name.hex()} is of another domain than its snapshot")


def _moving(
    node: Node, place: Place, targets: Mapping[Name, Name], stored: tuple[Name, bytes]
) -> Moving:
    """`targets` are the names in the target of what is below a node."""
    if isinstance(node, Leaf):
        lengths = dict(zip(node.names, node.lengths, strict=True))
        plain = dict(zip(node.names, node.plain_names, strict=True))
        names = [name for name in lengths if name]
        chunks = Chunks(
            names,
            [targets[name] for name in names],
            [plain[name] or name for name in names],
            [lengths[name] for name in names],
        )
        return Moving((), chunks, node.zero_length, *stored)
    span = child_span(node.level)
    starts = range(place.start, place.stop, span)
    below = tuple(
        Place(child, targets[child], node.level - 1, start, min(start + span, place.stop))
        for start, child in zip(starts, node.children, strict=True)
        if child is not None
    )
    return Moving(below, Chunks(), 0, *stored)


def passage_for(source: Store, writer: Writer, core: SnapshotCore, domain_id: str) -> Passage:
    """How the map of a snapshot goes to the store of the writer, into a domain that is there.

    Raises KeyUnavailableError unless the snapshot is in that domain already.
    """
    block_map = map_of(core)
    config = writer.store.config
    if core.domain != domain_id:
        domains = source.domain(core.domain), writer.store.sealed_domain(domain_id)
        return ResealedPassage(
            source, block_map, domains, config.compression_level, writer.random_bytes
        )
    own = opened(source, domain_id)
    if own is None:
        return UnopenedPassage(source, block_map, bytes.fromhex(domain_id))
    foreign = source.config.owner_id != config.owner_id
    reduced_to = (config.compression_level, writer.random_bytes) if foreign else None
    return OpenPassage(source, block_map, own, reduced_to)
