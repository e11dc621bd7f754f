"""What is fuzzed: the readers of what comes from outside, with seeds for each.

A reader that refuses whatever has a wrong checksum would hide what is behind it, so that a target
reads bytes as they are, and once more with the checksum made right.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from blake3 import blake3

from amictl.content.compressing import Decompressor
from amictl.errors import AmictlError
from amictl.formats import current, frame, node, pack, records, run
from amictl.formats.framing import checksum
from amictl.keys import age_headers
from amictl.model.records import Attributes, ImageCore, SnapshotCore, StoreConfig
from amictl.store.index import Run
from tests.hostile.corpus import corpus
from tests.hostile.readers import READERS

_CHECKSUM, _DIGEST = 8, 32


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: it raises errors of ours or returns. Seeds are the vectors for these readers."""

    read: Callable[[bytes], object]
    seeds: Sequence[str]

    def seed_bytes(self) -> Iterator[bytes]:
        """Those that are small enough to be changed a little."""
        for vector in corpus():
            if vector.reader in self.seeds and len(data := vector.make()) <= SEED_SIZE_MAX:
                yield data


SEED_SIZE_MAX = 8192


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
    "age-header": Target(read_age_header, ["identity-file"]),
    "structure": Target(_through("structure"), ["structure"]),
    "configuration": Target(_through("configuration"), ["configuration"]),
}
