"""Segments from elsewhere: what is said of them is compared with what they are, and what is new
is stored.

Whoever sends a segment says what its leaf is. A leaf that the store has is there with everything
below it, and nothing of the segment is asked for. Otherwise each frame is decoded, each chunk
compared with its name, the whole with its fingerprint; a frame that holds whole chunks, all new,
is stored as it came, so that nothing is compressed again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import NamedTuple

from amictl.content.compressing import Decompressor
from amictl.content.naming import chunk_name, fingerprint
from amictl.errors import CorruptStoreError
from amictl.formats.frame import CODEC_STORED, CODEC_ZSTD, PLAIN_SIZE_MAX
from amictl.model.blockmap import SEGMENT_SIZE, Leaf
from amictl.progress import Progress
from amictl.store.lineages import Lineage
from amictl.store.map_making import Ingested, MapMaking, StoredSegment
from amictl.store.new_chunks import Chunk, FrameStorer
from amictl.store.parallel import PerThread
from amictl.store.writing import Writer

_ZEROS = bytes(SEGMENT_SIZE)


class DamagedSegmentError(CorruptStoreError):
    """What arrived is not what its sender said; the message names the range of the volume."""


class ArrivingFrame(NamedTuple):
    """One zstd frame, and the length of what it decodes to."""

    payload: memoryview
    plain_length: int


@dataclass(frozen=True, slots=True)
class Arriving:
    """A segment as its sender says it is. The names in `leaf` are plain ones.

    `load` gives the frames that decode to all of it, in order; it is called in another thread, or
    not at all.
    """

    index: int
    leaf: Leaf
    load: Callable[[], Sequence[ArrivingFrame]]


@contextmanager
def naming_segment(index: int, length: int) -> Iterator[None]:
    """What is damaged in the block is damage of a segment of so many bytes."""
    try:
        yield
    except CorruptStoreError as error:
        start = index * SEGMENT_SIZE
        raise DamagedSegmentError(f"bytes {start} to {start + length}: {error.message}") from error


class SegmentOpener:
    """Decodes segments and compares them with their leaves; one for each thread."""

    def __init__(self, fingerprint_key: bytes) -> None:
        self._key = fingerprint_key
        self._decompressor = Decompressor()
        self._buffer = memoryview(bytearray(SEGMENT_SIZE))

    def open(self, leaf: Leaf, frames: Sequence[ArrivingFrame]) -> memoryview:
        """The bytes of a segment, good until the next call; `leaf` has plain names.

        Raises CorruptStoreError if anything in them is not as the leaf says.
        """
        _require_lengths(leaf)
        data = self._buffer[: leaf.plain_length]
        position = 0
        for payload, length in frames:
            target = data[position : position + length]
            if len(target) != length:
                raise CorruptStoreError("its frames are longer than it is")
            self._decompressor.decode_into(CODEC_ZSTD, payload, target)
            position += length
        if position != len(data):
            raise CorruptStoreError("its frames are shorter than it is")
        _require_pieces(leaf, data)
        if fingerprint(data, self._key) != leaf.fingerprint:
            raise CorruptStoreError("its content has another fingerprint")
        return data


class _Worker:
    """What one thread uses again for every segment."""

    def __init__(self, opener: SegmentOpener, storer: FrameStorer) -> None:
        self.opener = opener
        self.storer = storer


class Receiving:
    """Receives one volume; made for a single `run`. `what` names the work for `progress`."""

    def __init__(
        self, writer: Writer, lineage: Lineage, size_bytes: int, what: str, progress: Progress
    ) -> None:
        self._writer = writer
        self._domain = writer.store.domain(lineage.domain)
        self._making = MapMaking(writer, self._domain, size_bytes, what, progress)
        self._workers = PerThread(
            lambda: _Worker(
                SegmentOpener(lineage.fingerprint_key), FrameStorer(writer, self._domain)
            )
        )

    def run(self, segments: Iterator[Arriving], threads: int) -> Ingested:
        """Store all segments that hold anything, in ascending order, and build the map.

        Raises DamagedSegmentError, what `segments` and `load` raise, and what the store does.
        Nodes and frames are not yet all published.
        """
        return self._making.run(self._segment, segments, threads)

    def is_known(self, leaf: Leaf) -> bool:
        """Whether the store has a segment by now, so that it will not be loaded.

        The names in `leaf` are plain ones.
        """
        named = self._named(leaf)
        names, _ = self._domain.encode_node(named, self._writer.random_bytes)
        return self._writer.has_leaf(names.stored, named)

    def _segment(self, arriving: Arriving) -> StoredSegment:
        leaf = self._named(arriving.leaf)
        names, node = self._domain.encode_node(leaf, self._writer.random_bytes)
        zero = leaf.zero_length
        filled = leaf.plain_length - zero
        if self._writer.has_leaf(names.stored, leaf):
            return StoredSegment(arriving.index, names, 0, filled, zero)
        new = 0
        if filled:
            frames = arriving.load()
            with naming_segment(arriving.index, leaf.plain_length):
                data = self._workers.get().opener.open(leaf, frames)
            new = self._store_content(leaf, data, frames)
        self._writer.add_stored_node(names.stored, node)
        return StoredSegment(arriving.index, names, new, filled - new, zero)

    def _named(self, leaf: Leaf) -> Leaf:
        """The leaf with the names that its chunks have in the domain of the store."""
        plain = [name for name in leaf.plain_names if name is not None]
        following = iter(self._domain.stored_names(plain))
        stored = tuple(None if name is None else next(following) for name in leaf.plain_names)
        return replace(leaf, names=stored)

    def _store_content(self, leaf: Leaf, data: memoryview, frames: Sequence[ArrivingFrame]) -> int:
        """How many bytes were new."""
        storer = self._workers.get().storer
        chunks = list(_chunks(leaf))
        new = self._writer.claim_new([chunk.stored for chunk in chunks])
        count = sum(
            chunk.stop - chunk.start for chunk, is_new in zip(chunks, new, strict=True) if is_new
        )
        made = []
        for first, stop, payload in _reusable(chunks, new, frames):
            own = chunks[first:stop]
            plain = data[own[0].start : own[-1].stop]
            new[first:stop] = [False] * len(own)
            # As a compressor of ours decides it.
            if len(payload) + len(plain) // 32 >= len(plain):
                made.append(storer.frame(own, CODEC_STORED, plain))
            else:
                made.append(storer.frame(own, CODEC_ZSTD, payload))
        storer.store(data, chunks, new, made)
        return count


def _require_lengths(leaf: Leaf) -> None:
    """Raises CorruptStoreError for a chunk that no frame could hold."""
    pieces = zip(leaf.lengths, leaf.plain_names, strict=True)
    if any(length > PLAIN_SIZE_MAX for length, name in pieces if name is not None):
        raise CorruptStoreError("a chunk is longer than any is cut")


def _require_pieces(leaf: Leaf, data: memoryview) -> None:
    """Raises CorruptStoreError unless each piece of a segment is what its plain name says."""
    position = 0
    for length, name in zip(leaf.lengths, leaf.plain_names, strict=True):
        piece = data[position : position + length]
        # One memcmp; comparing memoryviews would go item by item.
        if name is None and not _ZEROS.startswith(piece):
            raise CorruptStoreError("what should be zeros is not")
        if name is not None and chunk_name(piece) != name:
            raise CorruptStoreError(f"chunk {name.hex()} has other content")
        position += length


def _chunks(leaf: Leaf) -> Iterator[Chunk]:
    bounds = pairwise(accumulate(leaf.lengths, initial=0))
    for (start, stop), stored, plain in zip(bounds, leaf.names, leaf.plain_names, strict=True):
        if stored is not None and plain is not None:
            yield Chunk(start, stop, stored, plain)


def _reusable(
    chunks: Sequence[Chunk], new: Sequence[bool], frames: Sequence[ArrivingFrame]
) -> Iterator[tuple[int, int, memoryview]]:
    """First and last chunk, the latter not included, of each frame that holds nothing but whole
    chunks, all of them new; and the frame."""
    starts = {chunk.start: at for at, chunk in enumerate(chunks)}
    stops = {chunk.stop: at + 1 for at, chunk in enumerate(chunks)}
    position = 0
    for payload, length in frames:
        first, stop = starts.get(position), stops.get(position + length)
        position += length
        if first is None or stop is None or length > PLAIN_SIZE_MAX or not all(new[first:stop]):
            continue
        if sum(chunk.stop - chunk.start for chunk in chunks[first:stop]) == length:
            yield first, stop, payload
