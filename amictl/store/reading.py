"""Reading segments back: index, frames, decompression, and every chunk checked against its name."""

from dataclasses import dataclass
from itertools import accumulate, groupby

from amictl.content.compressing import Decompressor
from amictl.content.naming import chunk_name
from amictl.errors import CorruptStoreError, ObjectMissingError
from amictl.formats import frame as frame_format
from amictl.formats.frame import PLAIN_SIZE_MAX, Frame
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, Name
from amictl.store import layout
from amictl.store.index import ABSENT, Found
from amictl.store.store import Store

_STORED_SIZE_MAX = PLAIN_SIZE_MAX + 65_536
_READ_GAP_MAX = 16_384


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes of a segment that cannot be had, and why."""

    start: int
    stop: int
    reason: str


@dataclass(slots=True)
class _Wanted:
    """One chunk of a leaf, and where it is stored."""

    start: int
    stop: int
    name: Name
    pack: int
    offset: int
    length: int
    position: int


class SegmentReader:
    """Reads segments; one for each thread, because it uses its buffers again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._decompressor = Decompressor()
        self._stored = memoryview(bytearray(SEGMENT_SIZE))
        self._plain = memoryview(bytearray(PLAIN_SIZE_MAX))
        self.buffer = memoryview(bytearray(SEGMENT_SIZE))

    def read(self, leaf: Leaf) -> list[Fault]:
        """Decode a leaf's chunks into `buffer`, at their places in the segment.

        Runs of zeros are not touched: see `data_ranges`. Returns what could not be read; the
        buffer holds nothing to be trusted there.
        """
        names = [name for name in leaf.names if name is not None]
        if not names:
            return []
        wanted, faults = _chunks_wanted(leaf, self._store.index.find_many(names))
        faults += self._read(wanted)
        if faults:
            # Somebody may have moved packs since CURRENT was loaded, or a copy is intact elsewhere.
            self._store.reload_index()
            faults = [fault for fault in faults if not self._read_elsewhere(leaf, fault)]
        return faults

    def _read(self, wanted: list[_Wanted]) -> list[Fault]:
        faults: list[Fault] = []
        wanted.sort(key=lambda chunk: (chunk.pack, chunk.offset))
        for batch in _batches(wanted):
            self._read_batch(batch, faults)
        return faults

    def _read_elsewhere(self, leaf: Leaf, fault: Fault) -> bool:
        """Try every place of the one chunk that a fault is about."""
        name = leaf.names[list(accumulate(leaf.lengths, initial=0)).index(fault.start)]
        assert name is not None
        for place in self._store.index.places(name):
            chunk = _Wanted(
                fault.start,
                fault.stop,
                name,
                place.pack,
                place.offset,
                place.length,
                place.position,
            )
            if place.length <= _STORED_SIZE_MAX and not self._read([chunk]):
                return True
        return False

    def _read_batch(self, batch: list[_Wanted], faults: list[Fault]) -> None:
        """Chunks whose frames stand next to each other in one pack: one read."""
        begin = batch[0].offset
        stored = self._stored[: batch[-1].offset + batch[-1].length - begin]
        try:
            row = self._store.index.packs.get(batch[0].pack)
            if row is None:
                raise ObjectMissingError(f"pack number {batch[0].pack} is not in the index")
            place = layout.pack(row.pack_id)
            self._store.storage.read_into(place, begin, stored)
        except CorruptStoreError as error:
            faults += [Fault(chunk.start, chunk.stop, error.message) for chunk in batch]
            return
        for offset, group in groupby(batch, key=lambda chunk: chunk.offset):
            chunks = list(group)
            data = stored[offset - begin : offset - begin + chunks[0].length]
            try:
                self._decode(frame_format.decode(data), chunks, faults)
            except CorruptStoreError as error:
                reason = f"{error.message} ({place}, offset {offset})"
                faults += [Fault(chunk.start, chunk.stop, reason) for chunk in chunks]

    def _decode(self, frame: Frame, chunks: list[_Wanted], faults: list[Fault]) -> None:
        bounds = [0]
        for length in frame.lengths:
            bounds.append(bounds[-1] + length)
        target = self._in_place(frame, chunks)
        plain = self._plain[: bounds[-1]] if target is None else target
        self._decompressor.decode_into(frame.codec, frame.payload, plain)
        for chunk in chunks:
            if chunk.position >= len(frame.names):
                raise CorruptStoreError("a frame has fewer chunks than the index says")
            start, stop = bounds[chunk.position], bounds[chunk.position + 1]
            content = plain[start:stop]
            if stop - start != chunk.stop - chunk.start or chunk_name(content) != chunk.name:
                faults.append(
                    Fault(chunk.start, chunk.stop, f"chunk {chunk.name.hex()} has other content")
                )
            elif target is None:
                self.buffer[chunk.start : chunk.stop] = content

    def _in_place(self, frame: Frame, chunks: list[_Wanted]) -> memoryview | None:
        """The part of the buffer that the frame fills exactly, if it does: then nothing
        is copied."""
        if len(chunks) != len(frame.names):
            return None
        for position, chunk in enumerate(chunks):
            if chunk.position != position or (
                position and chunk.start != chunks[position - 1].stop
            ):
                return None
        first, last = chunks[0].start, chunks[-1].stop
        return self.buffer[first:last] if last - first == frame.plain_length else None


def data_ranges(leaf: Leaf) -> list[tuple[int, int]]:
    """Start and stop, in the segment, of each stretch between runs of zeros."""
    ranges: list[tuple[int, int]] = []
    position = 0
    for length, name in zip(leaf.lengths, leaf.names, strict=True):
        if name is not None:
            if ranges and ranges[-1][1] == position:
                ranges[-1] = (ranges[-1][0], position + length)
            else:
                ranges.append((position, position + length))
        position += length
    return ranges


def _chunks_wanted(leaf: Leaf, found: Found) -> tuple[list[_Wanted], list[Fault]]:
    """What to read for a leaf, and what is not in the index."""
    wanted: list[_Wanted] = []
    faults: list[Fault] = []
    places = zip(
        found.packs.tolist(),
        found.offsets.tolist(),
        found.lengths.tolist(),
        found.positions.tolist(),
        strict=True,
    )
    start = 0
    for length, name in zip(leaf.lengths, leaf.names, strict=True):
        stop = start + length
        if name is not None:
            pack, offset, stored, position = next(places)
            if pack == ABSENT:
                faults.append(Fault(start, stop, f"chunk {name.hex()} is not in the index"))
            elif stored > _STORED_SIZE_MAX:
                faults.append(
                    Fault(start, stop, f"the index gives chunk {name.hex()} an impossible length")
                )
            else:
                wanted.append(_Wanted(start, stop, name, pack, offset, stored, position))
        start = stop
    return wanted, faults


def _batches(wanted: list[_Wanted]) -> list[list[_Wanted]]:
    """Neighbours in a pack go together, up to the size of the buffer."""
    batches: list[list[_Wanted]] = []
    for chunk in wanted:
        if batches:
            batch = batches[-1]
            end = batch[-1].offset + batch[-1].length
            near = batch[-1].pack == chunk.pack and chunk.offset <= end + _READ_GAP_MAX
            if near and chunk.offset + chunk.length - batch[0].offset <= SEGMENT_SIZE:
                batch.append(chunk)
                continue
        batches.append([chunk])
    return batches
