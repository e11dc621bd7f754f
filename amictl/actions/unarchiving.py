"""CreateRestoreImageTask, and looking at archives: what is in them, and whether it is sound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from amictl.archives.contents import Contents, read_contents
from amictl.archives.reading import Archive, open_archive, require_trusted, signed_by
from amictl.archives.restored import (
    RestoredDisk,
    complete_disk,
    key_of_restored,
    planned_disk,
    record_disk,
)
from amictl.archives.sealed import OpenKey
from amictl.archives.verifying import verify_disk, verify_members
from amictl.errors import DryRunError, KeyUnavailableError
from amictl.formats import archive_shapes
from amictl.keys.public_keys import PublicKey
from amictl.model import facts
from amictl.model.archives import ArchivedImage
from amictl.model.ids import new_id
from amictl.model.images import require_name
from amictl.model.records import Attributes, ImageCore, PendingImage, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.tags import tags_with
from amictl.model.tasks import RESTORE_IMAGE, TaskRecord, new_task
from amictl.model.times import timestamp
from amictl.progress import Progress, Step
from amictl.storage.objects import ObjectSource
from amictl.store import catalog, events, image_names, tasks
from amictl.store.authenticity import signed_image
from amictl.store.image_states import AVAILABLE
from amictl.store.pending import PendingFile, Work, unfinished
from amictl.store.recording import SavedProgress
from amictl.store.store import Store
from amictl.store.tasks import RunningTask
from amictl.store.writing import Writer

OnBegun = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class RestoreImageRequest:
    """`bucket` and `object_key` are as the user wrote them, for the task.

    Without a name the image gets the one it had. Tags go before those of the archive; `kms_key_id`
    is for all disks. If there are `trusted` keys, one of them must have signed the archive.
    """

    bucket: str
    object_key: str
    name: str | None = None
    image_tags: dict[str, str] | None = None
    snapshot_tags: dict[str, str] | None = None
    kms_key_id: str | None = None
    trusted: tuple[PublicKey, ...] = ()
    dry_run: bool = False


class _Together:
    """Tells the steps of one disk after the other as steps of all of them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._before = self._last = Step("", 0, total)

    def update(self, step: Step) -> None:
        before = self._before
        self._last = Step(
            step.what,
            before.done + step.done,
            before.total,
            before.new + step.new,
            before.known + step.known,
            before.zero + step.zero,
        )
        self._progress.update(self._last)

    def note(self, text: str) -> None:
        self._progress.note(text)

    def go_on(self) -> None:
        """A disk is done."""
        self._before = self._last


class _Planned(NamedTuple):
    """The new image, and the disks that it will map."""

    image: PendingImage
    disks: list[RestoredDisk]


def restore_image(
    store: Store,
    source: ObjectSource,
    open_key: OpenKey,
    request: RestoreImageRequest,
    surroundings: Surroundings,
    on_begun: OnBegun,
) -> dict[str, Any]:
    """`{"ImageId": …}` once the image is available.

    `on_begun` is called with it as soon as the image shows as pending. Raises InvalidArchiveError,
    also for an archive that nobody who is trusted signed; UnsupportedError, UsageError,
    ImageNameDuplicateError, KeyNotFoundError, KeyUnavailableError, StorageError. Once there is an
    id, a failure leaves an image in state `failed` that says why.
    """
    store.require_features("write")
    contents = read_contents(source)
    require_trusted(source, contents, request.trusted)
    archive = open_archive(source, contents, open_key)
    image, disks = _planned(store, archive, request, surroundings)
    if request.dry_run:
        raise DryRunError
    core = image.image
    works: list[Work] = [*(disk.work for disk in disks), image]
    ids = (core.image_id, *(disk.work.snapshot_id for disk in disks))
    with (
        tasks.running(store, _task(request, ids, archive, surroundings), surroundings) as task,
        unfinished(
            store,
            "CreateRestoreImageTask",
            works,
            surroundings,
            lambda: image_names.require_reserved(store, core.name, core.image_id),
        ) as files,
        Writer(store, surroundings.random_bytes) as writer,
    ):
        on_begun({"ImageId": core.image_id})
        new_bytes = _restore_disks(writer, archive, disks, files, task, surroundings)
        attributes = Attributes(core.image_id, 0, AVAILABLE, image.description, image.tags)
        catalog.put_image(store, signed_image(store, core), attributes)
        events.record(store, surroundings, "CreateRestoreImageTask", ids, AVAILABLE)
    return {"ImageId": core.image_id, "Amictl": {"NewBytes": new_bytes}}


def describe_archive(
    source: ObjectSource, open_key: OpenKey, trusted: Sequence[PublicKey]
) -> dict[str, Any]:
    """What is in an archive and who signed it; its disks are not read.

    Where no key opens it, what is not sealed of it. Raises InvalidArchiveError, UnsupportedError,
    StorageError.
    """
    contents = read_contents(source)
    archive = _opened(source, contents, open_key)
    return _shape(source, contents, archive, trusted)


