"""The records of a region: what a snapshot and an image are. amictl-store(5), RECORDS.

A core never changes once it exists; attributes do. Field names are those of the documents, in
snake case. `further` holds what later programs add, by key; who does not know a key keeps it.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from msgspec import Meta

from amictl.model.source import Freeze

FORMAT_VERSION = 1

STATES = {"ami": ("available", "disabled", "recoverable"), "snap": ("completed", "recoverable")}
"""In which states what has attributes can be, by the kind of its id; volumes in others."""

SnapshotId = Annotated[str, Meta(pattern=r"\Asnap-[0-9a-f]{17}\Z")]
ImageId = Annotated[str, Meta(pattern=r"\Aami-[0-9a-f]{17}\Z")]
VolumeId = Annotated[str, Meta(pattern=r"\Avol-[0-9a-f]{17}\Z")]
TaskId = Annotated[
    str,
    Meta(pattern=r"\A(store|restore-ami|import-ami|import-snap|export-ami)-[0-9a-f]{17}\Z"),
]
OwnerId = Annotated[str, Meta(pattern=r"\A[0-9]{12}\Z")]
Hex32 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Hex64 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
KeyId = Annotated[
    str, Meta(pattern=r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
]
RuleId = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z]{11}\Z")]
DeviceName = Annotated[str, Meta(pattern=r"\A(/dev/[a-z][a-z0-9]{1,31}|xvd[a-z]{1,2})\Z")]
VirtualName = Annotated[str, Meta(pattern=r"\Aephemeral([0-9]|1[0-9]|2[0-3])\Z")]
Gibibytes = Annotated[int, Meta(ge=0, le=2**33)]  # as many as the largest file has
Digits = Annotated[str, Meta(pattern=r"\A-?[0-9]+\Z")]
Count = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Features:
    """Words that stop a program which does not know them, by the kind of thing it wants to do."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    check: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """What a store is, decided when it is made. Sizes in bytes, parity in per cent."""

    store_id: Hex32
    owner_id: OwnerId
    created: str
    chunk_size: int
    compression_level: int
    hash: str
    parity: int
    features: Features

    @property
    def chunk_size_bytes(self) -> int:
        return self.chunk_size


@dataclass(frozen=True, slots=True)
class Cut:
    """How the volumes of a lineage are cut: id of the method, average chunk size in bytes."""

    id: int
    average: int


@dataclass(frozen=True, slots=True)
class Source:
    """The file that a snapshot was taken from, as the file system described it at the moment.

    `inode` and the times in nanoseconds are digits in strings, since JSON numbers cannot hold them.
    """

    path: str
    device: int
    inode: Digits
    size_bytes: int
    mtime_ns: Digits
    ctime_ns: Digits


@dataclass(frozen=True, slots=True)
class Tag:
    """A key and a value."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class SnapshotCore:
    """A volume's content at one moment. Names and keys are hexadecimal; times ISO 8601 UTC."""

    snapshot_id: SnapshotId
    volume_id: VolumeId
    owner_id: OwnerId
    size_bytes: Count
    root: Hex64 | None
    height: int
    cut: Cut
    fingerprint_key: Hex64
    domain: Hex32
    hash: str
    parent: SnapshotId | None
    start_time: str
    completion_time: str
    freeze: Freeze
    source: Source
    unchanged: bool
    new_bytes: Count
    data_bytes: Count
    signatures: tuple[str, ...] = ()
    further: tuple[Tag, ...] = ()

    @property
    def taken(self) -> str:
        """When the disk had this content: of a copy, the moment of what it was copied from.

        Disks that were frozen together have one such time.
        """
        return min(self.start_time, self.freeze.moment)

    def fact(self, key: str) -> str | None:
        """What `further` has under a key."""
        return _fact(self.further, key)


@dataclass(frozen=True, slots=True, repr=False)
class LineageSecrets:
    """What is sealed in the core of an encrypted snapshot; `cut_secret` where the cut is secret."""

    fingerprint_key: Hex64
    cut_secret: Hex64 | None


@dataclass(frozen=True, slots=True)
class Mapping:
    """One block device of an image: a snapshot, a new empty volume, or an ephemeral device."""

    device_name: DeviceName
    snapshot_id: SnapshotId | None = None
    volume_size: Gibibytes | None = None
    delete_on_termination: bool = False
    volume_type: str | None = None
    iops: int | None = None
    throughput: int | None = None
    virtual_name: VirtualName | None = None


