"""CreateStoreImageTask: an image becomes one object in a bucket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from amictl.archives import manifests
from amictl.archives.sealing import Sealing, recipients_of
from amictl.archives.segments import REUSE_HALF
from amictl.archives.stream import Sign
from amictl.archives.writing import Packing, require_archivable, write_archive
from amictl.errors import BusyError, DryRunError, KeyUnavailableError
from amictl.model.archives import Manifest, object_key
from amictl.model.records import SnapshotCore
from amictl.model.surroundings import Surroundings
from amictl.model.tasks import ACTIVE, STORE_IMAGE, TaskRecord, kind_of, new_task
from amictl.storage.objects import ObjectBucket, require_key
from amictl.store import tasks
from amictl.store.authenticity import require_authentic
from amictl.store.image_states import available_image, require_on_volumes
from amictl.store.store import Store

OnBegun = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class StoreImageRequest:
    """`bucket_name` is what the user calls the bucket, with the folder in it that `prefix` names.

    `recipients` are those besides the ones of the image's keys; an image that is plain is sealed
    if there are any. `sign` makes the signature. `reuse_from` is as in `archives.writing.Packing`.
    """

    image_id: str
    bucket_name: str
    prefix: str = ""
    object_tags: dict[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    recipients: tuple[str, ...] = ()
    sign: Sign | None = None
    reuse_from: float = REUSE_HALF
    dry_run: bool = False


def store_image(
    store: Store,
    bucket: ObjectBucket,
    request: StoreImageRequest,
    surroundings: Surroundings,
    on_begun: OnBegun,
) -> dict[str, Any]:
    """`{"ObjectKey": …}` once the object is there, whole and durable.

    `on_begun` is called with it as soon as the task can be seen; what fails before that leaves no
    task, what fails at all no object. Raises ImageNotFoundError, SnapshotNotFoundError,
    ConflictError for an image or a snapshot that cannot be stored, ObjectExistsError if the bucket
    has the image already, BusyError if it is on its way there; KeyUnavailableError,
    CorruptStoreError where something is damaged or forged, UnsupportedError, UsageError,
    StorageError.
    """
    store.require_features("write")  # the task is noted
    image, _ = available_image(store, request.image_id)
    require_on_volumes(image)
    disks = manifests.disks_of(store, image)
    require_authentic(store, image)
    for core in disks:
        require_authentic(store, core)
    require_archivable(disks)
    packing = Packing(_sealing(store, disks, request.recipients), request.sign, request.reuse_from)
    manifest = manifests.manifest_of(
        store,
        image,
        disks,
        surroundings.random_bytes(16),
        surroundings.now(),
        is_sealed=packing.sealing is not None,
    )
    own = object_key(image.image_id)
    key = require_key(f"{request.prefix}/{own}" if request.prefix else own)
    planned = _task(request, own, disks, surroundings)
    _require_alone(store, planned)
    wanted = (key, _metadata(manifest), request.object_tags, request.storage_class)
    if request.dry_run:
        bucket.require_new(*wanted)
        raise DryRunError
    with (
        bucket.create(*wanted) as writer,
        tasks.running(store, planned, surroundings) as task,
    ):
        result = {"ObjectKey": own}
        on_begun(result)
        write_archive(store, manifest, disks, writer, packing, task)
        writer.finish()
    return result


def _require_alone(store: Store, planned: TaskRecord) -> None:
    """Raises BusyError while a task is at work that will make the same object.

    Two that begin in the same moment do not see each other: the bucket refuses the later one.
    """
    begun = [task_id for task_id in tasks.at_work(store) if kind_of(task_id) == STORE_IMAGE]
    for task_id in begun:
        task = tasks.seen(store, task_id)
        if task is not None and task.state == ACTIVE and _object_of(task) == _object_of(planned):
            raise BusyError(
                f"{task.image_id} is on its way to {task.bucket} already, by the task {task_id}",
                hint="amictl wait store-image-task-complete --image-ids"
                f" {task.image_id} ends when it is there",
            )


def _object_of(task: TaskRecord) -> tuple[str | None, ...]:
    return task.image_id, task.bucket, task.object_key


def _sealing(
    store: Store, disks: Sequence[SnapshotCore], further: tuple[str, ...]
) -> Sealing | None:
    """How members are sealed; None for a plain image that is wrapped to nobody.

    Raises KeyUnavailableError, UsageError for what is no recipient.
    """
    found = {core.domain: store.key_id(core.domain) for core in disks}
    key_ids = [key_id for key_id in found.values() if key_id is not None]
    if not key_ids and not further:
        return None
    if store.keyring is None:
        raise KeyUnavailableError("there are no keys here to seal the archive to")
    return Sealing(store.keyring, recipients_of(store.keyring, key_ids, further))


def _metadata(manifest: Manifest) -> dict[str, str]:
    """What is said of the object in EC2's words; of an encrypted image nothing that tells what it
    is.
    """
    image = manifest.image
    clear = {
        "ami-registration-date": image.creation_date,
        "ami-owner-account": image.owner_id,
        "ami-store-date": manifest.stored,
    }
    if manifest.encrypted:
        return clear
    return clear | {"ami-name": image.name, "ami-description": image.description}


def _task(
    request: StoreImageRequest,
    own_key: str,
    disks: Sequence[SnapshotCore],
    surroundings: Surroundings,
) -> TaskRecord:
    return replace(
        new_task(STORE_IMAGE, surroundings),
        image_id=request.image_id,
        bucket=request.bucket_name,
        object_key=own_key,
        total=sum(core.size_bytes for core in disks),
    )
