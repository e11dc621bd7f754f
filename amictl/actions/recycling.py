"""What is in the recycle bin, and how it comes back."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from amictl.errors import (
    UNREADABLE,
    ConflictError,
    DryRunError,
    ImageNameDuplicateError,
    NotFoundError,
    SnapshotNotFoundError,
)
from amictl.formats import shapes
from amictl.model.ids import require_id
from amictl.model.records import Attributes, ImageCore
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import catalog, events, image_names, recycling
from amictl.store.recycling import Stay
from amictl.store.store import Store

_RESTORED = (
    "SnapshotId",
    "Description",
    "Encrypted",
    "OwnerId",
    "Progress",
    "StartTime",
    "State",
    "VolumeId",
    "VolumeSize",
)
"""The members of a snapshot that RestoreSnapshotFromRecycleBin gives."""


def list_images_in_recycle_bin(
    store: Store, image_ids: tuple[str, ...], surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"Images": […]}`: what can be restored, in the order in which it was deleted.

    Raises ImageNotFoundError if one of the ids is not there.
    """
    found = _inside(store, "ami", image_ids, surroundings.now())
    if dry_run:
        raise DryRunError
    return {"Images": [_image(store, *one) for one in found]}


def list_snapshots_in_recycle_bin(
    store: Store,
    snapshot_ids: tuple[str, ...],
    surroundings: Surroundings,
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """`{"Snapshots": […]}`: what can be restored, in the order in which it was deleted.

    Raises SnapshotNotFoundError if one of the ids is not there.
    """
    found = _inside(store, "snap", snapshot_ids, surroundings.now())
    if dry_run:
        raise DryRunError
    return {"Snapshots": [_snapshot(store, *one) for one in found]}


def restore_image_from_recycle_bin(
    store: Store, image_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"Return": True}`; the image is as it was before it was deregistered.

    Its snapshots must be there again: ConflictError names those that are still in the bin,
    SnapshotNotFoundError those that are gone for good. Raises ImageNotFoundError, and
    ImageNameDuplicateError if another image has the name by now; then nothing has changed.
    """
    store.require_features("write")
    require_id("ami", image_id)
    now = surroundings.now()
    with catalog.exclusively(store):
        recycling.require_stay(store, image_id, now)
        core = catalog.read_image_core(store, image_id)
        _require_snapshots(store, core, now)
        if dry_run:
            _require_free(core.name, image_names.name_holder(store, core.name))
            raise DryRunError
        _require_free(core.name, image_names.take_name(store, core.name, image_id))
        after = recycling.put_back(store, image_id, now)
    events.record(store, surroundings, "RestoreImageFromRecycleBin", (image_id,), after.state)
    return {"Return": True}


def restore_snapshot_from_recycle_bin(
    store: Store, snapshot_id: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """The snapshot, as it was before it was deleted. Raises SnapshotNotFoundError."""
    store.require_features("write")
    require_id("snap", snapshot_id)
    now = surroundings.now()
    with catalog.exclusively(store):
        recycling.require_stay(store, snapshot_id, now)
        core = catalog.read_snapshot_core(store, snapshot_id)
        if dry_run:
            raise DryRunError
        after = recycling.put_back(store, snapshot_id, now)
    events.record(store, surroundings, "RestoreSnapshotFromRecycleBin", (snapshot_id,), after.state)
    shape = shapes.snapshot_shape(core, after, store.key_id(core.domain))
    return {member: shape[member] for member in _RESTORED}


def _require_free(name: str, holder: str | None) -> None:
    if holder is not None:
        hint = f"deregister {holder}, then restore this image"
        raise ImageNameDuplicateError.of(name, holder, hint)


def _require_snapshots(store: Store, core: ImageCore, now: datetime) -> None:
    """Raises unless all snapshots that an image maps exist outside of the bin."""
    mapped = {one.snapshot_id for one in core.mappings if one.snapshot_id is not None}
    missing = sorted(one for one in mapped if not catalog.exists(store, one))
    inside = [attributes.id for attributes, _ in _staying(store, missing, now)]
    gone = sorted(set(missing) - set(inside))
    if gone:
        raise SnapshotNotFoundError(
            f"The image {core.image_id} cannot be restored:"
            f" it needs {', '.join(gone)}, which no longer exists.",
        )
    if inside:
        raise ConflictError(
            f"The image {core.image_id} needs snapshots that are in the Recycle Bin:"
            f" {', '.join(inside)}",
            hint="restore each of them first: amictl restore-snapshot-from-recycle-bin"
            " --snapshot-id ID",
        )


def _inside(
    store: Store, kind: str, wanted: tuple[str, ...], now: datetime
) -> list[tuple[Attributes, Stay]]:
    """What is in the bin: all of a kind, or those that are asked for, which must be there."""
    for record_id in wanted:
        recycling.require_stay(store, require_id(kind, record_id), now)
    every = catalog.image_ids if kind == "ami" else catalog.snapshot_ids
    found = _staying(store, list(dict.fromkeys(wanted)) or every(store), now)
    return sorted(found, key=lambda one: (one[1].entered, one[0].id))


def _staying(store: Store, record_ids: list[str], now: datetime) -> list[tuple[Attributes, Stay]]:
    found = recycling.stays(store, record_ids)
    return [(attributes, stay) for attributes, stay in found if not stay.is_over(now)]


def _image(store: Store, attributes: Attributes, stay: Stay) -> dict[str, Any]:
    shape = {"ImageId": attributes.id}
    with suppress(NotFoundError, *UNREADABLE):  # the others are shown all the same
        shape["Name"] = catalog.read_image_core(store, attributes.id).name
    if attributes.description:
        shape["Description"] = attributes.description
    return shape | _times(stay)


def _snapshot(store: Store, attributes: Attributes, stay: Stay) -> dict[str, Any]:
    shape = {"SnapshotId": attributes.id}
    with suppress(NotFoundError, *UNREADABLE):
        shape["VolumeId"] = catalog.read_snapshot_core(store, attributes.id).volume_id
    return shape | {"Description": attributes.description} | _times(stay)


def _times(stay: Stay) -> dict[str, str]:
    return {
        "RecycleBinEnterTime": timestamp(stay.entered),
        "RecycleBinExitTime": timestamp(stay.until),
    }
