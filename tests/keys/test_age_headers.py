"""The head of an age file, before anything is derived."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.keys.age_headers import is_age_file, require_modest

MAGIC = b"age-encryption.org/v1\n"
END = b"--- mac\npayload"


def stanza(*words: str) -> bytes:
    return f"-> {' '.join(words)}\nYm9keQ\n".encode()


def armored(data: bytes) -> bytes:
    body = base64.encodebytes(data)
    return b"-----BEGIN AGE ENCRYPTED FILE-----\n" + body + b"-----END AGE ENCRYPTED FILE-----\n"


SCRYPT_22 = MAGIC + stanza("scrypt", "c2FsdA", "22") + END


@pytest.mark.parametrize("data", [SCRYPT_22, armored(SCRYPT_22), b"\n" + armored(SCRYPT_22)])
def test_the_words_of_stanzas_are_read_binary_or_armored(data: bytes) -> None:
    assert is_age_file(data)
    assert require_modest(data) == [["scrypt", "c2FsdA", "22"]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (MAGIC + stanza("scrypt", "c2FsdA", "23") + END, "work factor of 23"),
        (MAGIC + stanza("scrypt", "c2FsdA", "100") + END, "no valid work factor"),
        (MAGIC + stanza("scrypt", "c2FsdA", "-1") + END, "no valid work factor"),
        (MAGIC + stanza("scrypt", "c2FsdA") + END, "no valid work factor"),
        (armored(MAGIC + stanza("scrypt", "c2FsdA", "30") + END), "work factor of 30"),
        (MAGIC + stanza("X25519", "x") + stanza("scrypt", "s", "25") + END, "work factor of 25"),
        (MAGIC + 65 * stanza("X25519", "x") + END, "over 64 recipients"),
        (MAGIC + stanza("X25519", "x") + bytes(65_536), "over 65536 bytes"),
        (MAGIC + stanza("X25519", "x"), "no end"),
        (MAGIC + stanza("X25519", "") + END, "damaged"),
        (MAGIC + b"no stanza\n" + END, "damaged"),
        (b"AGE-SECRET-KEY-1", "not an age file"),
        (armored(b"something else"), "not an age file"),
        (armored(SCRYPT_22).replace(b"W", b"*"), "armor is damaged"),
    ],
)
def test_what_asks_for_too_much_or_is_damaged_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        require_modest(data)


@given(st.binary() | st.binary().map(MAGIC.__add__) | st.binary().map(armored))
def test_any_bytes_are_refused_or_have_an_end(data: bytes) -> None:
    try:
        require_modest(data)
    except ValueError:
        return
    assert is_age_file(data)
