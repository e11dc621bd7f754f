"""Power cuts while tasks run and end: what they show is what was, or that they were broken off."""

from dataclasses import replace

import pytest

from amictl.errors import StorageError
from amictl.model.tasks import IMPORT_SNAPSHOT, STORE_IMAGE, new_task
from amictl.store import tasks
from amictl.store.store import Store
from tests.faults.test_recycle_bin import look_at_what_is_left
from tests.faults.worlds import SURROUNDINGS, world

FAILURE = StorageError("the bucket is full")


def test_what_became_of_tasks_stays_known_after_a_power_cut() -> None:
    done = replace(new_task(STORE_IMAGE, SURROUNDINGS), image_id="ami-" + "1" * 17)
    failed = new_task(IMPORT_SNAPSHOT, SURROUNDINGS)
    with world() as here:
        here.create_store()
        here.settle()
        promises = {}
        with here.open() as store:
            with tasks.running(store, done, SURROUNDINGS) as running:
                promises["begun"] = here.now()
                running.progress(1, 2)
            promises["done"] = here.now()
            tasks.cancel(store, failed.task_id, "it does not look", SURROUNDINGS)
            with pytest.raises(StorageError), tasks.running(store, failed, SURROUNDINGS):
                raise FAILURE
            promises["failed"] = here.now()

        def inspect(store: Store, promised: set[str]) -> None:
            found = {task.task_id: task for task in tasks.all_seen(store, STORE_IMAGE)}
            assert done.task_id in found or "begun" not in promised
            for task in found.values():
                allowed = {"completed"} if "done" in promised else {"completed", "failed"}
                assert task.state in allowed
                assert task.message == (tasks.DIED if task.state == "failed" else None)
            seen = tasks.seen(store, failed.task_id)
            if "failed" in promised:
                assert seen is not None
                assert (seen.state, seen.message) == ("failed", FAILURE.message)

        assert look_at_what_is_left(here, promises, inspect) >= 10
