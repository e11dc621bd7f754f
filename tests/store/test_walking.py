"""Walking block maps, against dictionaries of leaves."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.content.domains import PLAIN
from amictl.content.mapping import MapBuilder
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, Name, Node, segment_count
from amictl.store.store import Store
from amictl.store.walking import Map, changed_leaves, leaf_at, leaves, with_others
from amictl.store.writing import Writer
from tests.workshop import Workshop

LeafNumbers = dict[int, int]
"""Which of a few leaves stands for a segment."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for the maps of all examples."""
    with Workshop(tmp_path_factory.mktemp("walking")).open() as store:
        yield store


@st.composite
def volumes(draw: st.DrawFn) -> tuple[int, LeafNumbers]:
    """Number of segments, and leaves of some of them."""
    count = draw(
        st.integers(1, 300) | st.integers(1, 40_000) | st.sampled_from([1, 128, 129, 2**18])
    )
    near = st.integers(0, min(count, 5) - 1)
    indexes = near | st.integers(0, count - 1)
    return count, draw(st.dictionaries(indexes, st.integers(0, 3), max_size=12))


def stored(store: Store, volume: tuple[int, LeafNumbers]) -> tuple[Map, dict[int, Name]]:
    """The map of such a volume, and its leaves."""
    count, numbers = volume
    with Writer(store, random.Random(str(volume)).randbytes) as writer:
        names = {
            index: writer.add_node(Leaf((SEGMENT_SIZE,), (None,), bytes([number]) * 16), PLAIN)
            for index, number in sorted(numbers.items())
        }
        builder = MapBuilder(count * SEGMENT_SIZE, lambda node: writer.add_node(node, PLAIN))
        for index, name in names.items():
            builder.add(index, name)
        root = builder.finish()
        writer.publish()
    stored_names = {index: name.stored for index, name in names.items()}
    return Map(root, builder.height, count * SEGMENT_SIZE), stored_names


@settings(max_examples=30)
@given(volume=volumes(), bounds=st.tuples(st.integers(0, 40_000), st.integers(0, 40_000)))
def test_leaves_are_those_between_start_and_stop(
    store: Store, volume: tuple[int, LeafNumbers], bounds: tuple[int, int]
) -> None:
    block_map, names = stored(store, volume)
    start, stop = bounds
    expected = [(index, name) for index, name in names.items() if start <= index < stop]
    assert list(leaves(store, block_map, start, stop)) == expected


@settings(max_examples=30)
@given(volume=volumes())
def test_leaves_without_bounds_are_all(store: Store, volume: tuple[int, LeafNumbers]) -> None:
    block_map, names = stored(store, volume)
    assert list(leaves(store, block_map)) == list(names.items())


@settings(max_examples=30)
@given(volume=volumes(), others=st.lists(st.integers(0, 40_000), max_size=10))
def test_leaf_at_is_the_leaf_or_a_hole(
    store: Store, volume: tuple[int, LeafNumbers], others: list[int]
) -> None:
    block_map, names = stored(store, volume)
    indexes = [*names, *others, segment_count(volume[0] * SEGMENT_SIZE)]
    found = [leaf_at(store, block_map, index) for index in indexes]
    assert found == [names.get(index) for index in indexes]


@settings(max_examples=60)
@given(first=volumes(), second=volumes(), start=st.just(0) | st.integers(0, 300))
def test_changed_leaves_are_those_that_differ(
    store: Store,
    first: tuple[int, LeafNumbers],
    second: tuple[int, LeafNumbers],
    start: int,
) -> None:
    map_a, names_a = stored(store, first)
    map_b, names_b = stored(store, second)
    expected = [
        (index, names_a.get(index), names_b.get(index))
        for index in sorted({*names_a, *names_b})
        if index >= start and names_a.get(index) != names_b.get(index)
    ]
    assert list(changed_leaves(store, map_a, map_b, start)) == expected


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_others_are_put_between_the_leaves(own: set[int], others: set[int]) -> None:
    name = bytes(32)
    expected = [(index, name if index in own else None) for index in sorted(own | others)]
    assert list(with_others(((index, name) for index in sorted(own)), sorted(others))) == expected


class CountingStore(Store):
    """A store that counts the nodes that are read from its packs."""

    nodes_read = 0

    def read_node(self, name: Name) -> Node:
        self.nodes_read += 1
        return super().read_node(name)


def test_shared_subtrees_are_not_read(store: Store) -> None:
    numbers = {index: index % 4 for index in range(128 * 20)}
    map_a, _ = stored(store, (128 * 20, numbers))
    map_b, _ = stored(store, (128 * 20, {**numbers, 1000: 9}))
    counting = CountingStore(store.storage, store.config)
    assert len(list(changed_leaves(counting, map_a, map_b))) == 1
    assert counting.nodes_read == 4
