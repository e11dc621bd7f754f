"""LockSnapshot, UnlockSnapshot and DescribeLockedSnapshots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from amictl.errors import ConflictError, DryRunError, UnsupportedError, UsageError
from amictl.formats import shapes
from amictl.model.filters import Texts, matching, text_of
from amictl.model.ids import require_id
from amictl.model.locks import COMPLIANCE, EXPIRED, GOVERNANCE, Lock, lock_of, with_lock
from amictl.model.records import Attributes
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, events
from amictl.store.snapshot_states import completed_snapshot
from amictl.store.store import Store

MAX_DAYS = 36_500

_DAY = timedelta(days=1)
_FILTERS: dict[str, Texts] = {"lock-state": lambda item: text_of(item.get("LockState"))}


@dataclass(frozen=True, slots=True)
class LockRequest:
    """A lock for `duration_days` from now on, or until `expires`; one of both."""

    snapshot_id: str
    mode: str
    duration_days: int | None = None
    expires: datetime | None = None
    dry_run: bool = False


def lock_snapshot(store: Store, request: LockRequest, surroundings: Surroundings) -> dict[str, Any]:
    """The lock in EC2's shape, once it is durable.

    A lock that is there is replaced: it may become longer or shorter, and counts from now on.
    Raises UsageError, UnsupportedError for compliance mode, SnapshotNotFoundError, and
    ConflictError for a snapshot that is not completed.
    """
    store.require_features("write")
    now = surroundings.now()
    wanted = _wanted(request, now)

    def change(attributes: Attributes) -> Attributes:
        before = lock_of(attributes)
        if before is None or before.state(now) == EXPIRED:
            return with_lock(attributes, wanted)
        kept = Lock(
            wanted.mode, wanted.duration_days, before.created, wanted.starts, wanted.expires
        )
        return with_lock(attributes, kept)

    # Held, so that nobody who has found the snapshot unlocked is about to delete it.
    with catalog.exclusively(store):
        completed_snapshot(store, request.snapshot_id)
        if request.dry_run:
            raise DryRunError
        attributes = catalog.change_attributes(store, request.snapshot_id, change)
    events.record(store, surroundings, "LockSnapshot", (request.snapshot_id,), "locked")
    lock = lock_of(attributes)
    assert lock is not None
    return {"SnapshotId": request.snapshot_id, **shapes.lock_shape(lock, now)}


def unlock_snapshot(
    store: Store, snapshot_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"SnapshotId": …}` once the lock is gone, durably; an expired one may go too.

    Raises SnapshotNotFoundError, and ConflictError if the snapshot is not locked or not completed.
    """
    store.require_features("write")

    def change(attributes: Attributes) -> Attributes:
        if lock_of(attributes) is None:
            raise ConflictError(
                f"The snapshot {snapshot_id} is not locked",
                hint="amictl describe-locked-snapshots lists those that are",
            )
        return with_lock(attributes, None)

    with catalog.exclusively(store):
        completed_snapshot(store, snapshot_id)
        change(catalog.read_attributes(store, snapshot_id))
        if dry_run:
            raise DryRunError
        catalog.change_attributes(store, snapshot_id, change)
    events.record(store, surroundings, "UnlockSnapshot", (snapshot_id,), "unlocked")
    return {"SnapshotId": snapshot_id}


def describe_locked_snapshots(
    store: Store,
    now: datetime,
    snapshot_ids: Sequence[str] = (),
    filters: Sequence[Mapping[str, Any]] = (),
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """`{"Snapshots": […]}`: the locks of all snapshots, or of these, expired ones included.

    Of the snapshots that are named, those without a lock are left out. Raises
    SnapshotNotFoundError if one is unknown; UsageError for a wrong filter.
    """
    if snapshot_ids:
        for snapshot_id in snapshot_ids:
            catalog.read_snapshot(store, require_id("snap", snapshot_id))
        found = [catalog.read_attributes(store, one) for one in dict.fromkeys(snapshot_ids)]
    else:
        found = list(catalog.live_attributes(store, catalog.snapshot_ids(store)))
    items = [
        {
            "OwnerId": store.config.owner_id,
            "SnapshotId": attributes.id,
            **shapes.lock_shape(lock, now),
        }
        for attributes in found
        if (lock := lock_of(attributes)) is not None
    ]
    items = matching(items, filters, _FILTERS)
    if dry_run:
        raise DryRunError
    return {"Snapshots": items}


def _wanted(request: LockRequest, now: datetime) -> Lock:
    """The lock that is asked for. Raises UsageError, UnsupportedError."""
    require_id("snap", request.snapshot_id)
    _require_mode(request)
    expires = _expiry(request, now)
    days = -(-(expires - now) // _DAY)
    if days > MAX_DAYS:
        raise UsageError(f"a snapshot can be locked for {MAX_DAYS} days at most")
    return Lock(request.mode, days, created=now, starts=now, expires=expires)


def _require_mode(request: LockRequest) -> None:
    if request.mode not in (GOVERNANCE, COMPLIANCE):
        raise UsageError(
            f"Invalid lock mode {request.mode!r}", hint=f"use {GOVERNANCE} or {COMPLIANCE}"
        )
    if request.mode == COMPLIANCE:
        raise UnsupportedError(
            "compliance mode cannot be kept here: whoever may write to the directory of the store"
            " can remove a snapshot whatever its lock says",
            hint="use --lock-mode governance, against mistakes",
        )


def _expiry(request: LockRequest, now: datetime) -> datetime:
    if request.duration_days is not None and request.expires is not None:
        raise UsageError(
            "LockDuration and ExpirationDate cannot be specified together",
            hint="leave out --lock-duration or --expiration-date",
            code="InvalidParameterCombination",
        )
    if request.duration_days is not None:
        if not 1 <= request.duration_days <= MAX_DAYS:
            raise UsageError(f"a lock lasts 1 to {MAX_DAYS} days, not {request.duration_days}")
        return now + request.duration_days * _DAY
    if request.expires is None:
        raise UsageError(
            "Either LockDuration or ExpirationDate must be specified",
            hint="give --lock-duration DAYS or --expiration-date DATE",
            code="MissingParameter",
        )
    if request.expires <= now:
        raise UsageError(
            f"the expiration date {request.expires.isoformat()} is past", hint="give a later one"
        )
    return request.expires
