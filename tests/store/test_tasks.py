"""Tasks: active while their worker lives, and afterwards what became of them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amictl.actions.events import DescribeEventsRequest, describe_events
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    InterruptedBySignalError,
    StorageError,
    TaskCancelledError,
)
from amictl.formats import records
from amictl.model.tasks import (
    EXPORT_IMAGE,
    IMPORT_IMAGE,
    IMPORT_SNAPSHOT,
    STORE_IMAGE,
    TaskDisk,
    TaskRecord,
    disks_of,
    kind_of,
    new_task,
    with_disks,
)
from amictl.progress import Silent, Step
from amictl.store import layout, tasks
from amictl.store.emptying import remove_store
from amictl.store.pending import PendingFile
from amictl.store.store import Store
from amictl.store.tasks import RunningTask
from tests.workshop import Workshop

IMAGE = "ami-" + "1" * 17


@pytest.fixture
def store(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose tasks save every step."""
    monkeypatch.setattr(tasks, "_SAVE_SECONDS", -1.0)
    with workshop.open() as opened:
        yield opened


def begun(workshop: Workshop, kind: str = STORE_IMAGE) -> TaskRecord:
    return replace(new_task(kind, workshop.surroundings), image_id=IMAGE, bucket="mine")


def state(store: Store, task: TaskRecord) -> tuple[str, str | None]:
    found = tasks.seen(store, task.task_id)
    assert found is not None
    return found.state, found.message


def test_a_task_is_active_while_its_block_runs_and_completed_after_it(
    store: Store, workshop: Workshop
) -> None:
    task = begun(workshop)
    with tasks.running(store, task, workshop.surroundings) as running:
        running.progress(30, 60)
        active = tasks.seen(store, task.task_id)
        running.result(snapshot_ids=("snap-" + "2" * 17,), message="as it was")
    ended = tasks.seen(store, task.task_id)
    assert active == replace(task, done=30, total=60)
    assert ended is not None
    assert (ended.state, ended.percentage, ended.message) == ("completed", 100, "as it was")
    assert (ended.image_id, ended.snapshot_ids) == (IMAGE, ("snap-" + "2" * 17,))
    assert ended.end_time is not None
    assert list((workshop.root / "pending").iterdir()) == []
    assert workshop.check()["Faults"] == []


def test_an_error_fails_a_task_with_its_message(store: Store, workshop: Workshop) -> None:
    task = begun(workshop)
    with (
        pytest.raises(StorageError),
        tasks.running(store, task, workshop.surroundings),
    ):
        raise StorageError("the disk is full")
    assert state(store, task) == ("failed", "the disk is full")


def test_a_bug_fails_a_task_without_its_message(store: Store, workshop: Workshop) -> None:
    task = begun(workshop)
    with pytest.raises(ZeroDivisionError), tasks.running(store, task, workshop.surroundings):
        raise ZeroDivisionError("what nobody should see")
    assert state(store, task) == ("failed", tasks.DIED)


def go_on_though_cancelled(store: Store, running: RunningTask, workshop: Workshop) -> None:
    running.progress(1, 9)
    tasks.cancel(store, running.record.task_id, "wrong disk", workshop.surroundings)
    running.progress(2, 9)


def test_a_cancelled_task_ends_at_its_next_step(store: Store, workshop: Workshop) -> None:
    task = begun(workshop, IMPORT_SNAPSHOT)
    with (
        pytest.raises(TaskCancelledError),
        tasks.running(store, task, workshop.surroundings) as running,
    ):
        go_on_though_cancelled(store, running, workshop)
    assert state(store, task) == ("cancelled", "the task was cancelled: wrong disk")
    assert tasks.read_cancellation(store, task.task_id) is None


def test_the_first_reason_of_a_cancellation_counts(store: Store, workshop: Workshop) -> None:
    task = begun(workshop)
    tasks.cancel(store, task.task_id, "first", workshop.surroundings)
    tasks.cancel(store, task.task_id, "second", workshop.surroundings)
    found = tasks.read_cancellation(store, task.task_id)
    assert found is not None
    assert found.reason == "first"


