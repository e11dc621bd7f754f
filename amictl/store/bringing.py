"""Bringing the chunks of segments in the frames that hold them in the source, each frame once."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass

from amictl.errors import CorruptStoreError
from amictl.model.blockmap import Location, Name
from amictl.store.carrying import STORED_SIZE_MAX, Carried, Carrier
from amictl.store.parallel import PerThread
from amictl.store.passages import Chunk
from amictl.store.store import Store
from amictl.store.writing import Writer

_Frame = tuple[int, int]
"""Pack number and offset of a frame in the source."""

_Row = tuple[int, int, int, int]
"""A Location, of which there would be too many."""

_Came = dict[_Frame, frozenset[Name]]
"""The names that came with frames."""

_READ_SIZE = 2 * 1024 * 1024
"""So much is read at once at most, and added at once: about what a segment is as it is stored."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A frame, and what is wanted of it."""

    place: Location
    names: list[Name]


class Bringing:
    """Adds frames to the store of a writer; from many threads."""

    def __init__(self, source: Store, writer: Writer, carrier: Callable[[], Carrier]) -> None:
        self._source = source
        self._writer = writer
        self._carriers = PerThread(carrier)
        self._buffers = PerThread(lambda: memoryview(bytearray(_READ_SIZE)))
        self._lock = threading.Lock()
        self._taken: dict[_Frame, Future[_Came]] = {}
        self._unused: dict[Name, int] = {}

    def forget_frames(self) -> None:
        """All that came so far is in the index by now."""
        self._taken.clear()

    def take_unused(self) -> int:
        """Plain bytes that came along since the last call, and that no segment used meanwhile."""
        unused = sum(self._unused.values())
        self._unused.clear()
        return unused

    def bring(self, chunks: Sequence[Chunk]) -> int:
        """Bring what the target lacks of the chunks of one segment; returns its plain bytes.

        Raises CorruptStoreError.
        """
        used = {chunk.source for chunk in chunks}
        new = self._writer.claim_new([chunk.target for chunk in chunks]) if chunks else []
        missing = [chunk for chunk, is_new in zip(chunks, new, strict=True) if is_new]
        needed = self._bring([chunk.source for chunk in missing], used)
        # One step deep: what is needed needs nothing. It has the same name in the target, because
        # only frames that keep their bytes need something there.
        claimed = self._writer.claim_new(needed) if needed else []
        also = [one for one, is_new in zip(needed, claimed, strict=True) if is_new]
        self._bring(also, set(also))
        with self._lock:
            for name in used:
                self._unused.pop(name, None)
        return sum(chunk.length for chunk in missing)

    def _bring(self, missing: Sequence[Name], used: Set[Name]) -> list[Name]:
        """Bring chunks, by their names in the source; what else their frames need."""
        wanted: dict[_Frame, _Wanted] = {}
        lost: list[Name] = []
        for name, place in zip(missing, self._places(missing), strict=True):
            if place is None:
                lost.append(name)
                continue
            frame = place[:2]
            if frame not in wanted:
                wanted[frame] = _Wanted(Location(*place), [])
            wanted[frame].names.append(name)
        came, needed = self._bring_once(wanted, used)
        for frame, one in wanted.items():
            lost += [name for name in one.names if name not in came[frame]]
        for name in lost:
            needed += self._bring_from_anywhere(name, used)
        return needed

    def _places(self, names: Sequence[Name]) -> list[_Row | None]:
        """Where the source has these chunks; asked for together, because that is much quicker."""
        from amictl.store.index import ABSENT

        if not names:
            return []
        found = self._source.index.find_many(names)
        columns = (found.packs, found.offsets, found.lengths, found.positions)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [row if row[0] != ABSENT else None for row in rows]

    def _bring_once(
        self, wanted: Mapping[_Frame, _Wanted], used: Set[Name]
    ) -> tuple[_Came, list[Name]]:
        """The names that came with each frame, for this segment or for another one; none if it is
        damaged. And what they need, the first time."""
        own: Future[_Came] = Future()
        with self._lock:
            taken = {frame: self._taken.setdefault(frame, own) for frame in wanted}
        try:
            ours = [one.place for frame, one in wanted.items() if taken[frame] is own]
            came, needed = self._bring_frames(ours, used)
        except BaseException:
            own.set_result({})
            raise
        # Nobody waits for another before its own are there.
        own.set_result(came)
        came = {frame: taken[frame].result().get(frame, frozenset()) for frame in wanted}
        lacking = [
            one.place
            for frame, one in wanted.items()
            if taken[frame] is not own and not came[frame].issuperset(one.names)
        ]
        again, more = self._bring_frames(lacking, used)
        return came | again, needed + more

    def _bring_frames(
        self, places: Sequence[Location], used: Set[Name]
    ) -> tuple[_Came, list[Name]]:
        """Frames that are not damaged: the names that came with each, and what they need."""
        came: _Came = {}
        needed: list[Name] = []
        waiting: list[Carried] = []
        size = 0
        for place, stored in self._read_all(places):
            try:
                carried = self._carriers.get().carry(stored, used)
            except CorruptStoreError:
                continue  # there may be another place
            came[_frame_at(place)] = frozenset(carried.brought)
            needed += carried.needed
            waiting.append(carried)
            size += len(carried.data)
            if size >= _READ_SIZE:
                self._add(waiting)
                waiting, size = [], 0
        self._add(waiting)
        return came, needed

    def _read_all(self, places: Sequence[Location]) -> Iterator[tuple[Location, memoryview]]:
        for neighbours in _neighbours(places):
            yield from self._read(neighbours)

    def _read(self, places: Sequence[Location]) -> Iterator[tuple[Location, memoryview]]:
        """The stored bytes of frames without a gap between them, good until the next one is read;
        not those that cannot be read."""
        buffer = self._buffers.get()[: sum(place.length for place in places)]
        try:
            self._source.read_into(places[0], buffer)
        except CorruptStoreError:
            if len(places) > 1:
                for place in places:
                    yield from self._read([place])
            return
        start = 0
        for place in places:
            yield place, buffer[start : start + place.length]
            start += place.length

    def _bring_from_anywhere(self, name: Name, used: Set[Name]) -> tuple[Name, ...]:
        """Try every place of one chunk, after loading CURRENT again: packs may have moved."""
        failure = CorruptStoreError(f"chunk {name.hex()} is not in the index")
        for place in self._source.reload_index().places(name):
            try:
                carried = self._carried(place, {*used, name})
            except CorruptStoreError as error:
                where = self._source.describe(place)
                failure = CorruptStoreError(f"{error.message} ({where})")
                continue
            if name in carried.brought:
                return carried.needed
        raise failure

    def _carried(self, place: Location, used: Set[Name]) -> Carried:
        """Read one frame and add it to the target. Raises CorruptStoreError."""
        if place.length > STORED_SIZE_MAX:
            raise CorruptStoreError("the index gives a frame an impossible length")
        carried = self._carriers.get().carry(self._source.read_bytes(place), used)
        self._add([carried])
        return carried

    def _add(self, carried: Sequence[Carried]) -> None:
        if not carried:
            return
        self._writer.add_frames([(one.data, one.names) for one in carried])
        with self._lock:
            for one in carried:
                self._unused.update(one.unused)


def _frame_at(place: Location) -> _Frame:
    return place.pack, place.offset


def _neighbours(places: Sequence[Location]) -> Iterator[list[Location]]:
    """Frames that stand one behind the other, so far as one read should take.

    Not those with an impossible length.
    """
    together: list[Location] = []
    size = end = 0
    possible = [place for place in places if place.length <= STORED_SIZE_MAX]
    for place in sorted(possible, key=_frame_at):
        follows = bool(together) and _frame_at(place) == (together[-1].pack, end)
        if together and not (follows and size + place.length <= _READ_SIZE):
            yield together
            together, size = [], 0
        together.append(place)
        size += place.length
        end = place.offset + place.length
    if together:
        yield together
