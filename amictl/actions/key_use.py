"""What a key opens in all regions: wrapping anew, deletion with its warning, and checks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from amictl.errors import (
    UNREADABLE,
    ConflictError,
    KeyUnavailableError,
    NotFoundError,
    UsageError,
)
from amictl.keys import identities
from amictl.keys.folder import KeyFolder
from amictl.model.keys import ENABLED, PENDING_DELETION, KeyRecord
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import key_use
from amictl.store.domains import Keyring
from amictl.store.store import Store

Regions = Mapping[str, Callable[[], Store]]
"""How the store of each region is opened, by the name of the region."""

WINDOW_DAYS = range(7, 31)
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


def check_key(store: Store, keyring: Keyring, name: str) -> dict[str, Any]:
    """Whether a key opens the domains of a region that are its own, and what is in them.

    `Faults` are the domains that it does not open. Raises KeyNotFoundError, KeyUnavailableError.
    """
    key_id = keyring.resolve(name)
    headers = key_use.domains_of_key(store, key_id)
    domains = [header.domain_id for header in headers]
    faults = []
    for header in headers:
        try:
            keyring.unwrap(header)
        except KeyUnavailableError as error:
            faults.append({"DomainId": header.domain_id, "Problem": error.message})
    snapshots = key_use.snapshots_in(store, domains)
    return {
        "KeyId": key_id,
        "Domains": domains,
        "Snapshots": [
            {"SnapshotId": core.snapshot_id, "DomainId": core.domain} for core in snapshots
        ],
        "Faults": faults,
    }


def _in_all(regions: Regions, what: Callable[[Store], list[dict[str, Any]]]) -> _Found:
    """What is found in each region, one after the other; where that fails is a problem."""
    items: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    for region, opened in regions.items():
        try:
            with opened() as store:
                items += [{"RegionName": region} | item for item in what(store)]
        except _PROBLEMS as error:
            problems.append({"RegionName": region, "Problem": error.message})
    return _Found(items, problems)


def _rewrapped(store: Store, keyring: Keyring, key_id: str) -> list[dict[str, Any]]:
    domains = [header.domain_id for header in key_use.domains_of_key(store, key_id)]
    for domain in domains:
        key_use.rewrap(store, keyring, domain)
    return [{"DomainId": domain} for domain in domains]


def _snapshots(store: Store, key_id: str) -> list[dict[str, Any]]:
    domains = [header.domain_id for header in key_use.domains_of_key(store, key_id)]
    cores = key_use.snapshots_in(store, domains) if domains else []
    return [{"SnapshotId": core.snapshot_id} for core in cores]


def _require_state(record: KeyRecord, state: str) -> None:
    if record.state != state:
        raise ConflictError(
            f"the key {record.key_id} is {record.state}"
            + (f" until {record.deletion_date}" if record.deletion_date else ""),
            code="KMSInvalidStateException",
        )


def _without_empty(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if value or name != "Faults"}
