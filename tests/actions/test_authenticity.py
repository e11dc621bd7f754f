"""Cores of encrypted snapshots and images: what was not recorded with the key is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.actions.launching import LaunchRequest, launch_image
from amictl.errors import AmictlError, CorruptStoreError, KeyUnavailableError
from amictl.formats import records
from amictl.model import facts
from amictl.model.records import Cut, ImageCore, SnapshotCore, tags_from
from amictl.store import authenticity, catalog, layout
from tests.workshop import MIB, Workshop

OTHER = "snap-00000000000000001"


@pytest.fixture
def snapshot(workshop: Workshop) -> SnapshotCore:
    workshop.encrypt_by_default(workshop.keys.new())
    return workshop.core(workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB))))


def refused(workshop: Workshop, snapshot_id: str) -> AmictlError:
    with pytest.raises(CorruptStoreError) as caught:
        workshop.restored(snapshot_id)
    return caught.value


def with_sealed_of_another(workshop: Workshop, core: SnapshotCore) -> SnapshotCore:
    other = workshop.core(workshop.snapshot_id(workshop.file("other", workshop.noise(MIB, 3))))
    return replace(core, further=other.further)


FORGERIES: dict[str, Callable[[Workshop, SnapshotCore], SnapshotCore]] = {
    "another-owner": lambda _, core: replace(core, owner_id="210987654321"),
    "another-size": lambda _, core: replace(core, size_bytes=core.size_bytes - 512),
    "another-root": lambda _, core: replace(core, root="ab" * 32),
    "another-time": lambda _, core: replace(core, start_time="2020-01-01T00:00:00.000Z"),
    "another-cut": lambda _, core: replace(core, cut=Cut(1, core.cut.average)),
    "no-mac": lambda _, core: replace(core, signatures=()),
    "two-macs": lambda _, core: replace(core, signatures=core.signatures * 2),
    "another-mac": lambda _, core: replace(core, signatures=("mac:" + "0" * 64,)),
    "keys-of-another": with_sealed_of_another,
    "no-mac-and-its-own-core": lambda _, core: replace(
        core,
        signatures=(),
        further=tags_from(
            {tag.key: tag.value for tag in core.further}
            | {facts.COPIED_CORE: records.encode(replace(core, signatures=())).decode()}
        ),
    ),
}


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_a_core_that_was_changed_is_refused(
    workshop: Workshop, snapshot: SnapshotCore, forgery: str
) -> None:
    workshop.put_core(FORGERIES[forgery](workshop, snapshot))
    assert "was not recorded with the key" in refused(workshop, snapshot.snapshot_id).message
    assert any("not recorded" in fault["Message"] for fault in workshop.check()["Faults"])


def test_a_core_under_another_id_is_refused(workshop: Workshop, snapshot: SnapshotCore) -> None:
    attributes = workshop.root / layout.attributes(snapshot.snapshot_id)
    text = attributes.read_bytes()
    workshop.put_core(replace(snapshot, snapshot_id=OTHER))
    found = records.decode(text, records.Attributes, "here")
    (workshop.root / layout.attributes(OTHER)).write_bytes(records.encode(replace(found, id=OTHER)))
    assert "was not recorded with the key" in refused(workshop, OTHER).message


def test_no_child_goes_on_from_a_forged_parent_that_was_named(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    workshop.put_core(replace(snapshot, root="ab" * 32))
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        workshop.snapshot(workshop.folder / "disk", parent=snapshot.snapshot_id)


def copied(workshop: Workshop, core: SnapshotCore) -> str:
    """A copy in the same region, made by who does not have the key."""
    workshop.keys.mislay()
    with workshop.open() as store:
        copy = authenticity.of_copy(store, replace(core, snapshot_id=OTHER), core)
        attributes = catalog.read_attributes(store, core.snapshot_id)
        catalog.put_snapshot(store, copy, replace(attributes, id=OTHER))
    workshop.keys.find()
    return OTHER


def state(workshop: Workshop, snapshot_id: str) -> str:
    with workshop.open() as store:
        core = catalog.read_snapshot(store, snapshot_id)
        return authenticity.state_of(store, core, catalog.read_attributes(store, snapshot_id))


def test_a_copy_without_the_key_is_unconfirmed_until_it_is_read(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    copy = copied(workshop, snapshot)
    assert state(workshop, copy) == "unconfirmed"
    assert workshop.restored(copy) == (workshop.folder / "disk").read_bytes()
    assert state(workshop, copy) == "authentic"


def test_a_copy_of_an_unconfirmed_copy_is_unconfirmed_and_reads(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    first = workshop.core(copied(workshop, snapshot))
    workshop.keys.mislay()
    with workshop.open() as store:
        second = authenticity.of_copy(store, replace(first, snapshot_id=OTHER[:-1] + "2"), first)
    assert second.fact(facts.COPIED_CORE) == first.fact(facts.COPIED_CORE)


def test_a_copy_with_the_key_is_authentic_at_once(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    with workshop.open() as store:
        copy = authenticity.of_copy(store, replace(snapshot, snapshot_id=OTHER), snapshot)
        assert authenticity.state_of(store, copy, None) == "authentic"


def test_a_forged_snapshot_is_not_copied_with_the_key(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    forged = replace(snapshot, root="ab" * 32)
    with workshop.open() as store, pytest.raises(CorruptStoreError, match="not recorded"):
        authenticity.of_copy(store, replace(forged, snapshot_id=OTHER), forged)


@pytest.mark.parametrize("hint", ["source", "freeze"])
def test_a_copy_does_not_say_that_another_file_is_unchanged(
    workshop: Workshop, snapshot: SnapshotCore, hint: str
) -> None:
    """Who has no key could make an old snapshot stand for what is on the disk now."""
    copy = workshop.core(copied(workshop, snapshot))
    another = workshop.core(workshop.snapshot_id(workshop.file("now", workshop.noise(MIB, 8))))
    workshop.put_core(replace(copy, **{hint: getattr(another, hint)}))
    assert state(workshop, copy.snapshot_id) == "forged"


def test_a_copy_that_says_something_else_than_its_source_is_forged(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    copy = copied(workshop, snapshot)
    workshop.put_core(replace(workshop.core(copy), root="ab" * 32))
    assert state(workshop, copy) == "forged"


def launched(workshop: Workshop, image_id: str, folder: Path) -> None:
    with workshop.open() as store:
        launch_image(store, LaunchRequest(image_id, folder), workshop.surroundings)


def image_core(workshop: Workshop, image_id: str) -> ImageCore:
    with workshop.open() as store:
        return catalog.read_image(store, image_id)


def test_an_image_of_encrypted_disks_carries_a_mac(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    core = image_core(workshop, workshop.image("web", workshop.folder / "disk"))
    assert core.fact(facts.MAC_DOMAIN) == snapshot.domain
    assert len(core.signatures) == 1


def test_an_image_is_launched_with_its_key(workshop: Workshop, snapshot: SnapshotCore) -> None:
    image_id = workshop.image("web", workshop.folder / "disk")
    launched(workshop, image_id, workshop.folder / "machine")
    (disk,) = (workshop.folder / "machine").glob("*.raw")
    assert disk.read_bytes() == (workshop.folder / "disk").read_bytes()
    assert disk.stat().st_mode & 0o777 == 0o600


def test_an_image_is_not_launched_without_its_key(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    image_id = workshop.image("web", workshop.folder / "disk")
    workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        launched(workshop, image_id, workshop.folder / "machine")
    assert not (workshop.folder / "machine").exists()


def test_an_image_that_was_renamed_is_not_launched(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    image_id = workshop.image("web", workshop.folder / "disk")
    core = replace(image_core(workshop, image_id), name="another")
    (workshop.root / layout.core(image_id)).write_bytes(records.encode(core))
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        launched(workshop, image_id, workshop.folder / "machine")


def test_an_image_that_maps_an_encrypted_snapshot_is_not_begun_without_its_key(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    workshop.plain_by_default()
    workshop.keys.mislay()
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot.snapshot_id}}
    with pytest.raises(KeyUnavailableError):
        workshop.image("web", workshop.file("plain", b"x" * 5000), block_device_mappings=(mapping,))
    with workshop.open() as store:
        assert catalog.snapshot_ids(store) == [snapshot.snapshot_id]


def test_an_image_of_a_plain_and_an_encrypted_disk_carries_a_mac(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    workshop.plain_by_default()
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot.snapshot_id}}
    plain = workshop.file("plain", b"x" * 5000)
    core = image_core(workshop, workshop.image("web", plain, block_device_mappings=(mapping,)))
    assert core.fact(facts.MAC_DOMAIN) == snapshot.domain


def test_a_forged_parent_that_nobody_named_costs_only_the_parent(
    workshop: Workshop, snapshot: SnapshotCore
) -> None:
    workshop.put_core(replace(snapshot, root="ab" * 32))
    child = workshop.core(workshop.snapshot_id(workshop.folder / "disk"))
    assert (child.parent, child.domain) == (None, snapshot.domain)
    assert workshop.restored(child.snapshot_id) == (workshop.folder / "disk").read_bytes()
