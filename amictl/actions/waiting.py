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

    All of `items`, and at least one, must be in the state `wanted` (None: in any); one in the
    state `hopeless` ends it. Where what was named does not exist, `absent` says what to do: fail,
    wait, or take it for done.
    """

    name: str
    items: str
    wanted: str | None
    hopeless: str | None = None
    absent: str = "fail"


WAITERS = {
    "image-available": Waiter("ImageAvailable", "Images", "available", "failed"),
    "image-exists": Waiter("ImageExists", "Images", None, absent="wait"),
    "snapshot-completed": Waiter("SnapshotCompleted", "Snapshots", "completed", "error"),
    "volume-available": Waiter("VolumeAvailable", "Volumes", "available", "deleted"),
    "volume-deleted": Waiter("VolumeDeleted", "Volumes", "deleted", absent="done"),
    "volume-in-use": Waiter("VolumeInUse", "Volumes", "in-use", "deleted"),
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
                hint="what is at work goes on; wait again, or look with"
                f" describe-{waiter.items.lower()}",
            )
        sleep(min(_DELAY_SECONDS, max(0.0, deadline - clock())))


def _is_done(waiter: Waiter, describe: Callable[[], dict[str, Any]]) -> bool:
    try:
        states = [str(item["State"]) for item in describe()[waiter.items]]
    except NotFoundError:
        if waiter.absent == "fail":
            raise
        return waiter.absent == "done"
    if waiter.hopeless in states:
        raise WaiterError(
            f"Waiter {waiter.name} failed: Waiter encountered a terminal failure state: "
            f'For expression "{waiter.items}[].State" we matched expected path: '
            f'"{waiter.hopeless}" at least once'
        )
    return bool(states) and all(waiter.wanted in (None, state) for state in states)
