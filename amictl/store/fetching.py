"""Fetching frames of the source as the target is to have them, in this process or in others.

Sealing a frame is a few dozen steps of Python around a few quick ones: threads would spend more
time on waiting for each other than on work. Processes put what they made into memory that is
shared, and say what it is.
"""

import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from amictl.content.resealing import ChunkNames
from amictl.errors import CorruptStoreError
from amictl.formats.frame import STORED_SIZE_MAX
from amictl.model.blockmap import Location
from amictl.store.carrying import Carried, Carrier
from amictl.store.store import Store

if TYPE_CHECKING:
    from amictl.store.forking import Child, Line

FrameKey = tuple[int, int]
"""Pack number and offset of a frame in the source."""

Span = tuple[int, int, int]
"""The same and its length."""

_READ_SIZE = 1024 * 1024
"""So much is read at once at most; it should still be in the processor's cache afterwards."""

_BATCH_SIZE = 4 * 1024 * 1024
"""So much is made at once at most: about what a segment is as it is stored."""


class Batch(NamedTuple):
    """Frames for the target, one behind the other; `size` is how long they are together.

    Those that are damaged are left out. The last one of a request is `last`.
    """

    frames: list[tuple[FrameKey, Carried]]
    size: int
    last: bool


Fetch = Callable[[Sequence[Span], ChunkNames], Iterator[tuple[Batch, memoryview]]]
"""Frames at these places, of a segment that has these chunks: batches with their bytes, which are
good until the next one is asked for. Raises StorageError, UnsupportedError."""


class Fetcher:
    """Fetches frames; one for each thread or process, because it uses its buffers again."""

    def __init__(self, source: Store, carrier: Carrier, space: memoryview) -> None:
        self._source = source
        self._carrier = carrier
        self._space = space
        self._buffer = memoryview(bytearray(_READ_SIZE))

    def fetch(self, places: Sequence[Span], used: ChunkNames) -> Iterator[tuple[Batch, memoryview]]:
        """See Fetch."""
        for batch in self.batches(places, used):
            yield batch, self._space[: batch.size]

    def batches(self, places: Sequence[Span], used: ChunkNames) -> Iterator[Batch]:
        """The same, without the bytes, which are in `space`."""
        frames: list[tuple[FrameKey, Carried]] = []
        size = 0
        for place, stored in self._read_all(places):
            if size + STORED_SIZE_MAX > len(self._space):
                yield Batch(frames, size, last=False)
                frames, size = [], 0
            try:
                carried = self._carrier.carry(stored, used, self._space[size:])
            except CorruptStoreError:
                continue  # there may be another place
            frames.append((place[:2], carried))
            size += carried.size
        yield Batch(frames, size, last=True)

    def fetch_one(self, place: Location, used: ChunkNames) -> tuple[Carried, memoryview]:
        """One frame, and its bytes. Raises CorruptStoreError."""
        if place.length > STORED_SIZE_MAX:
            raise CorruptStoreError("the index gives a frame an impossible length")
        stored = memoryview(self._source.read_bytes(place))
        carried = self._carrier.carry(stored, used, self._space)
        return carried, self._space[: carried.size]

    def _read_all(self, places: Sequence[Span]) -> Iterator[tuple[Span, memoryview]]:
        for neighbours in _neighbours(places):
            yield from self._read(neighbours)

    def _read(self, places: Sequence[Span]) -> Iterator[tuple[Span, memoryview]]:
        """The stored bytes of frames without a gap between them, good until the next one is read;
        not those that cannot be read."""
        pack, offset = places[0][:2]
        size = sum(length for _, _, length in places)
        buffer = self._buffer[:size]
        try:
            self._source.read_into(Location(pack, offset, size, 0), buffer)
        except CorruptStoreError:
            if len(places) > 1:
                for place in places:
                    yield from self._read([place])
            return
        start = 0
        for place in places:
            yield place, buffer[start : start + place[2]]
            start += place[2]


Carriers = Mapping[tuple[bytes, bytes], Callable[[], Carrier]]
"""By the domains in the source and in the target: what makes a carrier."""


class FetchingProcesses:
    """Processes that fetch frames, forked before there are threads. Any thread may ask them."""

    def __init__(self, source: Store, carriers: Carriers, count: int) -> None:
        from amictl.store.forking import fork

        self._children: list[Child] = []
        self._idle: SimpleQueue[tuple[Child, memoryview]] = SimpleQueue()
        try:
            for _ in range(count):
                space = memoryview(mmap.mmap(-1, _BATCH_SIZE))
                fork(partial(_serve, source, carriers, space), self._children)
                self._idle.put((self._children[-1], space))
        except BaseException:
            self.end()
            raise

    def fetch(
        self, domains: tuple[bytes, bytes], places: Sequence[Span], used: ChunkNames
    ) -> Iterator[tuple[Batch, memoryview]]:
        """See Fetch."""
        child, space = self._idle.get()
        try:
            batch: Batch = child.ask((domains, places, used))
            yield batch, space[: batch.size]
            while not batch.last:
                batch = child.ask(None)
                yield batch, space[: batch.size]
        finally:
            self._idle.put((child, space))

    def end(self) -> None:
        """Nothing is asked any more."""
        for child in self._children:
            child.end()


def _serve(source: Store, carriers: Carriers, space: memoryview, line: "Line") -> None:
    """The life of a process that fetches."""
    fetchers: dict[tuple[bytes, bytes], Fetcher] = {}
    while True:
        try:
            domains, places, used = line.receive()
        except EOFError:
            return
        if domains not in fetchers:
            fetchers[domains] = Fetcher(source, carriers[domains](), space)
        if any(place[0] not in source.index.packs for place in places):
            source.reload_index()
        for batch in fetchers[domains].batches(places, used):
            line.send(batch)
            if not batch.last:
                line.receive()


def new_space() -> memoryview:
    """Memory for what a fetcher makes."""
    return memoryview(bytearray(_BATCH_SIZE))


def _neighbours(places: Sequence[Span]) -> Iterator[list[Span]]:
    """Frames that stand one behind the other, so far as one read should take.

    Not those with an impossible length.
    """
    together: list[Span] = []
    size = end = 0
    for place in sorted(place for place in places if place[2] <= STORED_SIZE_MAX):
        pack, offset, length = place
        follows = bool(together) and (pack, offset) == (together[-1][0], end)
        if together and not (follows and size + length <= _READ_SIZE):
            yield together
            together, size = [], 0
        together.append(place)
        size += length
        end = offset + length
    if together:
        yield together
