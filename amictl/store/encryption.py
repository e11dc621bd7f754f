"""With which key something new in a region is encrypted."""

from collections.abc import Sequence
from typing import Any

from amictl.errors import KeyNotFoundError, KeyUnavailableError
from amictl.model.encryption import EncryptionRequest, chosen_key
from amictl.model.images import require_same_encryption
from amictl.model.keys import DEFAULT_ALIAS
from amictl.model.records import ImageCore, SnapshotCore
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, domains, settings
from amictl.store.lineages import is_encrypted
from amictl.store.store import Store


def key_for_new(store: Store, request: EncryptionRequest, source_key: str | None) -> str | None:
    """The id of the key that something new in `store` is encrypted with; None: it stays plain.

    `source_key` is the key of what it is made of, None if that is plain or nothing. Every key but
    the source's is known here and can be used. Raises UsageError, KeyNotFoundError,
    KeyUnavailableError.
    """
    name = chosen_key(request, settings.read(store), source_key)
    if name is None or name == source_key:
        return name
    if store.keyring is None:
        raise KeyUnavailableError(f"the key {name} is needed, and no keys are at hand")
    try:
        return store.keyring.resolve(name)
    except KeyNotFoundError as error:
        if name == request.kms_key_id:
            raise
        raise _no_default_key(store, name) from error


def key_of(store: Store, core: SnapshotCore) -> str | None:
    """The key of a snapshot, None of a plain one. Raises CorruptStoreError if nobody can tell."""
    return domains.read_header(store, core.domain).key_id if is_encrypted(core) else None


def require_encryption_kept(
    store: Store,
    image: ImageCore,
    mappings: Sequence[dict[str, Any]],
    known: dict[str, str | None],
) -> None:
    """Raises BlockDeviceMappingError if mappings, in EC2's shape, say that what an image maps is
    encrypted otherwise than it is.

    `known` has the keys of devices whose snapshots are not yet there. Raises
    SnapshotNotFoundError, CorruptStoreError too.
    """
    keys = {
        one.device_name: key_of(store, catalog.read_snapshot(store, one.snapshot_id))
        for one in image.mappings
        if one.snapshot_id is not None and one.device_name not in known
    }
    require_same_encryption(mappings, keys | known)


def key_for_volume(
    store: Store,
    core: SnapshotCore | None,
    request: EncryptionRequest,
    surroundings: Surroundings,
) -> str | None:
    """The key of a new volume that is made of a snapshot, or is empty; None if it is plain.

    What is taken from it later can be encrypted with the key: nothing is written here. Raises as
    `key_for_new`, and CorruptStoreError.
    """
    source_key = None if core is None else key_of(store, core)
    key_id = key_for_new(store, request, source_key)
    if key_id is not None and key_id != source_key:
        domains.require_key(store, key_id, surroundings)
    return key_id


def _no_default_key(store: Store, name: str) -> KeyUnavailableError:
    if name == DEFAULT_ALIAS:
        used = {store.key_id(domain_id) for domain_id in domains.ids(store)} - {None}
        if used:
            return KeyUnavailableError(
                f"there is no default key: no key is called {DEFAULT_ALIAS}",
                hint=f"first import what the region was encrypted with, the key"
                f" {' or '.join(sorted(map(str, used)))}: amictl import-key FILE --alias aws/ebs;"
                " or, if a new one is meant, make it: amictl create-key",
            )
        return KeyUnavailableError(
            f"there is no default key: no key is called {DEFAULT_ALIAS}",
            hint="make one: amictl create-key; or bring yours: amictl import-key FILE",
        )
    return KeyUnavailableError(
        f"the default key of the region, {name}, is not here",
        hint="bring it with amictl import-key, or choose another with"
        " amictl modify-ebs-default-kms-key-id",
    )
