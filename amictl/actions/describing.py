"""DescribeSnapshots: what is completed, what is being made, what failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amictl.errors import (
    CorruptStoreError,
    DryRunError,
    ObjectMissingError,
    SnapshotNotFoundError,
)
from amictl.formats import shapes
from amictl.model.accounts import includes_owner, require_executable_users
from amictl.model.ids import require_id
from amictl.model.records import PendingSnapshot
from amictl.model.snapshot_filters import matching_snapshots
from amictl.store import catalog, pending
from amictl.store.store import Store

_Shape = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SnapshotSelection:
    """Which snapshots are asked for; `filters` have EC2's shape. Nothing given is no restriction.

    `restorable_by` are accounts that may make volumes of them.
    """

    snapshot_ids: tuple[str, ...] = ()
    owner_ids: tuple[str, ...] = ()
    restorable_by: tuple[str, ...] = ()
    filters: tuple[dict[str, Any], ...] = ()
    dry_run: bool = False


def describe_snapshots(
    store: Store, snapshot_ids: tuple[str, ...] = (), selection: SnapshotSelection | None = None
) -> dict[str, Any]:
    """`{"Snapshots": […]}`, oldest first.

    Raises SnapshotNotFoundError if one of the ids is unknown, UsageError for an unknown filter or
    account.
    """
    selection = selection or SnapshotSelection(snapshot_ids)
    found = _selected(store, selection)
    if selection.dry_run:
        raise DryRunError
    return {
        "Snapshots": sorted(
            found, key=lambda snapshot: (snapshot["StartTime"], snapshot["SnapshotId"])
        )
    }


def _selected(store: Store, selection: SnapshotSelection) -> list[_Shape]:
    owner, users = store.config.owner_id, selection.restorable_by
    require_executable_users(users)
    # All are of one owner, and nobody else was ever given the right to make volumes of them.
    ours = not selection.owner_ids or includes_owner(selection.owner_ids, owner)
    restorable = not users or "self" in users or owner in users
    if selection.snapshot_ids:
        found = [_snapshot(store, given) for given in dict.fromkeys(selection.snapshot_ids)]
    else:
        found = list(_all(store))
    found = matching_snapshots(found, selection.filters)
    return found if ours and restorable else []


def _all(store: Store) -> Iterator[_Shape]:
    """All snapshots but those in the recycle bin. A damaged record must not hide the others."""
    done = catalog.snapshot_ids(store)
    finished = set(done)
    open_work = [given for given, _ in pending.all_seen(store, "snap-") if given not in finished]
    for snapshot_id in (*done, *open_work):
        try:
            snapshot = _completed(store, snapshot_id) or _pending(store, snapshot_id)
        except CorruptStoreError as error:
            snapshot = _damaged(snapshot_id, error)
        if snapshot is not None:
            yield snapshot


def _snapshot(store: Store, snapshot_id: str) -> _Shape:
    """Raises SnapshotNotFoundError, CorruptStoreError."""
    require_id("snap", snapshot_id)
    # The record is asked for before and after the pending file: work may be finished in between.
    for find in (_completed, _pending, _completed):
        snapshot = find(store, snapshot_id)
        if snapshot is not None:
            return snapshot
    raise SnapshotNotFoundError(
        f"The snapshot '{snapshot_id}' does not exist.", hint="amictl describe-snapshots lists all"
    )


def _completed(store: Store, snapshot_id: str) -> _Shape | None:
    """A snapshot that has its records, each read once; None if it has none, or is in the bin."""
    try:
        core = catalog.read_snapshot_core(store, snapshot_id)
        attributes = catalog.read_attributes(store, snapshot_id)
    except SnapshotNotFoundError:
        return None
    except ObjectMissingError:
        if catalog.exists(store, snapshot_id):
            raise
        return None  # removed between the two
    return None if attributes.state == catalog.IN_BIN else shapes.snapshot_shape(core, attributes)


def _pending(store: Store, snapshot_id: str) -> _Shape | None:
    seen = pending.seen(store, snapshot_id)
    if seen is None or not isinstance(seen.work, PendingSnapshot):
        return None
    return shapes.pending_snapshot_shape(seen.work, alive=seen.alive, died=pending.DIED)


def _damaged(snapshot_id: str, error: CorruptStoreError) -> _Shape:
    return {
        "SnapshotId": snapshot_id,
        "StartTime": "",
        "State": "error",
        "StateMessage": error.message,
    }
