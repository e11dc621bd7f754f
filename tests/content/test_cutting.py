"""How segments are cut, against a slow cutter that follows the page word by word."""

import random
import re
import struct
from itertools import pairwise
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.content.cutting import CONSTANTS, Piece, cut, secret_pattern
from amictl.content.naming import chunk_name
from amictl.model.blockmap import AVERAGE_SIZES, SEGMENT_SIZE

PAGE = Path(__file__).parents[2] / "man" / "amictl-store.5"
BITS = {16_384: 5, 32_768: 6, 65_536: 7}
MASK = 2**64 - 1
averages = pytest.mark.parametrize("average", AVERAGE_SIZES)


# --- the slow cutter ---------------------------------------------------------------------------


def is_candidate(sector: bytes, bits: int) -> bool:
    words = struct.unpack("<64Q", sector)
    mixed = sum(word * constant for word, constant in zip(words, CONSTANTS, strict=True)) & MASK
    mixed ^= mixed >> 32
    mixed = mixed * 0x9FB21C651E98DF25 & MASK
    mixed ^= mixed >> 35
    return mixed % 2**bits == 0 and any(sector)


def slow_cut(data: bytes, average: int) -> list[Piece]:
    bits = BITS[average]
    pieces: list[Piece] = []
    position = 0
    while position < len(data):
        start, is_zero = position, not any(data[position : position + 4096])
        while position < len(data) and (not any(data[position : position + 4096])) == is_zero:
            position = min(position + 4096, len(data))
        if is_zero:
            pieces.append(Piece(start, position, is_zero=True))
        else:
            pieces += slow_chunks(data, start, position, bits)
    return pieces


def slow_chunks(data: bytes, start: int, stop: int, bits: int) -> list[Piece]:
    pieces = []
    while start < stop:
        end = start + 1
        while end < min(stop, start + 1024 * 2**bits):
            whole = end % 512 == 0 and end + 512 <= len(data)
            if whole and end >= start + 4096 and is_candidate(data[end : end + 512], bits):
                break
            end += 1 if end % 512 else 512
            end = min(end, stop, start + 1024 * 2**bits)
        pieces.append(Piece(start, end, is_zero=False))
        start = end
    return pieces


# --- data --------------------------------------------------------------------------------------

SECTOR_KINDS = st.sampled_from(["random", "zero", "repeated", "text", "sparse", "candidate"])


def sector(kind: str, seed: int) -> bytes:
    noise = random.Random(seed)
    match kind:
        case "random":
            return noise.randbytes(512)
        case "zero":
            return bytes(512)
        case "repeated":
            return bytes([seed % 256]) * 512
        case "text":
            return f"line {seed} of a file\n".encode().ljust(32) * 16
        case "sparse":
            return noise.randbytes(8).ljust(512, b"\0")
    # Begins a chunk at every average.
    while not is_candidate(found := noise.randbytes(512), 7):
        pass
    return found


@st.composite
def segments(draw: st.DrawFn) -> bytes:
    """Runs of like sectors, and a tail of any length."""
    runs = draw(
        st.lists(st.tuples(SECTOR_KINDS, st.integers(0, 99), st.integers(1, 40)), max_size=8)
    )
    parts = [sector(kind, seed) * count for kind, seed, count in runs]
    return b"".join(parts) + draw(st.binary(max_size=600))


def cut_bytes(data: bytes, average: int) -> list[Piece]:
    return cut(memoryview(data), average)


def chunks(data: bytes, average: int) -> set[bytes]:
    return {
        chunk_name(data[piece.start : piece.stop])
        for piece in cut_bytes(data, average)
        if not piece.is_zero
    }


# --- tests -------------------------------------------------------------------------------------


@averages
@settings(max_examples=40)
@given(data=segments())
def test_numpy_cuts_where_the_page_says(average: int, data: bytes) -> None:
    assert cut_bytes(data, average) == slow_cut(data, average)


@averages
def test_numpy_cuts_random_bytes_where_the_page_says(average: int) -> None:
    data = random.Random(average).randbytes(500_000)
    assert cut_bytes(data, average) == slow_cut(data, average)


@averages
@settings(max_examples=50)
@given(data=segments())
def test_pieces_cover_the_segment_without_gaps(average: int, data: bytes) -> None:
    pieces = cut_bytes(data, average)
    bounds = [0, *(piece.stop for piece in pieces)]
    assert [piece.start for piece in pieces] == bounds[:-1]
    assert bounds[-1] == len(data)


@averages
@settings(max_examples=50)
@given(data=segments())
def test_no_piece_is_empty(average: int, data: bytes) -> None:
    assert all(piece.start < piece.stop for piece in cut_bytes(data, average))


