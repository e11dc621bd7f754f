"""Archives made of raw bytes with the format modules alone, by another writer than amictl's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate, pairwise

import pyrage
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import x25519

from amictl.content.cutting import PUBLIC_PATTERN, cut, secret_pattern
from amictl.content.domains import PLAIN
from amictl.content.mapping import MapBuilder
from amictl.content.naming import chunk_name, fingerprint
from amictl.formats import archive_manifest, archive_map, archive_members, tar
from amictl.model import archives
from amictl.model.archives import (
    ArchivedDisk,
    ArchivedImage,
    Blank,
    FramePlace,
    Manifest,
    Member,
    MemberMap,
    Members,
    member_name,
)
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, segment_length
from amictl.model.images import size_gib
from amictl.model.records import Cut, Mapping, Source, Tag
from amictl.model.source import Freeze

ARCHIVE_ID = bytes(range(16))
STORED = "2026-11-22T10:00:00.000Z"
IMAGE_ID = "ami-0123456789abcdef0"
KEY = bytes(range(32))
SECRET = bytes(range(32, 64))
AVERAGE = 16_384
MEMBER_SEGMENTS = 2
DEVICES = ("/dev/sda1", "/dev/sdb", "/dev/sdc", "/dev/sdd")


def mebibytes(leaf: Leaf) -> list[int]:
    """Bounds of frames of a MiB."""
    length = sum(leaf.lengths)
    return [*range(0, length, 1 << 20), length]


def chunks(leaf: Leaf) -> list[int]:
    """Bounds of frames of one chunk or run of zeros each, if they are not cut by a MiB."""
    bounds = accumulate(leaf.lengths, initial=0)
    return sorted({*bounds, *mebibytes(leaf)})


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk to archive. `frames` cuts a segment, whose chunks are at these bounds, into frames."""

    content: bytes
    frames: Callable[[Leaf], list[int]] = mebibytes
    key_id: str | None = None
    holes: bool = True
    lie: Callable[[Leaf], Leaf] = lambda leaf: leaf


def snapshot_id(number: int) -> str:
    return f"snap-{number:017x}"


def leaf_of(data: bytes, disk: Disk) -> Leaf:
    pattern = secret_pattern(SECRET) if disk.key_id else PUBLIC_PATTERN
    pieces = cut(memoryview(data), AVERAGE, pattern)
    names = tuple(
        None if piece.is_zero else chunk_name(data[piece.start : piece.stop]) for piece in pieces
    )
    lengths = tuple(piece.stop - piece.start for piece in pieces)
    return Leaf(lengths, names, fingerprint(data, KEY), names)


