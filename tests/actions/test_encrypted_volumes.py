"""Disks of encrypted snapshots: private, known as volumes of their key, encrypted again."""

from dataclasses import replace
from pathlib import Path

import pytest

from amictl.actions.blocks import get_snapshot_block, list_changed_blocks, list_snapshot_blocks
from amictl.actions.checking import verify_snapshot
from amictl.actions.deregistering import deregister_image
from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.actions.snapshots import delete_snapshot
from amictl.actions.volumes import describe_volumes
from amictl.errors import CorruptStoreError, KeyUnavailableError
from amictl.store import catalog, layout
from amictl.store.lineages import is_encrypted
from tests.workshop import MIB, Workshop


class Notes:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, step: object) -> None: ...

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def key(workshop: Workshop) -> str:
    return workshop.keys.new()


@pytest.fixture
def snapshot_id(workshop: Workshop, key: str) -> str:
    """An encrypted snapshot, in a region where new things are plain again."""
    workshop.encrypt_by_default(key)
    found = workshop.snapshot_id(workshop.file("disk", workshop.noise(5 * MIB)))
    workshop.plain_by_default()
    return found


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_restored_file_is_private_and_says_so(workshop: Workshop, snapshot_id: str) -> None:
    target, notes = workshop.folder / "target", Notes()
    request = CreateVolumeRequest(snapshot_id, None, None, target)
    with workshop.open() as store:
        create_volume(store, request, replace(workshop.surroundings, progress=notes))
    assert mode(target) == 0o600
    assert any("mode 0600" in text and str(target) in text for text in notes.texts)


@pytest.mark.parametrize("way", ["force", "in_place"])
def test_a_file_that_everybody_could_read_becomes_private(
    workshop: Workshop, snapshot_id: str, way: str
) -> None:
    target = workshop.file("target", b"x")
    target.chmod(0o644)
    workshop.volume(snapshot_id, target, **{way: True})
    assert mode(target) == 0o600
    assert target.read_bytes() == (workshop.folder / "disk").read_bytes()


def test_a_plain_one_keeps_its_mode(workshop: Workshop) -> None:
    plain = workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    target = workshop.file("target", b"x")
    target.chmod(0o644)
    workshop.volume(plain, target, force=True)
    assert mode(target) == 0o644


def test_a_restored_disk_is_a_volume_of_the_key(
    workshop: Workshop, snapshot_id: str, key: str
) -> None:
    shape = workshop.volume(snapshot_id, workshop.folder / "target")
    with workshop.open() as store:
        (shown,) = describe_volumes(store, (shape["VolumeId"],))["Volumes"]
    assert (shape["Encrypted"], shape["KmsKeyId"]) == (True, key)
    assert (shown["Encrypted"], shown["KmsKeyId"]) == (True, key)


def test_what_is_taken_from_it_is_encrypted_with_its_key_even_when_the_snapshot_is_gone(
    workshop: Workshop, snapshot_id: str, key: str
) -> None:
    target = workshop.folder / "target"
    workshop.volume(snapshot_id, target)
    with workshop.open() as store:
        delete_snapshot(store, snapshot_id, workshop.surroundings)
    core = workshop.core(workshop.snapshot_id(target))
    assert is_encrypted(core)
    with workshop.open() as store:
        assert store.key_id(core.domain) == key


def test_damage_of_the_volumes_record_does_not_make_it_plain(
    workshop: Workshop, snapshot_id: str
) -> None:
    target = workshop.folder / "target"
    volume_id = workshop.volume(snapshot_id, target)["VolumeId"]
    (workshop.root / layout.volume(volume_id)).write_bytes(b"torn")
    assert is_encrypted(workshop.core(workshop.snapshot_id(target)))
    (workshop.root / layout.attributes(volume_id)).write_bytes(b"torn")
    (workshop.root / layout.volume(volume_id)).unlink()
    with pytest.raises(CorruptStoreError):
        workshop.snapshot(target, volume_id=volume_id, parent="none")


