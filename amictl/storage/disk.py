"""Every change that amictl makes to a file system goes through here.

One small class, so that tests can put a recording disk in its place, which keeps the order of
writes, syncs and names, and replays what a power cut would leave.
"""

import ctypes
import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

from amictl.errors import StorageError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BLKZEROOUT = 0x127F
_SYNC_FILE_RANGE_WRITE = 2


class Disk:
    """The real file system. Files are named by path when made, by descriptor afterwards.

    All methods raise OSError; short writes are continued, never reported as done.
    """

    def create(self, path: Path, mode: int = FILE_MODE) -> int:
        """Open a new, empty file for reading and writing. Raises FileExistsError."""
        return os.open(path, _NEW, mode)

    def create_unnamed(self, directory: Path) -> int:
        """Open a new file without a name, which vanishes when it is closed before
        `name_unnamed`."""
        return os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, FILE_MODE)

    def name_unnamed(self, descriptor: int, path: Path) -> None:
        """Give an unnamed file its name. Raises FileExistsError if it is taken."""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Python follows the link in /proc only when a directory is given.
            os.link(
                f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True
            )
        finally:
            os.close(folder)

    def write_at(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while len(view):
            written = os.pwrite(descriptor, view, offset)
            if written == 0:
                raise OSError(5, "a write made no progress")
            view = view[written:]
            offset += written

    def set_owner(self, descriptor: int, user: int, group: int) -> None:
        """Give a file to somebody. Raises PermissionError unless we are root or it is ours."""
        os.fchown(descriptor, user, group)

    def set_mode(self, descriptor: int, mode: int) -> None:
        """Set the permissions of a file."""
        os.fchmod(descriptor, mode)

    def set_attribute(self, descriptor: int, name: str, value: bytes) -> None:
        """Set an extended attribute of a file; durable after `sync`."""
        os.setxattr(descriptor, name, value)

    def remove_attribute(self, descriptor: int, name: str) -> None:
        """Remove an extended attribute of a file; durable after `sync`."""
        os.removexattr(descriptor, name)

    def open_direct(self, descriptor: int) -> int:
        """Open an open file again, for writing past the cache.

        Raises OSError where the file system cannot; so do writes then that are not aligned to
        4096 bytes in the file and in memory.
        """
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)

    def truncate(self, descriptor: int, size: int) -> None:
        """Set the length of a file; what is added reads as zeros."""
        os.ftruncate(descriptor, size)

    def zero(self, descriptor: int, offset: int, length: int) -> None:
        """Make a range read as zeros, as a hole where the file system can."""
        _fallocate_punch(descriptor, offset, length)

    def zero_device(self, descriptor: int, offset: int, length: int) -> None:
        """Make a range of a block device read as zeros."""
        fcntl.ioctl(descriptor, _BLKZEROOUT, struct.pack("QQ", offset, length))

    def begin_write_back(self, descriptor: int, offset: int, length: int) -> None:
        """Ask the kernel to start writing a range, without waiting; nothing is promised."""
        _sync_file_range(descriptor, offset, length)

    def sync(self, descriptor: int) -> None:
        """When this returns, content and length survive a power cut. The first error is final."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close; an error here is an error of the writes before."""
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its name, in place of any that has it; durable after `sync_directory`."""
        old.rename(new)

    def rename_new(self, old: Path, new: Path) -> None:
        """Give a file its name. Raises FileExistsError if it is taken.

        Durable after `sync_directory`.
        """
        try:
            _rename_no_replace(old, new)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            os.link(old, new, follow_symlinks=False)
            old.unlink()

    def link(self, old: Path, new: Path) -> None:
        """Give a file a second name. Raises FileExistsError if it is taken."""
        os.link(old, new, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        """Remove a name; durable after `sync_directory`."""
        path.unlink()

    def make_directory(self, path: Path) -> None:
        """Make one directory, mode 0700. Raises FileExistsError."""
        path.mkdir(DIRECTORY_MODE)

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory; durable after `sync_directory`."""
        path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """When this returns, the names in the directory survive a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_directories(disk: Disk, path: Path) -> None:
    """Make a directory, mode 0700, and those above it; their names are durable when it returns.

    Raises OSError.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    # The last one that is there may have been made by a run that was killed before it synced.
    with suppress(PermissionError):
        disk.sync_directory((missing[-1] if missing else path).parent)
    for folder in reversed(missing):
        with suppress(FileExistsError):
            disk.make_directory(folder)
        disk.sync_directory(folder.parent)


def read_exactly(descriptor: int, target: memoryview, offset: int) -> int:
    """Fill `target` from `offset` on.

    Short reads are continued. Returns the bytes read: less only at the end.
    """
    done = 0
    while done < len(target):
        count = os.preadv(descriptor, [target[done:]], offset + done)
        if count == 0:
            break
        done += count
    return done


_libc = ctypes.CDLL(None, use_errno=True)
_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_NO_REPLACE = 0x01
_HERE = -100


def _rename_no_replace(old: Path, new: Path) -> None:
    """The names are absolute, so that the folder of neither matters."""
    old_name, new_name = os.fsencode(old), os.fsencode(new)
    if _libc.renameat2(_HERE, old_name, _HERE, new_name, ctypes.c_uint(_NO_REPLACE)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(old), None, str(new))


def _fallocate_punch(descriptor: int, offset: int, length: int) -> None:
    arguments = (
        ctypes.c_int(descriptor),
        ctypes.c_int(_PUNCH_HOLE_KEEP_SIZE),
        ctypes.c_long(offset),
        ctypes.c_long(length),
    )
    if _libc.fallocate(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _sync_file_range(descriptor: int, offset: int, length: int) -> None:
    arguments = (
        ctypes.c_int(descriptor),
        ctypes.c_long(offset),
        ctypes.c_long(length),
        ctypes.c_uint(_SYNC_FILE_RANGE_WRITE),
    )
    _libc.sync_file_range(*arguments)  # advice: an error shows at the sync that follows


def as_storage_error(error: OSError, doing: str, path: Path | str) -> StorageError:
    """An error of the file system, in words that name the place and, for a full disk, the
    way out."""
    hint = None
    if error.errno in (28, 122):
        hint = "free some space, then run the command again; what was stored stays valid"
    elif error.errno == 30:
        hint = "the file system is mounted read-only"
    return StorageError(f"cannot {doing} {str(path)!r}: {error.strerror or error}", hint=hint)


def is_out_of_space(error: StorageError) -> bool:
    """Whether something could not be written because there is no room for it."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def make_private(disk: Disk, descriptor: int, path: Path) -> None:
    """Let nobody else read a file. Raises StorageError."""
    try:
        disk.set_mode(descriptor, FILE_MODE)
    except OSError as error:
        raise as_storage_error(error, "make private", path) from error