def verify_archive(
    source: ObjectSource,
    open_key: OpenKey,
    trusted: Sequence[PublicKey],
    progress: Progress,
) -> dict[str, Any]:
    """The same, when everything in it was read and found to be right.

    `Content` is `verified`; or `sealed`, where no key opens it and only digests were compared.
    Raises as `restore_image` does for archives.
    """
    contents = read_contents(source)
    require_trusted(source, contents, trusted)
    archive = _opened(source, contents, open_key)
    if archive is None:
        verify_members(source, contents, progress)
    else:
        together = _Together(progress, _size(archive))
        for number in range(len(archive.manifest.disks)):
            verify_disk(archive, number, together)
            together.go_on()
    shape = _shape(source, contents, archive, trusted)
    return shape | {"Content": "sealed" if archive is None else "verified"}


def _opened(source: ObjectSource, contents: Contents, open_key: OpenKey) -> Archive | None:
    """The archive, or None if no key opens it."""
    try:
        return open_archive(source, contents, open_key)
    except KeyUnavailableError:
        return None


def _shape(
    source: ObjectSource,
    contents: Contents,
    archive: Archive | None,
    trusted: Sequence[PublicKey],
) -> dict[str, Any]:
    signer = signed_by(contents, trusted)
    return archive_shapes.archive_shape(
        contents.members,
        archive.manifest if archive else None,
        location=source.where,
        size_bytes=source.size,
        is_signed=contents.signature is not None,
        signer=signer.fingerprint if signer else None,
        is_trusted=signer is not None if trusted else None,
    )


def _planned(
    store: Store, archive: Archive, request: RestoreImageRequest, surroundings: Surroundings
) -> _Planned:
    """Raises what `restore_image` raises; nothing is written."""
    archived = archive.manifest.image
    name = request.name or archived.name
    require_name(name)
    image_names.require_free(store, name)
    image_tags = tags_with(archived.tags, request.image_tags or {})
    disks = []
    for number, disk in enumerate(archive.manifest.disks):
        key_id = key_of_restored(store, disk, request.kms_key_id, surroundings)
        tags = tags_with(disk.tags, request.snapshot_tags or {})
        disks.append(planned_disk(store, archive, number, key_id, tags, surroundings))
    new_ids = {
        disk.snapshot_id: plan.work.snapshot_id
        for disk, plan in zip(archive.manifest.disks, disks, strict=True)
    }
    core = _image_core(store, archived, name, new_ids, surroundings)
    return _Planned(PendingImage(core, archived.description, image_tags), disks)


def _size(archive: Archive) -> int:
    """Bytes of all disks."""
    return sum(disk.size_bytes for disk in archive.manifest.disks)


def _image_core(
    store: Store,
    archived: ArchivedImage,
    name: str,
    new_ids: dict[str, str],
    surroundings: Surroundings,
) -> ImageCore:
    mappings = tuple(
        replace(one, snapshot_id=new_ids[one.snapshot_id]) if one.snapshot_id else one
        for one in archived.mappings
    )
    return ImageCore(
        image_id=new_id("ami", surroundings.random_bytes),
        name=name,
        owner_id=store.config.owner_id,
        creation_date=timestamp(surroundings.now()),
        architecture=archived.architecture,
        boot_mode=archived.boot_mode,
        platform=archived.platform,
        root_device_name=archived.root_device_name,
        mappings=mappings,
        further=tags_from({facts.SOURCE_IMAGE: archived.image_id}),
    )


def _task(
    request: RestoreImageRequest,
    ids: tuple[str, ...],
    archive: Archive,
    surroundings: Surroundings,
) -> TaskRecord:
    return replace(
        new_task(RESTORE_IMAGE, surroundings),
        image_id=ids[0],
        snapshot_ids=ids[1:],
        bucket=request.bucket,
        object_key=request.object_key,
        total=_size(archive),
    )


def _restore_disks(
    writer: Writer,
    archive: Archive,
    disks: Sequence[RestoredDisk],
    files: Sequence[PendingFile],
    task: RunningTask,
    surroundings: Surroundings,
) -> int:
    """Restore and record all disks; how many bytes that added."""
    cores = []
    together = _Together(task, task.record.total)
    for disk, file in zip(disks, files, strict=False):
        progress = SavedProgress(together, disk.work, file)
        cores.append(record_disk(writer, archive, disk, progress, surroundings))
        together.go_on()
    writer.publish()
    for core, disk in zip(cores, disks, strict=True):
        complete_disk(writer.store, core, disk, surroundings)
    return sum(core.new_bytes for core in cores)
