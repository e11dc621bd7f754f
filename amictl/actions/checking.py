"""Checking a store and verifying a snapshot: every fault, and the images, disks and bytes that
it hurts."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amictl.errors import CorruptStoreError, NotFoundError, UsageError
from amictl.model.blockmap import SEGMENT_SIZE, Name, segment_length
from amictl.model.ids import require_id
from amictl.model.records import SnapshotCore
from amictl.model.surroundings import Surroundings
from amictl.progress import Step
from amictl.storage.disk import as_storage_error
from amictl.store import catalog
from amictl.store.authenticity import require_authentic
from amictl.store.checking import StoreCheck
from amictl.store.parallel import PerThread, in_order, reading_threads
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of, read_leaf_at, with_others
from amictl.volumes.extents import all_segments, data_segments, read_segment
from amictl.volumes.sources import open_read_only
from amictl.volumes.targets import is_device

_DAMAGE, _DIFFERENCE = "damage", "difference"
_Found = tuple[str, int, int, str]
"""What is wrong with a volume: of which kind, from start to stop, and why."""


def check_store(
    store: Store,
    *,
    read_data: bool = False,
    sample_percent: float | None = None,
    max_age_seconds: float | None = None,
    went_back: Iterable[tuple[str, str]] = (),
    surroundings: Surroundings,
) -> dict[str, Any]:
    """`Faults` (what is wrong, and where), `Damaged` (whom it hurts, and which bytes), counts.

    `Leftovers` are what work that was killed left, and harm nothing.
    Without `read_data` all that describes the content is read; with it the packs too: all of
    them, a random part, or those not read within an age. What is found is remembered, where the
    store can be written to, so that later snapshots do not build on it. Nothing is repaired.
    `went_back` has objects and reasons that show that the store is older than it was.
    """
    store.require_features("check")
    if not read_data and (sample_percent is not None or max_age_seconds is not None):
        raise UsageError(
            "--sample and --max-age go with --read-data", code="InvalidParameterCombination"
        )
    if sample_percent is not None and max_age_seconds is not None:
        raise UsageError(
            "--sample and --max-age exclude each other", code="InvalidParameterCombination"
        )
    check = StoreCheck(store, surroundings)
    check.faults += [
        {"Kind": "state", "Place": place, "Message": message} for place, message in went_back
    ]
    check.outside()
    if read_data:
        check.packs(sample_percent, max_age_seconds)
    check.records()
    check.remember()
    return {
        "StoreId": store.config.store_id,
        "PackCount": check.pack_count,
        "PacksRead": check.packs_read,
        "BytesRead": check.bytes_read,
        "SnapshotCount": check.snapshot_count,
        "ImageCount": check.image_count,
        "NodeCount": check.node_count,
        "GarbageBytes": check.garbage_bytes,
        "Damaged": check.damaged,
        "Leftovers": check.leftovers,
        "Faults": check.faults,
    }


def verify_snapshot(
    store: Store, snapshot_id: str, *, against: Path | None = None, surroundings: Surroundings
) -> dict[str, Any]:
    """Read a snapshot whole, every chunk against its name.

    And compare it with a file, if one is given.
    `Faults` has byte ranges of the volume and a reason for each; their `Kind` is `damage`, or
    `difference` where the snapshot is whole and the file has something else.
    """
    core = catalog.read_snapshot(store, require_id("snap", snapshot_id))
    require_authentic(store, core)
    run = _Verification(store, core, surroundings)
    if against is None:
        run.verify(leaves(store, map_of(core)), None)
    else:
        with _opened(against) as descriptor:
            run.compare(descriptor, against)
    return {
        "SnapshotId": snapshot_id,
        "SizeBytes": core.size_bytes,
        "DataBytesRead": run.read_bytes,
        "Faults": [
            {"Kind": kind, "Start": start, "End": stop, "Reason": reason}
            for kind, start, stop, reason in run.faults
        ],
    }


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = open_read_only(path)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {str(path)!r}") from error
    except OSError as error:
        raise as_storage_error(error, "open", path) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Verification:
    """One pass over a snapshot; collects what is wrong."""

    def __init__(self, store: Store, core: SnapshotCore, surroundings: Surroundings) -> None:
        self._store = store
        self._core = core
        self._surroundings = surroundings
        self._readers = PerThread(lambda: SegmentReader(store))
        self._buffers = PerThread(lambda: memoryview(bytearray(SEGMENT_SIZE)))
        self.faults: list[_Found] = []
        self.read_bytes = 0

    def compare(self, descriptor: int, path: Path) -> None:
        """Verify, and compare with a disk file."""
        size = os.lseek(descriptor, 0, os.SEEK_END)
        own = self._core.size_bytes
        if size != own:
            reason = f"{str(path)!r} has {size} bytes, the snapshot {own}"
            self.faults.append((_DIFFERENCE, min(size, own), max(size, own), reason))
        common = min(size, own)
        segments = all_segments(common) if is_device(path) else data_segments(descriptor, common)

        def read(index: int) -> memoryview:
            offset = index * SEGMENT_SIZE
            data = self._buffers.get()[: max(0, min(SEGMENT_SIZE, common - offset))]
            read_segment(descriptor, offset, data, str(path))
            return data

        self.verify(with_others(leaves(self._store, map_of(self._core)), segments), read)

    def verify(
        self, segments: Iterator[tuple[int, Name | None]], read: Callable[[int], memoryview] | None
    ) -> None:
        """Read the segments; `read` gives the bytes that they are to be compared with."""
        total = self._core.size_bytes
        position = 0

        def check(item: tuple[int, Name | None]) -> tuple[int, int, list[_Found]]:
            return self._check(item, read)

        try:
            threads = reading_threads(self._store.storage)
            with in_order(check, segments, threads=threads) as checked:
                for position, count, faults in checked:
                    self.read_bytes += count
                    self.faults += faults
                    self._surroundings.progress.update(
                        Step("verify", min(position, total), total, known=min(position, total))
                    )
        except CorruptStoreError as error:
            # An inner node: what it covers cannot be told from below it.
            self.faults.append((_DAMAGE, position, total, error.message))

    def _check(
        self, item: tuple[int, Name | None], read: Callable[[int], memoryview] | None
    ) -> tuple[int, int, list[_Found]]:
        index, name = item
        offset = index * SEGMENT_SIZE
        length = segment_length(self._core.size_bytes, index)
        reader = self._readers.get()
        ranges: list[tuple[int, int]] = []
        faults: list[_Found] = []
        if name is not None:
            try:
                leaf = read_leaf_at(self._store, map_of(self._core), index, name)
            except CorruptStoreError as error:
                return offset + length, 0, [(_DAMAGE, offset, offset + length, error.message)]
            ranges = data_ranges(leaf)
            faults = [
                (_DAMAGE, offset + fault.start, offset + fault.stop, fault.reason)
                for fault in reader.read(leaf)
            ]
        if read is not None and not faults:
            content = bytearray(length)
            for start, stop in ranges:
                content[start:stop] = reader.buffer[start:stop]
            faults = _differences(offset, content, read(index))
        return offset + length, sum(stop - start for start, stop in ranges), faults


def _differences(offset: int, content: bytearray, present: memoryview) -> list[_Found]:
    """The differing range of one segment, to the sector."""
    common = min(len(content), len(present))
    if content[:common] == present[:common]:
        return []
    step = 512
    differing = [
        at
        for at in range(0, common, step)
        if content[at : at + step] != present[at : min(at + step, common)]
    ]
    return [
        (
            _DIFFERENCE,
            offset + differing[0],
            offset + min(differing[-1] + step, common),
            "the file has other bytes",
        )
    ]
