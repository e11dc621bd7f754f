"""CreateVolume: a snapshot becomes a disk again, byte for byte."""

from array import array
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from amictl.content.naming import fingerprint
from amictl.errors import (
    CorruptStoreError,
    DryRunError,
    StorageError,
    UnsupportedError,
    UsageError,
    VolumeNotFoundError,
)
from amictl.model.blockmap import SEGMENT_SIZE, Name, segment_length
from amictl.model.ids import require_id
from amictl.model.images import GIB, size_gib
from amictl.model.records import SnapshotCore, VolumeRecord
from amictl.model.surroundings import Surroundings
from amictl.model.times import parse_timestamp, timestamp
from amictl.progress import Step
from amictl.store import catalog, events
from amictl.store.parallel import PerThread, in_processes, worker_count
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.recording import map_of
from amictl.store.store import Store
from amictl.store.walking import leaves, read_leaf_at, with_others
from amictl.volumes.extents import all_segments, data_segments
from amictl.volumes.targets import ExistingTarget, NewFile, is_device, path_text, require_free

RANGES_SHOWN = 10
_WORTH_PROCESSES = 64 * 1024 * 1024
"""Bytes of data from which on a process for each processor pays."""


@dataclass(frozen=True, slots=True)
class CreateVolumeRequest:
    """A snapshot, by its id or as the newest of a volume at a time.

    And where it is to be written.
    """

    snapshot_id: str | None
    volume_id: str | None
    as_of: datetime | None
    target: Path
    size_gib: int | None = None
    force: bool = False
    in_place: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Done:
    """One segment: bytes of the volume behind it, bytes written to the target, damaged ranges."""

    position: int
    written: int
    damaged: list[tuple[int, int, str]]


