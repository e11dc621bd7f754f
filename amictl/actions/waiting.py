"""Waiters, with EC2's names and conditions, but quick."""

import time
from collections.abc import Callable
from typing import Any

from amictl.errors import BusyError, WaiterError
from amictl.model.ids import is_id, require_id
from amictl.store import catalog, pending
from amictl.store.store import Store

_DELAY_SECONDS = 0.2

_KINDS = {"image-available": "ami", "image-exists": "ami", "snapshot-completed": "snap"}
_TITLES = {
    "image-available": "ImageAvailable",
    "image-exists": "ImageExists",
    "snapshot-completed": "SnapshotCompleted",
}


def wait_for(
    store: Store,
    what: str,
    ids: tuple[str, ...],
    timeout_seconds: float,
    sleep: Callable[[float], Any] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when all ids are image-available, image-exists or snapshot-completed.

    Raises WaiterError when one failed or does not exist, and BusyError when the time is up.
    `image-exists` waits for ids that do not exist yet.
    """
    deadline = clock() + timeout_seconds
    for record_id in ids:
        require_id(_KINDS[what], record_id)
    while True:
        states = {record_id: _state(store, record_id) for record_id in ids}
        _require_possible(what, states)
        wanted = ("done", "working", "failed") if what == "image-exists" else ("done",)
        if all(state in wanted for state in states.values()):
            return
        if clock() >= deadline:
            raise BusyError(
                f"Waiter {_TITLES[what]} failed: Max attempts exceeded",
                hint="the work goes on; wait again, or look with describe-images",
            )
        sleep(min(_DELAY_SECONDS, max(0.0, deadline - clock())))


def _require_possible(what: str, states: dict[str, str]) -> None:
    if what == "image-exists":
        return
    for record_id, state in states.items():
        if state == "failed":
            word = "failed" if is_id("ami", record_id) else "error"
            raise WaiterError(
                f"Waiter {_TITLES[what]} failed: Waiter encountered a terminal failure state: "
                f"{record_id} is in state {word}"
            )
        if state == "absent":
            raise WaiterError(f"Waiter {_TITLES[what]} failed: {record_id} does not exist")


def _state(store: Store, record_id: str) -> str:
    """done, working, failed or absent."""
    for _ in range(2):
        if catalog.exists(store, record_id):
            return "done"
        seen = pending.seen(store, record_id)
        if seen is not None:
            # Finished between the two looks? The second round tells.
            if seen.alive and seen.work.reason is None:
                return "working"
            if not catalog.exists(store, record_id):
                return "failed"
    return "absent"
