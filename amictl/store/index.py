"""Searching the index: name to place. amictl-store(5), INDEX.

Single names are searched without numpy, whose import takes longer than many a command; the names
of a whole segment are searched at once with it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from amictl.errors import CorruptStoreError, ObjectMissingError
from amictl.formats import current as current_format
from amictl.formats import run as run_format
from amictl.formats.current import Current, PackRow
from amictl.formats.run import FENCE_STEP, FILTER_SHIFTS, Layout, Rows
from amictl.model.blockmap import NAME_SIZE, Location, Name
from amictl.storage.interface import Storage
from amictl.store import layout as places

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    _Positions = npt.NDArray[np.int64]

ABSENT = 0xFFFFFFFF
"""In place of a pack number: the name is not in the index."""

REBUILD_HINT = "the index can be made again from the packs: amictl rebuild-index"

Damage = frozenset[tuple[str, int]]
"""Pack id in hexadecimal and offset of every damaged frame; offset 0 stands for the whole pack."""


class Run:
    """One run, mapped into memory."""

    def __init__(self, data: memoryview) -> None:
        self.layout: Layout = run_format.decode_header(data)
        if len(data) != self.layout.size:
            raise CorruptStoreError(
                "a run of the index has a wrong length; run: amictl rebuild-index"
            )
        self.data = data
        self._count = self.layout.rows
        self._words = self.layout.filter_words
        self._keys = self._column("Q", self.layout.keys, self._count)
        self._filter = self._column("Q", self.layout.filter, self._words)
        self._fence = self._column("Q", self.layout.fence, self.layout.fence_rows)
        self._names = self.layout.names
        self._packs = self._column("I", self.layout.packs, self._count)
        self._offsets = self._column("I", self.layout.offsets, self._count)
        self._lengths = self._column("I", self.layout.lengths, self._count)
        self._positions = self._column("H", self.layout.positions, self._count)
        self._searchable: _Searchable | None = None

    def find(self, name: Name) -> list[Location]:
        """All places of a name in this run."""
        key = int.from_bytes(name[:8], "little")
        word = self._filter[((key >> 32) * self._words) >> 32]
        for shift in FILTER_SHIFTS:
            if not word >> ((key >> shift) & 63) & 1:
                return []
        found = []
        block = bisect_left(self._fence, key)
        low = max(0, (block - 1) * FENCE_STEP)
        row = bisect_left(self._keys, key, low, min(self._count, block * FENCE_STEP))
        while row < self._count and self._keys[row] == key:
            start = self._names + 24 * row
            if self.data[start : start + 24] == name[8:]:
                found.append(
                    Location(
                        self._packs[row],
                        self._offsets[row],
                        self._lengths[row],
                        self._positions[row],
                    )
                )
            row += 1
        return found

    def rows(self) -> Rows:
        """The columns as numpy arrays over the mapped memory."""
        return self.searchable().rows

    def searchable(self) -> "_Searchable":
        """The columns, ready to be searched for many names at once."""
        if self._searchable is None:
            self._searchable = _Searchable(self.data, self.layout)
        return self._searchable

    def _column(self, kind: Literal["Q", "I", "H"], offset: int, count: int) -> memoryview:
        size = {"Q": 8, "I": 4, "H": 2}[kind]
        return self.data[offset : offset + size * count].cast(kind)


class _Searchable:
    """A run's columns as numpy arrays."""

    def __init__(self, data: memoryview, layout: Layout) -> None:
        import numpy as np

        count = layout.rows
        names = np.frombuffer(data, np.uint8, 24 * count, layout.names)
        self.rows = Rows(
            np.frombuffer(data, np.uint64, count, layout.keys),
            names.reshape(count, 24),
            np.frombuffer(data, np.uint32, count, layout.packs),
            np.frombuffer(data, np.uint32, count, layout.offsets),
            np.frombuffer(data, np.uint32, count, layout.lengths),
            np.frombuffer(data, np.uint16, count, layout.positions),
        )
        self.rests = names.view(np.uint64).reshape(count, 3)
        self.words = layout.filter_words
        self.filter = np.frombuffer(data, np.uint64, self.words, layout.filter)

    def search(self, asked: "_Asked") -> "Iterator[tuple[_Positions, _Positions]]":
        """Numbers of the names, and the rows in which they are; each pair of arrays in step."""
        import numpy as np

        word = self.filter[run_format.filter_index(asked.keys, self.words)]
        wanted = np.flatnonzero((word & asked.bits) == asked.bits)
        if not len(wanted) or not len(self.rows.keys):
            return
        keys = asked.keys[wanted]
        place = np.searchsorted(self.rows.keys, keys)
        # The place may be one past the end; a row is looked at only where its key is the right one.
        while True:
            inside = np.minimum(place, len(self.rows.keys) - 1)
            hit = (self.rows.keys[inside] == keys) & (inside == place)
            if not hit.any():
                return
            wanted, place, keys = wanted[hit], place[hit], keys[hit]
            same = (self.rests[place] == asked.rests[wanted]).all(axis=1)
            yield wanted[same], place[same]
            place = place + 1


