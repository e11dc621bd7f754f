"""Waiters: EC2's conditions for success, for failure, and for asking again."""

from typing import Any

import pytest

from amictl.actions.waiting import WAITERS, wait_for
from amictl.errors import BusyError, ImageNotFoundError, VolumeNotFoundError, WaiterError


class Region:
    """Answers of a describe operation, one after the other; the last one again and again.

    Time goes by only while somebody sleeps.
    """

    def __init__(self, items: str, *answers: list[str] | Exception) -> None:
        self.items = items
        self.answers = list(answers)
        self.asked = 0
        self.slept = 0.0

    def describe(self) -> dict[str, Any]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return {self.items: [self.item(state) for state in answer]}

    def item(self, state: str) -> dict[str, Any]:
        """With the state at every place where a waiter may look for it."""
        return {
            "State": state,
            "Status": state,
            "StoreTaskState": state,
            "SnapshotTaskDetail": {"Status": state},
        }

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def clock(self) -> float:
        return self.slept


def wait(name: str, region: Region, timeout_seconds: float = 2.0) -> int:
    """How often the region was asked."""
    wait_for(WAITERS[name], region.describe, timeout_seconds, region.sleep, region.clock)
    return region.asked


NO_IMAGE = ImageNotFoundError("The image id '[ami-1]' does not exist")
NO_VOLUME = VolumeNotFoundError("The volume 'vol-1' does not exist.")


@pytest.mark.parametrize(
    ("name", "answers", "asked"),
    [
        ("image-available", [["available", "available"]], 1),
        ("image-available", [["pending", "available"], ["available", "available"]], 2),
        ("image-available", [[], ["available"]], 2),
        ("image-exists", [NO_IMAGE, [], ["failed"]], 3),
        ("image-exists", [["pending"]], 1),
        ("snapshot-completed", [["pending"], ["completed"]], 2),
        ("volume-available", [["in-use"], ["error"], ["available"]], 3),
        ("volume-in-use", [["available"], ["in-use"]], 2),
        ("volume-deleted", [["available"], NO_VOLUME], 2),
        ("volume-deleted", [["deleted"]], 1),
        ("store-image-task-complete", [[], ["InProgress"], ["Completed"]], 3),
        ("snapshot-imported", [["active"], ["completed"]], 2),
        ("image-imported", [["active"], ["deleting", "completed"], ["completed"]], 3),
        ("image-exported", [["active"], ["completed"]], 2),
    ],
)
def test_a_waiter_ends_with_the_answer_that_it_waits_for(
    name: str, answers: list[list[str] | Exception], asked: int
) -> None:
    assert wait(name, Region(WAITERS[name].items, *answers)) == asked


@pytest.mark.parametrize(
    ("name", "answer", "expression"),
    [
        (
            "image-available",
            ["pending", "failed"],
            '"Images[].State" we matched expected path: "failed"',
        ),
        ("snapshot-completed", ["error"], '"Snapshots[].State" we matched expected path: "error"'),
        ("volume-available", ["deleted"], '"Volumes[].State" we matched expected path: "deleted"'),
        ("volume-in-use", ["deleted"], '"Volumes[].State" we matched expected path: "deleted"'),
        (
            "store-image-task-complete",
            ["Failed"],
            '"StoreImageTaskResults[].StoreTaskState" we matched expected path: "Failed"',
        ),
        (
            "snapshot-imported",
            ["completed", "error"],
            '"ImportSnapshotTasks[].SnapshotTaskDetail.Status" we matched expected path: "error"',
        ),
        (
            "image-imported",
            ["deleted"],
            '"ImportImageTasks[].Status" we matched expected path: "deleted"',
        ),
        (
            "image-exported",
            ["deleted"],
            '"ExportImageTasks[].Status" we matched expected path: "deleted"',
        ),
    ],
)
def test_a_waiter_gives_up_at_once_where_there_is_no_hope(
    name: str, answer: list[str], expression: str
) -> None:
    with pytest.raises(WaiterError) as caught:
        wait(name, Region(WAITERS[name].items, answer))
    assert caught.value.message == (
        f"Waiter {WAITERS[name].name} failed: Waiter encountered a terminal failure state:"
        f" For expression {expression} at least once"
    )


@pytest.mark.parametrize(
    ("name", "answer", "hint"),
    [
        ("image-available", "failed", "describe-images says why, in StateReason.Message"),
        ("image-exported", "deleted", "describe-export-image-tasks says why, in StatusMessage"),
        ("image-imported", "deleted", "describe-import-image-tasks says why, in StatusMessage"),
        ("snapshot-completed", "error", "describe-snapshots says why, in StateMessage"),
        (
            "snapshot-imported",
            "error",
            "describe-import-snapshot-tasks says why, in SnapshotTaskDetail.StatusMessage",
        ),
        (
            "store-image-task-complete",
            "Failed",
            "describe-store-image-tasks says why, in StoreTaskFailureReason",
        ),
        ("volume-available", "deleted", None),
    ],
)
def test_a_waiter_without_hope_names_what_says_why(
    name: str, answer: str, hint: str | None
) -> None:
    with pytest.raises(WaiterError) as caught:
        wait(name, Region(WAITERS[name].items, [answer]))
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("image-available", NO_IMAGE),
        ("volume-available", NO_VOLUME),
        ("volume-in-use", NO_VOLUME),
    ],
)
def test_what_does_not_exist_ends_a_waiter_for_a_state(name: str, error: Exception) -> None:
    region = Region(WAITERS[name].items, error)
    with pytest.raises(type(error)):
        wait(name, region)
    assert region.asked == 1


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("image-available", []),
        ("image-available", ["disabled"]),
        ("image-exists", NO_IMAGE),
        ("volume-deleted", []),
    ],
)
def test_a_waiter_gives_up_when_its_time_is_over(name: str, answer: Any) -> None:
    region = Region(WAITERS[name].items, answer)
    with pytest.raises(BusyError, match="failed: Max attempts exceeded"):
        wait(name, region)
    assert region.slept == pytest.approx(2.0)


def test_a_waiter_without_time_asks_once() -> None:
    region = Region("Images", ["pending"])
    with pytest.raises(BusyError):
        wait("image-available", region, 0.0)
    assert (region.asked, region.slept) == (1, 0.0)


def stored(image: str, key: str, state: str) -> dict[str, str]:
    return {"AmiId": image, "Bucket": "mine", "S3objectKey": key, "StoreTaskState": state}


def test_an_attempt_that_was_repeated_does_not_count() -> None:
    waiter = WAITERS["store-image-task-complete"]
    done, failed = stored("ami-1", "a", "Completed"), stored("ami-1", "a", "Failed")
    wait_for(waiter, lambda: {waiter.items: [done, failed]}, 0.0)
    with pytest.raises(WaiterError):
        wait_for(waiter, lambda: {waiter.items: [failed, done]}, 0.0)
    with pytest.raises(WaiterError):
        wait_for(waiter, lambda: {waiter.items: [done, stored("ami-1", "b", "Failed")]}, 0.0)
