"""Archives as amictl-archive(5) describes them, in which any one thing can be wrong.

Built with struct, json and the digests alone, from the parts to the whole, so that whatever stands
on a part that was changed is right again: digests, offsets, checksums of headers.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyrage
import zstandard
from blake3 import blake3

from amictl.errors import KeyUnavailableError
from tests.hostile.identity_files import PUBLIC, SECRET

SEGMENT, MIB = 4 << 20, 1 << 20
STORED = "2026-11-22T12:00:00.000Z"
MTIME = 1_795_348_800
ARCHIVE_ID = bytes(range(16))
FINGERPRINT_KEY = bytes(range(32))
IMAGE = "ami-0123456789abcdef0"
SNAPSHOTS = ("snap-00000000000000001", "snap-00000000000000002")
KEY_ID = "01234567-89ab-cdef-0123-456789abcdef"

Pieces = list[bytes | int]
"""Of a segment, in order: chunks, and the lengths of runs of zeros."""

CHUNKS = [blake3(bytes([number])).digest(8192) for number in range(4)]
FIRST_SEGMENT: Pieces = [CHUNKS[0], CHUNKS[1], 2 * MIB - 16_384, CHUNKS[2], 2 * MIB - 8192]
SECOND_DISK: Pieces = [CHUNKS[3]]
HOLE, ZEROS = 0, 1


# --- tar ---------------------------------------------------------------------------------------


def header(own_name: bytes, length: int, /, **fields: bytes) -> bytes:
    """The 512 bytes before a content; `fields` are fields of ustar in place of the right ones."""
    right = {
        "name": (100, own_name),
        "mode": (8, b"0000644"),
        "uid": (8, b"0000000"),
        "gid": (8, b"0000000"),
        "size": (12, b"%011o" % length),
        "mtime": (12, b"%011o" % MTIME),
        "checksum": (8, b" " * 8),
        "type": (1, b"0"),
        "link": (100, b""),
        "magic": (8, b"ustar\x0000"),
        "user": (32, b""),
        "group": (32, b""),
        "major": (8, b"0000000"),
        "minor": (8, b"0000000"),
        "prefix": (155, b""),
        "rest": (12, b""),
    }
    values = [
        fields.get(key, value)[:width].ljust(width, b"\0") for key, (width, value) in right.items()
    ]
    if "checksum" not in fields:
        values[6] = b"%06o\0 " % sum(b"".join(values))
    return b"".join(values)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


@dataclass
class Part:
    """A member of the tar file; `fields` are those of its header that are not what they should be,
    `before` are blocks in front of it."""

    name: str
    content: bytes
    fields: dict[str, bytes] = field(default_factory=dict)
    before: bytes = b""
    filled: Callable[[bytes], bytes] = padded

    @property
    def bytes(self) -> bytes:
        head = header(self.name.encode(), len(self.content), **self.fields)
        return self.before + head + self.filled(self.content)


# --- members of disks --------------------------------------------------------------------------


def fingerprint(plain: bytes) -> bytes:
    return blake3(plain, key=FINGERPRINT_KEY).digest(16)


def plain_bytes(pieces: Pieces) -> bytes:
    return b"".join(bytes(piece) for piece in pieces)


def leaf_entry(pieces: Pieces, own_fingerprint: bytes | None = None, count: int = -1) -> bytes:
    """What the map says of a segment."""
    words = [piece | 1 << 31 if isinstance(piece, int) else len(piece) for piece in pieces]
    names = [blake3(piece).digest() for piece in pieces if not isinstance(piece, int)]
    head = own_fingerprint or fingerprint(plain_bytes(pieces))
    head += struct.pack("<H", len(pieces) if count < 0 else count)
    return b"".join((head, struct.pack(f"<{len(words)}I", *words), *names))


def zero_frame(size: int) -> bytes:
    """The one frame for so many zeros."""
    blocks = [131_072] * (size // 131_072) + [size % 131_072] * (size % 131_072 > 0)
    last = len(blocks) - 1
    head = struct.pack("<IBBI", 0xFD2FB528, 0x80, 0x38, size)
    return head + b"".join(
        (block << 3 | 2 | (at == last)).to_bytes(3, "little") + b"\0"
        for at, block in enumerate(blocks)
    )


def frames_of(plain: bytes) -> list[tuple[bytes, int]]:
    """A segment compressed anew: frames of a mebibyte, each with its plain length."""
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=False)
    parts = [plain[at : at + MIB] for at in range(0, len(plain), MIB)]
    return [(compressor.compress(part), len(part)) for part in parts]


@dataclass
class DiskMember:
    """A member of a disk. What is None is as it should be."""

    disk: int
    plain_length: int
    kinds: list[int]
    entries: list[bytes]
    frames: list[tuple[bytes, int]]
    name: str = "disk-0/000000.zst"
    number: int = 0
    first: int = 0
    archive_id: bytes = ARCHIVE_ID
    magic: bytes = b"AMIAMAP1"
    table: list[tuple[int, int]] | None = None
    count: int | None = None
    map_length: int | None = None
    skippable: int = 0x184D2A5A
    behind_map: bytes = b""
    behind: bytes = b""
    digest: Callable[[bytes], bytes] = lambda body: blake3(body).digest()

    @property
    def bytes(self) -> bytes:
        rows = [(len(stored), plain) for stored, plain in self.frames]
        rows = rows if self.table is None else self.table
        count = len(rows) if self.count is None else self.count
        numbers = [number for row in rows for number in row]
        body = b"".join(
            (
                self.magic,
                self.archive_id,
                struct.pack("<IIQ", self.disk, self.number, self.first),
                struct.pack("<II", self.plain_length, count),
                struct.pack(f"<{len(numbers)}I", *numbers),
                bytes(self.kinds),
                *self.entries,
                self.behind_map,
            )
        )
        length = len(body) + 32 if self.map_length is None else self.map_length
        lead = struct.pack("<II", self.skippable, length)
        frames = b"".join(stored for stored, _ in self.frames)
        return lead + body + self.digest(body) + frames + self.behind


def first_member() -> DiskMember:
    """Of a disk of three segments: chunks and zeros, a hole, a leaf of zeros alone."""
    frames = [*frames_of(plain_bytes(FIRST_SEGMENT)), (zero_frame(2 * SEGMENT), 2 * SEGMENT)]
    return DiskMember(0, 3 * SEGMENT, [2, HOLE, ZEROS], [leaf_entry(FIRST_SEGMENT)], frames)


def second_member() -> DiskMember:
    """Of a disk of one chunk."""
    plain = plain_bytes(SECOND_DISK)
    frames = frames_of(plain)
    name = "disk-1/000000.zst"
    return DiskMember(1, len(plain), [2], [leaf_entry(SECOND_DISK)], frames, name)


# --- block maps and manifest -------------------------------------------------------------------


def leaf_name(pieces: Pieces) -> bytes:
    """The plain name of a leaf. amictl-store(5), BLOCK MAPS."""
    chunks = [blake3(piece).digest() for piece in pieces if not isinstance(piece, int)]
    names = list(dict.fromkeys(chunks))
    body = struct.pack("<I", sum(p if isinstance(p, int) else len(p) for p in pieces))
    body += fingerprint(plain_bytes(pieces)) + struct.pack("<H", len(pieces))
    for piece in pieces:
        if isinstance(piece, int):
            body += struct.pack("<IH", piece | 1 << 31, 0)
        else:
            body += struct.pack("<IH", len(piece), names.index(blake3(piece).digest()))
    return _node_name(0, names, body)


def interior_name(plain_length: int, children: list[bytes | None]) -> bytes:
    """The plain name of a node of level 1."""
    names = list(dict.fromkeys(child for child in children if child is not None))
    slots = [0xFFFF if child is None else names.index(child) for child in children]
    body = struct.pack(f"<QH{len(slots)}H", plain_length, len(slots), *slots)
    return _node_name(1, names, body)


def _node_name(level: int, names: list[bytes], body: bytes) -> bytes:
    head = struct.pack("<BBH", min(level, 1), level, len(names))
    return blake3(b"".join((head, *names, body))).digest()


ROOTS = (
    interior_name(3 * SEGMENT, [leaf_name(FIRST_SEGMENT), None, leaf_name([SEGMENT])]).hex(),
    leaf_name(SECOND_DISK).hex(),
)


def canonical(document: Any) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def disk(number: int, size: int, data: int, *, encrypted: bool) -> dict[str, Any]:
    return {
        "SnapshotId": SNAPSHOTS[number],
        "VolumeId": f"vol-{number:017x}",
        "OwnerId": "123456789012",
        "SizeBytes": size,
        "DataBytes": data,
        "Root": ROOTS[number],
        "Cut": {"Average": 32_768, "Id": 1},
        "CutSecret": None,
        "FingerprintKey": FINGERPRINT_KEY.hex(),
        "Hash": "blake3",
        "Encrypted": encrypted,
        "KmsKeyId": KEY_ID if encrypted else None,
        "StartTime": STORED,
        "Freeze": {
            "Consistency": "at-rest",
            "Method": "lease",
            "Moment": STORED,
            "Together": True,
        },
        "Source": {
            "CtimeNs": "0",
            "Device": 0,
            "Inode": "0",
            "MtimeNs": "0",
            "Path": "/srv/disk.raw",
            "SizeBytes": size,
        },
        "Description": "",
        "Tags": [{"Key": "Name", "Value": "root"}],
        "Further": [],
    }


def mapping(device: str, snapshot: str | None, **fields: Any) -> dict[str, Any]:
    absent = dict.fromkeys(("VolumeType", "Iops", "Throughput", "VirtualName"))
    own = {"DeviceName": device, "SnapshotId": snapshot, "VolumeSize": 1}
    return {**absent, **own, "DeleteOnTermination": False, **fields}


def manifest(*, sealed: bool) -> dict[str, Any]:
    """What manifest.json says; of what is sealed the first disk was encrypted."""
    return {
        "Format": "amictl-archive",
        "Version": 1,
        "ArchiveId": ARCHIVE_ID.hex(),
        "Stored": STORED,
        "Encrypted": sealed,
        "Image": {
            "ImageId": IMAGE,
            "Name": "web",
            "OwnerId": "123456789012",
            "CreationDate": STORED,
            "Architecture": "x86_64",
            "BootMode": None,
            "Platform": None,
            "RootDeviceName": "/dev/sda1",
            "Mappings": [mapping("/dev/sda1", SNAPSHOTS[0]), mapping("/dev/sdb", SNAPSHOTS[1])],
            "Description": "a web server",
            "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
            "Further": [],
        },
        "Disks": [
            disk(0, 3 * SEGMENT, 24_576, encrypted=sealed),
            disk(1, 8192, 8192, encrypted=False),
        ],
    }


# --- the whole ---------------------------------------------------------------------------------

_IDENTITY = pyrage.x25519.Identity.from_str(SECRET)


def sealed_to(data: bytes, *recipients: str) -> bytes:
    """An age file."""
    chosen = [pyrage.x25519.Recipient.from_str(one) for one in recipients or [PUBLIC]]
    return bytes(pyrage.encrypt(data, chosen))


def open_key(sealed: bytes, name: str) -> bytes:
    """What the key of `identity_files` opens."""
    try:
        return bytes(pyrage.decrypt(sealed, [_IDENTITY]))
    except pyrage.DecryptError as error:
        raise KeyUnavailableError(f"no key here opens {name}") from error


def unchanged(thing: Any) -> Any:
    return thing


@dataclass
class Archive:
    """An archive on its way. What a fault changes is changed before what stands on it is made.

    The functions are given, in this order: the members before the table; the table; its bytes;
    all members; the whole.
    """

    sealed: bool = False
    identity: bytes = f"{SECRET}\n".encode()
    owner: str = PUBLIC
    change_parts: Callable[[list[Part]], Any] = unchanged
    change_table: Callable[[dict[str, Any]], Any] = unchanged
    change_table_bytes: Callable[[bytes], bytes] = unchanged
    change_all: Callable[[list[Part]], Any] = unchanged
    change_bytes: Callable[[bytes], bytes] = unchanged
    change_manifest_bytes: Callable[[bytes], bytes] = unchanged
    signature: bytes | None = None
    end: bytes = bytes(1024)
    seal: Callable[[bytes], bytes] = sealed_to

    def __post_init__(self) -> None:
        self.manifest = manifest(sealed=self.sealed)
        self.members = [first_member(), second_member()]

    def build(self) -> bytes:
        parts = list(self._parts())
        parts = self.change_parts(parts) or parts
        table = self._table(parts)
        table = self.change_table(table) or table
        table_bytes = self.change_table_bytes(canonical(table))
        rows = [(row["SHA256"], row["Name"]) for row in _rows(table)]
        behind = [Part("members.json", table_bytes)]
        if self.signature is not None:
            behind.append(Part("members.json.sig", self.signature))
        rows += [(hashlib.sha256(part.content).hexdigest(), part.name) for part in behind]
        sums = "".join(f"{digest}  {name}\n" for digest, name in rows)
        parts += [*behind, Part("SHA256SUMS", sums.encode())]
        parts = self.change_all(parts) or parts
        return self.change_bytes(b"".join(part.bytes for part in parts) + self.end)

    def _parts(self) -> Iterator[Part]:
        suffix = ".age" if self.sealed else ""
        seal = self.seal if self.sealed else unchanged
        if self.sealed:
            yield Part("key.age", sealed_to(self.identity, self.owner))
        document = self.change_manifest_bytes(canonical(self.manifest))
        yield Part(f"manifest.json{suffix}", seal(document))
        for member in self.members:
            yield Part(f"{member.name}{suffix}", seal(member.bytes))

    def _table(self, parts: list[Part]) -> dict[str, Any]:
        rows, at = [], 0
        for part in parts:
            at += len(part.before) + 512
            digest = hashlib.sha256(part.content).hexdigest()
            row = {"Name": part.name, "Offset": at, "Size": len(part.content), "SHA256": digest}
            rows.append(row)
            at += len(part.filled(part.content))
        return {
            "Format": "amictl-archive-members",
            "Version": 1,
            "ArchiveId": ARCHIVE_ID.hex(),
            "Stored": STORED,
            "Members": rows,
        }


def _rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in table["Members"] or [] if isinstance(row, dict)]


def built(change: Callable[[Archive], object], *, sealed: bool = False) -> bytes:
    """The bytes of an archive after a change."""
    archive = Archive(sealed=sealed)
    change(archive)
    return archive.build()
