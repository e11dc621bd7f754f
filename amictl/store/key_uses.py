"""What a key is needed for in a region, and whether it still opens that."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from amictl.errors import UNREADABLE, CorruptStoreError, NotFoundError
from amictl.model.blockmap import Leaf
from amictl.model.records import ImageCore, SnapshotCore
from amictl.store import authenticity, catalog, domains
from amictl.store.reading import SegmentReader
from amictl.store.recording import map_of
from amictl.store.store import Store
from amictl.store.walking import leaves

DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A snapshot or an image that needs a key; those in the recycle bin are among them.

    `state` is DAMAGED, with a reason, or AUTHENTIC, UNCONFIRMED or FORGED of `authenticity`.
    """

    record_id: str
    state: str
    reason: str | None = None


def domains_of(store: Store, key_id: str) -> list[str]:
    """The domains of a key in a region; it is not needed for that. Raises CorruptStoreError."""
    return [header.domain_id for header in domains.headers(store) if header.key_id == key_id]


def needing(store: Store, key_id: str) -> list[str]:
    """Ids of the snapshots and images that would be lost with a key; it is not needed for that.

    Raises CorruptStoreError where a header cannot be read; a record that cannot is left out.
    """
    own = set(domains_of(store, key_id))
    return [_id(core) for core in _cores(store) if authenticity.mac_domain(core) in own]


def uses_of(store: Store, key_id: str) -> Iterator[KeyUse]:
    """Look at every snapshot and image that needs a key: its core, and one frame of it.

    Raises KeyUnavailableError, CorruptStoreError where a header cannot be read.
    """
    own = domains_of(store, key_id)
    for domain_id in own:
        store.domain(domain_id)
    reader = SegmentReader(store)
    for core in _cores(store):
        if authenticity.mac_domain(core) in own:
            yield _use(store, core, reader)


def _use(store: Store, core: SnapshotCore | ImageCore, reader: SegmentReader) -> KeyUse:
    try:
        attributes = catalog.read_attributes(store, _id(core))
        if isinstance(core, SnapshotCore):
            _open_one_frame(store, core, reader)
        return KeyUse(_id(core), authenticity.state_of(store, core, attributes))
    except UNREADABLE as error:
        return KeyUse(_id(core), DAMAGED, error.message)


def _open_one_frame(store: Store, core: SnapshotCore, reader: SegmentReader) -> None:
    """Raises CorruptStoreError. A snapshot of zeros alone has no frame."""
    for _, name in islice(leaves(store, map_of(core)), 1):
        leaf = store.read_leaf(name)
        for length, chunk in zip(leaf.lengths, leaf.names, strict=True):
            if chunk is not None:
                faults = reader.read(Leaf((length,), (chunk,), leaf.fingerprint))
                if faults:
                    raise CorruptStoreError(faults[0].reason)
                return


def _cores(store: Store) -> Iterator[SnapshotCore | ImageCore]:
    """All that can be read: what cannot be is for a check."""
    for snapshot_id in catalog.snapshot_ids(store):
        try:
            yield catalog.read_snapshot_core(store, snapshot_id)
        except (*UNREADABLE, NotFoundError):
            continue
    for image_id in catalog.image_ids(store):
        try:
            yield catalog.read_image_core(store, image_id)
        except (*UNREADABLE, NotFoundError):
            continue


def _id(core: SnapshotCore | ImageCore) -> str:
    return core.snapshot_id if isinstance(core, SnapshotCore) else core.image_id
