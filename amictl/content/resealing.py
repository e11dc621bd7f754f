"""Frames and nodes on their way into another domain: sealed anew as they are.

Nothing is decompressed, hashed or compressed: the body of a frame is the same in every encrypted
domain, and so is that of a node. Only stored names differ.
"""

from amictl.content.domains import Domain, RandomBytes, SealedDomain
from amictl.formats.frame import ClearFrame
from amictl.formats.node import BodyToSeal, ClearNode
from amictl.model.blockmap import NAME_SIZE, Name, NodeName


def resealed_frame(
    clear: ClearFrame, source: Domain, target: SealedDomain, random_bytes: RandomBytes
) -> tuple[tuple[Name, ...], bytes]:
    """The stored names and the stored bytes of a whole frame in another domain.

    Raises CorruptStoreError if it was changed after it was sealed. Whoever reseals from the plain
    domain, where there is no seal, compares the content with its names first.
    """
    body = source.open_frame(clear)
    names = tuple(target.stored_names(_first_names(body, len(clear.names))))
    return names, target.seal_frame(names, clear.codec, body, random_bytes)


def resealed_node(
    clear: ClearNode, source: Domain, target: SealedDomain, random_bytes: RandomBytes
) -> tuple[NodeName, bytes]:
    """The names and the stored bytes of a node in another domain, where its children are stored
    under names of that domain too. Raises CorruptStoreError.
    """
    body = source.open_node(clear)
    children = tuple(target.stored_names(_first_names(body, len(clear.children))))
    return target.seal_node(BodyToSeal(clear.level, children, bytes(body)), random_bytes)


def _first_names(body: memoryview, count: int) -> list[Name]:
    listed = bytes(body[: NAME_SIZE * count])
    return [listed[at : at + NAME_SIZE] for at in range(0, len(listed), NAME_SIZE)]
