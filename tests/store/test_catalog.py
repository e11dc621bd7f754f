"""Records that change, are referred to, and go."""

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.deregistering import deregister_image
from amictl.actions.snapshots import delete_snapshot
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNotFoundError,
    SnapshotNotFoundError,
)
from amictl.formats import records
from amictl.model import facts
from amictl.model.records import Attributes, tags_from
from amictl.store import catalog, image_names, layout, remains
from amictl.store.store import Store
from tests.workshop import Workshop


@pytest.fixture
def image(workshop: Workshop) -> tuple[str, str]:
    """An image and its snapshot."""
    image_id = workshop.image("one", workshop.file("disk.raw", workshop.noise(50_000)))
    with workshop.open() as store:
        (mapping,) = catalog.read_image(store, image_id).mappings
    assert mapping.snapshot_id is not None
    return image_id, mapping.snapshot_id


def _in_bin(attributes: Attributes) -> Attributes:
    return replace(attributes, state=catalog.IN_BIN)


def test_no_change_of_attributes_is_lost(workshop: Workshop, image: tuple[str, str]) -> None:
    def work(number: int) -> None:
        for turn in range(10):
            with workshop.open() as store:
                change = partial(Attributes.with_facts, facts={f"{number}-{turn}": "x"})
                catalog.change_attributes(store, image[0], change)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with workshop.open() as store:
        attributes = catalog.read_attributes(store, image[0])
    assert {tag.key for tag in attributes.further} == {
        f"{number}-{turn}" for number in range(4) for turn in range(10)
    }
    assert attributes.generation == 40


def test_a_change_that_changes_nothing_is_not_written(
    workshop: Workshop, image: tuple[str, str]
) -> None:
    with workshop.open() as store:
        place = workshop.root / layout.attributes(image[0])
        before = place.stat().st_ino
        catalog.change_attributes(store, image[0], lambda old: old)
        assert place.stat().st_ino == before


def test_attributes_of_nothing(workshop: Workshop) -> None:
    with workshop.open() as store:
        with pytest.raises(SnapshotNotFoundError):
            catalog.change_attributes(store, "snap-" + "0" * 17, lambda old: old)
        with pytest.raises(ImageNotFoundError):
            catalog.change_attributes(store, "ami-" + "0" * 17, lambda old: old)


def test_facts_come_and_go() -> None:
    attributes = Attributes("ami-" + "0" * 17, 3, "available", "", (), tags_from({"later": "kept"}))
    with_one = attributes.with_facts({facts.DEPRECATION_TIME: "2030-01-01T00:00:00.000Z"})
    assert with_one.fact(facts.DEPRECATION_TIME) == "2030-01-01T00:00:00.000Z"
    assert with_one.fact("later") == "kept"
    assert with_one.with_facts({facts.DEPRECATION_TIME: None}) == attributes
    assert attributes.fact(facts.DEPRECATION_TIME) is None


def test_what_is_in_the_bin_is_not_found_but_kept(
    workshop: Workshop, image: tuple[str, str]
) -> None:
    image_id, snapshot_id = image
    with workshop.open() as store:
        catalog.change_attributes(store, image_id, _in_bin)
        catalog.change_attributes(store, snapshot_id, _in_bin)
        assert not catalog.exists(store, image_id)
        with pytest.raises(ImageNotFoundError):
            catalog.read_image(store, image_id)
        with pytest.raises(SnapshotNotFoundError):
            catalog.read_snapshot(store, snapshot_id)
        assert catalog.read_image_core(store, image_id).name == "one"
        assert catalog.read_snapshot_core(store, snapshot_id).size_bytes == 50_000
        assert image_names.name_holder(store, "one") is None


def test_users_of_a_snapshot(workshop: Workshop, image: tuple[str, str]) -> None:
    image_id, snapshot_id = image
    other = workshop.snapshot_id(workshop.file("other.raw", b"other" * 999))
    with workshop.open() as store:
        assert catalog.users_of(store, snapshot_id) == [image_id]
        assert catalog.users_of(store, other) == []
        catalog.change_attributes(store, image_id, lambda old: replace(old, state="disabled"))
        assert catalog.users_of(store, snapshot_id) == [image_id]
        catalog.change_attributes(store, image_id, _in_bin)
        assert catalog.users_of(store, snapshot_id) == []


def test_an_image_cannot_map_what_is_gone(workshop: Workshop, image: tuple[str, str]) -> None:
    image_id, snapshot_id = image
    with workshop.open() as store:
        core = catalog.read_image(store, image_id)
        attributes = catalog.read_attributes(store, image_id)
        catalog.remove(store, image_id)
        catalog.remove(store, snapshot_id)
        assert not catalog.exists(store, image_id)
        assert not (workshop.root / layout.attributes(image_id)).exists()
        with pytest.raises(SnapshotNotFoundError):
            catalog.put_image(store, core, attributes)
        assert not catalog.exists(store, image_id)


def test_removing_waits_for_registering(workshop: Workshop) -> None:
    """Also in a store from before there was a lock for it."""
    (workshop.root / layout.CATALOG_LOCK).unlink()
    with workshop.open() as store, workshop.open() as other:
        order = []

        def later() -> None:
            with catalog.exclusively(other):
                order.append("second")

        with catalog.exclusively(store):
            thread = threading.Thread(target=later)
            thread.start()
            thread.join(0.2)
            order.append("first")
        thread.join()
        assert order == ["first", "second"]


