"""Bringing the chunks of segments in the frames that hold them in the source, each frame once."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import compress

from amictl.content.resealing import ChunkNames
from amictl.errors import CorruptStoreError
from amictl.model.blockmap import Location, Name
from amictl.store.carrying import Carried, Carrier
from amictl.store.fetching import Fetch, Fetcher, FrameKey, Span, new_space
from amictl.store.parallel import PerThread
from amictl.store.passages import Chunks
from amictl.store.store import Store
from amictl.store.writing import Writer

_Came = dict[FrameKey, frozenset[Name]]
"""The names that came with frames."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A frame, and what is wanted of it."""

    place: Span
    names: list[Name]


class Bringing:
    """Adds frames to the store of a writer; from many threads."""

    def __init__(
        self,
        source: Store,
        writer: Writer,
        carrier: Callable[[], Carrier],
        fetch: Fetch | None,
    ) -> None:
        """Without `fetch`, frames are fetched by the thread that brings them."""
        self._source = source
        self._writer = writer
        self._fetchers = PerThread(lambda: Fetcher(source, carrier(), new_space()))
        self._fetch = fetch or (lambda places, used: self._fetchers.get().fetch(places, used))
        self._lock = threading.Lock()
        self._taken: dict[FrameKey, Future[_Came]] = {}
        self._unused: dict[Name, int] = {}

    def forget_frames(self) -> None:
        """All that came so far is in the index by now."""
        self._taken.clear()

    def take_unused(self) -> int:
        """Plain bytes that came along since the last call, and that no segment used meanwhile."""
        unused = sum(self._unused.values())
        self._unused.clear()
        return unused

    def bring(self, chunks: Chunks) -> int:
        """Bring what the target lacks of the chunks of one segment; returns its plain bytes.

        Raises CorruptStoreError.
        """
        names = zip(chunks.plain, chunks.targets, strict=True)
        used = dict(zip(chunks.sources, names, strict=True))
        new = self._writer.claim_new(chunks.targets) if used else []
        needed = self._bring(list(compress(chunks.sources, new)), used)
        # One step deep: what is needed needs nothing. It has the same name in the target, because
        # only frames that keep their bytes need something there.
        claimed = self._writer.claim_new(needed) if needed else []
        also = list(compress(needed, claimed))
        self._bring(also, {name: (name, name) for name in also})
        with self._lock:
            for name in used:
                self._unused.pop(name, None)
        return sum(compress(chunks.lengths, new))

    def _bring(self, missing: Sequence[Name], used: ChunkNames) -> list[Name]:
        """Bring chunks, by their names in the source; what else their frames need."""
        wanted: dict[FrameKey, _Wanted] = {}
        lost: list[Name] = []
        for name, place in zip(missing, self._places(missing), strict=True):
            if place is None:
                lost.append(name)
                continue
            frame = place[:2]
            if frame not in wanted:
                wanted[frame] = _Wanted(place, [])
            wanted[frame].names.append(name)
        came, needed = self._bring_once(wanted, used)
        for frame, one in wanted.items():
            lost += [name for name in one.names if name not in came[frame]]
        for name in lost:
            needed += self._bring_from_anywhere(name, used)
        return needed

    def _places(self, names: Sequence[Name]) -> list[Span | None]:
        """Where the source has these chunks; asked for together, because that is much quicker."""
        from amictl.store.index import ABSENT

        if not names:
            return []
        found = self._source.index.find_many(names)
        columns = (found.packs, found.offsets, found.lengths)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [row if row[0] != ABSENT else None for row in rows]

    def _bring_once(
        self, wanted: Mapping[FrameKey, _Wanted], used: ChunkNames
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

    def _bring_frames(self, places: Sequence[Span], used: ChunkNames) -> tuple[_Came, list[Name]]:
        """Frames that are not damaged: the names that came with each, and what they need."""
        came: _Came = {}
        needed: list[Name] = []
        if not places:
            return came, needed
        for batch, data in self._fetch(places, used):
            self._add(data, [carried for _, carried in batch.frames])
            for frame, carried in batch.frames:
                came[frame] = frozenset(carried.brought)
                needed += carried.needed
        return came, needed

    def _bring_from_anywhere(self, name: Name, used: ChunkNames) -> tuple[Name, ...]:
        """Try every place of one chunk, after loading CURRENT again: packs may have moved."""
        failure = CorruptStoreError(f"chunk {name.hex()} is not in the index")
        for place in self._source.reload_index().places(name):
            try:
                carried = self._bring_one(place, used)
            except CorruptStoreError as error:
                where = self._source.describe(place)
                failure = CorruptStoreError(f"{error.message} ({where})")
                continue
            if name in carried.brought:
                return carried.needed
        raise failure

    def _bring_one(self, place: Location, used: ChunkNames) -> Carried:
        """Fetch one frame and add it to the target. Raises CorruptStoreError."""
        carried, data = self._fetchers.get().fetch_one(place, used)
        self._add(data, [carried])
        return carried

    def _add(self, data: memoryview, frames: Sequence[Carried]) -> None:
        """Add frames that stand one behind the other."""
        if not frames:
            return
        self._writer.add_joined(data, [(one.size, one.names) for one in frames])
        with self._lock:
            for one in frames:
                self._unused.update(one.unused)
