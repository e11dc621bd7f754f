"""LaunchImage: every disk of an image becomes a file, beside all that a launcher needs."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from amictl.bundles.opening import BundlePlace, OpenedBundle, registered
from amictl.errors import (
    DryRunError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.formats import launching as launch_format
from amictl.formats.volume_shapes import volume_shape
from amictl.model import facts
from amictl.model.encryption import EncryptionRequest
from amictl.model.ids import require_id
from amictl.model.launches import (
    Launch,
    LaunchedDisk,
    bundled_disk,
    encryption_requests,
    overridden,
    planned_disks,
)
from amictl.model.records import ImageCore, SnapshotCore, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.model.volumes import AVAILABLE, DiskState, Volume
from amictl.progress import Progress, Step
from amictl.store import catalog, events, pending, volume_records
from amictl.store.authenticity import require_authentic
from amictl.store.encryption import key_for_volume, key_of
from amictl.store.filling import Filling
from amictl.store.image_states import AVAILABLE as IMAGE_AVAILABLE
from amictl.store.image_states import registered_image, unavailable
from amictl.store.lineages import is_encrypted
from amictl.store.store import Store
from amictl.volumes.key_labels import label
from amictl.volumes.new_folders import NewFolder, require_free_folder, unfinished_folders
from amictl.volumes.targets import path_text
from amictl.volumes.written_files import written_file


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """An image, and the folder that its disks are to be in.

    `block_device_mappings` have EC2's shape and override those of the image; `tags` are for every
    volume. `private_key` opens a bundle, and `find_bundle` finds one by its image location.
    """

    image_id: str
    directory: Path
    block_device_mappings: tuple[dict[str, Any], ...] = ()
    ephemeral_size_gib: int | None = None
    private_key: Path | None = None
    find_bundle: Callable[[str], BundlePlace] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


def launch_image(
    store: Store, request: LaunchRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """Where the disks are, once all of them are durable: the folder appears whole or not at all.

    Raises ImageNotFoundError; ConflictError if the image cannot be launched, or something is in
    the folder; BlockDeviceMappingError, UsageError, StorageError; CorruptStoreError names the
    damaged ranges.
    """
    image = _launchable(store, request.image_id)
    snapshots = cache(lambda given: catalog.read_snapshot(store, require_id("snap", given)))

    def size_of(snapshot_id: str) -> int:
        return snapshots(snapshot_id).size_bytes

    mappings = overridden(image, request.block_device_mappings, size_of)
    bundle = _bundle(image, request)
    bundled = [bundled_disk(image, bundle.manifest.size_bytes)] if bundle else []
    disks = planned_disks(mappings, size_of, request.ephemeral_size_gib, bundled)
    require_free_folder(request.directory)
    store.reload_index()  # an index that cannot be read is not the snapshots' damage
    sources = {
        disk.file_name: snapshots(disk.mapping.snapshot_id)
        for disk in disks
        if disk.mapping.snapshot_id is not None
    }
    require_authentic(store, image)
    requests = encryption_requests(request.block_device_mappings)
    disks = tuple(
        _with_key(store, disk, sources.get(disk.file_name), requests, surroundings)
        for disk in disks
    )
    if request.dry_run:
        raise DryRunError
    _tell(disks, sources, surroundings.progress)
    for unfinished in unfinished_folders(request.directory):
        surroundings.progress.note(
            f"{str(unfinished)!r} is left of a launch that was broken off, unless one is going on:"
            " it may be removed"
        )
    folder = Path(path_text(request.directory))
    disks = tuple(_with_volume_id(store, folder, disk) for disk in disks)
    launch = Launch(image, timestamp(surroundings.now()), disks)
    if bundle is not None:
        bundle.check(surroundings.progress)
    _write(store, request.directory, launch, _Contents(sources, bundle), surroundings.progress)
    volumes = [
        _volume(request, launch, disk, disk.volume_id, _parent(store, disk, sources))
        for disk in disks
        if disk.volume_id is not None
    ]
    _remember(store, launch, volumes, surroundings)
    return _result(folder, launch, volumes)


def _launchable(store: Store, image_id: str) -> ImageCore:
    """Raises ImageNotFoundError, MalformedIdError; ConflictError (InvalidAMIID.Unavailable)."""
    require_id("ami", image_id)
    if pending.is_alive(store, image_id) and not catalog.exists(store, image_id):
        hint = f"it is being made: amictl wait image-available --image-ids {image_id}"
        raise unavailable(image_id, hint=hint)
    image, attributes = registered_image(store, image_id)
    if attributes.state != IMAGE_AVAILABLE:
        raise unavailable(
            image_id,
            hint=f"it is {attributes.state}: amictl enable-image --image-id {image_id}",
        )
    return image


def _bundle(image: ImageCore, request: LaunchRequest) -> OpenedBundle | None:
    """The bundle that the root disk is in, if it is in one.

    Raises UsageError without a private key, InvalidManifestError if the manifest was changed,
    KeyUnavailableError, NotFoundError, StorageError.
    """
    location, digest = image.fact(facts.IMAGE_LOCATION), image.fact(facts.BUNDLE_MANIFEST)
    if location is None:
        return None
    if request.private_key is None or request.find_bundle is None:
        raise UsageError(
            f"the root disk of {image.image_id} is in the bundle {location}, which takes a key",
            hint="give --private-key: the RSA key of the certificate that it was made with",
            code="MissingParameter",
        )
    return registered(request.find_bundle(location), digest or "", request.private_key)


def _with_key(
    store: Store,
    disk: LaunchedDisk,
    core: SnapshotCore | None,
    requests: dict[str, EncryptionRequest],
    surroundings: Surroundings,
) -> LaunchedDisk:
    """A disk with the key of its volume, which can be used, as can that of its snapshot.

    Raises KeyUnavailableError, CorruptStoreError, UsageError before anything is written.
    """
    if core is not None:
        require_authentic(store, core)
    if disk.mapping.virtual_name is not None:
        return disk
    request = requests.get(disk.mapping.device_name, EncryptionRequest())
    return replace(disk, key_id=key_for_volume(store, core, request, surroundings))


def _tell(
    disks: tuple[LaunchedDisk, ...], sources: dict[str, SnapshotCore], progress: Progress
) -> None:
    """Say which files hold in plain what is encrypted elsewhere."""
    for disk in disks:
        core = sources.get(disk.file_name)
        what = f"{disk.file_name}, which gets mode 0600, holds its content in plain"
        if core is not None and is_encrypted(core):
            progress.note(f"{core.snapshot_id} is encrypted, and {what}")
        elif disk.key_id is not None:
            progress.note(f"{what}, and snapshots of it are encrypted")


def _parent(
    store: Store, disk: LaunchedDisk, sources: dict[str, SnapshotCore]
) -> SnapshotCore | None:
    """The snapshot that the next one of a disk is compared with; none of another key."""
    core = sources.get(disk.file_name)
    return core if core is not None and key_of(store, core) == disk.key_id else None


def _with_volume_id(store: Store, folder: Path, disk: LaunchedDisk) -> LaunchedDisk:
    """Ephemeral disks and bundles are no volumes."""
    if disk.mapping.virtual_name is not None:
        return disk
    return replace(disk, volume_id=store.volume_id(str(folder / disk.file_name)))


@dataclass(frozen=True, slots=True)
class _Contents:
    """What disks hold: snapshots, by the names of files, and the bundle of the root disk."""

    snapshots: dict[str, SnapshotCore]
    bundle: OpenedBundle | None


def _write(
    store: Store, directory: Path, launch: Launch, contents: _Contents, progress: Progress
) -> None:
    """Write the disks with what they hold; then the rest."""
    total = sum(core.size_bytes for core in contents.snapshots.values())
    before = 0
    with NewFolder(directory, store.storage.disk) as folder:
        for disk in launch.disks:
            file = folder.new_disk(disk.file_name, disk.size_bytes)
            if disk.key_id is not None:
                label(store.storage.disk, file.descriptor, disk.key_id)
            if disk.kind == "bundle" and contents.bundle is not None:
                contents.bundle.fill(file, progress)
            core = contents.snapshots.get(disk.file_name)
            if core is not None:
                Filling(store, core, _Part(progress, before, total)).fill(file)
                before += core.size_bytes
        folder.commit(
            (launch_format.SCRIPT, launch_format.script(launch)),
            (launch_format.DOCUMENT, launch_format.document(launch)),
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """The progress of one disk as a part of that of all."""

    progress: Progress
    before: int
    total: int

    def update(self, step: Step) -> None:
        done = self.before + step.done
        self.progress.update(replace(step, done=done, total=self.total, known=done))

    def note(self, text: str) -> None:
        self.progress.note(text)


def _volume(
    request: LaunchRequest,
    launch: Launch,
    disk: LaunchedDisk,
    volume_id: str,
    parent: SnapshotCore | None,
) -> Volume:
    """What was written, and where."""
    file = written_file(request.directory / disk.file_name)
    return Volume(
        volume_id=volume_id,
        path=str(Path(path_text(request.directory)) / disk.file_name),
        next_parent=parent.snapshot_id if parent is not None else None,
        create_time=launch.launch_time,
        size_bytes=disk.size_bytes,
        snapshot_id=disk.mapping.snapshot_id,
        image_id=launch.image.image_id,
        device_name=disk.mapping.device_name,
        inode=file.inode,
        birth_time=file.birth_time,
        key_id=disk.key_id,
        tags=tags_from(request.tags),
    )


def _remember(
    store: Store, launch: Launch, volumes: list[Volume], surroundings: Surroundings
) -> None:
    """Tell the region; where it cannot be written to, the disks are there all the same."""
    image_id = launch.image.image_id
    launched: dict[str, str | None] = {facts.LAST_LAUNCHED_TIME: launch.launch_time}
    volume_records.record(store, volumes, surroundings)
    with suppress(StorageError, UnsupportedError, NotFoundError):
        store.require_features("write")
        catalog.change_attributes(store, image_id, lambda before: before.with_facts(launched))
    ids = (image_id, *(volume.volume_id for volume in volumes))
    events.record(store, surroundings, "LaunchImage", ids, AVAILABLE)


def _result(folder: Path, launch: Launch, volumes: list[Volume]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ImageId": launch.image.image_id,
        "Directory": str(folder),
        "Document": str(folder / launch_format.DOCUMENT),
        "Script": str(folder / launch_format.SCRIPT),
        "LaunchTime": launch.launch_time,
        "Volumes": [
            volume_shape(volume, DiskState(AVAILABLE, size_bytes=volume.size_bytes))
            for volume in volumes
        ],
    }
    ephemeral = [
        {
            "DeviceName": disk.mapping.device_name,
            "VirtualName": disk.mapping.virtual_name,
            "Path": str(folder / disk.file_name),
            "SizeBytes": disk.size_bytes,
        }
        for disk in launch.disks
        if disk.volume_id is None
    ]
    return result | ({"EphemeralDisks": ephemeral} if ephemeral else {})
