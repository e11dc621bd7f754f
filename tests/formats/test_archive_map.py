"""Maps of members: what is encoded is decoded, and what nobody encoded is refused."""

import zstandard
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError
from amictl.formats import archive_map
from amictl.model.archives import MemberMap
from tests.archive_strategies import member_maps
from tests.strategies import damaged


def digested(data: bytes) -> bytes:
    """With a lead and a digest that are right."""
    body = data[8:-32]
    lead = data[:4] + (len(body) + 32).to_bytes(4, "little")
    return lead + body + blake3(body).digest()


def encoded_again(data: bytes) -> bytes | None:
    try:
        return archive_map.encode(archive_map.decode(data))
    except CorruptStoreError:
        return None


@given(member_maps())
def test_decode_inverts_encode(member: MemberMap) -> None:
    assert archive_map.decode(archive_map.encode(member)) == member


@given(st.binary() | damaged(member_maps().map(archive_map.encode)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(damaged(member_maps().map(archive_map.encode), digested))
def test_damage_under_a_right_digest_is_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(member_maps())
def test_a_decoder_of_zstd_passes_over_a_map(member: MemberMap) -> None:
    data = archive_map.encode(member) + zstandard.compress(b"content")
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        assert reader.read() == b"content"


@given(member_maps())
def test_the_frames_of_a_member_are_dealt_to_its_segments(member: MemberMap) -> None:
    units = list(archive_map.frames_of_segments(member))
    assert sum(count for _, count, _ in units) == len(member.segments)
    assert tuple(frame for _, _, frames in units for frame in frames) == member.frames


@given(st.integers(1, 3_000_000))
def test_a_frame_of_zeros_decodes_to_so_many(size: int) -> None:
    frame = archive_map.zero_frame(size)
    assert len(frame) == archive_map.zero_frame_size(size)
    assert zstandard.ZstdDecompressor(max_window_size=1 << 17).decompress(frame) == bytes(size)


def test_a_gibibyte_of_zeros_has_a_frame_of_33_kilobytes() -> None:
    assert archive_map.zero_frame_size(1 << 30) == 32_778


@given(st.binary(min_size=1, max_size=50), st.integers(1, 20_000))
def test_a_raw_frame_decodes_to_its_bytes(piece: bytes, count: int) -> None:
    plain = (piece * count)[: 1 << 20]
    frame = archive_map.raw_frame(plain)
    assert zstandard.ZstdDecompressor(max_window_size=1 << 17).decompress(frame) == plain
