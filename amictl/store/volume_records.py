"""What a region knows of volumes: what was written where, and the sources of snapshots.

A volume that amictl wrote has attributes; one that a snapshot was taken from has a record with
its newest snapshot. Many have both.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from amictl.errors import (
    CorruptStoreError,
    ObjectMissingError,
    StorageError,
    UnsupportedError,
    VolumeNotFoundError,
)
from amictl.formats import records as record_format
from amictl.model import facts
from amictl.model.ids import is_id
from amictl.model.records import Attributes, VolumeRecord
from amictl.model.surroundings import Surroundings
from amictl.model.volumes import AVAILABLE, Volume
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
        return replace(written, newest_snapshot_id=source.snapshot_id if source else None)
    if source is not None:
        return Volume(volume_id, source.path, source.snapshot_id)
    raise VolumeNotFoundError(
        f"The volume '{volume_id}' does not exist.", hint="amictl describe-volumes lists all"
    )


def read_written(store: Store, volume_id: str) -> Volume | None:
    """What amictl wrote, without its newest snapshot; None if it wrote nothing.

    Raises CorruptStoreError.
    """
    try:
        written = catalog.read_attributes(store, volume_id)
    except ObjectMissingError:
        return None
    path, size = written.fact(facts.PATH), written.fact(facts.SIZE_BYTES)
    if path is None or written.fact(facts.CREATE_TIME) is None or not (size or "").isdecimal():
        place = layout.attributes(volume_id)
        raise CorruptStoreError(f"{place} does not say what was written, where and when")
    return Volume(
        volume_id=volume_id,
        path=path,
        create_time=written.fact(facts.CREATE_TIME),
        size_bytes=int(size or ""),
        snapshot_id=written.fact(facts.SNAPSHOT_ID),
        image_id=written.fact(facts.IMAGE_ID),
        device_name=written.fact(facts.DEVICE_NAME),
        inode=written.fact(facts.INODE),
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
    store.storage.delete(layout.attributes(volume_id))
    store.storage.delete(layout.volume(volume_id))


def _record(store: Store, volume: Volume, *, again: bool) -> None:
    if volume.newest_snapshot_id is not None:
        # A hint for the next snapshot of the disk.
        catalog.put_volume(
            store, VolumeRecord(volume.volume_id, volume.path, volume.newest_snapshot_id)
        )
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
        }
    )
    if before is not None:
        with suppress(CorruptStoreError):
            known = record_format.decode(before, Attributes, place)
            tags = known.tags if again and not volume.tags else volume.tags
            return replace(written, generation=known.generation + 1, tags=tags)
    return written
