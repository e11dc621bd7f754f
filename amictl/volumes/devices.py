"""Block devices held at rest: opened exclusively, locked against QEMU, their writes counted."""

import errno
import os
from pathlib import Path

from amictl.errors import SourceChangedError, SourceInUseError, StorageError
from amictl.volumes.image_locks import lock_as_reader, written_by_a_machine
from amictl.volumes.sources import Source, open_read_only

_SECTORS_WRITTEN = 6  # columns of /sys/dev/block/*/stat
_SECTORS_DISCARDED = 13


class ExclusiveClaim:
    """A block device opened with O_EXCL.

    That keeps out mounts and other exclusive users. QEMU does not ask for that, so its own locks
    are taken as well. Whoever just writes is found by the kernel's count of sectors written.
    """

    method = "exclusive"

    def __init__(self, source: Source) -> None:
        """Raises SourceInUseError or StorageError."""
        self._path = source.path
        self._exclusive: int | None = _open_exclusively(source)
        try:
            lock_as_reader(self._exclusive)
            if written_by_a_machine(self._exclusive):
                raise _in_use(source, "a virtual machine holds its image lock")
            self._written = _sectors_written(self._exclusive)
        except BlockingIOError:
            self.release()
            raise _in_use(source, "somebody holds its image lock") from None
        except OSError as error:
            self.release()
            raise StorageError.from_os_error(error, f"hold {str(source.path)!r}") from error
        except BaseException:
            self.release()
            raise

    def require_held(self, remaining_bytes: int, bytes_per_second: float) -> None:
        """An exclusive claim is never broken; `confirm` finds who wrote all the same."""

    def confirm(self) -> None:
        if self._exclusive is None or _sectors_written(self._exclusive) != self._written:
            raise SourceChangedError(
                f"{str(self._path)!r} was written to while it was read",
                hint="stop what writes to the device and run the command again",
            )

    def release(self) -> None:
        if self._exclusive is not None:
            descriptor, self._exclusive = self._exclusive, None
            os.close(descriptor)


def _open_exclusively(source: Source) -> int:
    try:
        return open_read_only(Path(f"/proc/self/fd/{source.descriptor}"), extra_flags=os.O_EXCL)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _in_use(source, "it is mounted, or something else holds it") from None
        raise StorageError.from_os_error(error, f"hold {str(source.path)!r}") from error


def _sectors_written(descriptor: int) -> tuple[str, ...]:
    """The counts of sectors written and discarded since the device appeared; () if not kept.

    What others wrote into the page cache is sent to the device first, or it would be counted late.
    """
    os.fsync(descriptor)
    device = os.fstat(descriptor).st_rdev
    counts = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    if not counts.exists():
        return ()
    columns = counts.read_text().split()
    return tuple(columns[_SECTORS_WRITTEN : _SECTORS_DISCARDED + 1 : 7])


def _in_use(source: Source, reason: str) -> SourceInUseError:
    return SourceInUseError(
        f"{str(source.path)!r} is in use: {reason}",
        hint="stop the machine or unmount the device; or name a snapshot of it that LVM or"
        " device-mapper made",
    )