def test_damage_of_the_newest_snapshot_does_not_make_the_next_one_plain(
    workshop: Workshop, snapshot_id: str
) -> None:
    disk = workshop.folder / "disk"
    newest = workshop.snapshot_id(disk)
    (workshop.root / layout.core(newest)).write_bytes(b"torn")
    assert is_encrypted(workshop.core(workshop.snapshot_id(disk)))


def test_without_the_key_no_snapshot_is_begun(workshop: Workshop, snapshot_id: str) -> None:
    workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        workshop.snapshot(workshop.folder / "disk")
    with workshop.open() as store:
        assert catalog.snapshot_ids(store) == [snapshot_id]


def test_a_snapshot_is_verified_with_its_key_only(workshop: Workshop, snapshot_id: str) -> None:
    with workshop.open() as store:
        found = verify_snapshot(store, snapshot_id, surroundings=workshop.surroundings)
    assert (found["Faults"], found["DataBytesRead"]) == ([], 5 * MIB)
    workshop.keys.mislay()
    with workshop.open() as store, pytest.raises(KeyUnavailableError):
        verify_snapshot(store, snapshot_id, surroundings=workshop.surroundings)


def test_blocks_are_listed_and_read_with_the_key(workshop: Workshop, snapshot_id: str) -> None:
    out = workshop.folder / "block"
    with workshop.open() as store:
        blocks = list_snapshot_blocks(store, snapshot_id)["Blocks"]
        token = blocks[3]["BlockToken"]
        get_snapshot_block(store, snapshot_id, 3, token, out)
    disk = (workshop.folder / "disk").read_bytes()
    assert len(blocks) == 10
    assert out.read_bytes() == disk[3 << 19 : 4 << 19]


def test_changed_blocks_of_two_encrypted_snapshots_are_found(
    workshop: Workshop, snapshot_id: str
) -> None:
    disk = workshop.folder / "disk"
    disk.write_bytes(disk.read_bytes()[:-1] + b"!")
    second = workshop.snapshot_id(disk)
    with workshop.open() as store:
        changed = list_changed_blocks(store, snapshot_id, second)["ChangedBlocks"]
    assert [block["BlockIndex"] for block in changed] == [9]


def test_a_block_is_not_read_without_the_key(workshop: Workshop, snapshot_id: str) -> None:
    workshop.keys.mislay()
    with workshop.open() as store, pytest.raises(KeyUnavailableError):
        list_snapshot_blocks(store, snapshot_id)


def mapping(snapshot_id: str) -> tuple[dict[str, object], ...]:
    return ({"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot_id}},)


def test_an_encrypted_snapshot_is_registered_with_its_key(
    workshop: Workshop, snapshot_id: str
) -> None:
    request = RegisterImageRequest("web", mapping(snapshot_id), root_device_name="/dev/sda1")
    with workshop.open() as store:
        image_id = register_image(store, request, workshop.surroundings)["ImageId"]
        assert len(catalog.read_image(store, image_id).signatures) == 1
        deregister_image(store, image_id, workshop.surroundings)


def test_an_encrypted_snapshot_is_not_registered_without_its_key(
    workshop: Workshop, snapshot_id: str
) -> None:
    workshop.keys.mislay()
    request = RegisterImageRequest("web", mapping(snapshot_id), root_device_name="/dev/sda1")
    with workshop.open() as store, pytest.raises(KeyUnavailableError):
        register_image(store, request, workshop.surroundings)


def test_a_dry_run_of_a_restore_wants_the_key_too(workshop: Workshop, snapshot_id: str) -> None:
    workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError):
        workshop.volume(snapshot_id, workshop.folder / "target", dry_run=True)


def test_a_damaged_snapshot_that_is_alone_does_not_make_the_next_one_plain(
    workshop: Workshop, snapshot_id: str
) -> None:
    (workshop.root / layout.core(snapshot_id)).write_bytes(b"torn")
    with pytest.raises(CorruptStoreError, match=snapshot_id):
        workshop.snapshot(workshop.folder / "disk")
