"""Frames: what is encoded is decoded, and bytes that nobody encoded are refused."""

from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.frame import decode, encode
from amictl.formats.framing import CHECKSUM_SIZE, checksum
from tests.golden.make_vectors import NAME_A, NAME_B, NAME_C, frame
from tests.strategies import FrameParts, damaged, encoded_frame, frames


def parts_of(data: bytes) -> FrameParts:
    frame = decode(data)
    return frame.names, frame.lengths, frame.codec, bytes(frame.payload)


def encoded_again(data: bytes) -> bytes | None:
    """The encoding of what `data` decodes to; None if it is refused."""
    try:
        needed = decode(data).needed
        return encode(*parts_of(data)) if not needed else data  # version 1 writes none
    except (CorruptStoreError, UnsupportedError):
        return None


def sealed(data: bytes) -> bytes:
    """With a length and a checksum that are right."""
    framed = data[:8] + len(data).to_bytes(4, "little") + data[12:-CHECKSUM_SIZE]
    return framed + checksum(framed)


@given(frames())
def test_decode_inverts_encode(parts: FrameParts) -> None:
    assert parts_of(encode(*parts)) == parts


@given(frames())
def test_the_plain_length_is_that_of_all_chunks(parts: FrameParts) -> None:
    assert decode(encode(*parts)).plain_length == sum(parts[1])


@given(st.binary() | damaged(frames().map(encoded_frame)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(damaged(frames().map(encoded_frame), sealed))
def test_damage_under_a_right_checksum_is_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


def test_needed_names_are_told_from_those_of_the_chunks() -> None:
    found = decode(frame(needed=1, needed_names=(NAME_C,)))
    assert (found.names, found.needed) == ((NAME_A, NAME_B), (NAME_C,))


def test_a_codec_that_is_unknown_is_left_to_who_decodes() -> None:
    assert decode(frame(codec=2)).codec == 2