class _Asked:
    """Many names, taken apart once for all runs."""

    def __init__(self, names: Sequence[Name]) -> None:
        import numpy as np

        words = np.frombuffer(b"".join(names), np.uint64).reshape(-1, NAME_SIZE // 8)
        self.keys = words[:, 0].copy()
        self.rests = words[:, 1:].copy()
        self.bits = run_format.filter_bits(self.keys)


class Found:
    """Places of many names, as equally long arrays; `packs` is ABSENT where a name is unknown."""

    __slots__ = ("lengths", "offsets", "packs", "positions")

    def __init__(self, count: int) -> None:
        import numpy as np

        self.packs = np.full(count, ABSENT, dtype=np.uint32)
        self.offsets = np.zeros(count, dtype=np.uint32)
        self.lengths = np.zeros(count, dtype=np.uint32)
        self.positions = np.zeros(count, dtype=np.uint16)


class Index:
    """CURRENT and its runs, as they were when they were loaded. Safe for many threads to search."""

    def __init__(
        self,
        current: Current,
        runs: dict[bytes, Run],
        damage: Damage,
        *,
        absent: frozenset[int] = frozenset(),
    ) -> None:
        self.current = current
        self.packs: dict[int, PackRow] = {row.number: row for row in current.packs}
        self._by_id = runs
        self._runs = tuple(runs[row.run_id] for row in current.runs)
        self._is_partial = bool(absent)
        self._absent = absent.union(current.removed)
        self._damage = damage

    @classmethod
    def load(
        cls,
        storage: Storage,
        damage: Damage,
        *,
        before: "Index | None" = None,
        for_writing: bool = False,
    ) -> "Index":
        """Read CURRENT and map its runs.

        Those of `before` are used again. Raises CorruptStoreError.
        """
        known = before._by_id if before else {}
        data = None
        while True:
            try:
                data = storage.read(places.CURRENT)
                return cls._map(storage, data, known, damage, for_writing)
            except CorruptStoreError as error:
                # A writer that merged runs removes them once CURRENT has changed: begin again
                # there.
                run_missing = isinstance(error, ObjectMissingError) and data is not None
                if run_missing and storage.read(places.CURRENT) != data:
                    continue
                error.hint = REBUILD_HINT
                raise

    @classmethod
    def _map(
        cls,
        storage: Storage,
        data: bytes,
        known: dict[bytes, Run],
        damage: Damage,
        for_writing: bool,
    ) -> "Index":
        current = current_format.decode(data)
        runs = {
            row.run_id: known.get(row.run_id) or _load_run(storage, places.run(row.run_id))
            for row in current.runs
        }
        absent = _not_to_build_on(storage, current) if for_writing else frozenset()
        return cls(current, runs, damage, absent=absent)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Oldest first."""
        return self._runs

    @property
    def knows_damage(self) -> bool:
        """Whether any place is excluded, so that a name may be known and yet not to be had.

        Not where packs were removed: what was needed of them is elsewhere, and the rest is gone
        with all that led to it.
        """
        return bool(self._damage) or self._is_partial

    def find(self, name: Name) -> Location | None:
        """The place that counts: in the lowest pack that is neither removed nor damaged there."""
        usable = (place for place in self._places(name) if self._usable(place.pack, place.offset))
        return min(usable, key=lambda place: place.pack, default=None)

    def places(self, name: Name) -> list[Location]:
        """All places where a reader may try to find a name, the one that counts first.

        Those that are known to be damaged are last: whatever is read is checked against its name,
        and a pack whose outside is damaged may be whole inside.
        """
        return sorted(
            (place for place in self._places(name) if place.pack not in self._absent),
            key=lambda place: (not self._usable(place.pack, place.offset), place.pack),
        )

    def _places(self, name: Name) -> Iterator[Location]:
        for run in self._runs:
            for place in run.find(name):
                if place.pack in self.packs:
                    yield place

    def find_many(self, names: Sequence[Name]) -> Found:
        """The same for many names at once."""
        found = Found(len(names))
        asked = _Asked(names)
        for run in self._runs:
            searchable = run.searchable()
            for wanted, place in searchable.search(asked):
                self._take(searchable.rows, wanted, place, found)
        return found

    def rows_of(self, names: Sequence[Name]) -> "list[tuple[Rows, _Positions, _Positions]]":
        """For each run its rows, and the numbers of names with the rows in which they are."""
        import numpy as np

        asked = _Asked(names)
        found = []
        for run in self._runs:
            searchable = run.searchable()
            hits = list(searchable.search(asked))
            nothing = np.zeros(0, np.int64)
            wanted = np.concatenate([nothing, *(one for one, _ in hits)])
            places = np.concatenate([nothing, *(one for _, one in hits)])
            found.append((searchable.rows, wanted, places))
        return found

    def _take(
        self,
        rows: Rows,
        wanted: "_Positions",
        place: "_Positions",
        found: Found,
    ) -> None:
        import numpy as np

        better = rows.packs[place] < found.packs[wanted]
        if self._absent or self._damage:
            better &= np.fromiter(
                (self._usable(int(rows.packs[row]), int(rows.offsets[row])) for row in place),
                bool,
                len(place),
            )
        wanted, place = wanted[better], place[better]
        found.packs[wanted] = rows.packs[place]
        found.offsets[wanted] = rows.offsets[place]
        found.lengths[wanted] = rows.lengths[place]
        found.positions[wanted] = rows.positions[place]

    def _usable(self, pack: int, offset: int) -> bool:
        if pack in self._absent or pack not in self.packs:
            return False
        if not self._damage:
            return True
        pack_id = self.packs[pack].pack_id.hex()
        return (pack_id, 0) not in self._damage and (pack_id, offset) not in self._damage


def _not_to_build_on(storage: Storage, current: Current) -> frozenset[int]:
    """Numbers of the packs that writers treat as absent: condemned, or not there as they were.

    One listing finds a pack that was lost or cut short, before a new snapshot counts on it.
    """
    size_of = dict(storage.names("packs")).get
    lost = [row.number for row in current.packs if size_of(places.pack(row.pack_id)) != row.length]
    return frozenset(lost).union(current.condemned)


def _load_run(storage: Storage, place: str) -> Run:
    try:
        return Run(storage.map(place, run_format.require_digest))
    except ObjectMissingError:
        raise
    except CorruptStoreError as error:
        raise CorruptStoreError(f"{place}: {error.message}") from error
