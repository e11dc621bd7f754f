"""Tasks: work on a whole image or disk, how far it is, and what became of it.

amictl-store(5), TASKS.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from amictl.model.ids import new_id
from amictl.model.records import Count, ImageId, SnapshotId, Tag, TaskId, tags_from
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp

STORE_IMAGE = "store-image"
RESTORE_IMAGE = "restore-image"
IMPORT_IMAGE = "import-image"
IMPORT_SNAPSHOT = "import-snapshot"
EXPORT_IMAGE = "export-image"

PREFIXES = {
    STORE_IMAGE: "store",
    RESTORE_IMAGE: "restore-ami",
    IMPORT_IMAGE: "import-ami",
    IMPORT_SNAPSHOT: "import-snap",
    EXPORT_IMAGE: "export-ami",
}
"""What the ids of tasks begin with, by their kinds."""

OPERATIONS = {
    STORE_IMAGE: "CreateStoreImageTask",
    RESTORE_IMAGE: "CreateRestoreImageTask",
    IMPORT_IMAGE: "ImportImage",
    IMPORT_SNAPSHOT: "ImportSnapshot",
    EXPORT_IMAGE: "ExportImage",
}
"""EC2's names for what begins a task, by kinds."""

ACTIVE = "active"
COMPLETED = "completed"
FAILED = "failed"
CANCELLED = "cancelled"
STATES = (ACTIVE, COMPLETED, FAILED, CANCELLED)

DAYS_KEPT = 31
"""So long a task is shown, counted from when it began."""

# Keys of `further`.
DESCRIPTION = "description"
ARCHITECTURE = "architecture"
BOOT_MODE = "boot-mode"
PLATFORM = "platform"
ENCRYPTED = "encrypted"
"""`true` or `false`."""
KMS_KEY_ID = "kms-key-id"
DISK_IMAGE_FORMAT = "disk-image-format"
"""Of an export: RAW, VMDK, VHD or QCOW2."""
TAG = "tag:"
"""A user's tag of the task has this before its key."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task. `done` and `total` are bytes of the disks; 0 of 0 is not known yet.

    `message` is why it failed or was cancelled, or what a user should know else. `bucket` is as
    the user wrote it. Of encrypted images neither names nor descriptions belong in here.
    """

    task_id: TaskId
    kind: str
    start_time: str
    state: str = ACTIVE
    image_id: ImageId | None = None
    snapshot_ids: tuple[SnapshotId, ...] = ()
    bucket: str | None = None
    object_key: str | None = None
    end_time: str | None = None
    done: Count = 0
    total: Count = 0
    message: str | None = None
    further: tuple[Tag, ...] = ()

    def fact(self, key: str) -> str | None:
        """What `further` has under a key."""
        return next((tag.value for tag in self.further if tag.key == key), None)

    @property
    def percentage(self) -> int:
        """How far it is: 100 only when it is completed."""
        if self.state == COMPLETED:
            return 100
        return min(99, self.done * 100 // self.total) if self.total else 0

    @property
    def tags(self) -> tuple[Tag, ...]:
        """The user's tags of the task."""
        found = (tag for tag in self.further if tag.key.startswith(TAG))
        return tuple(Tag(tag.key.removeprefix(TAG), tag.value) for tag in found)


@dataclass(frozen=True, slots=True)
class TaskCancellation:
    """That somebody wants a task to end; its worker looks for it."""

    task_id: TaskId
    time: str
    reason: str


@dataclass(frozen=True, slots=True)
class TaskDisk:
    """One disk of an import, in the order of the snapshots that it makes.

    `url` is where it comes from: a path, or a URL; `format` is EC2's word, such as VMDK.
    """

    format: str
    url: str
    size_bytes: int | None = None
    device_name: str | None = None
    description: str | None = None


def new_task(kind: str, surroundings: Surroundings) -> TaskRecord:
    """A task of this kind that begins now; what it is about is added with `replace`."""
    task_id = new_id(PREFIXES[kind], surroundings.random_bytes)
    return TaskRecord(task_id, kind, timestamp(surroundings.now()))


def kind_of(task_id: str) -> str | None:
    """The kind of task that has such an id; None for ids of other things."""
    prefix = task_id.rpartition("-")[0]
    return next((kind for kind, own in PREFIXES.items() if own == prefix), None)


def oldest_shown(now: datetime) -> str:
    """What began before this time is not shown any more, and is removed some day."""
    return timestamp(now - timedelta(days=DAYS_KEPT))


def with_disks(task: TaskRecord, disks: Sequence[TaskDisk]) -> TaskRecord:
    """The same with the disks that it imports."""
    members = {
        f"disk-{number}.{name}": str(value)
        for number, disk in enumerate(disks)
        for name, value in _members(disk)
        if value is not None
    }
    return with_facts(task, members)


def with_facts(task: TaskRecord, facts: dict[str, str]) -> TaskRecord:
    """The same with these facts in `further`."""
    return replace(task, further=tags_from({tag.key: tag.value for tag in task.further} | facts))


def disks_of(task: TaskRecord) -> tuple[TaskDisk, ...]:
    """The disks that a task imports, as `with_disks` noted them."""
    disks: list[TaskDisk] = []
    while (url := task.fact(f"disk-{len(disks)}.url")) is not None:
        place = f"disk-{len(disks)}."
        size = task.fact(place + "size-bytes")
        disks.append(
            TaskDisk(
                task.fact(place + "format") or "RAW",
                url,
                int(size) if size is not None and size.isascii() and size.isdigit() else None,
                task.fact(place + "device-name"),
                task.fact(place + "description"),
            )
        )
    return tuple(disks)


def _members(disk: TaskDisk) -> tuple[tuple[str, object], ...]:
    return (
        ("format", disk.format),
        ("url", disk.url),
        ("size-bytes", disk.size_bytes),
        ("device-name", disk.device_name),
        ("description", disk.description),
    )
