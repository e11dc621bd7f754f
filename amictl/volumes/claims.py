"""Ask whether a disk is at rest, and hold it there.

A file is at rest when a read lease is granted, a block device when it opens exclusively, and both
only when no virtual machine monitor holds QEMU's image locks for writing.
"""

from typing import Protocol

from amictl.volumes.devices import ExclusiveClaim
from amictl.volumes.leases import ReadLease
from amictl.volumes.sources import Source


class Claim(Protocol):
    """A disk held at rest, until it is released or somebody insists on writing."""

    @property
    def method(self) -> str:
        """The word for `Freeze.method` when the disk is read under this claim."""
        ...

    def require_held(self, remaining_bytes: int, bytes_per_second: float) -> None:
        """Raises SourceChangedError, and lets go, when the rest cannot be read in time."""
        ...

    def confirm(self) -> None:
        """Raises SourceChangedError unless the disk stayed as it was until this moment."""
        ...

    def release(self) -> None:
        """May be called more than once."""
        ...


def claim(source: Source) -> Claim:
    """Hold the disk at rest.

    Raises SourceInUseError when somebody may write to it, UnsupportedError or StorageError when
    that cannot be found out.
    """
    if source.is_block_device:
        return ExclusiveClaim(source)
    return ReadLease(source)
