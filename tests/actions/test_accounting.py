"""What a store holds, and what deleting a snapshot alone would free, counted by hand."""

from typing import Any

import pytest

from amictl.actions.accounting import describe_store
from amictl.model.blockmap import Interior, Name
from amictl.store.recording import map_of
from amictl.store.store import Store
from tests.workshop import MIB, SEGMENT, Workshop

Places = dict[tuple[int, int], int]
"""Stored length by pack and offset."""


def places_of(store: Store, name: Name) -> Places:
    """Every frame and node that a subtree needs."""
    found: Places = {}
    node = store.read_node(name)
    children = node.children if isinstance(node, Interior) else node.names
    place = store.index.find(name)
    assert place is not None
    found[place.pack, place.offset] = place.length
    for child in children:
        if child is None:
            continue
        if isinstance(node, Interior):
            found |= places_of(store, child)
        else:
            chunk = store.index.find(child)
            assert chunk is not None
            found[chunk.pack, chunk.offset] = chunk.length
    return found


def described(workshop: Workshop) -> dict[str, Any]:
    with workshop.open() as store:
        return describe_store(store)


@pytest.fixture
def snapshots(workshop: Workshop) -> tuple[Workshop, dict[str, Places]]:
    """Snapshots that share much and little, with what each needs."""
    base = workshop.noise(3 * SEGMENT)
    versions = [
        base,
        base[: SEGMENT + 9] + workshop.noise(5000, 2) + base[SEGMENT + 5009 :],
        base + workshop.noise(MIB, 3),
        base[:SEGMENT] * 3,
        base,
    ]
    ids = [workshop.snapshot_id(workshop.file("disk", content)) for content in versions]
    ids.append(workshop.snapshot_id(workshop.file("other", b"text\n" * 100_000)))
    ids.append(workshop.snapshot_id(workshop.file("empty", {}, SEGMENT)))
    needed = {}
    with workshop.open() as store:
        for snapshot_id in ids:
            root = map_of(workshop.core(snapshot_id)).root
            needed[snapshot_id] = places_of(store, root) if root else {}
    return workshop, needed


def test_exclusive_bytes_are_those_that_nobody_else_needs(
    snapshots: tuple[Workshop, dict[str, Places]],
) -> None:
    workshop, needed = snapshots
    expected = {}
    for snapshot_id, own in needed.items():
        others = {
            place for other, all_of in needed.items() if other != snapshot_id for place in all_of
        }
        expected[snapshot_id] = sum(length for place, length in own.items() if place not in others)
    found = {one["SnapshotId"]: one["ExclusiveBytes"] for one in described(workshop)["Snapshots"]}
    assert found == expected


def test_referenced_bytes_are_those_that_anybody_needs(
    snapshots: tuple[Workshop, dict[str, Places]],
) -> None:
    workshop, needed = snapshots
    everything: Places = {}
    for own in needed.values():
        everything |= own
    assert described(workshop)["ReferencedBytes"] == sum(everything.values())


def test_counts_and_sizes_of_a_store(workshop: Workshop) -> None:
    workshop.image("web", workshop.file("a", workshop.noise(MIB)))
    workshop.snapshot(workshop.file("b", workshop.noise(MIB) + bytes(MIB)))
    shape = described(workshop)
    assert (shape["ImageCount"], shape["SnapshotCount"]) == (1, 2)
    assert (shape["VolumeBytes"], shape["LogicalBytes"]) == (3 * MIB, 2 * MIB)
    assert shape["UniqueBytes"] == MIB
    assert shape["Ratio"] == round(shape["LogicalBytes"] / shape["StoredBytes"], 2)


def test_stored_bytes_are_those_of_the_files(workshop: Workshop) -> None:
    workshop.image("web", workshop.file("a", workshop.noise(MIB)))
    folders = ("packs", "index", "snapshots", "images", "names", "volumes")
    files = [path for name in folders for path in (workshop.root / name).iterdir()]
    assert described(workshop)["StoredBytes"] == sum(path.stat().st_size for path in files)


def test_an_empty_store_is_described(workshop: Workshop) -> None:
    shape = described(workshop)
    assert (shape["SnapshotCount"], shape["ReferencedBytes"], shape["Ratio"]) == (0, 0, 0)
