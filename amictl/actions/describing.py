"""DescribeImages and DescribeSnapshots: what is registered, what is being made, what failed."""

from typing import Any

from amictl.errors import CorruptStoreError, ImageNotFoundError, SnapshotNotFoundError
from amictl.formats import shapes
from amictl.model.ids import require_id
from amictl.model.records import ImageCore, PendingImage, PendingSnapshot
from amictl.store import catalog, pending
from amictl.store.store import Store


def describe_images(store: Store, image_ids: tuple[str, ...] = ()) -> dict[str, Any]:
    """`{"Images": […]}`, oldest first. Raises ImageNotFoundError if one of the ids is unknown."""
    return {
        "Images": sorted(
            _images(store, image_ids), key=lambda image: (image["CreationDate"], image["ImageId"])
        )
    }


def describe_snapshots(store: Store, snapshot_ids: tuple[str, ...] = ()) -> dict[str, Any]:
    """`{"Snapshots": […]}`, oldest first.

    Raises SnapshotNotFoundError if one of the ids is unknown.
    """
    found = _snapshots(store, snapshot_ids)
    return {
        "Snapshots": sorted(
            found, key=lambda snapshot: (snapshot["StartTime"], snapshot["SnapshotId"])
        )
    }


def _images(store: Store, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    if wanted:
        return [_image(store, require_id("ami", image_id)) for image_id in dict.fromkeys(wanted)]
    done = catalog.image_ids(store)
    open_work = [
        image_id for image_id, _ in pending.all_seen(store, "ami-") if image_id not in set(done)
    ]
    live = (image_id for image_id in done if catalog.exists(store, image_id))
    return [_image_or_damage(store, image_id) for image_id in (*live, *open_work)]


def _image_or_damage(store: Store, image_id: str) -> dict[str, Any]:
    """One image of many: a damaged record must not hide the others."""
    try:
        return _image(store, image_id)
    except CorruptStoreError as error:
        reason = {"Code": error.code, "Message": error.message}
        return {"ImageId": image_id, "CreationDate": "", "State": "invalid", "StateReason": reason}


def _snapshot_or_damage(store: Store, snapshot_id: str) -> dict[str, Any]:
    """The same for a snapshot."""
    try:
        return _snapshot(store, snapshot_id)
    except CorruptStoreError as error:
        return {
            "SnapshotId": snapshot_id,
            "StartTime": "",
            "State": "error",
            "StateMessage": error.message,
        }


def _image(store: Store, image_id: str) -> dict[str, Any]:
    # The record is asked for before and after the pending file: work may be finished in between.
    for _ in range(2):
        if catalog.exists(store, image_id):
            core = catalog.read_image(store, image_id)
            return shapes.image_shape(
                core, catalog.read_attributes(store, image_id), _snapshots_of(store, core)
            )
        seen = pending.seen(store, image_id)
        if seen is not None and isinstance(seen.work, PendingImage):
            return shapes.pending_image_shape(
                seen.work,
                alive=seen.alive,
                snapshots=_snapshots_of(store, seen.work.image),
                died=pending.DIED,
            )
    raise ImageNotFoundError(
        f"The image id '[{image_id}]' does not exist", hint="amictl describe-images lists all"
    )


def _snapshots_of(store: Store, core: ImageCore) -> shapes.Snapshots:
    """The snapshots that an image maps, as far as they exist already."""
    ids = [mapping.snapshot_id for mapping in core.mappings if mapping.snapshot_id is not None]
    return {
        snapshot_id: catalog.read_snapshot(store, snapshot_id)
        for snapshot_id in ids
        if catalog.exists(store, snapshot_id)
    }


def _snapshots(store: Store, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    if wanted:
        return [
            _snapshot(store, require_id("snap", snapshot_id))
            for snapshot_id in dict.fromkeys(wanted)
        ]
    done = catalog.snapshot_ids(store)
    open_work = [
        snapshot_id
        for snapshot_id, _ in pending.all_seen(store, "snap-")
        if snapshot_id not in set(done)
    ]
    live = (snapshot_id for snapshot_id in done if catalog.exists(store, snapshot_id))
    return [_snapshot_or_damage(store, snapshot_id) for snapshot_id in (*live, *open_work)]


def _snapshot(store: Store, snapshot_id: str) -> dict[str, Any]:
    for _ in range(2):
        if catalog.exists(store, snapshot_id):
            core = catalog.read_snapshot(store, snapshot_id)
            return shapes.snapshot_shape(core, catalog.read_attributes(store, snapshot_id))
        seen = pending.seen(store, snapshot_id)
        if seen is not None and isinstance(seen.work, PendingSnapshot):
            return shapes.pending_snapshot_shape(seen.work, alive=seen.alive, died=pending.DIED)
    raise SnapshotNotFoundError(
        f"The snapshot '{snapshot_id}' does not exist.", hint="amictl describe-snapshots lists all"
    )
