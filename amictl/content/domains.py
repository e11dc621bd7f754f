"""The two kinds of domain: what is named and written plainly, and what only a key opens.

Chunks are deduplicated inside a domain only. amictl-store(5), SEALING.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from amictl.content.naming import keyed_names
from amictl.errors import CorruptStoreError
from amictl.formats import frame as frame_format
from amictl.formats import node as node_format
from amictl.formats.frame import ClearFrame, Frame
from amictl.formats.framing import PLAIN_DOMAIN, Buffer
from amictl.formats.node import BodyToSeal, ClearNode
from amictl.model.blockmap import Name, Node, NodeName

if TYPE_CHECKING:
    from amictl.content.sealing import DomainKeys, Opener, Sealer

RandomBytes = Callable[[int], bytes]


class Domain(Protocol):
    """How the chunks and nodes of one domain are named, written and read; from any thread."""

    @property
    def id(self) -> bytes:
        """16 bytes."""
        ...

    def stored_names(self, plain_names: Sequence[Name]) -> Sequence[Name]:
        """Under which chunks or nodes with these plain names are stored."""
        ...

    def encode_frame(self, frame: Frame, random_bytes: RandomBytes) -> Buffer:
        """The stored bytes of a frame, whose payload is encoded."""
        ...

    def decode_frame(self, clear: ClearFrame) -> Frame:
        """The frame. Its payload may be a view of a buffer that this thread's next call uses again.

        Raises CorruptStoreError.
        """
        ...

    def open_frame(self, clear: ClearFrame) -> memoryview:
        """What is sealed of a frame in encrypted domains: plain names, lengths, payload.

        A view as of `decode_frame`, or of what the frame was read from. Raises CorruptStoreError.
        """
        ...

    def encode_node(self, node: Node, random_bytes: RandomBytes) -> tuple[NodeName, bytes]:
        """The names of a node, and its stored bytes."""
        ...

    def decode_node(self, clear: ClearNode) -> Node:
        """The node, which has the name that its clear part says. Raises CorruptStoreError."""
        ...

    def open_node(self, clear: ClearNode) -> memoryview:
        """What is sealed of a node in encrypted domains: plain names, then the plain body.

        A view as of `decode_frame`. Raises CorruptStoreError.
        """
        ...


class PlainDomain:
    """Everything is stored under its plain name, and nothing is sealed."""

    @property
    def id(self) -> bytes:
        return PLAIN_DOMAIN

    def stored_names(self, plain_names: Sequence[Name]) -> Sequence[Name]:
        """The same."""
        return plain_names

    def encode_frame(self, frame: Frame, random_bytes: RandomBytes) -> bytes:
        """See Domain."""
        return frame_format.encode(frame.names, frame.lengths, frame.codec, frame.payload)

    def decode_frame(self, clear: ClearFrame) -> Frame:
        """See Domain."""
        return frame_format.decode_body(clear, clear.body)

    def encode_node(self, node: Node, random_bytes: RandomBytes) -> tuple[NodeName, bytes]:
        """See Domain."""
        data = node_format.encode(node)
        name = node_format.name_of(data)
        return NodeName(name, name), data

    def decode_node(self, clear: ClearNode) -> Node:
        """See Domain."""
        return node_format.decode_body(clear, clear.body)

    def open_frame(self, clear: ClearFrame) -> memoryview:
        """See Domain."""
        if not clear.needed:
            return clear.listed
        return memoryview(b"".join((*clear.names, clear.body)))

    def open_node(self, clear: ClearNode) -> memoryview:
        """See Domain."""
        return memoryview(b"".join((*clear.children, clear.body)))


class SealedDomain:
    """A domain whose keys are at hand."""

    def __init__(self, domain_id: bytes, keys: "DomainKeys") -> None:
        self._id = domain_id
        self._keys = keys
        self._own = threading.local()

    @property
    def id(self) -> bytes:
        return self._id

    def stored_names(self, plain_names: Sequence[Name]) -> Sequence[Name]:
        """Keyed with the naming key."""
        return keyed_names(plain_names, self._keys.naming)

    def encode_frame(self, frame: Frame, random_bytes: RandomBytes) -> Buffer:
        """See Domain; `frame` has plain names."""
        body = frame_format.body_to_seal(frame.plain_names, frame.lengths, frame.payload)
        data = bytearray(frame_format.sealed_size(len(frame.names), len(body)))
        self.seal_frame(memoryview(data), frame.names, frame.codec, body, random_bytes)
        return data

    def seal_frame(
        self,
        target: memoryview,
        names: Sequence[Name],
        codec: int,
        body: Buffer,
        random_bytes: RandomBytes,
    ) -> None:
        """Write a frame of an opened body, from whichever domain it came, which fills `target`.

        `names` are stored names.
        """
        sealer = self._sealer()

        def seal_into(target: memoryview, associated: bytes) -> None:
            sealer.seal_into(target, body, associated, random_bytes)

        frame_format.encode_sealed(target, self._id, names, codec, seal_into)

    def open_frame(self, clear: ClearFrame) -> memoryview:
        """See Domain."""
        return self.open(clear.body, clear.associated, "a frame")

    def decode_frame(self, clear: ClearFrame) -> Frame:
        """See Domain."""
        return frame_format.decode_body(clear, self.open_frame(clear))

    def encode_node(self, node: Node, random_bytes: RandomBytes) -> tuple[NodeName, bytes]:
        """See Domain; `node` has plain names."""
        return self.seal_node(node_format.body_to_seal(node), random_bytes)

    def seal_node(self, node: BodyToSeal, random_bytes: RandomBytes) -> tuple[NodeName, bytes]:
        """A node of an opened body, from whichever domain it came."""
        plain = node.plain_name
        (name,) = self.stored_names([plain])
        associated = node_format.associated_with(self._id, name, node.level, node.children)
        sealed = self.seal(node.body, associated, random_bytes)
        data = node_format.encode_sealed(self._id, name, node.level, node.children, sealed)
        return NodeName(name, plain), data

    def open_node(self, clear: ClearNode) -> memoryview:
        """See Domain."""
        return self.open(clear.body, clear.associated, "a node")

    def decode_node(self, clear: ClearNode) -> Node:
        """See Domain."""
        node = node_format.decode_body(clear, self.open_node(clear))
        if self.stored_names([node.plain_name]) != [clear.name]:
            raise CorruptStoreError("a node's name does not go with its content")
        return node

    def seal(self, plain: Buffer, associated: bytes, random_bytes: RandomBytes) -> memoryview:
        """Nonce, ciphertext, tag; a view of a buffer that this thread's next call uses again."""
        return self._sealer().seal(plain, associated, random_bytes)

    def _sealer(self) -> "Sealer":
        """This thread's own."""
        own: Sealer | None = getattr(self._own, "sealer", None)
        if own is None:
            from amictl.content import sealing

            own = self._own.sealer = sealing.Sealer(self._keys.sealing)
        return own

    def open(self, sealed: Buffer, associated: bytes, what: str) -> memoryview:
        """The reverse of `seal`; a view of a buffer that this thread's next call uses again.

        Raises CorruptStoreError, which begins with `what`.
        """
        own: Opener | None = getattr(self._own, "opener", None)
        if own is None:
            from amictl.content import sealing

            own = self._own.opener = sealing.Opener(self._keys.sealing)
        return own.open(sealed, associated, what)

    def mac(self, data: Buffer) -> str:
        """HMAC-SHA256 under the authenticating key, in hexadecimal."""
        from amictl.content import sealing

        return sealing.mac(self._keys.authenticating, data)

    def is_mac(self, text: str, data: Buffer) -> bool:
        """Whether `text` is what `mac` says of these bytes; how far it is right does not show."""
        import hmac

        return hmac.compare_digest(text.encode(), self.mac(data).encode())


PLAIN = PlainDomain()
