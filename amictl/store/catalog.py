"""Snapshots, images, volumes and names: their records, and in which order they are written."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from amictl.errors import (
    UNREADABLE,
    ConflictError,
    CorruptStoreError,
    ImageNotFoundError,
    NotFoundError,
    ObjectMissingError,
    SnapshotNotFoundError,
)
from amictl.formats import records as record_format
from amictl.model.ids import is_id
from amictl.model.records import (
    Attributes,
    ImageCore,
    PendingImage,
    SnapshotCore,
    VolumeRecord,
)
from amictl.store import at_once, layout, pending
from amictl.store.store import Store

Core = TypeVar("Core", SnapshotCore, ImageCore)

IN_BIN = "recoverable"
"""The state of what is in the recycle bin, which no command sees but those of the bin."""


def read_snapshot(store: Store, snapshot_id: str) -> SnapshotCore:
    """Raises SnapshotNotFoundError if no completed snapshot has this id, or it is in the bin."""
    core = read_snapshot_core(store, snapshot_id)
    if _is_in_bin(store, snapshot_id):
        raise _no_snapshot(snapshot_id)
    return core


def read_image(store: Store, image_id: str) -> ImageCore:
    """Raises ImageNotFoundError if no registered image has this id, or it is in the bin."""
    core = read_image_core(store, image_id)
    if _is_in_bin(store, image_id):
        raise _no_image(image_id)
    return core


def read_snapshot_core(store: Store, snapshot_id: str) -> SnapshotCore:
    """The same, also of a snapshot in the recycle bin."""
    try:
        core = _read_core(store, snapshot_id, SnapshotCore)
    except ObjectMissingError as error:
        raise _no_snapshot(snapshot_id) from error
    with _with_way_out(store, snapshot_id):
        _require_own_id(core.snapshot_id, snapshot_id)
    return core


def read_image_core(store: Store, image_id: str) -> ImageCore:
    """The same, also of an image in the recycle bin."""
    try:
        core = _read_core(store, image_id, ImageCore)
    except ObjectMissingError as error:
        raise _no_image(image_id) from error
    with _with_way_out(store, image_id):
        _require_own_id(core.image_id, image_id)
    return core


def not_found(record_id: str) -> NotFoundError:
    """The error for a snapshot or an image that does not exist."""
    if record_id.startswith("snap-"):
        return _no_snapshot(record_id)
    return _no_image(record_id)


def _no_snapshot(snapshot_id: str) -> SnapshotNotFoundError:
    return SnapshotNotFoundError(f"The snapshot '{snapshot_id}' does not exist.")


def _no_image(image_id: str) -> ImageNotFoundError:
    return ImageNotFoundError(f"The image id '[{image_id}]' does not exist")


def _is_in_bin(store: Store, record_id: str) -> bool:
    """Whether a record is in the recycle bin.

    One whose attributes are damaged is not: the data it leads to must still be had.
    """
    try:
        return read_attributes(store, record_id).state == IN_BIN
    except CorruptStoreError:
        return False


def read_attributes(store: Store, record_id: str) -> Attributes:
    """The attributes of a record that exists. Raises CorruptStoreError."""
    place = layout.attributes(record_id)
    with _with_way_out(store, record_id):
        attributes = record_format.decode(store.storage.read(place), Attributes, place)
        if attributes.id != record_id:
            raise CorruptStoreError(f"{place} is about {attributes.id}")
    return attributes


def snapshot_ids(store: Store) -> list[str]:
    """Ids of all completed snapshots, those in the recycle bin included, in order."""
    return sorted(_ids(store, "snapshots", "snap"))


def image_ids(store: Store) -> list[str]:
    """Ids of all registered images, those in the recycle bin included, in order."""
    return sorted(_ids(store, "images", "ami"))


def live_attributes(store: Store, record_ids: Iterable[str]) -> Iterator[Attributes]:
    """The attributes of those that have any and are not in the recycle bin.

    What is unreadable is left to a check.
    """
    for record_id in record_ids:
        with suppress(*UNREADABLE):
            attributes = read_attributes(store, record_id)
            if attributes.state != IN_BIN:
                yield attributes


def put_snapshot(store: Store, core: SnapshotCore, attributes: Attributes) -> None:
    """Complete a snapshot: attributes, then the core that makes it exist.

    Durable when it returns.
    """
    _put(store, core.snapshot_id, core, attributes)


def put_image(store: Store, core: ImageCore, attributes: Attributes) -> None:
    """Register an image: attributes, then the core that makes it exist. Durable when it returns.

    Raises SnapshotNotFoundError if a snapshot that it maps is gone.
    """
    with exclusively(store):
        for mapping in core.mappings:
            if mapping.snapshot_id is not None:
                read_snapshot(store, mapping.snapshot_id)
        _put(store, core.image_id, core, attributes)


def change_attributes(
    store: Store, record_id: str, change: Callable[[Attributes], Attributes]
) -> Attributes:
    """Replace the attributes of a record by what `change` makes of them; durable when it returns.

    `change` is called again if somebody else was faster, so that nobody's change is lost; it may
    raise. Raises NotFoundError if the record is gone.
    """
    place = layout.attributes(record_id)
    while True:
        try:
            data = store.storage.read(place)
        except ObjectMissingError:
            _require_core(store, record_id)
            raise
        with _with_way_out(store, record_id):
            before = record_format.decode(data, Attributes, place)
        after = change(before)
        if after == before:
            return before
        after = replace(after, generation=before.generation + 1)
        if store.storage.replace_if_unchanged(place, record_format.encode(after), data):
            return after


def remove(store: Store, record_id: str) -> None:
    """Make a snapshot or an image not exist. Durable when it returns.

    Whoever removes a snapshot holds the catalogue (`exclusively`) and has asked for `users_of`.
    """
    store.storage.delete(layout.core(record_id))
    store.storage.delete(layout.attributes(record_id))


def users_of(store: Store, snapshot_id: str) -> list[str]:
    """Images that map a snapshot, disabled and unfinished ones too; not those in the recycle bin.

    Raises CorruptStoreError if an image cannot be read: it may be one.
    """
    found = {image.image_id for image in _all_images(store) if snapshot_id in _mapped_by(image)}
    return sorted(image_id for image_id in found if not _is_in_bin(store, image_id))


def mapped_snapshots(store: Store) -> set[str]:
    """The snapshots that have users. Raises CorruptStoreError as `users_of` does."""
    live = (image for image in _all_images(store) if not _is_in_bin(store, image.image_id))
    return {snapshot_id for image in live for snapshot_id in _mapped_by(image)}


def exclusively(store: Store) -> AbstractContextManager[None]:
    """Hold the catalogue: no image begins to map a snapshot, and none is removed, meanwhile."""
    return store.storage.exclusively(layout.CATALOG_LOCK)


def exists(store: Store, record_id: str) -> bool:
    """Whether there is a completed record with this id that is not in the recycle bin."""
    return is_there(store, layout.core(record_id)) and not _is_in_bin(store, record_id)


def exists_or_begun(store: Store, record_id: str) -> bool:
    """Whether a record exists or is being made.

    Asked twice whether it exists: it may be finished after the first time, and then it is not
    being made any more.
    """
    begun = pending.is_alive
    return exists(store, record_id) or begun(store, record_id) or exists(store, record_id)


def is_there(store: Store, place: str) -> bool:
    """Whether there is an object, whatever is in it. Raises StorageError."""
    try:
        store.storage.size(place)
    except ObjectMissingError:
        return False
    return True


def read_volume(store: Store, volume_id: str) -> VolumeRecord | None:
    """What is known of a volume, or None."""
    place = layout.volume(volume_id)
    try:
        volume = record_format.decode(store.storage.read(place), VolumeRecord, place)
    except ObjectMissingError:
        return None
    if volume.volume_id != volume_id:
        raise CorruptStoreError(f"{place} is about {volume.volume_id}")
    require_path(volume.path, place)
    return volume


def require_path(path: str, place: str) -> None:
    """Raises CorruptStoreError unless a path in the object `place` can lead to a disk."""
    if not path.startswith("/") or "\0" in path:
        raise CorruptStoreError(f"{place} has the path {path!r}, which is not absolute")


def put_volume(store: Store, volume: VolumeRecord) -> None:
    """Remember with which snapshot the next one of a volume is compared."""
    store.storage.write(layout.volume(volume.volume_id), record_format.encode(volume))


def newest_snapshot(store: Store, volume_id: str) -> SnapshotCore | None:
    """The newest completed snapshot of a volume, or None.

    The volume's record says which. Where it leads to none, because the one that it was written
    for never came to exist, or is gone, all snapshots that can be read are looked at.
    """
    volume = read_volume(store, volume_id)
    if volume is None:
        return None
    try:
        return read_snapshot_core(store, volume.snapshot_id)
    except NotFoundError:
        own, _ = snapshots_of(store, volume_id)
        return max(own, key=lambda core: core.taken, default=None)


def snapshots_of(store: Store, volume_id: str) -> tuple[list[SnapshotCore], list[str]]:
    """All snapshots of a volume but those in the recycle bin; and the ids of those that cannot
    be read, which may be of it.
    """
    own: list[SnapshotCore] = []
    unreadable: list[str] = []
    for snapshot_id in snapshot_ids(store):
        try:
            core = read_snapshot(store, snapshot_id)
        except SnapshotNotFoundError:  # in the bin, or removed meanwhile
            continue
        except UNREADABLE:
            unreadable.append(snapshot_id)
            continue
        if core.volume_id == volume_id:
            own.append(core)
    return own, unreadable


def _put(
    store: Store, record_id: str, core: SnapshotCore | ImageCore, attributes: Attributes
) -> None:
    store.storage.write(layout.attributes(record_id), record_format.encode(attributes))
    if not store.storage.write_if_absent(layout.core(record_id), record_format.encode(core)):
        raise ConflictError(f"{record_id} exists already")


def _all_images(store: Store) -> Iterator[ImageCore]:
    """Images that are being made, then those that exist; some may be both."""
    for image_id in pending.ids(store, "ami-"):
        work = pending.in_hand(store, image_id)
        if isinstance(work, PendingImage):
            yield work.image

    def present(image_id: str) -> ImageCore | None:
        with suppress(ImageNotFoundError):  # removed meanwhile
            return read_image_core(store, image_id)
        return None

    for image in at_once.each(store, present, image_ids(store)):
        if image is not None:
            yield image


def _mapped_by(image: ImageCore) -> set[str]:
    return {one.snapshot_id for one in image.mappings if one.snapshot_id is not None}


def _require_core(store: Store, record_id: str) -> None:
    """Raises NotFoundError if there is no such snapshot or image."""
    if record_id.startswith("snap-"):
        read_snapshot_core(store, record_id)
    elif record_id.startswith("ami-"):
        read_image_core(store, record_id)


def _read_core(store: Store, record_id: str, kind: type[Core]) -> Core:
    place = layout.core(record_id)
    with _with_way_out(store, record_id):
        return record_format.decode(store.storage.read(place), kind, place)


@contextmanager
def _with_way_out(store: Store, record_id: str) -> Iterator[None]:
    """Have damage of a record say what can be done about it."""
    try:
        yield
    except CorruptStoreError as error:
        # Without its core, what an image or a snapshot has does not count.
        volume = is_id("vol", record_id)
        place = layout.attributes(record_id) if volume else layout.core(record_id)
        path = store.storage.where(place)
        error.hint = error.hint or (
            f"put the file back from a copy of the store; or give this one up: move {path} away"
        )
        raise


def _require_own_id(own: str, record_id: str) -> None:
    if own != record_id:
        raise CorruptStoreError(f"{layout.core(record_id)} is about {own}")


def _ids(store: Store, folder: str, kind: str) -> Iterator[str]:
    """Foreign files are left to a check."""
    for name, _ in store.storage.names(folder):
        record_id = layout.core_id(name)
        if record_id is not None and is_id(kind, record_id):
            yield record_id
