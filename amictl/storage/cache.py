"""What is kept on local disk of a bucket: blocks of packs, and runs, within a bound.

Many processes use one cache at the same time: a file in it is made under another name and never
changed, whoever needs room removes what was used longest ago, and each ends in a checksum. A cache
is never needed: what cannot be kept is fetched again.
"""

import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import xxhash

from amictl.errors import StorageError
from amictl.storage.disk import DIRECTORY_MODE, FILE_MODE

_CHECKSUM_SIZE = 8
_KEPT_SHARE = 0.9
_LOOK_SHARE = 16
_USED_SECONDS = 60.0
_ABANDONED_SECONDS = 24 * 3600.0


class Cache:
    """A folder of files that can all be had again.

    `staging` and `marks` are folders in it for what is not: files without names, and the marks of
    incomplete restores.
    """

    def __init__(self, folder: Path, size_max: int) -> None:
        self.folder = folder
        self.size_max = size_max
        self._blocks = folder / "blocks"
        self._unlooked = size_max

    @property
    def staging(self) -> Path:
        """Raises StorageError if it cannot be made."""
        return self._made("staging")

    @property
    def marks(self) -> Path:
        """Raises StorageError if it cannot be made."""
        return self._made("marks")

    def read(self, key: str) -> bytes | None:
        """What was kept under a key, or None; what is damaged is not there."""
        if not self.size_max:
            return None
        path = self._blocks / key
        with suppress(OSError):
            data = path.read_bytes()
            content = memoryview(data)[:-_CHECKSUM_SIZE]
            if data[-_CHECKSUM_SIZE:] == _checksum(content):
                self._note_use(path)
                return bytes(content)
            path.unlink()
        return None

    def map(self, key: str) -> memoryview | None:
        """The same as memory that is not counted as this program's own."""
        path = self._blocks / key
        with suppress(OSError, ValueError):
            with path.open("rb") as file:
                view = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
            if bytes(view[-_CHECKSUM_SIZE:]) == _checksum(view[:-_CHECKSUM_SIZE]):
                self._note_use(path)
                return view[:-_CHECKSUM_SIZE]
            path.unlink()
        return None

    def write(self, key: str, *pieces: bytes | memoryview) -> None:
        """Keep something, if that can be."""
        size = sum(len(piece) for piece in pieces) + _CHECKSUM_SIZE
        if size > self.size_max:
            return
        with suppress(OSError, StorageError):
            self._made("blocks")
            self._make_room(size)
            with self._named(self._blocks / key) as descriptor:
                digest = xxhash.xxh3_64()
                for piece in pieces:
                    digest.update(piece)
                    _write_all(descriptor, piece)
                _write_all(descriptor, digest.digest())

    def forget(self, prefix: str) -> None:
        """Keep nothing any more whose key begins so."""
        with suppress(OSError), os.scandir(self._blocks) as entries:
            for entry in entries:
                if entry.name.startswith(prefix):
                    with suppress(OSError):
                        Path(entry.path).unlink()

    def _make_room(self, size: int) -> None:
        """Look at what is there now and then, and remove what was used longest ago."""
        self._unlooked += size
        if self._unlooked < self.size_max // _LOOK_SHARE:
            return
        self._unlooked = size
        files = sorted(self._files())
        total = sum(length for _, length, _ in files) + size
        if total <= self.size_max:
            return
        for _, length, path in files:
            if total <= self.size_max * _KEPT_SHARE:
                break
            with suppress(OSError):
                path.unlink()
            total -= length

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Time of the last use, length and path of each file."""
        with os.scandir(self._blocks) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    used = status.st_mtime
                    if entry.name.startswith(".") and time.time() - used > _ABANDONED_SECONDS:
                        used = 0.0
                    yield used, status.st_size, Path(entry.path)

    @contextmanager
    def _named(self, path: Path) -> Iterator[int]:
        """A new file that has its name when the block ends well, and is gone otherwise."""
        staged = path.with_name(f".{os.urandom(8).hex()}")
        descriptor = os.open(
            staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE
        )
        try:
            yield descriptor
            staged.rename(path)
        except BaseException:
            with suppress(OSError):
                staged.unlink()
            raise
        finally:
            os.close(descriptor)

    def _note_use(self, path: Path) -> None:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _USED_SECONDS:
                os.utime(path)

    def _made(self, name: str) -> Path:
        """A folder of the cache, ours alone. Raises StorageError."""
        path = self.folder / name
        try:
            self.folder.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            path.mkdir(DIRECTORY_MODE, exist_ok=True)
            status = self.folder.stat()
        except OSError as error:
            raise StorageError.from_os_error(error, f"make the folder {str(path)!r}") from error
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise StorageError(
                f"{str(self.folder)!r} can be written by others",
                hint="name a folder of your own with AMICTL_CACHE",
            )
        return path


def _checksum(data: memoryview) -> bytes:
    return xxhash.xxh3_64(data).digest()


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while len(view):
        view = view[os.write(descriptor, view) :]
