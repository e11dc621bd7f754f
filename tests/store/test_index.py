"""Searching the index, against a dictionary."""

import random
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from amictl.formats import run as run_format
from amictl.formats.current import Current, PackRow, RunRow
from amictl.formats.pack import PackKind
from amictl.model.blockmap import Location, Name
from amictl.store.index import ABSENT, Damage, Index, Run
from amictl.store.publishing import rows_of
from tests.strategies import NAMES

PACKS = range(6)
Rows = dict[tuple[Name, int], tuple[int, int, int]]
"""Offset, length and position by name and pack."""


@dataclass(frozen=True)
class Contents:
    """Runs, and what of them does not count."""

    runs: tuple[Rows, ...]
    removed: frozenset[int] = frozenset()
    condemned: frozenset[int] = frozenset()
    damage: Damage = frozenset()

    def expected(self, name: Name, *, for_writing: bool = False) -> Location | None:
        absent = self.removed | (self.condemned if for_writing else frozenset())
        places = [
            Location(pack, *place)
            for rows in self.runs
            for (own, pack), place in rows.items()
            if own == name
            and pack not in absent
            and not {(pack_id(pack).hex(), 0), (pack_id(pack).hex(), place[0])} & self.damage
        ]
        return min(places, key=lambda place: place.pack, default=None)

    def packs_of(self, name: Name) -> list[int]:
        """All packs that have a name and were not removed."""
        names = [key for rows in self.runs for key in rows if key[0] == name]
        return sorted(pack for _, pack in names if pack not in self.removed)

    def index(self, *, for_writing: bool = False) -> Index:
        runs = {at.to_bytes(16, "big"): encoded(rows) for at, rows in enumerate(self.runs)}
        current = Current(
            next_pack=len(PACKS),
            packs=tuple(PackRow(pack_id(pack), 10**6, pack, PackKind.FRAMES) for pack in PACKS),
            runs=tuple(RunRow(run_id, run.layout.rows, 0) for run_id, run in runs.items()),
            removed=tuple(sorted(self.removed)),
            condemned=tuple(sorted(self.condemned)),
        )
        return Index(
            current, runs, self.damage, absent=frozenset(self.condemned if for_writing else ())
        )


def pack_id(number: int) -> bytes:
    return number.to_bytes(16, "little")


def encoded(rows: Rows) -> Run:
    parts = [
        (pack, [(name, *place) for (name, own), place in rows.items() if own == pack])
        for pack in PACKS
    ]
    return Run(memoryview(b"".join(run_format.encode(rows_of(parts), bytes(16)))))


def found_many(index: Index, names: list[Name]) -> list[Location | None]:
    found = index.find_many(names)
    columns = (found.packs, found.offsets, found.lengths, found.positions)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [None if row[0] == ABSENT else Location(*row) for row in rows]


OFFSETS = st.integers(1, 5)
RUNS = st.dictionaries(
    st.tuples(NAMES, st.sampled_from(PACKS)),
    st.tuples(OFFSETS, st.integers(1, 2**32 - 1), st.integers(0, 2**16 - 1)),
    max_size=25,
)


@st.composite
def contents(draw: st.DrawFn) -> Contents:
    """A pack's rows of one name are in one run only."""
    runs = draw(st.lists(RUNS, max_size=4))
    seen: set[tuple[Name, int]] = set()
    for rows in runs:
        for key in seen & set(rows):
            del rows[key]
        seen |= set(rows)
    numbers = st.frozensets(st.sampled_from(PACKS), max_size=2)
    places = st.tuples(st.sampled_from(PACKS).map(lambda number: pack_id(number).hex()), OFFSETS)
    whole = st.tuples(st.sampled_from(PACKS).map(lambda number: pack_id(number).hex()), st.just(0))
    damage = draw(st.frozensets(places | whole, max_size=4))
    return Contents(tuple(runs), draw(numbers), draw(numbers), damage)


