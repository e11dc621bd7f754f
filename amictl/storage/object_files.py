"""A bucket that is a directory: objects are files of their keys.

An object grows in a hidden file of the folder where it will be, locked by its writer; when nobody
holds the lock, the writer is dead and the next one removes it. Nothing below the directory is
reached through a symbolic link, also where somebody else may change it meanwhile.
"""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from amictl.errors import (
    AmictlError,
    BucketNotFoundError,
    CorruptStoreError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from amictl.storage.disk import Disk, as_storage_error
from amictl.storage.objects import Unfinished, require_key, require_metadata, taken

_HIDDEN = ".amictl-writing-"
_METADATA = "user.amictl.metadata"
_WRITE_BACK_SIZE = 8 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # no waiting for a pipe's other end


class DirectoryBucket:
    """See `storage.objects.ObjectBucket` for the contract."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()

    def where(self, key: str = "") -> str:
        return str(self._root / key)

    def exists(self, key: str) -> bool:
        with self._folder_of(key) as (folder, name):
            return folder is not None and os.path.lexists(folder / name)

    def require_new(
        self,
        key: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
        storage_class: str | None,
    ) -> None:
        require_metadata(metadata)
        if tags or storage_class:
            raise UnsupportedError(
                f"{self.where()} is a directory: files have no {'tags' if tags else 'classes'}",
                hint="leave that out, or name a bucket of an object store",
            )
        if self.exists(key):
            raise taken(self.where(key))

    def create(
        self,
        key: str,
        metadata: Mapping[str, str],
        tags: Mapping[str, str],
        storage_class: str | None,
    ) -> "FileWriter":
        self.require_new(key, metadata, tags, storage_class)
        self._make_folders(key)
        with self._folder_of(key) as (folder, name):
            if folder is None:
                raise StorageError(f"the folder of {self.where(key)} was removed meanwhile")
            _remove_leftovers(self._disk, folder)
            return FileWriter(self._disk, folder, name, self.where(key), metadata)

    def open(self, key: str) -> "FileSource":
        with self._folder_of(key) as (folder, name):
            path = (folder or self._root) / name
            return FileSource(path, self.where(key), os.O_NOFOLLOW)

    def delete(self, key: str) -> None:
        with self._folder_of(key) as (folder, name), _named("delete", self.where(key)):
            if folder is not None:
                with suppress(FileNotFoundError):
                    self._disk.unlink(folder / name)
                self._disk.sync_directory(folder)

    def names(self, prefix: str) -> list[str]:
        beginning = prefix.rpartition("/")[0]
        above = f"{beginning}/" if beginning else ""
        with self._folder_of(f"{above}any") as (folder, _), _named("read", self.where(beginning)):
            if folder is None:
                return []
            with os.scandir(folder) as entries:
                files = [one.name for one in entries if one.is_file(follow_symlinks=False)]
        keys = [above + name for name in files if not name.startswith(".")]
        return sorted(key for key in keys if key.startswith(prefix))

    @contextmanager
    def _folder_of(self, key: str) -> Iterator[tuple[Path | None, str]]:
        """The folder of an object as a path that nobody can redirect, None if there is none; and
        the object's name in it.
        """
        *parts, name = require_key(key).split("/")
        descriptor = self._opened_root()
        try:
            with _named("open the folder of", self.where(key)):
                for part in parts:
                    above = descriptor
                    descriptor = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
                    os.close(above)
        except StorageError as error:
            os.close(descriptor)
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            yield None, name
            return
        try:
            yield _path(descriptor), name
        finally:
            os.close(descriptor)

    def _make_folders(self, key: str) -> None:
        """Make the folders of an object where they are missing; durable when it returns."""
        parts = key.split("/")
        for depth in range(1, len(parts)):
            with self._folder_of("/".join(parts[:depth])) as (folder, name):
                if folder is None:
                    continue  # removed meanwhile, which the next step tells
                with _named("make the folder", self.where("/".join(parts[:depth]))):
                    with suppress(FileExistsError):
                        self._disk.make_directory(folder / name)
                    self._disk.sync_directory(folder)

    def _opened_root(self) -> int:
        try:
            return os.open(self._root, _FOLDER)
        except FileNotFoundError:
            raise BucketNotFoundError(
                f"there is no directory {self.where()!r}",
                hint="make it first; or is its disk not mounted?",
            ) from None
        except NotADirectoryError:
            raise UsageError(f"{self.where()!r} is not a directory") from None
        except OSError as error:
            raise as_storage_error(error, "open", self.where()) from error


class FileWriter(Unfinished):
    """A hidden, locked file, until it gets its name; see `storage.objects.ObjectWriter`."""

    def __init__(
        self, disk: Disk, folder: Path, name: str, where: str, metadata: Mapping[str, str]
    ) -> None:
        self._disk = disk
        self._name = name
        self._where = where
        self._size = self._begun = 0
        self._descriptor = -1
        with _named("write to", where):
            self._folder = os.open(folder, _FOLDER)
        try:
            with _named("create", where):
                self._hidden = self._created()
            if metadata:
                text = json.dumps(dict(metadata), sort_keys=True, ensure_ascii=False)
                with suppress(OSError):  # not every file system has a place for it
                    disk.set_attribute(self._descriptor, _METADATA, text.encode())
        except BaseException:
            self._close()
            raise

    def write(self, data: bytes) -> None:
        with _named("write", self._where):
            if data.strip(b"\0"):
                self._disk.write_at(self._descriptor, data, self._size)
            else:  # a hole: raw disks are mostly zeros
                self._disk.truncate(self._descriptor, self._size + len(data))
            self._size += len(data)
            if self._size - self._begun >= _WRITE_BACK_SIZE:
                # The sync at the end waits for less.
                self._disk.begin_write_back(self._descriptor, self._begun, self._size - self._begun)
                self._begun = self._size

    def finish(self) -> None:
        folder = _path(self._folder)
        named = False
        try:
            with _named("write", self._where):
                self._disk.sync(self._descriptor)
                self._disk.rename_new(self._hidden, folder / self._name)
                named = True
                self._disk.sync_directory(folder)
        except AmictlError as error:
            if named:
                with suppress(OSError):
                    self._disk.unlink(folder / self._name)
            self.abandon()
            if isinstance(error.__cause__, FileExistsError):
                raise taken(self._where) from None
            raise
        self._close()

    def abandon(self) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                self._disk.unlink(self._hidden)
            self._close()

    def _created(self) -> Path:
        """The path of a new hidden file that we hold; its descriptor is kept."""
        while True:
            path = _path(self._folder) / f"{_HIDDEN}{os.urandom(12).hex()}"
            self._descriptor = self._disk.create(path)
            with suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(self._descriptor).st_nlink:
                    return path
            # Somebody took it for a leftover before we held it.
            os.close(self._descriptor)

    def _close(self) -> None:
        descriptors, self._descriptor = (self._descriptor, self._folder), -1
        self._folder = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)


class FileSource:
    """A file that is read; see `storage.objects.ObjectSource` for the contract."""

    piece_size = 1 << 20
    reading_threads = 4

    def __init__(self, path: Path, where: str | None = None, flags: int = 0) -> None:
        """Raises ObjectNotFoundError, StorageError."""
        self.where = where or str(path)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
        except FileNotFoundError:
            raise ObjectNotFoundError(f"there is no {self.where}") from None
        except OSError as error:
            raise as_storage_error(error, "read", self.where) from error
        status = os.fstat(self._descriptor)
        self.size = status.st_size
        self.metadata = _metadata(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise UsageError(f"{self.where} is not a file")

    def read(self, offset: int, length: int) -> bytes:
        pieces = []
        done = 0
        while done < length:
            try:
                piece = os.pread(self._descriptor, length - done, offset + done)
            except OSError as error:
                if error.errno == errno.EIO:
                    raise CorruptStoreError(
                        f"{self.where} cannot be read: {error.strerror}"
                    ) from error
                raise as_storage_error(error, "read", self.where) from error
            if not piece:
                raise CorruptStoreError(f"{self.where} ends before byte {offset + length}")
            pieces.append(piece)
            done += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _remove_leftovers(disk: Disk, folder: Path) -> None:
    """Remove the hidden files in a folder whose writers are dead, as far as that can be done."""
    with suppress(OSError):
        for path in folder.glob(f"{_HIDDEN}*"):
            with suppress(OSError):
                _remove_leftover(disk, path)


def _remove_leftover(disk: Disk, path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | _FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        disk.unlink(path)
    finally:
        os.close(descriptor)


def _metadata(descriptor: int) -> Mapping[str, str]:
    """What is kept beside the bytes of a file; nothing where that cannot be read."""
    try:
        found = json.loads(os.getxattr(descriptor, _METADATA))
    except (OSError, ValueError, RecursionError):
        return MappingProxyType({})
    pairs = found.items() if isinstance(found, dict) else ()
    return MappingProxyType({name: text for name, text in pairs if isinstance(text, str)})


def _path(descriptor: int) -> Path:
    """An open folder as a path."""
    return Path(f"/proc/self/fd/{descriptor}")


@contextmanager
def _named(doing: str, where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise as_storage_error(error, doing, where) from error