def create_volume(
    store: Store, request: CreateVolumeRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """The volume in EC2's shape, once its bytes are durable.

    Raises SnapshotNotFoundError, VolumeNotFoundError, UsageError, ConflictError if the target
    exists, SourceInUseError, StorageError; CorruptStoreError names the damaged ranges, and then
    there is no new file, or the target keeps its mark as incomplete.
    """
    core = _choose(store, request)
    size_bytes = _size(core, request)
    if request.in_place and request.force:
        raise UsageError("--in-place and --force exclude each other")
    require_free(request.target, overwrite=request.force or request.in_place)
    existing = (request.in_place and request.target.exists()) or is_device(request.target)
    if existing:
        _require_usable(store, request.target, size_bytes)
    store.reload_index()  # an index that cannot be read is not the snapshot's damage
    if request.dry_run:
        raise DryRunError("Request would have succeeded, but DryRun flag is set.")
    run = _Restore(store, core, surroundings)
    written = (
        run.rewrite(request.target, size_bytes) if existing else run.create(request, size_bytes)
    )
    volume_id = store.volume_id(path_text(request.target))
    # A hint for the next snapshot of the target; a store that cannot be written to does without.
    with suppress(StorageError, UnsupportedError):
        store.require_features("write")
        catalog.put_volume(
            store, VolumeRecord(volume_id, path_text(request.target), core.snapshot_id)
        )
    events.record(store, surroundings, "CreateVolume", (volume_id, core.snapshot_id), "available")
    return {
        "VolumeId": volume_id,
        "State": "available",
        "Size": size_gib(size_bytes),
        "SnapshotId": core.snapshot_id,
        "CreateTime": timestamp(surroundings.now()),
        "Encrypted": False,
        "Amictl": {"Path": str(request.target), "SizeBytes": size_bytes, "WrittenBytes": written},
    }


def _require_usable(store: Store, path: Path, size_bytes: int) -> None:
    """Raises SourceInUseError, UsageError, StorageError if a target cannot be rewritten."""
    target = ExistingTarget(path, store.storage.disk, store.marks)
    try:
        target.require_room(size_bytes)
    finally:
        target.close()


def _choose(store: Store, request: CreateVolumeRequest) -> SnapshotCore:
    if (request.snapshot_id is None) == (request.volume_id is None):
        raise UsageError("give either a snapshot or a volume", code="InvalidParameterCombination")
    if request.snapshot_id is not None:
        if request.as_of is not None:
            raise UsageError("--as-of goes with --volume-id", code="InvalidParameterCombination")
        return catalog.read_snapshot(store, require_id("snap", request.snapshot_id))
    assert request.volume_id is not None
    volume_id = require_id("vol", request.volume_id)
    limit = request.as_of or datetime.max.replace(tzinfo=UTC)
    cores = [
        catalog.read_snapshot_core(store, snapshot_id)
        for snapshot_id in catalog.snapshot_ids(store)
        if catalog.exists(store, snapshot_id)
    ]
    own = [
        core
        for core in cores
        if core.volume_id == volume_id and parse_timestamp(core.start_time) <= limit
    ]
    if not own:
        when = f" at or before {timestamp(request.as_of)}" if request.as_of else ""
        raise VolumeNotFoundError(f"The volume '{volume_id}' has no completed snapshot{when}.")
    return max(own, key=lambda core: core.start_time)


def _size(core: SnapshotCore, request: CreateVolumeRequest) -> int:
    """Exact bytes of the snapshot, or whole GiB when a size is given. Raises UsageError."""
    if request.size_gib is None:
        return core.size_bytes
    if request.size_gib * GIB < core.size_bytes:
        raise UsageError(
            f"{request.size_gib} GiB is less than the snapshot, which has {core.size_bytes} bytes"
        )
    return request.size_gib * GIB


class _Restore:
    """One restore: the snapshot, its map, and the threads' readers."""

    def __init__(self, store: Store, core: SnapshotCore, surroundings: Surroundings) -> None:
        self._store = store
        self._core = core
        self._map = map_of(core)
        self._key = bytes.fromhex(core.fingerprint_key)
        self._surroundings = surroundings
        self._processes = worker_count() if core.data_bytes >= _WORTH_PROCESSES else 1
        self._readers = PerThread(lambda: SegmentReader(store))
        self._buffers = PerThread(lambda: memoryview(bytearray(SEGMENT_SIZE)))

    def create(self, request: CreateVolumeRequest, size_bytes: int) -> int:
        """Write a new file; returns the bytes written."""
        file = NewFile(request.target, size_bytes, self._store.storage.disk, replace=request.force)

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
                file.write(offset + start, reader.buffer[start:stop])
                written += stop - start
            damaged = [
                (offset + fault.start, offset + fault.stop, fault.reason) for fault in faults
            ]
            return _Done(offset + leaf.plain_length, written, damaged)

        try:
            with in_processes(
                write, lambda: leaves(self._store, self._map), self._processes
            ) as segments:
                written = self._collect(segments)
            file.commit()
        except BaseException:
            file.discard()
            raise
        return written

    def rewrite(self, path: Path, size_bytes: int) -> int:
        """Rewrite what differs in an existing file or device; returns the bytes written."""
        target = ExistingTarget(path, self._store.storage.disk, self._store.marks)
        try:
            before = target.size_bytes
            target.begin(size_bytes, self._core.snapshot_id)
            # What lies beyond the snapshot, in a target that is to be larger, reads as zeros too.
            end = min(before, size_bytes) if not target.is_device else size_bytes
            # A list, because it changes while it is written, and all processes must see the same.
            own = (
                all_segments(end)
                if target.is_device
                else array("Q", data_segments(target.descriptor, end))
            )
            with in_processes(
                lambda item: self._rewrite_segment(target, item, size_bytes),
                lambda: with_others(leaves(self._store, self._map), own),
                self._processes,
            ) as segments:
                written = self._collect(segments)
            target.finish()
        finally:
            target.close()
        return written

    def _rewrite_segment(
        self, target: ExistingTarget, item: tuple[int, Name | None], size_bytes: int
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
                self._surroundings.progress.update(Step("restore", position, total, known=position))
        except CorruptStoreError as error:
            # An inner node: what it covers cannot be told from below it.
            damaged.append((position, total, error.message))
        self._surroundings.progress.update(Step("restore", total, total, known=total))
        if damaged:
            ranges = "; ".join(
                f"bytes {start} to {stop}: {reason}"
                for start, stop, reason in damaged[:RANGES_SHOWN]
            )
            more = (
                f"; and {len(damaged) - RANGES_SHOWN} more" if len(damaged) > RANGES_SHOWN else ""
            )
            raise CorruptStoreError(
                f"{self._core.snapshot_id} is damaged at {ranges}{more}",
                hint="amictl check-store --read-data names everything that is damaged",
            )
        return written
