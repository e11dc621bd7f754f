"""What was encrypted and is said to be plain, or of another moment or key, by who may write."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.blocks import block_token, get_snapshot_block
from amictl.actions.describing_images import describe_images
from amictl.actions.launching import LaunchRequest, launch_image
from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.content.domains import PLAIN
from amictl.errors import CorruptStoreError
from amictl.formats import records
from amictl.formats.framing import PLAIN_DOMAIN
from amictl.model import facts
from amictl.model.blockmap import SEGMENT_SIZE, Interior, Leaf
from amictl.model.records import ImageCore, SnapshotCore, tags_from
from amictl.store import authenticity, catalog, layout
from amictl.store.writing import Writer
from tests.workshop import MIB, Workshop

LATER = "2099-01-01T00:00:00.000Z"


@pytest.fixture
def disk(workshop: Workshop) -> Path:
    workshop.encrypt_by_default(workshop.keys.new())
    return workshop.file("disk", workshop.noise(MIB))


@pytest.fixture
def snapshot(workshop: Workshop, disk: Path) -> SnapshotCore:
    return workshop.core(workshop.snapshot_id(disk))


def messages(workshop: Workshop, record_id: str) -> list[str]:
    """What a check says of a record."""
    faults = workshop.check()["Faults"]
    return [one["Message"] for one in faults if one["Place"] == layout.core(record_id)]


def domain_zeroed(core: SnapshotCore) -> SnapshotCore:
    return replace(core, domain=PLAIN_DOMAIN.hex())


def domain_zeroed_and_mac_removed(core: SnapshotCore) -> SnapshotCore:
    return replace(core, domain=PLAIN_DOMAIN.hex(), signatures=())


def all_traces_removed(core: SnapshotCore) -> SnapshotCore:
    plain = domain_zeroed_and_mac_removed(core)
    return replace(plain, further=(), fingerprint_key="ab" * 32)


DOWNGRADES = [domain_zeroed, domain_zeroed_and_mac_removed, all_traces_removed]


@pytest.mark.parametrize("downgrade", DOWNGRADES, ids=lambda one: one.__name__)
def test_an_encrypted_snapshot_that_is_said_to_be_plain_is_not_restored(
    workshop: Workshop,
    snapshot: SnapshotCore,
    downgrade: Callable[[SnapshotCore], SnapshotCore],
) -> None:
    workshop.put_core(downgrade(snapshot))
    with pytest.raises(CorruptStoreError, match=snapshot.snapshot_id):
        workshop.volume(snapshot.snapshot_id, workshop.folder / "target")
    assert not (workshop.folder / "target").exists()


@pytest.mark.parametrize("downgrade", DOWNGRADES[:2], ids=lambda one: one.__name__)
def test_a_check_names_what_was_made_plain(
    workshop: Workshop,
    snapshot: SnapshotCore,
    downgrade: Callable[[SnapshotCore], SnapshotCore],
) -> None:
    workshop.put_core(downgrade(snapshot))
    found = messages(workshop, snapshot.snapshot_id)
    assert "it was made plain after it was recorded with a key" in found


def test_a_check_names_a_map_of_another_domain(workshop: Workshop, snapshot: SnapshotCore) -> None:
    workshop.put_core(all_traces_removed(snapshot))
    (damaged,) = workshop.check()["Damaged"]
    assert damaged["SnapshotId"] == snapshot.snapshot_id


def keyless_copy(core: SnapshotCore, **changes: Any) -> SnapshotCore:
    """A copy as who does not have the key can make one, and more than that."""
    copy = replace(core, signatures=(), **changes)
    pairs = {tag.key: tag.value for tag in core.further}
    return replace(
        copy, further=tags_from(pairs | {facts.COPIED_CORE: records.encode(core).decode()})
    )


def test_a_copy_that_was_not_touched_is_taken(workshop: Workshop, snapshot: SnapshotCore) -> None:
    """So that what the next tests see refused is refused for what they changed."""
    workshop.put_core(keyless_copy(snapshot))
    content = (workshop.folder / "disk").read_bytes()
    assert workshop.restored(snapshot.snapshot_id) == content


@pytest.mark.parametrize(
    "changes",
    [{"freeze": "another"}, {"source": "another"}, {"data_bytes": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_copy_that_says_more_than_its_source_is_refused(
    workshop: Workshop, snapshot: SnapshotCore, changes: dict[str, Any]
) -> None:
    another = {
        "freeze": replace(snapshot.freeze, moment=LATER),
        "source": replace(snapshot.source, path="/elsewhere"),
    }
    changes = {key: another.get(key, value) for key, value in changes.items()}
    workshop.put_core(keyless_copy(snapshot, **changes))
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        workshop.restored(snapshot.snapshot_id)


def test_an_old_state_as_a_copy_is_not_the_newest_of_its_volume(
    workshop: Workshop, disk: Path
) -> None:
    old = workshop.core(workshop.snapshot_id(disk))
    content = workshop.noise(MIB, 9)
    disk.write_bytes(content)
    new = workshop.core(workshop.snapshot_id(disk))
    attributes = (workshop.root / layout.attributes(old.snapshot_id)).read_bytes()
    other_id = "snap-ffffffffffffffff1"
    forged = keyless_copy(old, snapshot_id=other_id, start_time=LATER, completion_time=LATER)
    (workshop.root / layout.attributes(other_id)).write_bytes(
        records.encode(replace(records.decode(attributes, records.Attributes, ""), id=other_id))
    )
    workshop.put_core(forged)
    workshop.volume(None, workshop.folder / "target", volume_id=new.volume_id)
    assert (workshop.folder / "target").read_bytes() == content


def image_core(workshop: Workshop, image_id: str) -> ImageCore:
    with workshop.open() as store:
        return catalog.read_image(store, image_id)


def put_image(workshop: Workshop, core: ImageCore) -> None:
    (workshop.root / layout.core(core.image_id)).write_bytes(records.encode(core))


def launch(workshop: Workshop, image_id: str) -> None:
    with workshop.open() as store:
        request = LaunchRequest(image_id, workshop.folder / "machine")
        launch_image(store, request, workshop.surroundings)


def shown(workshop: Workshop, image_id: str) -> str | None:
    """What describe-images says of an image, without a key."""
    workshop.keys.mislay()
    with workshop.open() as store:
        (image,) = describe_images(store, (image_id,))["Images"]
    return image.get("Amictl", {}).get("Authenticity")


def test_an_image_without_its_mac_shows_as_unconfirmed(workshop: Workshop, disk: Path) -> None:
    image_id = workshop.image("web", disk)
    assert shown(workshop, image_id) is None
    put_image(workshop, replace(image_core(workshop, image_id), signatures=(), further=()))
    assert shown(workshop, image_id) == "unconfirmed"


def test_an_image_that_maps_something_else_shows_as_unconfirmed(
    workshop: Workshop, disk: Path, snapshot: SnapshotCore
) -> None:
    other = workshop.file("other", workshop.noise(MIB, 3))
    core = image_core(workshop, workshop.image("web", other))
    (mapping,) = core.mappings
    mapping = replace(mapping, snapshot_id=snapshot.snapshot_id)
    put_image(workshop, replace(core, mappings=(mapping,)))
    assert shown(workshop, core.image_id) == "unconfirmed"


def test_another_key_makes_no_image_of_a_snapshot(workshop: Workshop, disk: Path) -> None:
    image_id = workshop.image("web", disk)
    workshop.encrypt_by_default(workshop.keys.new())
    theirs = workshop.core(workshop.snapshot_id(workshop.file("theirs", workshop.noise(MIB, 4))))
    with workshop.open() as store:
        domain = store.sealed_domain(theirs.domain)
        core = replace(image_core(workshop, image_id), name="another", signatures=())
        put_image(workshop, authenticity.image_of_domain(core, domain))
    with pytest.raises(CorruptStoreError, match=f"{image_id}.* maps other content"):
        launch(workshop, image_id)
    assert "it maps other content than was recorded" in messages(workshop, image_id)


def test_a_forged_data_disk_is_not_registered(
    workshop: Workshop, disk: Path, snapshot: SnapshotCore
) -> None:
    other = workshop.core(workshop.snapshot_id(workshop.file("other", workshop.noise(MIB, 3))))
    workshop.put_core(replace(other, size_bytes=other.size_bytes - 512))
    mappings: tuple[dict[str, Any], ...] = (
        {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot.snapshot_id}},
        {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": other.snapshot_id}},
    )
    with (
        workshop.open() as store,
        pytest.raises(CorruptStoreError, match=f"{other.snapshot_id}.* not recorded with the key"),
    ):
        register_image(
            store, RegisterImageRequest("new", mappings, "/dev/sda1"), workshop.surroundings
        )


def test_no_image_is_begun_that_would_map_a_forged_disk(
    workshop: Workshop, disk: Path, snapshot: SnapshotCore
) -> None:
    workshop.put_core(replace(snapshot, size_bytes=snapshot.size_bytes - 512))
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot.snapshot_id}}
    other = workshop.file("other", workshop.noise(MIB, 3))
    with pytest.raises(CorruptStoreError, match="not recorded with the key"):
        workshop.image("web", other, block_device_mappings=(mapping,))
    with workshop.open() as store:
        assert catalog.snapshot_ids(store) == [snapshot.snapshot_id]
        assert not list((workshop.root / "pending").iterdir())


# --- maps of two domains -----------------------------------------------------------------------


def put_plain_map(workshop: Workshop, snapshot: SnapshotCore, *, of_leaf: bool) -> SnapshotCore:
    """A plain snapshot whose map leads to what is encrypted: to a leaf of `snapshot`, or to the
    chunks of that leaf. Whoever can write to the store can make one without a key.
    """
    size = SEGMENT_SIZE + MIB if of_leaf else snapshot.size_bytes
    with workshop.open() as store, Writer(store, workshop.surroundings.random_bytes) as writer:
        name = bytes.fromhex(snapshot.root or "")
        leaf = store.read_leaf(name)
        if of_leaf:
            tail = writer.add_node(Leaf((MIB,), (None,), bytes(16)), PLAIN).stored
            root = writer.add_node(Interior(1, size, (name, tail)), PLAIN).stored
        else:
            root = writer.add_node(Leaf(leaf.lengths, leaf.names, leaf.fingerprint), PLAIN).stored
        writer.publish()
    forged = replace(all_traces_removed(snapshot), root=root.hex(), height=int(of_leaf))
    forged = replace(forged, size_bytes=size)
    workshop.put_core(forged)
    return forged


@pytest.fixture
def whole_segment(workshop: Workshop, disk: Path) -> SnapshotCore:
    content = workshop.noise(SEGMENT_SIZE, 5)
    return workshop.core(workshop.snapshot_id(workshop.file("whole", content)))


@pytest.mark.parametrize("of_leaf", [True, False])
def test_nothing_encrypted_is_read_through_a_plain_map(
    workshop: Workshop, whole_segment: SnapshotCore, of_leaf: bool
) -> None:
    forged = put_plain_map(workshop, whole_segment, of_leaf=of_leaf)
    with pytest.raises(CorruptStoreError, match="of another domain"):
        workshop.volume(forged.snapshot_id, workshop.folder / "target")
    with workshop.open() as store, pytest.raises(CorruptStoreError, match="of another domain"):
        get_snapshot_block(
            store, forged.snapshot_id, 0, block_token(store, forged, 0), workshop.folder / "block"
        )


def test_a_check_names_a_plain_map_that_leads_to_what_is_encrypted(
    workshop: Workshop, whole_segment: SnapshotCore
) -> None:
    forged = put_plain_map(workshop, whole_segment, of_leaf=True)
    for keys in (workshop.keys.find, workshop.keys.mislay):
        keys()
        (damaged,) = workshop.check()["Damaged"]
        assert damaged["SnapshotId"] == forged.snapshot_id
