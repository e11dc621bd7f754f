"""What is recorded about the disk file that a snapshot was taken from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """What the file system said of a source file at the moment; all from one fstat.

    Equal identities are a hint that the content is the same, never proof: samples are compared.
    `inode` is 0 where the times say nothing of the content. Times are nanoseconds since 1970.
    """

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """How a moment was secured.

    `moment` is ISO 8601 UTC with milliseconds and Z. `method` is reflink, lease, copy, exclusive
    (a block device held with O_EXCL) or object (of a bucket, where nothing is replaced).
    `consistency` is at-rest, quiesced or crash; `together` is false where several live disks were
    not held together, so that each has a moment of its own.
    """

    moment: str
    method: str
    consistency: str
    together: bool
