"""CreateImage, CreateSnapshot and CreateSnapshots: disks are frozen, read into the store, and
registered."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from amictl.errors import DryRunError
from amictl.formats import shapes
from amictl.model.ids import new_id, require_id
from amictl.model.images import ImageRequest, image_core, plan_devices, require_name
from amictl.model.records import (
    Attributes,
    PendingImage,
    PendingSnapshot,
    SnapshotCore,
    tags_from,
)
from amictl.model.surroundings import Surroundings
from amictl.model.tags import tags_with
from amictl.model.texts import require_description
from amictl.model.times import timestamp
from amictl.storage.disk import as_storage_error
from amictl.store import catalog, events, image_names, parents, volume_records
from amictl.store.authenticity import signed_image
from amictl.store.encryption import require_encryption_kept
from amictl.store.ingesting import Volume
from amictl.store.pending import PendingFile, Work, unfinished
from amictl.store.recording import (
    SnapshotPlan,
    complete_snapshot,
    complete_snapshots,
    record_snapshot,
)
from amictl.store.snapshot_states import size_to_map
from amictl.store.store import Store
from amictl.store.writing import Writer
from amictl.volumes.extents import all_segments, data_segments, read_segment
from amictl.volumes.freezing import FreezeRequest, FrozenDisk, frozen
from amictl.volumes.inspecting import DiskFacts, inspect_disk
from amictl.volumes.key_labels import labelled_key
from amictl.volumes.rawness import require_raw
from amictl.volumes.sources import Source
from amictl.volumes.targets import is_device, path_text, require_finished

OnSecured = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class CreateSnapshotRequest:
    """One disk to one snapshot. `parent` is auto, none or a snapshot id.

    Without `path` it is the disk of the volume, where it was last.
    """

    path: Path | None
    description: str = ""
    volume_id: str | None = None
    parent: str = "auto"
    tags: dict[str, str] | None = None
    freeze: FreezeRequest = field(default_factory=FreezeRequest)
    full_read: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CreateSnapshotsRequest:
    """Several disks, frozen together, to one snapshot each.

    With `copy_tags` each also gets the tags of its volume; `tags` go before them.
    """

    paths: tuple[Path, ...]
    description: str = ""
    tags: dict[str, str] | None = None
    copy_tags: bool = False
    freeze: FreezeRequest = field(default_factory=FreezeRequest)
    full_read: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CreateImageRequest:
    """One or more disks to one image.

    `disks` are device name or None, and file; the first is the root.
    `block_device_mappings` have EC2's shape.
    """

    name: str
    disks: tuple[tuple[str | None, Path], ...]
    description: str = ""
    architecture: str | None = None
    boot_mode: str | None = None
    root_device_name: str | None = None
    image_tags: dict[str, str] | None = None
    snapshot_tags: dict[str, str] | None = None
    block_device_mappings: tuple[dict[str, Any], ...] = ()
    freeze: FreezeRequest = field(default_factory=FreezeRequest)
    full_read: bool = False
    dry_run: bool = False


def create_snapshot(
    store: Store, request: CreateSnapshotRequest, surroundings: Surroundings, on_secured: OnSecured
) -> dict[str, Any]:
    """The snapshot, in EC2's shape, once it is completed.

    `on_secured` is called with its shape, pending, as soon as nothing depends on the disk any
    more. Raises VolumeNotFoundError, UsageError, SourceInUseError, SourceChangedError,
    UnsupportedError, StorageError; once there is an id, a failure leaves a snapshot in state
    `error` that says why.
    """
    store.require_features("write")
    require_description(request.description)
    path = volume_records.disk_path(store, request.volume_id, request.path)
    if request.parent not in ("auto", "none"):
        catalog.read_snapshot(store, require_id("snap", request.parent))
    freeze = request.freeze.without_commands() if request.dry_run else request.freeze
    wanted = (request.volume_id, request.parent)
    with _frozen(store, [path], freeze, surroundings, *wanted) as ((disk,), (key_id,)):
        if request.dry_run:
            raise DryRunError
        snapshot_id = new_id("snap", surroundings.random_bytes)
        work = _pending_snapshot(store, disk, snapshot_id, request.volume_id)
        work = replace(work, description=request.description, tags=tags_from(request.tags or {}))
        plan = SnapshotPlan(work, disk.identity, request.parent, key_id, request.full_read)

        def secured() -> None:
            on_secured(shapes.pending_snapshot_shape(work, alive=True, key_id=key_id))

        (shape,) = _take(store, "CreateSnapshot", (disk,), [plan], surroundings, secured)
        return shape


def create_snapshots(
    store: Store, request: CreateSnapshotsRequest, surroundings: Surroundings, on_secured: OnSecured
) -> dict[str, Any]:
    """`{"Snapshots": […]}` in the order of the disks, once all are completed; of one start time.

    See `create_snapshot` for `on_secured` and errors. When one fails, all show `error`.
    """
    store.require_features("write")
    require_description(request.description)
    freeze = request.freeze.without_commands() if request.dry_run else request.freeze
    with _frozen(store, request.paths, freeze, surroundings) as (disks, keys):
        start_time = min(disk.freeze.moment for disk in disks)
        plans = []
        for disk, key_id in zip(disks, keys, strict=True):
            work = _pending_snapshot(store, disk, new_id("snap", surroundings.random_bytes), None)
            copied = volume_records.tags_of(store, work.volume_id) if request.copy_tags else ()
            tags = tags_with(copied, request.tags or {})
            work = replace(work, description=request.description, tags=tags, start_time=start_time)
            plans.append(SnapshotPlan(work, disk.identity, "auto", key_id, request.full_read))
        if request.dry_run:
            raise DryRunError

        def secured() -> None:
            on_secured(
                _infos(
                    shapes.pending_snapshot_shape(plan.work, alive=True, key_id=key_id)
                    for plan, key_id in zip(plans, keys, strict=True)
                )
            )

        return _infos(_take(store, "CreateSnapshots", disks, plans, surroundings, secured))


def _infos(snapshots: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"Snapshots": [shapes.snapshot_info_shape(snapshot) for snapshot in snapshots]}


def create_image(
    store: Store, request: CreateImageRequest, surroundings: Surroundings, on_secured: OnSecured
) -> dict[str, Any]:
    """`{"ImageId": …}` once the image is available.

    See `create_snapshot` for `on_secured` and errors.
    Raises ImageNameDuplicateError if the name is taken.
    """
    store.require_features("write")
    require_name(request.name)
    require_description(request.description)
    image_names.require_free(store, request.name)
    devices = plan_devices([device for device, _ in request.disks], request.root_device_name)
    image_id = new_id("ami", surroundings.random_bytes)
    freeze = request.freeze.without_commands() if request.dry_run else request.freeze
    paths = [path for _, path in request.disks]
    with _frozen(store, paths, freeze, surroundings) as (disks, keys):
        plans = [
            _plan(store, disk, key_id, image_id, request, surroundings)
            for disk, key_id in zip(disks, keys, strict=True)
        ]
        volumes = {
            device: (plan.work.snapshot_id, plan.work.size_bytes)
            for device, plan in zip(devices, plans, strict=True)
        }
        wanted = _image_request(store, disks[0], image_id, request, surroundings)
        core = image_core(wanted, volumes, partial(size_to_map, store))
        known = dict(zip(devices, keys, strict=True))
        require_encryption_kept(store, core, request.block_device_mappings, known)
        if request.dry_run:
            raise DryRunError
        image = PendingImage(core, request.description, tags_from(request.image_tags or {}))
        works: list[Work] = [*(plan.work for plan in plans), image]

        def secured() -> None:
            on_secured({"ImageId": image_id})

        with (
            unfinished(
                store,
                "CreateImage",
                works,
                surroundings,
                lambda: image_names.require_reserved(store, core.name, core.image_id),
            ) as files,
            Writer(store, surroundings.random_bytes) as writer,
        ):
            cores = _read_disks(disks, plans, files, writer, surroundings, secured)
            for snapshot, plan in zip(cores, plans, strict=True):
                complete_snapshot(store, snapshot, plan.work, surroundings)
            attributes = Attributes(image_id, 0, "available", request.description, image.tags)
            catalog.put_image(store, signed_image(store, core), attributes)
            ids = (image_id, *(plan.work.snapshot_id for plan in plans))
            events.record(store, surroundings, "CreateImage", ids, "available")
            return {"ImageId": image_id}


def _take(
    store: Store,
    operation: str,
    disks: Sequence[FrozenDisk],
    plans: Sequence[SnapshotPlan],
    surroundings: Surroundings,
    secured: Callable[[], None],
) -> list[dict[str, Any]]:
    """Make a snapshot of each disk, or of none if one fails; their shapes."""
    works = [plan.work for plan in plans]
    with (
        unfinished(store, operation, works, surroundings) as files,
        Writer(store, surroundings.random_bytes) as writer,
    ):
        cores = _read_disks(disks, plans, files, writer, surroundings, secured)
        written = complete_snapshots(store, cores, works, surroundings)
        ids = tuple(core.snapshot_id for core in cores)
        events.record(store, surroundings, operation, ids, "completed")
    return [
        shapes.snapshot_shape(core, attributes, store.key_id(core.domain))
        for core, attributes in written
    ]


def _image_request(
    store: Store,
    root: FrozenDisk,
    image_id: str,
    request: CreateImageRequest,
    surroundings: Surroundings,
) -> ImageRequest:
    """What was asked for, and where nothing was, what the root disk says."""
    facts = _inspected(root)
    return ImageRequest(
        image_id=image_id,
        name=request.name,
        owner_id=store.config.owner_id,
        creation_date=timestamp(surroundings.now()),
        architecture=request.architecture or facts.architecture,
        boot_mode=request.boot_mode or facts.boot_mode,
        platform=facts.platform,
        mappings=request.block_device_mappings,
    )


def _plan(
    store: Store,
    disk: FrozenDisk,
    key_id: str | None,
    image_id: str,
    request: CreateImageRequest,
    surroundings: Surroundings,
) -> SnapshotPlan:
    snapshot_id = new_id("snap", surroundings.random_bytes)
    work = _pending_snapshot(store, disk, snapshot_id, None)
    work = replace(
        work,
        description=f"Created by CreateImage({work.volume_id}) for {image_id}",
        tags=tags_from(request.snapshot_tags or {}),
    )
    return SnapshotPlan(work, disk.identity, "auto", key_id, request.full_read)


def _pending_snapshot(
    store: Store,
    disk: FrozenDisk,
    snapshot_id: str,
    volume_id: str | None,
) -> PendingSnapshot:
    path = path_text(disk.path)
    return PendingSnapshot(
        snapshot_id=snapshot_id,
        volume_id=volume_id or store.volume_id(path),
        owner_id=store.config.owner_id,
        size_bytes=disk.size_bytes,
        start_time=disk.freeze.moment,
        freeze=disk.freeze,
        path=path,
        description="",
        tags=(),
        total=disk.size_bytes,
    )


@contextmanager
def _frozen(
    store: Store,
    paths: Sequence[Path],
    request: FreezeRequest,
    surroundings: Surroundings,
    volume_id: str | None = None,
    parent: str = "auto",
) -> Iterator[tuple[tuple[FrozenDisk, ...], list[str | None]]]:
    """The disks, and the keys of what is made of them: these are at hand before anything begins."""
    keys: list[str | None] = []

    def choose(sources: Sequence[Source]) -> None:
        for source in sources:
            label = labelled_key(source.descriptor, source.path, surroundings.progress)
            place = path_text(source.path)
            disk = parents.Disk(volume_id or store.volume_id(place), place, parent, label)
            keys.append(parents.require_key(store, disk, surroundings))

    for path in paths:
        require_finished(path, store.marks)
    staging = store.storage.staging
    with frozen(paths, request, staging=staging, now=surroundings.now, opened=choose) as disks:
        for disk in disks:
            with _reading(disk):
                require_raw(disk.descriptor, disk.path)
        yield disks, keys


def _inspected(disk: FrozenDisk) -> DiskFacts:
    with _reading(disk):
        return inspect_disk(disk.descriptor, disk.size_bytes)


@contextmanager
def _reading(disk: FrozenDisk) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise as_storage_error(error, "read", disk.path) from error


def _read_disks(
    disks: Sequence[FrozenDisk],
    plans: Sequence[SnapshotPlan],
    files: Sequence[PendingFile],
    writer: Writer,
    surroundings: Surroundings,
    secured: Callable[[], None],
) -> list[SnapshotCore]:
    """Read all disks, say when nothing depends on them any more, and publish what is new."""
    early = all(disk.secured for disk in disks)
    if early:
        secured()
    cores = []
    for disk, plan, file in zip(disks, plans, files, strict=False):
        cores.append(record_snapshot(writer, plan, _volume(disk), file, surroundings))
        disk.finish_reading()
    if not early:
        secured()
    writer.publish()
    return cores


def _volume(disk: FrozenDisk) -> Volume:
    """How to read a frozen disk: every read first makes sure that the moment is still held."""
    started = time.monotonic()
    path = str(disk.path)
    read_bytes = 0

    def read(offset: int, target: memoryview) -> None:
        nonlocal read_bytes
        elapsed = max(time.monotonic() - started, 0.001)
        disk.require_held(disk.size_bytes - offset, read_bytes / elapsed)
        read_segment(disk.descriptor, offset, target, path)
        read_bytes += len(target)

    whole = is_device(disk.path) and not disk.has_own_file
    segments = (
        all_segments(disk.size_bytes) if whole else data_segments(disk.descriptor, disk.size_bytes)
    )
    return Volume(disk.size_bytes, segments, read)
