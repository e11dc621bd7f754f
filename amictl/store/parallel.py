"""Work on segments in threads or processes, results in order, with a bounded number in flight."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Any, BinaryIO, Generic, NoReturn, TypeVar

from amictl.errors import StorageError
from amictl.storage.interface import Storage
from amictl.storage.waiting import until

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
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> Iterator[Iterator[Result]]:
    """The result for each item, in order.

    The first error ends it; nothing runs any more when the block is left.
    """
    results = _results(work, items, threads or worker_count() + _WAITING_COUNT)
    try:
        yield results
    finally:
        results.close()


def _results(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Generator[Result, None, None]:
    waiting: deque[Future[Result]] = deque()
    over = threading.Event()
    with ThreadPoolExecutor(threads, "segment", until, (over,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
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
    children: list[_Child] = []
    try:
        for own in range(processes):
            share = partial(_share, items, own, processes)
            _fork(share, work, children)
        yield _gathered(children)
    finally:
        for child in children:
            child.end()


def _share(items: Callable[[], Iterable[Item]], own: int, processes: int) -> Iterator[Item]:
    return islice(items(), own, None, processes)


@dataclass(frozen=True, slots=True)
class _Child:
    process: int
    results: BinaryIO

    def end(self) -> None:
        """Nothing of it is needed any more."""
        self.results.close()
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class _End:
    """After the last result."""


_STOPPING = (signal.SIGINT, signal.SIGTERM)
_THREADS_EACH = 3
"""In each process: one computes while the others wait for the disk."""


def _fork(
    share: Callable[[], Iterable[Any]], work: Callable[[Any], Any], children: list[_Child]
) -> None:
    """Add a child to those that there are."""
    ours, theirs = os.pipe()
    # A signal between here and there would run our clean-up in the child too, or leave a child
    # that nobody knows.
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        process = os.fork()
        if process == 0:
            os.close(ours)
            for child in children:
                os.close(child.results.fileno())
            _serve(share, work, theirs, masked)
        children.append(_Child(process, os.fdopen(ours, "rb")))
        os.close(theirs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def _serve(
    share: Callable[[], Iterable[Any]], work: Callable[[Any], Any], pipe: int, masked: Any
) -> NoReturn:
    """The life of a child. Who started it is told to stop, and stops it."""
    try:
        import pickle
        import traceback

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        with os.fdopen(pipe, "wb") as out:
            try:
                with in_order(work, share(), threads=_THREADS_EACH) as results:
                    for result in results:
                        pickle.dump(result, out)
                        out.flush()
                pickle.dump(_End(), out)
            except Exception as error:  # noqa: BLE001  (raised again where it is waited for)
                error.add_note(traceback.format_exc())
                pickle.dump(_Failure(error), out)
    finally:
        os._exit(0)


def _gathered(children: list[_Child]) -> Iterator[Any]:
    import pickle

    for turn in count():
        try:
            result = pickle.load(children[turn % len(children)].results)
        except (EOFError, pickle.UnpicklingError) as error:
            raise StorageError(
                "a process that did a part of the work is gone",
                hint="the kernel log says so if memory was short",
            ) from error
        if isinstance(result, _End):
            return
        if isinstance(result, _Failure):
            raise result.error
        yield result
