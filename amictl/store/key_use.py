"""What a region holds that a key opens: domains, and the snapshots and images in them."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace

from amictl.errors import (
    UNREADABLE,
    AmictlError,
    CorruptStoreError,
    KeyUnavailableError,
    NotFoundError,
)
from amictl.formats import records as record_format
from amictl.model.records import Attributes, DomainHeader, ImageCore, SnapshotCore
from amictl.store import authenticity, catalog, domains, layout
from amictl.store.domains import Keyring
from amictl.store.reading import SegmentReader
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of, read_leaf_at

OfDomain = Callable[[str], bool]
"""Which domains are meant, by their ids."""

Unread = dict[str, AmictlError]
"""Why a record cannot be read, by its id."""


def domains_of_key(store: Store, key_id: str) -> list[DomainHeader]:
    """The headers of all domains of a key, in order. Raises CorruptStoreError."""
    return [header for header in domains.headers(store) if header.key_id == key_id]


def opened_besides(store: Store, key_id: str) -> list[DomainHeader]:
    """The headers of domains of other keys that a key opens as a further recipient, in order.

    What is damaged or asks for too much is none. Raises CorruptStoreError.
    """
    found = []
    for header in domains.headers(store):
        if store.keyring is not None and header.key_id != key_id:
            with suppress(KeyUnavailableError):
                found += [header] if store.keyring.is_recipient(key_id, header) else []
    return found


def snapshots_in(store: Store, is_meant: OfDomain) -> tuple[list[SnapshotCore], Unread]:
    """All completed snapshots in these domains, those in the recycle bin too, by id; and all that
    may be, but cannot be read.
    """
    found: list[SnapshotCore] = []
    unread: Unread = {}
    for snapshot_id in catalog.snapshot_ids(store):
        try:
            core = catalog.read_snapshot_core(store, snapshot_id)
        except NotFoundError:
            continue  # removed meanwhile
        except UNREADABLE as error:
            unread[snapshot_id] = error
        else:
            found += [core] if is_meant(core.domain) else []
    return found, unread


def images_in(
    store: Store, is_meant: OfDomain, snapshots: Collection[str]
) -> tuple[list[ImageCore], Unread]:
    """All registered images whose MAC is of these domains, or that map one of these snapshots,
    likewise. One that maps something else than was recorded is among them.
    """
    found: list[ImageCore] = []
    unread: Unread = {}
    for image_id in catalog.image_ids(store):
        try:
            core = catalog.read_image_core(store, image_id)
        except NotFoundError:
            continue
        except UNREADABLE as error:
            unread[image_id] = error
        else:
            mapped = {mapping.snapshot_id for mapping in core.mappings}
            domain = authenticity.mac_domain(core)
            is_own = (domain is not None and is_meant(domain)) or not mapped.isdisjoint(snapshots)
            found += [core] if is_own else []
    return found, unread


def authenticity_of(store: Store, core: SnapshotCore | ImageCore) -> str:
    """Whether a core was recorded with the key of its domain, as `authenticity.state_of`.

    An image that maps encrypted snapshots and carries no MAC is forged, as is one that maps other
    content than was recorded. Raises KeyUnavailableError, CorruptStoreError,
    SnapshotNotFoundError.
    """
    if isinstance(core, ImageCore) and not authenticity.maps_what_was_recorded(store, core):
        return authenticity.FORGED
    return authenticity.state_of(store, core, _attributes(store, core))


def require_content(store: Store, core: SnapshotCore) -> None:
    """Open the first frames of a snapshot. Raises CorruptStoreError, KeyUnavailableError."""
    block_map = map_of(core)
    for index, name in leaves(store, block_map):
        leaf = read_leaf_at(store, block_map, index, name)
        if any(leaf.names):
            faults = SegmentReader(store).read(leaf)
            if faults:
                raise CorruptStoreError(f"segment {index} of it: {faults[0].reason}")
            return


def rewrap(store: Store, keyring: Keyring, domain_id: str) -> None:
    """Wrap the secret of a domain anew, to the recipients that its key has now.

    Durable when it returns. Raises KeyUnavailableError, CorruptStoreError.
    """
    while True:
        header = domains.read_header(store, domain_id)
        keyring.mac(header.key_id, b"")  # no further recipient: who cannot tell who made it
        secret = domains.secret_of(header, keyring)
        changed = replace(
            header,
            wrapped=keyring.wrap(header.key_id, secret),
            generation=header.generation + 1,
        )
        encoded, before = record_format.encode(changed), record_format.encode(header)
        if store.storage.replace_if_unchanged(layout.domain(domain_id), encoded, before):
            return


def _attributes(store: Store, core: SnapshotCore | ImageCore) -> Attributes | None:
    record_id = core.snapshot_id if isinstance(core, SnapshotCore) else core.image_id
    with suppress(CorruptStoreError):
        return catalog.read_attributes(store, record_id)
    return None
