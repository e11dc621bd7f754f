"""Volumes as a region knows them, and the state that their disks are in at a moment."""

from dataclasses import dataclass

from amictl.model.records import Tag

AVAILABLE = "available"
IN_USE = "in-use"
CREATING = "creating"
ERROR = "error"

SOURCE = "source"
"""The state in the attributes of a disk that amictl did not write: they have its tags alone."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What tells a file from another one with its name, which may get its inode number too.

    The number and the time of birth in nanoseconds are digits; None is what nobody knows.
    """

    inode: str | None
    size_bytes: int | None
    birth_time: str | None


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk that amictl wrote, or that snapshots were taken from; `path` is absolute.

    Only of what amictl wrote are known: when (`create_time`), with how many bytes, from which
    snapshot, for which image and device, and which file it was (see `file`). `next_parent` is the
    snapshot that the next one is compared with. What is taken from it is encrypted with the key
    `key_id`, if it has one.
    """

    volume_id: str
    path: str
    next_parent: str | None = None
    create_time: str | None = None
    size_bytes: int | None = None
    snapshot_id: str | None = None
    image_id: str | None = None
    device_name: str | None = None
    inode: str | None = None
    birth_time: str | None = None
    key_id: str | None = None
    tags: tuple[Tag, ...] = ()

    @property
    def is_written(self) -> bool:
        """Whether amictl wrote it."""
        return self.create_time is not None

    @property
    def file(self) -> WrittenFile:
        """The file that amictl wrote."""
        return WrittenFile(self.inode, self.size_bytes, self.birth_time)


@dataclass(frozen=True, slots=True)
class DiskState:
    """One of the four states above, why, and the size of the disk if it is there."""

    state: str
    reason: str | None = None
    size_bytes: int | None = None
