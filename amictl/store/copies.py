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
    UsageError,
)
from amictl.model import facts
from amictl.model.blockmap import Name
from amictl.model.encryption import EncryptionRequest
from amictl.model.records import (
    Attributes,
    ImageCore,
    PendingImage,
    PendingSnapshot,
    SnapshotCore,
    VolumeRecord,
    tags_from,
)
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.store import authenticity, catalog, domains, layout, pending, settings
from amictl.store.encryption import key_for_new
from amictl.store.lineages import is_encrypted, lineage_of, with_lineage
from amictl.store.passages import passage_for
from amictl.store.pending import PendingFile
from amictl.store.recording import SavedProgress
from amictl.store.recutting import recut, recut_lineage
from amictl.store.store import Store
from amictl.store.transferring import Transfer
from amictl.store.writing import Writer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a copy is to be: encrypted with a key, or plain.

    Whether its content is cut anew; and whether it keeps all names and bytes of its source.
    """

    key_id: str | None = None
    recut: bool = False
    keeps: bool = True


@dataclass(frozen=True, slots=True)
class SnapshotCopy:
    """What is to become the copy of a snapshot of the region `region`."""

    work: PendingSnapshot
    core: SnapshotCore
    region: str
    outcome: Outcome


def outcome_of(
    source: Store,
    target: Store,
    core: SnapshotCore,
    request: EncryptionRequest,
    *,
    recut: bool,
    surroundings: Surroundings,
) -> Outcome:
    """What a copy is to be, as EC2 decides it; nothing is written.

    Every key that it takes is known to be at hand then. Raises UsageError, KeyNotFoundError,
    KeyUnavailableError, CorruptStoreError for a source that was not recorded with its key.
    """
    before = _key_of(source, core)
    key_id = key_for_new(target, request, before)
    if recut and key_id is None:
        raise UsageError(
            "only an encrypted copy can be cut anew", hint="give --encrypted, or leave --recut out"
        )
    authenticity.require_recorded(source, core)
    if key_id is None:
        return Outcome()
    same_store = source.config.store_id == target.config.store_id
    if key_id != before:
        source.domain(core.domain)
        domains.require_key(target, key_id, surroundings)
    else:
        domains.require_same(source, target, core.domain)
        # Frames are opened to take out of them what another owner is not to have.
        foreign = not same_store and source.config.owner_id != target.config.owner_id
        if recut or foreign:
            source.domain(core.domain)
    return Outcome(key_id, recut, key_id == before and not recut)


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
    was deleted meanwhile, KeyUnavailableError, StorageError.
    """
    domain_ids = [_domain_of(source, writer.store, copy, surroundings) for copy in copies]
    passages = [
        None if copy.outcome.recut else passage_for(source, writer, copy.core, domain_id)
        for copy, domain_id in zip(copies, domain_ids, strict=True)
    ]
    cores = []
    with Transfer(source, writer, [one for one in passages if one is not None]) as transfer:
        ways = zip(copies, files, domain_ids, passages, strict=False)
        for copy, file, domain_id, passage in ways:
            stored, garbage = writer.new_bytes, transfer.garbage_bytes
            progress = SavedProgress(surroundings.progress, copy.work, file)
            try:
                if passage is None:
                    core = _recut(source, writer, copy, domain_id, progress)
                else:
                    before = copy.core
                    root = transfer.move(passage, before.size_bytes, before.snapshot_id, progress)
                    core = _moved(source, writer, before, domain_id, root)
            except CorruptStoreError as error:
                raise _cause(source, copy, error) from error
            writer.finish_packs()
            grown = (writer.new_bytes - stored, transfer.garbage_bytes - garbage)
            cores.append(_core(copy, core, *grown))
    writer.publish()
    return cores


def _domain_of(source: Store, target: Store, copy: SnapshotCopy, surroundings: Surroundings) -> str:
    """The domain of a copy, whose header is durable in the target.

    With another key than its source's, the copy goes on in the domain in which the newest
    snapshot of its volume is, if that has the key.
    """
    key_id = copy.outcome.key_id
    if copy.outcome.keeps or key_id == _key_of(source, copy.core):
        if is_encrypted(copy.core):
            domains.bring_header(source, target, copy.core.domain)
        return copy.core.domain
    assert key_id is not None
    newest = None
    with suppress(CorruptStoreError):  # only a hint
        newest = catalog.newest_snapshot(target, copy.work.volume_id)
    if newest is not None and target.key_id(newest.domain) == key_id:
        return newest.domain
    return domains.for_key(target, key_id, surroundings).id.hex()


