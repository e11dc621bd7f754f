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
    `reason` is the path of the member that says why one is hopeless, where anything does.
    """

    name: str
    items: str
    wanted: str | None
    hopeless: tuple[str, ...] = ()
    absent: str = "fail"
    state: str = "State"
    same: tuple[str, ...] = ()
    describe: str | None = None
    reason: str | None = None

    @property
    def command(self) -> str:
        """The operation whose answer it is, as a command."""
        return self.describe or f"describe-{self.items.lower()}"


WAITERS = {
    "image-available": Waiter(
        "ImageAvailable", "Images", "available", ("failed",), reason="StateReason.Message"
    ),
    "image-exists": Waiter("ImageExists", "Images", None, absent="wait"),
    "image-exported": Waiter(
        "ImageExported",
        "ExportImageTasks",
        "completed",
        ("deleted",),
        state="Status",
        describe="describe-export-image-tasks",
        reason="StatusMessage",
    ),
    "image-imported": Waiter(
        "ImageImported",
        "ImportImageTasks",
        "completed",
        ("deleted",),
        state="Status",
        describe="describe-import-image-tasks",
        reason="StatusMessage",
    ),
    "snapshot-completed": Waiter(
        "SnapshotCompleted", "Snapshots", "completed", ("error",), reason="StateMessage"
    ),
    "snapshot-imported": Waiter(
        "SnapshotImported",
        "ImportSnapshotTasks",
        "completed",
        ("error", "deleted"),
        state="SnapshotTaskDetail.Status",
        describe="describe-import-snapshot-tasks",
        reason="SnapshotTaskDetail.StatusMessage",
    ),
    "store-image-task-complete": Waiter(
        "StoreImageTaskComplete",
        "StoreImageTaskResults",
        "Completed",
        ("Failed",),
        state="StoreTaskState",
        same=("AmiId", "Bucket", "S3objectKey"),
        describe="describe-store-image-tasks",
        reason="StoreTaskFailureReason",
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
            raise BusyError(
                f"Waiter {waiter.name} failed: Max attempts exceeded",
                hint=f"what is at work goes on; wait again, or look with {waiter.command}",
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
            why = waiter.reason and f"{waiter.command} says why, in {waiter.reason}"
            raise WaiterError(
                f"Waiter {waiter.name} failed: Waiter encountered a terminal failure state: "
                f'For expression "{waiter.items}[].{waiter.state}" we matched expected path: '
                f'"{hopeless}" at least once',
                hint=why,
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
