"""How a segment is cut into chunks and runs of zeros, by its content. amictl-store(5), CUTTING.

A sector that begins a chunk is recognised by a hash of all its 512 bytes: file systems place data
on sector borders, so no rolling hash is needed, and many database pages share their first bytes.
"""

from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from blake3 import blake3

if TYPE_CHECKING:
    import numpy.typing as npt

    Pattern = npt.NDArray[np.uint64]
    """The 64 constants that the words of a sector are multiplied with."""

SECTOR_SIZE = 512
PAGE_SIZE = 4096
CHUNK_SIZE_MIN = 4096

_SECTOR_WORDS = SECTOR_SIZE // 8
_FINISH = np.uint64(0x9FB21C651E98DF25)
_SHIFT_A, _SHIFT_B = np.uint64(32), np.uint64(35)
CONSTANTS = (
    0x0246DF46FE14D49F,
    0x3A7E0877A5055CAD,
    0x9BFAC681B026CFE3,
    0x84E2EA42E818B095,
    0xCADB5ACBE949B31B,
    0xEA1F92775A60F461,
    0x28BA624CADC1E5DB,
    0x1B76B1E93FC5E915,
    0x3C7AFFA39D650B73,
    0xAE8E7CF3E0B708B3,
    0x193A5E9CDA14737B,
    0x9FB0C3F3EF3619B1,
    0xB237D98244943159,
    0x820AA61943A38049,
    0x9346E552917823E7,
    0xADA4F09618C610AD,
    0xD3ABBE6C43E8B2E7,
    0xBD25FE2DBBDFE0AD,
    0xF744335DCBD18329,
    0x2EB8DB3520A0A559,
    0x6606F12D9B66F44B,
    0x9683CD987BBBE797,
    0x330D009AAE8EED97,
    0x244334CB2F54464B,
    0xA174E45CCEFEF053,
    0xA19EA5280CFDFE01,
    0x344FEEFE4FEACDD3,
    0x724040AE48C86F09,
    0x9524CC1482B17A13,
    0xCA08E5C012FCB89F,
    0x164C7B7322ADA665,
    0xF9E7306644818C8D,
    0xCD6696E244804EE9,
    0x8312EE99C335969D,
    0xCEF75BC1591D4F63,
    0x2B37DB7EB9C03453,
    0x0A8A33B35D7632BB,
    0x619E97A758835A23,
    0x920CEC6D5C35E561,
    0x38DB3BB296D57017,
    0xC1602F08BC13FACB,
    0xFCA8DCBBA2421DE5,
    0x0243F78A0347F531,
    0xACA1240D13AAFEF5,
    0xDFE8C3027F99AA85,
    0x4FB7EA663A26F137,
    0xCD9F37E7E578828B,
    0x0CCEA6CF2FAE69C7,
    0x3312AA986AF17B1B,
    0x9D2751BC2A13966D,
    0xB23A04BF291D9A81,
    0x3774EEB0BDF37067,
    0x3D30D5F469A8279D,
    0x1559DFA7647715F1,
    0x766648CFDAEABD7D,
    0xEEDFB5A81E16E8F7,
    0x7304C266828ACB17,
    0x8E5F394B096FAFDB,
    0xE2BF6E8F811A9D8B,
    0xA80F7B5602636DEB,
    0xBAC6EE7ED34368C7,
    0x501BCD4871D72741,
    0xD7F26123BEEBD2BB,
    0x00FF99AEECE11CD5,
)
PUBLIC_PATTERN: "Pattern" = np.array(CONSTANTS, dtype=np.uint64)
_PATTERN_TEXT = b"amictl cut 2"


class Piece(NamedTuple):
    """A stretch of a segment, in bytes from the segment's start."""

    start: int
    stop: int
    is_zero: bool


@cache
def candidate_bits(average_size: int) -> int:
    """How many low bits of a sector's hash are zero where a chunk may begin: 5, 6 or 7."""
    return {16_384: 5, 32_768: 6, 65_536: 7}[average_size]


def secret_pattern(secret: bytes) -> "Pattern":
    """The constants of cut id 2; `secret` has 32 bytes.

    Without it the lengths of chunks do not say which known file they are of.
    """
    output = blake3(_PATTERN_TEXT, key=secret).digest(8 * _SECTOR_WORDS)
    return np.frombuffer(output, dtype="<u8") | np.uint64(1)


