"""Reading segments back: index, frames, decompression, and every chunk checked against its name.

A frame says itself which chunks it holds, so the index is asked once for each frame, not for each
chunk: neighbours in the volume were stored as neighbours.
"""

import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from amictl.content.compressing import Decompressor
from amictl.content.domains import PLAIN, Domain
from amictl.content.naming import chunk_name
from amictl.errors import CorruptStoreError
from amictl.formats import frame as frame_format
from amictl.formats.frame import PLAIN_SIZE_MAX, STORED_SIZE_MAX, Frame
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, Location, Name
from amictl.store.store import Store

_FRAMES_KEPT = 4

HEALING = (
    "amictl check-store --read-data names everything that is damaged, and records it: the next"
    " backup, copy or restore of the same content then stores it anew"
)
"""What to do about damage; until it is recorded, what is damaged counts as stored."""

Wanted = tuple[int, int, Name]
"""Start and stop of a chunk in its segment, and its name."""


OnWhole = Callable[[int, Frame], None]


def _ignore(begin: int, frame: Frame) -> None:
    """Nobody wants frames."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes of a segment that cannot be had, and why."""

    start: int
    stop: int
    reason: str


@dataclass(slots=True)
class _Kept:
    """A frame whose decoded bytes are kept for a while: what it holds may be wanted in parts."""

    place: tuple[int, int]
    domain: Domain
    names: tuple[Name, ...]
    bounds: list[int]
    plain: memoryview


class SegmentReader:
    """Reads segments; one for each thread, because it uses its buffers again.

    `on_whole` is told of each frame that fills a part of the segment exactly, with the place
    where it begins there; the frame is good until it returns.
    """

    def __init__(self, store: Store, on_whole: OnWhole = _ignore) -> None:
        self._store = store
        self._on_whole = on_whole
        self._decompressor = Decompressor()
        self._stored = memoryview(bytearray(STORED_SIZE_MAX))
        nowhere = (-1, -1)
        self._kept = [
            _Kept(nowhere, PLAIN, (), [], memoryview(bytearray(PLAIN_SIZE_MAX)))
            for _ in range(_FRAMES_KEPT)
        ]
        # Aligned to pages, so that it can be written to a disk without passing the cache.
        self.buffer = memoryview(mmap.mmap(-1, SEGMENT_SIZE))

    def read(self, leaf: Leaf) -> list[Fault]:
        """Decode a leaf's chunks into `buffer`, at their places in the segment.

        Runs of zeros are not touched: see `data_ranges`. Returns what could not be read; the
        buffer holds nothing to be trusted there.
        """
        bounds = list(accumulate(leaf.lengths, initial=0))
        wanted = [(bounds[at], bounds[at + 1], name) for at, name in enumerate(leaf.names) if name]
        faults: list[Fault] = []
        at = 0
        while at < len(wanted):
            place = self._store.index.find(wanted[at][2])
            count = 0
            if place is not None:
                try:
                    count = self._read_run(wanted, at, place, leaf.domain)
                except CorruptStoreError:
                    self._store.distrust(place)
                    count = 0
            if count == 0:
                fault = self._read_elsewhere(wanted, at, leaf.domain)
                faults += [fault] if fault else []
                count = 1
            at += count
        return faults

    def _read_elsewhere(self, wanted: Sequence[Wanted], at: int, domain: bytes) -> Fault | None:
        """Try every place of one chunk, after loading CURRENT again: packs may have moved."""
        start, stop, name = wanted[at]
        reason = f"chunk {name.hex()} is not in the index"
        for place in self._store.reload_index().places(name):
            try:
                self._read_run(wanted[at : at + 1], 0, place, domain)
            except CorruptStoreError as error:
                reason = f"{error.message} ({self._store.describe(place)})"
            else:
                return None
        return Fault(start, stop, reason)

    def _read_run(
        self, wanted: Sequence[Wanted], at: int, place: Location, domain_id: bytes
    ) -> int:
        """Read as many of the chunks from `at` on as follow each other in the frame at `place`.

        Returns how many, at least one. Raises CorruptStoreError if the first cannot be had there,
        in a frame of that domain.
        """
        for kept in self._kept:
            if kept.place == (place.pack, place.offset) and kept.domain.id == domain_id:
                count = _shared(wanted, at, kept.names, place.position)
                self._copy(kept, wanted[at : at + count], place.position)
                return count
        if place.length > STORED_SIZE_MAX:
            raise CorruptStoreError("the index gives a frame an impossible length")
        stored = self._stored[: place.length]
        self._store.read_into(place, stored)
        clear = frame_format.clear_part(stored)
        if clear.domain != domain_id:
            raise CorruptStoreError("a frame is of another domain than what it is read for")
        domain = self._store.domain(clear.domain.hex())
        frame = domain.decode_frame(clear)
        count = _shared(wanted, at, frame.names, place.position)
        run = wanted[at : at + count]
        begin, end = run[0][0], run[-1][1]
        if count == len(frame.names) and end - begin == frame.plain_length:
            # The frame fills a part of the buffer exactly: nothing is copied.
            self._decompressor.decode_into(frame.codec, frame.payload, self.buffer[begin:end])
            _require_names(run, self.buffer, domain)
            self._on_whole(begin, frame)
            return count
        kept = self._kept.pop()
        self._kept.insert(0, kept)
        kept.place = (-1, -1)
        kept.domain = domain
        kept.names = frame.names
        kept.bounds = list(accumulate(frame.lengths, initial=0))
        plain = kept.plain[: frame.plain_length]
        self._decompressor.decode_into(frame.codec, frame.payload, plain)
        kept.place = (place.pack, place.offset)
        self._copy(kept, run, place.position)
        return count

    def _copy(self, kept: _Kept, run: Sequence[Wanted], position: int) -> None:
        start, stop = kept.bounds[position], kept.bounds[position + len(run)]
        begin, end = run[0][0], run[-1][1]
        if stop - start != end - begin:
            raise CorruptStoreError(f"chunk {run[0][2].hex()} has another length")
        self.buffer[begin:end] = kept.plain[start:stop]
        _require_names(run, self.buffer, kept.domain)


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


def _shared(wanted: Sequence[Wanted], at: int, names: Sequence[Name], position: int) -> int:
    """How many chunks from `at` on stand in a frame from `position` on, without a gap in either.

    Raises CorruptStoreError if not even the first does.
    """
    if position >= len(names) or names[position] != wanted[at][2]:
        raise CorruptStoreError(f"the frame does not hold chunk {wanted[at][2].hex()}")
    count = 1
    most = min(len(wanted) - at, len(names) - position)
    while (
        count < most
        and names[position + count] == wanted[at + count][2]
        and wanted[at + count][0] == wanted[at + count - 1][1]
    ):
        count += 1
    return count


def _require_names(run: Sequence[Wanted], data: memoryview, domain: Domain) -> None:
    """Raises CorruptStoreError unless each chunk is what its name says."""
    names = domain.stored_names([chunk_name(data[start:stop]) for start, stop, _ in run])
    for (_, _, name), found in zip(run, names, strict=True):
        if found != name:
            raise CorruptStoreError(f"chunk {name.hex()} has other content")
