"""What the binary formats share: checksums and the refusal of bytes that nobody wrote."""

import xxhash
from blake3 import blake3

from amictl.errors import CorruptStoreError, UnsupportedError

Buffer = bytes | bytearray | memoryview

CHECKSUM_SIZE = 8
PLAIN_DOMAIN = bytes(16)

SEAL_NONE, SEAL_XAES = 0, 1
NONCE_SIZE, TAG_SIZE = 24, 16
SEAL_SIZE = NONCE_SIZE + TAG_SIZE
"""What sealing adds: a nonce before, a tag behind."""


def checksum(data: Buffer, more: Buffer = b"") -> bytes:
    """XXH3-64 of `data` and `more` as 8 little-endian bytes; finds damage, never names content."""
    if not more:
        return xxhash.xxh3_64_intdigest(data).to_bytes(8, "little")
    digest = xxhash.xxh3_64(data)
    digest.update(more)
    return digest.intdigest().to_bytes(8, "little")


def refuse(condition: bool, what: str) -> None:
    """Raises CorruptStoreError, with `what` as the reason, when the condition holds."""
    if condition:
        raise CorruptStoreError(what)


def associated_data(magic: bytes, domain: bytes, codec: int, clear: Buffer) -> bytes:
    """What a sealed part is bound to: what it is part of, where it belongs, what is said openly.

    `magic` says type and version of the object, `clear` is all of it that is not sealed.
    """
    return b"".join((magic, domain, bytes((codec,)), blake3(clear).digest()))


def require_seal(seal: int, domain: bytes, what: str) -> None:
    """Raises UnsupportedError unless the seal is one that goes with the domain."""
    if seal != (SEAL_NONE if domain == PLAIN_DOMAIN else SEAL_XAES):
        raise UnsupportedError(f"{what} is sealed in an unknown way", hint="use a newer amictl")