def sector_hashes(
    data: memoryview, pattern: "Pattern" = PUBLIC_PATTERN
) -> "npt.NDArray[np.uint64]":
    """One hash for each whole sector of `data`; zero for a sector of zeros."""
    words = np.frombuffer(data, dtype="<u8", count=len(data) // SECTOR_SIZE * _SECTOR_WORDS)
    hashes = np.einsum("ij,j->i", words.reshape(-1, _SECTOR_WORDS), pattern)
    hashes ^= hashes >> _SHIFT_A
    hashes *= _FINISH
    hashes ^= hashes >> _SHIFT_B
    return np.asarray(hashes, dtype=np.uint64)


def candidates(
    data: memoryview,
    filled: "npt.NDArray[np.bool_]",
    average_size: int,
    pattern: "Pattern" = PUBLIC_PATTERN,
) -> list[int]:
    """Ascending offsets of the sectors where a chunk may begin; `filled` is that of the pages."""
    hashes = sector_hashes(data, pattern)
    mask = np.uint64((1 << candidate_bits(average_size)) - 1)
    in_data = np.repeat(filled, PAGE_SIZE // SECTOR_SIZE)[: len(hashes)]
    chosen = np.flatnonzero(((hashes & mask) == 0) & in_data)
    # A sector of zeros hashes to zero. So may another one, once in 2^64: both are looked at.
    doubtful = hashes[chosen] == 0
    if doubtful.any():
        words = np.frombuffer(data, dtype="<u8", count=len(hashes) * _SECTOR_WORDS)
        empty = ~words.reshape(-1, _SECTOR_WORDS)[chosen[doubtful]].any(axis=1)
        doubtful[doubtful] = empty
        chosen = chosen[~doubtful]
    return (chosen * SECTOR_SIZE).tolist()


def filled_pages(data: memoryview) -> "npt.NDArray[np.bool_]":
    """For each page, the last perhaps incomplete, whether it is not all zero."""
    whole = len(data) // PAGE_SIZE
    words = np.frombuffer(data, dtype="<u8", count=whole * (PAGE_SIZE // 8))
    filled = np.bitwise_or.reduce(words.reshape(whole, PAGE_SIZE // 8), axis=1) != 0
    tail = data[whole * PAGE_SIZE :]
    return np.append(filled, any(tail)) if len(tail) else filled


def data_stretches(filled: "npt.NDArray[np.bool_]", length: int) -> list[tuple[int, int]]:
    """Start and stop of each maximal stretch of filled pages, in a segment of `length` bytes."""
    framed = np.zeros(len(filled) + 2, dtype=np.int8)
    framed[1:-1] = filled
    edges = np.flatnonzero(np.diff(framed)) * PAGE_SIZE
    bounds = [min(edge, length) for edge in edges.tolist()]
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def cut(data: memoryview, average_size: int, pattern: "Pattern" = PUBLIC_PATTERN) -> list[Piece]:
    """Cut one segment: pieces in order, without gaps, chunks and runs of zeros."""
    pieces: list[Piece] = []
    position = 0
    filled = filled_pages(data)
    stretches = data_stretches(filled, len(data))
    starts = candidates(data, filled, average_size, pattern) if stretches else []
    size_max = 1024 << candidate_bits(average_size)
    for start, stop in stretches:
        if start > position:
            pieces.append(Piece(position, start, is_zero=True))
        _cut_stretch(pieces, start, stop, starts, size_max)
        position = stop
    if position < len(data):
        pieces.append(Piece(position, len(data), is_zero=True))
    return pieces


def _cut_stretch(
    pieces: list[Piece], start: int, stop: int, starts: list[int], size_max: int
) -> None:
    index = bisect_left(starts, start + CHUNK_SIZE_MIN)
    count = len(starts)
    while start < stop:
        while index < count and starts[index] < start + CHUNK_SIZE_MIN:
            index += 1
        following = starts[index] if index < count else stop
        end = min(following, start + size_max, stop)
        pieces.append(Piece(start, end, False))
        start = end
