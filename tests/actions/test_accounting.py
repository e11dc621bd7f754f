"""What a store holds, and what deleting a snapshot alone would free, counted by hand."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from amictl.actions.accounting import describe_store
from amictl.model import retention
from amictl.model.blockmap import Interior, Name
from amictl.model.records import RetentionRule
from amictl.store import catalog, recycling
from amictl.store.store import Store
from amictl.store.walking import map_of
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
        return describe_store(store, workshop.surroundings.now())


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


def test_snapshots_that_no_image_uses_are_named(workshop: Workshop) -> None:
    disk = workshop.file("a", workshop.noise(MIB))
    alone = workshop.snapshot_id(disk)
    image_id = workshop.image("web", disk)
    disabled = workshop.image("old", disk)
    with workshop.open() as store:
        (mapping,) = catalog.read_image(store, image_id).mappings
        catalog.change_attributes(store, disabled, lambda old: replace(old, state="disabled"))
    assert described(workshop)["UnmappedSnapshots"] == [alone]
    with workshop.open() as store:
        catalog.remove(store, image_id)
    assert described(workshop)["UnmappedSnapshots"] == sorted((alone, str(mapping.snapshot_id)))


def recycled(workshop: Workshop, *record_ids: str) -> None:
    """Delete things while a rule retains them for a day."""
    rules = tuple(
        RetentionRule("abcDEF12345", kind, 1, "", (), ()) for kind in retention.RESOURCE_TYPES
    )
    with workshop.open() as store:
        recycling.change_rules(store, lambda _: rules)
        for record_id in record_ids:
            recycling.discard(store, record_id, workshop.surroundings.now())


def test_what_is_in_the_recycle_bin_counts_for_itself(
    snapshots: tuple[Workshop, dict[str, Places]],
) -> None:
    workshop, needed = snapshots
    image_id = workshop.image("web", workshop.file("disk", workshop.noise(3 * SEGMENT)))
    first, second, *kept = needed
    before = described(workshop)
    recycled(workshop, image_id, first, second)
    after = described(workshop)
    left = {one["SnapshotId"] for one in after["Snapshots"]}
    inside = needed[first] | needed[second]
    outside = {place for snapshot_id in kept for place in needed[snapshot_id]}
    assert (after["ImageCount"], after["SnapshotCount"]) == (0, len(needed) - 1)
    assert left == {one["SnapshotId"] for one in before["Snapshots"]} - {first, second}
    assert set(after["UnmappedSnapshots"]) == left
    assert after["RecycleBin"] == {
        "ImageCount": 1,
        "SnapshotCount": 2,
        "DueCount": 0,
        "ExclusiveBytes": sum(inside[place] for place in inside.keys() - outside),
    }
    for member in ("VolumeBytes", "LogicalBytes", "UniqueBytes", "ReferencedBytes"):
        assert after[member] == before[member]


def test_what_is_due_waits_to_be_collected(workshop: Workshop) -> None:
    image_id = workshop.image("web", workshop.file("a", workshop.noise(MIB)))
    recycled(workshop, image_id)
    later = workshop.surroundings.now() + timedelta(days=2)
    with workshop.open() as store:
        shape = describe_store(store, later)
    counts = {name: shape["RecycleBin"][name] for name in ("ImageCount", "DueCount")}
    assert counts == {"ImageCount": 0, "DueCount": 1}
    assert shape["ImageCount"] == 0


def test_a_snapshot_that_is_deleted_meanwhile_does_not_count(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = workshop.snapshot_id(workshop.file("disk", b"disk"))
    gone = workshop.snapshot_id(workshop.file("other", b"other"))
    listed = catalog.snapshot_ids

    def deleted_after_listing(store: Store) -> list[str]:
        found = listed(store)
        catalog.remove(store, gone)
        return found

    monkeypatch.setattr(catalog, "snapshot_ids", deleted_after_listing)
    with workshop.open() as store:
        described = describe_store(store, workshop.surroundings.now())
    assert [one["SnapshotId"] for one in described["Snapshots"]] == [kept]
