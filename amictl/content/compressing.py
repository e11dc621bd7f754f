"""The codec of frames: zstd, checked when written, decoded into buffers that are used again.

Contexts are not thread-safe: each thread has a Compressor and a Decompressor of its own.
"""

import zstandard

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats.frame import CODEC_STORED, CODEC_ZSTD, PLAIN_SIZE_MAX

_BLOCK_HEADER_SIZE = 3
_RLE = 1
_WINDOW_MAX = 1 << 23
_TABLES = {3: {"hash_log": 15, "chain_log": 13}}
"""Level 3's search tables, made to fit a core's own cache.

Measured on Debian root file systems and a database, frames of 200 KB: a sixth faster than what
zstd takes for long inputs, for 0.7 per cent more bytes; without a window of their size zstd would
take tables for short inputs, which are slower still.
"""


class Decompressor:
    """Decodes payloads; one for each thread."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX)

    def decode_into(self, codec: int, payload: memoryview, target: memoryview) -> None:
        """Fill `target`, whose size is the plain length.

        Raises CorruptStoreError unless it fits exactly, UnsupportedError for an unknown codec.
        """
        if codec not in (CODEC_STORED, CODEC_ZSTD):
            raise UnsupportedError(f"a frame has codec {codec}", hint="use a newer amictl")
        if codec == CODEC_STORED:
            if len(payload) != len(target):
                raise CorruptStoreError("a stored frame's payload has a wrong length")
            target[:] = payload
            return
        if not 0 < compressed_size(payload, len(target)) == len(payload):
            raise CorruptStoreError("a frame's payload is not one zstd frame of its length")
        try:
            with self._context.stream_reader(payload) as reader:
                done = 0
                while done < len(target):
                    count = reader.readinto(target[done:])
                    if not count:
                        break
                    done += count
        except zstandard.ZstdError as error:
            raise CorruptStoreError(f"a frame cannot be decompressed: {error}") from error
        if done != len(target):
            raise CorruptStoreError("a frame is shorter than it says")


class Compressor:
    """Encodes payloads and decodes them again to be sure; one for each thread.

    `size_max` is the most plain bytes that one may have, a power of two.
    """

    def __init__(self, level: int, size_max: int = PLAIN_SIZE_MAX) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level,
            window_log=size_max.bit_length() - 1,
            write_content_size=True,
            write_checksum=False,
            **(_TABLES.get(level, {}) if size_max == PLAIN_SIZE_MAX else {}),
        )
        self._context = zstandard.ZstdCompressor(compression_params=parameters)
        self._decompressor = Decompressor()
        self._check = bytearray(size_max)

    def encode(self, plain: memoryview) -> tuple[int, bytes | memoryview]:
        """Codec and payload. What compression does not shrink by 1/32 is kept as it is.

        Raises CorruptStoreError if decoding does not give the same bytes again: then memory or
        the library is faulty, and nothing may be written.
        """
        payload = self._context.compress(plain)
        if len(payload) + len(plain) // 32 >= len(plain):
            return CODEC_STORED, plain
        check = memoryview(self._check)[: len(plain)]
        self._decompressor.decode_into(CODEC_ZSTD, memoryview(payload), check)
        # One memcmp and no copy; comparing two memoryviews would go item by item.
        if not self._check.startswith(plain):
            raise CorruptStoreError(
                "compressed data does not decompress to what it was; memory may be faulty"
            )
        return CODEC_ZSTD, payload


def compressed_size(payload: memoryview, plain_length: int) -> int:
    """Length of the zstd frame at the start of `payload`.

    0 unless it states `plain_length` as its content size, and needs no dictionary and no window
    above 8 MiB: the library asks for the latter only where it has no room for all of a frame.

    The library neither reports nor refuses what follows a frame, so the block headers are walked
    here (RFC 8878, 3.1.1).
    """
    try:
        parameters = zstandard.get_frame_parameters(payload)
        position = zstandard.frame_header_size(payload)
    except zstandard.ZstdError:
        return 0
    is_known = parameters.content_size == plain_length and parameters.dict_id == 0
    if not is_known or parameters.window_size > _WINDOW_MAX:
        return 0
    last = False
    while not last:
        header = int.from_bytes(payload[position : position + _BLOCK_HEADER_SIZE], "little")
        last = bool(header & 1)
        position += _BLOCK_HEADER_SIZE + (1 if (header >> 1) & 3 == _RLE else header >> 3)
        if position > len(payload):
            return 0
    return position + (4 if parameters.has_checksum else 0)
