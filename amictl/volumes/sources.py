"""A disk that somebody named: opened for reading, never for anything else."""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from amictl.errors import NotFoundError, StorageError, UsageError
from amictl.model.source import SourceIdentity

# File times may come from a clock that ticks every 10 ms: two writes in one tick look like one.
CLOCK_TICK_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """An open disk: a regular file, or a block device. `path` is as it was named."""

    path: Path
    descriptor: int
    is_block_device: bool

    @property
    def size_bytes(self) -> int:
        return os.lseek(self.descriptor, 0, os.SEEK_END)


@contextmanager
def opened_sources(paths: Sequence[Path]) -> Iterator[tuple[Source, ...]]:
    """All the disks, open for reading. Symbolic links are followed.

    Raises NotFoundError, StorageError, and UsageError for what is no disk, is empty, or was named
    twice (under two names as well).
    """
    with ExitStack() as stack:
        sources = []
        seen: dict[tuple[int, int], Path] = {}
        for path in paths:
            source = _open_source(path)
            stack.callback(os.close, source.descriptor)
            _require_new(source, seen)
            if source.size_bytes == 0:
                raise UsageError(f"{str(path)!r} is empty", hint="name a disk that holds something")
            sources.append(source)
        yield tuple(sources)


def _open_source(path: Path) -> Source:
    try:
        # Asked before the file is opened: opening some devices does something (a watchdog starts).
        _require_disk(path, path.stat())
        descriptor = open_read_only(path)
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no file {str(path)!r}",
            hint="name an existing disk image file or block device",
            code="InvalidParameterValue",
        ) from None
    except OSError as error:
        raise StorageError.from_os_error(error, "open the disk") from error
    try:
        # Asked again: the name may lead to something else by now.
        status = os.fstat(descriptor)
        _require_disk(path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return Source(path, descriptor, stat.S_ISBLK(status.st_mode))


def open_read_only(path: Path, *, extra_flags: int = 0) -> int:
    """A descriptor that only reads, and leaves the access time alone. Raises OSError."""
    # O_NONBLOCK: should the name lead to a pipe by now, the call must not wait for its writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | extra_flags
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        return os.open(path, flags)  # O_NOATIME is for the owner and root only


def _require_disk(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISBLK(status.st_mode):
        raise UsageError(
            f"{str(path)!r} is neither a regular file nor a block device",
            hint="name a raw disk image file or a block device",
        )


def _require_new(source: Source, seen: dict[tuple[int, int], Path]) -> None:
    status = os.fstat(source.descriptor)
    key = (-1, status.st_rdev) if source.is_block_device else (status.st_dev, status.st_ino)
    if key in seen:
        raise UsageError(
            f"{str(source.path)!r} and {str(seen[key])!r} are the same disk",
            hint="name each disk once",
        )
    seen[key] = source.path


def settled_identity(source: Source) -> SourceIdentity:
    """The identity of a disk that is held at rest, such that every later change will show.

    Waits until the last change is older than a tick of the file system's clock, at most 20 ms:
    a write later in that tick would leave the same times.
    """
    status = os.fstat(source.descriptor)
    age_ns = time.time_ns() - status.st_ctime_ns
    if 0 <= age_ns < CLOCK_TICK_NS:
        time.sleep((CLOCK_TICK_NS - age_ns) / 1e9)
    return identity(source, status)


def identity(source: Source, status: os.stat_result) -> SourceIdentity:
    """What `status` says; for a block device, whose node has no times of its content: unique."""
    if source.is_block_device:
        return SourceIdentity(status.st_rdev, status.st_ino, source.size_bytes, 0, time.time_ns())
    return SourceIdentity(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def live_identity(source: Source, before: os.stat_result) -> SourceIdentity:
    """The identity of a disk in use, of which `before` was asked before and this after the clone.

    When the last change is too young to tell a later one from it, the change time is replaced by
    the time of asking, which no later state of the file has.
    """
    age_ns = time.time_ns() - before.st_ctime_ns
    if age_ns >= CLOCK_TICK_NS:
        return identity(source, before)
    return SourceIdentity(
        before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns, time.time_ns()
    )