def _moved(
    source: Store, writer: Writer, before: SnapshotCore, domain_id: str, root: Name | None
) -> SnapshotCore:
    """The core as it would be in the source, in its new domain, with the map that was moved."""
    if domain_id == before.domain:
        return before
    lineage = replace(lineage_of(source, before), domain=domain_id)
    moved = replace(before, root=root.hex() if root else None)
    return with_lineage(writer.store, moved, lineage, writer.random_bytes)


def _recut(
    source: Store,
    writer: Writer,
    copy: SnapshotCopy,
    domain_id: str,
    progress: SavedProgress,
) -> SnapshotCore:
    """The same, of a snapshot that is cut anew."""
    store = writer.store
    domain = store.sealed_domain(domain_id)
    lineage = recut_lineage(source, copy.core, domain, store.config.chunk_size)
    core = recut(source, writer, copy.core, lineage, progress)
    return with_lineage(store, core, lineage, writer.random_bytes)


def complete(
    store: Store, core: SnapshotCore, copy: SnapshotCopy, surroundings: Surroundings
) -> tuple[SnapshotCore, Attributes]:
    """Write the records of a copy whose content is published, and return them. Durable then.

    An encrypted one has a MAC where its key is at hand. Raises CorruptStoreError if its source
    is forged.
    """
    core = replace(core, completion_time=timestamp(surroundings.now()))
    if copy.outcome.keeps:
        core = authenticity.of_copy(store, core, copy.core)
    else:
        core = authenticity.signed(core, store.sealed_domain(core.domain))
    return core, put_copied(store, core, copy.work)


def put_copied(store: Store, core: SnapshotCore, work: PendingSnapshot) -> Attributes:
    """Write the records of a snapshot that was taken elsewhere; its attributes. Durable then.

    The next snapshot of its disk is an increment of it, where nothing newer is known.
    """
    attributes = Attributes(core.snapshot_id, 0, "completed", work.description, work.tags)
    with suppress(CorruptStoreError):  # only a hint
        _let_continue(store, core)
    catalog.put_snapshot(store, core, attributes)
    return attributes


def require_image(source: Store, image: ImageCore, outcomes: Sequence[Outcome]) -> None:
    """Raises CorruptStoreError if an image is not what was recorded, as far as can be seen.

    KeyUnavailableError if the key of its record is needed to record the copy: what nobody could
    confirm must not be confirmed for its copy.
    """
    if not authenticity.maps_what_was_recorded(source, image):
        raise CorruptStoreError(f"{image.image_id} maps other content than was recorded")
    domain_id = authenticity.mac_domain(image)
    if domain_id is not None and not all(outcome.keeps for outcome in outcomes):
        source.domain(domain_id)
    authenticity.require_recorded(source, image)


def complete_image(
    store: Store, image: ImageCore, source: ImageCore, copies: Sequence[SnapshotCopy]
) -> ImageCore:
    """The core of a copied image, whose snapshots are there, with its MAC."""
    if all(copy.outcome.keeps for copy in copies):
        return authenticity.of_copy(store, image, source)
    return authenticity.signed_image(store, image)


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


def _is_copy(work: pending.AnyWork) -> bool:
    """Whether the moment lies before the start: the disk itself is frozen after it."""
    return isinstance(work, PendingSnapshot) and work.freeze.moment < work.start_time


def _key_of(store: Store, core: SnapshotCore) -> str | None:
    """The key of a snapshot. Raises CorruptStoreError if that cannot be told."""
    return domains.read_header(store, core.domain).key_id if is_encrypted(core) else None


def _core(
    copy: SnapshotCopy, moved: SnapshotCore, new_bytes: int, garbage_bytes: int
) -> SnapshotCore:
    work = copy.work
    further = {tag.key: tag.value for tag in moved.further} | {
        facts.SOURCE_SNAPSHOT: copy.core.snapshot_id,
        facts.SOURCE_REGION: copy.region,
        facts.GARBAGE_BYTES: str(garbage_bytes),
    }
    further.pop(facts.COPIED_CORE, None)
    return replace(
        moved,
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
        newest.taken >= core.taken or not _is_of_lineage(store, core, newest)
    ):
        return
    if core.source.path.startswith("/"):
        volume = VolumeRecord(core.volume_id, core.source.path, core.snapshot_id)
        catalog.put_volume(store, volume)


def _is_of_lineage(store: Store, core: SnapshotCore, other: SnapshotCore) -> bool:
    """Whether two snapshots share cut and fingerprint key; without the key, whether they may."""
    if (core.domain, core.cut) != (other.domain, other.cut):
        return False
    if domains.opened(store, core.domain) is None:
        return True
    return lineage_of(store, core) == lineage_of(store, other)
