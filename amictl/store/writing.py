"""One writer of a store: its lock, what it claims, its packs, and their publication.

amictl-store(5), WRITE ORDER. Whatever happens to a writer, it leaves only garbage.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import TracebackType

from amictl.content.domains import Domain
from amictl.errors import CorruptStoreError
from amictl.formats import records as record_format
from amictl.formats.pack import PackKind
from amictl.model.blockmap import Leaf, Name, Node, NodeName
from amictl.model.records import Epoch
from amictl.storage.interface import Hold
from amictl.store import layout
from amictl.store.packing import NewFrame, NewPack, NewPart, PackWriter
from amictl.store.store import Store

CHECKPOINT_PACKS = 16
CHECKPOINT_NAMES = 250_000
"""What is claimed and waits for the index takes about 300 bytes of memory a name."""


class Writer:
    """Adds content to a store. Use as a context manager; `publish` makes what was added durable.

    Frames and nodes may be added from many threads. `publish` must be called while no other
    thread adds, so that whatever a published node leads to is published with it.
    Frames and nodes are sealed with nonces of `random_bytes`.
    """

    def __init__(self, store: Store, random_bytes: Callable[[int], bytes]) -> None:
        store.require_features("write")
        self.store = store
        self.new_bytes = 0
        self.random_bytes = random_bytes
        self._claims: set[Name] = set()
        self._trusts_nodes = True
        self._claim_lock = threading.Lock()
        self._full: list[NewPack] = []
        self._syncs: list[Future[None]] = []
        self._syncer: ThreadPoolExecutor | None = None
        self._hold = _hold_epoch(store)
        try:
            self.index = store.reload_index(for_writing=True)
            if self.index.current.generation == 0:
                # Whoever made the store may have been killed before store.json was durable.
                store.storage.settle("")
        except BaseException:
            self._hold.release()
            raise
        new_id = self._new_id
        self._frames = PackWriter(store.storage, PackKind.FRAMES, new_id, self._take)
        self._nodes = PackWriter(store.storage, PackKind.NODES, new_id, self._take)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._syncer is not None:
            self._syncer.shutdown(wait=True, cancel_futures=True)
        self._frames.discard()
        self._nodes.discard()
        for pack in self._full:
            pack.upload.discard()
        self._hold.release()

    @property
    def checkpoint_due(self) -> bool:
        """Whether so many packs are full, or names not yet known, that they should be published."""
        return len(self._full) >= CHECKPOINT_PACKS or len(self._claims) >= CHECKPOINT_NAMES

    def claim_new(self, names: Sequence[Name]) -> list[bool]:
        """For each chunk, whether it is new and the caller is to store it.

        A name that is new twice in `names`, or claimed by another thread, is to be stored once.
        """
        from amictl.store.index import ABSENT

        unknown = (
            (self.index.find_many(names).packs == ABSENT).tolist()
            if self.index.runs
            else [True] * len(names)
        )
        with self._claim_lock:
            for at, name in enumerate(names):
                if unknown[at]:
                    if name in self._claims:
                        unknown[at] = False
                    else:
                        self._claims.add(name)
        return unknown

    def has_all(self, names: Sequence[Name | None]) -> bool:
        """Whether a leaf that the store has may be used again: damage is the only thing
        against it."""
        if not self.index.knows_damage:
            return True
        return all(name is None or self.index.find(name) is not None for name in names)

    def has_leaf(self, name: Name, leaf: Leaf) -> bool:
        """Whether the store has a leaf of this name, with all that it leads to."""
        return self.index.find(name) is not None and self.has_all((name, *leaf.names))

    def add_frames(self, frames: Sequence[NewFrame]) -> None:
        """Store frames with the names of their chunks, which were claimed before, one after the
        other and at once."""
        joined = b"".join([data for data, _ in frames])
        self._frames.append(joined, [(len(data), names) for data, names in frames])

    def add_joined(self, data: memoryview, frames: Sequence[NewPart]) -> None:
        """The same, of frames whose bytes stand one behind the other already."""
        self._frames.append(data, frames)

    def add_node(self, node: Node, domain: Domain) -> NodeName:
        """Store a node unless the store has it.

        Its children must have been stored or claimed before.
        """
        names, data = domain.encode_node(node, self.random_bytes)
        self.add_stored_node(names.stored, data)
        return names

    def add_stored_node(self, name: Name, data: bytes) -> None:
        """The same, of the bytes that are stored under a name."""
        with self._claim_lock:
            if name in self._claims:
                return
            self._claims.add(name)
        if not self._has_node(name):
            self._nodes.append(data, [(len(data), (name,))])

    def distrust_nodes(self) -> None:
        """A node could not be read: from now on one counts as stored only if it can be."""
        self._trusts_nodes = False

    def _has_node(self, name: Name) -> bool:
        if self._trusts_nodes or self.index.find(name) is None:
            return self.index.find(name) is not None
        try:
            self.store.read_node(name)
        except CorruptStoreError:
            return False
        return True

    def finish_packs(self) -> None:
        """Close the packs in hand, so that `new_bytes` counts them and their sync begins."""
        self._frames.finish()
        self._nodes.finish()

    def publish(self) -> None:
        """Make everything added so far durable and known.

        Raises StorageError; the first error is final.
        """
        self.finish_packs()
        for sync in self._syncs:
            sync.result()
        self._syncs.clear()
        if not self._full:
            # What is used again may have been named by a writer that was killed before it synced.
            self.store.storage.settle("index")
            return
        from amictl.store.publishing import publish_packs

        self.store.storage.publish([pack.upload for pack in self._full])
        publish_packs(
            self.store.storage,
            self._full,
            lambda: self.store.reload_index(for_writing=True),
            self._new_id,
        )
        self._full.clear()
        self.index = self.store.reload_index(for_writing=True)
        self._claims.clear()

    def _take(self, pack: NewPack) -> None:
        """A pack is full: let another thread make it durable meanwhile."""
        self.new_bytes += pack.upload.size
        self._full.append(pack)
        if self._syncer is None:
            self._syncer = ThreadPoolExecutor(
                self.store.storage.sealing_threads, thread_name_prefix="sync"
            )
        self._syncs.append(self._syncer.submit(pack.upload.seal))

    def _new_id(self) -> bytes:
        return self.random_bytes(16)


def alone(store: Store) -> AbstractContextManager[None]:
    """Hold the store so that nobody else writes to it.

    Raises BusyError at once if somebody does.
    """
    return store.storage.alone(layout.EPOCH_LOCKS)


def _hold_epoch(store: Store) -> Hold:
    """A shared hold of the epoch that `gc-epoch` names."""
    while True:
        epoch = read_epoch(store)
        hold = store.storage.hold(layout.EPOCH_LOCKS[epoch])
        try:
            if read_epoch(store) == epoch:
                return hold
        except BaseException:
            hold.release()
            raise
        hold.release()


def read_epoch(store: Store) -> int:
    """Which of the two epoch locks writers take. Raises CorruptStoreError."""
    epoch = record_format.decode(store.storage.read(layout.EPOCH), Epoch, layout.EPOCH).epoch
    if epoch not in (0, 1):
        raise CorruptStoreError(f"{layout.EPOCH} names epoch {epoch}")
    return epoch
