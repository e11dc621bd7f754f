"""Making the map of a volume from its segments, which threads bring into the store."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from amictl.content.domains import Domain
from amictl.content.mapping import MapBuilder
from amictl.model.blockmap import SEGMENT_SIZE, NodeName
from amictl.progress import Progress, Step
from amictl.store.walking import Map
from amictl.store.writing import Writer

CHECKPOINT_SECONDS = 60.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a volume. `data_bytes` are those that are not in runs of zeros."""

    map: Map
    data_bytes: int


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One segment, done: its leaf, and how many of its bytes were new, known and zero."""

    index: int
    leaf: NodeName
    new: int
    known: int
    zero: int


class MapMaking:
    """Makes the map of one volume; made for a single `run`.

    `what` names the work for `progress`, which is told of bytes of the volume.
    """

    def __init__(
        self, writer: Writer, domain: Domain, size_bytes: int, what: str, progress: Progress
    ) -> None:
        self._writer = writer
        self._domain = domain
        self._size = size_bytes
        self._what = what
        self._progress = progress
        self._builder = MapBuilder(size_bytes, lambda node: writer.add_node(node, domain))
        self._counts = [0, 0, 0]

    def run(
        self, work: Callable[[Item], StoredSegment], items: Iterable[Item], threads: int
    ) -> Ingested:
        """Have threads work on all items, which are segments in ascending order.

        Raises what `work` and `items` raise, of several errors the first. From time to time what
        is done is published, so that work that is killed repeats little; the rest is not yet
        published when it returns.
        """
        waiting: deque[Future[StoredSegment]] = deque()
        checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        with ThreadPoolExecutor(threads, thread_name_prefix="segment") as pool:
            try:
                for item in items:
                    if self._writer.checkpoint_due or time.monotonic() > checkpoint_at:
                        self._collect(waiting, 0)
                        self._writer.publish()
                        checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
                    waiting.append(pool.submit(work, item))
                    self._collect(waiting, 2 * threads)
                self._collect(waiting, 0)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        root = self._builder.finish()
        new, known, _ = self._counts
        self._report(self._size)
        block_map = Map(root, self._builder.height, self._size, self._domain.id)
        return Ingested(block_map, new + known)

    def _collect(self, waiting: deque[Future[StoredSegment]], leave: int) -> None:
        while len(waiting) > leave:
            done = waiting.popleft().result()
            self._builder.add(done.index, done.leaf)
            for at, count in enumerate((done.new, done.known, done.zero)):
                self._counts[at] += count
            self._report(min(self._size, (done.index + 1) * SEGMENT_SIZE))

    def _report(self, position: int) -> None:
        new, known, _ = self._counts
        zero = position - new - known
        self._progress.update(Step(self._what, position, self._size, new, known, zero))
