"""Tasks in EC2's shapes: which are shown, in which order, and what became of each."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amictl.actions.tasks import (
    TaskSelection,
    cancel_task,
    describe_export_image_tasks,
    describe_import_image_tasks,
    describe_import_snapshot_tasks,
    describe_restore_image_tasks,
    describe_store_image_tasks,
)
from amictl.errors import (
    ConflictError,
    DryRunError,
    ImageNotFoundError,
    MalformedIdError,
    TaskNotFoundError,
    UsageError,
)
from amictl.formats import records
from amictl.model import tasks as model
from amictl.model.tasks import (
    EXPORT_IMAGE,
    IMPORT_IMAGE,
    IMPORT_SNAPSHOT,
    RESTORE_IMAGE,
    STORE_IMAGE,
    TaskDisk,
    TaskRecord,
    new_task,
    with_disks,
    with_facts,
)
from amictl.model.times import timestamp
from amictl.store import layout, tasks
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop

FIRST, SECOND = "ami-" + "1" * 17, "ami-" + "2" * 17
SNAPSHOT = "snap-" + "1" * 17

Describe = Callable[..., dict[str, Any]]
DESCRIBE: dict[str, tuple[Describe, str]] = {
    STORE_IMAGE: (describe_store_image_tasks, "StoreImageTaskResults"),
    RESTORE_IMAGE: (describe_restore_image_tasks, "RestoreImageTaskResults"),
    IMPORT_IMAGE: (describe_import_image_tasks, "ImportImageTasks"),
    IMPORT_SNAPSHOT: (describe_import_snapshot_tasks, "ImportSnapshotTasks"),
    EXPORT_IMAGE: (describe_export_image_tasks, "ExportImageTasks"),
}


def put(workshop: Workshop, kind: str, state: str = model.COMPLETED, **fields: Any) -> TaskRecord:
    """A task that has ended."""
    begun = new_task(kind, workshop.surroundings)
    end_time = timestamp(workshop.surroundings.now())
    task = replace(begun, state=state, end_time=end_time, **fields)
    path = workshop.root / layout.task(task.task_id)
    path.write_bytes(records.encode(task))
    return task


def shown(workshop: Workshop, kind: str, *ids: str, **filters: str) -> list[dict[str, Any]]:
    describe, member = DESCRIBE[kind]
    given = tuple(
        {"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()
    )
    with workshop.open() as store:
        now = workshop.surroundings.now()
        result = describe(store, TaskSelection(ids, given), now)
    if kind != RESTORE_IMAGE:
        require_ec2_shape(describe.__name__.title().replace("_", ""), result)
    found = result[member]
    assert isinstance(found, list)
    return found


def test_a_store_task_says_what_where_and_how_far(workshop: Workshop) -> None:
    begun = new_task(STORE_IMAGE, workshop.surroundings)
    task = replace(begun, image_id=FIRST, bucket="mine", object_key=f"{FIRST}.bin", total=50)
    with workshop.open() as store, tasks.running(store, task, workshop.surroundings) as running:
        running._saved = 0.0
        running.progress(17, 100)
        assert shown(workshop, STORE_IMAGE) == [
            {
                "AmiId": FIRST,
                "TaskStartTime": task.start_time,
                "Bucket": "mine",
                "S3objectKey": f"{FIRST}.bin",
                "ProgressPercentage": 17,
                "StoreTaskState": "InProgress",
                "Amictl": {
                    "TaskId": task.task_id,
                    "BytesDone": 17,
                    "BytesTotal": 100,
                },
            }
        ]
    (done,) = shown(workshop, STORE_IMAGE)
    assert (done["StoreTaskState"], done["ProgressPercentage"]) == ("Completed", 100)
    assert "StoreTaskFailureReason" not in done


@pytest.mark.parametrize("state", [model.FAILED, model.CANCELLED])
@pytest.mark.parametrize(("kind", "verb"), [(STORE_IMAGE, "Store"), (RESTORE_IMAGE, "Restore")])
def test_what_ended_badly_says_why(workshop: Workshop, kind: str, verb: str, state: str) -> None:
    put(workshop, kind, state, image_id=FIRST, message="the bucket is full", done=9, total=9)
    (task,) = shown(workshop, kind)
    assert task[f"{verb}TaskState"] == "Failed"
    assert task[f"{verb}TaskFailureReason"] == "the bucket is full"
    assert task["ProgressPercentage"] == 99


@pytest.mark.parametrize("kind", [STORE_IMAGE, RESTORE_IMAGE])
def test_the_newest_store_or_restore_comes_first(workshop: Workshop, kind: str) -> None:
    made = [put(workshop, kind, image_id=FIRST).task_id for _ in range(3)]
    assert [task["Amictl"]["TaskId"] for task in shown(workshop, kind)] == made[::-1]


@pytest.mark.parametrize("kind", [IMPORT_IMAGE, IMPORT_SNAPSHOT, EXPORT_IMAGE])
def test_the_newest_import_or_export_comes_last(workshop: Workshop, kind: str) -> None:
    made = [put(workshop, kind).start_time for _ in range(3)]
    assert [task["Amictl"]["StartTime"] for task in shown(workshop, kind)] == made


@pytest.mark.parametrize("kind", DESCRIBE)
def test_what_began_more_than_31_days_ago_is_not_shown(workshop: Workshop, kind: str) -> None:
    now = datetime.now(UTC)
    put(workshop, kind, start_time=timestamp(now - timedelta(days=32)), image_id=FIRST)
    put(workshop, kind, start_time=timestamp(now - timedelta(days=30)), image_id=SECOND)
    assert len(shown(workshop, kind)) == 1


def test_filters_of_store_tasks(workshop: Workshop) -> None:
    put(workshop, STORE_IMAGE, image_id=FIRST, bucket="s3://mine/images")
    put(workshop, STORE_IMAGE, model.FAILED, image_id=SECOND, bucket="/srv/images")
    for filters, expected in (
        ({"bucket": "mine"}, [FIRST]),
        ({"bucket": "s3://mine/images"}, [FIRST]),
        ({"bucket": "/srv/images"}, [SECOND]),
        ({"task_state": "Failed"}, [SECOND]),
        ({"task_state": "InProgress"}, []),
    ):
        found = shown(workshop, STORE_IMAGE, **filters)
        assert [task["AmiId"] for task in found] == expected


def test_filters_do_not_count_where_images_are_named(workshop: Workshop) -> None:
    put(workshop, STORE_IMAGE, image_id=FIRST)
    put(workshop, STORE_IMAGE, image_id=SECOND)
    (task,) = shown(workshop, STORE_IMAGE, FIRST, task_state="Failed")
    assert task["AmiId"] == FIRST


def test_an_image_that_was_never_stored_has_no_tasks(workshop: Workshop) -> None:
    image_id = workshop.image("web", workshop.file("disk", b"disk"))
    assert shown(workshop, STORE_IMAGE, image_id) == []


def test_an_image_that_is_not_there_is_an_error(workshop: Workshop) -> None:
    put(workshop, STORE_IMAGE, image_id=FIRST)
    with pytest.raises(ImageNotFoundError, match=SECOND):
        shown(workshop, STORE_IMAGE, FIRST, SECOND)
    with pytest.raises(MalformedIdError):
        shown(workshop, STORE_IMAGE, "ami-1")


IMPORTED = (
    TaskDisk("VMDK", "/srv/a.vmdk", 3 << 29, "/dev/sda1", "root"),
    TaskDisk("RAW", "/srv/b.raw"),
)


def test_an_import_of_an_image_shows_its_disks(workshop: Workshop) -> None:
    begun = with_disks(new_task(IMPORT_IMAGE, workshop.surroundings), IMPORTED)
    facts = {"architecture": "x86_64", "encrypted": "false", "description": "old", "tag:a": "b"}
    task = replace(with_facts(begun, facts), image_id=FIRST, snapshot_ids=(SNAPSHOT,))
    path = workshop.root / layout.task(task.task_id)
    ended = replace(task, state=model.COMPLETED, end_time=task.start_time)
    path.write_bytes(records.encode(ended))
    (found,) = shown(workshop, IMPORT_IMAGE)
    del found["Amictl"]
    assert found == {
        "Architecture": "x86_64",
        "Description": "old",
        "Encrypted": False,
        "ImageId": FIRST,
        "ImportTaskId": task.task_id,
        "SnapshotDetails": [
            {
                "Description": "root",
                "DeviceName": "/dev/sda1",
                "DiskImageSize": 1.5,
                "Format": "VMDK",
                "SnapshotId": SNAPSHOT,
                "Status": "completed",
                "Url": "/srv/a.vmdk",
            },
            {"Format": "RAW", "Status": "completed", "Url": "/srv/b.raw"},
        ],
        "Status": "completed",
        "Tags": [{"Key": "a", "Value": "b"}],
    }


def test_an_import_of_a_snapshot_shows_it(workshop: Workshop) -> None:
    disk = TaskDisk("VHD", "s3://mine/a.vhd", 1 << 30)
    begun = with_disks(new_task(IMPORT_SNAPSHOT, workshop.surroundings), [disk])
    fields = {"bucket": "mine", "object_key": "a.vhd", "snapshot_ids": (SNAPSHOT,)}
    put(workshop, IMPORT_SNAPSHOT, further=begun.further, **fields)
    (task,) = shown(workshop, IMPORT_SNAPSHOT)
    assert task["SnapshotTaskDetail"] == {
        "DiskImageSize": 1.0,
        "Format": "VHD",
        "SnapshotId": SNAPSHOT,
        "Status": "completed",
        "Url": "s3://mine/a.vhd",
        "UserBucket": {"S3Bucket": "mine", "S3Key": "a.vhd"},
    }


def test_an_export_shows_where_its_file_is(workshop: Workshop) -> None:
    task = put(workshop, EXPORT_IMAGE, image_id=FIRST, bucket="mine")
    key = f"old/{task.task_id}.vmdk"
    path = workshop.root / layout.task(task.task_id)
    path.write_bytes(records.encode(replace(task, object_key=key)))
    (found,) = shown(workshop, EXPORT_IMAGE, task.task_id)
    assert found["S3ExportLocation"] == {"S3Bucket": "mine", "S3Prefix": "old/"}
    assert found["Amictl"]["ObjectKey"] == key
    assert (found["ImageId"], found["Status"]) == (FIRST, "completed")


@pytest.mark.parametrize(
    ("kind", "state", "status"),
    [
        (IMPORT_IMAGE, model.FAILED, "deleted"),
        (IMPORT_IMAGE, model.CANCELLED, "deleted"),
        (IMPORT_SNAPSHOT, model.FAILED, "error"),
        (IMPORT_SNAPSHOT, model.CANCELLED, "deleted"),
        (EXPORT_IMAGE, model.FAILED, "deleted"),
        (EXPORT_IMAGE, model.CANCELLED, "deleted"),
    ],
)
def test_the_states_of_what_ended_badly(
    workshop: Workshop, kind: str, state: str, status: str
) -> None:
    put(workshop, kind, state, message="no room")
    (task,) = shown(workshop, kind, task_state=status)
    detail = task.get("SnapshotTaskDetail", task)
    assert (detail["Status"], detail["StatusMessage"]) == (status, "no room")


@pytest.mark.parametrize("kind", [IMPORT_IMAGE, IMPORT_SNAPSHOT, EXPORT_IMAGE])
def test_a_task_that_is_cancelled_is_being_deleted(workshop: Workshop, kind: str) -> None:
    task = new_task(kind, workshop.surroundings)
    with workshop.open() as store, tasks.running(store, task, workshop.surroundings):
        result = cancel_task(store, task.task_id, "wrong", workshop.surroundings, dry_run=False)
        again = cancel_task(store, task.task_id, "wrong", workshop.surroundings, dry_run=False)
        (found,) = shown(workshop, kind)
    require_ec2_shape("CancelImportTask", result)
    assert result == {
        "ImportTaskId": task.task_id,
        "PreviousState": "active",
        "State": "deleting",
    }
    assert again["PreviousState"] == "deleting"
    assert found.get("SnapshotTaskDetail", found)["Status"] == "deleting"


def test_what_has_ended_cannot_be_cancelled(workshop: Workshop) -> None:
    task = put(workshop, IMPORT_IMAGE)
    with workshop.open() as store, pytest.raises(ConflictError, match="is completed"):
        cancel_task(store, task.task_id, "", workshop.surroundings, dry_run=False)
    with workshop.open() as store, pytest.raises(TaskNotFoundError):
        cancel_task(store, "store-" + "0" * 17, "", workshop.surroundings, dry_run=False)


def test_a_dry_run_cancels_nothing(workshop: Workshop) -> None:
    task = new_task(IMPORT_IMAGE, workshop.surroundings)
    with workshop.open() as store, tasks.running(store, task, workshop.surroundings):
        with pytest.raises(DryRunError):
            cancel_task(store, task.task_id, "", workshop.surroundings, dry_run=True)
        assert tasks.read_cancellation(store, task.task_id) is None


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (IMPORT_IMAGE, "InvalidConversionTaskId"),
        (IMPORT_SNAPSHOT, "InvalidConversionTaskId"),
        (EXPORT_IMAGE, "InvalidExportTaskID.NotFound"),
    ],
)
def test_a_task_that_is_not_there_is_an_error(workshop: Workshop, kind: str, code: str) -> None:
    task_id = f"{model.PREFIXES[kind]}-{'0' * 17}"
    with pytest.raises(TaskNotFoundError, match=task_id) as caught:
        shown(workshop, kind, task_id)
    assert caught.value.code == code


@pytest.mark.parametrize("kind", DESCRIBE)
def test_an_unknown_filter_is_an_error(workshop: Workshop, kind: str) -> None:
    with pytest.raises(UsageError, match="The filter 'colour' is invalid"):
        shown(workshop, kind, colour="blue")


@pytest.mark.parametrize("kind", DESCRIBE)
def test_a_dry_run_shows_nothing(workshop: Workshop, kind: str) -> None:
    describe, _ = DESCRIBE[kind]
    with workshop.open() as store, pytest.raises(DryRunError):
        describe(store, TaskSelection(dry_run=True), workshop.surroundings.now())
