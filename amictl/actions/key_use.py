"""What a key opens in all regions: wrapping anew, deletion with its warning, and checks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from amictl.errors import (
    UNREADABLE,
    ConflictError,
    CorruptStoreError,
    KeyUnavailableError,
    NotFoundError,
    UsageError,
)
from amictl.formats.framing import PLAIN_DOMAIN
from amictl.keys import identities
from amictl.keys.folder import KeyFolder
from amictl.model.keys import ENABLED, PENDING_DELETION, KeyRecord
from amictl.model.records import ImageCore, SnapshotCore
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import domains, key_use
from amictl.store.authenticity import FORGED
from amictl.store.domains import Keyring
from amictl.store.store import Store

Regions = Mapping[str, Callable[[], Store]]
"""How the store of each region is opened, by the name of the region."""

WINDOW_DAYS = range(7, 31)
_NOT_OF_KEY = {
    SnapshotCore: "its record was not made with the key",
    ImageCore: "its record was not made with the key, or it maps other content than was recorded",
}
_PROBLEMS = (*UNREADABLE, NotFoundError, KeyUnavailableError)


class _Found(NamedTuple):
    """What was found or done in regions, and where it could not be."""

    items: list[dict[str, Any]]
    problems: list[dict[str, Any]]


def rewrap_key(
    folder: KeyFolder,
    keyring: Keyring,
    name: str,
    recipients: tuple[str, ...] | None,
    regions: Regions,
) -> dict[str, Any]:
    """Wrap the secrets of all domains of a key to its recipients, which `recipients` replaces.

    What becomes of the identity file is another matter. Durable when it returns; who was stopped
    runs it again. `Faults` says where it could not be done. Raises KeyNotFoundError,
    KeyUnavailableError, UsageError.
    """
    record = folder.find(keyring.resolve(name))
    if recipients is not None:
        wanted = dict.fromkeys(identities.require_recipient(text) for text in recipients)
        further = tuple(recipient for recipient in wanted if recipient != record.recipient)
        with folder.changing():
            record = replace(folder.find(record.key_id), further_recipients=further)
            folder.put(record)
    key_id = record.key_id
    found = _in_all(regions, lambda store: _rewrapped(store, keyring, key_id))
    return _without_empty(
        {
            "KeyId": key_id,
            "Recipients": list(record.recipients),
            "Domains": found.items,
            "Faults": found.problems,
        }
    )


def schedule_key_deletion(
    folder: KeyFolder, name: str, days: int, regions: Regions, surroundings: Surroundings
) -> dict[str, Any]:
    """Delete a key when `days` have passed; until then nothing can be opened with it.

    The member Amictl names every snapshot that would be lost, and the regions that could not be
    looked at. Raises KeyNotFoundError, UsageError, ConflictError if it is scheduled already.
    """
    if days not in WINDOW_DAYS:
        raise UsageError(
            f"{days} days is not between {WINDOW_DAYS[0]} and {WINDOW_DAYS[-1]}",
            code="ValidationException",
        )
    key_id = folder.find(name).key_id
    found = _in_all(regions, lambda store: _snapshots(store, key_id))
    with folder.changing():
        record = folder.find(key_id)
        _require_state(record, ENABLED)
        deletion = timestamp(surroundings.now() + timedelta(days=days))
        folder.put(replace(record, state=PENDING_DELETION, deletion_date=deletion))
    return {
        "KeyId": key_id,
        "DeletionDate": deletion,
        "KeyState": PENDING_DELETION,
        "PendingWindowInDays": days,
        "Amictl": {"Snapshots": found.items, "Problems": found.problems},
    }


def cancel_key_deletion(folder: KeyFolder, name: str, surroundings: Surroundings) -> dict[str, Any]:
    """Let a key be used again. Raises KeyNotFoundError, ConflictError if it is not scheduled."""
    with folder.changing():
        folder.remove_expired(surroundings.now())
        record = folder.find(name)
        _require_state(record, PENDING_DELETION)
        folder.put(replace(record, state=ENABLED, deletion_date=None))
    return {"KeyId": record.key_id}


def check_key(store: Store, name: str) -> dict[str, Any]:
    """Open with a key what it opens in a region: domains, and the first frames of snapshots.

    What is in a domain that has no header any more may be of any key: it is among them.

    `Authenticity` is authentic, unconfirmed (a copy that was made without the key) or forged.
    `Faults` are what is forged, damaged or not opened. Raises KeyNotFoundError,
    KeyUnavailableError.
    """
    if store.keyring is None:
        raise KeyUnavailableError(f"the key {name} is needed, and no keys are at hand")
    key_id = store.keyring.resolve(name)
    store.keyring.mac(key_id, b"")  # a key that does not open opens nothing
    opened, faults = _domains(store, key_id)
    others = {PLAIN_DOMAIN.hex(), *domains.ids(store)}.difference(opened)

    def is_meant(domain_id: str) -> bool:
        return domain_id not in others

    cores, unread = key_use.snapshots_in(store, is_meant)
    snapshots = [_checked(store, "SnapshotId", core.snapshot_id, core) for core in cores]
    own = {core.snapshot_id for core in cores}
    images, unread_images = key_use.images_in(store, is_meant, own)
    mapping = [_checked(store, "ImageId", core.image_id, core) for core in images]
    unread |= unread_images
    faults += [item for item in (*snapshots, *mapping) if "Problem" in item]
    faults += [{"Id": name, "Problem": error.message} for name, error in unread.items()]
    return {
        "KeyId": key_id,
        "Domains": opened,
        "Snapshots": snapshots,
        "Images": mapping,
        "Faults": faults,
    }


def _domains(store: Store, key_id: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Ids of the domains that a key opens, its own first, and why it does not open the others."""
    opened, faults = [], []
    own = key_use.domains_of_key(store, key_id)
    for header in (*own, *key_use.opened_besides(store, key_id)):
        try:
            store.sealed_domain(header.domain_id)
            opened.append(header.domain_id)
        except (KeyUnavailableError, CorruptStoreError) as error:
            faults.append({"DomainId": header.domain_id, "Problem": error.message})
    return opened, faults


