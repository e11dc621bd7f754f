"""Where a file holds data, asked piece by piece."""

import errno
import os


def next_data(descriptor: int, position: int, end: int, most_bytes: int) -> tuple[int, int] | None:
    """Where the next data from `position` on begins and stops, at most `most_bytes`; None: no more.

    Everything is data where the file system cannot tell. Raises OSError.
    """
    if position >= end:
        return None
    try:
        start = os.lseek(descriptor, position, os.SEEK_DATA)
        hole = os.lseek(descriptor, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        start, hole = position, end
    if start >= end:
        return None
    return start, min(hole, end, start + most_bytes)
