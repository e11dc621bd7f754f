"""Work on segments in threads, results in order, with a bounded number in flight."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Own = TypeVar("Own")


WAITING_COUNT = 2
"""Threads beyond the processors, because some wait for the disk."""


def worker_count() -> int:
    """Threads that pay: one for each processor that we may use."""
    return max(1, len(os.sched_getaffinity(0)))


class PerThread(Generic[Own]):
    """One thing for each thread, made when first asked for."""

    def __init__(self, make: Callable[[], Own]) -> None:
        self._make = make
        self._local = threading.local()

    def get(self) -> Own:
        """This thread's own."""
        own: Own | None = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = self._make()
        return own


@contextmanager
def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Iterator[Result]]:
    """The result for each item, in order.

    The first error ends it; nothing runs any more when the block is left.
    """
    results = _results(work, items)
    try:
        yield results
    finally:
        results.close()


def _results(
    work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    waiting: deque[Future[Result]] = deque()
    workers = worker_count() + WAITING_COUNT
    with ThreadPoolExecutor(workers, thread_name_prefix="segment") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