def test_a_task_tells_its_worker_and_the_one_who_waits(store: Store, workshop: Workshop) -> None:
    class Watcher(Silent):
        steps: list[Step] = []  # noqa: RUF012 -- one instance

        def update(self, step: Step) -> None:
            self.steps.append(step)

    watcher = Watcher()
    surroundings = replace(workshop.surroundings, progress=watcher)
    task = begun(workshop)
    with tasks.running(store, task, surroundings) as running:
        running.update(Step("store", 5, 10))
        assert tasks.seen(store, task.task_id) == replace(task, done=5, total=10)
    assert watcher.steps == [Step("store", 5, 10)]


WORKER = """
import os, sys
from pathlib import Path
from amictl.model.tasks import TaskRecord
from amictl.store import tasks
from amictl.store.opening import open_store
from tests.faults.worlds import SURROUNDINGS

task = TaskRecord("store-" + "3" * 17, "store-image", "2026-11-22T12:00:00.000Z")
with open_store(Path(sys.argv[1])) as store, tasks.running(store, task, SURROUNDINGS):
    print("at work", flush=True)
    sys.stdin.read()
"""


def test_a_task_whose_worker_is_killed_failed(store: Store, workshop: Workshop) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, workshop.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "at work\n"
        (alive,) = tasks.all_seen(store, STORE_IMAGE)
        worker.send_signal(signal.SIGKILL)
    (dead,) = tasks.all_seen(store, STORE_IMAGE)
    assert alive.state == "active"
    assert (dead.state, dead.message) == ("failed", tasks.DIED)
    assert workshop.check()["Faults"] == []


def test_what_cannot_be_recorded_stays_as_the_last_word(store: Store, workshop: Workshop) -> None:
    task = begun(workshop)
    with tasks.running(store, task, workshop.surroundings):
        (workshop.root / "tasks").rmdir()
        (workshop.root / "tasks").touch()
    (workshop.root / "tasks").unlink()
    assert state(store, task) == ("completed", None)
    assert len(list((workshop.root / "pending").iterdir())) == 1


def test_tasks_of_a_kind_come_in_the_order_of_their_times(store: Store, workshop: Workshop) -> None:
    begun_tasks = [begun(workshop, kind) for kind in (STORE_IMAGE, EXPORT_IMAGE, STORE_IMAGE)]
    for task in begun_tasks:
        with tasks.running(store, task, workshop.surroundings):
            pass
    found = [task.task_id for task in tasks.all_seen(store, STORE_IMAGE)]
    assert found == [begun_tasks[0].task_id, begun_tasks[2].task_id]


@pytest.mark.parametrize("kind", [STORE_IMAGE, EXPORT_IMAGE])
def test_what_makes_nothing_in_the_region_leaves_an_event(
    store: Store, workshop: Workshop, kind: str
) -> None:
    task = begun(workshop, kind)
    with tasks.running(store, task, workshop.surroundings):
        pass
    (event,) = describe_events(store, DescribeEventsRequest())["Events"]
    assert event["EventName"] in ("CreateStoreImageTask", "ExportImage")
    assert event["Resources"] == [
        {"ResourceType": "image", "ResourceId": IMAGE},
        {"ResourceType": f"{kind}-task", "ResourceId": task.task_id},
    ]
    assert event["Outcome"] == "completed"


def test_what_makes_something_leaves_the_event_to_that(store: Store, workshop: Workshop) -> None:
    with tasks.running(store, begun(workshop, IMPORT_SNAPSHOT), workshop.surroundings):
        pass
    assert describe_events(store, DescribeEventsRequest())["Events"] == []


