"""A disk that logs every change: what was written, what was named, and what was synced."""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from amictl.storage.disk import Disk

DIRECTORY = -1
"""In place of the number of a file: the name is a directory's."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes of a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Zero:
    """A range of a file that reads as zeros from now on; its length stays."""

    file: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Resize:
    """The length of a file."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Content and length of a file are certain."""

    file: int


@dataclass(frozen=True, slots=True)
class Rename:
    """Names in one directory that change together: to a file, a directory, or nothing."""

    directory: str
    changes: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class SyncDirectory:
    """The names in a directory are certain."""

    directory: str


Operation = Write | Zero | Resize | Sync | Rename | SyncDirectory


class RecordingDisk(Disk):
    """Does everything, and logs what changed below `root`. What is there already is certain."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[Operation] = []
        self.names: dict[str, int] = {}
        self.first_names: dict[str, int] = {}
        self.first_contents: dict[int, bytes] = {}
        self._files: dict[int, int] = {}
        self._count = 0
        self._opened: dict[int, int] = {}
        self.lock = threading.RLock()
        self._take_in()

    def record(self, operation: Operation) -> None:
        """Called with each change after it was made; planted bugs change what is logged."""
        self.log.append(operation)

    def before(self) -> None:
        """Called before each change; planted faults raise here."""

    def path_of(self, file: int) -> str:
        """A name that a file has now, or nothing."""
        return next((path for path, own in self.names.items() if own == file), "")

    def close_all(self) -> None:
        """Close what a killed command left open, as the kernel does."""
        for descriptor, inode in self._opened.items():
            try:
                if os.fstat(descriptor).st_ino == inode:
                    os.close(descriptor)
            except OSError:
                pass
        self._opened.clear()

    def create(self, path: Path, mode: int = 0o600) -> int:
        with self.lock:
            self.before()
            descriptor = super().create(path, mode)
            self._rename((path, self._new_file(descriptor)))
            return descriptor

    def create_unnamed(self, directory: Path) -> int:
        with self.lock:
            self.before()
            descriptor = super().create_unnamed(directory)
            self._new_file(descriptor)
            return descriptor

    def name_unnamed(self, descriptor: int, path: Path) -> None:
        with self.lock:
            self.before()
            super().name_unnamed(descriptor, path)
            self._rename((path, self._file(descriptor)))

    def write_at(self, descriptor: int, data: bytes | memoryview, offset: int) -> None:
        with self.lock:
            self.before()
            super().write_at(descriptor, data, offset)
            self.record(Write(self._file(descriptor), offset, bytes(data)))

    def truncate(self, descriptor: int, size: int) -> None:
        with self.lock:
            self.before()
            super().truncate(descriptor, size)
            self.record(Resize(self._file(descriptor), size))

    def zero(self, descriptor: int, offset: int, length: int) -> None:
        with self.lock:
            self.before()
            super().zero(descriptor, offset, length)
            self.record(Zero(self._file(descriptor), offset, length))

    def begin_write_back(self, descriptor: int, offset: int, length: int) -> None:
        """Promises nothing, so that there is nothing to log."""

    def sync(self, descriptor: int) -> None:
        with self.lock:
            self.before()
            super().sync(descriptor)
            self.record(Sync(self._file(descriptor)))

    def rename(self, old: Path, new: Path) -> None:
        with self.lock:
            self.before()
            super().rename(old, new)
            self._rename((new, self.names[self._name(old)]), (old, None))

    def rename_new(self, old: Path, new: Path) -> None:
        with self.lock:
            self.before()
            super().rename_new(old, new)
            self._rename((new, self.names[self._name(old)]), (old, None))

    def link(self, old: Path, new: Path) -> None:
        with self.lock:
            self.before()
            super().link(old, new)
            self._rename((new, self.names[self._name(old)]))

    def unlink(self, path: Path) -> None:
        with self.lock:
            self.before()
            super().unlink(path)
            self._rename((path, None))

    def make_directory(self, path: Path) -> None:
        with self.lock:
            self.before()
            super().make_directory(path)
            self._rename((path, DIRECTORY))

    def sync_directory(self, path: Path) -> None:
        with self.lock:
            self.before()
            super().sync_directory(path)
            self.record(SyncDirectory(self._name(path)))

    def _rename(self, *changes: tuple[Path, int | None]) -> None:
        """One entry of the log for each directory: a power cut may come between them."""
        by_directory: dict[str, list[tuple[str, int | None]]] = {}
        for path, file in changes:
            name = self._name(path)
            by_directory.setdefault(self._name(path.parent), []).append((name, file))
        apply_names(self.names, [change for own in by_directory.values() for change in own])
        for directory, own in by_directory.items():
            self.record(Rename(directory, tuple(own)))

    def _new_file(self, descriptor: int) -> int:
        inode = os.fstat(descriptor).st_ino
        self._opened[descriptor] = inode
        self._count += 1
        self._files[inode] = self._count
        return self._count

    def _file(self, descriptor: int) -> int:
        return self._files[os.fstat(descriptor).st_ino]

    def _name(self, path: Path) -> str:
        if path.parts[:4] == ("/", "proc", "self", "fd"):  # a folder that is held open
            path = Path("/".join(path.parts[:5])).readlink().joinpath(*path.parts[5:])
        return os.path.relpath(path, self.root)

    def _take_in(self) -> None:
        for path in sorted(self.root.rglob("*")):
            name = self._name(path)
            if path.is_dir():
                self.first_names[name] = DIRECTORY
                continue
            self._count += 1
            self._files[path.stat().st_ino] = self._count
            self.first_names[name] = self._count
            self.first_contents[self._count] = path.read_bytes()
        self.names = dict(self.first_names)


def apply_names(names: dict[str, int], changes: Iterable[tuple[str, int | None]]) -> None:
    """Change names in a table of them; what is in a directory that gets another name goes along."""
    gone, made = None, None
    for name, file in changes:
        if file is None:
            names.pop(name, None)
            gone = name
        else:
            names[name] = file
            made = name if file == DIRECTORY else made
    if gone is not None and made is not None:
        for name in [name for name in names if name.startswith(f"{gone}/")]:
            names[made + name.removeprefix(gone)] = names.pop(name)
