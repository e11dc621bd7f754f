"""Read leases: the kernel's word that nobody has a file open for writing, and a guard.

A lease is refused while the file is open for writing. Whoever opens it for writing later waits
until the lease is let go, at most `lease-break-time` seconds; then the kernel takes it away.
"""

import fcntl
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from amictl.errors import SourceChangedError, SourceInUseError, StorageError, UnsupportedError
from amictl.volumes.image_locks import written_by_a_machine
from amictl.volumes.sources import Source

_USUAL_BREAK_SECONDS = 45
TMPFS = 0x01021994
# File systems whose leases were seen to be refused beside a writer. Others grant them without
# knowing (overlayfs does), or leave the answer to a server.
_TRUSTED_FILE_SYSTEMS = {
    0xEF53: "ext4",
    0x58465342: "XFS",
    0x9123683E: "btrfs",
    0xF2F52010: "f2fs",
    TMPFS: "tmpfs",
}


class ReadLease:
    """A file held at rest by a read lease. Any thread may ask whether it still is.

    `break_seconds` is how long a writer can be kept waiting.
    """

    method = "lease"

    def __init__(self, source: Source) -> None:
        """Raises SourceInUseError, UnsupportedError or StorageError; see `claims.claim`."""
        self.descriptor = source.descriptor
        self._path = source.path
        self._released = False
        self.break_seconds: float = lease_break_seconds()
        _require_trusted_file_system(source)
        _set_lease(source)
        try:
            self._last_held = time.monotonic()
            self._status = os.fstat(self.descriptor)
            if written_by_a_machine(self.descriptor):
                raise in_use(source, "a virtual machine holds its image lock")
        except BaseException:
            self.release()
            raise

    def require_held(self, remaining_bytes: int, bytes_per_second: float) -> None:
        """When a writer waits: go on only if the rest fits into half of the time it has to wait.

        The break is taken to have begun right after the lease was last seen whole.
        """
        if self._is_whole():
            return
        seconds_left = self._last_held + self.break_seconds / 2 - time.monotonic()
        if self._released or seconds_left * bytes_per_second < remaining_bytes:
            self.release()
            raise _changed(self._path, "somebody opened it for writing")

    def confirm(self) -> None:
        self.require_held(0, 1.0)
        if _times_and_size(os.fstat(self.descriptor)) != _times_and_size(self._status):
            raise _changed(self._path, "its size or times changed")

    def release(self) -> None:
        self._released = True
        with suppress(OSError):  # the kernel has taken it away already
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def _is_whole(self) -> bool:
        asked = time.monotonic()
        if self._released or fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
            return False
        self._last_held = asked
        return True


def lease_break_seconds() -> int:
    """How long the kernel lets a writer wait for a lease, as a rule."""
    # 0 would let the writer wait without end; we do not make it.
    return int(Path("/proc/sys/fs/lease-break-time").read_text()) or _USUAL_BREAK_SECONDS


def _set_lease(source: Source) -> None:
    try:
        # Told of a break by SIGIO, the process would die of it; SIGURG is ignored unless handled.
        # We ask, instead of being told.
        fcntl.fcntl(source.descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(source.descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        raise in_use(source, "it is open for writing") from None
    except PermissionError:
        raise StorageError(
            f"only its owner and root may find out whether {str(source.path)!r} is in use",
            hint="run amictl as the owner of the file or as root",
        ) from None
    except OSError as error:
        raise _untold(source, f"no lease is granted ({error.strerror})") from error


def _require_trusted_file_system(source: Source) -> None:
    kind = file_system_magic(source.descriptor)
    if kind not in _TRUSTED_FILE_SYSTEMS:
        raise _untold(source, f"leases of its file system (type {kind:#x}) prove nothing")


def file_system_magic(descriptor: int) -> int:
    """`f_type` of fstatfs(2), which Python's statvfs leaves out. Raises OSError."""
    import ctypes  # 4 ms that most commands do not need

    fields = (ctypes.c_long * 32)()  # struct statfs is at most 120 bytes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fstatfs(descriptor, fields) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fields[0] & 0xFFFFFFFF


def in_use(source: Source, reason: str) -> SourceInUseError:
    """The error for a disk that is not at rest, with the ways out."""
    return SourceInUseError(
        f"{str(source.path)!r} is in use: {reason}",
        hint="stop the machine that uses it; or, on XFS or btrfs, accept the state of a power cut"
        " with --no-reboot",
    )


def _untold(source: Source, reason: str) -> UnsupportedError:
    names = ", ".join(_TRUSTED_FILE_SYSTEMS.values())
    return UnsupportedError(
        f"cannot tell whether {str(source.path)!r} is in use: {reason}",
        hint=f"keep the disk on one of {names}",
    )


def _changed(path: Path, reason: str) -> SourceChangedError:
    return SourceChangedError(
        f"{str(path)!r} changed while it was read: {reason}",
        hint="stop what writes to it and run the command again; on XFS or btrfs it is cloned first",
    )


def _times_and_size(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
