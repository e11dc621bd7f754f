"""Waiters, with EC2's names and conditions, but quick."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amictl.errors import BusyError, NotFoundError, WaiterError

_DELAY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Waiter:
    """What is waited for, in the answer of a describe operation: EC2's acceptors.

    All of `items`, and at least one, must be in the state `wanted` (None: in any); one in a
    state of `hopeless` ends it. Where what was named does not exist, `absent` says what to do:
    fail, wait, or take it for done. `state` is the path of the member with the state. Of items
    that are alike in the members `same`, only the first counts: it is the newest attempt.
    """

    name: str
    items: str
    wanted: str | None
    hopeless: tuple[str, ...] = ()
    absent: str = "fail"
    state: str = "State"
    same: tuple[str, ...] = ()
    describe: str | None = None


WAITERS = {
    "image-available": Waiter("ImageAvailable", "Images", "available", ("failed",)),
    "image-exists": Waiter("ImageExists", "Images", None, absent="wait"),
    "image-exported": Waiter(
        "ImageExported",
        "ExportImageTasks",
        "completed",
        ("deleted",),
        state="Status",
        describe="describe-export-image-tasks",
    ),
    "image-imported": Waiter(
        "ImageImported",
        "ImportImageTasks",
        "completed",
        ("deleted",),
        state="Status",
        describe="describe-import-image-tasks",
    ),
    "snapshot-completed": Waiter("SnapshotCompleted", "Snapshots", "completed", ("error",)),
    "snapshot-imported": Waiter(
        "SnapshotImported",
        "ImportSnapshotTasks",
        "completed",
        ("error", "deleted"),
        state="SnapshotTaskDetail.Status",
        describe="describe-import-snapshot-tasks",
    ),
    "store-image-task-complete": Waiter(
        "StoreImageTaskComplete",
        "StoreImageTaskResults",
        "Completed",
        ("Failed",),
        state="StoreTaskState",
        same=("AmiId", "Bucket", "S3objectKey"),
        describe="describe-store-image-tasks",
    ),
    "volume-available": Waiter("VolumeAvailable", "Volumes", "available", ("deleted",)),
    "volume-deleted": Waiter("VolumeDeleted", "Volumes", "deleted", absent="done"),
    "volume-in-use": Waiter("VolumeInUse", "Volumes", "in-use", ("deleted",)),
}


def wait_for(
    waiter: Waiter,
    describe: Callable[[], dict[str, Any]],
    timeout_seconds: float,
    sleep: Callable[[float], Any] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the answer of `describe`, which is asked again and again, is as wanted.

    Raises WaiterError when it can never be, what `describe` raises, and BusyError when the time
    is up.
    """
    deadline = clock() + timeout_seconds
    while not _is_done(waiter, describe):
        if clock() >= deadline:
            look = waiter.describe or f"describe-{waiter.items.lower()}"
            raise BusyError(
                f"Waiter {waiter.name} failed: Max attempts exceeded",
                hint=f"what is at work goes on; wait again, or look with {look}",
            )
        sleep(min(_DELAY_SECONDS, max(0.0, deadline - clock())))


def _is_done(waiter: Waiter, describe: Callable[[], dict[str, Any]]) -> bool:
    try:
        states = _states(waiter, describe()[waiter.items])
    except NotFoundError:
        if waiter.absent == "fail":
            raise
        return waiter.absent == "done"
    for hopeless in waiter.hopeless:
        if hopeless in states:
            raise WaiterError(
                f"Waiter {waiter.name} failed: Waiter encountered a terminal failure state: "
                f'For expression "{waiter.items}[].{waiter.state}" we matched expected path: '
                f'"{hopeless}" at least once'
            )
    return bool(states) and all(waiter.wanted in (None, state) for state in states)


def _states(waiter: Waiter, items: list[dict[str, Any]]) -> list[str]:
    found: dict[tuple[Any, ...], str] = {}
    for number, item in enumerate(items):
        key = tuple(item.get(name) for name in waiter.same) if waiter.same else (number,)
        found.setdefault(key, str(_member(item, waiter.state)))
    return list(found.values())


def _member(item: dict[str, Any], path: str) -> Any:
    member: Any = item
    for name in path.split("."):
        member = member[name]
    return member
