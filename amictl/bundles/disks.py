"""Disks to be bundled: a file that is held at rest, and a snapshot."""

import time
from collections.abc import Iterable, Sequence

from amictl.bundles.image_tar import BLOCK, Extent
from amictl.storage.disk import as_storage_error
from amictl.store.serving import ServedSnapshot
from amictl.volumes.extents import read_segment
from amictl.volumes.freezing import FrozenDisk
from amictl.volumes.holes import next_data

_LEAST_HOLE = 65_536
"""Smaller holes are stored as zeros: what they would save is less than what they take."""
_SLOWEST = 5_000_000.0
"""Bytes a second that are expected before any was read."""


class FileToBundle:
    """A disk file or block device, frozen; the last byte that is read sets it free."""

    def __init__(self, disk: FrozenDisk) -> None:
        self.size_bytes = disk.size_bytes
        self._disk = disk
        self._begun = time.monotonic()
        self._read = 0

    def extents(self) -> Sequence[Extent]:
        return apart(self._data(), self.size_bytes)

    def read(self, offset: int, length: int) -> bytearray:
        """Raises SourceChangedError if somebody is about to write, StorageError."""
        elapsed = time.monotonic() - self._begun
        rate = self._read / elapsed if self._read and elapsed else _SLOWEST
        self._disk.require_held(self.size_bytes - offset, rate)
        data = bytearray(length)
        read_segment(self._disk.descriptor, offset, memoryview(data), str(self._disk.path))
        self._read += length
        return data

    def _data(self) -> Iterable[Extent]:
        position = 0
        while True:
            try:
                found = next_data(self._disk.descriptor, position, self.size_bytes, self.size_bytes)
            except OSError as error:
                raise as_storage_error(error, "look for holes in", self._disk.path) from error
            if found is None:
                return
            yield found[0], found[1] - found[0]
            position = found[1]


class SnapshotToBundle:
    """A snapshot of a region, of which every byte is checked."""

    def __init__(self, served: ServedSnapshot) -> None:
        self.size_bytes = served.size_bytes
        self._served = served

    def extents(self) -> Sequence[Extent]:
        return apart(self._data(), self.size_bytes)

    def read(self, offset: int, length: int) -> bytearray:
        return self._served.read(offset, length)

    def _data(self) -> Iterable[Extent]:
        position = 0
        for length, is_zero in self._served.extents(0, self.size_bytes):
            if not is_zero:
                yield position, length
            position += length


def apart(data: Iterable[Extent], size_bytes: int) -> list[Extent]:
    """Extents at multiples of 512, with holes between them that are worth it."""
    found: list[Extent] = []
    for offset, length in data:
        start = offset - offset % BLOCK
        stop = min(size_bytes, offset + length + -(offset + length) % BLOCK)
        if found and start - sum(found[-1]) < _LEAST_HOLE:
            start = found.pop()[0]
        found.append((start, stop - start))
    if found and found[0][0] < _LEAST_HOLE:
        found[0] = (0, sum(found[0]))
    if found and size_bytes - sum(found[-1]) < _LEAST_HOLE:
        found[-1] = (found[-1][0], size_bytes - found[-1][0])
    return found
