"""Work on segments in threads or processes, results in order, with a bounded number in flight."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from amictl.storage.interface import Storage
from amictl.storage.waiting import until

if TYPE_CHECKING:
    from amictl.store.forking import Child, Line

Item = TypeVar("Item")
Result = TypeVar("Result")
Own = TypeVar("Own")


_WAITING_COUNT = 2
"""Threads beyond the processors, because some wait for the disk."""


_WORTH_PROCESSES = 64 * 1024 * 1024
"""Bytes of data from which on a process for each processor pays."""


def worker_count() -> int:
    """Threads that pay: one for each processor that we may use."""
    return max(1, len(os.sched_getaffinity(0)))


def reading_threads(storage: Storage) -> int:
    """Threads that pay for reading from a storage."""
    return worker_count() + storage.waiting_threads


def process_count(storage: Storage, size_bytes: int) -> int:
    """Processes that pay for reading so much from a storage."""
    return worker_count() if storage.forkable and size_bytes >= _WORTH_PROCESSES else 1


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
def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int | None = None,
    ahead: int | None = None,
) -> Iterator[Iterator[Result]]:
    """The result for each item, in order.

    The first error ends it; nothing runs any more when the block is left. So many results are made
    `ahead` of the one that is used: two for each thread, or fewer where they are large.
    """
    threads = threads or worker_count() + _WAITING_COUNT
    results = _results(work, items, threads, ahead or 2 * threads)
    try:
        yield results
    finally:
        results.close()


def _results(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int
) -> Generator[Result, None, None]:
    waiting: deque[Future[Result]] = deque()
    over = threading.Event()
    with ThreadPoolExecutor(threads, "segment", until, (over,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                del item  # it may be large, and the next one too
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            over.set()
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def in_processes(
    work: Callable[[Item], Result],
    items: Callable[[], Iterable[Item]],
    processes: int,
    *,
    threads: int | None = None,
) -> Iterator[Iterator[Result]]:
    """The same with processes, for work that holds the interpreter's lock too often for threads.

    Each process goes through `items()` itself and takes its share. Results and errors must be
    picklable; what work changes in memory stays in its process. A process that is gone is a
    StorageError, and if this one is killed the others end with their next result. One process
    is this one, with so many threads.
    """
    if processes == 1:
        with in_order(work, items(), threads=threads) as results:
            yield results
        return
    from amictl.store.forking import fork

    children: list[Child] = []
    try:
        for own in range(processes):
            share = partial(_share, items, own, processes)
            fork(partial(_work_through, share, work), children)
        yield _gathered(children)
    finally:
        for child in children:
            child.end()


def _share(items: Callable[[], Iterable[Item]], own: int, processes: int) -> Iterator[Item]:
    return islice(items(), own, None, processes)


class _End:
    """After the last result."""


_THREADS_EACH = 3
"""In each process: one computes while the others wait for the disk."""


def _work_through(
    share: Callable[[], Iterable[Any]], work: Callable[[Any], Any], line: "Line"
) -> None:
    """The life of a child."""
    with in_order(work, share(), threads=_THREADS_EACH) as results:
        for result in results:
            line.send(result)
    line.send(_End())


def _gathered(children: "list[Child]") -> Iterator[Any]:
    for turn in count():
        result = children[turn % len(children)].answer()
        if isinstance(result, _End):
            return
        yield result
