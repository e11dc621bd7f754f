"""The commands about tasks, as a person and a script see them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from amictl.errors import StorageError
from amictl.model.tasks import (
    EXPORT_IMAGE,
    IMPORT_IMAGE,
    IMPORT_SNAPSHOT,
    RESTORE_IMAGE,
    STORE_IMAGE,
    TaskRecord,
    new_task,
)
from amictl.store import tasks
from amictl.store.opening import open_store
from tests.cli.test_images import make_disk
from tests.conftest import Home
from tests.faults.worlds import SURROUNDINGS

IMAGE = "ami-" + "1" * 17
DESCRIBE = {
    STORE_IMAGE: "describe-store-image-tasks",
    RESTORE_IMAGE: "describe-restore-image-tasks",
    IMPORT_IMAGE: "describe-import-image-tasks",
    IMPORT_SNAPSHOT: "describe-import-snapshot-tasks",
    EXPORT_IMAGE: "describe-export-image-tasks",
}


@pytest.fixture
def region(amictl: Home) -> Home:
    """A user with a region."""
    assert amictl("create-snapshot", str(make_disk(amictl.folder / "disk.raw"))).status == 0
    return amictl


@contextmanager
def at_work(region: Home, kind: str) -> Iterator[TaskRecord]:
    task = replace(
        new_task(kind, SURROUNDINGS), image_id=IMAGE, bucket="mine", object_key=f"{IMAGE}.bin"
    )
    with (
        open_store(region.local_region) as store,
        tasks.running(store, task, SURROUNDINGS) as running,
    ):
        running._saved = 0.0
        running.progress(1, 4)
        yield task


def failed(region: Home, kind: str) -> TaskRecord:
    with pytest.raises(StorageError), at_work(region, kind) as task:
        raise StorageError("the bucket is full")
    return task


@pytest.mark.parametrize("command", DESCRIBE.values())
def test_a_region_that_nobody_wrote_to_has_no_tasks(amictl: Home, command: str) -> None:
    finished = amictl(command)
    assert (finished.status, finished.err) == (0, "")
    (member,) = json.loads(finished.out).values()
    assert member == []


@pytest.mark.parametrize("kind", DESCRIBE)
@pytest.mark.parametrize("output", ["json", "yaml", "text", "table"])
def test_a_task_is_shown_in_every_form(region: Home, kind: str, output: str) -> None:
    with at_work(region, kind) as task:
        one = region(DESCRIBE[kind], "--output", output)
        with at_work(region, kind) as other:
            two = region(DESCRIBE[kind], "--output", output)
    assert (one.status, one.err, two.status, two.err) == (0, "", 0, "")
    assert "25" in one.out
    assert IMAGE in one.out or task.task_id in one.out
    assert two.out.count(IMAGE) >= 2 or (task.task_id in two.out and other.task_id in two.out)


@pytest.mark.parametrize("kind", [STORE_IMAGE, IMPORT_IMAGE])
def test_long_lists_come_in_pieces_in_their_order(region: Home, kind: str) -> None:
    made = [failed(region, kind).task_id for _ in range(3)]
    member = "StoreImageTaskResults" if kind == STORE_IMAGE else "ImportImageTasks"
    query = ["--query", f"[{member}[].[Amictl.TaskId,ImportTaskId][],NextToken]"]
    first = json.loads(region(DESCRIBE[kind], "--max-results", "2", *query).out)
    rest = json.loads(region(DESCRIBE[kind], "--next-token", first[1], *query).out)
    found = [one for one in (*first[0], *rest[0]) if one is not None]
    assert found == (made[::-1] if kind == STORE_IMAGE else made)
    assert rest[1] is None


def test_ids_and_max_results_do_not_go_together(region: Home) -> None:
    words = ["--image-ids", IMAGE, "--max-results", "2"]
    finished = region("describe-store-image-tasks", *words)
    assert finished.status == 2
    assert "InvalidParameterCombination" in finished.err


def test_quiet_prints_what_can_be_cancelled(region: Home) -> None:
    with at_work(region, EXPORT_IMAGE) as task:
        quiet = region("describe-export-image-tasks", "--quiet").out
        assert quiet == f"{task.task_id}\n"
        assert region("cancel-import-task", "--import-task-id", quiet.strip()).status == 0


@pytest.mark.parametrize(
    ("kind", "waiter", "option"),
    [
        (STORE_IMAGE, "store-image-task-complete", "--image-ids"),
        (IMPORT_IMAGE, "image-imported", "--import-task-ids"),
        (IMPORT_SNAPSHOT, "snapshot-imported", "--import-task-ids"),
        (EXPORT_IMAGE, "image-exported", "--export-image-task-ids"),
    ],
)
def test_waiters(region: Home, kind: str, waiter: str, option: str) -> None:
    def wait(task: TaskRecord) -> int:
        given = IMAGE if option == "--image-ids" else task.task_id
        finished = region("wait", waiter, option, given, "--timeout", "0")
        assert finished.out == ""
        return finished.status

    with at_work(region, kind) as task:
        assert wait(task) == 11
    assert wait(task) == 0
    assert wait(failed(region, kind)) == 14


@pytest.mark.parametrize(
    ("task_id", "status", "code"),
    [
        ("nonsense", 2, "InvalidConversionTaskId.Malformed"),
        ("import-ami-" + "1" * 17, 10, "InvalidConversionTaskId"),
        ("store-" + "1" * 17, 10, "InvalidConversionTaskId"),
        ("export-ami-" + "1" * 17, 10, "InvalidExportTaskID.NotFound"),
    ],
)
def test_what_is_no_task_cannot_be_cancelled(
    region: Home, task_id: str, status: int, code: str
) -> None:
    finished = region("cancel-import-task", "--import-task-id", task_id)
    assert finished.status == status
    assert f"({code})" in finished.err


def test_ids_of_all_kinds_of_tasks_are_named(region: Home) -> None:
    image_id = "ami-" + "1" * 17
    finished = region("cancel-import-task", "--import-task-id", image_id)
    assert finished.status == 2
    assert (
        "(expecting one of store-..., restore-ami-..., import-ami-..., import-snap-...,"
        " export-ami-...)"
    ) in finished.err


def test_a_task_that_has_ended_cannot_be_cancelled(region: Home) -> None:
    task = failed(region, IMPORT_IMAGE)
    finished = region("cancel-import-task", "--import-task-id", task.task_id)
    assert finished.status == 14
    assert "(IncorrectState)" in finished.err
    assert "is failed: only what is at work can be cancelled" in finished.err


def test_a_directory_is_noted_with_its_whole_path(region: Home) -> None:
    disk = str(region.folder / "disk.raw")
    image_id = region("create-image", "--name", "web", disk, "--quiet").out.strip()
    (region.folder / "bucket").mkdir()
    words = ["--image-id", image_id, "--bucket", "./bucket"]
    assert region("create-store-image-task", *words).status == 0
    restored = ["--bucket", "./bucket", "--object-key", f"{image_id}.bin", "--name", "again"]
    assert region("create-restore-image-task", *restored).status == 0
    assert region("export-image", *words, "--disk-image-format", "RAW").status == 0
    for kind in (STORE_IMAGE, RESTORE_IMAGE, EXPORT_IMAGE):
        finished = region(DESCRIBE[kind])
        assert f'"{region.folder}/bucket"' in finished.out
