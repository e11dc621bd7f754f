"""Frames and nodes on their way into another domain: sealed anew as they are.

Nothing is decompressed, hashed or compressed: the body of a frame is the same in every encrypted
domain, and so is that of a node. Only stored names differ.
"""

from collections.abc import Mapping

from amictl.content.domains import Domain, RandomBytes, SealedDomain
from amictl.errors import CorruptStoreError
from amictl.formats.frame import ClearFrame, sealed_size
from amictl.formats.node import BodyToSeal, ClearNode
from amictl.model.blockmap import NAME_SIZE, Name, NodeName

ChunkNames = Mapping[Name, tuple[Name, Name]]
"""By their stored names in the source: plain names of chunks, and stored ones in the target."""


def reseal_frame(
    clear: ClearFrame,
    names: ChunkNames,
    domains: tuple[Domain, SealedDomain],
    random_bytes: RandomBytes,
    space: memoryview,
) -> tuple[tuple[Name, ...], int]:
    """Write a whole frame for another domain to the beginning of `space`: its stored names there,
    and its length. `domains` are the one that it is in and the other.

    Raises CorruptStoreError if it was changed after it was sealed, or its names do not go
    together. What the plain domain says of its content is believed: whoever reads it compares.
    """
    source, target = domains
    both = [names[name] for name in clear.names]
    body = source.open_frame(clear)
    listed = b"".join([plain for plain, _ in both])
    if bytes(body[: len(listed)]) != listed:
        raise CorruptStoreError("stored names do not go with the plain ones")
    size = sealed_size(len(both), len(body))
    if size > len(space):
        raise CorruptStoreError("a frame has an impossible length")
    stored = tuple([name for _, name in both])
    target.seal_frame(space[:size], stored, clear.codec, body, random_bytes)
    return stored, size


def resealed_node(
    clear: ClearNode, source: Domain, target: SealedDomain, random_bytes: RandomBytes
) -> tuple[NodeName, tuple[Name, ...], bytes]:
    """The names of a node in another domain, those of its children there, and its stored bytes.

    Raises CorruptStoreError.
    """
    body = source.open_node(clear)
    children = _names_in(target, body, clear.children, source)
    name, data = target.seal_node(BodyToSeal(clear.level, children, bytes(body)), random_bytes)
    return name, children, data


def _names_in(
    target: Domain, body: memoryview, names: tuple[Name, ...], source: Domain
) -> tuple[Name, ...]:
    """The stored names in the target of what begins with the plain names of `names`."""
    listed = bytes(body[: NAME_SIZE * len(names)])
    plain = [listed[at : at + NAME_SIZE] for at in range(0, len(listed), NAME_SIZE)]
    if tuple(source.stored_names(plain)) != names:
        raise CorruptStoreError("stored names do not go with the plain ones")
    return tuple(target.stored_names(plain))
