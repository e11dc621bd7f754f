"""Segments of a snapshot as zstd frames for a member: taken over from the store, or made anew."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from amictl.content.compressing import Compressor
from amictl.content.naming import fingerprint
from amictl.errors import CorruptStoreError
from amictl.formats.archive_map import STORED_EXCESS_MAX, raw_frame
from amictl.formats.frame import CODEC_STORED, Frame
from amictl.model.archives import FRAME_PLAIN_MAX, SEGMENT_FRAMES_MAX, Blank, FramePlace
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, Name
from amictl.model.records import SnapshotCore
from amictl.store.filling import damage_of
from amictl.store.lineages import lineage_of
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import map_of, read_leaf_at

REUSE_ALL = 0.0
REUSE_HALF = 0.5
REUSE_NONE = 2.0
"""From which share of a segment's data on frames of the store are taken over: more than all of it
is never.
"""


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """A segment for a member. `segment` is its leaf with plain names, or says that it is blank.

    `frames` say what is in `data`, one after the other; a blank one has none.
    """

    index: int
    segment: Leaf | Blank
    frames: tuple[FramePlace, ...] = ()
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class _Made:
    """A frame, and the bytes of the segment that it decodes to."""

    begin: int
    end: int
    data: bytes


class SegmentPacker:
    """Packs the segments of one snapshot; one for each thread, because it uses its buffers again.

    `reuse_from` is the share of a segment's data from which on frames of the store are taken over.
    """

    def __init__(self, store: Store, core: SnapshotCore, reuse_from: float) -> None:
        self._store = store
        self._core = core
        self._map = map_of(core)
        self._domain = store.domain(core.domain)
        self._key = lineage_of(store, core).fingerprint_key
        self._reuse_from = reuse_from
        self._whole: list[_Made] = []
        self._reader = SegmentReader(store, self._keep)
        self._compressor = Compressor(store.config.compression_level, FRAME_PLAIN_MAX)

    def pack(self, index: int, name: Name) -> PackedSegment:
        """Everything in it is compared with its names.

        Raises CorruptStoreError, which names the damaged ranges; StorageError.
        """
        first = index * SEGMENT_SIZE
        try:
            leaf = read_leaf_at(self._store, self._map, index, name)
        except CorruptStoreError as error:
            stop = min(first + SEGMENT_SIZE, self._core.size_bytes)
            raise damage_of(self._core, [(first, stop, error.message)]) from error
        self._whole.clear()
        faults = self._reader.read(leaf)
        if faults:
            ranges = [(first + fault.start, first + fault.stop, fault.reason) for fault in faults]
            raise damage_of(self._core, ranges)
        plain = self._cleaned(leaf)
        if not self._is_described(leaf, plain):
            reason = "the leaf of the segment says something else than its chunks"
            raise damage_of(self._core, [(first, first + len(plain), reason)])
        if leaf.zero_length == len(plain):
            return PackedSegment(index, Blank.ZEROS)
        frames = list(self._frames(plain, self._reused(leaf)))
        if len(frames) > SEGMENT_FRAMES_MAX:
            frames = list(self._frames(plain, []))
        return PackedSegment(
            index,
            replace(leaf, names=leaf.plain_names),
            tuple(FramePlace(len(frame.data), frame.end - frame.begin) for frame in frames),
            b"".join(frame.data for frame in frames),
        )

    def _keep(self, begin: int, frame: Frame) -> None:
        stored = frame.codec == CODEC_STORED
        data = raw_frame(frame.payload) if stored else bytes(frame.payload)
        if len(data) > frame.plain_length + STORED_EXCESS_MAX:
            return  # nothing that amictl wrote
        self._whole.append(_Made(begin, begin + frame.plain_length, data))

    def _cleaned(self, leaf: Leaf) -> memoryview:
        """The bytes of the segment, also where there are runs of zeros."""
        plain = self._reader.buffer[: leaf.plain_length]
        position = 0
        for start, stop in [*data_ranges(leaf), (len(plain), len(plain))]:
            plain[position:start] = bytes(start - position)
            position = stop
        return plain

    def _is_described(self, leaf: Leaf, plain: memoryview) -> bool:
        """Whether plain names and fingerprint, by which a reader goes, are right.

        The stored names are known to be those of the content.
        """
        stored = [name for name in leaf.names if name is not None]
        named = [name for name in leaf.plain_names if name is not None]
        right = len(named) == len(stored) and list(self._domain.stored_names(named)) == stored
        return right and fingerprint(plain, self._key) == leaf.fingerprint

    def _reused(self, leaf: Leaf) -> list[_Made]:
        """The frames that are taken over, in order."""
        data = leaf.plain_length - leaf.zero_length
        found = sum(frame.end - frame.begin for frame in self._whole)
        if found < data * self._reuse_from:
            return []
        return sorted(self._whole, key=lambda frame: frame.begin)

    def _frames(self, plain: memoryview, reused: list[_Made]) -> Iterator[_Made]:
        """Frames that decode to the segment: those, and what is made for the gaps between."""
        position = 0
        for frame in reused:
            yield from self._made(plain, position, frame.begin)
            yield frame
            position = frame.end
        yield from self._made(plain, position, len(plain))

    def _made(self, plain: memoryview, begin: int, stop: int) -> Iterator[_Made]:
        """Frames for a range, cut at whole MiB of the disk."""
        while begin < stop:
            end = min(stop, begin - begin % FRAME_PLAIN_MAX + FRAME_PLAIN_MAX)
            codec, payload = self._compressor.encode(plain[begin:end])
            data = raw_frame(payload) if codec == CODEC_STORED else bytes(payload)
            yield _Made(begin, end, data)
            begin = end
