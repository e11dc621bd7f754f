"""Headers of an archive: one form, which other programs read as tar."""

import tarfile

from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError
from amictl.formats import tar
from amictl.formats.tar import Header
from tests.archive_strategies import TAR_HEADERS
from tests.strategies import damaged


def summed(block: bytes) -> bytes:
    """With a checksum that is right."""
    if len(block) != tar.BLOCK_SIZE:
        return block
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def encoded_again(block: bytes) -> bytes | None:
    try:
        return tar.encode(tar.decode(block))
    except CorruptStoreError:
        return None


@given(TAR_HEADERS)
def test_decode_inverts_encode(header: Header) -> None:
    assert tar.decode(tar.encode(header)) == header


@given(st.binary(max_size=600) | damaged(TAR_HEADERS.map(tar.encode), summed))
def test_any_bytes_are_refused_or_canonical(block: bytes) -> None:
    assert encoded_again(block) in (None, block)


@given(TAR_HEADERS)
def test_another_program_reads_a_header_as_we_do(header: Header) -> None:
    found = tarfile.TarInfo.frombuf(tar.encode(header), "ascii", "strict")
    assert (found.name, found.size, found.mtime) == (header.name, header.size, header.mtime)
    assert (found.mode, found.uid, found.gid, found.isreg()) == (0o644, 0, 0, True)


def test_the_next_content_follows_the_padding_and_a_header() -> None:
    assert [tar.next_offset(512, size) for size in (0, 1, 512, 513)] == [1024, 1536, 1536, 2048]
    assert [len(tar.padding(size)) for size in (0, 1, 512, 513)] == [0, 511, 0, 511]
