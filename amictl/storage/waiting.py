"""Waiting for replies that nobody may want any more: a thread can be told to give up."""

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from typing import TypeVar

from amictl.errors import StorageError

Result = TypeVar("Result")

_LOOK_SECONDS = 0.2
_own = threading.local()


def until(over: threading.Event) -> None:
    """From now on this thread waits for no reply once the event is set."""
    _own.over = over


def result_of(future: "Future[Result]") -> Result:
    """What comes of a future, or its error. Raises StorageError if this thread is to give up."""
    over: threading.Event | None = getattr(_own, "over", None)
    if over is None:
        return future.result()
    while True:
        try:
            return future.result(_LOOK_SECONDS)
        except NotYetError:
            # The same error may be what came of it.
            if future.done():
                return future.result()
            if over.is_set():
                raise StorageError("nobody waits for this reply any more") from None
