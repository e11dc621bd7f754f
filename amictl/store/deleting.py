"""Deleting a snapshot: what keeps it from being deleted, and the deletion."""

from collections.abc import Callable, Iterable

from amictl.errors import UNREADABLE, AmictlError, ConflictError, DryRunError, NotFoundError
from amictl.model.locks import require_unlocked
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, events, pending, recycling, remains
from amictl.store.snapshot_states import not_completed
from amictl.store.store import Store

IN_USE = "InvalidSnapshot.InUse"


def delete_snapshot(
    store: Store, snapshot_id: str, surroundings: Surroundings, *, dry_run: bool
) -> None:
    """Delete a snapshot, or move it to the recycle bin; other snapshots stay whole.

    One that failed, or was deleted by half, may be deleted too. Durable when it returns, and
    leaves an event. Raises SnapshotNotFoundError; ConflictError while an image maps it
    (InvalidSnapshot.InUse), while it is locked, or while it is being made; DryRunError instead of
    deleting.
    """
    with catalog.exclusively(store):
        outcome = _delete(
            store,
            snapshot_id,
            surroundings,
            users=lambda: catalog.users_of(store, snapshot_id),
            dry_run=dry_run,
        )
    events.record(store, surroundings, "DeleteSnapshot", (snapshot_id,), outcome)


def delete_unused(
    store: Store, snapshot_ids: Iterable[str], surroundings: Surroundings
) -> dict[str, AmictlError | None]:
    """Delete those of many snapshots that can be deleted: why each stays, or None if it does not.

    All images are read once, and nobody begins to map a snapshot before the last one is done.
    """
    with catalog.exclusively(store):
        try:
            mapped = catalog.mapped_snapshots(store)
        except UNREADABLE as error:
            return dict.fromkeys(snapshot_ids, error)
        return {one: _delete_if_unused(store, one, mapped, surroundings) for one in snapshot_ids}


def _delete_if_unused(
    store: Store, snapshot_id: str, mapped: set[str], surroundings: Surroundings
) -> AmictlError | None:
    users = ["another image"] if snapshot_id in mapped else []
    try:
        outcome = _delete(store, snapshot_id, surroundings, users=lambda: users, dry_run=False)
    except (ConflictError, NotFoundError, *UNREADABLE) as error:
        return error
    events.record(store, surroundings, "DeleteSnapshot", (snapshot_id,), outcome)
    return None


def _delete(
    store: Store,
    snapshot_id: str,
    surroundings: Surroundings,
    *,
    users: Callable[[], list[str]],
    dry_run: bool,
) -> str:
    """What became of it: deleted, or in the recycle bin. `users` gives the images that map it."""
    completed = _is_completed(store, snapshot_id)
    if completed:
        _require_unused(snapshot_id, users())
        require_unlocked(catalog.read_attributes(store, snapshot_id), surroundings.now())
    if dry_run:
        raise DryRunError
    if not completed:
        remains.remove(store, snapshot_id)
        return "deleted"
    due = recycling.discard(store, snapshot_id, surroundings.now())
    return "deleted" if due is None else catalog.IN_BIN


def _is_completed(store: Store, snapshot_id: str) -> bool:
    """Whether a snapshot is completed; one that is not has failed, or was deleted by half.

    Raises SnapshotNotFoundError; ConflictError while it is being made.
    """
    alive = pending.is_alive(store, snapshot_id)  # first: it may be finished meanwhile
    if catalog.exists(store, snapshot_id):
        return True
    if alive:
        raise not_completed(snapshot_id, alive=True)
    if not remains.are_there(store, snapshot_id):
        raise catalog.not_found(snapshot_id)
    return False


def _require_unused(snapshot_id: str, users: list[str]) -> None:
    if users:
        raise ConflictError(
            f"The snapshot {snapshot_id} is currently in use by {users[0]}",
            hint=f"amictl deregister-image --image-id {users[0]} first",
            code=IN_USE,
        )
