"""A folder of new disks that appears whole, or not at all."""

import errno
import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from amictl.errors import ConflictError, NotFoundError, StorageError
from amictl.storage.disk import Disk, as_storage_error
from amictl.volumes.targets import NewFile, hidden_beginning, hidden_beside

SCRIPT_MODE = 0o700


class NewFolder:
    """Files for a folder that does not exist yet, or is empty.

    One that does not exist is filled under a hidden name beside its own, which it gets when it is
    complete. One that is there, perhaps a mount point, is filled where it is: its files appear
    when all disks are complete, and the document is the last of them.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        """Raises as `require_free_folder` does, and StorageError."""
        require_free_folder(path)
        self._path = path
        self._disk = disk
        self._is_new = not path.exists()
        self._folder = path
        self._files: list[tuple[str, NewFile]] = []
        self._named: list[str] = []
        if self._is_new:
            self._folder = hidden_beside(path)
            try:
                disk.make_directory(self._folder)
            except OSError as error:
                raise as_storage_error(error, "create", path) from error

    def __enter__(self) -> "NewFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()

    def new_disk(self, name: str, size_bytes: int) -> NewFile:
        """A file of zeros, to be filled. Raises StorageError."""
        file = NewFile(self._folder / name, size_bytes, self._disk, replace=False)
        self._files.append((name, file))
        return file

    def commit(self, script: tuple[str, bytes], document: tuple[str, bytes]) -> None:
        """Add an executable script and a document, names and contents, and complete the folder.

        When this returns, it survives a power cut; where the document is, everything is. Raises
        ConflictError if a name was taken meanwhile, StorageError.
        """
        self._name_all()
        try:
            self._write_script(*script)
            self._disk.sync_directory(self._folder)
            name, content = document
            self.new_disk(name, len(content)).write(0, memoryview(content))
            self._name_all()
            if self._is_new:
                self._disk.rename(self._folder, self._path)
                self._folder = self._path
                self._disk.sync_directory(self._path.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise ConflictError(f"{str(self._path)!r} came into being meanwhile") from error
            raise as_storage_error(error, "finish", self._path) from error

    def _name_all(self) -> None:
        for name, file in self._files:
            if name not in self._named:
                file.commit()
                self._named.append(name)

    def _write_script(self, name: str, content: bytes) -> None:
        descriptor = self._disk.create(self._folder / name, SCRIPT_MODE)
        self._named.append(name)
        try:
            self._disk.write_at(descriptor, content, 0)
            self._disk.sync(descriptor)
        finally:
            self._disk.close(descriptor)

    def _discard(self) -> None:
        """Leave nothing of it, as far as that can be done."""
        for _, file in self._files:
            file.discard()
        for name in self._named:
            with suppress(OSError):
                self._disk.unlink(self._folder / name)
        if self._is_new:
            with suppress(OSError):
                self._disk.remove_directory(self._folder)


def require_free_folder(path: Path) -> None:
    """Raises ConflictError if something is there that is not an empty folder we may write to.

    And NotFoundError or StorageError where none can be made.
    """
    try:
        if not os.path.lexists(path):
            _require_folder(path.parent)
        elif not path.is_dir():
            raise ConflictError(f"{str(path)!r} exists and is no folder")
        elif next(path.iterdir(), None) is not None:
            raise ConflictError(
                f"{str(path)!r} is not empty", hint="name a folder that does not exist yet"
            )
        place = path if path.exists() else path.parent
    except OSError as error:
        raise as_storage_error(error, "look into", path) from error
    if not os.access(place, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write to {str(place)!r}: {os.strerror(errno.EACCES)}")


def unfinished_folders(path: Path) -> list[Path]:
    """Hidden folders in which this one was filled by who was killed, or is being filled now.

    In order; none where nobody can tell.
    """
    hidden = re.compile(re.escape(hidden_beginning(path)) + "[0-9a-f]{8}")
    try:
        return sorted(one for one in path.parent.iterdir() if hidden.fullmatch(one.name))
    except OSError:
        return []


def _require_folder(path: Path) -> None:
    if not path.is_dir():
        raise NotFoundError(
            f"there is no folder {str(path)!r}", hint="make it first", code="InvalidParameterValue"
        )
