"""Clone a file in one instant, where the file system shares extents (XFS, btrfs)."""

import fcntl
import os
import struct
from pathlib import Path

from amictl.volumes.sources import Source, open_read_only

# ioctl numbers of linux/fs.h; the same on x86, ARM, RISC-V and s390.
_FICLONE = 0x40049409
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_NO_COPY_ON_WRITE = 0x00800000
_FLAGS = struct.Struct("l")


class NoReflinkError(Exception):
    """The file cannot be cloned here; the text says why. Never leaves this room."""


def clone(source: Source, staging: Path) -> int:
    """A read-only descriptor of an unnamed file with the content of this instant.

    The file is in `staging` if that can share extents with the source, else beside the source; it
    vanishes with its last descriptor. Raises NoReflinkError.
    """
    if source.is_block_device:
        raise NoReflinkError("a block device cannot be cloned")
    reason = ""
    for folder in (staging, source.path.resolve().parent):
        try:
            return _clone_into(folder, source.descriptor)
        except OSError as error:
            reason = error.strerror or str(error)
    raise NoReflinkError(f"its file system cannot clone it ({reason})")


def _clone_into(folder: Path, source_descriptor: int) -> int:
    """Raises OSError."""
    target = unnamed_file(folder)
    try:
        _share_flags(source_descriptor, target)
        fcntl.ioctl(target, _FICLONE, source_descriptor)
        return read_only_again(target)
    finally:
        os.close(target)


def unnamed_file(folder: Path) -> int:
    """A file that is readable by its owner only, has no name and can never get one."""
    return os.open(folder, os.O_TMPFILE | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)


def read_only_again(descriptor: int) -> int:
    """The same file through a descriptor that cannot write. Raises OSError."""
    return open_read_only(Path(f"/proc/self/fd/{descriptor}"))


def _share_flags(source_descriptor: int, target: int) -> None:
    """btrfs clones a file without copy-on-write, as libvirt makes them, into another such only."""
    try:
        answer = fcntl.ioctl(source_descriptor, _FS_IOC_GETFLAGS, bytes(_FLAGS.size))
    except OSError:
        return  # no such flags on this file system
    if _FLAGS.unpack(answer)[0] & _NO_COPY_ON_WRITE:
        fcntl.ioctl(target, _FS_IOC_SETFLAGS, _FLAGS.pack(_NO_COPY_ON_WRITE))
