"""What a region knows of volumes: what was written where, and the sources of snapshots.

A volume that amictl wrote has attributes; one that a snapshot was taken from has a record with
the snapshot that the next one is compared with. Many have both. A volume that amictl did not
write gets attributes with its first tag: these have the state `source`, and tags alone.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from amictl.errors import (
    CorruptStoreError,
    ObjectMissingError,
    SnapshotNotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
    VolumeNotFoundError,
)
from amictl.formats import records as record_format
from amictl.model import facts
from amictl.model.ids import is_id, require_id
from amictl.model.records import Attributes, SnapshotCore, Tag, VolumeRecord
from amictl.model.surroundings import Surroundings
from amictl.model.volumes import AVAILABLE, SOURCE, Volume
from amictl.store import catalog, layout
from amictl.store.store import Store


def volume_ids(store: Store) -> list[str]:
    """Ids of all volumes that are known, in order."""
    bases = (
        name.rpartition("/")[2].partition(".")[0] for name, _ in store.storage.names("volumes")
    )
    return sorted({base for base in bases if is_id("vol", base)})


def read(store: Store, volume_id: str) -> Volume:
    """Raises VolumeNotFoundError, CorruptStoreError."""
    source = catalog.read_volume(store, volume_id)
    written = read_written(store, volume_id)
    if written is not None:
        return replace(written, next_parent=source.snapshot_id if source else None)
    if source is not None:
        key_id = _key_of(store, source.snapshot_id)
        tags = _tags(store, volume_id)
        return Volume(volume_id, source.path, source.snapshot_id, key_id=key_id, tags=tags)
    raise not_found(volume_id)


def not_found(volume_id: str) -> VolumeNotFoundError:
    """The error for a volume that the region does not know."""
    return VolumeNotFoundError(
        f"The volume '{volume_id}' does not exist.", hint="amictl describe-volumes lists all"
    )


def require_known(store: Store, volume_id: str) -> None:
    """Raises VolumeNotFoundError unless the volume, or a snapshot of it, is known."""
    places = (layout.volume(volume_id), layout.attributes(volume_id))
    if any(_is_there(store, place) for place in places):
        return
    if not any(core.volume_id == volume_id for core in _snapshots(store)):
        raise not_found(volume_id)


def path_of(store: Store, volume_id: str) -> Path:
    """Where the disk of a volume was when it was last read or written.

    Raises VolumeNotFoundError; UsageError if only snapshots of the volume are known.
    """
    require_known(store, volume_id)
    known = catalog.read_volume(store, volume_id) or read_written(store, volume_id)
    if known is None:
        raise UsageError(
            f"the region does not know where the disk of {volume_id} is",
            hint="name the file after the options",
            code="MissingParameter",
        )
    return Path(known.path)


def disk_path(store: Store, volume_id: str | None, path: Path | None) -> Path:
    """The disk that is meant by a volume, a path, or both.

    Raises VolumeNotFoundError, UsageError, MalformedIdError.
    """
    if volume_id is None:
        if path is None:
            raise UsageError("give a file or --volume-id", code="MissingParameter")
        return path
    require_id("vol", volume_id)
    if path is None:
        return path_of(store, volume_id)
    require_known(store, volume_id)
    return path


def change_attributes(
    store: Store, volume_id: str, change: Callable[[Attributes], Attributes]
) -> None:
    """As `catalog.change_attributes`; a source that has none gets some.

    For who holds the catalogue. Raises VolumeNotFoundError, CorruptStoreError.
    """
    before = attributes(store, volume_id)
    place = layout.attributes(volume_id)
    if not _is_there(store, place):
        after = change(before)
        first = record_format.encode(after)
        if after == before or store.storage.replace_if_unchanged(place, first, None):
            return
    catalog.change_attributes(store, volume_id, change)


def attributes(store: Store, volume_id: str) -> Attributes:
    """The attributes of a volume; without tags for a source that has none yet.

    Raises VolumeNotFoundError, CorruptStoreError.
    """
    try:
        return catalog.read_attributes(store, volume_id)
    except ObjectMissingError:
        if catalog.read_volume(store, volume_id) is None:
            raise not_found(volume_id) from None
        return Attributes(volume_id, 0, SOURCE, "", ())


def tags_of(store: Store, volume_id: str) -> tuple[Tag, ...]:
    """The tags of a volume; none of one that is new. Raises CorruptStoreError."""
    try:
        return attributes(store, volume_id).tags
    except VolumeNotFoundError:
        return ()


def read_written(store: Store, volume_id: str) -> Volume | None:
    """What amictl wrote, without the next parent; None if it wrote nothing.

    Raises CorruptStoreError.
    """
    try:
        written = catalog.read_attributes(store, volume_id)
    except ObjectMissingError:
        return None
    if written.state == SOURCE:
        return None
    place = layout.attributes(volume_id)
    path, size = written.fact(facts.PATH), facts.count(written, facts.SIZE_BYTES)
    if path is None or written.fact(facts.CREATE_TIME) is None or size is None:
        raise CorruptStoreError(f"{place} does not say what was written, where and when")
    catalog.require_path(path, place)
    if store.volume_id(path) != volume_id:
        # Such a file may be deleted: the path must be the one that the id was made of.
        raise CorruptStoreError(f"{place} has the path {path!r}, which is another volume's")
    return Volume(
        volume_id=volume_id,
        path=path,
        create_time=written.fact(facts.CREATE_TIME),
        size_bytes=size,
        snapshot_id=written.fact(facts.SNAPSHOT_ID),
        image_id=written.fact(facts.IMAGE_ID),
        device_name=written.fact(facts.DEVICE_NAME),
        inode=written.fact(facts.INODE),
        birth_time=written.fact(facts.BIRTH_TIME),
        key_id=written.fact(facts.KMS_KEY_ID),
        tags=written.tags,
    )


def record(
    store: Store, volumes: Iterable[Volume], surroundings: Surroundings, *, again: bool = False
) -> None:
    """Remember volumes that were just written; durable when it returns.

    With `again` a volume that is known keeps its tags unless it has new ones. A disk is worth more
    than its record: where the region cannot be written to, that is noted, and nothing is raised.
    """
    try:
        store.require_features("write")
        for volume in volumes:
            _record(store, volume, again=again)
    except (StorageError, UnsupportedError) as error:
        surroundings.progress.note(f"the region does not know what was written: {error.message}")


def forget(store: Store, volume_id: str) -> None:
    """Know nothing of a volume any more; durable when it returns.

    The next snapshot of its disk has no parent.
    """
    store.learnt_keys[volume_id] = None
    with catalog.exclusively(store):  # nobody gives it a tag meanwhile
        store.storage.delete(layout.attributes(volume_id))
        store.storage.delete(layout.volume(volume_id))


def _is_there(store: Store, place: str) -> bool:
    try:
        store.storage.size(place)
    except ObjectMissingError:
        return False
    return True


def _snapshots(store: Store) -> Iterator[SnapshotCore]:
    """All that can be read."""
    for snapshot_id in catalog.snapshot_ids(store):
        with suppress(CorruptStoreError, SnapshotNotFoundError):
            yield catalog.read_snapshot(store, snapshot_id)


def _key_of(store: Store, snapshot_id: str) -> str | None:
    """The key of a snapshot, as far as it can be told."""
    with suppress(CorruptStoreError, SnapshotNotFoundError):
        return store.key_id(catalog.read_snapshot_core(store, snapshot_id).domain)
    return None


def _tags(store: Store, volume_id: str) -> tuple[Tag, ...]:
    with suppress(ObjectMissingError):
        return catalog.read_attributes(store, volume_id).tags
    return ()


def _record(store: Store, volume: Volume, *, again: bool) -> None:
    store.learnt_keys[volume.volume_id] = volume.key_id
    if volume.next_parent is not None:
        catalog.put_volume(store, VolumeRecord(volume.volume_id, volume.path, volume.next_parent))
    place = layout.attributes(volume.volume_id)
    while True:
        before: bytes | None = None
        with suppress(ObjectMissingError):
            before = store.storage.read(place)
        after = record_format.encode(_attributes_after(before, place, volume, again=again))
        if store.storage.replace_if_unchanged(place, after, before):
            return


def _attributes_after(
    before: bytes | None, place: str, volume: Volume, *, again: bool
) -> Attributes:
    """The attributes of a volume whose document was `before`; a damaged one is replaced."""
    written = Attributes(volume.volume_id, 0, AVAILABLE, "", volume.tags)
    written = written.with_facts(
        {
            facts.PATH: volume.path,
            facts.CREATE_TIME: volume.create_time,
            facts.SIZE_BYTES: str(volume.size_bytes),
            facts.SNAPSHOT_ID: volume.snapshot_id,
            facts.IMAGE_ID: volume.image_id,
            facts.DEVICE_NAME: volume.device_name,
            facts.INODE: volume.inode,
            facts.BIRTH_TIME: volume.birth_time,
            facts.KMS_KEY_ID: volume.key_id,
        }
    )
    if before is not None:
        with suppress(CorruptStoreError):
            known = record_format.decode(before, Attributes, place)
            tags = known.tags if again and not volume.tags else volume.tags
            return replace(written, generation=known.generation + 1, tags=tags)
    return written
