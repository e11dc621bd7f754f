"""Frames and nodes from one domain into another, as they are."""

import os

import pytest
from hypothesis import given

from amictl.content.domains import PLAIN, Domain, SealedDomain
from amictl.content.resealing import resealed_frame, resealed_node
from amictl.content.sealing import derive
from amictl.errors import CorruptStoreError
from amictl.formats import frame as frame_format
from amictl.formats import node as node_format
from amictl.formats.frame import Frame
from amictl.model.blockmap import Interior, Leaf, Name, Node
from tests.strategies import FrameParts, frames, interiors, leaves

A = SealedDomain(b"\1" * 16, derive(b"\5" * 32, b"\1" * 16))
B = SealedDomain(b"\2" * 16, derive(b"\6" * 32, b"\2" * 16))


def frame_in(domain: Domain, parts: FrameParts) -> bytes:
    plain, lengths, codec, payload = parts
    names = tuple(domain.stored_names(plain))
    frame = Frame(names, lengths, codec, memoryview(payload), plain_names=plain)
    return domain.encode_frame(frame, os.urandom)


def stored(domain: Domain, names: tuple[Name | None, ...]) -> tuple[Name | None, ...]:
    return tuple(name and domain.stored_names([name])[0] for name in names)


def node_in(domain: Domain, node: Node) -> bytes:
    """`node` has plain names."""
    if isinstance(node, Interior):
        children = stored(domain, node.children)
        node = Interior(node.level, node.plain_length, children, node.children)
    else:
        node = Leaf(node.lengths, stored(domain, node.names), node.fingerprint, node.names)
    return domain.encode_node(node, os.urandom)[1]


@pytest.mark.parametrize("source", [PLAIN, A], ids=["from-plain", "from-another-key"])
@given(parts=frames())
def test_a_frame_says_the_same_in_another_domain(source: Domain, parts: FrameParts) -> None:
    clear = frame_format.clear_part(frame_in(source, parts))
    names, data = resealed_frame(clear, source, B, os.urandom)
    found = B.decode_frame(frame_format.clear_part(data))
    assert (found.plain_names, found.lengths, found.codec) == parts[:3]
    assert bytes(found.payload) == parts[3]
    assert found.names == names == tuple(B.stored_names(parts[0]))


@pytest.mark.parametrize("source", [PLAIN, A], ids=["from-plain", "from-another-key"])
@given(node=leaves() | interiors())
def test_a_node_says_the_same_in_another_domain(source: Domain, node: Node) -> None:
    clear = node_format.clear_part(node_in(source, node))
    names, children, data = resealed_node(clear, source, B, os.urandom)
    clear = node_format.clear_part(data)
    found = B.decode_node(clear)
    assert clear.children == children
    assert found == B.decode_node(node_format.clear_part(node_in(B, node)))
    assert names.plain == found.plain_name == node_format.name_of(node_format.encode(node))


@given(parts=frames())
def test_no_stored_name_is_the_same_in_two_domains(parts: FrameParts) -> None:
    clear = frame_format.clear_part(frame_in(A, parts))
    names, _ = resealed_frame(clear, A, B, os.urandom)
    assert not {*names, *parts[0]} & {*clear.names}


@given(parts=frames())
def test_a_frame_is_not_resealed_with_another_key(parts: FrameParts) -> None:
    clear = frame_format.clear_part(frame_in(A, parts))
    with pytest.raises(CorruptStoreError, match="changed"):
        resealed_frame(clear, B, A, os.urandom)
