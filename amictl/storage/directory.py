"""A store in a local directory."""

import errno
import fcntl
import mmap
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from amictl.errors import (
    AmictlError,
    BusyError,
    CorruptStoreError,
    ObjectMissingError,
    StorageError,
)
from amictl.storage.disk import Disk, as_storage_error, make_directories, read_exactly
from amictl.storage.pending_files import PendingFile, is_held, read_held

STAGING = "staging"
MARKS = "marks"
REPLACE_LOCK = "locks/replace"
_OPEN_FILES_MAX = 64
_READ_SIZE_MAX = 1 << 30
_WRITE_BACK_SIZE = 4 << 20
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class _OpenFile:
    """A file open for reading; closed when the last thread that uses it lets it go."""

    __slots__ = ("descriptor",)

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, _READ)

    def __del__(self) -> None:
        if (descriptor := getattr(self, "descriptor", -1)) >= 0:
            os.close(descriptor)


class DirectoryUpload:
    """A file in staging, until it gets its name."""

    def __init__(self, disk: Disk, staged: Path, name: str) -> None:
        self.name = name
        self.size = 0
        self.staged = staged
        self._disk = disk
        self._descriptor = -1
        self._begun = 0
        try:
            with _translated("create", staged):
                self._descriptor = disk.create(staged)
        except BaseException:
            self.discard()
            raise

    def append(self, data: bytes | memoryview) -> None:
        with _translated("write", self.staged):
            self._disk.write_at(self._descriptor, data, self.size)
            self.size += len(data)
            if self.size - self._begun >= _WRITE_BACK_SIZE:
                # The sync at the end waits for less.
                self._disk.begin_write_back(self._descriptor, self._begun, self.size - self._begun)
                self._begun = self.size

    def seal(self) -> None:
        with _translated("sync", self.staged):
            self._disk.sync(self._descriptor)
            self._close()

    def discard(self) -> None:
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            self._disk.unlink(self.staged)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._disk.close(descriptor)


