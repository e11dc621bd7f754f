"""What an archive is: one object that holds an image. amictl-archive(5)."""

from dataclasses import dataclass
from enum import Enum

from amictl.model.blockmap import Leaf
from amictl.model.records import (
    Count,
    Cut,
    Hex32,
    Hex64,
    ImageId,
    KeyId,
    Mapping,
    OwnerId,
    SnapshotId,
    Source,
    Tag,
    VolumeId,
)
from amictl.model.source import Freeze

VERSION = 1

KEY = "key.age"
MANIFEST = "manifest.json"
MEMBERS = "members.json"
SIGNATURE = "members.json.sig"
SUMS = "SHA256SUMS"
SEALED = ".age"
"""What the names of sealed members end in."""

MEMBER_PLAIN_MAX = 1024**3
"""Bytes of its disk that a member covers at most."""

MEMBER_SIZE_MAX = 64 * 1024**2
"""Bytes of a member at most, before it is sealed."""

FRAME_PLAIN_MAX = 1024**2
"""Plain bytes of a frame at most, if it is not one of zeros."""

SEGMENT_FRAMES_MAX = 1024
"""Frames of one segment at most."""

MEMBERS_MAX = 2**18
"""Members of an archive at most, not counting those after the last disk."""


def member_name(disk: int, number: int, *, is_sealed: bool) -> str:
    """Of a member of a disk; both count from 0."""
    return f"disk-{disk}/{number:06d}.zst{SEALED if is_sealed else ''}"


def object_key(image_id: str) -> str:
    """What the archive of an image is called in its bucket, without the bucket's prefix."""
    return f"{image_id}.bin"


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image as it was when it was stored; `tags` are the user's, sorted by key."""

    image_id: ImageId
    name: str
    owner_id: OwnerId
    creation_date: str
    architecture: str
    boot_mode: str | None
    platform: str | None
    root_device_name: str
    mappings: tuple[Mapping, ...]
    description: str
    tags: tuple[Tag, ...]
    further: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchivedDisk:
    """A snapshot of an archived image.

    `root` is the plain name of the root of its map, None when nothing was allocated;
    `fingerprint_key` and `cut_secret`, which only a secret cut has, are those of its lineage.
    `kms_key_id` is the key that it was encrypted with, None if it was plain.
    """

    snapshot_id: SnapshotId
    volume_id: VolumeId
    owner_id: OwnerId
    size_bytes: Count
    data_bytes: Count
    root: Hex64 | None
    cut: Cut
    cut_secret: Hex64 | None
    fingerprint_key: Hex64
    hash: str
    encrypted: bool
    kms_key_id: KeyId | None
    start_time: str
    freeze: Freeze
    source: Source
    description: str
    tags: tuple[Tag, ...]
    further: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. `disks` are in the order in which the mappings first name them.

    `stored` is ISO 8601; `encrypted` says whether the members are sealed.
    """

    archive_id: Hex32
    stored: str
    encrypted: bool
    image: ArchivedImage
    disks: tuple[ArchivedDisk, ...]
    format: str = "amictl-archive"
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Member:
    """A member before members.json: where its content begins, its size in bytes, its digest.

    `sha256` is in hexadecimal, over the content as it stands in the archive.
    """

    name: str
    offset: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Members:
    """All members before members.json, in their order, without gaps."""

    archive_id: Hex32
    stored: str
    members: tuple[Member, ...]


class Blank(Enum):
    """A segment without content: nothing was allocated, or its leaf is one run of zeros."""

    HOLE = 0
    ZEROS = 1


@dataclass(frozen=True, slots=True)
class FramePlace:
    """A zstd frame of a member: how long it is there, and how long decoded; in bytes."""

    stored_length: int
    plain_length: int


@dataclass(frozen=True, slots=True)
class MemberMap:
    """What a member of a disk holds, and where it belongs.

    `first` and `plain_length` are bytes of the disk. `frames` follow the map in this order, and
    decode to all of it. `segments` has one for each segment; the names in leaves are plain ones.
    """

    archive_id: bytes
    disk: int
    number: int
    first: int
    plain_length: int
    frames: tuple[FramePlace, ...]
    segments: tuple[Leaf | Blank, ...]
