"""Moving the content of snapshots from one store to another: only what the target lacks.

The source's map is walked from its root. A node that the target has is there with everything
below it, and is not visited. Chunks that the target lacks come in the frames that hold them in
the source, checked on arrival; a node is added when everything below it was. So whatever is
published on the way is complete in itself, and a copy that is run again finds it there.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from amictl.content.domains import PLAIN
from amictl.errors import CorruptStoreError
from amictl.model.blockmap import (
    FANOUT,
    SEGMENT_SIZE,
    Location,
    Name,
    Node,
    segment_length,
)
from amictl.progress import Progress, Step
from amictl.store.carrying import STORED_SIZE_MAX, Carried, carrier_for
from amictl.store.ingesting import CHECKPOINT_SECONDS
from amictl.store.parallel import PerThread, reading_threads
from amictl.store.store import Store
from amictl.store.walking import Map, read_interior_at, read_leaf_at
from amictl.store.writing import Writer

_Frame = tuple[int, int]
"""Pack number and offset of a frame in the source."""


@dataclass(frozen=True, slots=True)
class _LeafAt:
    """A leaf of the source that the target lacks."""

    index: int
    name: Name


@dataclass(frozen=True, slots=True)
class _Done:
    """What is below `node` is in the target, or on its way; and the bytes that this tells of.

    `node` is None where the target has everything already. `position` is where it ends in the
    volume.
    """

    node: Node | None
    position: int
    new: int = 0
    known: int = 0
    zero: int = 0


class _LostError(CorruptStoreError):
    """Bytes of the volume that the source cannot give."""

    def __init__(self, start: int, stop: int, error: CorruptStoreError) -> None:
        super().__init__(f"bytes {start} to {stop}: {error.message}")


class Transfer:
    """Moves the maps of several snapshots, one after the other, into the store of one writer.

    `garbage_bytes` are plain bytes that came along and that no snapshot moved so far uses.
    """

    def __init__(self, source: Store, writer: Writer) -> None:
        self.garbage_bytes = 0
        self._source = source
        self._writer = writer
        target = writer.store.config
        self._carriers = PerThread(
            carrier_for(source.config.owner_id, target.owner_id, target.compression_level)
        )
        self._lock = threading.Lock()
        self._taken: dict[_Frame, Future[frozenset[Name]]] = {}
        self._unused: dict[Name, int] = {}
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS

    def move(self, block_map: Map, snapshot_id: str, progress: Progress) -> None:
        """Bring everything that the map of a snapshot leads to; it is not yet published.

        Raises CorruptStoreError that names damaged ranges, StorageError, UnsupportedError.
        """
        told = _Told(block_map.size_bytes, progress)
        waiting: deque[Future[_Done]] = deque()
        threads = reading_threads(self._source.storage)
        with ThreadPoolExecutor(threads, thread_name_prefix="frames") as pool:
            try:
                for item in self._walk(block_map):
                    if self._writer.checkpoint_due or time.monotonic() > self._checkpoint_at:
                        self._collect(waiting, 0, told)
                        self._publish()
                    waiting.append(self._begun(pool, block_map, item))
                    self._collect(waiting, 4 * threads, told)
                self._collect(waiting, 0, told)
            except _LostError as error:
                raise _damaged(snapshot_id, error, waiting) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        told.finish()
        self._count_garbage()

    def _walk(self, block_map: Map) -> Iterator[_LeafAt | _Done]:
        """What the target lacks, children before their parents; and what it has, in one piece."""
        if block_map.root is not None:
            yield from self._below(block_map, block_map.root, block_map.height, 0)

    def _below(
        self, block_map: Map, name: Name, level: int, first: int
    ) -> Iterator[_LeafAt | _Done]:
        start = first * SEGMENT_SIZE
        stop = min(start + SEGMENT_SIZE * FANOUT**level, block_map.size_bytes)
        if self._has_all_below(name):
            yield _Done(None, stop, known=stop - start)
            return
        if level == 0:
            yield _LeafAt(first, name)
            return
        try:
            node = read_interior_at(self._source, block_map, name, level, first)
        except CorruptStoreError as error:
            raise _LostError(start, stop, error) from error
        span = FANOUT ** (level - 1)
        for slot, child in enumerate(node.children):
            if child is not None:
                yield from self._below(block_map, child, level - 1, first + slot * span)
        yield _Done(node, stop)

    def _has_all_below(self, name: Name) -> bool:
        """Whether a node is in the target, with all that it leads to.

        What the index has is complete, unless some of it is known to be damaged or lost.
        """
        index = self._writer.index
        return not index.knows_damage and index.find(name) is not None

    def _begun(
        self, pool: ThreadPoolExecutor, block_map: Map, item: _LeafAt | _Done
    ) -> Future[_Done]:
        if isinstance(item, _LeafAt):
            return pool.submit(self._leaf, block_map, item)
        done: Future[_Done] = Future()
        done.set_result(item)
        return done

    def _collect(self, waiting: "deque[Future[_Done]]", leave: int, told: "_Told") -> None:
        while len(waiting) > leave:
            done = waiting[0].result()
            waiting.popleft()
            if done.node is not None:
                self._writer.add_node(done.node, PLAIN)
            told.add(done)

    def _publish(self) -> None:
        self._writer.publish()
        self._taken.clear()  # all that came with these frames is in the index by now
        self._count_garbage()
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS

    def _count_garbage(self) -> None:
        self.garbage_bytes += sum(self._unused.values())
        self._unused.clear()

    def _leaf(self, block_map: Map, at: _LeafAt) -> _Done:
        """Bring the chunks of one segment."""
        start = at.index * SEGMENT_SIZE
        length = segment_length(block_map.size_bytes, at.index)
        try:
            leaf = read_leaf_at(self._source, block_map, at.index, at.name)
            lengths = {
                name: size for name, size in zip(leaf.names, leaf.lengths, strict=True) if name
            }
            names = list(lengths)
            new = self._writer.claim_new(names) if names else []
            missing = [name for name, is_new in zip(names, new, strict=True) if is_new]
            needed = self._bring(missing, lengths.keys())
            # One step deep: what is needed needs nothing.
            claimed = self._writer.claim_new(needed) if needed else []
            self._bring([one for one, is_new in zip(needed, claimed, strict=True) if is_new], set())
        except CorruptStoreError as error:
            raise _LostError(start, start + length, error) from error
        with self._lock:
            for name in names:
                self._unused.pop(name, None)
        arrived = sum(lengths[name] for name in missing)
        zero = leaf.zero_length
        return _Done(leaf, start + length, arrived, length - zero - arrived, zero)

    def _bring(self, missing: Sequence[Name], used: Set[Name]) -> list[Name]:
        """Bring chunks in the frames that hold them; what else the frames need.

        `used` are all chunks of the segment. Raises CorruptStoreError.
        """
        frames: dict[_Frame, Location] = {}
        wanted: dict[_Frame, list[Name]] = {}
        needed: list[Name] = []
        for name in missing:
            place = self._source.index.find(name)
            if place is None:
                needed += self._bring_from_anywhere(name, used)
                continue
            frames.setdefault((place.pack, place.offset), place)
            wanted.setdefault((place.pack, place.offset), []).append(name)
        for frame, place in frames.items():
            brought, more = self._bring_frame(frame, place, wanted[frame], used)
            needed += more
            for name in wanted[frame]:
                if name not in brought:
                    needed += self._bring_from_anywhere(name, used)
        return needed

    def _bring_frame(
        self, frame: _Frame, place: Location, wanted: Sequence[Name], used: Set[Name]
    ) -> tuple[frozenset[Name], tuple[Name, ...]]:
        """The names that came with a frame, for this segment or for another one; none if it is
        damaged. And what it needs, the first time."""
        ours: Future[frozenset[Name]] = Future()
        with self._lock:
            present = self._taken.setdefault(frame, ours)
        if present is not ours and present.result().issuperset(wanted):
            return present.result(), ()
        came: frozenset[Name] = frozenset()
        try:
            carried = self._carried(place, {*used, *wanted})
            came = frozenset(carried.names)
        except CorruptStoreError:
            return came, ()  # there may be another place
        finally:
            ours.set_result(came)
        return came, carried.needed

    def _bring_from_anywhere(self, name: Name, used: Set[Name]) -> tuple[Name, ...]:
        """Try every place of one chunk, after loading CURRENT again: packs may have moved."""
        failure = CorruptStoreError(f"chunk {name.hex()} is not in the index")
        for place in self._source.reload_index().places(name):
            try:
                carried = self._carried(place, {*used, name})
            except CorruptStoreError as error:
                where = self._source.describe(place)
                failure = CorruptStoreError(f"{error.message} ({where})")
                continue
            if name in carried.names:
                return carried.needed
        raise failure

    def _carried(self, place: Location, used: Set[Name]) -> Carried:
        """Read one frame and add it to the target. Raises CorruptStoreError."""
        if place.length > STORED_SIZE_MAX:
            raise CorruptStoreError("the index gives a frame an impossible length")
        carried = self._carriers.get().carry(self._source.read_bytes(place), used)
        self._writer.add_frame(carried.data, carried.names)
        with self._lock:
            self._unused.update(carried.unused)
        return carried


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
        hint="in its own region, amictl check-store --read-data names everything that is damaged",
    )
