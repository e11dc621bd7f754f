"""CURRENT: the one mutable file of the index. amictl-store(5), INDEX."""

import struct
from dataclasses import dataclass
from itertools import pairwise

from blake3 import blake3

from amictl.formats.framing import refuse
from amictl.formats.pack import PACK_KINDS, PackKind

MAGIC = b"AMICURR1"
_HEADER = struct.Struct("<8sQIIIIII")
_PACK = struct.Struct("<16sQIB3s")
_RUN = struct.Struct("<16sQQ")
_DIGEST_SIZE = 32


@dataclass(frozen=True, slots=True)
class PackRow:
    """A pack that the index may name: its id (16 bytes), length in bytes, number and kind."""

    pack_id: bytes
    length: int
    number: int
    kind: PackKind


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run: its id (16 bytes), number of rows and length in bytes."""

    run_id: bytes
    rows: int
    length: int


@dataclass(frozen=True, slots=True)
class Current:
    """What the index consists of; runs oldest first, packs by ascending number."""

    generation: int = 0
    next_pack: int = 0
    packs: tuple[PackRow, ...] = ()
    runs: tuple[RunRow, ...] = ()
    removed: tuple[int, ...] = ()
    condemned: tuple[int, ...] = ()


def encode(current: Current) -> bytes:
    """The bytes of CURRENT."""
    counts = (len(current.packs), len(current.runs), len(current.removed), len(current.condemned))
    parts = [_HEADER.pack(MAGIC, current.generation, current.next_pack, *counts, 0)]
    parts += [
        _PACK.pack(row.pack_id, row.length, row.number, row.kind, bytes(3)) for row in current.packs
    ]
    parts += [_RUN.pack(row.run_id, row.rows, row.length) for row in current.runs]
    parts.append(struct.pack(f"<{counts[2]}I", *current.removed))
    parts.append(struct.pack(f"<{counts[3]}I", *current.condemned))
    data = b"".join(parts)
    return data + blake3(data).digest()


def decode(data: bytes) -> Current:
    """Raises CorruptStoreError unless `encode` could have written `data`."""
    refuse(len(data) < _HEADER.size + _DIGEST_SIZE, "index/CURRENT is truncated")
    magic, generation, next_pack, packs, runs, removed, condemned, zero = _HEADER.unpack_from(data)
    refuse(magic != MAGIC, "index/CURRENT does not begin with its magic")
    expected = (
        _HEADER.size
        + _PACK.size * packs
        + _RUN.size * runs
        + 4 * (removed + condemned)
        + _DIGEST_SIZE
    )
    refuse(len(data) != expected or zero != 0, "index/CURRENT has a wrong length")
    refuse(
        blake3(data[:-_DIGEST_SIZE]).digest() != data[-_DIGEST_SIZE:],
        "index/CURRENT has a wrong digest",
    )
    position = _HEADER.size
    pack_rows = []
    for pack_id, length, number, kind, zeros in _PACK.iter_unpack(
        data[position : position + _PACK.size * packs]
    ):
        refuse(
            kind not in PACK_KINDS or zeros != bytes(3),
            "index/CURRENT names a pack of unknown kind",
        )
        pack_rows.append(PackRow(pack_id, length, number, PackKind(kind)))
    position += _PACK.size * packs
    run_rows = tuple(
        RunRow(*row) for row in _RUN.iter_unpack(data[position : position + _RUN.size * runs])
    )
    position += _RUN.size * runs
    lists = struct.unpack_from(f"<{removed + condemned}I", data, position)
    numbers = [row.number for row in pack_rows]
    for ascending in (numbers, list(lists[:removed]), list(lists[removed:])):
        refuse(
            any(a >= b for a, b in pairwise(ascending)),
            "index/CURRENT is out of order",
        )
    refuse(
        any(n >= next_pack for n in numbers), "index/CURRENT names a pack beyond its next number"
    )
    return Current(
        generation, next_pack, tuple(pack_rows), run_rows, lists[:removed], lists[removed:]
    )
