"""The manifest of an image in a store: what its archive says of it."""

from datetime import datetime

from amictl.errors import CorruptStoreError
from amictl.formats import archive_manifest
from amictl.formats.archive_manifest import mapped_snapshots
from amictl.model import facts
from amictl.model.archives import ArchivedDisk, ArchivedImage, Manifest
from amictl.model.records import Attributes, ImageCore, SnapshotCore, Tag, tags_from
from amictl.model.tags import users_tags
from amictl.model.times import timestamp
from amictl.store import catalog
from amictl.store.filling import damage_of
from amictl.store.lineages import is_encrypted, lineage_of
from amictl.store.snapshot_states import completed_snapshot
from amictl.store.store import Store
from amictl.store.walking import map_of

_OF_THE_STORE = (
    facts.SEALED,
    facts.MAC_DOMAIN,
    facts.MAPPED_CONTENT,
    facts.COPIED_CORE,
    facts.GARBAGE_BYTES,
)
"""What cores say that has no meaning outside of their store."""


def disks_of(store: Store, image: ImageCore) -> list[SnapshotCore]:
    """The snapshots of an image in the order in which they are its disks.

    Raises SnapshotNotFoundError, ConflictError for one that is not completed.
    """
    return [completed_snapshot(store, one) for one in mapped_snapshots(image.mappings)]


def manifest_of(
    store: Store,
    image: ImageCore,
    disks: list[SnapshotCore],
    archive_id: bytes,
    now: datetime,
    *,
    is_sealed: bool,
) -> Manifest:
    """What the archive of an image with these disks says of it.

    Raises KeyUnavailableError; CorruptStoreError, also for what no archive can say.
    """
    attributes = catalog.read_attributes(store, image.image_id)
    manifest = Manifest(
        archive_id.hex(),
        timestamp(now),
        is_sealed,
        _image(image, attributes),
        tuple(_disk(store, core) for core in disks),
    )
    # As every reader will, which refuses what is too long, too.
    archive_manifest.decode(archive_manifest.encode(manifest), f"what is known of {image.image_id}")
    return manifest


def _image(core: ImageCore, attributes: Attributes) -> ArchivedImage:
    return ArchivedImage(
        core.image_id,
        core.name,
        core.owner_id,
        core.creation_date,
        core.architecture,
        core.boot_mode,
        core.platform,
        core.root_device_name,
        core.mappings,
        attributes.description,
        _in_order(users_tags(attributes.tags)),
        _portable(core.further),
    )


def _disk(store: Store, core: SnapshotCore) -> ArchivedDisk:
    attributes = catalog.read_attributes(store, core.snapshot_id)
    lineage = lineage_of(store, core)
    return ArchivedDisk(
        snapshot_id=core.snapshot_id,
        volume_id=core.volume_id,
        owner_id=core.owner_id,
        size_bytes=core.size_bytes,
        data_bytes=core.data_bytes,
        root=_plain_root(store, core),
        cut=core.cut,
        cut_secret=lineage.cut_secret.hex() if lineage.cut_secret else None,
        fingerprint_key=lineage.fingerprint_key.hex(),
        hash=core.hash,
        encrypted=is_encrypted(core),
        kms_key_id=store.key_id(core.domain),
        start_time=core.start_time,
        freeze=core.freeze,
        source=core.source,
        description=attributes.description,
        tags=_in_order(users_tags(attributes.tags)),
        further=_portable(core.further),
    )


def _plain_root(store: Store, core: SnapshotCore) -> str | None:
    root = map_of(core).root
    try:
        return store.read_node(root).plain_name.hex() if root else None
    except CorruptStoreError as error:
        raise damage_of(core, [(0, core.size_bytes, error.message)]) from error


def _in_order(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
    return tags_from({tag.key: tag.value for tag in tags})


def _portable(further: tuple[Tag, ...]) -> tuple[Tag, ...]:
    return _in_order(tuple(tag for tag in further if tag.key not in _OF_THE_STORE))
