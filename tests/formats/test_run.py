"""Runs of the index: rows come back in order, and bytes that nobody encoded are refused."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.run import (
    FENCE_STEP,
    Layout,
    Rows,
    decode_header,
    encode,
    encode_parts,
    make_filter,
    require_digest,
)
from tests.strategies import IDS, INDEX_ROWS, IndexRow, damaged

ROWS = st.lists(INDEX_ROWS, max_size=30)


def columns(rows: list[IndexRow]) -> Rows:
    names = np.frombuffer(b"".join(row[0] for row in rows), np.uint8).reshape(-1, 32)
    return Rows(
        names[:, :8].copy().view("<u8").reshape(-1),
        names[:, 8:],
        np.array([row[1] for row in rows], np.uint32),
        np.array([row[2] for row in rows], np.uint32),
        np.array([row[3] for row in rows], np.uint32),
        np.array([row[4] for row in rows], np.uint16),
    )


def encoded(rows: list[IndexRow], run_id: bytes = bytes(16)) -> bytes:
    return b"".join(encode(columns(rows), run_id))


def decoded(data: bytes) -> list[IndexRow]:
    """Raises CorruptStoreError as the checks of a whole run do."""
    require_digest(data)
    at = decode_header(data)

    def numbers(start: int, kind: str) -> tuple[int, ...]:
        return struct.unpack_from(f"<{at.rows}{kind}", data, start)

    keys = [key.to_bytes(8, "little") for key in numbers(at.keys, "Q")]
    rests = [data[at.names + 24 * row : at.names + 24 * row + 24] for row in range(at.rows)]
    names = [key + rest for key, rest in zip(keys, rests, strict=True)]
    places = (
        numbers(at.packs, "I"),
        numbers(at.offsets, "I"),
        numbers(at.lengths, "I"),
        numbers(at.positions, "H"),
    )
    return list(zip(names, *places, strict=True))


def encoded_again(data: bytes) -> bytes | None:
    """The encoding of what `data` decodes to; None if it is refused."""
    try:
        return encoded(decoded(data), decode_header(data).run_id)
    except (CorruptStoreError, UnsupportedError):
        return None


def order(row: IndexRow) -> tuple[int, bytes, int, int, int]:
    """By key, then by name, pack number and offset; and by position, to have one order."""
    return int.from_bytes(row[0][:8], "little"), row[0][8:], row[1], row[2], row[4]


@given(ROWS)
def test_rows_come_back_in_order(rows: list[IndexRow]) -> None:
    assert [order(row) for row in decoded(encoded(rows))] == sorted(order(row) for row in rows)


@given(ROWS)
def test_no_row_is_lost(rows: list[IndexRow]) -> None:
    assert sorted(decoded(encoded(rows))) == sorted(rows)


@given(st.lists(INDEX_ROWS, max_size=12, unique_by=order).flatmap(
    lambda rows: st.tuples(st.just(rows), st.permutations(rows))
))  # fmt: skip
def test_equal_rows_in_another_order_give_equal_bytes(
    both: tuple[list[IndexRow], list[IndexRow]],
) -> None:
    assert encoded(both[0]) == encoded(both[1])


@given(ROWS, IDS)
def test_the_header_says_rows_and_id(rows: list[IndexRow], run_id: bytes) -> None:
    layout = decode_header(encoded(rows, run_id))
    assert (layout.rows, layout.run_id) == (len(rows), run_id)


@given(st.binary() | damaged(ROWS.map(encoded)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(st.integers(0, 5000))
def test_the_sections_of_a_run_follow_each_other_on_borders_of_words(rows: int) -> None:
    layout = Layout(rows, max(1, (10 * rows + 63) // 64), bytes(16))
    assert layout.digest % 8 == 0
    assert layout.fence_rows == len(range(0, rows, FENCE_STEP))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(1, 9))
def test_the_filter_has_the_bits_that_the_page_says(keys: list[int], words: int) -> None:
    table = [0] * words
    for key in keys:
        for shift in (0, 6, 12, 18):
            table[((key >> 32) * words) >> 32] |= 1 << ((key >> shift) & 63)
    assert make_filter(np.array(keys, np.uint64), words).tolist() == table


@given(st.lists(ROWS, min_size=1, max_size=4), st.sets(st.integers(0, 3)))
def test_several_lots_give_the_run_of_all_rows_that_are_not_removed(
    lots: list[list[IndexRow]], removed: set[int]
) -> None:
    near = [[(row[0], row[1] % 5, *row[2:]) for row in lot] for lot in lots]
    kept = [row for lot in near for row in lot if row[1] not in removed]
    parts = encode_parts([columns(lot) for lot in near], bytes(16), sorted(removed))
    assert sorted(decoded(b"".join(parts))) == sorted(kept)
