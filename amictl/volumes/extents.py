"""Where a disk file holds data: holes are skipped without reading them."""

from collections.abc import Iterator

from amictl.errors import StorageError
from amictl.model.blockmap import SEGMENT_SIZE, segment_count
from amictl.storage.disk import as_storage_error, read_exactly
from amictl.volumes.holes import next_data


def data_segments(descriptor: int, size_bytes: int) -> Iterator[int]:
    """Ascending indexes of the segments in which something is allocated.

    Where the file system cannot tell, and for block devices, that is every segment.
    """
    position = 0
    following = 0
    while True:
        try:
            data = next_data(descriptor, position, size_bytes, size_bytes)
        except OSError as error:
            place = f"descriptor {descriptor}"
            raise as_storage_error(error, "look for holes in", place) from error
        if data is None:
            return
        start, stop = data
        last = -(-stop // SEGMENT_SIZE)
        yield from range(max(following, start // SEGMENT_SIZE), last)
        following = max(following, last)
        # The rest of a segment that is read anyway need not be looked at.
        position = max(stop, following * SEGMENT_SIZE)


def all_segments(size_bytes: int) -> range:
    """Indexes of all segments of a volume."""
    return range(segment_count(size_bytes))


def read_segment(descriptor: int, offset: int, target: memoryview, path: str) -> None:
    """Fill `target` from a disk file. Raises StorageError, also when the file ends too soon."""
    try:
        count = read_exactly(descriptor, target, offset)
    except OSError as error:
        raise as_storage_error(error, f"read at byte {offset} of", path) from error
    if count != len(target):
        raise StorageError(f"{path!r} ended at byte {offset + count} while it was read")
