"""DeleteSnapshot, and the attributes of snapshots."""

from typing import Any, NoReturn

from amictl.errors import (
    DryRunError,
    SnapshotNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.model.ids import require_id
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, deleting, pending
from amictl.store.store import Store

PERMISSION = "createVolumePermission"
_SHAPES = {PERMISSION: "CreateVolumePermissions", "productCodes": "ProductCodes"}


def delete_snapshot(
    store: Store, snapshot_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{}` once the snapshot is gone, or in the recycle bin, durably; other snapshots stay whole.

    One that failed may be deleted too. Raises SnapshotNotFoundError; ConflictError while an image
    maps it (InvalidSnapshot.InUse), while it is locked, or while it is being made.
    """
    require_id("snap", snapshot_id)
    store.require_features("write")
    deleting.delete_snapshot(store, snapshot_id, surroundings, dry_run=dry_run)
    return {}


def describe_snapshot_attribute(
    store: Store, snapshot_id: str, attribute: str, *, dry_run: bool = False
) -> dict[str, Any]:
    """The snapshot's id and one attribute of it, both of which are empty lists here.

    Raises SnapshotNotFoundError, UsageError.
    """
    _require_attribute(store, snapshot_id, attribute)
    if dry_run:
        raise DryRunError
    return {"SnapshotId": snapshot_id, _SHAPES[attribute]: []}


def change_snapshot_attribute(store: Store, snapshot_id: str, attribute: str) -> NoReturn:
    """Raises SnapshotNotFoundError, UsageError, and else UnsupportedError.

    For ModifySnapshotAttribute and ResetSnapshotAttribute.
    """
    _require_attribute(store, snapshot_id, attribute)
    if attribute != PERMISSION:
        raise UsageError(f"{attribute} cannot be changed, only {PERMISSION}")
    raise UnsupportedError(
        f"{PERMISSION} cannot be changed: there are no accounts to share a snapshot with",
        hint="who may read the directory of the store may make volumes of its snapshots",
    )


def _require_attribute(store: Store, snapshot_id: str, attribute: str) -> None:
    require_id("snap", snapshot_id)
    if attribute not in _SHAPES:
        raise UsageError(f"{attribute!r} is not one of {', '.join(_SHAPES)}")
    try:
        catalog.read_snapshot(store, snapshot_id)
    except SnapshotNotFoundError:
        if pending.seen(store, snapshot_id) is None:
            raise
