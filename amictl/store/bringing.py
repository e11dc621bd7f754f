"""Bringing the chunks of segments in the frames that hold them in the source, each frame once."""

import threading
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future

from amictl.errors import CorruptStoreError
from amictl.model.blockmap import Location, Name
from amictl.store.carrying import STORED_SIZE_MAX, Carried, Carrier
from amictl.store.parallel import PerThread
from amictl.store.passages import Chunk
from amictl.store.store import Store
from amictl.store.writing import Writer

_Frame = tuple[int, int]
"""Pack number and offset of a frame in the source."""


class Bringing:
    """Adds frames to the store of a writer; from many threads."""

    def __init__(self, source: Store, writer: Writer, carrier: Callable[[], Carrier]) -> None:
        self._source = source
        self._writer = writer
        self._carriers = PerThread(carrier)
        self._lock = threading.Lock()
        self._taken: dict[_Frame, Future[frozenset[Name]]] = {}
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
        self._bring([one for one, is_new in zip(needed, claimed, strict=True) if is_new], set())
        with self._lock:
            for name in used:
                self._unused.pop(name, None)
        return sum(chunk.length for chunk in missing)

    def _bring(self, missing: Sequence[Name], used: Set[Name]) -> list[Name]:
        """Bring chunks, by their names in the source; what else their frames need."""
        frames: dict[_Frame, Location] = {}
        wanted: dict[_Frame, list[Name]] = {}
        needed: list[Name] = []
        for name in missing:
            place = self._source.index.find(name)
            if place is None:
                needed += self._bring_from_anywhere(name, used)
                continue
            frames.setdefault((place.pack, place.offset), place)
            wanted.setdefault((place.pack, place.offset), []).append(name)
        for frame, place in frames.items():
            brought, more = self._bring_frame(frame, place, wanted[frame], used)
            needed += more
            for name in wanted[frame]:
                if name not in brought:
                    needed += self._bring_from_anywhere(name, used)
        return needed

    def _bring_frame(
        self, frame: _Frame, place: Location, wanted: Sequence[Name], used: Set[Name]
    ) -> tuple[frozenset[Name], tuple[Name, ...]]:
        """The names that came with a frame, for this segment or for another one; none if it is
        damaged. And what it needs, the first time."""
        ours: Future[frozenset[Name]] = Future()
        with self._lock:
            present = self._taken.setdefault(frame, ours)
        if present is not ours and present.result().issuperset(wanted):
            return present.result(), ()
        came: frozenset[Name] = frozenset()
        try:
            carried = self._carried(place, {*used, *wanted})
            came = frozenset(carried.brought)
        except CorruptStoreError:
            return came, ()  # there may be another place
        finally:
            ours.set_result(came)
        return came, carried.needed

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
        self._writer.add_frame(carried.data, carried.names)
        with self._lock:
            self._unused.update(carried.unused)
        return carried