@dataclass(frozen=True, slots=True)
class ImageCore:
    """A registered machine image."""

    image_id: ImageId
    name: str
    owner_id: OwnerId
    creation_date: str
    architecture: str
    boot_mode: str | None
    platform: str | None
    root_device_name: str
    mappings: tuple[Mapping, ...]
    signatures: tuple[str, ...] = ()
    further: tuple[Tag, ...] = ()

    def fact(self, key: str) -> str | None:
        """What `further` has under a key."""
        return _fact(self.further, key)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What may change about a snapshot, an image or a volume; `tags` are sorted by key.

    What only some have is in `further`, under the keys of `amictl.model.facts`.
    """

    id: str
    generation: Count
    state: str
    description: str
    tags: tuple[Tag, ...]
    further: tuple[Tag, ...] = ()

    def fact(self, key: str) -> str | None:
        """What `further` has under a key."""
        return _fact(self.further, key)

    def with_facts(self, facts: dict[str, str | None]) -> "Attributes":
        """The same with these facts; None removes one."""
        pairs = {tag.key: tag.value for tag in self.further} | facts
        kept = {key: value for key, value in pairs.items() if value is not None}
        return replace(self, further=tags_from(kept))


@dataclass(frozen=True, slots=True)
class PendingSnapshot:
    """A snapshot whose writer is at work, or died; `done` and `total` are bytes of the volume."""

    snapshot_id: SnapshotId
    volume_id: VolumeId
    owner_id: OwnerId
    size_bytes: Count
    start_time: str
    freeze: Freeze
    path: str
    description: str
    tags: tuple[Tag, ...]
    done: int = 0
    total: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PendingImage:
    """An image whose writer is at work, or died."""

    image: ImageCore
    description: str
    tags: tuple[Tag, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PendingState:
    """How far pending work is, in bytes of the volume, or why it failed."""

    done: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class CopyToken:
    """A ClientToken that was given, the BLAKE3 of the request with it, and the image it made."""

    token: str
    request: Hex64
    image_id: ImageId


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image name that is taken, and by which image."""

    name: str
    image_id: ImageId


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A volume: where its disk was last, and the newest completed snapshot of it."""

    volume_id: VolumeId
    path: str
    snapshot_id: SnapshotId


@dataclass(frozen=True, slots=True)
class Event:
    """One change of state: when, by which operation, to what, and what became of it.

    `event_id` is random, so that an event that is kept twice counts once.
    """

    event_id: Hex32
    time: str
    operation: str
    ids: tuple[str, ...]
    outcome: str
    further: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class EventLog:
    """Many events in one object, in the order of their times."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long a deleted image or snapshot stays in the recycle bin; a period in days.

    With `tags` it is for what has one of them; without, for everything that has none of `excluded`.
    `own_tags` are those of the rule itself.
    """

    identifier: RuleId
    resource_type: str
    retention_days: Count
    description: str
    tags: tuple[Tag, ...]
    excluded: tuple[Tag, ...]
    own_tags: tuple[Tag, ...] = ()
    further: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """All retention rules of a region."""

    rules: tuple[RetentionRule, ...] = ()


@dataclass(frozen=True, slots=True)
class DomainHeader:
    """What opens an encrypted domain: its root secret, wrapped to the recipients of its key.

    `wrapped` is an age file in base64; `commitment` is made of the secret, so that a header that
    opens to another one is noticed.
    """

    domain_id: Hex32
    key_id: KeyId
    commitment: Hex64
    wrapped: str
    generation: Count
    created: str
    further: tuple[Tag, ...] = ()

    def fact(self, key: str) -> str | None:
        """What `further` has under a key."""
        return _fact(self.further, key)


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """What holds for all that is new in a region; `default_key` is None until one was chosen."""

    encryption_by_default: bool = False
    default_key: KeyId | None = None
    max_concurrent_copies: Count = 100
    further: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class DamagedFrame:
    """A frame or node that is known not to be readable; a length of 0 means the whole pack."""

    pack: Hex32
    offset: Count
    length: Count


@dataclass(frozen=True, slots=True)
class DamageList:
    """All damage that checks have found and nobody has repaired."""

    frames: tuple[DamagedFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class PackCheck:
    """When a pack was last read whole and found intact; seconds since 1970."""

    pack: Hex32
    seconds: int


@dataclass(frozen=True, slots=True)
class CheckLog:
    """When packs were last read whole."""

    packs: tuple[PackCheck, ...] = ()


def _fact(further: tuple[Tag, ...], key: str) -> str | None:
    return next((tag.value for tag in further if tag.key == key), None)


def tags_from(pairs: dict[str, str]) -> tuple[Tag, ...]:
    """Tags in the order of their keys."""
    return tuple(Tag(key, pairs[key]) for key in sorted(pairs))


@dataclass(frozen=True, slots=True)
class Epoch:
    """Which of the two epoch locks writers hold."""

    epoch: int
