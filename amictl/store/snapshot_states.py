"""Whether a snapshot is completed, for those who are about to use it."""

from amictl.errors import ConflictError, SnapshotNotFoundError
from amictl.model.ids import require_id
from amictl.model.records import SnapshotCore
from amictl.store import catalog, pending
from amictl.store.authenticity import require_authentic
from amictl.store.store import Store


def completed_snapshot(store: Store, snapshot_id: str) -> SnapshotCore:
    """A snapshot that is completed and not in the recycle bin.

    Raises MalformedIdError, SnapshotNotFoundError; ConflictError (IncorrectState) while it is
    being made, or when that failed.
    """
    require_id("snap", snapshot_id)
    try:
        return catalog.read_snapshot(store, snapshot_id)
    except SnapshotNotFoundError:
        work = pending.seen(store, snapshot_id)
        if work is None:
            return catalog.read_snapshot(store, snapshot_id)  # it may have been finished just now
        raise not_completed(snapshot_id, alive=work.alive) from None


def not_completed(snapshot_id: str, *, alive: bool) -> ConflictError:
    """The error for a snapshot whose writer is at work (`alive`), or died."""
    if alive:
        return ConflictError(
            f"The snapshot {snapshot_id} is in state pending, not completed",
            hint=f"amictl wait snapshot-completed --snapshot-ids {snapshot_id}",
        )
    return ConflictError(
        f"The snapshot {snapshot_id} is in state error, not completed",
        hint="amictl describe-snapshots says why it failed; all that can be done is"
        f" amictl delete-snapshot --snapshot-id {snapshot_id}",
    )


def size_to_map(store: Store, snapshot_id: str) -> int:
    """Bytes of a snapshot that an image is to map, and that is what was recorded.

    Raises as `completed_snapshot`; KeyUnavailableError, CorruptStoreError.
    """
    core = completed_snapshot(store, snapshot_id)
    require_authentic(store, core)
    return core.size_bytes
