"""Index runs: sorted pieces of the index. amictl-store(5), INDEX.

The layout is here; searching is `store.index`. numpy is imported only where rows are written.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from blake3 import blake3

from amictl.formats.framing import Buffer, checksum, refuse

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAGIC = b"AMIINDX1"
FENCE_STEP = 512
HEADER_SIZE = 64
DIGEST_SIZE = 32
FILTER_SHIFTS = (0, 6, 12, 18)

_HEADER = struct.Struct("<8sQQII16s")
_BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Layout:
    """Byte offsets of the sections of a run, from its number of rows and filter words."""

    rows: int
    filter_words: int
    run_id: bytes

    @property
    def fence_rows(self) -> int:
        return -(-self.rows // FENCE_STEP)

    @property
    def keys(self) -> int:
        return HEADER_SIZE

    @property
    def filter(self) -> int:
        return self.keys + 8 * self.rows

    @property
    def fence(self) -> int:
        return self.filter + 8 * self.filter_words

    @property
    def names(self) -> int:
        return self.fence + 8 * self.fence_rows

    @property
    def packs(self) -> int:
        return self.names + 24 * self.rows

    @property
    def offsets(self) -> int:
        return self.packs + 4 * self.rows

    @property
    def lengths(self) -> int:
        return self.offsets + 4 * self.rows

    @property
    def positions(self) -> int:
        return self.lengths + 4 * self.rows

    @property
    def digest(self) -> int:
        return self.positions + 2 * self.rows + self._padding

    @property
    def _padding(self) -> int:
        return -(self.positions + 2 * self.rows) % 8

    @property
    def size(self) -> int:
        """Length of the whole file in bytes."""
        return self.digest + DIGEST_SIZE


def filter_words(rows: int) -> int:
    """Number of u64 words of the filter of a run with so many rows."""
    return max(1, (10 * rows + 63) // 64)


def decode_header(data: Buffer) -> Layout:
    """Raises CorruptStoreError unless the first 64 bytes are those of a run."""
    refuse(len(data) < HEADER_SIZE, "the run is truncated")
    magic, rows, words, step, zero, run_id = _HEADER.unpack_from(data)
    refuse(magic != MAGIC, "the file is not a run of the index")
    refuse(
        checksum(data[:48]) != data[48:56] or bytes(data[56:64]) != bytes(8),
        "the run's header is damaged",
    )
    refuse(
        step != FENCE_STEP or zero != 0 or words != filter_words(rows),
        "the run's header is impossible",
    )
    return Layout(rows, words, bytes(run_id))


def require_digest(data: Buffer) -> None:
    """Raises CorruptStoreError unless the whole run is what was written."""
    layout = decode_header(data)
    refuse(len(data) != layout.size, "the run has a wrong length")
    refuse(
        blake3(data[: layout.digest]).digest() != data[layout.digest :], "the run's digest is wrong"
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an index, unsorted or sorted, as equally long numpy columns.

    `keys` is u64, `names` is (n, 24) u8 (bytes 8 to 31), `packs`, `offsets`, `lengths` are u32,
    `positions` is u16.
    """

    keys: "npt.NDArray[np.uint64]"
    names: "npt.NDArray[np.uint8]"
    packs: "npt.NDArray[np.uint32]"
    offsets: "npt.NDArray[np.uint32]"
    lengths: "npt.NDArray[np.uint32]"
    positions: "npt.NDArray[np.uint16]"


def sort_order(rows: Rows) -> "npt.NDArray[np.int64]":
    """The order by key, then name, pack and offset.

    Ties in the key are rare, so they are sorted apart.
    """
    import numpy as np

    order = np.argsort(rows.keys, kind="stable")
    keys = rows.keys[order]
    ties = np.flatnonzero(keys[1:] == keys[:-1])
    start = 0
    while start < len(ties):
        stop = start
        while stop + 1 < len(ties) and ties[stop + 1] == ties[stop] + 1:
            stop += 1
        window = slice(int(ties[start]), int(ties[stop]) + 2)
        order[window] = sorted(
            order[window],
            key=lambda i: (
                rows.names[i].tobytes(),
                int(rows.packs[i]),
                int(rows.offsets[i]),
                int(rows.positions[i]),
            ),
        )
        start = stop + 1
    return order


def encode(rows: Rows, run_id: bytes) -> Iterator[bytes]:
    """The bytes of a run, in pieces of a few megabytes, from rows in any order."""
    order = sort_order(rows)
    count = len(order)
    layout = Layout(count, filter_words(count), run_id)
    keys = rows.keys[order]
    digest = blake3()
    head = _HEADER.pack(MAGIC, count, layout.filter_words, FENCE_STEP, 0, run_id)
    for piece in chain((head + checksum(head) + bytes(8),), _sections(rows, order, keys, layout)):
        digest.update(piece)
        yield piece
    yield digest.digest()


def _sections(
    rows: Rows, order: "npt.NDArray[np.int64]", keys: "npt.NDArray[np.uint64]", layout: Layout
) -> Iterator[bytes]:
    import numpy as np

    yield keys.tobytes()
    yield make_filter(keys, layout.filter_words).tobytes()
    yield keys[::FENCE_STEP].tobytes()
    for column in (rows.names, rows.packs, rows.offsets, rows.lengths, rows.positions):
        for start in range(0, len(order), _BLOCK_ROWS):
            yield np.ascontiguousarray(column[order[start : start + _BLOCK_ROWS]]).tobytes()
    yield bytes(layout.digest - layout.positions - 2 * layout.rows)


def make_filter(keys: "npt.NDArray[np.uint64]", words: int) -> "npt.NDArray[np.uint64]":
    """The blocked Bloom filter of these keys."""
    import numpy as np

    table = np.zeros(words, dtype=np.uint64)
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = keys[start : start + _BLOCK_ROWS]
        np.bitwise_or.at(table, filter_index(block, words), filter_bits(block))
    return table


def filter_index(keys: "npt.NDArray[np.uint64]", words: int) -> "npt.NDArray[np.int64]":
    """The filter word of each key."""
    import numpy as np

    return (((keys >> np.uint64(32)) * np.uint64(words)) >> np.uint64(32)).astype(np.int64)


def filter_bits(keys: "npt.NDArray[np.uint64]") -> "npt.NDArray[np.uint64]":
    """The bits of each key in its filter word."""
    import numpy as np

    one, low = np.uint64(1), np.uint64(63)
    bits = np.zeros(len(keys), dtype=np.uint64)
    for shift in FILTER_SHIFTS:
        bits |= one << ((keys >> np.uint64(shift)) & low)
    return bits
