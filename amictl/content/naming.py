"""How content is recognised: names of chunks and fingerprints of segments.

amictl-store(5), NAMES.
"""

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
