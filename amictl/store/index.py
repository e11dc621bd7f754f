"""Searching the index: name to place. amictl-store(5), INDEX.

Single names are searched without numpy, whose import takes longer than many a command; the names
of a whole segment are searched at once with it.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

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
        self._keys = self._column(self.layout.keys, self.layout.rows)
        self._filter = self._column(self.layout.filter, self.layout.filter_words)
        self._fence = self._column(self.layout.fence, self.layout.fence_rows)
        self._arrays: Rows | None = None

    def find(self, name: Name) -> Iterator[Location]:
        """All places of a name in this run."""
        key = int.from_bytes(name[:8], "little")
        word = self._filter[((key >> 32) * self.layout.filter_words) >> 32]
        if not all(word >> ((key >> shift) & 63) & 1 for shift in FILTER_SHIFTS):
            return
        block = bisect_left(self._fence, key)
        low = max(0, (block - 1) * FENCE_STEP)
        row = bisect_left(self._keys, key, low, min(self.layout.rows, block * FENCE_STEP))
        while row < self.layout.rows and self._keys[row] == key:
            start = self.layout.names + 24 * row
            if self.data[start : start + 24] == name[8:]:
                yield self._location(row)
            row += 1

    def rows(self) -> Rows:
        """The columns as numpy arrays over the mapped memory."""
        if self._arrays is None:
            import numpy as np

            layout, count = self.layout, self.layout.rows

            def column(kind: str, offset: int, length: int) -> "npt.NDArray[np.generic]":
                return np.frombuffer(self.data, dtype=kind, count=length, offset=offset)

            self._arrays = Rows(
                column("<u8", layout.keys, count),  # type: ignore[arg-type]  # dtype is given as text
                column("u1", layout.names, 24 * count).reshape(count, 24),  # type: ignore[arg-type]  # as above
                column("<u4", layout.packs, count),  # type: ignore[arg-type]  # as above
                column("<u4", layout.offsets, count),  # type: ignore[arg-type]  # as above
                column("<u4", layout.lengths, count),  # type: ignore[arg-type]  # as above
                column("<u2", layout.positions, count),  # type: ignore[arg-type]  # as above
            )
        return self._arrays

    def _column(self, offset: int, count: int) -> memoryview:
        return self.data[offset : offset + 8 * count].cast("Q")

    def _location(self, row: int) -> Location:
        def number(column: int, width: int) -> int:
            start = column + width * row
            return int.from_bytes(self.data[start : start + width], "little")

        layout = self.layout
        return Location(
            number(layout.packs, 4),
            number(layout.offsets, 4),
            number(layout.lengths, 4),
            number(layout.positions, 2),
        )


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
        self, current: Current, runs: dict[bytes, Run], damage: Damage, *, for_writing: bool = False
    ) -> None:
        self.current = current
        self.packs: dict[int, PackRow] = {row.number: row for row in current.packs}
        self._by_id = runs
        self._runs = tuple(runs[row.run_id] for row in current.runs)
        condemned = set(current.condemned) if for_writing else set()
        self._absent = set(current.removed) | condemned
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
        return cls(current, runs, damage, for_writing=for_writing)

    @property
    def runs(self) -> tuple[Run, ...]:
        """Oldest first."""
        return self._runs

    @property
    def knows_damage(self) -> bool:
        """Whether any place is excluded, so that a name may be known and yet not to be had."""
        return bool(self._damage or self._absent)

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
        import numpy as np

        packed = np.frombuffer(b"".join(names), dtype=np.uint8).reshape(-1, NAME_SIZE)
        keys = packed[:, :8].copy().view("<u8").reshape(-1)
        rests = packed[:, 8:].copy().view("<u8").reshape(-1, 3)
        found = Found(len(names))
        for run in self._runs:
            self._search(run, keys, rests, found)
        return found

    def _search(
        self,
        run: Run,
        keys: "npt.NDArray[np.uint64]",
        rests: "npt.NDArray[np.uint64]",
        found: Found,
    ) -> None:
        import numpy as np

        count = run.layout.rows
        rows = run.rows()
        table = np.frombuffer(run.data, "<u8", run.layout.filter_words, run.layout.filter)
        bits = run_format.filter_bits(keys)
        maybe = np.flatnonzero(
            table[run_format.filter_index(keys, run.layout.filter_words)] & bits == bits
        )
        place = np.searchsorted(rows.keys, keys[maybe])
        names = rows.names.reshape(-1).view("<u8").reshape(-1, 3)
        while len(maybe):
            inside = place < count
            maybe, place = maybe[inside], place[inside]
            same_key = rows.keys[place] == keys[maybe]
            maybe, place = maybe[same_key], place[same_key]
            same = (names[place] == rests[maybe]).all(axis=1)
            self._take(rows, maybe[same], place[same], found)
            place = place + 1

    def _take(
        self,
        rows: Rows,
        wanted: "npt.NDArray[np.int64]",
        place: "npt.NDArray[np.int64]",
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


def _load_run(storage: Storage, place: str) -> Run:
    try:
        return Run(storage.map(place))
    except ObjectMissingError:
        raise
    except CorruptStoreError as error:
        raise CorruptStoreError(f"{place}: {error.message}") from error