class FileHold:
    """A shared lock on a file; it goes with its descriptor, at the latest with the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class DirectoryStorage:
    """Objects as files below `root`; see `storage.interface.Storage` for the contract.

    Staged files have random names, so that writers never meet. Locks are the kernel's.
    """

    forkable = True
    waiting_threads = 2
    record_threads = 1
    sealing_threads = 1

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self.disk = disk or Disk()
        self._open: OrderedDict[str, _OpenFile] = OrderedDict()
        self._open_lock = threading.Lock()

    @property
    def staging(self) -> Path:
        return self.root / STAGING

    @property
    def marks(self) -> Path:
        return self.root / MARKS

    def where(self, name: str = "") -> str:
        return str(self.root / name)

    def abilities(self) -> dict[str, bool]:
        return {}

    def require_writable(self) -> None:
        """Raises StorageError if nothing can be written here, as on a read-only file system."""
        if not os.access(self.root / STAGING, os.W_OK | os.X_OK):
            with _translated("write to", self.root):
                read_only = os.statvfs(self.root).f_flag & os.ST_RDONLY
                number = errno.EROFS if read_only else errno.EACCES
                raise OSError(number, os.strerror(number))

    def close(self) -> None:
        """Close the files that were kept open for reading."""
        with self._open_lock:
            self._open.clear()

    def read(self, name: str) -> bytes:
        # Called for each record: paths and contexts are made only when something is wrong.
        try:
            # No waiting for a pipe's writer.
            descriptor = os.open(f"{os.fspath(self.root)}/{name}", _READ | os.O_NONBLOCK)
            try:
                return self._read_whole(descriptor, name)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _reading_error(self.root / name, error) from error

    def _read_whole(self, descriptor: int, name: str) -> bytes:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode) or status.st_size > _READ_SIZE_MAX:
            raise CorruptStoreError(f"{self.root / name} is not a file, or impossibly large")
        pieces = []
        while piece := os.read(descriptor, status.st_size + 1):
            pieces.append(piece)
        return b"".join(pieces)

    def read_into(self, name: str, offset: int, target: memoryview) -> None:
        # Called for each frame: paths and contexts are made only when something is wrong.
        try:
            file = self._opened(name)
            count = read_exactly(file.descriptor, target, offset)
        except OSError as error:
            raise _reading_error(self.root / name, error) from error
        if count != len(target):
            raise CorruptStoreError(f"{name} ends before byte {offset + len(target)}")

    def distrust(self, name: str) -> None:
        with self._open_lock:
            self._open.pop(name, None)

    def map(self, name: str, require_sound: object = None) -> memoryview:
        with _reading(self.root / name):
            descriptor = os.open(self.root / name, _READ)
            try:
                if os.fstat(descriptor).st_size == 0:
                    return memoryview(b"")
                return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
            finally:
                os.close(descriptor)

    def size(self, name: str) -> int:
        with _reading(self.root / name):
            return (self.root / name).stat().st_size

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        with _reading(self.root / folder), os.scandir(self.root / folder) as entries:
            for entry in entries:
                # What somebody removes meanwhile is not there any more.
                with suppress(FileNotFoundError):
                    size = entry.stat(follow_symlinks=False).st_size
                    yield f"{folder}/{entry.name}", size

    def is_there(self, name: str) -> bool:
        return os.path.lexists(self.root / name)

    def write(self, name: str, data: bytes) -> None:
        upload = self._staged(name, data)
        try:
            self.publish([upload])
        except BaseException:
            upload.discard()
            raise

    def write_if_absent(self, name: str, data: bytes) -> bool:
        upload = self._staged(name, data)
        target = self.root / name
        try:
            with _translated("create", target):
                self.disk.link(upload.staged, target)
                self.disk.sync_directory(target.parent)
        except StorageError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
            # Whoever made it may have been killed before its name was durable.
            with _translated("sync", target.parent):
                self.disk.sync_directory(target.parent)
            return False
        finally:
            upload.discard()
        return True

    def replace_if_unchanged(self, name: str, data: bytes, expected: bytes | None) -> bool:
        with self.locked(REPLACE_LOCK):
            try:
                present: bytes | None = self.read(name)
            except ObjectMissingError:
                present = None
            if present != expected:
                return False
            self.write(name, data)
            return True

    def delete(self, name: str) -> None:
        path = self.root / name
        # Who replaces meanwhile what was there before would bring it back.
        with self.locked(REPLACE_LOCK), _translated("delete", path):
            with suppress(FileNotFoundError):
                self.disk.unlink(path)
            self.disk.sync_directory(path.parent)

    def clean(self, name: str) -> None:
        path = self.root / name
        with _translated("delete", path), suppress(FileNotFoundError):
            self.disk.unlink(path)

    def begin(self, name: str) -> DirectoryUpload:
        return DirectoryUpload(self.disk, self.root / STAGING / os.urandom(12).hex(), name)

    def publish(self, uploads: Sequence[DirectoryUpload]) -> None:
        folders = set()
        for upload in uploads:
            target = self.root / upload.name
            with _translated("rename", target):
                self.disk.rename(upload.staged, target)
            folders.add(target.parent)
        for folder in sorted(folders):
            with _translated("sync", folder):
                self.disk.sync_directory(folder)

    def make_folder(self, folder: str) -> None:
        path = self.root / folder
        with _translated("make the folder", path):
            make_directories(self.disk, path)

    def remove_empty(self, folders: Sequence[str], locks: Sequence[str]) -> None:
        with _translated("remove", self.root):
            for name in locks:
                with suppress(FileNotFoundError):
                    self.disk.unlink(self.root / name)
            for folder in folders:
                with suppress(FileNotFoundError):
                    self.disk.remove_directory(self.root / folder)
            self.disk.sync_directory(self.root)
        with suppress(OSError):  # it may be of somebody else, as a mount point is
            self.disk.remove_directory(self.root)
            self.disk.sync_directory(self.root.parent)

    def settle(self, folder: str) -> None:
        path = self.root / folder
        with _translated("sync", path):
            self.disk.sync_directory(path)

    @contextmanager
    def exclusively(self, name: str) -> Iterator[None]:
        path = self.root / name
        if not path.exists():
            # A store that was made before there was this lock.
            with _translated("lock", path), suppress(FileExistsError):
                os.close(self.disk.create(path))
        with self.locked(name):
            yield

    def hold(self, name: str) -> FileHold:
        return FileHold(self._locked(name, fcntl.LOCK_SH))

    @contextmanager
    def alone(self, names: Sequence[str]) -> Iterator[None]:
        held: list[int] = []
        try:
            for name in names:
                held.append(self._locked(name, fcntl.LOCK_EX | fcntl.LOCK_NB))
            yield
        finally:
            for descriptor in held:
                os.close(descriptor)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a kernel lock on a lock file of the store, waiting for it."""
        descriptor = self._locked(name, fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(descriptor)

    def begin_work(self, name: str, head: bytes) -> PendingFile:
        staged = self.root / STAGING / os.urandom(12).hex()
        return PendingFile(self.disk, staged, self.root / name, head)

    def read_work(self, name: str) -> tuple[bytes, bool] | None:
        return read_held(self.root / name)

    def is_worked_on(self, name: str) -> bool:
        return is_held(self.root / name)

    def seconds_until_dead(self, name: str) -> float | None:
        return None

    def _locked(self, name: str, how: int) -> int:
        """A descriptor of a lock file of the store, with the lock."""
        path = self.root / name
        with _translated("lock", path):
            descriptor = os.open(path, _READ)
            try:
                fcntl.flock(descriptor, how)
            except BaseException as error:
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    raise BusyError(
                        "another command writes to the store",
                        hint="run the command again when it is done",
                    ) from error
                raise
        return descriptor

    def _staged(self, name: str, data: bytes) -> DirectoryUpload:
        upload = self.begin(name)
        try:
            upload.append(data)
            upload.seal()
        except BaseException:
            upload.discard()
            raise
        return upload

    def _opened(self, name: str) -> _OpenFile:
        with self._open_lock:
            file = self._open.get(name)
            if file is None:
                file = self._open[name] = _OpenFile(self.root / name)
                if len(self._open) > _OPEN_FILES_MAX:
                    self._open.popitem(last=False)
            else:
                self._open.move_to_end(name)
            return file


@contextmanager
def _translated(doing: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise as_storage_error(error, doing, path) from error


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _reading_error(path, error) from error


def _reading_error(path: Path, error: OSError) -> AmictlError:
    if isinstance(error, FileNotFoundError):
        return ObjectMissingError(f"{path} is missing")
    if error.errno == errno.EIO:
        return CorruptStoreError(f"{path} cannot be read: {error.strerror}")
    return as_storage_error(error, "read", path)
