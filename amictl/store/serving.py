"""A snapshot as a disk that can be read anywhere: for whoever asks for bytes, not for segments."""

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from amictl.errors import CorruptStoreError
from amictl.model.blockmap import SEGMENT_SIZE
from amictl.model.records import SnapshotCore
from amictl.progress import Progress, Step
from amictl.store import authenticity
from amictl.store.filling import damage_of
from amictl.store.parallel import PerThread, reading_threads
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import leaf_at, leaves, map_of, read_leaf_at

_KEPT_BESIDES = 2
"""Segments that are kept beyond those that are read ahead."""


class ServedSnapshot:
    """A snapshot, and zeros behind it up to `size_bytes`. One thread may ask at a time.

    Every byte is checked. The segments after the one that was asked for are read ahead in threads,
    because most who ask go on; memory is bounded by their number. `progress` is told how far the
    reading came. A context manager: its threads end with it.
    """

    def __init__(
        self, store: Store, core: SnapshotCore, size_bytes: int, progress: Progress
    ) -> None:
        """Raises KeyUnavailableError, CorruptStoreError if the snapshot's record is not sound."""
        assert size_bytes >= core.size_bytes
        authenticity.require_authentic(store, core)
        self.size_bytes = size_bytes
        self._store = store
        self._core = core
        self._map = map_of(core)
        self._progress = progress
        self._position = 0
        self._segment_count = -(-core.size_bytes // SEGMENT_SIZE)
        self._ahead = reading_threads(store.storage)
        self._readers = PerThread(lambda: SegmentReader(store))
        self._pool = ThreadPoolExecutor(self._ahead, thread_name_prefix="segment")
        self._kept: OrderedDict[int, Future[bytearray | None]] = OrderedDict()

    def __enter__(self) -> "ServedSnapshot":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def read(self, offset: int, length: int) -> bytearray:
        """Bytes inside the disk.

        Raises CorruptStoreError, which names the damage in the first of their segments that has
        any; StorageError.
        """
        data = bytearray(length)
        stop = offset + length
        for index in range(offset // SEGMENT_SIZE, -(-stop // SEGMENT_SIZE)):
            content = self._segment(index)
            if content is not None:
                first = index * SEGMENT_SIZE
                begin, end = max(offset, first), min(stop, first + SEGMENT_SIZE)
                piece = memoryview(content)[begin - first : end - first]
                data[begin - offset : end - offset] = piece
        self._tell(stop)
        return data

    def extents(self, offset: int, length: int) -> list[tuple[int, bool]]:
        """Lengths, from `offset` on, of what may hold data (False) and of zeros (True).

        Whole segments: zeros between a segment's chunks count as data. Raises CorruptStoreError,
        StorageError.
        """
        stop = offset + length
        extents: list[tuple[int, bool]] = []
        segments = range(offset // SEGMENT_SIZE, -(-stop // SEGMENT_SIZE))
        position = offset
        for index, _ in leaves(self._store, self._map, segments.start, segments.stop):
            begin = max(offset, index * SEGMENT_SIZE)
            end = min(stop, (index + 1) * SEGMENT_SIZE)
            _extend(extents, begin - position, is_zero=True)
            _extend(extents, end - begin, is_zero=False)
            position = end
        _extend(extents, stop - position, is_zero=True)
        return extents

    def _segment(self, index: int) -> bytearray | None:
        """The content of a segment; None where it is zeros."""
        for each in range(index, min(index + self._ahead + 1, self._segment_count)):
            if each not in self._kept:
                self._kept[each] = self._pool.submit(self._decoded, each)
            self._kept.move_to_end(each)
        while len(self._kept) > self._ahead + 1 + _KEPT_BESIDES:
            self._kept.popitem(last=False)[1].cancel()
        return self._kept[index].result() if index < self._segment_count else None

    def _decoded(self, index: int) -> bytearray | None:
        first = index * SEGMENT_SIZE
        stop = min(first + SEGMENT_SIZE, self._core.size_bytes)
        try:
            name = leaf_at(self._store, self._map, index)
            if name is None:
                return None
            leaf = read_leaf_at(self._store, self._map, index, name)
        except CorruptStoreError as error:
            raise damage_of(self._core, [(first, stop, error.message)]) from error
        reader = self._readers.get()
        faults = reader.read(leaf)
        if faults:
            ranges = [(first + fault.start, first + fault.stop, fault.reason) for fault in faults]
            raise damage_of(self._core, ranges)
        content = bytearray(SEGMENT_SIZE)
        for begin, end in data_ranges(leaf):
            content[begin:end] = reader.buffer[begin:end]
        return content

    def _tell(self, position: int) -> None:
        """How far it came, of what the snapshot has."""
        total = self._core.size_bytes
        self._position = max(self._position, min(position, total))
        self._progress.update(Step("restore", self._position, total, known=self._position))


def _extend(extents: list[tuple[int, bool]], length: int, *, is_zero: bool) -> None:
    """Add a length, as a part of the last extent where that is of the same kind."""
    if length and extents and extents[-1][1] == is_zero:
        extents[-1] = (extents[-1][0] + length, is_zero)
    elif length:
        extents.append((length, is_zero))
