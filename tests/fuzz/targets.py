"""What is fuzzed: the readers of what comes from outside, with seeds for each.

A reader that refuses whatever has a wrong checksum would hide what is behind it, so that a target
reads bytes as they are, and once more with the checksum made right.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import msgspec
from blake3 import blake3

from amictl.bundles import manifest_xml
from amictl.bundles.image_tar import read_image
from amictl.content.compressing import Decompressor
from amictl.errors import AmictlError
from amictl.formats import (
    archive_manifest,
    archive_map,
    archive_members,
    current,
    foreign,
    frame,
    node,
    pack,
    records,
    run,
    tar,
)
from amictl.formats.foreign_header import ForeignFile
from amictl.formats.framing import checksum
from amictl.keys import age_headers
from amictl.model.records import Attributes, ImageCore, SnapshotCore, StoreConfig
from amictl.store.index import Run
from tests.hostile import archives
from tests.hostile.archive_frame_vectors import FRAMES
from tests.hostile.archive_member_vectors import MAPS
from tests.hostile.bundle_vectors import IMAGE_SIZE, tars
from tests.hostile.corpus import corpus
from tests.hostile.readers import READERS, Whole

_CHECKSUM, _DIGEST = 8, 32


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: it raises errors of ours or returns. Seeds are the vectors for these readers, or
    what a function gives.
    """

    read: Callable[[bytes], object]
    seeds: Sequence[str] | Callable[[], Iterator[bytes]]

    def seed_bytes(self) -> Iterator[bytes]:
        """Those that are small enough to be changed a little."""
        found = self.seeds() if callable(self.seeds) else _vectors_for(self.seeds)
        return (data for data in found if len(data) <= SEED_SIZE_MAX)


SEED_SIZE_MAX = 32_768


def _vectors_for(readers: Sequence[str]) -> Iterator[bytes]:
    return (vector.make() for vector in corpus() if vector.reader in readers)


def read_frame(data: bytes) -> None:
    """A frame; of a payload that claims to be one, what is in it."""
    for repaired in (data, _checked(_with_length(data))):
        with suppress(AmictlError):
            found = frame.decode(repaired)
            plain = bytearray(found.plain_length)
            Decompressor().decode_into(found.codec, found.payload, memoryview(plain))


def read_node(data: bytes) -> None:
    """A node, which is written as it was read."""
    for repaired in (data, _checked(_with_length(data))):
        with suppress(AmictlError):
            assert node.encode(node.decode(repaired)) == repaired


def read_pack(data: bytes) -> None:
    """Header, tail and entries, as they are looked at by themselves."""
    with suppress(AmictlError):
        pack.decode_header(data)
    with suppress(AmictlError):
        _, length = pack.decode_tail(data[-pack.TAIL_SIZE :])
        pack.decode_entries(data[-length:], len(data))


def read_current(data: bytes) -> None:
    """CURRENT, which is written as it was read."""
    for repaired in (data, data[:-_DIGEST] + blake3(data[:-_DIGEST]).digest()):
        with suppress(AmictlError):
            assert current.encode(current.decode(repaired)) == repaired


def read_run(data: bytes) -> None:
    """A run, which is searched for a name and for several."""
    head = data[:48]
    for repaired in (data, head + checksum(head) + bytes(8) + data[64:]):
        with suppress(AmictlError):
            found = Run(memoryview(repaired))
            found.find(data[-32:].ljust(32))
            found.rows()
            run.require_digest(repaired)


def read_records(data: bytes) -> None:
    """A record of several kinds, which is written as it was read."""
    for kind in (SnapshotCore, ImageCore, Attributes, StoreConfig):
        with suppress(AmictlError):
            assert records.encode(records.decode(data, kind, "here")) == data
    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
        document = msgspec.json.decode(data)
        if isinstance(document, dict):
            document.pop("digest", None)
            document["digest"] = blake3(records.canonical_json(document)).hexdigest()
            repaired = records.canonical_json(document) + b"\n"
            with suppress(AmictlError):
                records.decode(repaired, SnapshotCore, "here")


def read_age_header(data: bytes) -> None:
    """The head of an age file: what passes has no more than the bounds allow."""
    with suppress(ValueError):
        stanzas = age_headers.require_modest(data)
        assert len(stanzas) <= age_headers.STANZAS_MAX
        assert all(int(words[2]) <= 22 for words in stanzas if words[0] == "scrypt")


def read_tar_header(data: bytes) -> None:
    """A header, with the checksum made right, which is written as it was read."""
    block = data[:148] + b" " * 8 + data[156:]
    for repaired in (data, block[:148] + b"%06o\0 " % (sum(block) % 8**6) + block[156:]):
        with suppress(AmictlError):
            assert tar.encode(tar.decode(repaired)) == repaired


def read_archive_map(data: bytes) -> None:
    """A map with its length and digest made right, which is written as it was read."""
    body = data[8:-_DIGEST]
    lead = struct.pack("<II", archive_map.SKIPPABLE_MAGIC, len(body) + _DIGEST)
    for repaired in (data, lead + body + blake3(body).digest()):
        with suppress(AmictlError):
            assert archive_map.encode(archive_map.decode(repaired)) == repaired


def read_archive_documents(data: bytes) -> None:
    """The manifest and the table, as they are, and written in canonical form."""
    for repaired in (data, _canonical(data)):
        with suppress(AmictlError):
            assert archive_manifest.encode(archive_manifest.decode(repaired, "here")) == repaired
        with suppress(AmictlError):
            assert archive_members.encode(archive_members.decode(repaired, "here")) == repaired


