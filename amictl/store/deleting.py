"""Deleting a snapshot: what keeps it from being deleted, and the deletion."""

from amictl.errors import ConflictError, DryRunError
from amictl.model.locks import require_unlocked
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, events, pending, recycling
from amictl.store.store import Store

IN_USE = "InvalidSnapshot.InUse"


def delete_snapshot(
    store: Store, snapshot_id: str, surroundings: Surroundings, *, dry_run: bool
) -> None:
    """Delete a snapshot, or move it to the recycle bin; other snapshots stay whole.

    One that failed may be deleted too. Durable when it returns, and leaves an event. Raises
    SnapshotNotFoundError; ConflictError while an image maps it (InvalidSnapshot.InUse), while it
    is locked, or while it is being made; DryRunError instead of deleting.
    """
    with catalog.exclusively(store):
        work = pending.seen(store, snapshot_id)  # first, since it may be finished meanwhile
        completed = catalog.exists(store, snapshot_id)
        if completed:
            _require_deletable(store, snapshot_id, surroundings)
        elif work is None:
            raise catalog.not_found(snapshot_id)
        elif work.alive:
            raise ConflictError(
                f"The snapshot {snapshot_id} is in state pending",
                hint=f"amictl wait snapshot-completed --snapshot-ids {snapshot_id}",
            )
        if dry_run:
            raise DryRunError
        due = None
        if completed:
            due = recycling.discard(store, snapshot_id, surroundings.now())
        else:
            pending.remove_dead(store, snapshot_id)
    outcome = "deleted" if due is None else catalog.IN_BIN
    events.record(store, surroundings, "DeleteSnapshot", (snapshot_id,), outcome)


def _require_deletable(store: Store, snapshot_id: str, surroundings: Surroundings) -> None:
    """Raises ConflictError while an image maps a snapshot or it is locked."""
    users = catalog.users_of(store, snapshot_id)
    if users:
        raise ConflictError(
            f"The snapshot {snapshot_id} is currently in use by {users[0]}",
            hint=f"amictl deregister-image --image-id {users[0]} first",
            code=IN_USE,
        )
    require_unlocked(catalog.read_attributes(store, snapshot_id), surroundings.now())
