"""ImportImage and ImportSnapshot: disks in any format, from files and buckets, become snapshots.

Nothing is changed inside of the disks, unlike in EC2.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from amictl.errors import DryRunError, UnsupportedError, UsageError
from amictl.formats import task_shapes
from amictl.model import tasks as model
from amictl.model.encryption import EncryptionRequest
from amictl.model.ids import new_id
from amictl.model.images import ImageRequest, image_core, plan_devices
from amictl.model.records import Attributes, ImageCore, PendingImage, SnapshotCore, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.tasks import TaskDisk, TaskRecord
from amictl.model.texts import require_description
from amictl.model.times import timestamp
from amictl.progress import Step
from amictl.store import catalog, events, image_names, tasks
from amictl.store.authenticity import signed_image
from amictl.store.first_data import first_data
from amictl.store.importing import ImportedSnapshots, SourcePlace, import_plan
from amictl.store.ingesting import Volume
from amictl.store.pending import PendingFile, held
from amictl.store.recording import (
    SnapshotPlan,
    complete_snapshot,
    complete_snapshots,
    record_snapshot,
)
from amictl.store.snapshot_states import size_to_map
from amictl.store.store import Store
from amictl.store.tasks import RunningTask
from amictl.store.writing import Writer
from amictl.volumes.freezing import FreezeRequest
from amictl.volumes.imports import DiskContainer, ImportedDisk, opened_disks
from amictl.volumes.inspecting import inspect_disk
from amictl.volumes.targets import require_finished

OnBegun = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ImportSnapshotRequest:
    """One disk to one snapshot."""

    container: DiskContainer
    description: str = ""
    encryption: EncryptionRequest = field(default_factory=EncryptionRequest)
    freeze: FreezeRequest = field(default_factory=FreezeRequest)
    tags: dict[str, str] = field(default_factory=dict)
    snapshot_tags: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ImportImageRequest:
    """Disks to one image, the root disk first; `tags` are those of the task.

    What is None is found out from the root disk; `platform` is windows or linux.
    """

    containers: tuple[DiskContainer, ...]
    description: str = ""
    architecture: str | None = None
    platform: str | None = None
    boot_mode: str | None = None
    encryption: EncryptionRequest = field(default_factory=EncryptionRequest)
    freeze: FreezeRequest = field(default_factory=FreezeRequest)
    tags: dict[str, str] = field(default_factory=dict)
    image_tags: dict[str, str] = field(default_factory=dict)
    snapshot_tags: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Planned:
    """A disk, the container that names it, and the snapshot that is to be made of it."""

    container: DiskContainer
    disk: ImportedDisk
    plan: SnapshotPlan


def import_snapshot(
    store: Store, request: ImportSnapshotRequest, surroundings: Surroundings, on_begun: OnBegun
) -> dict[str, Any]:
    """The task in EC2's shape, once its snapshot is completed.

    `on_begun` is called with its shape when the task shows as active. Raises NotFoundError,
    UsageError (InvalidFormat), UnsupportedError, CorruptStoreError for a damaged file,
    SourceInUseError, StorageError, KeyUnavailableError.
    """
    store.require_features("write")
    require_description(request.description)
    if request.container.snapshot_id is not None:
        raise UsageError(f"{request.container.snapshot_id} is a snapshot already")
    task = model.new_task(model.IMPORT_SNAPSHOT, surroundings)
    text = request.description or f"Created by ImportSnapshot({task.task_id})"
    asked = ImportedSnapshots(request.encryption, text, request.snapshot_tags)
    freeze = request.freeze.without_commands() if request.dry_run else request.freeze
    with _planned(store, (request.container,), freeze, asked, surroundings) as (one,):
        if request.dry_run:
            raise DryRunError
        task = _described(task, (one,), request.description, request.tags)
        task = replace(task, snapshot_ids=(one.plan.work.snapshot_id,))
        with (
            _running(store, task, surroundings) as running,
            held(store, [one.plan.work]) as files,
            Writer(store, surroundings.random_bytes) as writer,
        ):
            on_begun(task_shapes.import_snapshot_task_shape(running.record, deleting=False))
            cores = _read(writer, (one,), files, running, surroundings)
            complete_snapshots(store, cores, [one.plan.work], surroundings)
    ids = (cores[0].snapshot_id, task.task_id)
    events.record(store, surroundings, "ImportSnapshot", ids, "completed")
    return task_shapes.import_snapshot_task_shape(running.record, deleting=False)


def import_image(
    store: Store, request: ImportImageRequest, surroundings: Surroundings, on_begun: OnBegun
) -> dict[str, Any]:
    """The task in EC2's shape, once its image is available; the image is called as the task.

    See `import_snapshot` for `on_begun` and errors. Raises BlockDeviceMappingError,
    SnapshotNotFoundError too.
    """
    store.require_features("write")
    require_description(request.description)
    _require_bootable(request)
    task = model.new_task(model.IMPORT_IMAGE, surroundings)
    image_id = new_id("ami", surroundings.random_bytes)
    devices = plan_devices([one.device_name for one in request.containers], None)
    containers = tuple(
        replace(one, device_name=device)
        for one, device in zip(request.containers, devices, strict=True)
    )
    text = f"Created by ImportImage({task.task_id}) for {image_id}"
    asked = ImportedSnapshots(request.encryption, text, request.snapshot_tags)
    to_read = [one for one in containers if one.snapshot_id is None]
    freeze = request.freeze.without_commands() if request.dry_run else request.freeze
    with _planned(store, to_read, freeze, asked, surroundings) as disks:
        wanted = _image_request(store, request, (task.task_id, image_id), surroundings)
        core = _image_core(store, wanted, containers, disks)
        if request.dry_run:
            raise DryRunError
        task = _described(task, disks, request.description, request.tags)
        facts = {
            model.ARCHITECTURE: request.architecture,
            model.PLATFORM: request.platform,
            model.BOOT_MODE: request.boot_mode,
        }
        task = model.with_facts(task, {key: text for key, text in facts.items() if text})
        image = PendingImage(core, request.description, tags_from(request.image_tags))
        works = [one.plan.work for one in disks]
        snapshot_ids = tuple(work.snapshot_id for work in works)
        task = replace(task, image_id=image_id, snapshot_ids=snapshot_ids)
        reserve = partial(image_names.require_reserved, store, core.name, core.image_id)
        with (
            _running(store, task, surroundings) as running,
            held(store, [*works, image], reserve) as files,
            Writer(store, surroundings.random_bytes) as writer,
        ):
            on_begun(_image_shape(running.record))
            cores = _read(writer, disks, files, running, surroundings)
            for snapshot, work in zip(cores, works, strict=True):
                complete_snapshot(store, snapshot, work, surroundings)
            core = _with_facts(store, core, request)
            attributes = Attributes(image_id, 0, "available", request.description, image.tags)
            catalog.put_image(store, signed_image(store, core), attributes)
    ids = (image_id, *snapshot_ids, task.task_id)
    events.record(store, surroundings, "ImportImage", ids, "available")
    return _image_shape(running.record)


def _image_shape(task: TaskRecord) -> dict[str, Any]:
    """As ImportImage gives it, which does not repeat the boot mode."""
    shape = task_shapes.import_image_task_shape(task, deleting=False)
    shape.pop("BootMode", None)
    return shape


def _require_bootable(request: ImportImageRequest) -> None:
    if not request.containers:
        raise UsageError("no disk was named", code="MissingParameter")
    if request.boot_mode == "uefi-preferred":
        raise UnsupportedError(
            "the boot mode uefi-preferred cannot be imported, as in EC2",
            hint="leave --boot-mode out: what the disk is made for is found out",
        )


@contextmanager
def _planned(
    store: Store,
    containers: Sequence[DiskContainer],
    freeze: FreezeRequest,
    asked: ImportedSnapshots,
    surroundings: Surroundings,
) -> Iterator[tuple[_Planned, ...]]:
    """The disks, open and looked at, in the order of the containers; nothing is written yet."""
    for container in containers:
        if container.path is not None:
            require_finished(container.path, store.marks)
    with opened_disks(containers, freeze, store.storage.staging, surroundings) as disks:
        yield tuple(
            _Planned(container, disk, _plan(store, container, disk, asked, surroundings))
            for container, disk in zip(containers, disks, strict=True)
        )


def _plan(
    store: Store,
    container: DiskContainer,
    disk: ImportedDisk,
    asked: ImportedSnapshots,
    surroundings: Surroundings,
) -> SnapshotPlan:
    source = disk.source
    description = container.description or asked.description
    asked = replace(asked, description=description)
    place = SourcePlace(source.path, source.label, source.identity, source.freeze)
    return import_plan(store, place, disk.size_bytes, asked, surroundings)


def _described(
    task: TaskRecord, disks: Sequence[_Planned], description: str, tags: dict[str, str]
) -> TaskRecord:
    """The task with all that is asked about it later."""
    keys = {one.plan.key_id for one in disks} - {None}
    facts = {model.TAG + key: text for key, text in tags.items()}
    facts[model.ENCRYPTED] = "true" if keys else "false"
    if len(keys) == 1:
        facts[model.KMS_KEY_ID] = str(*keys)
    if description and not keys:
        facts[model.DESCRIPTION] = description
    total = sum(one.disk.size_bytes for one in disks)
    task = replace(model.with_facts(task, facts), total=total)
    return model.with_disks(
        task,
        [
            TaskDisk(
                format=one.disk.format,
                url=one.disk.source.path,
                size_bytes=one.disk.source.size,
                device_name=one.container.device_name,
                description=(one.container.description or None) if not keys else None,
            )
            for one in disks
        ],
    )


@contextmanager
def _running(store: Store, task: TaskRecord, surroundings: Surroundings) -> Iterator[RunningTask]:
    """The task; that it did not end well is an event."""
    operation = model.OPERATIONS[task.kind]
    with tasks.running(store, task, surroundings) as running:
        try:
            yield running
        except BaseException:
            events.record(store, surroundings, operation, (task.task_id,), "failed")
            raise


class _OneOfSeveral:
    """The progress of one disk, as a part of the task."""

    def __init__(self, task: RunningTask, before: int) -> None:
        self._task = task
        self._before = before

    def update(self, step: Step) -> None:
        total = self._task.record.total
        self._task.update(replace(step, done=self._before + step.done, total=total))

    def note(self, text: str) -> None:
        self._task.note(text)


def _read(
    writer: Writer,
    disks: Sequence[_Planned],
    files: Sequence[PendingFile],
    task: RunningTask,
    surroundings: Surroundings,
) -> list[SnapshotCore]:
    """Read all disks and publish what is new; the cores of their snapshots."""
    cores = []
    before = 0
    for one, file in zip(disks, files, strict=False):
        progress = _OneOfSeveral(task, before)
        with one.disk.content() as (segments, read):
            volume = Volume(one.disk.size_bytes, segments, read)
            own = replace(surroundings, progress=progress)
            cores.append(record_snapshot(writer, one.plan, volume, file, own))
        one.disk.source.finish()
        before += one.disk.size_bytes
    writer.publish()
    return cores


def _image_request(
    store: Store,
    request: ImportImageRequest,
    name_and_id: tuple[str, str],
    surroundings: Surroundings,
) -> ImageRequest:
    name, image_id = name_and_id
    return ImageRequest(
        image_id=image_id,
        name=name,
        owner_id=store.config.owner_id,
        creation_date=timestamp(surroundings.now()),
        architecture=request.architecture,
        boot_mode=request.boot_mode,
        platform="windows" if request.platform == "windows" else None,
        mappings=(),
    )


def _image_core(
    store: Store,
    wanted: ImageRequest,
    containers: Sequence[DiskContainer],
    disks: Sequence[_Planned],
) -> ImageCore:
    """The image of all disks: those that are read, and those that are snapshots already."""
    made = iter(disks)
    volumes = {}
    for one in containers:
        if one.snapshot_id is not None:
            snapshot = (one.snapshot_id, size_to_map(store, one.snapshot_id))
        else:
            work = next(made).plan.work
            snapshot = (work.snapshot_id, work.size_bytes)
        volumes[str(one.device_name)] = snapshot
    return image_core(wanted, volumes, partial(size_to_map, store))


def _with_facts(store: Store, core: ImageCore, request: ImportImageRequest) -> ImageCore:
    """The image with what its root disk says of it, where the request says nothing."""
    root = core.mappings[0].snapshot_id
    assert root is not None
    snapshot = catalog.read_snapshot(store, root)
    with first_data(store, snapshot) as descriptor:
        found = inspect_disk(descriptor, snapshot.size_bytes)
    return replace(
        core,
        architecture=request.architecture or found.architecture or core.architecture,
        boot_mode=request.boot_mode or found.boot_mode,
        platform=found.platform if request.platform is None else core.platform,
    )
