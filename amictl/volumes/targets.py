"""Where a volume is written to: a new file, an existing file or device rewritten in place.

A new file has no name until it is complete. What is rewritten in place is marked as incomplete,
durably, before the first write, and the mark is removed after the last sync.
"""

import errno
import fcntl
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from amictl.errors import ConflictError, SourceInUseError, StorageError, UsageError
from amictl.storage.disk import Disk, as_storage_error, read_exactly
from amictl.volumes.image_locks import lock_as_writer, written_by_a_machine

_PAGE_SIZE = 4096
_NAME_SIZE_MAX = 255
MARK_SUFFIX = ".amictl-incomplete"
_F_SETLEASE = 1024


class NewFile:
    """A file that appears under its name whole, or not at all.

    What is not written reads as zeros.
    """

    def __init__(self, path: Path, size_bytes: int, disk: Disk, *, replace: bool) -> None:
        self._path = resolved(path) if replace else path
        self._disk = disk
        self._replace = replace
        require_free(path, overwrite=replace)
        self.descriptor, self._temporary = -1, None
        self._direct = -1
        # One thread at a time may write through the cache, and the kernel lets the others spin.
        self._writing = threading.Lock()
        try:
            replaced = _closed_elsewhere(self._path) if self._path.exists() else None
            self.descriptor, self._temporary = self._open()
            if replaced is not None:
                with suppress(PermissionError):
                    disk.set_owner(self.descriptor, replaced.st_uid, replaced.st_gid)
                disk.set_mode(self.descriptor, stat.S_IMODE(replaced.st_mode))
            disk.truncate(self.descriptor, size_bytes)
            with suppress(OSError):
                self._direct = disk.open_direct(self.descriptor)
        except OSError as error:
            self.discard()
            raise as_storage_error(error, "create", path) from error

    def write(self, offset: int, data: memoryview) -> None:
        """Write bytes; from any thread or process. Raises StorageError.

        All of it must be on the medium before the file has its name, so whole pages go there
        directly: a copy in the cache would only cost time.
        """
        try:
            if not self._write_directly(offset, data):
                with self._writing:
                    self._disk.write_at(self.descriptor, data, offset)
                self._disk.begin_write_back(self.descriptor, offset, len(data))
        except OSError as error:
            raise as_storage_error(error, "write", self._path) from error

    def _write_directly(self, offset: int, data: memoryview) -> bool:
        """Returns whether it could be done: data may lie badly in the file or in memory."""
        if self._direct < 0 or offset % _PAGE_SIZE or len(data) % _PAGE_SIZE:
            return False
        try:
            self._disk.write_at(self._direct, data, offset)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        return True

    def commit(self) -> None:
        """Give the file its name. When this returns, it survives a power cut."""
        try:
            self._disk.sync(self.descriptor)
            self._name()
            self._disk.sync_directory(self._path.parent)
            self._remove_mark()
        except FileExistsError as error:
            raise ConflictError(f"{str(self._path)!r} came into being meanwhile") from error
        except OSError as error:
            raise as_storage_error(error, "finish", self._path) from error
        self._close()

    def discard(self) -> None:
        """Forget the file. Never raises; does nothing after `commit`."""
        if self.descriptor >= 0:
            with suppress(OSError):
                self._close()
            if self._temporary is not None:
                with suppress(OSError):
                    self._disk.unlink(self._temporary)

    def _open(self) -> tuple[int, Path | None]:
        try:
            return self._disk.create_unnamed(self._path.parent), None
        except OSError as error:
            if error.errno not in (95, 21, 2) or not self._path.parent.is_dir():
                raise
        # No unnamed files on this file system: a hidden name instead.
        temporary = self._beside()
        return self._disk.create(temporary), temporary

    def _name(self) -> None:
        if self._temporary is None and not self._replace:
            self._disk.name_unnamed(self.descriptor, self._path)
            return
        if self._temporary is None:
            self._temporary = self._beside()
            self._disk.name_unnamed(self.descriptor, self._temporary)
        if self._replace:
            self._disk.rename(self._temporary, self._path)
        else:
            self._disk.link(self._temporary, self._path)
            self._disk.unlink(self._temporary)
        self._temporary = None

    def _remove_mark(self) -> None:
        """What an unfinished rewriting in place left beside the file that was replaced."""
        mark = _mark_path(self._path, self._path.parent, is_device=False)
        if self._replace and mark.exists():
            self._disk.unlink(mark)
            self._disk.sync_directory(mark.parent)

    def _beside(self) -> Path:
        return hidden_beside(self._path)

    def _close(self) -> None:
        if self._direct >= 0:
            direct, self._direct = self._direct, -1
            self._disk.close(direct)
        descriptor, self.descriptor = self.descriptor, -1
        self._disk.close(descriptor)


