"""Disks with a bug each, which the search must find; and disks that fail, which it must not."""

import errno
import os
from pathlib import Path

from tests.faults.recording_disk import (
    Operation,
    RecordingDisk,
    Rename,
    Sync,
    SyncDirectory,
    Write,
)

PACK_MAGIC = b"AMIPACK1"


class WithoutUnnamedFiles(RecordingDisk):
    """No bug: a file system on which every file has a name from the start."""

    def create_unnamed(self, directory: Path) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


class SkipsFileSyncs(RecordingDisk):
    """Content is never made certain."""

    def sync(self, descriptor: int) -> None:
        pass


class SkipsDirectorySyncs(RecordingDisk):
    """Names are never made certain."""

    def sync_directory(self, path: Path) -> None:
        pass


class IgnoresShortWrites(RecordingDisk):
    """A long write is done by half, as the system may, and not continued."""

    def write_at(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        half = len(data) // 2 if len(data) > 8_192 else len(data)
        super().write_at(descriptor, memoryview(data)[:half], offset)


class RetriesFailedSyncs(RecordingDisk):
    """The first sync of a pack fails; the system forgets the data, and says at the second that all
    is well.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._packs: set[int] = set()
        self._failed = False

    def record(self, operation: Operation) -> None:
        if isinstance(operation, Write) and operation.data.startswith(PACK_MAGIC):
            self._packs.add(operation.file)
        super().record(operation)

    def sync(self, descriptor: int) -> None:
        try:
            self._sync_once(descriptor)
        except OSError:
            os.fsync(descriptor)

    def _sync_once(self, descriptor: int) -> None:
        if not self._failed and self._file(descriptor) in self._packs:
            self._failed = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)


class _ActsLate(RecordingDisk):
    """Does some things only after others that should come later."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._held: list[Operation] = []
        self._seen_end = False

    def is_late(self, operation: Operation) -> bool:
        raise NotImplementedError

    def is_end(self, operation: Operation) -> bool:
        """Whether it is the name after which, once it is certain, the late things are done."""
        raise NotImplementedError

    def record(self, operation: Operation) -> None:
        if self.is_late(operation):
            self._held.append(operation)
            return
        super().record(operation)
        self._seen_end = self._seen_end or self.is_end(operation)
        if self._seen_end and isinstance(operation, SyncDirectory):
            self.log += self._held
            self._held.clear()
            self._seen_end = False


class PublishesIndexFirst(_ActsLate):
    """CURRENT names packs whose content is not yet certain."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._packs: set[int] = set()

    def is_late(self, operation: Operation) -> bool:
        if isinstance(operation, Write) and operation.data.startswith(PACK_MAGIC):
            self._packs.add(operation.file)
        return isinstance(operation, Sync) and operation.file in self._packs

    def is_end(self, operation: Operation) -> bool:
        return _names(operation, "store/index/CURRENT")


class RemovesPacksFirst(_ActsLate):
    """Packs are gone while CURRENT still names them."""

    def is_late(self, operation: Operation) -> bool:
        return _names(operation, "store/index/CURRENT") or operation == SyncDirectory("store/index")

    def is_end(self, operation: Operation) -> bool:
        return isinstance(operation, Rename) and any(
            name.endswith(".pack") and file is None and name.startswith("store/packs/")
            for name, file in operation.changes
        )


class WritesCoreBeforeAttributes(_ActsLate):
    """A snapshot exists before its attributes do."""

    def is_late(self, operation: Operation) -> bool:
        return _names(operation, ".attributes.json")

    def is_end(self, operation: Operation) -> bool:
        return _is_core(operation)


class WritesCoreBeforePacks(_ActsLate):
    """A snapshot exists before the packs that hold it have their names."""

    def is_late(self, operation: Operation) -> bool:
        return _names(operation, ".pack") or operation == SyncDirectory("store/packs")

    def is_end(self, operation: Operation) -> bool:
        return _is_core(operation)


def _is_core(operation: Operation) -> bool:
    return (
        isinstance(operation, Rename)
        and operation.directory == "store/snapshots"
        and not _names(operation, ".attributes.json")
    )


def _names(operation: Operation, ending: str) -> bool:
    return isinstance(operation, Rename) and any(
        name.endswith(ending) and file is not None for name, file in operation.changes
    )


class Killed(BaseException):
    """The process is gone: nothing that it would still do is done."""


class KilledDisk(RecordingDisk):
    """From a number of changes on, every change kills."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.changes_left: int | None = None

    def before(self) -> None:
        if self.changes_left is None:
            return
        if self.changes_left == 0:
            raise Killed
        self.changes_left -= 1

    def start_again(self) -> None:
        """A new process, on what the system still remembers."""
        self.changes_left = None
        self.close_all()


class FailingDisk(RecordingDisk):
    """One of its syncs fails, and what was to be certain is not; counts later ones of that file."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.syncs_left: int | None = None
        self.failed_file: int | None = None
        self.tried_again = 0

    def sync(self, descriptor: int) -> None:
        with self.lock:
            file = self._file(descriptor)
            self._count_down(file == self.failed_file)
            if self.syncs_left == 0:
                self.failed_file = file
        self._fail_now()
        super().sync(descriptor)

    def sync_directory(self, path: Path) -> None:
        with self.lock:
            self._count_down(again=False)
        self._fail_now()
        super().sync_directory(path)

    def _count_down(self, again: bool) -> None:
        self.tried_again += again
        if self.syncs_left is not None:
            self.syncs_left -= 1

    def _fail_now(self) -> None:
        if self.syncs_left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
