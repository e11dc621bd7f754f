"""CURRENT: what is encoded is decoded, and bytes that nobody encoded are refused."""

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.current import Current, decode, encode
from tests.strategies import currents, damaged


def encoded_again(data: bytes) -> bytes | None:
    """The encoding of what `data` decodes to; None if it is refused."""
    try:
        return encode(decode(data))
    except (CorruptStoreError, UnsupportedError):
        return None


def sealed(data: bytes) -> bytes:
    """With a digest that is right."""
    return data[:-32] + blake3(data[:-32]).digest()


@given(currents())
def test_decode_inverts_encode(current: Current) -> None:
    assert decode(encode(current)) == current


@given(st.binary() | damaged(currents().map(encode)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(damaged(currents().map(encode), sealed))
def test_damage_under_a_right_digest_is_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)