class ExistingTarget:
    """A file or block device that is rewritten where it differs.

    Reads and writes from any thread.
    """

    def __init__(self, path: Path, disk: Disk, marks: Path) -> None:
        self.path = path
        self._disk = disk
        try:
            self.descriptor = _open_alone(path)
        except OSError as error:
            if error.errno == 16:
                raise SourceInUseError(
                    f"{str(path)!r} is in use", hint="stop the machine, or unmount what is on it"
                ) from error
            raise as_storage_error(error, "open", path) from error
        self.is_device = stat.S_ISBLK(os.fstat(self.descriptor).st_mode)
        self._mark = _mark_path(path, marks, is_device=self.is_device)
        self.written_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Length of the file or device."""
        return os.lseek(self.descriptor, 0, os.SEEK_END)

    def require_room(self, size_bytes: int) -> None:
        """Raises UsageError if it is a device that is too small."""
        if self.is_device and self.size_bytes < size_bytes:
            raise UsageError(
                f"{str(self.path)!r} has {self.size_bytes} bytes; the volume has {size_bytes}"
            )

    def begin(self, size_bytes: int, snapshot_id: str) -> None:
        """Mark it as incomplete, durably, then give it its length.

        Raises UsageError if a device is too small.
        """
        self.require_room(size_bytes)
        try:
            with suppress(FileExistsError):
                self._disk.make_directory(self._mark.parent)
            with suppress(FileExistsError):
                descriptor = self._disk.create(self._mark)
                try:
                    self._disk.write_at(descriptor, f"{snapshot_id}\n".encode(), 0)
                    self._disk.sync(descriptor)
                finally:
                    self._disk.close(descriptor)
            self._disk.sync_directory(self._mark.parent)
            if not self.is_device:
                self._disk.truncate(self.descriptor, size_bytes)
        except OSError as error:
            raise as_storage_error(error, "begin to write", self.path) from error

    def read(self, offset: int, target: memoryview) -> None:
        """Fill `target`. Raises StorageError."""
        try:
            count = read_exactly(self.descriptor, target, offset)
        except OSError as error:
            raise as_storage_error(error, "read", self.path) from error
        if count != len(target):
            raise StorageError(f"{str(self.path)!r} ends at byte {offset + count}")

    def write(self, offset: int, data: memoryview) -> None:
        """Write bytes. Raises StorageError."""
        try:
            self._disk.write_at(self.descriptor, data, offset)
        except OSError as error:
            raise as_storage_error(error, "write", self.path) from error

    def zero(self, offset: int, length: int) -> None:
        """Make a range read as zeros, without taking space where that can be done."""
        try:
            if self.is_device:
                self._disk.zero_device(self.descriptor, offset, length)
            else:
                self._disk.zero(self.descriptor, offset, length)
        except OSError:
            self._write_zeros(offset, length)

    def finish(self) -> None:
        """Sync, then remove the mark. When this returns, the content survives a power cut."""
        try:
            self._disk.sync(self.descriptor)
            self._disk.unlink(self._mark)
            self._disk.sync_directory(self._mark.parent)
        except OSError as error:
            raise as_storage_error(error, "finish", self.path) from error

    def close(self) -> None:
        """Close it; a target that was begun and not finished keeps its mark."""
        os.close(self.descriptor)

    def _write_zeros(self, offset: int, length: int) -> None:
        zeros = memoryview(bytes(min(length, 1 << 20)))
        for start in range(0, length, len(zeros)):
            self.write(offset + start, zeros[: min(len(zeros), length - start)])


def require_finished(path: Path, marks: Path) -> None:
    """Raises ConflictError if rewriting this file or device was begun and not ended.

    And StorageError if nobody can tell.
    """
    mark = _mark_path(resolved(path), marks, is_device=is_device(path))
    if _is_there(mark):
        raise ConflictError(
            f"{str(path)!r} is an unfinished restore: {str(mark)!r} says so",
            hint="finish it with create-volume --in-place, or remove that file if it is wrong",
        )


def require_free(path: Path, *, overwrite: bool) -> None:
    """Raises ConflictError if something is there that may not be overwritten.

    And UsageError if what is there is neither a file nor a block device, or the name is too long;
    StorageError if there is no folder that it could be made in.
    """
    if len(os.fsencode(path.name + MARK_SUFFIX)) > _NAME_SIZE_MAX:
        raise UsageError(
            f"the name {path.name!r} is too long",
            hint=f"at most {_NAME_SIZE_MAX - len(MARK_SUFFIX)} bytes leave room for {MARK_SUFFIX}",
        )
    if not os.path.lexists(path):
        _require_folder(path)
        return
    if not overwrite:
        raise ConflictError(
            f"{str(path)!r} exists",
            hint="use --force to replace it, or --in-place to rewrite what differs",
        )
    if path.exists() and not (path.is_file() or path.is_block_device()):
        raise _no_disk(path)


def _require_folder(path: Path) -> None:
    """Raises StorageError unless a file can be made there."""
    try:
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise as_storage_error(error, "create", path) from error


def _no_disk(path: Path) -> UsageError:
    return UsageError(f"{str(path)!r} is neither a file nor a block device")


def path_text(path: Path) -> str:
    """An absolute path without symbolic links, as text that JSON can hold. Raises StorageError."""
    return (
        str(resolved(path)).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )


def resolved(path: Path) -> Path:
    """An absolute path without symbolic links. Raises StorageError."""
    try:
        return path.resolve()
    except RuntimeError as error:  # Python's word for links that lead to themselves
        loop = OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        raise as_storage_error(loop, "follow", path) from error
    except OSError as error:
        raise as_storage_error(error, "follow", path) from error


def hidden_beside(path: Path) -> Path:
    """A name of its own, at random, in the same folder; not too long."""
    return path.with_name(hidden_beginning(path) + os.urandom(4).hex())


def hidden_beginning(path: Path) -> str:
    """What the names of `hidden_beside` have in common; 8 hexadecimal digits follow."""
    return f".{os.fsdecode(os.fsencode(path.name)[:200])}."


def _is_there(mark: Path) -> bool:
    """Whether there is such a mark. Raises StorageError."""
    try:
        return mark.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False  # and never was
        raise as_storage_error(error, "look for", mark) from error


def is_device(path: Path) -> bool:
    """Whether a target is a block device."""
    try:
        return stat.S_ISBLK(path.stat().st_mode)
    except OSError:
        return False


def _closed_elsewhere(path: Path) -> os.stat_result:
    """What a file is that nobody has open. Raises SourceInUseError, OSError."""
    descriptor = _open_alone(path)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _open_alone(path: Path) -> int:
    """Open for writing where nobody else has it open.

    Raises SourceInUseError, UsageError, OSError.
    """
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise _no_disk(path)
    exclusive = os.O_EXCL if stat.S_ISBLK(status.st_mode) else 0
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | exclusive)
    try:
        # First: a machine that starts now finds our locks, one that runs already is found by its.
        with suppress(BlockingIOError):
            lock_as_writer(descriptor)
        if written_by_a_machine(descriptor) or _is_open_elsewhere(descriptor):
            raise SourceInUseError(
                f"{str(path)!r} is open elsewhere", hint="stop the machine that uses it"
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_open_elsewhere(descriptor: int) -> bool:
    """A write lease is granted to the only holder of a file.

    Where leases do not work, nobody can tell.
    """
    try:
        fcntl.fcntl(descriptor, _F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        return error.errno == 11
    fcntl.fcntl(descriptor, _F_SETLEASE, fcntl.F_UNLCK)
    return False


def _mark_path(path: Path, marks: Path, *, is_device: bool) -> Path:
    """Beside a file.

    In the folder `marks` for a device, whose own folder does not outlive the machine's run.
    """
    if is_device:
        return marks / (blake3(os.fsencode(resolved(path))).hexdigest()[:32] + MARK_SUFFIX)
    return path.with_name(path.name + MARK_SUFFIX)
