"""Nodes: what is encoded is decoded, bytes that nobody encoded are refused, names are content."""

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.framing import CHECKSUM_SIZE, checksum
from amictl.formats.node import HEADER_SIZE, decode, encode, name_of
from amictl.model.blockmap import Interior, Leaf, Node
from tests.strategies import damaged, interiors, leaves

NODES = leaves() | interiors()


def encoded_again(data: bytes) -> bytes | None:
    """The encoding of what `data` decodes to; None if it is refused."""
    try:
        return encode(decode(data))
    except (CorruptStoreError, UnsupportedError):
        return None


def sealed(data: bytes) -> bytes:
    """With a length and a checksum that are right."""
    framed = data[:8] + len(data).to_bytes(4, "little") + data[12:-CHECKSUM_SIZE]
    return framed + checksum(framed)


@given(leaves())
def test_decode_inverts_encode_of_leaves(leaf: Leaf) -> None:
    assert decode(encode(leaf)) == leaf


@given(interiors())
def test_decode_inverts_encode_of_inner_nodes(node: Interior) -> None:
    assert decode(encode(node)) == node


@given(st.binary() | damaged(NODES.map(encode)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(damaged(NODES.map(encode), sealed))
def test_damage_under_a_right_checksum_is_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(NODES)
def test_the_name_is_the_digest_of_kind_level_count_names_and_body(node: Node) -> None:
    data = encode(node)
    named = data[12:14] + data[16:18] + data[HEADER_SIZE:-CHECKSUM_SIZE]
    assert name_of(data) == blake3(named).digest()


@given(NODES, NODES)
def test_different_nodes_have_different_names(first: Node, second: Node) -> None:
    assert (name_of(encode(first)) == name_of(encode(second))) == (first == second)
