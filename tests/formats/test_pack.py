"""The outline of packs: header, entries and tail."""

from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.pack import (
    HEADER_SIZE,
    TAIL_SIZE,
    Entry,
    PackKind,
    decode_entries,
    decode_header,
    decode_tail,
    encode_entries,
    encode_header,
    encode_tail,
)
from tests.strategies import damaged, packs

Outline = tuple[PackKind, bytes, tuple[Entry, ...], bytes]
"""Kind, id, entries, digest."""


def encoded(outline: Outline, body: bytes | None = None) -> bytes:
    """A whole pack; its body holds no real frames unless one is given."""
    kind, pack_id, entries, digest = outline
    footer = encode_entries(entries)
    content = body if body is not None else b"f" * sum(entry.length for entry in entries)
    return encode_header(kind, pack_id) + content + footer + encode_tail(digest, len(footer))


def decoded(data: bytes) -> Outline:
    kind, pack_id = decode_header(data[:HEADER_SIZE])
    digest, length = decode_tail(data[-TAIL_SIZE:])
    return kind, pack_id, decode_entries(data[-length:], len(data)), digest


def encoded_again(data: bytes) -> bytes | None:
    """The encoding of what `data` decodes to, with its own body; None if it is refused."""
    try:
        outline = decoded(data)
    except (CorruptStoreError, UnsupportedError):
        return None
    body = data[HEADER_SIZE : HEADER_SIZE + sum(entry.length for entry in outline[2])]
    return encoded(outline, body)


@given(packs())
def test_decode_inverts_encode(outline: Outline) -> None:
    assert decoded(encoded(outline)) == outline


@given(st.binary() | damaged(packs().map(encoded)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(st.binary(max_size=120), st.integers(0, 200))
def test_any_bytes_as_a_footer_are_refused_or_canonical(footer: bytes, length: int) -> None:
    try:
        entries = decode_entries(footer, length)
    except CorruptStoreError:
        return
    assert encode_entries(entries) == footer[:-TAIL_SIZE]


def test_a_parity_section_of_a_later_version_is_passed_over() -> None:
    entries = encode_entries([Entry(32, 5)])
    footer = entries[:12] + (8).to_bytes(4, "little") + entries[16:] + b"parity..."[:8]
    tail = encode_tail(bytes(32), len(footer))
    whole = encode_header(PackKind.FRAMES, bytes(16)) + b"frame" + footer + tail
    assert decode_entries(footer + tail, len(whole)) == (Entry(32, 5),)
