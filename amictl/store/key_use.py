"""What a region holds that a key opens: domains, and the snapshots in them."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace

from amictl.errors import CorruptStoreError, ObjectMissingError
from amictl.formats import records as record_format
from amictl.model.records import DomainHeader, SnapshotCore
from amictl.store import catalog, layout
from amictl.store.domains import Keyring
from amictl.store.store import Store

_FOLDER = "domains"


def domains_of_key(store: Store, key_id: str) -> list[DomainHeader]:
    """The headers of all domains of a key, in order. Raises CorruptStoreError."""
    names: list[str] = []
    with suppress(ObjectMissingError):
        names = sorted(name for name, _ in store.storage.names(_FOLDER))
    headers = [_read(store, name)[0] for name in names if name.endswith(".json")]
    return [header for header in headers if header.key_id == key_id]


def snapshots_in(store: Store, domains: Collection[str]) -> list[SnapshotCore]:
    """All completed snapshots in domains, those in the recycle bin too, by id.

    Raises CorruptStoreError.
    """
    cores = (catalog.read_snapshot_core(store, name) for name in catalog.snapshot_ids(store))
    return [core for core in cores if core.domain in domains]


def rewrap(store: Store, keyring: Keyring, domain_id: str) -> None:
    """Wrap the secret of a domain anew, to the recipients that its key has now.

    Durable when it returns. Raises KeyUnavailableError, CorruptStoreError.
    """
    name = layout.domain(domain_id)
    while True:
        header, data = _read(store, name)
        secret = keyring.unwrap(header)
        changed = replace(
            header,
            wrapped=keyring.wrap(header.key_id, secret),
            generation=header.generation + 1,
        )
        encoded = record_format.encode(changed)
        if store.storage.replace_if_unchanged(name, encoded, data):
            return


def _read(store: Store, name: str) -> tuple[DomainHeader, bytes]:
    data = store.storage.read(name)
    header = record_format.decode(data, DomainHeader, name)
    if layout.domain(header.domain_id) != name:
        raise CorruptStoreError(f"{name} is about {header.domain_id}")
    return header, data
