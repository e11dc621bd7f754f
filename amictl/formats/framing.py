"""What the binary formats share: checksums and the refusal of bytes that nobody wrote."""

import xxhash

from amictl.errors import CorruptStoreError

Buffer = bytes | bytearray | memoryview

CHECKSUM_SIZE = 8
PLAIN_DOMAIN = bytes(16)


def checksum(data: Buffer, more: Buffer = b"") -> bytes:
    """XXH3-64 of `data` and `more` as 8 little-endian bytes; finds damage, never names content."""
    digest = xxhash.xxh3_64(data)
    digest.update(more)
    return digest.intdigest().to_bytes(8, "little")


def refuse(condition: bool, what: str) -> None:
    """Raises CorruptStoreError, with `what` as the reason, when the condition holds."""
    if condition:
        raise CorruptStoreError(what)