def read_archive_end(data: bytes) -> None:
    """What follows the members of an archive that is right."""
    from amictl.archives.contents import read_contents

    with suppress(AmictlError):
        read_contents(Whole(_right_archive()[: _start_of_the_end()] + data))


def read_archive_member(data: bytes) -> None:
    """The first member of a disk, with the digest of its map made right, in an archive."""
    length = int.from_bytes(data[4:8], "little")
    if _DIGEST <= length <= len(data) - 8:
        body = data[8 : 8 + length - _DIGEST]
        data = data[: 8 + len(body)] + blake3(body).digest() + data[8 + length :]
    with suppress(AmictlError):
        READERS["archive"](
            archives.built(
                lambda archive: setattr(
                    archive, "change_parts", lambda parts: setattr(parts[1], "content", data)
                )
            )
        )


def read_disk_image(data: bytes) -> None:
    """The head of a disk in a foreign format, and once more with the sums of a vhd made right."""
    summed = bytearray(data.ljust(1536, b"\0"))
    for start, length, at in ((0, 512, 64), (512, 1024, 36)):
        part = summed[start : start + length]
        part[at : at + 4] = bytes(4)
        part[at : at + 4] = struct.pack(">I", ~sum(part) & 0xFFFFFFFF)
        summed[start : start + length] = part
    for repaired in (data, bytes(summed) + bytes(summed[:512])):
        file = ForeignFile("here", len(repaired), Whole(repaired).read)
        with suppress(AmictlError):
            foreign.looked_at(file, None)


def _heads() -> Iterator[bytes]:
    """The heads of all disks of the corpus."""
    for vector in corpus("disk_image_vectors"):
        yield vector.make()[:SEED_SIZE_MAX]


def read_bundle_manifest(data: bytes) -> None:
    """The manifest of a bundle: what passes is written in a form that is read as the same."""
    with suppress(AmictlError):
        found = manifest_xml.decode(data)
        again = manifest_xml.decode(manifest_xml.encode(found.manifest, lambda _: found.signature))
        assert again.manifest.parts == found.manifest.parts


def read_bundle_tar(data: bytes) -> None:
    """What is in a bundle, with the checksum of its first header made right."""
    block = data[:148] + b" " * 8 + data[156:512]
    for repaired in (
        data,
        block[:148] + b"%06o\0 " % (sum(block) % 8**6) + block[156:] + data[512:],
    ):
        with suppress(AmictlError):
            for offset, piece in read_image(_Stream(repaired), IMAGE_SIZE):
                assert offset + len(piece) <= IMAGE_SIZE


class _Stream:
    """Bytes in memory, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, length: int) -> bytes:
        taken, self._data = self._data[:length], self._data[length:]
        return taken


def _tars() -> Iterator[bytes]:
    return (data for _, _, data in tars())


@cache
def _right_archive() -> bytes:
    return archives.Archive().build()


@cache
def _start_of_the_end() -> int:
    return _right_archive().index(b"members.json\0")


def _ends() -> Iterator[bytes]:
    """The end of every archive of the corpus that begins as the right one does."""
    start = _start_of_the_end()
    for vector in corpus("archive_tar_vectors", "archive_table_vectors"):
        if vector.name.startswith(("archive.row-", "archive.sums-", "archive.sign")):
            yield vector.make()[start:]


def _members() -> Iterator[bytes]:
    """The first member of every archive in whose members something is wrong."""
    for change, _ in (*MAPS.values(), *FRAMES.values()):
        archive = archives.Archive()
        change(archive)
        yield archive.members[0].bytes


def _canonical(data: bytes) -> bytes:
    try:
        return records.canonical_json(msgspec.json.decode(data)) + b"\n"
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return data


def _through(reader: str) -> Callable[[bytes], None]:
    """A reader of the corpus, which is given text."""

    def read(data: bytes) -> None:
        with suppress(AmictlError):
            READERS[reader](data.decode(errors="ignore").encode())

    return read


def _checked(data: bytes) -> bytes:
    return data[:-_CHECKSUM] + checksum(data[:-_CHECKSUM])


def _with_length(data: bytes) -> bytes:
    return data[:8] + struct.pack("<I", len(data)) + data[12:]


TARGETS: dict[str, Target] = {
    "records": Target(read_records, ["snapshot"]),
    "node": Target(read_node, ["leaf", "inner"]),
    "frame": Target(read_frame, ["frame"]),
    "pack": Target(read_pack, ["pack"]),
    "current": Target(read_current, ["current"]),
    "run": Target(read_run, ["run"]),
    "tar-header": Target(read_tar_header, ["tar-header"]),
    "archive-map": Target(read_archive_map, ["archive-map"]),
    "archive-documents": Target(read_archive_documents, ["archive-manifest", "archive-members"]),
    "archive-end": Target(read_archive_end, _ends),
    "archive-member": Target(read_archive_member, _members),
    "disk-image": Target(read_disk_image, _heads),
    "bundle-manifest": Target(read_bundle_manifest, ["bundle-manifest"]),
    "bundle-tar": Target(read_bundle_tar, _tars),
    "age-header": Target(read_age_header, ["identity-file"]),
    "structure": Target(_through("structure"), ["structure"]),
    "configuration": Target(_through("configuration"), ["configuration"]),
}

SLOW = ("archive-member",)
"""Targets that take milliseconds for each input."""
