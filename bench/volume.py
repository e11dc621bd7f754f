"""Sparse volumes with data spread over them, made quickly and the same on every run."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import measure

PAGE_BYTES = 4096
STAMP_BYTES = 8
READ_BYTES = 1 << 20


def make(path: Path, size: int, *, extents: int, extent_bytes: int) -> None:
    """A volume with so many extents of data at equal distances, holes between them.

    Every 4 KiB page is different from all others, half random and half text, so that nothing is
    deduplicated and about half is compressed away. Where the extents are does not change their
    content: volumes of any size with as many extents hold the same data.
    """
    page_count = extent_bytes // PAGE_BYTES
    data = bytearray(b"".join(pages(page_count)))
    with path.open("wb", buffering=0) as file:
        file.truncate(size)
        for extent in range(extents):
            for page in range(page_count):
                stamp = (extent * page_count + page + 1).to_bytes(STAMP_BYTES, "little")
                begin = page * PAGE_BYTES
                for sector in range(begin, begin + PAGE_BYTES, 512):
                    data[sector : sector + STAMP_BYTES] = stamp
            os.pwrite(file.fileno(), data, extent_offset(extent, extents, size))
        os.fsync(file.fileno())


def pages(count: int) -> list[bytes]:
    """Pages of random bytes and text, before they are stamped."""
    generator = random.Random("volume")
    half = PAGE_BYTES // 2
    text = b"The quick brown fox jumps over the lazy dog. " * half
    return [generator.randbytes(half) + text[:half] for _ in range(count)]


def extent_offset(extent: int, extents: int, size: int) -> int:
    """Where an extent begins: at multiples of 4 MiB as far as the size allows."""
    distance = size // extents
    unit = min(4 << 20, distance)
    return extent * distance // unit * unit


def change_page(path: Path, offset: int, number: int) -> None:
    """Put a new page of random bytes at this offset."""
    with path.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), random.Random(f"page {number}").randbytes(PAGE_BYTES), offset)
        os.fsync(file.fileno())


def require_equal(first: Path, second: Path) -> None:
    """Compare all that is allocated in either file; ends the script when they differ."""
    if first.stat().st_size != second.stat().st_size:
        sys.exit(f"{second} has not the size of {first}")
    with first.open("rb", buffering=0) as one, second.open("rb", buffering=0) as other:
        for path in (first, second):
            for begin, end in measure.data_extents(path):
                for offset in range(begin, end, READ_BYTES):
                    length = min(READ_BYTES, end - offset)
                    if os.pread(one.fileno(), length, offset) != os.pread(
                        other.fileno(), length, offset
                    ):
                        sys.exit(f"{second} differs from {first} near byte {offset}")
