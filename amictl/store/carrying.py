"""What becomes of a frame on its way from one store to another: checked, and kept or made anew.

Between stores of one owner, and inside a domain, a frame goes as it is; what the copied snapshot
does not use of it is garbage in the target. To another owner, and into another domain, nothing
goes that the snapshot does not contain.
"""

from collections.abc import Set
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from amictl.content.compressing import Compressor, Decompressor
from amictl.content.domains import Domain, RandomBytes, SealedDomain
from amictl.content.naming import chunk_name
from amictl.content.resealing import resealed_frame
from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats import frame as frame_format
from amictl.formats.frame import (
    CODEC_STORED,
    CODEC_ZSTD,
    HEADER_SIZE,
    PLAIN_SIZE_MAX,
    ClearFrame,
    Frame,
)
from amictl.formats.framing import PLAIN_DOMAIN, Buffer
from amictl.model.blockmap import Name

STORED_SIZE_MAX = PLAIN_SIZE_MAX + HEADER_SIZE + 65_536
"""More bytes than any frame has as it is stored."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A frame as the target is to have it: its stored bytes, and the names of its chunks there.

    `brought` are the names of the same chunks in the source. `unused` are plain lengths of chunks
    in it that were not asked for, as far as they can be seen; `needed` are chunks without which it
    cannot be decoded.
    """

    data: Buffer
    names: tuple[Name, ...]
    brought: tuple[Name, ...]
    unused: dict[Name, int]
    needed: tuple[Name, ...]


class Carrier(Protocol):
    """One for each thread, because it uses its buffers again."""

    def carry(self, stored: Buffer, used: Set[Name]) -> Carried:
        """The frame for the target; `used` are the names of all chunks that the segment has.

        Raises CorruptStoreError unless every chunk in it is what its name says, as far as that
        can be seen; UnsupportedError.
        """
        ...


class WholeFrames:
    """Frames of a domain go as they are stored."""

    def __init__(self, domain: Domain) -> None:
        self._opener = _Opener(domain)

    def carry(self, stored: Buffer, used: Set[Name]) -> Carried:
        return _whole(stored, self._opener.open(_clear_part(stored, self._opener.domain.id)), used)


class UnopenedFrames:
    """The same without the key: only checksums are compared."""

    def __init__(self, domain_id: bytes) -> None:
        self._domain_id = domain_id

    def carry(self, stored: Buffer, used: Set[Name]) -> Carried:
        clear = _clear_part(stored, self._domain_id)
        return Carried(bytes(stored), clear.names, clear.names, {}, clear.needed)


class UsedChunks:
    """Frames that hold something else too are made anew without it, in the same domain."""

    def __init__(self, domain: Domain, compression_level: int, random_bytes: RandomBytes) -> None:
        self._opener = _Opener(domain)
        self._reduced = _Reduced(self._opener, domain, compression_level, random_bytes)

    def carry(self, stored: Buffer, used: Set[Name]) -> Carried:
        clear = _clear_part(stored, self._opener.domain.id)
        if used >= set(clear.names):
            return _whole(stored, self._opener.open(clear), used)
        return self._reduced.carry(clear, used)


class ResealedFrames:
    """Frames are sealed in another domain.

    One whose chunks are all used keeps its payload, which is neither decoded nor named again:
    what was sealed is what somebody with its key sealed under these names.
    """

    def __init__(
        self, source: Domain, target: SealedDomain, compression_level: int, random: RandomBytes
    ) -> None:
        self._source = source
        self._target = target
        self._random = random
        self._reduced = _Reduced(_Opener(source), target, compression_level, random)

    def carry(self, stored: Buffer, used: Set[Name]) -> Carried:
        clear = _clear_part(stored, self._source.id)
        # What it needs is resolved: it is made anew without needing anything.
        if clear.needed or not used >= set(clear.names):
            return self._reduced.carry(clear, used)
        if clear.codec not in (CODEC_STORED, CODEC_ZSTD):
            raise UnsupportedError(f"a frame has codec {clear.codec}", hint="use a newer amictl")
        names, data = resealed_frame(clear, self._source, self._target, self._random)
        return Carried(data, names, clear.names, {}, ())


class _Reduced:
    """Makes frames anew with only those of their chunks that are used."""

    def __init__(
        self, opener: "_Opener", target: Domain, compression_level: int, random_bytes: RandomBytes
    ) -> None:
        self._opener = opener
        self._target = target
        self._compressor = Compressor(compression_level)
        self._random_bytes = random_bytes

    def carry(self, clear: ClearFrame, used: Set[Name]) -> Carried:
        frame, plain = self._opener.open(clear)
        bounds = list(accumulate(frame.lengths, initial=0))
        kept = [at for at, name in enumerate(frame.names) if name in used]
        if not kept:
            raise CorruptStoreError("the frame does not hold what the index says")
        content = b"".join(plain[bounds[at] : bounds[at + 1]] for at in kept)
        codec, payload = self._compressor.encode(memoryview(content))
        # In the plain domain a frame has one kind of names only.
        plain_names = [(frame.plain_names or frame.names)[at] for at in kept]
        names = tuple(self._target.stored_names(plain_names))
        made = Frame(
            names,
            tuple(frame.lengths[at] for at in kept),
            codec,
            memoryview(payload),
            plain_names=tuple(plain_names),
        )
        data = self._target.encode_frame(made, self._random_bytes)
        return Carried(data, names, tuple(frame.names[at] for at in kept), {}, ())


class _Opener:
    """Decodes frames of a domain and checks every chunk against its names."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._decompressor = Decompressor()
        self._plain = memoryview(bytearray(PLAIN_SIZE_MAX))

    def open(self, clear: ClearFrame) -> tuple[Frame, memoryview]:
        """The frame and its plain bytes, which are good until the next call."""
        frame = self.domain.decode_frame(clear)
        plain = self._plain[: frame.plain_length]
        self._decompressor.decode_into(frame.codec, frame.payload, plain)
        _require_names(self.domain, frame)
        position = 0
        for name, length in zip(frame.plain_names or frame.names, frame.lengths, strict=True):
            if chunk_name(plain[position : position + length]) != name:
                raise CorruptStoreError(f"chunk {name.hex()} has other content")
            position += length
        return frame, plain


def _clear_part(stored: Buffer, domain_id: bytes) -> ClearFrame:
    clear = frame_format.clear_part(stored)
    if clear.domain != domain_id:
        raise CorruptStoreError("a frame is of another domain than its snapshot")
    return clear


def _require_names(domain: Domain, frame: Frame) -> None:
    """Raises CorruptStoreError unless its stored names are those of its plain ones."""
    if domain.id != PLAIN_DOMAIN:
        right = domain.stored_names(frame.plain_names)
        if tuple(right) != frame.names:
            raise CorruptStoreError("a frame's stored names do not go with its plain ones")


def _whole(stored: Buffer, opened: tuple[Frame, memoryview], used: Set[Name]) -> Carried:
    frame = opened[0]
    pairs = zip(frame.names, frame.lengths, strict=True)
    unused = {name: length for name, length in pairs if name not in used}
    return Carried(bytes(stored), frame.names, frame.names, unused, frame.needed)
