"""What becomes of a frame on its way from one store to another: checked, and kept or reduced.

Between stores of one owner a frame goes as it is; what the copied snapshot does not use of it is
garbage in the target. To another owner nothing goes that the snapshot does not contain.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from amictl.content.compressing import Compressor, Decompressor
from amictl.content.naming import chunk_name
from amictl.errors import CorruptStoreError
from amictl.formats import frame as frame_format
from amictl.formats.frame import HEADER_SIZE, PLAIN_SIZE_MAX, Frame
from amictl.model.blockmap import Name

STORED_SIZE_MAX = PLAIN_SIZE_MAX + HEADER_SIZE + 65_536
"""More bytes than any frame has as it is stored."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A frame as the target is to have it: its stored bytes, and the names of its chunks.

    `unused` are plain lengths of chunks in it that were not asked for; `needed` are chunks without
    which it cannot be decoded.
    """

    data: bytes
    names: tuple[Name, ...]
    unused: dict[Name, int]
    needed: tuple[Name, ...]


class Carrier(Protocol):
    """One for each thread, because it uses its buffers again."""

    def carry(self, stored: bytearray, used: Set[Name]) -> Carried:
        """The frame for the target; `used` are all chunks that the segment has.

        Raises CorruptStoreError unless every chunk in it is what its name says, UnsupportedError.
        """
        ...


class WholeFrames:
    """Frames go as they are stored."""

    def __init__(self) -> None:
        self._opener = _Opener()

    def carry(self, stored: bytearray, used: Set[Name]) -> Carried:
        return _whole(stored, self._opener.open(stored)[0], used)


class UsedChunks:
    """Frames that hold something else too are made anew without it."""

    def __init__(self, compression_level: int) -> None:
        self._opener = _Opener()
        self._compressor = Compressor(compression_level)

    def carry(self, stored: bytearray, used: Set[Name]) -> Carried:
        frame, plain = self._opener.open(stored)
        if used >= set(frame.names):
            return _whole(stored, frame, used)
        bounds = list(accumulate(frame.lengths, initial=0))
        kept = [at for at, name in enumerate(frame.names) if name in used]
        if not kept:
            raise CorruptStoreError("the frame does not hold what the index says")
        content = b"".join(plain[bounds[at] : bounds[at + 1]] for at in kept)
        codec, payload = self._compressor.encode(memoryview(content))
        names = tuple(frame.names[at] for at in kept)
        lengths = [frame.lengths[at] for at in kept]
        return Carried(frame_format.encode(names, lengths, codec, payload), names, {}, ())


def carrier_for(
    source_owner: str, target_owner: str, compression_level: int
) -> Callable[[], Carrier]:
    """How frames go from one owner's store to another's: what makes a carrier for each thread."""
    if source_owner == target_owner:
        return WholeFrames
    return lambda: UsedChunks(compression_level)


class _Opener:
    """Decodes frames and checks every chunk against its name."""

    def __init__(self) -> None:
        self._decompressor = Decompressor()
        self._plain = memoryview(bytearray(PLAIN_SIZE_MAX))

    def open(self, stored: bytearray) -> tuple[Frame, memoryview]:
        """The frame and its plain bytes, which are good until the next call."""
        frame = frame_format.decode(stored)
        plain = self._plain[: frame.plain_length]
        self._decompressor.decode_into(frame.codec, frame.payload, plain)
        position = 0
        for name, length in zip(frame.names, frame.lengths, strict=True):
            if chunk_name(plain[position : position + length]) != name:
                raise CorruptStoreError(f"chunk {name.hex()} has other content")
            position += length
        return frame, plain


def _whole(stored: bytearray, frame: Frame, used: Set[Name]) -> Carried:
    pairs = zip(frame.names, frame.lengths, strict=True)
    unused = {name: length for name, length in pairs if name not in used}
    return Carried(bytes(stored), frame.names, unused, frame.needed)
