"""Work in hand as a file: locked by its writer for as long as it works.

When the lock is free, the work ended or its writer is dead. The first part, the head, is durable
before the file has its name; what comes after it is rewritten in place.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from amictl.errors import CorruptStoreError
from amictl.storage.disk import Disk, as_storage_error

_SIZE_MAX = 16 * 1024 * 1024


class PendingFile:
    """The writer's side; see `storage.interface.WorkInHand` for the contract."""

    def __init__(self, disk: Disk, staged: Path, path: Path, head: bytes) -> None:
        self._disk = disk
        self._path = path
        self._descriptor = -1
        self._head_length = self._length = len(head)
        try:
            self._create(staged, head)
        except BaseException as error:
            self.release()
            for name in (staged, path):  # nobody was told of it
                with suppress(OSError):
                    disk.unlink(name)
            if isinstance(error, OSError):
                raise as_storage_error(error, "create", path) from error
            raise

    def _create(self, staged: Path, head: bytes) -> None:
        self._descriptor = self._disk.create(staged)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._disk.write_at(self._descriptor, head, 0)
        self._disk.sync(self._descriptor)
        self._disk.rename(staged, self._path)
        self._disk.sync_directory(self._path.parent)

    def write(self, state: bytes) -> None:
        try:
            self._write(state)
        except OSError as error:
            raise as_storage_error(error, "write", self._path) from error

    def _write(self, state: bytes) -> None:
        length = self._head_length + len(state)
        self._disk.write_at(self._descriptor, state, self._head_length)
        if length < self._length:
            self._disk.truncate(self._descriptor, length)
        self._length = length

    def end(self, state: bytes) -> None:
        with suppress(OSError):
            self._write(state)
            self._disk.sync(self._descriptor)
        self.release()

    def remove(self) -> None:
        with suppress(OSError):
            self._disk.unlink(self._path)
        self.release()

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def read_held(path: Path) -> tuple[bytes, bool] | None:
    """What the file says, and whether its writer holds it; None if there is none.

    Raises CorruptStoreError for what is not a file or cannot be read, StorageError.
    """
    with _opened(path) as descriptor:
        if descriptor is None:
            return None
        alive = _is_locked(descriptor)
        return _read(descriptor, path), alive


def is_held(path: Path) -> bool:
    """Whether a writer holds the file. Raises StorageError."""
    try:
        with _opened(path) as descriptor:
            return descriptor is not None and _is_locked(descriptor)
    except CorruptStoreError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """A descriptor, or None if there is nothing. Raises CorruptStoreError, StorageError."""
    try:
        # No waiting for a pipe's writer.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
            raise CorruptStoreError(f"{path} is not a file") from error
        raise as_storage_error(error, "read", path) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CorruptStoreError(f"{path} is not a file")
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, path: Path) -> bytes:
    try:
        return os.pread(descriptor, _SIZE_MAX, 0)
    except OSError as error:
        if error.errno == errno.EIO:
            raise CorruptStoreError(f"{path} cannot be read: {error.strerror}") from error
        raise as_storage_error(error, "read", path) from error


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
