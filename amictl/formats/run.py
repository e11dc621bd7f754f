"""Index runs: sorted pieces of the index. amictl-store(5), INDEX.

The layout is here; searching is `store.index`. numpy is imported only where rows are written.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
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


def encode(rows: Rows, run_id: bytes) -> Iterator[bytes]:
    """The bytes of a run, in pieces of at most a few megabytes, from rows in any order."""
    return encode_parts([rows], run_id)


def encode_parts(
    parts: Sequence[Rows], run_id: bytes, removed: Sequence[int] = ()
) -> Iterator[bytes]:
    """One run from several lots of rows, without those in the `removed` packs.

    Beside the columns, which may be mapped files, it takes about 32 bytes of memory a row.
    """
    joined = _Joined(parts)
    order = joined.sort_order(removed)
    keys = joined.keys[order]
    layout = Layout(len(order), filter_words(len(order)), run_id)
    digest = blake3()
    head = _HEADER.pack(MAGIC, layout.rows, layout.filter_words, FENCE_STEP, 0, run_id)
    sections = _sections(joined, order, keys, layout)
    for piece in chain((head + checksum(head) + bytes(8),), sections):
        digest.update(piece)
        yield piece
    yield digest.digest()


class _Joined:
    """Several lots of rows, addressed as one, their wide columns left where they are."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        import numpy as np

        self._parts = parts
        self._bounds = list(accumulate((len(part.keys) for part in parts), initial=0))
        self.keys = np.concatenate([part.keys for part in parts])

    def take(self, column: str, rows: "npt.NDArray[np.int64]") -> "npt.NDArray[np.generic]":
        """A column's values at some rows."""
        import numpy as np

        if len(self._parts) == 1:
            return np.ascontiguousarray(getattr(self._parts[0], column)[rows])
        first = getattr(self._parts[0], column)
        taken = np.empty((len(rows), *first.shape[1:]), dtype=first.dtype)
        for part, start, stop in zip(self._parts, self._bounds, self._bounds[1:], strict=False):
            own = (rows >= start) & (rows < stop)
            taken[own] = getattr(part, column)[rows[own] - start]
        return taken

    def sort_order(self, removed: Sequence[int]) -> "npt.NDArray[np.int64]":
        """The rows by key, then name, pack, offset and position, without those of removed packs."""
        import numpy as np

        order = np.argsort(self.keys, kind="stable")
        if removed:
            numbers = np.array(removed, dtype=np.uint32)
            blocks = [order[at : at + _BLOCK_ROWS] for at in range(0, len(order), _BLOCK_ROWS)]
            kept = [block[~np.isin(self.take("packs", block), numbers)] for block in blocks]
            order = np.concatenate([order[:0], *kept])
        keys = self.keys[order]
        # Equal keys are rare: their rows are sorted one by one.
        for start, stop in _stretches(np.flatnonzero(keys[1:] == keys[:-1]).tolist()):
            order[start:stop] = sorted(order[start:stop], key=self._full_key)
        return order

    def _full_key(self, row: int) -> tuple[bytes, int, int, int]:
        import numpy as np

        at = np.array([row])
        packs, offsets, positions = (
            int(self.take(column, at)[0]) for column in ("packs", "offsets", "positions")
        )
        return self.take("names", at).tobytes(), packs, offsets, positions


def _stretches(ties: list[int]) -> Iterator[tuple[int, int]]:
    """Start and stop of each stretch of equal keys, from the places equal to what follows."""
    start = 0
    while start < len(ties):
        stop = start
        while stop + 1 < len(ties) and ties[stop + 1] == ties[stop] + 1:
            stop += 1
        yield ties[start], ties[stop] + 2
        start = stop + 1


def _sections(
    joined: _Joined,
    order: "npt.NDArray[np.int64]",
    keys: "npt.NDArray[np.uint64]",
    layout: Layout,
) -> Iterator[bytes]:
    blocks = range(0, len(order), _BLOCK_ROWS)
    for start in blocks:
        yield keys[start : start + _BLOCK_ROWS].tobytes()
    yield make_filter(keys, layout.filter_words).tobytes()
    yield keys[::FENCE_STEP].tobytes()
    for column in ("names", "packs", "offsets", "lengths", "positions"):
        for start in blocks:
            yield joined.take(column, order[start : start + _BLOCK_ROWS]).tobytes()
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
