"""What a disk of an archive becomes in a region: with which key, as which volume, in what records.

A restored snapshot belongs to the lineage of the archived one, so that the next snapshot of the
disk is an increment of it; everything else about it is its own, as with a copy.
"""

from dataclasses import dataclass, replace

from amictl.archives.reading import Archive
from amictl.archives.restoring import lineage_in, restore_disk
from amictl.errors import CorruptStoreError, KeyNotFoundError, KeyUnavailableError
from amictl.formats.framing import PLAIN_DOMAIN
from amictl.model import facts
from amictl.model.archives import ArchivedDisk
from amictl.model.encryption import EncryptionRequest
from amictl.model.ids import new_id
from amictl.model.records import PendingSnapshot, SnapshotCore, Tag, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.progress import Progress
from amictl.store import authenticity, catalog, copies, domains
from amictl.store.encryption import key_for_new
from amictl.store.lineages import is_encrypted, lineage_of, with_lineage
from amictl.store.store import Store
from amictl.store.writing import Writer

_PLAIN = PLAIN_DOMAIN.hex()


@dataclass(frozen=True, slots=True)
class RestoredDisk:
    """What is to become of a disk of an archive; `key_id` is None if it will be plain."""

    number: int
    key_id: str | None
    work: PendingSnapshot


def key_of_restored(
    store: Store, disk: ArchivedDisk, kms_key_id: str | None, surroundings: Surroundings
) -> str | None:
    """The id of the key that a disk is encrypted with in a region; None: it stays plain.

    What was encrypted is, with the key that was asked for, else its own if that is here, else the
    default key. What was plain is too, if a key was asked for, or if the region encrypts
    everything. The key can be used, which is tried. Raises KeyNotFoundError, KeyUnavailableError.
    """
    encrypted = True if disk.encrypted or kms_key_id is not None else None
    key_id = None if kms_key_id is not None else _own_key(store, disk)
    if key_id is None:
        key_id = key_for_new(store, EncryptionRequest(encrypted, kms_key_id), None)
    if key_id is not None:
        domains.require_key(store, key_id, surroundings)
    return key_id


def planned_disk(
    store: Store,
    archive: Archive,
    number: int,
    key_id: str | None,
    tags: tuple[Tag, ...],
    surroundings: Surroundings,
) -> RestoredDisk:
    """The work of restoring a disk to a new snapshot."""
    disk = archive.manifest.disks[number]
    work = PendingSnapshot(
        snapshot_id=new_id("snap", surroundings.random_bytes),
        volume_id=_volume_id(store, archive, number, key_id),
        owner_id=store.config.owner_id,
        size_bytes=disk.size_bytes,
        start_time=timestamp(surroundings.now()),
        freeze=disk.freeze,
        path=disk.source.path,
        description=disk.description,
        tags=tags,
        total=disk.size_bytes,
    )
    return RestoredDisk(number, key_id, work)


def record_disk(
    writer: Writer,
    archive: Archive,
    plan: RestoredDisk,
    progress: Progress,
    surroundings: Surroundings,
) -> SnapshotCore:
    """Bring the content of a disk to the store of a writer; its core, which is not yet written.

    Raises what `restore_disk` raises.
    """
    store, work = writer.store, plan.work
    disk = archive.manifest.disks[plan.number]
    domain_id = _PLAIN
    if plan.key_id is not None:
        domain_id = domains.for_key(store, plan.key_id, surroundings).id.hex()
    stored_before = writer.new_bytes
    done = restore_disk(writer, archive, plan.number, domain_id, progress)
    writer.finish_packs()
    core = SnapshotCore(
        snapshot_id=work.snapshot_id,
        volume_id=work.volume_id,
        owner_id=work.owner_id,
        size_bytes=work.size_bytes,
        root=done.map.root.hex() if done.map.root else None,
        height=done.map.height,
        cut=disk.cut,
        fingerprint_key="",
        domain=domain_id,
        hash=disk.hash,
        parent=None,
        start_time=work.start_time,
        completion_time=work.start_time,
        freeze=disk.freeze,
        source=disk.source,
        unchanged=False,
        new_bytes=writer.new_bytes - stored_before,
        data_bytes=done.data_bytes,
        further=tags_from({facts.SOURCE_SNAPSHOT: disk.snapshot_id}),
    )
    return with_lineage(store, core, lineage_in(disk, domain_id), surroundings.random_bytes)


def complete_disk(
    store: Store, core: SnapshotCore, plan: RestoredDisk, surroundings: Surroundings
) -> None:
    """Write the records of a snapshot whose content is published. Durable when it returns."""
    core = replace(core, completion_time=timestamp(surroundings.now()))
    if is_encrypted(core):
        core = authenticity.signed(core, store.sealed_domain(core.domain))
    copies.put_copied(store, core, plan.work)


def _own_key(store: Store, disk: ArchivedDisk) -> str | None:
    """The key that a disk was encrypted with, if it is here. Raises KeyUnavailableError."""
    if disk.kms_key_id is None or store.keyring is None:
        return None
    try:
        return store.keyring.resolve(disk.kms_key_id)
    except KeyNotFoundError:
        return None


def _volume_id(store: Store, archive: Archive, number: int, key_id: str | None) -> str:
    """What the path of the disk is in the region, if nothing else is known of it there.

    Otherwise a volume of its own: what somebody archived elsewhere says nothing of a disk that
    happens to have the same path here, and its next snapshot must not become plain because of it.
    """
    disk = archive.manifest.disks[number]
    usual = store.volume_id(disk.source.path)
    if _is_of_lineage(store, usual, disk, key_id):
        return usual
    return store.volume_id(f"{archive.manifest.archive_id}/disk-{number}")


def _is_of_lineage(store: Store, volume_id: str, disk: ArchivedDisk, key_id: str | None) -> bool:
    if store.known_keys.get(volume_id, key_id) != key_id:
        return False
    try:
        newest = catalog.newest_snapshot(store, volume_id)
        if newest is None:
            return catalog.snapshots_of(store, volume_id) == ([], [])
        if store.key_id(newest.domain) != key_id:
            return False
        return lineage_of(store, newest) == lineage_in(disk, newest.domain)
    except (CorruptStoreError, KeyUnavailableError):
        return False
