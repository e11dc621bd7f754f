"""A region's store, opened: its configuration, its index, and the reading of nodes and frames."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from blake3 import blake3

from amictl.content.domains import PLAIN, Domain, SealedDomain
from amictl.errors import (
    CorruptStoreError,
    InterruptedBySignalError,
    KeyUnavailableError,
    ObjectMissingError,
    UnsupportedError,
)
from amictl.formats import node as node_format
from amictl.formats import records as record_format
from amictl.formats.framing import PLAIN_DOMAIN
from amictl.formats.node import ClearNode
from amictl.model.blockmap import Interior, Leaf, Location, Name, Node
from amictl.model.records import DamageList, Features, StoreConfig
from amictl.storage.interface import Storage
from amictl.store import domains, layout
from amictl.store.domains import Keyring
from amictl.store.index import Damage, Index

_INTERIORS_KEPT = 512
Found = TypeVar("Found")
KNOWN_FEATURES = Features()
_PLAIN = PLAIN_DOMAIN.hex()


class Store:
    """One region, open for reading; `store.writing.Writer` changes it.

    Reading takes no lock. Whatever is read is checked against its name. Whoever opens a store sets
    its `keyring`; without one nothing that is encrypted can be opened. `on_close` is called before
    it is closed, `on_new_domain` after the header of a domain was written. `known_keys` are the
    keys of volumes that this machine knows of, whatever the store says; `learnt_keys` is what is
    found out about them, None for a volume that has none.
    """

    def __init__(self, storage: Storage, config: StoreConfig) -> None:
        self.storage = storage
        self.config = config
        self.keyring: Keyring | None = None
        self.on_close: Callable[[], None] | None = None
        self.on_new_domain: Callable[[], None] | None = None
        self.known_keys: Mapping[str, str] = {}
        self.learnt_keys: dict[str, str | None] = {}
        self._domains: dict[str, SealedDomain | KeyUnavailableError] = {}
        self._key_ids: dict[str, str | None] = {}
        self._index: Index | None = None
        self._interiors: OrderedDict[Name, Interior] = OrderedDict()
        self._lock = threading.Lock()
        self._domain_lock = threading.Lock()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, InterruptedBySignalError):
            self.on_close = None  # it may wait for replies, and nobody wants to
        self.close()

    def close(self) -> None:
        """Close open files. The store cannot be used afterwards."""
        try:
            if self.on_close is not None:
                self.on_close()
        finally:
            self.storage.close()

    @property
    def index(self) -> Index:
        """The index, loaded when first asked for."""
        if self._index is None:
            self.reload_index()
        assert self._index is not None
        return self._index

    def reload_index(self, *, for_writing: bool = False) -> Index:
        """Read CURRENT again: somebody else may have replaced it."""
        self._index = Index.load(
            self.storage, self.damage(), before=self._index, for_writing=for_writing
        )
        return self._index

    def damage(self) -> Damage:
        """Places that checks found to be damaged."""
        try:
            data = self.storage.read(layout.DAMAGE)
        except ObjectMissingError:
            return frozenset()
        try:
            found = record_format.decode(data, DamageList, layout.DAMAGE)
        except CorruptStoreError as error:
            error.hint = (
                f"remove {self.storage.where(layout.DAMAGE)!r}, then run: amictl check-store "
                "--read-data, which finds again what it said"
            )
            raise
        return frozenset((frame.pack, frame.offset) for frame in found.frames)

    def require_features(self, kind: str) -> None:
        """Raises UnsupportedError if the store has a feature that stops this kind of thing.

        `kind` is read, write, delete or check. Raises StorageError if it is to be written to and
        cannot be, so that a dry run finds that out too.
        """
        unknown = set(getattr(self.config.features, kind)) - set(getattr(KNOWN_FEATURES, kind))
        if unknown:
            raise UnsupportedError(
                f"to {kind}, the store needs {', '.join(sorted(unknown))}, unknown to this amictl",
                hint="use a newer amictl",
            )
        if kind == "write":
            self.storage.require_writable()

    def domain(self, domain_id: str) -> Domain:
        """A domain, opened with its key when first asked for.

        Raises KeyUnavailableError, CorruptStoreError for a header that is damaged.
        """
        return PLAIN if domain_id == _PLAIN else self.sealed_domain(domain_id)

    def sealed_domain(self, domain_id: str) -> SealedDomain:
        """The same, of an encrypted domain. A key that is not there is asked for once."""
        with self._domain_lock:
            known = self._domains.get(domain_id)
            if known is None:
                try:
                    known = domains.open_domain(self, domain_id)
                except KeyUnavailableError as error:
                    known = error
                self._domains[domain_id] = known
        if isinstance(known, KeyUnavailableError):
            raise known
        return known

    def key_id(self, domain_id: str) -> str | None:
        """The key of a domain, which is not needed for that.

        None for the plain domain, and where the header cannot be read.
        """
        if domain_id not in self._key_ids:
            self._key_ids[domain_id] = domains.key_id(self, domain_id)
        return self._key_ids[domain_id]

    def can_open(self, domain_id: str) -> bool:
        """Whether the key of a domain is at hand; of a damaged header it is not."""
        try:
            self.domain(domain_id)
        except (KeyUnavailableError, CorruptStoreError):
            return False
        return True

    def read_leaf(self, name: Name) -> Leaf:
        """Raises CorruptStoreError if it is missing, damaged or not a leaf."""
        node = self.read_node(name)
        if not isinstance(node, Leaf):
            raise CorruptStoreError(f"node {name.hex()} is not a leaf")
        return node

    def read_interior(self, name: Name, level: int) -> Interior:
        """Raises CorruptStoreError if it is missing, damaged or of another level.

        Kept for a while.
        """
        with self._lock:
            kept = self._interiors.get(name)
            if kept is not None:
                self._interiors.move_to_end(name)
                return kept
        node = self.read_node(name)
        if not isinstance(node, Interior) or node.level != level:
            raise CorruptStoreError(f"node {name.hex()} is not of level {level}")
        with self._lock:
            self._interiors[name] = node
            if len(self._interiors) > _INTERIORS_KEPT:
                self._interiors.popitem(last=False)
        return node

    def read_node(self, name: Name) -> Node:
        """One node, checked against its name; a copy elsewhere is used where one is damaged.

        A miss loads CURRENT again before it is damage. Raises KeyUnavailableError.
        """
        return self._read_node(name, self._opened)

    def read_clear_node(self, name: Name) -> ClearNode:
        """The same, as far as it needs no key."""
        return self._read_node(name, lambda clear: clear)

    def read_both(self, name: Name) -> tuple[ClearNode, Node]:
        """A node, and how it is stored."""
        return self._read_node(name, lambda clear: (clear, self._opened(clear)))

    def _read_node(self, name: Name, use: Callable[[ClearNode], Found]) -> Found:
        try:
            return self._read_node_anywhere(name, use)
        except CorruptStoreError:
            self.reload_index()
            return self._read_node_anywhere(name, use)

    def _read_node_anywhere(self, name: Name, use: Callable[[ClearNode], Found]) -> Found:
        failure = CorruptStoreError(f"node {name.hex()} is not in the index")
        for location in self.index.places(name):
            try:
                return self._read_node_at(name, location, use)
            except CorruptStoreError as error:
                self.distrust(location)
                failure = error
        raise failure

    def _opened(self, clear: ClearNode) -> Node:
        return self.domain(clear.domain.hex()).decode_node(clear)

    def distrust(self, location: Location) -> None:
        """What was read there was wrong: the next read must be of what is stored."""
        row = self.index.packs.get(location.pack)
        if row is not None:
            self.storage.distrust(layout.pack(row.pack_id))

    def read_bytes(self, location: Location) -> bytearray:
        """The stored bytes of a frame or node, unchecked.

        Raises CorruptStoreError, ObjectMissingError.
        """
        data = bytearray(location.length)
        self.read_into(location, memoryview(data))
        return data

    def read_into(self, location: Location, target: memoryview) -> None:
        """The same, into a buffer of that length."""
        row = self.index.packs.get(location.pack)
        if row is None:
            raise ObjectMissingError(f"pack number {location.pack} is not in the index")
        self.storage.read_into(layout.pack(row.pack_id), location.offset, target)

    def _read_node_at(
        self, name: Name, location: Location, use: Callable[[ClearNode], Found]
    ) -> Found:
        if location.length > node_format.SIZE_MAX:
            raise CorruptStoreError("the index gives a node an impossible length")
        data = self.read_bytes(location)
        try:
            clear = node_format.clear_part(data)
            if clear.name != name:
                raise CorruptStoreError("a node is not the one that was asked for")
            return use(clear)
        except CorruptStoreError as error:
            raise CorruptStoreError(f"{error.message} ({self.describe(location)})") from error

    def volume_id(self, path: str) -> str:
        """The id that the volume at a path has in this store, always the same."""
        digest = blake3(f"{self.config.store_id}\n{path}".encode()).hexdigest()
        return f"vol-{digest[:17]}"

    @property
    def marks(self) -> Path:
        """Where incomplete restores to devices are marked."""
        return self.storage.marks

    def describe(self, location: Location) -> str:
        """A place in words, for messages."""
        row = self.index.packs.get(location.pack)
        pack = layout.pack(row.pack_id) if row else f"pack number {location.pack}"
        return f"{pack}, bytes {location.offset} to {location.offset + location.length}"