def test_old_tasks_are_removed_when_there_are_many(
    store: Store, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FEW", 2)
    old = replace(begun(workshop), start_time="2020-01-01T00:00:00.000Z")
    for task in (old, begun(workshop), begun(workshop)):
        with tasks.running(store, task, workshop.surroundings):
            pass
    assert tasks.seen(store, old.task_id) is not None
    with tasks.running(store, begun(workshop), workshop.surroundings):
        pass
    assert tasks.seen(store, old.task_id) is None
    assert len(tasks.all_seen(store, STORE_IMAGE)) == 3


def test_a_store_from_before_there_were_tasks_takes_one(store: Store, workshop: Workshop) -> None:
    (workshop.root / "tasks").rmdir()
    assert tasks.all_seen(store, STORE_IMAGE) == []
    assert workshop.check()["Faults"] == []
    with tasks.running(store, begun(workshop), workshop.surroundings):
        pass
    assert len(tasks.all_seen(store, STORE_IMAGE)) == 1


def test_a_check_names_damaged_tasks(store: Store, workshop: Workshop) -> None:
    places = [
        layout.task(IMAGE.replace("ami", "store")),
        "tasks/import-ami-" + "1" * 17 + ".cancel",
    ]
    for place in places:
        (workshop.root / place).write_bytes(b"garbage")
    (workshop.root / "tasks" / "foreign").write_bytes(b"")
    faults = [(fault["Kind"], fault["Place"]) for fault in workshop.check()["Faults"]]
    assert sorted(faults) == [
        ("foreign", "tasks/foreign"),
        *(("record", place) for place in sorted(places)),
    ]
    assert tasks.all_seen(store, STORE_IMAGE) == []


def test_a_task_under_the_id_of_another_is_damage(store: Store, workshop: Workshop) -> None:
    task, other = begun(workshop), begun(workshop)
    ended = replace(task, state="completed", end_time=task.start_time)
    (workshop.root / layout.task(other.task_id)).write_bytes(records.encode(ended))
    with pytest.raises(CorruptStoreError, match=f"is about {task.task_id}"):
        tasks.seen(store, other.task_id)


def test_a_region_is_not_deleted_while_a_task_is_at_work(store: Store, workshop: Workshop) -> None:
    task = begun(workshop)
    with (
        tasks.running(store, task, workshop.surroundings),
        pytest.raises(ConflictError, match=task.task_id),
    ):
        remove_store(store)
    remove_store(store)
    assert not workshop.root.exists()


def test_reading_tasks_writes_nothing(store: Store, workshop: Workshop) -> None:
    with tasks.running(store, begun(workshop), workshop.surroundings):
        pass
    before = {path: path.stat().st_mtime_ns for path in workshop.root.rglob("*")}
    tasks.all_seen(store, STORE_IMAGE)
    assert {path: path.stat().st_mtime_ns for path in workshop.root.rglob("*")} == before


def test_disks_of_an_import_come_back(workshop: Workshop) -> None:
    disks = (
        TaskDisk("VMDK", "/a.vmdk", 5, "/dev/sda1", "root"),
        TaskDisk("RAW", "s3://b/c.raw"),
    )
    assert disks_of(with_disks(begun(workshop), disks)) == disks


def test_the_id_of_a_task_tells_its_kind(workshop: Workshop) -> None:
    for kind in (STORE_IMAGE, EXPORT_IMAGE, IMPORT_SNAPSHOT):
        assert kind_of(begun(workshop, kind).task_id) == kind
    assert kind_of(IMAGE) is None


def test_percent_is_100_only_when_it_is_completed() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(0)
    task = TaskRecord("store-" + "1" * 17, STORE_IMAGE, now.isoformat(), done=9, total=9)
    assert task.percentage == 99
    assert replace(task, done=5, total=0).percentage == 0
    assert replace(task, state="completed", done=0, total=0).percentage == 100


def test_a_task_whose_image_exists_is_completed_whatever_came_then(
    store: Store, workshop: Workshop
) -> None:
    image_id = workshop.image("web", workshop.file("disk", b"disk"))
    task = replace(new_task(IMPORT_IMAGE, workshop.surroundings), image_id=image_id)
    PendingFile(store, task.task_id, task).release()
    assert state(store, task) == ("completed", None)
    stopped = replace(new_task(IMPORT_IMAGE, workshop.surroundings), image_id=image_id)
    with (
        pytest.raises(InterruptedBySignalError),
        tasks.running(store, stopped, workshop.surroundings),
    ):
        raise InterruptedBySignalError(15)
    assert state(store, stopped) == ("completed", None)
    stored = replace(begun(workshop), image_id=image_id)
    PendingFile(store, stored.task_id, stored).release()
    assert state(store, stored) == ("failed", tasks.DIED)