@averages
@settings(max_examples=50)
@given(data=segments())
def test_no_chunk_is_longer_than_twice_the_average(average: int, data: bytes) -> None:
    assert all(
        piece.stop - piece.start <= 2 * average
        for piece in cut_bytes(data, average)
        if not piece.is_zero
    )


@averages
@settings(max_examples=50)
@given(data=segments())
def test_a_chunk_is_shorter_than_a_page_only_where_data_ends(average: int, data: bytes) -> None:
    pieces = cut_bytes(data, average)
    followed_by_data = [a for a, b in pairwise(pieces) if not a.is_zero and not b.is_zero]
    assert all(piece.stop - piece.start >= 4096 for piece in followed_by_data)


@averages
@settings(max_examples=50)
@given(data=segments())
def test_runs_of_zeros_are_whole_pages_of_zeros(average: int, data: bytes) -> None:
    zeros = [piece for piece in cut_bytes(data, average) if piece.is_zero]
    assert all(piece.start % 4096 == 0 for piece in zeros)
    assert all(piece.stop % 4096 == 0 or piece.stop == len(data) for piece in zeros)
    assert not any(any(data[piece.start : piece.stop]) for piece in zeros)


@averages
@settings(max_examples=50)
@given(data=segments())
def test_no_page_of_zeros_is_in_a_chunk(average: int, data: bytes) -> None:
    stored = [piece for piece in cut_bytes(data, average) if not piece.is_zero]
    pages = {
        page for piece in stored for page in range(piece.start // 4096, -(-piece.stop // 4096))
    }
    assert all(any(data[page * 4096 : (page + 1) * 4096]) for page in pages)


@averages
@settings(max_examples=50)
@given(data=segments())
def test_two_runs_of_zeros_do_not_follow_each_other(average: int, data: bytes) -> None:
    assert not any(a.is_zero and b.is_zero for a, b in pairwise(cut_bytes(data, average)))


@averages
def test_nearly_all_chunks_are_found_again_63_sectors_later(average: int) -> None:
    body = random.Random(1).randbytes(3_000_000)
    moved = random.Random(2).randbytes(63 * 512) + body
    before, after = chunks(body, average), chunks(moved, average)
    assert len(before & after) >= len(before) - 4


@averages
def test_chunks_of_random_bytes_have_about_the_average_size(average: int) -> None:
    data = random.Random(3).randbytes(SEGMENT_SIZE)
    assert 0.5 * average < SEGMENT_SIZE / len(cut_bytes(data, average)) < 1.5 * average


@averages
@pytest.mark.parametrize("size", [1, 511, 512, 4095, 4096, SEGMENT_SIZE - 1, SEGMENT_SIZE])
def test_zeros_of_any_length_are_one_run(average: int, size: int) -> None:
    assert cut_bytes(bytes(size), average) == [Piece(0, size, is_zero=True)]


@pytest.mark.parametrize("size", [1, 511, 512, 4095, 4096])
def test_a_short_segment_is_one_chunk(size: int) -> None:
    assert cut_bytes(b"\1" * size, 16_384) == [Piece(0, size, is_zero=False)]


@averages
def test_a_chunk_ends_at_the_first_candidate_after_a_page(average: int) -> None:
    data = sector("candidate", 5) * 1000
    assert {piece.stop - piece.start for piece in cut_bytes(data, average)[:-1]} == {4096}


def test_the_page_prints_the_constants_of_the_code() -> None:
    block = PAGE.read_text().split("row by row:")[1].split(".fi")[0]
    assert tuple(int(word, 16) for word in re.findall(r"\b[0-9a-f]{16}\b", block)) == CONSTANTS


def test_the_constants_are_the_output_of_blake3_that_the_page_says() -> None:
    words = struct.unpack("<64Q", blake3(b"amictl cut 1").digest(length=512))
    assert tuple(word | 1 for word in words) == CONSTANTS


def test_the_secret_pattern_is_as_the_page_of_the_format_says() -> None:
    output = blake3(b"amictl cut 2", key=bytes(range(32))).digest(512)
    numbers = struct.unpack("<64Q", output)
    assert secret_pattern(bytes(range(32))).tolist() == [number | 1 for number in numbers]


def test_another_secret_cuts_elsewhere() -> None:
    data = memoryview(random.Random(3).randbytes(1 << 20))
    patterns = [secret_pattern(bytes([byte]) * 32) for byte in (1, 2)]
    first, second = ({piece.start for piece in cut(data, 16_384, one)} for one in patterns)
    public = {piece.start for piece in cut(data, 16_384)}
    assert len(first & second) + len(first & public) + len(second & public) < len(first)
