"""DescribeVolumes and DeleteVolume: the disks that a region knows, as they are at this moment."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from amictl.errors import (
    UNREADABLE,
    ConflictError,
    DryRunError,
    NotFoundError,
    SourceInUseError,
    VolumeInUseError,
    VolumeNotFoundError,
)
from amictl.formats.volume_shapes import damaged_volume_shape, volume_shape
from amictl.model.ids import require_id
from amictl.model.surroundings import Surroundings
from amictl.model.volume_filters import matching_volumes
from amictl.model.volumes import IN_USE, Volume
from amictl.store import events, volume_records
from amictl.store.store import Store
from amictl.volumes.disk_states import delete_disk, disk_state, require_deletable


def describe_volumes(
    store: Store,
    volume_ids: tuple[str, ...] = (),
    filters: Iterable[Mapping[str, Any]] = (),
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """`{"Volumes": […]}` in the order of their ids.

    Raises VolumeNotFoundError if one of the ids is unknown, UsageError for an unknown filter,
    UnsupportedError for one that has no meaning here.
    """
    if volume_ids:
        wanted = [require_id("vol", volume_id) for volume_id in dict.fromkeys(volume_ids)]
        shapes = [_shape(store, volume_id) for volume_id in wanted]
    else:
        shapes = [
            shape
            for volume_id in volume_records.volume_ids(store)
            if (shape := _shape_or_damage(store, volume_id)) is not None
        ]
    found = matching_volumes(shapes, filters)
    if dry_run:
        raise DryRunError
    return {"Volumes": found}


def delete_volume(
    store: Store,
    volume_id: str,
    surroundings: Surroundings,
    *,
    delete_file: bool = False,
    dry_run: bool = False,
) -> None:
    """Forget a volume; with `delete_file`, remove its file before that. Durable when it returns.

    Raises VolumeNotFoundError; VolumeInUseError if somebody has the disk open for writing. A file
    that amictl did not write, or another one in its place, is not removed: ConflictError.
    """
    store.require_features("write")
    volume = volume_records.read(store, require_id("vol", volume_id))
    path = Path(volume.path)
    state = disk_state(path, store.marks)
    if state.state == IN_USE:
        raise _in_use(volume, state.reason or "")
    if delete_file:
        _require_ours(volume)
    if dry_run:
        if delete_file:
            require_deletable(path, volume.file)
        raise DryRunError
    if delete_file:
        _delete_file(store, volume)
    volume_records.forget(store, volume_id)
    events.record(store, surroundings, "DeleteVolume", (volume_id,), "deleted")


def _delete_file(store: Store, volume: Volume) -> None:
    try:
        delete_disk(Path(volume.path), volume.file, store.storage.disk)
    except SourceInUseError as error:
        raise _in_use(volume, error.message) from error


def _require_ours(volume: Volume) -> None:
    """Raises ConflictError for a disk that amictl only ever read, NotFoundError if it is gone."""
    if not volume.is_written:
        raise ConflictError(
            f"amictl did not write {volume.path!r}, and does not delete it",
            hint="delete the file yourself, or forget the volume without --delete-file",
        )
    if not Path(volume.path).exists():
        raise NotFoundError(
            f"there is no file {volume.path!r}",
            hint="if it is gone for good, forget the volume without --delete-file",
        )


def _in_use(volume: Volume, reason: str) -> VolumeInUseError:
    return VolumeInUseError(
        f"Volume {volume.volume_id} cannot be deleted: {reason}",
        hint="stop the machine that uses it",
    )


def _shape(store: Store, volume_id: str) -> dict[str, Any]:
    volume = volume_records.read(store, volume_id)
    return volume_shape(volume, disk_state(Path(volume.path), store.marks))


def _shape_or_damage(store: Store, volume_id: str) -> dict[str, Any] | None:
    """One volume of many: a damaged record must not hide the others. None if it is gone by now."""
    try:
        return _shape(store, volume_id)
    except UNREADABLE as error:
        return damaged_volume_shape(volume_id, error.message)
    except VolumeNotFoundError:
        return None
