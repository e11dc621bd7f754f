"""The beginning of a snapshot as a file in memory, for those who look what a disk is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice

from amictl.errors import CorruptStoreError
from amictl.model.blockmap import SEGMENT_SIZE
from amictl.model.records import SnapshotCore
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of, read_leaf_at

SEGMENTS_INSPECTED = 16
"""How many segments with data, from the start of the disk on, are in the file."""


@contextmanager
def first_data(store: Store, snapshot: SnapshotCore) -> Iterator[int]:
    """A descriptor of a file as long as the disk, which has its first segments with data.

    What cannot be read is zeros: a check finds it, and an image can be of what is left.
    """
    descriptor = os.memfd_create("amictl-root-disk")
    try:
        os.truncate(descriptor, snapshot.size_bytes)
        with suppress(CorruptStoreError):
            _fill(descriptor, store, snapshot)
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(descriptor: int, store: Store, snapshot: SnapshotCore) -> None:
    block_map = map_of(snapshot)
    reader = SegmentReader(store)
    for index, name in islice(leaves(store, block_map), SEGMENTS_INSPECTED):
        leaf = read_leaf_at(store, block_map, index, name)
        if reader.read(leaf):
            continue
        for start, stop in data_ranges(leaf):
            os.pwrite(descriptor, reader.buffer[start:stop], index * SEGMENT_SIZE + start)