def wanted(draw: st.DataObject, index: Contents) -> list[Name]:
    """Names that are there, and names that are not."""
    known = [name for rows in index.runs for name, _ in rows]
    names = NAMES | st.sampled_from(known) if known else NAMES
    return draw.draw(st.lists(names, min_size=1, max_size=20))


@given(contents(), st.data())
def test_find_agrees_with_a_dictionary(given_contents: Contents, draw: st.DataObject) -> None:
    index = given_contents.index()
    names = wanted(draw, given_contents)
    assert [index.find(name) for name in names] == [given_contents.expected(n) for n in names]


@given(contents(), st.data())
def test_find_many_agrees_with_a_dictionary(given_contents: Contents, draw: st.DataObject) -> None:
    names = wanted(draw, given_contents)
    expected = [given_contents.expected(name) for name in names]
    assert found_many(given_contents.index(), names) == expected


@given(contents(), st.data())
def test_condemned_packs_are_absent_for_writers(
    given_contents: Contents, draw: st.DataObject
) -> None:
    index = given_contents.index(for_writing=True)
    names = wanted(draw, given_contents)
    expected = [given_contents.expected(name, for_writing=True) for name in names]
    assert [index.find(name) for name in names] == expected
    assert found_many(index, names) == expected


@given(contents(), st.data())
def test_a_reader_may_try_all_places_the_one_that_counts_first(
    given_contents: Contents, draw: st.DataObject
) -> None:
    index, whole = given_contents.index(), replace(given_contents, damage=frozenset())
    for name in wanted(draw, given_contents):
        found = index.places(name)
        assert found[:1] == ([index.find(name)] if index.find(name) else found[:1])
        assert sorted(place.pack for place in found) == whole.packs_of(name)


def large_rows() -> tuple[Rows, list[Name]]:
    """Thousands of names; of every tenth there are twenty with the same key."""
    noise = random.Random(1)
    rows: Rows = {}
    for number in range(1500):
        key = noise.randbytes(8)
        for _ in range(20 if number % 10 == 0 else 1):
            rows[(key + noise.randbytes(24), 0)] = (noise.randrange(1, 2**32), 1, 0)
    return rows, [noise.randbytes(32) for _ in range(500)]


def test_a_run_of_many_fences_finds_every_name() -> None:
    rows, _ = large_rows()
    index = Contents((rows,)).index()
    assert all(index.find(name) == Location(0, *place) for (name, _), place in rows.items())


def test_a_run_of_many_fences_finds_every_name_at_once() -> None:
    rows, _ = large_rows()
    found = found_many(Contents((rows,)).index(), [name for name, _ in rows])
    assert found == [Location(0, *place) for place in rows.values()]


def test_a_run_of_many_fences_finds_nothing_else() -> None:
    rows, others = large_rows()
    index = Contents((rows,)).index()
    same_keys = [name[:8] + other[8:] for (name, _), other in zip(rows, others, strict=False)]
    assert found_many(index, others + same_keys) == [None] * (len(others) + len(same_keys))
    assert [index.find(name) for name in others + same_keys] == [None] * (
        len(others) + len(same_keys)
    )


def test_an_empty_index_finds_nothing() -> None:
    assert Contents(()).index().find(bytes(32)) is None
    assert found_many(Contents(()).index(), [bytes(32)]) == [None]


def test_an_empty_run_finds_nothing() -> None:
    assert found_many(Contents(({},)).index(), [bytes(32)]) == [None]


def test_a_run_without_rows_whose_filter_lies_has_no_names() -> None:
    data = bytearray(b"".join(run_format.encode(rows_of([]), bytes(16))))
    layout = run_format.decode_header(data)
    data[layout.filter : layout.fence] = b"\xff" * 8
    current = Current(next_pack=1, runs=(RunRow(bytes(16), 0, len(data)),))
    index = Index(current, {bytes(16): Run(memoryview(bytes(data)))}, frozenset())
    assert index.find_many([bytes(32)]).packs.tolist() == [ABSENT]
