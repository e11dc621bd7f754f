"""Filling disks with the content of a snapshot: each segment is read, checked, and written."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from amictl.content.naming import fingerprint
from amictl.errors import CorruptStoreError
from amictl.model.blockmap import SEGMENT_SIZE, Name, segment_length
from amictl.model.records import SnapshotCore
from amictl.progress import Progress, Step
from amictl.store import authenticity
from amictl.store.lineages import lineage_of
from amictl.store.parallel import PerThread, in_processes, process_count, reading_threads
from amictl.store.reading import HEALING, SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of, read_leaf_at, with_others

RANGES_SHOWN = 10


class EmptyTarget(Protocol):
    """Reads as zeros where nothing was written. Any thread or process may write."""

    def write(self, offset: int, data: memoryview) -> None:
        """Raises StorageError."""
        ...


class FilledTarget(EmptyTarget, Protocol):
    """Holds something already. Any thread or process may read and write."""

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target`. Raises StorageError."""
        ...

    def zero(self, offset: int, length: int) -> None:
        """Make a range read as zeros."""
        ...


@dataclass(frozen=True, slots=True)
class _Done:
    """One segment: bytes of the volume behind it, bytes written to the target, damaged ranges."""

    position: int
    written: int
    damaged: list[tuple[int, int, str]]


class Filling:
    """One snapshot on its way to a disk: its map, and the readers of the threads.

    `progress` is told of bytes of the volume.
    """

    def __init__(self, store: Store, core: SnapshotCore, progress: Progress) -> None:
        self._store = store
        self._core = core
        self._map = map_of(core)
        authenticity.require_authentic(store, core)
        # Keys are opened here, before there are other processes.
        self._key = lineage_of(store, core).fingerprint_key
        self._progress = progress
        self._processes = process_count(store.storage, core.data_bytes)
        self._threads = reading_threads(store.storage)
        self._readers = PerThread(lambda: SegmentReader(store))
        self._buffers = PerThread(lambda: memoryview(bytearray(SEGMENT_SIZE)))

    def fill(self, target: EmptyTarget) -> int:
        """Write a disk that is all zeros; returns the bytes written.

        Raises CorruptStoreError, which names the damaged ranges; StorageError.
        """

        def write(item: tuple[int, Name]) -> _Done:
            index, name = item
            offset = index * SEGMENT_SIZE
            reader = self._readers.get()
            try:
                leaf = read_leaf_at(self._store, self._map, index, name)
            except CorruptStoreError as error:
                return self._lost(offset, error)
            faults = reader.read(leaf)
            written = 0
            for start, stop in data_ranges(leaf):
                target.write(offset + start, reader.buffer[start:stop])
                written += stop - start
            damaged = [
                (offset + fault.start, offset + fault.stop, fault.reason) for fault in faults
            ]
            return _Done(offset + leaf.plain_length, written, damaged)

        with in_processes(
            write,
            lambda: leaves(self._store, self._map),
            self._processes,
            threads=self._threads,
        ) as segments:
            return self._collect(segments)

    def rewrite(self, target: FilledTarget, own: Iterable[int], size_bytes: int) -> int:
        """Write what differs in a disk of this size; returns the bytes written.

        `own` are the ascending indexes of the segments that may hold something now. Raises as
        `fill` does; what is damaged in the store stays as it is in the target.
        """
        # Kept, because it changes while it is written, and all processes must see the same.
        present = own if isinstance(own, range) else array("Q", own)
        with in_processes(
            lambda item: self._rewrite_segment(target, item, size_bytes),
            lambda: with_others(leaves(self._store, self._map), present),
            self._processes,
            threads=self._threads,
        ) as segments:
            return self._collect(segments)

    def _rewrite_segment(
        self, target: FilledTarget, item: tuple[int, Name | None], size_bytes: int
    ) -> _Done:
        index, name = item
        offset = index * SEGMENT_SIZE
        length = segment_length(size_bytes, index)
        present = self._buffers.get()[:length]
        target.read(offset, present)
        if name is None:
            if bytearray(length) == present:
                return _Done(offset + length, 0, [])
            target.zero(offset, length)
            return _Done(offset + length, length, [])
        try:
            leaf = read_leaf_at(self._store, self._map, index, name)
        except CorruptStoreError as error:
            return self._lost(offset, error)
        tail = length - leaf.plain_length
        if tail == 0 and fingerprint(present, self._key) == leaf.fingerprint:
            return _Done(offset + length, 0, [])
        reader = self._readers.get()
        faults = reader.read(leaf)
        damaged = [(offset + fault.start, offset + fault.stop, fault.reason) for fault in faults]
        lost = {fault.start for fault in faults}
        written = 0
        position = 0
        for size, chunk in zip((*leaf.lengths, tail), (*leaf.names, None), strict=True):
            start, position = position, position + size
            here = present[start:position]
            if chunk is None:
                if size and bytearray(size) != here:
                    target.zero(offset + start, size)
                    written += size
            elif start not in lost and bytearray(reader.buffer[start:position]) != here:
                # What cannot be had leaves the target as it is: that may be all there is of it.
                target.write(offset + start, reader.buffer[start:position])
                written += size
        return _Done(offset + length, written, damaged)

    def _lost(self, offset: int, error: CorruptStoreError) -> _Done:
        """A segment whose leaf cannot be read."""
        stop = min(offset + SEGMENT_SIZE, self._core.size_bytes)
        return _Done(stop, 0, [(offset, stop, error.message)])

    def _collect(self, segments: Iterator[_Done]) -> int:
        """Add up, and report; raises CorruptStoreError that names all damaged ranges."""
        written = 0
        damaged: list[tuple[int, int, str]] = []
        total = self._core.size_bytes
        position = 0
        try:
            for segment in segments:
                written += segment.written
                damaged += segment.damaged
                position = min(segment.position, total)
                self._progress.update(Step("restore", position, total, known=position))
        except CorruptStoreError as error:
            # An inner node: what it covers cannot be told from below it.
            damaged.append((position, total, error.message))
        self._progress.update(Step("restore", total, total, known=total))
        if damaged:
            raise damage_of(self._core, damaged)
        return written


def damage_of(core: SnapshotCore, damaged: list[tuple[int, int, str]]) -> CorruptStoreError:
    """The error that names the damaged ranges of a snapshot: start, stop and reason of each.

    Ranges that touch are one, if the reason is the same.
    """
    joined = _joined(damaged)
    ranges = "; ".join(
        f"bytes {start} to {stop}: {reason}" for start, stop, reason in joined[:RANGES_SHOWN]
    )
    more = f"; and {len(joined) - RANGES_SHOWN} more" if len(joined) > RANGES_SHOWN else ""
    return CorruptStoreError(
        f"{core.snapshot_id} is damaged at {ranges}{more}",
        hint=HEALING,
    )


def _joined(damaged: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    joined: list[tuple[int, int, str]] = []
    for start, stop, reason in damaged:
        if joined and joined[-1][1:] == (start, reason):
            joined[-1] = (joined[-1][0], stop, reason)
        else:
            joined.append((start, stop, reason))
    return joined
