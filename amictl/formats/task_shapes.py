"""Tasks in the shapes of EC2's answers. What EC2 has no member for is in the member `Amictl`."""

from typing import Any

from amictl.model import tasks
from amictl.model.tasks import ACTIVE, CANCELLED, COMPLETED, FAILED, TaskDisk, TaskRecord, disks_of

Shape = dict[str, Any]

DELETING = "deleting"
"""What EC2 calls a task that was cancelled, and whose worker has not noticed yet."""

_TRANSFER_STATES = {
    ACTIVE: "InProgress",
    COMPLETED: "Completed",
    FAILED: "Failed",
    CANCELLED: "Failed",
}
_STATES = {ACTIVE: ACTIVE, COMPLETED: COMPLETED, FAILED: "deleted", CANCELLED: "deleted"}
_SNAPSHOT_STATES = {**_STATES, FAILED: "error"}
"""EC2's waiter for imported snapshots knows `error`; elsewhere what failed is deleted."""

_GIBIBYTE = 1 << 30


def store_task_shape(task: TaskRecord) -> Shape:
    """A store task, as DescribeStoreImageTasks gives it."""
    return _transfer(task, "Store")


def restore_task_shape(task: TaskRecord) -> Shape:
    """A restore task, which EC2 cannot describe, in the same shape; `AmiId` is the new image."""
    return _transfer(task, "Restore")


def import_image_task_shape(task: TaskRecord, *, deleting: bool) -> Shape:
    """As DescribeImportImageTasks gives it."""
    status = _status(task, _STATES, deleting=deleting)
    details = [_snapshot_detail(task, number, status) for number in range(len(disks_of(task)))]
    shape = {
        "Architecture": task.fact(tasks.ARCHITECTURE),
        "Description": task.fact(tasks.DESCRIPTION),
        **_encryption(task),
        "ImageId": task.image_id if task.state == COMPLETED else None,
        "ImportTaskId": task.task_id,
        "Platform": task.fact(tasks.PLATFORM),
        **_progress(task),
        "SnapshotDetails": details,
        "Status": status,
        "StatusMessage": task.message,
        **_tags(task),
        "BootMode": task.fact(tasks.BOOT_MODE),
        "Amictl": _ours(task),
    }
    return _without_absent(shape)


def import_snapshot_task_shape(task: TaskRecord, *, deleting: bool) -> Shape:
    """As DescribeImportSnapshotTasks gives it."""
    status = _status(task, _SNAPSHOT_STATES, deleting=deleting)
    detail = _snapshot_detail(task, 0, status)
    detail.pop("DeviceName", None)
    shape = {
        "Description": task.fact(tasks.DESCRIPTION),
        "ImportTaskId": task.task_id,
        "SnapshotTaskDetail": _without_absent({**detail, **_encryption(task)}),
        **_tags(task),
        "Amictl": _ours(task),
    }
    return _without_absent(shape)


def export_image_task_shape(task: TaskRecord, *, deleting: bool) -> Shape:
    """As DescribeExportImageTasks gives it; the prefix is what stands before the id in the key."""
    prefix, _, _ = (task.object_key or "").partition(task.task_id)
    location = {"S3Bucket": task.bucket, "S3Prefix": prefix or None}
    shape = {
        "Description": task.fact(tasks.DESCRIPTION),
        "ExportImageTaskId": task.task_id,
        "ImageId": task.image_id,
        **_progress(task),
        "S3ExportLocation": _without_absent(location) or None,
        "Status": _status(task, _STATES, deleting=deleting),
        "StatusMessage": task.message,
        **_tags(task),
        "Amictl": _without_absent({**_ours(task), "ObjectKey": task.object_key}),
    }
    return _without_absent(shape)


def _transfer(task: TaskRecord, verb: str) -> Shape:
    ended_badly = task.state in (FAILED, CANCELLED)
    ours = {"TaskId": task.task_id, "SnapshotIds": list(task.snapshot_ids) or None, **_ours(task)}
    del ours["StartTime"]
    if not ended_badly:
        ours["Message"] = task.message
    shape = {
        "AmiId": task.image_id,
        "TaskStartTime": task.start_time,
        "Bucket": task.bucket,
        "S3objectKey": task.object_key,
        "ProgressPercentage": task.percentage,
        f"{verb}TaskState": _TRANSFER_STATES[task.state],
        f"{verb}TaskFailureReason": task.message if ended_badly else None,
        "Amictl": _without_absent(ours),
    }
    return _without_absent(shape)


def _snapshot_detail(task: TaskRecord, number: int, status: str) -> Shape:
    disks = disks_of(task)
    in_bucket = task.bucket and task.object_key and len(disks) == 1
    disk = disks[number] if number < len(disks) else TaskDisk("RAW", "")
    size = None if disk.size_bytes is None else disk.size_bytes / _GIBIBYTE
    snapshots = dict(enumerate(task.snapshot_ids)) if task.state == COMPLETED else {}
    bucket = {"S3Bucket": task.bucket, "S3Key": task.object_key}
    shape = {
        "Description": disk.description,
        "DeviceName": disk.device_name,
        "DiskImageSize": size,
        "Format": disk.format,
        **_progress(task),
        "SnapshotId": snapshots.get(number),
        "Status": status,
        "StatusMessage": task.message,
        "Url": disk.url or None,
        "UserBucket": bucket if in_bucket else None,
    }
    return _without_absent(shape)


def _status(task: TaskRecord, states: dict[str, str], *, deleting: bool) -> str:
    return DELETING if deleting and task.state == ACTIVE else states[task.state]


def _progress(task: TaskRecord) -> dict[str, str]:
    """As EC2 does, only of what is at work."""
    return {"Progress": str(task.percentage)} if task.state == ACTIVE else {}


def _encryption(task: TaskRecord) -> Shape:
    encrypted = task.fact(tasks.ENCRYPTED)
    return {
        "Encrypted": None if encrypted is None else encrypted == "true",
        "KmsKeyId": task.fact(tasks.KMS_KEY_ID),
    }


def _tags(task: TaskRecord) -> Shape:
    return {"Tags": [{"Key": tag.key, "Value": tag.value} for tag in task.tags] or None}


def _ours(task: TaskRecord) -> Shape:
    ours = {
        "StartTime": task.start_time,
        "EndTime": task.end_time,
        "BytesDone": task.done or None,
        "BytesTotal": task.total or None,
    }
    return _without_absent(ours)


def _without_absent(shape: Shape) -> Shape:
    return {key: value for key, value in shape.items() if value is not None}
