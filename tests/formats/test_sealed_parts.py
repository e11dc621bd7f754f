"""Frames and nodes whose body is sealed: what they show, and that bytes nobody wrote are refused.

Formats seal nothing themselves: any bytes stand for a sealed body here.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats import frame as frame_format
from amictl.formats import node as node_format
from amictl.formats.framing import CHECKSUM_SIZE, SEAL_SIZE, Buffer, checksum
from amictl.model.blockmap import Interior, Leaf, Name, Node
from tests.strategies import IDS, NAMES, FrameParts, damaged, frames, interiors, leaves

DOMAINS = IDS.filter(any)
NAME_LISTS = st.lists(NAMES, min_size=1, max_size=5, unique=True).map(tuple)


def resealed(data: bytes) -> bytes:
    """With a length and a checksum that are right."""
    framed = data[:8] + len(data).to_bytes(4, "little") + data[12:-CHECKSUM_SIZE]
    return framed + checksum(framed)


def sealed_frame(domain: bytes, names: Sequence[Name], codec: int, body: Buffer) -> bytes:
    """With a body that is sealed already."""

    def write(target: memoryview, _: bytes) -> None:
        target[:] = body

    data = bytearray(frame_format.sealed_size(len(names), len(body) - SEAL_SIZE))
    frame_format.encode_sealed(memoryview(data), domain, names, codec, write)
    return bytes(data)


@st.composite
def sealed_frames(draw: st.DrawFn) -> bytes:
    names = draw(NAME_LISTS)
    size = 36 * len(names) + SEAL_SIZE
    body = draw(st.binary(min_size=size, max_size=size + 30))
    return sealed_frame(draw(DOMAINS), names, draw(st.integers(0, 2)), body)


@st.composite
def sealed_nodes(draw: st.DrawFn) -> bytes:
    children = draw(NAME_LISTS)
    size = 32 * len(children) + SEAL_SIZE
    body = draw(st.binary(min_size=size, max_size=size + 30))
    level = draw(st.integers(0, node_format.LEVEL_MAX))
    return node_format.encode_sealed(draw(DOMAINS), draw(NAMES), level, children, body)


def frame_again(data: bytes) -> bytes | None:
    """The encoding of what `data` shows; None if it is refused."""
    try:
        clear = frame_format.clear_part(data)
    except (CorruptStoreError, UnsupportedError):
        return None
    if not any(clear.domain) or clear.needed:
        return data
    return sealed_frame(clear.domain, clear.names, clear.codec, clear.body)


def node_again(data: bytes) -> bytes | None:
    try:
        clear = node_format.clear_part(data)
    except (CorruptStoreError, UnsupportedError):
        return None
    if not any(clear.domain):
        return data
    return node_format.encode_sealed(
        clear.domain, clear.name, clear.level, clear.children, clear.body
    )


@given(sealed_frames())
def test_a_sealed_frame_shows_what_it_was_made_of(data: bytes) -> None:
    assert frame_again(data) == data


@given(sealed_nodes())
def test_a_sealed_node_shows_what_it_was_made_of(data: bytes) -> None:
    assert node_again(data) == data


@given(st.binary() | damaged(sealed_frames()) | damaged(sealed_frames(), resealed))
def test_any_bytes_are_no_frame_or_a_canonical_one(data: bytes) -> None:
    assert frame_again(data) in (None, data)


@given(st.binary() | damaged(sealed_nodes()) | damaged(sealed_nodes(), resealed))
def test_any_bytes_are_no_node_or_a_canonical_one(data: bytes) -> None:
    assert node_again(data) in (None, data)


@given(sealed_frames())
def test_a_sealed_frame_is_not_read_as_a_plain_one(data: bytes) -> None:
    with pytest.raises(UnsupportedError, match="sealed"):
        frame_format.decode(data)


@given(sealed_nodes())
def test_a_sealed_node_is_not_read_as_a_plain_one(data: bytes) -> None:
    with pytest.raises(UnsupportedError, match="sealed"):
        node_format.decode(data)


@given(sealed_frames(), DOMAINS)
def test_a_frame_is_bound_to_its_domain(data: bytes, domain: bytes) -> None:
    clear = frame_format.clear_part(data)
    elsewhere = frame_format.associated_with(domain, clear.names, clear.codec)
    assert (elsewhere == clear.associated) == (domain == clear.domain)


@given(sealed_frames(), NAME_LISTS)
def test_a_frame_is_bound_to_its_names(data: bytes, names: tuple[Name, ...]) -> None:
    clear = frame_format.clear_part(data)
    renamed = frame_format.associated_with(clear.domain, names, clear.codec)
    assert (renamed == clear.associated) == (names == clear.names)


@given(sealed_nodes(), NAMES)
def test_a_node_is_bound_to_its_own_name(data: bytes, name: Name) -> None:
    clear = node_format.clear_part(data)
    renamed = node_format.associated_with(clear.domain, name, clear.level, clear.children)
    assert (renamed == clear.associated) == (name == clear.name)


@given(sealed_nodes(), st.integers(0, node_format.LEVEL_MAX))
def test_a_node_is_bound_to_its_level(data: bytes, level: int) -> None:
    clear = node_format.clear_part(data)
    moved = node_format.associated_with(clear.domain, clear.name, level, clear.children)
    assert (moved == clear.associated) == (level == clear.level)


def with_plain_names(node: Node) -> Node:
    """The same node under stored names that are the plain ones turned round."""
    if isinstance(node, Interior):
        turned = tuple(name and name[::-1] for name in node.children)
        return Interior(node.level, node.plain_length, turned, node.children)
    turned = tuple(name and name[::-1] for name in node.names)
    return Leaf(node.lengths, turned, node.fingerprint, node.names)


@given(leaves() | interiors())
def test_a_node_is_decoded_from_its_opened_body(node: Node) -> None:
    sealed = with_plain_names(node)
    parts = node_format.body_to_seal(sealed)
    clear = node_format.ClearNode(
        b"\1" * 16, bytes(32), parts.level, parts.children, memoryview(b"")
    )
    opened = node_format.decode_body(clear, memoryview(parts.body))
    assert opened == sealed
    assert opened.plain_name == parts.plain_name


@given(leaves() | interiors())
def test_the_plain_name_of_a_node_does_not_depend_on_its_domain(node: Node) -> None:
    plain = node_format.name_of(node_format.encode(node))
    assert node_format.body_to_seal(with_plain_names(node)).plain_name == plain


@given(frames())
def test_a_frame_is_decoded_from_its_opened_body(parts: FrameParts) -> None:
    names, lengths, codec, payload = parts
    body = frame_format.body_to_seal(names, lengths, payload)
    clear = frame_format.ClearFrame(
        b"\1" * 16, tuple(name[::-1] for name in names), codec, memoryview(b""), memoryview(b"")
    )
    opened = frame_format.decode_body(clear, memoryview(body))
    assert (opened.plain_names, opened.lengths, bytes(opened.payload)) == (names, lengths, payload)
