"""Frames and nodes from one domain into another, as they are."""

import os

import pytest
from hypothesis import given

from amictl.content.domains import PLAIN, Domain, SealedDomain
from amictl.content.resealing import reseal_frame, resealed_node
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


def frame_from(
    source: Domain, target: SealedDomain, data: bytes, plain: tuple[Name, ...]
) -> tuple[tuple[Name, ...], bytes]:
    """Names and bytes of a frame of `source`, whose chunks have these plain names, in `target`."""
    clear = frame_format.clear_part(data)
    both = zip(plain, target.stored_names(plain), strict=True)
    names = dict(zip(source.stored_names(plain), both, strict=True))
    space = memoryview(bytearray(len(data) + 1000))
    stored, size = reseal_frame(clear, names, (source, target), os.urandom, space)
    return stored, bytes(space[:size])


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
    names, data = frame_from(source, B, frame_in(source, parts), parts[0])
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
    names, _ = frame_from(A, B, frame_in(A, parts), parts[0])
    assert not {*names, *parts[0]} & {*clear.names}


@given(parts=frames())
def test_a_frame_is_not_resealed_with_another_key(parts: FrameParts) -> None:
    clear = frame_format.clear_part(frame_in(A, parts))
    names = {name: (name, name) for name in clear.names}
    with pytest.raises(CorruptStoreError, match="changed"):
        reseal_frame(clear, names, (B, A), os.urandom, memoryview(b""))


@pytest.mark.parametrize("source", [PLAIN, A], ids=["from-plain", "from-another-key"])
@given(parts=frames())
def test_a_frame_that_was_sealed_under_other_names_is_refused(
    source: Domain, parts: FrameParts
) -> None:
    data = frame_in(source, parts)
    clear = frame_format.clear_part(data)
    others = [bytes(byte ^ 1 for byte in name) for name in parts[0]]
    lies = {name: (other, other) for name, other in zip(clear.names, others, strict=True)}
    with pytest.raises(CorruptStoreError, match="do not go with"):
        reseal_frame(clear, lies, (source, B), os.urandom, memoryview(b""))


@given(parts=frames())
def test_a_frame_that_has_no_room_is_refused(parts: FrameParts) -> None:
    clear = frame_format.clear_part(frame_in(PLAIN, parts))
    names = {name: (name, name) for name in clear.names}
    with pytest.raises(CorruptStoreError, match="impossible length"):
        reseal_frame(clear, names, (PLAIN, B), os.urandom, memoryview(bytearray(100)))
