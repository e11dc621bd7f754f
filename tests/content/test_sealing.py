"""Sealing: the published vectors of XAES-256-GCM, and what is refused."""

import hashlib
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.content.sealing import Opener, Sealer, derive, mac
from amictl.errors import CorruptStoreError
from amictl.formats.framing import NONCE_SIZE, SEAL_SIZE

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
VECTORS = [
    (b"\1", b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
    (b"\3", b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
]
KEYS = st.binary(min_size=32, max_size=32)
KEY = bytes(range(32))


class Stream:
    """The bytes of SHAKE-128 of nothing, from the first on."""

    def __init__(self, size: int) -> None:
        self._bytes = hashlib.shake_128().digest(size)
        self._at = 0

    def read(self, size: int) -> bytes:
        self._at += size
        return self._bytes[self._at - size : self._at]


def accumulated(count: int) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
    """Key, nonce, plain bytes and associated data, as the specification draws them."""
    stream = Stream(count * (32 + 24 + 2 + 2 * 255))
    for _ in range(count):
        key, nonce = stream.read(32), stream.read(24)
        plain = stream.read(stream.read(1)[0])
        yield key, nonce, plain, stream.read(stream.read(1)[0])


@pytest.mark.parametrize(("byte", "associated", "expected"), VECTORS, ids=["msb-0", "msb-1"])
def test_the_published_vectors_are_sealed_alike(
    byte: bytes, associated: bytes, expected: str
) -> None:
    sealed = Sealer(byte * 32).seal(b"XAES-256-GCM", associated, lambda _: NONCE)
    assert bytes(sealed) == NONCE + bytes.fromhex(expected)


@pytest.mark.parametrize(("byte", "associated", "expected"), VECTORS, ids=["msb-0", "msb-1"])
def test_the_published_vectors_are_opened(byte: bytes, associated: bytes, expected: str) -> None:
    sealed = NONCE + bytes.fromhex(expected)
    assert Opener(byte * 32).open(sealed, associated, "it") == b"XAES-256-GCM"


def test_the_published_accumulation_of_ten_thousand_comes_out() -> None:
    digest = hashlib.shake_128()
    for key, nonce, plain, associated in accumulated(10_000):
        digest.update(Sealer(key).seal(plain, associated, lambda _, nonce=nonce: nonce)[24:])
    expected = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
    assert digest.hexdigest(32) == expected


@given(KEYS, st.binary(max_size=600), st.binary(max_size=60))
def test_what_was_sealed_is_opened(key: bytes, plain: bytes, associated: bytes) -> None:
    sealed = Sealer(key).seal(plain, associated, os.urandom)
    assert Opener(key).open(sealed, associated, "it") == plain


@given(st.binary(max_size=60), st.data())
def test_any_bit_that_is_changed_is_noticed(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(Sealer(KEY).seal(plain, b"place", os.urandom))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptStoreError, match="it was changed"):
        Opener(KEY).open(sealed, b"place", "it")


@pytest.mark.parametrize("size", range(SEAL_SIZE))
def test_what_is_too_short_for_nonce_and_tag_is_refused(size: int) -> None:
    with pytest.raises(CorruptStoreError, match="too short"):
        Opener(KEY).open(bytes(size), b"", "it")


def test_other_associated_data_do_not_open() -> None:
    sealed = Sealer(KEY).seal(b"text", b"here", os.urandom)
    with pytest.raises(CorruptStoreError, match="changed"):
        Opener(KEY).open(sealed, b"there", "it")


def test_another_key_does_not_open() -> None:
    sealed = Sealer(KEY).seal(b"text", b"", os.urandom)
    with pytest.raises(CorruptStoreError, match="changed"):
        Opener(bytes(32)).open(sealed, b"", "it")


def test_nothing_is_sealed_twice_alike() -> None:
    sealer = Sealer(KEY)
    nonces = {bytes(sealer.seal(b"text", b"", os.urandom)[:NONCE_SIZE]) for _ in range(1000)}
    assert len(nonces) == 1000


def test_all_keys_of_a_domain_differ_and_depend_on_its_id() -> None:
    one, other = derive(KEY, bytes(16)), derive(KEY, b"\1" * 16)
    keys = [one.naming, one.sealing, one.authenticating, one.commitment]
    keys += [other.naming, other.sealing, other.authenticating, other.commitment]
    assert len(set(keys)) == 8


def test_the_keys_of_a_domain_are_those_of_hkdf() -> None:
    extracted = mac(b"\7" * 16, KEY)  # RFC 5869, 2.2
    expanded = mac(bytes.fromhex(extracted), b"amictl domain 1 naming\1")  # 2.3
    assert derive(KEY, b"\7" * 16).naming.hex() == expanded
