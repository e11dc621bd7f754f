"""The codec of frames: what cannot be compressed stays, what cannot be trusted is refused."""

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from amictl.content.compressing import Compressor, Decompressor
from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.frame import CODEC_STORED, CODEC_ZSTD, PLAIN_SIZE_MAX

DATA = st.binary(min_size=1, max_size=2000) | st.binary(min_size=1, max_size=20).map(
    lambda piece: piece * 500
)


def decoded(codec: int, payload: bytes | memoryview, size: int) -> bytes:
    target = bytearray(size)
    Decompressor().decode_into(codec, memoryview(payload), memoryview(target))
    return bytes(target)


def encoded(data: bytes) -> tuple[int, bytes]:
    codec, payload = Compressor(3).encode(memoryview(data))
    return codec, bytes(payload)


@given(DATA)
def test_decode_inverts_encode(data: bytes) -> None:
    codec, payload = encoded(data)
    assert decoded(codec, payload, len(data)) == data


@given(DATA)
def test_a_payload_is_never_longer_than_the_data(data: bytes) -> None:
    assert len(encoded(data)[1]) <= len(data)


def test_what_cannot_be_compressed_is_kept_as_it_is() -> None:
    data = random.Random(1).randbytes(100_000)
    assert encoded(data) == (CODEC_STORED, data)


def test_what_shrinks_by_less_than_a_thirty_second_is_kept_as_it_is() -> None:
    data = random.Random(1).randbytes(98_000) + bytes(2000)
    assert len(zstandard.compress(data)) < len(data)
    assert encoded(data)[0] == CODEC_STORED


def test_what_shrinks_by_more_is_compressed() -> None:
    data = random.Random(1).randbytes(90_000) + bytes(10_000)
    assert encoded(data)[0] == CODEC_ZSTD


def test_a_whole_frame_is_compressed() -> None:
    data = b"0123456789abcdef" * (PLAIN_SIZE_MAX // 16)
    assert decoded(*encoded(data), len(data)) == data


def test_a_compressor_is_used_again() -> None:
    compressor = Compressor(3)
    first = compressor.encode(memoryview(b"a" * 1000))
    assert compressor.encode(memoryview(b"a" * 1000)) == first


@given(DATA, st.binary(min_size=1, max_size=30))
def test_bytes_after_a_payload_are_refused(data: bytes, more: bytes) -> None:
    with pytest.raises(CorruptStoreError):
        decoded(CODEC_ZSTD, zstandard.compress(data) + more, len(data))


@given(DATA, st.integers(1, 100))
def test_stored_bytes_of_another_length_are_refused(data: bytes, more: int) -> None:
    with pytest.raises(CorruptStoreError):
        decoded(CODEC_STORED, data, len(data) + more)


@given(DATA, st.integers(-100, 100).filter(bool))
def test_a_payload_of_another_length_is_refused(data: bytes, more: int) -> None:
    with pytest.raises(CorruptStoreError):
        decoded(CODEC_ZSTD, zstandard.compress(data), max(0, len(data) + more))


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    try:
        decoded(CODEC_ZSTD, payload, 100)
    except CorruptStoreError:
        return


@given(DATA, st.data())
def test_a_flipped_bit_is_refused_or_gives_as_many_bytes(data: bytes, draw: st.DataObject) -> None:
    payload = bytearray(zstandard.compress(data))
    payload[draw.draw(st.integers(0, len(payload) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    try:
        assert len(decoded(CODEC_ZSTD, bytes(payload), len(data))) == len(data)
    except CorruptStoreError:
        return


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = zstandard.compress(bytes(1 << 30))
    with pytest.raises(CorruptStoreError, match="not one zstd frame"):
        decoded(CODEC_ZSTD, bomb, 1000)


def test_a_payload_that_needs_a_dictionary_is_refused() -> None:
    samples: list[bytes | bytearray | memoryview] = [
        f"sample {number} of a dictionary".encode() * 9 for number in range(500)
    ]
    dictionary = zstandard.train_dictionary(4000, samples)
    payload = zstandard.ZstdCompressor(dict_data=dictionary).compress(samples[0])
    with pytest.raises(CorruptStoreError):
        decoded(CODEC_ZSTD, payload, len(samples[0]))


@pytest.mark.parametrize("codec", [2, 255])
def test_a_codec_that_is_unknown_is_not_damage(codec: int) -> None:
    with pytest.raises(UnsupportedError):
        decoded(codec, b"payload", 7)


class FaultyContext:
    """A zstd compressor in a machine with faulty memory: it compresses other bytes."""

    def compress(self, plain: memoryview) -> bytes:
        return zstandard.compress(bytes(plain[:-1]) + b"?")


class FaultyCompressor(Compressor):
    """A compressor whose context is the faulty one."""

    def __init__(self) -> None:
        super().__init__(3)
        self._context = FaultyContext()  # type: ignore[assignment]  # the fault that is planted


def test_encode_raises_if_the_decoded_bytes_differ() -> None:
    with pytest.raises(CorruptStoreError, match="memory may be faulty"):
        FaultyCompressor().encode(memoryview(b"a" * 1000))


def test_an_unknown_codec_is_unsupported_not_damage() -> None:
    with pytest.raises(UnsupportedError, match="codec 2"):
        Decompressor().decode_into(2, memoryview(b"abc"), memoryview(bytearray(3)))


def test_a_compressor_takes_as_much_as_it_was_made_for() -> None:
    data = b"".join(b"line %d\n" % number for number in range(100_000))[: 4 * PLAIN_SIZE_MAX]
    codec, payload = Compressor(3, 4 * PLAIN_SIZE_MAX).encode(memoryview(data))
    assert decoded(codec, payload, len(data)) == data
    assert zstandard.get_frame_parameters(payload).window_size <= 4 * PLAIN_SIZE_MAX
