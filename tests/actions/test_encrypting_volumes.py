"""Volumes and launched disks that get a key, or another one: EC2's rules, and what they do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.launching import LaunchRequest, launch_image
from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.actions.volumes import describe_volumes
from amictl.errors import (
    BlockDeviceMappingError,
    DryRunError,
    KeyNotFoundError,
    KeyUnavailableError,
    UsageError,
)
from amictl.model.encryption import EncryptionRequest
from amictl.store import catalog, domains
from tests.workshop import MIB, Workshop

CONTENT_SIZE = 5 * MIB


@pytest.fixture
def key(workshop: Workshop) -> str:
    return workshop.keys.new()


@pytest.fixture
def plain(workshop: Workshop) -> str:
    return workshop.snapshot_id(workshop.file("disk", workshop.noise(CONTENT_SIZE)))


@pytest.fixture
def encrypted(workshop: Workshop, plain: str, key: str) -> str:
    """An encrypted snapshot, in a region where new things are plain again."""
    workshop.encrypt_by_default(key)
    found = workshop.snapshot_id(workshop.file("secret", workshop.noise(CONTENT_SIZE, 3)))
    workshop.plain_by_default()
    return found


def asked(key_id: str | None = None, *, encrypted: bool | None = True) -> EncryptionRequest:
    return EncryptionRequest(encrypted, key_id)


def volume(workshop: Workshop, snapshot_id: str, request: EncryptionRequest) -> dict[str, Any]:
    target = workshop.folder / "target"
    return workshop.volume(snapshot_id, target, encryption=request)


def key_of(workshop: Workshop, snapshot_id: str) -> str | None:
    with workshop.open() as store:
        return store.key_id(catalog.read_snapshot(store, snapshot_id).domain)


def test_a_plain_snapshot_becomes_a_volume_of_a_key(
    workshop: Workshop, plain: str, key: str
) -> None:
    shape = volume(workshop, plain, asked(key))
    assert (shape["Encrypted"], shape["KmsKeyId"]) == (True, key)
    target = workshop.folder / "target"
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_bytes() == (workshop.folder / "disk").read_bytes()
    with workshop.open() as store:
        shown = describe_volumes(store, (shape["VolumeId"],))["Volumes"][0]
    assert (shown["Encrypted"], shown["KmsKeyId"]) == (True, key)


def test_what_is_taken_from_it_is_encrypted_and_shares_nothing(
    workshop: Workshop, plain: str, key: str
) -> None:
    volume(workshop, plain, asked(key))
    child = workshop.core(workshop.snapshot_id(workshop.folder / "target"))
    assert key_of(workshop, child.snapshot_id) == key
    assert child.parent is None
    assert child.new_bytes >= CONTENT_SIZE
    again = workshop.core(workshop.snapshot_id(workshop.folder / "target"))
    assert (again.parent, again.new_bytes) == (child.snapshot_id, 0)


def test_a_volume_of_another_key_than_its_snapshot(workshop: Workshop, encrypted: str) -> None:
    other = workshop.keys.new()
    assert volume(workshop, encrypted, asked(other))["KmsKeyId"] == other
    child = workshop.snapshot_id(workshop.folder / "target")
    assert key_of(workshop, child) == other
    assert workshop.core(child).new_bytes >= CONTENT_SIZE


def test_a_disk_that_is_written_anew_with_another_key_leaves_the_old_one(
    workshop: Workshop, key: str, encrypted: str
) -> None:
    other = workshop.keys.new()
    volume(workshop, encrypted, asked(encrypted=None))
    assert key_of(workshop, workshop.snapshot_id(workshop.folder / "target")) == key
    workshop.volume(encrypted, workshop.folder / "target", force=True, encryption=asked(other))
    assert key_of(workshop, workshop.snapshot_id(workshop.folder / "target")) == other


def test_a_disk_that_is_written_anew_from_what_is_plain_is_plain(
    workshop: Workshop, plain: str, encrypted: str
) -> None:
    target = workshop.folder / "target"
    volume(workshop, encrypted, asked(encrypted=None))
    workshop.snapshot_id(target)
    workshop.volume(plain, target, force=True)
    assert key_of(workshop, workshop.snapshot_id(target)) is None


def test_by_default_a_plain_snapshot_becomes_a_volume_of_the_default_key(
    workshop: Workshop, plain: str, key: str
) -> None:
    workshop.encrypt_by_default(key)
    assert volume(workshop, plain, asked(encrypted=False))["KmsKeyId"] == key


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (lambda key: asked(key, encrypted=None), "InvalidParameterDependency"),
        (lambda _: asked(encrypted=False), "InvalidParameterCombination"),
    ],
    ids=["key-without-encrypted", "plain"],
)
def test_what_ec2_refuses_is_refused(
    workshop: Workshop,
    encrypted: str,
    key: str,
    request_of: Callable[[str], EncryptionRequest],
    code: str,
) -> None:
    with pytest.raises(UsageError) as caught:
        volume(workshop, encrypted, request_of(key))
    assert caught.value.code == code
    assert not (workshop.folder / "target").exists()


def test_a_key_that_is_not_here_is_found_before_anything_is_written(
    workshop: Workshop, plain: str, key: str
) -> None:
    with pytest.raises(KeyNotFoundError, match="alias/none"):
        volume(workshop, plain, asked("alias/none"))
    workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError, match=key):
        volume(workshop, plain, asked(key))
    assert not (workshop.folder / "target").exists()


def test_a_dry_run_wants_the_key_and_makes_no_domain(
    workshop: Workshop, plain: str, key: str
) -> None:
    request = CreateVolumeRequest(
        plain, None, None, workshop.folder / "target", encryption=asked(key), dry_run=True
    )
    with workshop.open() as store, pytest.raises(DryRunError):
        create_volume(store, request, workshop.surroundings)
    workshop.keys.mislay()
    with workshop.open() as store, pytest.raises(KeyUnavailableError):
        create_volume(store, request, workshop.surroundings)
    with workshop.open() as store:
        assert not list(domains.headers(store))


def test_a_file_that_is_rewritten_becomes_private(workshop: Workshop, plain: str, key: str) -> None:
    target = workshop.file("target", bytes(CONTENT_SIZE))
    target.chmod(0o644)
    workshop.volume(plain, target, in_place=True, encryption=asked(key))
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_source_shows_the_key_of_its_newest_snapshot(
    workshop: Workshop, key: str, encrypted: str
) -> None:
    volume_id = workshop.core(encrypted).volume_id
    with workshop.open() as store:
        (shown,) = describe_volumes(store, (volume_id,))["Volumes"]
    assert (shown["Encrypted"], shown["KmsKeyId"]) == (True, key)


# --- launches ----------------------------------------------------------------------------------


def ebs(device: str, **members: Any) -> dict[str, Any]:
    return {"DeviceName": device, "Ebs": members}


@pytest.fixture
def mixed(workshop: Workshop, plain: str, encrypted: str) -> str:
    """An image with an encrypted root disk, a plain data disk and an empty volume."""
    others = (ebs("/dev/sdf", SnapshotId=plain), ebs("/dev/sdg", VolumeSize=1))
    return workshop.image("mixed", workshop.folder / "secret", block_device_mappings=others)


def launch(workshop: Workshop, image_id: str, *overrides: dict[str, Any]) -> dict[str, Any]:
    """The keys of the disks, by their devices."""
    request = LaunchRequest(image_id, workshop.folder / "machine", overrides)
    with workshop.open() as store:
        volumes = launch_image(store, request, workshop.surroundings)["Volumes"]
    return {one["Amictl"]["DeviceName"]: one.get("KmsKeyId") for one in volumes}


def test_a_launched_disk_has_the_key_of_its_snapshot(
    workshop: Workshop, key: str, mixed: str
) -> None:
    assert launch(workshop, mixed) == {"/dev/sda1": key, "/dev/sdf": None, "/dev/sdg": None}


def test_a_launch_chooses_keys(workshop: Workshop, key: str, mixed: str) -> None:
    other = workshop.keys.new()
    keys = launch(
        workshop,
        mixed,
        ebs("/dev/sda1", Encrypted=True, KmsKeyId=other),
        ebs("/dev/sdf", Encrypted=True, KmsKeyId=key),
        ebs("/dev/sdg", Encrypted=True, KmsKeyId=other),
    )
    assert keys == {"/dev/sda1": other, "/dev/sdf": key, "/dev/sdg": other}
    machine = workshop.folder / "machine"
    taken = {name: workshop.snapshot_id(machine / f"{name}.raw") for name in ("sda1", "sdf", "sdg")}
    found = [key_of(workshop, snapshot_id) for snapshot_id in taken.values()]
    assert found == [other, key, other]


def test_by_default_all_launched_disks_have_a_key(workshop: Workshop, key: str, mixed: str) -> None:
    other = workshop.keys.new()
    workshop.encrypt_by_default(other)
    keys = launch(workshop, mixed, ebs("/dev/sdf", Encrypted=False))
    assert keys == {"/dev/sda1": key, "/dev/sdf": other, "/dev/sdg": other}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"Encrypted": False}, "InvalidParameterCombination"),
        ({"KmsKeyId": "alias/x"}, "InvalidParameterDependency"),
    ],
    ids=["plain", "key-without-encrypted"],
)
def test_a_launch_refuses_what_ec2_refuses(
    workshop: Workshop, mixed: str, members: dict[str, Any], code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        launch(workshop, mixed, ebs("/dev/sda1", **members))
    assert caught.value.code == code
    assert not (workshop.folder / "machine").exists()


def test_a_launch_without_a_key_that_it_needs_writes_nothing(
    workshop: Workshop, mixed: str
) -> None:
    other = workshop.keys.new()
    workshop.keys.mislay(other)
    with pytest.raises(KeyUnavailableError, match=other):
        launch(workshop, mixed, ebs("/dev/sdg", Encrypted=True, KmsKeyId=other))
    assert not (workshop.folder / "machine").exists()


# --- what an image may say ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, False])
def test_create_image_does_not_change_the_encryption_of_a_disk(
    workshop: Workshop, plain: str, encrypted: str, value: bool
) -> None:
    disk = workshop.folder / ("disk" if value else "secret")
    with pytest.raises(BlockDeviceMappingError, match="cannot change the encryption"):
        workshop.image("web", disk, block_device_mappings=(ebs("/dev/sda1", Encrypted=value),))


@pytest.mark.parametrize("value", [True, False])
def test_create_image_takes_what_is_so(
    workshop: Workshop, plain: str, encrypted: str, value: bool
) -> None:
    disk = workshop.folder / ("secret" if value else "disk")
    assert workshop.image("web", disk, block_device_mappings=(ebs("/dev/sda1", Encrypted=value),))


def test_no_image_maps_a_snapshot_and_says_that_it_is_encrypted(
    workshop: Workshop, plain: str, encrypted: str
) -> None:
    mapping = ebs("/dev/sdf", SnapshotId=plain, Encrypted=True)
    with pytest.raises(BlockDeviceMappingError, match="encrypted flag cannot be specified"):
        workshop.image("web", workshop.folder / "disk", block_device_mappings=(mapping,))


def test_an_image_does_not_say_that_an_encrypted_snapshot_is_plain(
    workshop: Workshop, plain: str, encrypted: str
) -> None:
    mapping = ebs("/dev/sdf", SnapshotId=encrypted, Encrypted=False)
    with pytest.raises(BlockDeviceMappingError, match="cannot change the encryption"):
        workshop.image("web", workshop.folder / "disk", block_device_mappings=(mapping,))


def test_an_image_keeps_no_key_for_an_empty_volume(workshop: Workshop, plain: str) -> None:
    mapping = ebs("/dev/sdf", VolumeSize=1, Encrypted=True)
    with pytest.raises(BlockDeviceMappingError, match="whose key no image keeps"):
        workshop.image("web", workshop.folder / "disk", block_device_mappings=(mapping,))


class _Notes:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, step: object) -> None: ...

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_it_is_said_that_the_file_is_plain_and_its_snapshots_are_not(
    workshop: Workshop, plain: str, key: str
) -> None:
    notes, target = _Notes(), Path(workshop.folder / "target")
    request = CreateVolumeRequest(plain, None, None, target, encryption=asked(key))
    with workshop.open() as store:
        create_volume(store, request, replace(workshop.surroundings, progress=notes))
    (text,) = notes.texts
    assert "mode 0600" in text
    assert "snapshots of it are encrypted" in text
