"""ExportImage: the disk of an image as a file in a bucket, for other virtual machine monitors."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from amictl.errors import DryRunError, UnsupportedError
from amictl.formats import task_shapes
from amictl.model import tasks as model
from amictl.model.blockmap import SEGMENT_SIZE
from amictl.model.records import ImageCore, SnapshotCore
from amictl.model.surroundings import Surroundings
from amictl.model.tasks import TaskRecord
from amictl.model.texts import require_description
from amictl.progress import Progress
from amictl.storage.disk import as_storage_error
from amictl.storage.objects import ObjectBucket, ObjectWriter
from amictl.store import catalog, tasks
from amictl.store.authenticity import require_authentic
from amictl.store.image_states import AVAILABLE, registered_image, require_on_volumes, unavailable
from amictl.store.lineages import is_encrypted
from amictl.store.serving import ServedSnapshot
from amictl.store.store import Store
from amictl.volumes.converting import SECTOR_SIZE, convert, require_converter
from amictl.volumes.reflinks import unnamed_file

OnBegun = Callable[[dict[str, Any]], None]
RAW = "RAW"


@dataclass(frozen=True, slots=True)
class _Format:
    """How qemu-img writes a format, and the largest disk that it can be of."""

    suffix: str
    options: tuple[str, ...]
    most_bytes: int


FORMATS = {
    RAW: _Format("raw", (), 1 << 62),
    "VMDK": _Format("vmdk", ("-O", "vmdk", "-o", "subformat=streamOptimized"), 2 << 40),
    # The size as it is: else it would be rounded up to whole cylinders.
    "VHD": _Format("vhd", ("-O", "vpc", "-o", "subformat=dynamic,force_size=on"), 2040 << 30),
    "QCOW2": _Format("qcow2", ("-O", "qcow2"), 1 << 62),
}
_OF_EC2 = (RAW, "VMDK", "VHD")


@dataclass(frozen=True, slots=True)
class ExportImageRequest:
    """`disk_image_format` is one of FORMATS; `bucket` is as the user wrote it.

    `prefix` is what the key begins with, in the folder of the bucket that it names.
    """

    image_id: str
    disk_image_format: str
    bucket: str
    folder: str = ""
    prefix: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


def export_image(
    store: Store,
    bucket: ObjectBucket,
    request: ExportImageRequest,
    surroundings: Surroundings,
    on_begun: OnBegun,
) -> dict[str, Any]:
    """The task in EC2's shape, once the file is in the bucket, whole and durable.

    `on_begun` is called with its shape when the task shows as active. Raises ImageNotFoundError;
    ConflictError for an image that is not available; UnsupportedError for one that is encrypted,
    has several disks, or is too large for the format; BucketNotFoundError, StorageError;
    CorruptStoreError names the damaged ranges.
    """
    store.require_features("write")
    require_description(request.description)
    how = FORMATS[request.disk_image_format]
    core = _disk_of(store, _available(store, request.image_id))
    if core.size_bytes > how.most_bytes:
        raise UnsupportedError(
            f"a {request.disk_image_format} has at most {how.most_bytes} bytes, and the disk of"
            f" {request.image_id} {core.size_bytes}",
            hint="use --disk-image-format RAW or QCOW2",
        )
    if how.options:
        require_converter()
    task = _described(model.new_task(model.EXPORT_IMAGE, surroundings), request, how, core)
    assert task.object_key is not None
    bucket.exists(task.object_key)
    if request.dry_run:
        raise DryRunError
    with (
        tasks.running(store, task, surroundings) as running,
        bucket.create(task.object_key, {}, {}, None) as writer,
    ):
        on_begun(_shape(running.record))
        if how.options:
            _write_converted(store, core, how, writer, running)
        else:
            _write_raw(store, core, writer, running)
        writer.finish()
    return _shape(running.record)


def _available(store: Store, image_id: str) -> ImageCore:
    image, attributes = registered_image(store, image_id)
    if attributes.state != AVAILABLE:
        raise unavailable(
            image_id,
            hint=f"it is {attributes.state}: amictl enable-image --image-id {image_id}",
        )
    require_authentic(store, image)
    return image


def _disk_of(store: Store, image: ImageCore) -> SnapshotCore:
    """The only disk of an image, if it may be exported."""
    require_on_volumes(image)
    mapped = [one.snapshot_id for one in image.mappings if one.snapshot_id is not None]
    cores = [catalog.read_snapshot(store, snapshot_id) for snapshot_id in mapped]
    if any(map(is_encrypted, cores)):
        raise UnsupportedError(
            f"{image.image_id} is encrypted, and no format of others would keep it so",
            hint="create-store-image-task makes an encrypted archive of it; launch-image writes"
            " its disks in plain",
        )
    if len(cores) != 1:
        raise UnsupportedError(
            f"{image.image_id} has {len(cores)} disks, and a file holds one",
            hint="launch-image writes all of them; or register one alone, with register-image",
        )
    return cores[0]


def _described(
    task: TaskRecord, request: ExportImageRequest, how: _Format, core: SnapshotCore
) -> TaskRecord:
    facts = {model.TAG + key: text for key, text in request.tags.items()}
    facts[model.DISK_IMAGE_FORMAT] = request.disk_image_format
    if request.description:
        facts[model.DESCRIPTION] = request.description
    folder = f"{request.folder}/" if request.folder else ""
    return replace(
        model.with_facts(task, facts),
        image_id=request.image_id,
        bucket=request.bucket,
        object_key=f"{folder}{request.prefix}{task.task_id}.{how.suffix}",
        total=core.size_bytes,
    )


def _shape(task: TaskRecord) -> dict[str, Any]:
    """As ExportImage gives it, which repeats the format; one that EC2 has not is among ours."""
    shape = task_shapes.export_image_task_shape(task, deleting=False)
    member = {"DiskImageFormat": task.fact(model.DISK_IMAGE_FORMAT)}
    if member["DiskImageFormat"] in _OF_EC2:
        return member | shape
    return shape | {"Amictl": shape["Amictl"] | member}


def _write_raw(store: Store, core: SnapshotCore, writer: ObjectWriter, progress: Progress) -> None:
    with ServedSnapshot(store, core, core.size_bytes, progress) as disk:
        for offset in range(0, core.size_bytes, SEGMENT_SIZE):
            writer.write(bytes(disk.read(offset, min(SEGMENT_SIZE, core.size_bytes - offset))))


def _write_converted(
    store: Store, core: SnapshotCore, how: _Format, writer: ObjectWriter, progress: Progress
) -> None:
    """Through a file without a name, since most formats are not written from front to back.

    They count in sectors: a disk that ends inside of one is filled up with zeros.
    """
    staging = store.storage.staging
    size = -(-core.size_bytes // SECTOR_SIZE) * SECTOR_SIZE
    try:
        target = unnamed_file(staging)
    except OSError as error:
        raise as_storage_error(error, "create a file in", staging) from error
    try:
        with ServedSnapshot(store, core, size, progress) as disk:
            convert(disk, target, Path(f"{core.snapshot_id}.{how.suffix}"), how.options)
        _copy(target, staging, writer)
    finally:
        os.close(target)


def _copy(source: int, staging: Path, writer: ObjectWriter) -> None:
    position = 0
    while True:
        try:
            data = os.pread(source, SEGMENT_SIZE, position)
        except OSError as error:
            raise as_storage_error(error, "read a file in", staging) from error
        if not data:
            return
        writer.write(data)
        position += len(data)
