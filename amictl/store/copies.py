"""Copies of snapshots: the work, the moving of content, the new records, and how many are at work.

A copy belongs to the lineage of its source, so that the next snapshot of the disk is an increment
of it; everything else about it is its own.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from amictl.errors import (
    BusyError,
    CorruptStoreError,
    NotFoundError,
    SnapshotNotFoundError,
)
from amictl.model import facts
from amictl.model.records import (
    Attributes,
    PendingImage,
    PendingSnapshot,
    SnapshotCore,
    VolumeRecord,
    tags_from,
)
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import catalog, layout, pending, settings
from amictl.store.pending import PendingFile
from amictl.store.recording import SavedProgress, map_of
from amictl.store.store import Store
from amictl.store.transferring import Transfer
from amictl.store.writing import Writer


@dataclass(frozen=True, slots=True)
class SnapshotCopy:
    """What is to become the copy of a snapshot of the region `region`."""

    work: PendingSnapshot
    core: SnapshotCore
    region: str


def pending_copy(
    source: Store,
    target: Store,
    core: SnapshotCore,
    snapshot_id: str,
    start_time: str,
) -> PendingSnapshot:
    """The work of copying a snapshot; its volume is what the path of the disk is in the target."""
    same_store = source.config.store_id == target.config.store_id
    return PendingSnapshot(
        snapshot_id=snapshot_id,
        volume_id=core.volume_id if same_store else target.volume_id(core.source.path),
        owner_id=target.config.owner_id,
        size_bytes=core.size_bytes,
        start_time=start_time,
        freeze=core.freeze,
        path=core.source.path,
        description="",
        tags=(),
        total=core.size_bytes,
    )


def move(
    source: Store,
    writer: Writer,
    copies: Sequence[SnapshotCopy],
    files: Sequence[PendingFile],
    surroundings: Surroundings,
) -> list[SnapshotCore]:
    """Bring the content of snapshots to the store of the writer, and publish it; the new cores,
    which are not yet written.

    Raises CorruptStoreError that names what the source cannot give, SnapshotNotFoundError if it
    was deleted meanwhile, StorageError.
    """
    transfer = Transfer(source, writer)
    cores = []
    for copy, file in zip(copies, files, strict=False):
        stored, garbage = writer.new_bytes, transfer.garbage_bytes
        progress = SavedProgress(surroundings.progress, copy.work, file)
        try:
            transfer.move(map_of(copy.core), copy.core.snapshot_id, progress)
        except CorruptStoreError as error:
            raise _cause(source, copy, error) from error
        writer.finish_packs()
        grown = (writer.new_bytes - stored, transfer.garbage_bytes - garbage)
        cores.append(_core(copy, *grown))
    writer.publish()
    return cores


def complete(
    store: Store, core: SnapshotCore, work: PendingSnapshot, surroundings: Surroundings
) -> tuple[SnapshotCore, Attributes]:
    """Write the records of a copy whose content is published, and return them. Durable then."""
    core = replace(core, completion_time=timestamp(surroundings.now()))
    attributes = Attributes(core.snapshot_id, 0, "completed", work.description, work.tags)
    with suppress(CorruptStoreError):  # only a hint
        _let_continue(store, core)
    catalog.put_snapshot(store, core, attributes)
    return core, attributes


def require_room(store: Store, own: Collection[str] = ()) -> None:
    """Raises BusyError (ResourceLimitExceeded) if as many copies into a region are at work as may.

    `own` are ids of images and snapshots that are not counted.
    """
    most = settings.read(store).max_concurrent_copies
    present = _at_work(store, own)
    if present >= most:
        raise BusyError(
            f"{present} copies into this region are at work, and {most} may be",
            hint="wait for one of them, or raise it: amictl modify-region NAME"
            " --max-concurrent-copies N",
            code="ResourceLimitExceeded",
        )


def _at_work(store: Store, own: Collection[str]) -> int:
    """How many images and single snapshots are being copied by live writers."""
    images = [
        seen.work.image
        for image_id, seen in pending.all_seen(store, "ami-")
        if seen.alive and image_id not in own and isinstance(seen.work, PendingImage)
    ]
    copies = [image for image in images if image.fact(facts.SOURCE_IMAGE) is not None]
    mapped = {mapping.snapshot_id for image in copies for mapping in image.mappings}
    snapshots = [
        seen.work
        for snapshot_id, seen in pending.all_seen(store, "snap-")
        if seen.alive and snapshot_id not in own and snapshot_id not in mapped
    ]
    return len(copies) + sum(map(_is_copy, snapshots))


def _is_copy(work: pending.Work) -> bool:
    """Whether the moment lies before the start: the disk itself is frozen after it."""
    return isinstance(work, PendingSnapshot) and work.freeze.moment < work.start_time


def _core(copy: SnapshotCopy, new_bytes: int, garbage_bytes: int) -> SnapshotCore:
    work = copy.work
    further = {tag.key: tag.value for tag in copy.core.further} | {
        facts.SOURCE_SNAPSHOT: copy.core.snapshot_id,
        facts.SOURCE_REGION: copy.region,
        facts.GARBAGE_BYTES: str(garbage_bytes),
    }
    return replace(
        copy.core,
        snapshot_id=work.snapshot_id,
        volume_id=work.volume_id,
        owner_id=work.owner_id,
        parent=None,
        start_time=work.start_time,
        unchanged=False,
        new_bytes=new_bytes,
        signatures=(),
        further=tags_from(further),
    )


def _cause(
    source: Store, copy: SnapshotCopy, error: CorruptStoreError
) -> CorruptStoreError | NotFoundError:
    """What is missing may be missing because the snapshot is gone."""
    if catalog.is_there(source, layout.core(copy.core.snapshot_id)):
        return error
    return SnapshotNotFoundError(
        f"The snapshot '{copy.core.snapshot_id}' was deleted while it was copied."
    )


def _let_continue(store: Store, core: SnapshotCore) -> None:
    """Have the next snapshot of the disk compared with a copy, where nothing newer is known.

    Of another lineage nothing is taken over, so what there is of the disk stays the parent.
    """
    newest = catalog.newest_snapshot(store, core.volume_id)
    if newest is not None and (
        newest.fingerprint_key != core.fingerprint_key or newest.taken >= core.taken
    ):
        return
    if core.source.path.startswith("/"):
        volume = VolumeRecord(core.volume_id, core.source.path, core.snapshot_id)
        catalog.put_volume(store, volume)
