"""Moving the content of snapshots from one store to another: only what the target lacks.

The source's map is walked from its root. A node that the target has is there with everything
below it, and is not visited. Chunks that the target lacks come in the frames that hold them in
the source, checked on arrival; a node is added when everything below it was. So whatever is
published on the way is complete in itself, and a copy that is run again finds it there.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

from amictl.errors import CorruptStoreError
from amictl.model.blockmap import Name
from amictl.progress import Progress, Step
from amictl.store.bringing import Bringing
from amictl.store.fetching import FetchingProcesses
from amictl.store.map_making import CHECKPOINT_SECONDS
from amictl.store.parallel import reading_threads
from amictl.store.passages import Moving, Passage, Place
from amictl.store.reading import HEALING
from amictl.store.store import Store
from amictl.store.writing import Writer

_WORTH_PROCESSES = 16
"""Segments to be read from which on processes pay."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What is below `node` is in the target, or on its way; and the bytes that this tells of.

    `node` is None where the target has everything already. `position` is where it ends in the
    volume.
    """

    node: Moving | None
    position: int
    new: int = 0
    known: int = 0


class _LostError(CorruptStoreError):
    """What the source cannot give of a volume."""

    def __init__(self, where: str, error: CorruptStoreError) -> None:
        super().__init__(f"{where}: {error.message}")


class Transfer:
    """Moves the maps of several snapshots, one after the other, into the store of one writer.

    It may fork: it is made before there are threads, with all `passages` that are to be moved, and
    used as a context manager. `garbage_bytes` are plain bytes that came along and that no snapshot
    moved so far uses; of what is not opened they cannot be told.
    """

    def __init__(self, source: Store, writer: Writer, passages: Sequence[Passage]) -> None:
        self.garbage_bytes = 0
        self._source = source
        self._writer = writer
        self._bringing: dict[tuple[bytes, bytes], Bringing] = {}
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        self._processes = None
        if self._is_worth_processes(passages):
            carriers = {passage.domains: passage.carrier for passage in passages}
            count = reading_threads(source.storage)
            self._processes = FetchingProcesses(source, carriers, count)

    def __enter__(self) -> "Transfer":
        return self

    def __exit__(self, *_: object) -> None:
        if self._processes is not None:
            self._processes.end()

    def _is_worth_processes(self, passages: Sequence[Passage]) -> bool:
        """Whether there is so much to be moved, and nothing that a fork does not stand."""
        if not (self._source.storage.forkable and self._writer.store.storage.forkable):
            return False
        items = chain.from_iterable(self._lacking(passage) for passage in passages)
        leaves = (item for item in items if isinstance(item, Place))
        with suppress(CorruptStoreError):  # told when it is moved
            return len(list(islice(leaves, _WORTH_PROCESSES))) == _WORTH_PROCESSES
        return False

    def _lacking(self, passage: Passage) -> "Iterator[Place | _Done]":
        root = passage.root()
        return self._below(passage, root) if root else iter(())

    def move(
        self, passage: Passage, size_bytes: int, snapshot_id: str, progress: Progress
    ) -> Name | None:
        """Bring everything that the map of a snapshot leads to; it is not yet published.

        Returns the root of the map in the target. Raises CorruptStoreError that names damaged
        ranges, StorageError, UnsupportedError.
        """
        bringing = self._bringing_on(passage)
        told = _Told(size_bytes, progress)
        waiting: deque[Future[_Done]] = deque()
        threads = reading_threads(self._source.storage)
        with ThreadPoolExecutor(threads, thread_name_prefix="frames") as pool:
            try:
                root = passage.root()
                for item in self._below(passage, root) if root else ():
                    if self._writer.checkpoint_due or time.monotonic() > self._checkpoint_at:
                        self._collect(waiting, 0, told)
                        self._publish()
                    waiting.append(_begun(pool, passage, bringing, item))
                    self._collect(waiting, 4 * threads, told)
                self._collect(waiting, 0, told)
            except _LostError as error:
                raise _damaged(snapshot_id, error, waiting) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        told.finish()
        self._count_garbage()
        return root.target if root else None

    def _bringing_on(self, passage: Passage) -> Bringing:
        """Frames are brought once for all snapshots that go the same way."""
        if passage.domains not in self._bringing:
            processes = self._processes
            fetch = partial(processes.fetch, passage.domains) if processes else None
            bringing = Bringing(self._source, self._writer, passage.carrier, fetch)
            self._bringing[passage.domains] = bringing
        return self._bringing[passage.domains]

    def _below(self, passage: Passage, place: Place) -> Iterator[Place | _Done]:
        """What the target lacks, children before their parents: leaves, which are still to be
        read, and nodes. And what it has, in one piece."""
        if self._has_all_below(place.target):
            yield _Done(None, place.stop, known=place.stop - place.start)
            return
        if place.level == 0:
            yield place
            return
        try:
            node = passage.read(place)
        except CorruptStoreError as error:
            raise _LostError(passage.where(place), error) from error
        for child in node.below:
            yield from self._below(passage, child)
        yield _Done(node, place.stop)

    def _has_all_below(self, name: Name) -> bool:
        """Whether a node is in the target, with all that it leads to.

        What the index has is complete, unless some of it is known to be damaged or lost.
        """
        index = self._writer.index
        return not index.knows_damage and index.find(name) is not None

    def _collect(self, waiting: "deque[Future[_Done]]", leave: int, told: "_Told") -> None:
        while len(waiting) > leave:
            done = waiting[0].result()
            waiting.popleft()
            if done.node is not None:
                self._writer.add_stored_node(done.node.name, done.node.data)
            told.add(done)

    def _publish(self) -> None:
        self._writer.publish()
        for bringing in self._bringing.values():
            bringing.forget_frames()
        self._count_garbage()
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS

    def _count_garbage(self) -> None:
        self.garbage_bytes += sum(one.take_unused() for one in self._bringing.values())


def _begun(
    pool: ThreadPoolExecutor, passage: Passage, bringing: Bringing, item: Place | _Done
) -> Future[_Done]:
    if isinstance(item, Place):
        return pool.submit(_leaf, passage, bringing, item)
    done: Future[_Done] = Future()
    done.set_result(item)
    return done


def _leaf(passage: Passage, bringing: Bringing, place: Place) -> _Done:
    """Bring the chunks of one segment."""
    try:
        leaf = passage.read(place)
        arrived = bringing.bring(leaf.chunks)
    except CorruptStoreError as error:
        raise _LostError(passage.where(place), error) from error
    known = place.stop - place.start - leaf.zero - arrived
    return _Done(leaf, place.stop, arrived, known)


class _Told:
    """Adds up what became of the bytes of a volume, for who waits."""

    def __init__(self, size_bytes: int, progress: Progress) -> None:
        self._size = size_bytes
        self._progress = progress
        self._new = self._known = 0

    def add(self, done: _Done) -> None:
        self._new += done.new
        self._known += done.known
        self._update(done.position)

    def finish(self) -> None:
        self._update(self._size)

    def _update(self, position: int) -> None:
        zero = max(0, position - self._new - self._known)
        self._progress.update(Step("copy", position, self._size, self._new, self._known, zero))


def _damaged(
    snapshot_id: str, first: _LostError, waiting: "deque[Future[_Done]]"
) -> CorruptStoreError:
    """The error for a damaged source, with what else is known to be lost by now."""
    failures = (future.exception() for future in waiting if not future.cancelled())
    lost = [first.message, *(error.message for error in failures if isinstance(error, _LostError))]
    return CorruptStoreError(
        f"{snapshot_id} is damaged at {'; '.join(dict.fromkeys(lost))}",
        hint=f"in its own region, {HEALING}",
    )
