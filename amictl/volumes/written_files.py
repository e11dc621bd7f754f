"""Which file was written: what tells it from another one that has its name later."""

import ctypes
import os
import struct
from pathlib import Path

from amictl.model.volumes import WrittenFile

_AT_FDCWD = -100
_STATX_BTIME = 0x800
_STATX_SIZE = 256
_BIRTH_TIME_OFFSET = 80

_libc = ctypes.CDLL(None, use_errno=True)


def written_file(path: Path) -> WrittenFile:
    """What tells the file at a path, links followed, from all others. Raises OSError."""
    status = path.stat()
    return WrittenFile(str(status.st_ino), status.st_size, birth_time(path))


def birth_time(path: Path) -> str | None:
    """When the file at a path came to be, in nanoseconds as digits; None where nobody knows.

    statx(2), which the file system, the C library or a container may lack.
    """
    found = ctypes.create_string_buffer(_STATX_SIZE)
    statx = getattr(_libc, "statx", None)
    if statx is None or statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found) != 0:
        return None
    (mask,) = struct.unpack_from("=I", found.raw)
    if not mask & _STATX_BTIME:
        return None
    seconds, nanoseconds = struct.unpack_from("=qI", found.raw, _BIRTH_TIME_OFFSET)
    return str(seconds * 1_000_000_000 + nanoseconds)