def segments_of(disk: Disk) -> list[Leaf | Blank]:
    count = -(-len(disk.content) // SEGMENT_SIZE)
    found: list[Leaf | Blank] = []
    for index in range(count):
        data = disk.content[index * SEGMENT_SIZE : (index + 1) * SEGMENT_SIZE]
        if any(data):
            found.append(disk.lie(leaf_of(data, disk)))
        else:
            found.append(Blank.HOLE if disk.holes else Blank.ZEROS)
    return found


def root_of(disk: Disk) -> str | None:
    """The plain name of the root of a disk's map."""
    builder = MapBuilder(len(disk.content), lambda node: PLAIN.encode_node(node, bytes)[0])
    for index, segment in enumerate(segments_of(disk)):
        length = segment_length(len(disk.content), index)
        if segment is Blank.ZEROS:
            segment = Leaf((length,), (None,), fingerprint(bytes(length), KEY), (None,))
        if isinstance(segment, Leaf):
            builder.add(index, PLAIN.encode_node(segment, bytes)[0])
    root = builder.finish()
    return root.hex() if root else None


def disk_members(number: int, disk: Disk, per_member: int = MEMBER_SEGMENTS) -> list[bytes]:
    segments = segments_of(disk)
    return [
        _member(number, at // per_member, disk, at, segments[at : at + per_member])
        for at in range(0, len(segments), per_member)
    ]


def _member(number: int, own: int, disk: Disk, first: int, segments: list[Leaf | Blank]) -> bytes:
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)
    start = first * SEGMENT_SIZE
    plain = disk.content[start : start + len(segments) * SEGMENT_SIZE]
    frames: list[tuple[bytes, int]] = []
    blank = 0
    for index, segment in enumerate(segments):
        data = plain[index * SEGMENT_SIZE : (index + 1) * SEGMENT_SIZE]
        if isinstance(segment, Blank):
            blank += len(data)
            continue
        if blank:
            frames.append((archive_map.zero_frame(blank), blank))
            blank = 0
        for a, b in pairwise(disk.frames(segment)):
            frames.append((compressor.compress(data[a:b]), b - a))
    if blank:
        frames.append((archive_map.zero_frame(blank), blank))
    places = tuple(FramePlace(len(stored), length) for stored, length in frames)
    found = MemberMap(ARCHIVE_ID, number, own, start, len(plain), places, tuple(segments))
    return b"".join((archive_map.encode(found), *(stored for stored, _ in frames)))


def manifest_of(disks: Sequence[Disk], name: str = "web", *, sealed: bool = False) -> Manifest:
    mappings = tuple(
        Mapping(
            f"/dev/sd{'abcdefgh'[at]}{'1' if at == 0 else ''}",
            snapshot_id(at),
            size_gib(len(disks[at].content)),
        )
        for at in range(len(disks))
    )
    image = ArchivedImage(
        IMAGE_ID, name, "123456789012", STORED, "x86_64", "uefi", None, "/dev/sda1", mappings,
        "the shop", (Tag("stage", "prod"),),
    )  # fmt: skip
    return Manifest(
        ARCHIVE_ID.hex(), STORED, sealed, image, tuple(map(_disk, range(len(disks)), disks))
    )


def _disk(number: int, disk: Disk) -> ArchivedDisk:
    size = len(disk.content)
    return ArchivedDisk(
        snapshot_id=snapshot_id(number),
        volume_id=f"vol-{number:017x}",
        owner_id="123456789012",
        size_bytes=size,
        data_bytes=0,
        root=root_of(disk),
        cut=Cut(2 if disk.key_id else 1, AVERAGE),
        cut_secret=SECRET.hex() if disk.key_id else None,
        fingerprint_key=KEY.hex(),
        hash="blake3",
        encrypted=disk.key_id is not None,
        kms_key_id=disk.key_id,
        start_time=STORED,
        freeze=Freeze(STORED, "lease", "at-rest", True),
        source=Source(f"/srv/disk-{number}.raw", 1, "2", size, "3", "4"),
        description=f"disk {number}",
        tags=(Tag("disk", str(number)),),
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """An archive in parts, which a test can change before they are put together."""

    members: tuple[tuple[str, bytes], ...]
    signing_key: Ed25519PrivateKey | None = None
    stored: str = STORED
    archive_id: str = ARCHIVE_ID.hex()

    def with_member(self, name: str, content: bytes) -> "Parts":
        """The same with another content of a member."""
        assert name in dict(self.members)
        changed = [(own, content if own == name else data) for own, data in self.members]
        return replace(self, members=tuple(changed))

    def table(self) -> bytes:
        """members.json."""
        offset, rows = 512, []
        for name, content in self.members:
            rows.append(Member(name, offset, len(content), sha256(content).hexdigest()))
            offset = tar.next_offset(offset, len(content))
        return archive_members.encode(Members(self.archive_id, self.stored, tuple(rows)))

    def joined(self) -> bytes:
        """The archive."""
        members = [*self.members, (archives.MEMBERS, self.table())]
        if self.signing_key is not None:
            members.append((archives.SIGNATURE, self.signing_key.sign(members[-1][1])))
        digests = [(name, sha256(content).hexdigest()) for name, content in members]
        members.append((archives.SUMS, archive_members.sums(digests)))
        return b"".join((*(tar_member(name, content) for name, content in members), tar.END))


def tar_member(name: str, content: bytes, mtime: int = 1_795_341_600) -> bytes:
    header = tar.encode(tar.Header(name, len(content), mtime))
    return b"".join((header, content, tar.padding(len(content))))


def plain_archive(*disks: Disk, name: str = "web", per_member: int = MEMBER_SEGMENTS) -> Parts:
    manifest = archive_manifest.encode(manifest_of(disks, name))
    members = [
        (member_name(number, at, is_sealed=False), content)
        for number, disk in enumerate(disks)
        for at, content in enumerate(disk_members(number, disk, per_member))
    ]
    return Parts(((archives.MANIFEST, manifest), *members))


def sealed_archive(
    recipient: x25519.Recipient, *disks: Disk, manifest: Manifest | None = None
) -> Parts:
    """Sealed to an identity of its own, which is sealed to the recipient."""
    own = x25519.Identity.generate()

    def sealed(content: bytes) -> bytes:
        return pyrage.encrypt(content, [own.to_public()])

    said = archive_manifest.encode(manifest or manifest_of(disks, sealed=True))
    key = pyrage.encrypt(f"{own}\n".encode(), [recipient])
    members = [
        (member_name(number, at, is_sealed=True), sealed(content))
        for number, disk in enumerate(disks)
        for at, content in enumerate(disk_members(number, disk))
    ]
    return Parts(
        ((archives.KEY, key), (archives.MANIFEST + archives.SEALED, sealed(said)), *members)
    )
