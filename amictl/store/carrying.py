"""What becomes of a frame on its way from one store to another: checked, and kept or made anew.

Between stores of one owner, and inside a domain, a frame goes as it is; what the copied snapshot
does not use of it is garbage in the target. To another owner, and into another domain, nothing
goes that the snapshot does not contain.
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple, Protocol

from amictl.content.compressing import Compressor, Decompressor
from amictl.content.domains import Domain, RandomBytes, SealedDomain
from amictl.content.naming import chunk_name
from amictl.content.resealing import ChunkNames, reseal_frame
from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats import frame as frame_format
from amictl.formats.frame import (
    CODEC_STORED,
    CODEC_ZSTD,
    PLAIN_SIZE_MAX,
    ClearFrame,
    Frame,
)
from amictl.formats.framing import PLAIN_DOMAIN, Buffer
from amictl.model.blockmap import Name

_NOTHING: Mapping[Name, int] = {}


class Carried(NamedTuple):
    """A frame as the target is to have it: how long it is, and the names of its chunks there.

    `brought` are the names of the same chunks in the source. `unused` are plain lengths of chunks
    in it that were not asked for, as far as they can be seen; `needed` are chunks without which it
    cannot be decoded.
    """

    size: int
    names: tuple[Name, ...]
    brought: tuple[Name, ...]
    unused: Mapping[Name, int] = _NOTHING
    needed: tuple[Name, ...] = ()


class Carrier(Protocol):
    """One for each thread, because it uses its buffers again."""

    def carry(self, stored: memoryview, used: ChunkNames, space: memoryview) -> Carried:
        """Write the frame for the target to the beginning of `space`, which has STORED_SIZE_MAX.

        `used` are all chunks that the segment has. Raises CorruptStoreError unless every chunk in
        the frame is what its name says, as far as that can be seen; UnsupportedError.
        """
        ...


class WholeFrames:
    """Frames of a domain go as they are stored."""

    def __init__(self, domain: Domain) -> None:
        self._opener = _Opener(domain)

    def carry(self, stored: memoryview, used: ChunkNames, space: memoryview) -> Carried:
        opened = self._opener.open(_clear_part(stored, self._opener.domain.id))
        return _whole(stored, opened, used, space)


class UnopenedFrames:
    """The same without the key: only checksums are compared."""

    def __init__(self, domain_id: bytes) -> None:
        self._domain_id = domain_id

    def carry(self, stored: memoryview, used: ChunkNames, space: memoryview) -> Carried:
        clear = _clear_part(stored, self._domain_id)
        size = _put(stored, space)
        return Carried(size, clear.names, clear.names, needed=clear.needed)


class UsedChunks:
    """Frames that hold something else too are made anew without it, in the same domain."""

    def __init__(self, domain: Domain, compression_level: int, random_bytes: RandomBytes) -> None:
        self._opener = _Opener(domain)
        self._reduced = _Reduced(self._opener, domain, compression_level, random_bytes)

    def carry(self, stored: memoryview, used: ChunkNames, space: memoryview) -> Carried:
        clear = _clear_part(stored, self._opener.domain.id)
        if used.keys() >= set(clear.names):
            return _whole(stored, self._opener.open(clear), used, space)
        return self._reduced.carry(clear, used, space)


class ResealedFrames:
    """Frames are sealed in another domain.

    One whose chunks are all used keeps its payload, which is neither decoded nor named again:
    what was sealed is what somebody with its key sealed under these names.
    """

    def __init__(
        self, source: Domain, target: SealedDomain, compression_level: int, random: RandomBytes
    ) -> None:
        self._domains = source, target
        self._random = random
        self._reduced = _Reduced(_Opener(source), target, compression_level, random)

    def carry(self, stored: memoryview, used: ChunkNames, space: memoryview) -> Carried:
        clear = _clear_part(stored, self._domains[0].id)
        # What it needs is resolved: it is made anew without needing anything.
        if clear.needed or not used.keys() >= set(clear.names):
            return self._reduced.carry(clear, used, space)
        if clear.codec not in (CODEC_STORED, CODEC_ZSTD):
            raise UnsupportedError(f"a frame has codec {clear.codec}", hint="use a newer amictl")
        names, size = reseal_frame(clear, used, self._domains, self._random, space)
        return Carried(size, names, clear.names)


class _Reduced:
    """Makes frames anew with only those of their chunks that are used."""

    def __init__(
        self, opener: "_Opener", target: Domain, compression_level: int, random_bytes: RandomBytes
    ) -> None:
        self._opener = opener
        self._target = target
        self._compressor = Compressor(compression_level)
        self._random_bytes = random_bytes

    def carry(self, clear: ClearFrame, used: ChunkNames, space: memoryview) -> Carried:
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
        size = _put(self._target.encode_frame(made, self._random_bytes), space)
        return Carried(size, names, tuple(frame.names[at] for at in kept))


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


def _clear_part(stored: memoryview, domain_id: bytes) -> ClearFrame:
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


def _whole(
    stored: memoryview, opened: tuple[Frame, memoryview], used: ChunkNames, space: memoryview
) -> Carried:
    frame = opened[0]
    pairs = zip(frame.names, frame.lengths, strict=True)
    unused = {name: length for name, length in pairs if name not in used}
    return Carried(_put(stored, space), frame.names, frame.names, unused, frame.needed)


def _put(data: Buffer, space: memoryview) -> int:
    """Put bytes at the beginning; how many."""
    if len(data) > len(space):
        raise CorruptStoreError("a frame has an impossible length")
    space[: len(data)] = data
    return len(data)
