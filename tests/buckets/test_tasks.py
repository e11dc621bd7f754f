"""Tasks of a region in a bucket: leases stand in for the locks of their workers."""

import threading
from copy import copy
from dataclasses import replace

import pytest

from amictl.errors import StorageError
from amictl.model.tasks import STORE_IMAGE, TaskRecord, new_task
from amictl.store import tasks
from amictl.store.pending import PendingFile
from tests.buckets.workshop import BucketWorkshop

SHORT_TTL = 1.5


def begun(workshop: BucketWorkshop) -> TaskRecord:
    task = new_task(STORE_IMAGE, workshop.surroundings)
    return replace(task, image_id="ami-" + "1" * 17, bucket="mine")


def states(workshop: BucketWorkshop) -> list[tuple[str, str | None]]:
    with workshop.open() as store:
        return [(task.state, task.message) for task in tasks.all_seen(store, STORE_IMAGE)]


def test_a_task_is_seen_while_it_runs_and_after_it(workshop: BucketWorkshop) -> None:
    assert states(workshop) == []
    with workshop.open() as store, tasks.running(store, begun(workshop), workshop.surroundings):
        assert states(workshop) == [("active", None)]
    assert states(workshop) == [("completed", None)]
    assert workshop.check()["Faults"] == []


def test_an_error_is_seen_by_others(workshop: BucketWorkshop) -> None:
    with (
        workshop.open() as store,
        pytest.raises(StorageError),
        tasks.running(store, begun(workshop), workshop.surroundings),
    ):
        raise StorageError("the bucket is full")
    assert states(workshop) == [("failed", "the bucket is full")]


def test_a_task_is_cancelled_from_elsewhere(workshop: BucketWorkshop) -> None:
    task = begun(workshop)
    with workshop.open() as store, workshop.open() as other:
        tasks.cancel(other, task.task_id, "wrong", workshop.surroundings)
        found = tasks.read_cancellation(store, task.task_id)
        assert found is not None
        assert found.reason == "wrong"
        with tasks.running(store, task, workshop.surroundings):
            pass
        assert tasks.read_cancellation(other, task.task_id) is None


def test_a_killed_worker_is_seen_when_its_lease_is_over(workshop: BucketWorkshop) -> None:
    workshop = copy(workshop)
    workshop.region = replace(workshop.region, ttl_seconds=SHORT_TTL)
    task = begun(workshop)
    with workshop.open() as dead:
        PendingFile(dead, task.task_id, task)
    assert states(workshop) == [("active", None)]
    threading.Event().wait(2 * SHORT_TTL)
    assert states(workshop) == [("failed", tasks.DIED)]
