"""Building block maps, against a dictionary of leaves."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.content.mapping import MapBuilder
from amictl.formats import node as node_format
from amictl.model.blockmap import (
    FANOUT,
    SEGMENT_SIZE,
    Interior,
    Name,
    NodeName,
    child_span,
    segment_count,
    tree_height,
)

TIB = 1 << 40


@dataclass
class Built:
    """A map in memory: its nodes by name, as they were handed out."""

    size_bytes: int
    nodes: dict[Name, Interior] = field(default_factory=dict)
    order: list[Name] = field(default_factory=list)
    root: Name | None = None

    def leaves(self) -> dict[int, Name]:
        found: dict[int, Name] = {}
        if self.root is not None:
            self._walk(self.root, tree_height(self.size_bytes), 0, found)
        return found

    def _walk(self, name: Name, level: int, first: int, found: dict[int, Name]) -> None:
        if level == 0:
            found[first] = name
            return
        for slot, child in enumerate(self.nodes[name].children):
            if child is not None:
                self._walk(child, level - 1, first + slot * FANOUT ** (level - 1), found)


def build(size_bytes: int, leaves: dict[int, Name]) -> Built:
    built = Built(size_bytes)

    def emit(node: Interior) -> NodeName:
        name = node_format.name_of(node_format.encode(node))
        built.nodes[name] = node
        built.order.append(name)
        return NodeName(name, name)

    builder = MapBuilder(size_bytes, emit)
    for index in sorted(leaves):
        builder.add(index, NodeName(leaves[index], leaves[index]))
    built.root = builder.finish()
    return built


def leaf_name(number: int) -> Name:
    return number.to_bytes(32, "big")


@st.composite
def volumes(draw: st.DrawFn) -> tuple[int, dict[int, Name]]:
    """A size, and leaves of some of its segments."""
    segments = draw(st.integers(1, 40_000) | st.sampled_from([1, 127, 128, 129, 16_384, 16_385]))
    size = (segments - 1) * SEGMENT_SIZE + draw(st.integers(1, SEGMENT_SIZE))
    indexes = st.integers(0, segments - 1)
    names = st.integers(1, 5).map(leaf_name)
    return size, draw(st.dictionaries(indexes, names, max_size=30))


@given(volumes())
def test_a_map_leads_to_the_leaves_that_were_added(volume: tuple[int, dict[int, Name]]) -> None:
    assert build(*volume).leaves() == volume[1]


@given(volumes())
def test_every_node_is_one_that_can_be_read_back(volume: tuple[int, dict[int, Name]]) -> None:
    for node in build(*volume).nodes.values():
        assert node_format.decode(node_format.encode(node)) == node


@given(volumes())
def test_children_are_handed_out_before_their_parents(
    volume: tuple[int, dict[int, Name]],
) -> None:
    built = build(*volume)
    seen = set(volume[1].values())
    for name in built.order:
        assert {child for child in built.nodes[name].children if child} <= seen
        seen.add(name)


@given(volumes())
def test_the_nodes_of_a_level_cover_what_their_slots_do(
    volume: tuple[int, dict[int, Name]],
) -> None:
    for node in build(*volume).nodes.values():
        whole = node.plain_length == child_span(node.level) * FANOUT
        assert whole or node.plain_length % child_span(node.level) == volume[0] % child_span(
            node.level
        )


def test_a_volume_without_leaves_has_no_root() -> None:
    assert build(TIB, {}).root is None


def test_the_leaf_of_one_segment_is_the_root() -> None:
    assert build(1, {0: leaf_name(1)}).root == leaf_name(1)


@settings(max_examples=30)
@given(st.integers(129, 1000), st.integers(1001, 40_000))
def test_a_volume_that_grew_shares_every_full_subtree(before: int, after: int) -> None:
    leaves = {index: leaf_name(index + 1) for index in range(0, before, 3)}
    small, large = build(before * SEGMENT_SIZE, leaves), build(after * SEGMENT_SIZE, leaves)
    full = {
        name
        for name, node in small.nodes.items()
        if node.plain_length == child_span(node.level) * FANOUT
    }
    assert full <= set(large.nodes)


def test_one_tebibyte_with_three_leaves_needs_few_nodes() -> None:
    last = segment_count(TIB) - 1
    built = build(TIB, {0: leaf_name(1), last // 2: leaf_name(2), last: leaf_name(3)})
    assert len(built.nodes) <= 7


@pytest.mark.parametrize(
    ("size", "height"),
    [
        (1, 0),
        (SEGMENT_SIZE, 0),
        (SEGMENT_SIZE + 1, 1),
        (128 * SEGMENT_SIZE, 1),
        (128 * SEGMENT_SIZE + 1, 2),
        (TIB, 3),
        (128**3 * SEGMENT_SIZE, 3),
        (128**3 * SEGMENT_SIZE + 1, 4),
    ],
)
def test_the_height_is_the_least_that_covers_the_size(size: int, height: int) -> None:
    assert tree_height(size) == height
