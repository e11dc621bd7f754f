"""How content is recognised: names of chunks and fingerprints of segments.

amictl-store(5), NAMES.
"""

from collections.abc import Iterable

from blake3 import blake3

from amictl.model.blockmap import FINGERPRINT_SIZE, Name

Buffer = bytes | bytearray | memoryview


def chunk_name(data: Buffer) -> Name:
    """The BLAKE3 of a chunk's plain bytes."""
    return blake3(data).digest()


def fingerprint(data: Buffer, key: bytes) -> bytes:
    """16 bytes of keyed BLAKE3 of a segment's plain bytes.

    Equal under one key means equal bytes.
    """
    return blake3(data, key=key).digest(FINGERPRINT_SIZE)


def keyed_names(plain_names: Iterable[Name], key: bytes) -> list[Name]:
    """Under which chunks and nodes are stored in an encrypted domain with this naming key."""
    keyed = blake3(key=key)  # copying it is quicker than taking the key in again
    return [keyed.copy().update(name).digest() for name in plain_names]
