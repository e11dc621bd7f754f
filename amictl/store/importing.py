"""The snapshots that imports make: of which volume they are, and with which key encrypted."""

from dataclasses import dataclass, field

from amictl.errors import ConflictError
from amictl.model.encryption import EncryptionRequest
from amictl.model.ids import new_id
from amictl.model.records import PendingSnapshot, tags_from
from amictl.model.source import Freeze, SourceIdentity
from amictl.model.surroundings import Surroundings
from amictl.store import domains, parents
from amictl.store.encryption import key_for_new
from amictl.store.recording import SnapshotPlan
from amictl.store.store import Store


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """Where a disk is imported from: an absolute path, or a URL; and of which moment.

    `label` is the key that a file says itself it is of.
    """

    path: str
    label: str | None
    identity: SourceIdentity
    freeze: Freeze


@dataclass(frozen=True, slots=True)
class ImportedSnapshots:
    """What the snapshots of an import are to be."""

    encryption: EncryptionRequest
    description: str
    tags: dict[str, str] = field(default_factory=dict)


def import_plan(
    store: Store,
    place: SourcePlace,
    size_bytes: int,
    asked: ImportedSnapshots,
    surroundings: Surroundings,
) -> SnapshotPlan:
    """A snapshot of what is in a place; its key is at hand. Nothing is written.

    It is a snapshot of the volume with that path, so that importing it again stores what changed.
    Raises UsageError, KeyNotFoundError, KeyUnavailableError, ConflictError.
    """
    volume = parents.Disk(store.volume_id(place.path), place.path, "auto", place.label)
    work = PendingSnapshot(
        snapshot_id=new_id("snap", surroundings.random_bytes),
        volume_id=volume.volume_id,
        owner_id=store.config.owner_id,
        size_bytes=size_bytes,
        start_time=place.freeze.moment,
        freeze=place.freeze,
        path=place.path,
        description=asked.description,
        tags=tags_from(asked.tags),
        total=size_bytes,
    )
    key_id = _key(store, volume, asked.encryption, surroundings)
    # The times of a file do not say in which format it was read.
    return SnapshotPlan(work, place.identity, "auto", key_id, full_read=True)


def _key(
    store: Store, disk: parents.Disk, request: EncryptionRequest, surroundings: Surroundings
) -> str | None:
    """The key that was asked for, else the one that any snapshot of this disk would have."""
    wanted = key_for_new(store, request, None)
    if not request.encrypted or wanted is None:
        return parents.require_key(store, disk, surroundings)
    domains.require_key(store, wanted, surroundings)
    own = parents.own_key(store, disk)
    if own not in (None, wanted):
        raise ConflictError(
            f"what was imported from {disk.path!r} before is encrypted with {own}",
            hint="import it with that key, and copy it: amictl copy-snapshot --encrypted",
        )
    return wanted
