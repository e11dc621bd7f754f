"""Copy a disk that is held at rest into a file of our own."""

import errno
import os
import time
from pathlib import Path

from amictl.errors import StorageError
from amictl.volumes.claims import Claim
from amictl.volumes.holes import next_data
from amictl.volumes.reflinks import read_only_again, unnamed_file
from amictl.volumes.sources import Source

_PIECE_BYTES = 4 << 20
_CANNOT_COPY_INSIDE = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


def private_copy(source: Source, claim: Claim, staging: Path) -> int:
    """A read-only descriptor of an unnamed, sparse copy in `staging`.

    Raises SourceChangedError when the claim was lost, or the disk changed, before the last byte was
    copied; StorageError when there is no room.
    """
    try:
        target = unnamed_file(staging)
        try:
            _copy(source, target, claim)
            claim.confirm()
            return read_only_again(target)
        finally:
            os.close(target)
    except OSError as error:
        raise StorageError.from_os_error(
            error, f"copy {str(source.path)!r} to {str(staging)!r}"
        ) from error


def _copy(source: Source, target: int, claim: Claim) -> None:
    size = source.size_bytes
    os.ftruncate(target, size)
    began, copied, position = time.monotonic(), 0, 0
    while (data := next_data(source.descriptor, position, size, _PIECE_BYTES)) is not None:
        start, end = data
        rate = copied / max(time.monotonic() - began, 1e-6)
        claim.require_held(size - start, rate)
        position = start + _copy_piece(source.descriptor, target, start, end - start)
        copied += position - start


def _copy_piece(source: int, target: int, offset: int, length: int) -> int:
    """Returns how many bytes were copied: at least one."""
    try:
        count = os.copy_file_range(source, target, length, offset, offset)
    except OSError as error:
        if error.errno not in _CANNOT_COPY_INSIDE:
            raise
        count = os.pwrite(target, os.pread(source, length, offset), offset)
    if count == 0:
        raise OSError(errno.EIO, "the disk ended early")
    return count
