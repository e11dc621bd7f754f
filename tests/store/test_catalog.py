"""Records that change, are referred to, and go."""

import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from amictl.errors import ImageNotFoundError, SnapshotNotFoundError
from amictl.model import facts
from amictl.model.records import Attributes, tags_from
from amictl.store import catalog, layout
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
        assert catalog.name_holder(store, "one") is None


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
