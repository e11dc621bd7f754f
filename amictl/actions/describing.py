"""DescribeSnapshots: what is completed, what is being made, what failed."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from amictl.errors import AmictlError, DryRunError, SnapshotNotFoundError
from amictl.formats import shapes
from amictl.model.accounts import includes_owner, require_executable_users
from amictl.model.ids import require_id
from amictl.model.records import Attributes, PendingSnapshot, SnapshotCore
from amictl.model.snapshot_filters import matching_snapshots
from amictl.store import at_once, catalog, parents, pending, showing
from amictl.store.pending import Seen
from amictl.store.showing import Kind
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
            found, key=lambda snapshot: (snapshot.get("StartTime", ""), snapshot["SnapshotId"])
        )
    }


def _selected(store: Store, selection: SnapshotSelection) -> list[_Shape]:
    owner, users = store.config.owner_id, selection.restorable_by
    require_executable_users(users)
    # All are of one owner, and nobody else was ever given the right to make volumes of them.
    ours = not selection.owner_ids or includes_owner(selection.owner_ids, owner)
    restorable = not users or "self" in users or owner in users
    if selection.snapshot_ids:
        given = list(dict.fromkeys(selection.snapshot_ids))
        found = list(at_once.each(store, partial(_snapshot, store), given))
    else:
        found = list(showing.every(store, _snapshots(store)))
    found = matching_snapshots(found, selection.filters)
    return found if ours and restorable else []


def _snapshot(store: Store, snapshot_id: str) -> _Shape:
    """Raises MalformedIdError, SnapshotNotFoundError, and what is UNREADABLE."""
    require_id("snap", snapshot_id)
    snapshot = showing.one(store, _snapshots(store), snapshot_id)
    if snapshot is not None:
        return snapshot
    raise SnapshotNotFoundError(
        f"The snapshot '{snapshot_id}' does not exist.",
        hint="amictl describe-snapshots lists all,"
        " list-snapshots-in-recycle-bin those in the recycle bin",
    )


def _pending(store: Store, seen: Seen) -> _Shape | None:
    work = seen.work
    if not isinstance(work, PendingSnapshot):
        return None
    key_id = parents.likely_key(store, parents.Disk(work.volume_id, work.path))
    return shapes.pending_snapshot_shape(work, alive=seen.alive, died=pending.DIED, key_id=key_id)


def _damaged(snapshot_id: str, error: AmictlError) -> _Shape:
    return {
        "SnapshotId": snapshot_id,
        "State": "error",
        "StateMessage": error.message,
    }


def _snapshots(store: Store) -> Kind[SnapshotCore]:
    def shape(core: SnapshotCore, attributes: Attributes) -> _Shape:
        return shapes.snapshot_shape(core, attributes, store.key_id(core.domain))

    return Kind(
        "snap-",
        catalog.snapshot_ids,
        catalog.read_snapshot_core,
        shape,
        partial(_pending, store),
        _damaged,
    )