def test_damaged_attributes_do_not_hide_the_data(
    workshop: Workshop, image: tuple[str, str], tmp_path: Path
) -> None:
    (workshop.root / layout.attributes(image[1])).write_bytes(b"torn")
    assert workshop.restored(image[1]) == workshop.noise(50_000)


def test_a_snapshot_that_is_deleted_meanwhile_is_no_snapshot_of_the_volume(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the record of the volume leads nowhere, so that all are looked at."""
    path = workshop.file("disk.raw", workshop.noise(50_000))
    first = workshop.snapshot(path)
    newest = workshop.snapshot_id(path)
    other = workshop.snapshot_id(workshop.file("other.raw", b"other"))
    listed = catalog.snapshot_ids

    def deleted_after_listing(store: Store) -> list[str]:
        found = listed(store)
        catalog.remove(store, other)
        return found

    monkeypatch.setattr(catalog, "snapshot_ids", deleted_after_listing)
    with workshop.open() as store:
        catalog.remove(store, newest)
        parent = catalog.newest_snapshot(store, first["VolumeId"])
    assert parent is not None
    assert parent.snapshot_id == first["SnapshotId"]


def test_a_damaged_snapshot_is_no_parent_and_no_fault_of_a_new_one(workshop: Workshop) -> None:
    path = workshop.file("disk.raw", workshop.noise(50_000))
    first, newest = workshop.snapshot(path), workshop.snapshot_id(path)
    damaged = workshop.snapshot_id(workshop.file("other.raw", b"other"))
    (workshop.root / layout.core(damaged)).write_bytes(b"torn")
    with workshop.open() as store:
        catalog.remove(store, newest)
        parent = catalog.newest_snapshot(store, first["VolumeId"])
        assert catalog.snapshots_of(store, first["VolumeId"])[1] == [damaged]
    assert parent is not None
    assert parent.snapshot_id == first["SnapshotId"]


def test_what_a_killed_removal_left_is_no_record(
    workshop: Workshop, image: tuple[str, str]
) -> None:
    for record_id in image:
        (workshop.root / layout.core(record_id)).unlink()
    checked = workshop.check()
    assert checked["Faults"] == []
    assert {(one["Kind"], one["Place"]) for one in checked["Leftovers"]} == {
        ("attributes", layout.attributes(record_id)) for record_id in image
    }


def test_what_a_killed_removal_left_can_be_removed(
    workshop: Workshop, image: tuple[str, str]
) -> None:
    image_id, snapshot_id = image
    for record_id in image:
        (workshop.root / layout.core(record_id)).unlink()
    with workshop.open() as store:
        with pytest.raises(DryRunError):
            deregister_image(store, image_id, workshop.surroundings, dry_run=True)
        with pytest.raises(DryRunError):
            delete_snapshot(store, snapshot_id, workshop.surroundings, dry_run=True)
        assert remains.are_there(store, image_id)
        assert remains.are_there(store, snapshot_id)
        deregister_image(store, image_id, workshop.surroundings)
        delete_snapshot(store, snapshot_id, workshop.surroundings)
        with pytest.raises(ImageNotFoundError):
            deregister_image(store, image_id, workshop.surroundings)
        with pytest.raises(SnapshotNotFoundError):
            delete_snapshot(store, snapshot_id, workshop.surroundings)
    assert workshop.check()["Leftovers"] == []


def test_what_is_whole_or_in_the_bin_has_no_remains(
    workshop: Workshop, image: tuple[str, str]
) -> None:
    with workshop.open() as store:
        catalog.change_attributes(store, image[0], _in_bin)
        for record_id in image:
            remains.remove(store, record_id)
            assert catalog.read_attributes(store, record_id).id == record_id
    assert workshop.check()["Leftovers"] == []


def test_attributes_of_what_is_being_made_are_no_leftover(workshop: Workshop) -> None:
    found: list[dict[str, Any]] = []

    def half_made(shape: dict[str, Any]) -> None:
        attributes = Attributes(shape["SnapshotId"], 0, "completed", "", ())
        place = workshop.root / layout.attributes(attributes.id)
        place.write_bytes(records.encode(attributes))
        found.append(workshop.check())
        place.unlink()

    workshop.snapshot(workshop.file("disk.raw", b"disk"), on_secured=half_made)
    assert [one["Leftovers"] for one in found] == [[]]


def unreadable(path: Path) -> None:
    path.write_bytes(b"{}\n")


@pytest.mark.parametrize(
    ("place", "damage"),
    [
        (layout.core, unreadable),
        (layout.attributes, unreadable),
        (layout.attributes, Path.unlink),
    ],
)
def test_damage_of_an_image_says_what_to_move_away(
    workshop: Workshop, image: tuple[str, str], place: Any, damage: Any
) -> None:
    image_id, snapshot_id = image
    damage(workshop.root / place(image_id))
    path = workshop.root / layout.core(image_id)
    with workshop.open() as store:
        with pytest.raises(CorruptStoreError) as caught:
            deregister_image(store, image_id, workshop.surroundings)
        assert f"move {path} away" in (caught.value.hint or "")
        with pytest.raises((CorruptStoreError, ConflictError)):
            delete_snapshot(store, snapshot_id, workshop.surroundings)
        path.unlink()
        delete_snapshot(store, snapshot_id, workshop.surroundings)