def _checked(
    store: Store, member: str, record_id: str, core: SnapshotCore | ImageCore
) -> dict[str, Any]:
    """What is found about a snapshot or an image; `Problem` if something is wrong."""
    found = {member: record_id}
    try:
        found["Authenticity"] = key_use.authenticity_of(store, core)
        if found["Authenticity"] == FORGED:
            return found | {"Problem": _NOT_OF_KEY[type(core)]}
        if isinstance(core, SnapshotCore):
            key_use.require_content(store, core)
    except _PROBLEMS as error:
        return found | {"Problem": error.message}
    return found


def _in_all(regions: Regions, what: Callable[[Store], _Found]) -> _Found:
    """What is found in each region, one after the other; where that fails is a problem."""
    items: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    for region, opened in regions.items():
        place = {"RegionName": region}
        try:
            with opened() as store:
                found = what(store)
        except _PROBLEMS as error:
            problems.append(place | {"Problem": error.message})
        else:
            items += [place | item for item in found.items]
            problems += [place | problem for problem in found.problems]
    return _Found(items, problems)


def _rewrapped(store: Store, keyring: Keyring, key_id: str) -> _Found:
    own = [header.domain_id for header in key_use.domains_of_key(store, key_id)]
    for domain_id in own:
        key_use.rewrap(store, keyring, domain_id)
    return _Found([{"DomainId": domain_id} for domain_id in own], [])


def _snapshots(store: Store, key_id: str) -> _Found:
    own = [header.domain_id for header in key_use.domains_of_key(store, key_id)]
    if not own:
        return _Found([], [])
    cores, unread = key_use.snapshots_in(store, own.__contains__)
    return _Found(
        [{"SnapshotId": core.snapshot_id} for core in cores],
        [{"SnapshotId": name, "Problem": error.message} for name, error in unread.items()],
    )


def _require_state(record: KeyRecord, state: str) -> None:
    if record.state != state:
        raise ConflictError(
            f"the key {record.key_id} is {record.state}"
            + (f" until {record.deletion_date}" if record.deletion_date else ""),
            code="KMSInvalidStateException",
        )


def _without_empty(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if value or name != "Faults"}
