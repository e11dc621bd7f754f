"""RegisterImage: snapshots that exist become an image."""

import struct
import threading
from typing import Any

import pytest

from amictl.actions.creating import CreateSnapshotRequest, create_snapshot
from amictl.actions.describing_images import describe_images
from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.errors import (
    AmictlError,
    BlockDeviceMappingError,
    ConflictError,
    DryRunError,
    ImageNameDuplicateError,
    ImageNameMalformedError,
    MalformedIdError,
    SnapshotNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.store import catalog, image_names, layout, pending
from tests.oracle import require_ec2_shape
from tests.workshop import MIB, Workshop, flip

GIB = 1 << 30
ROOT = "/dev/sda1"
ARM_PROGRAM = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHI", 3, 183, 1)


def register(workshop: Workshop, *mappings: dict[str, Any], **words: Any) -> str:
    request = RegisterImageRequest(words.pop("name", "image"), mappings, **words)
    with workshop.open() as store:
        result = register_image(store, request, workshop.surroundings)
    require_ec2_shape("RegisterImage", result)
    return str(result["ImageId"])


def described(workshop: Workshop, image_id: str) -> dict[str, Any]:
    with workshop.open() as store:
        result = describe_images(store, (image_id,))
    require_ec2_shape("DescribeImages", result)
    (shape,) = result["Images"]
    return dict(shape)


@pytest.fixture
def snapshot_id(workshop: Workshop) -> str:
    return workshop.snapshot_id(workshop.file("root", b"root" * 1000))


def root(snapshot_id: str, device: str = ROOT, **ebs: Any) -> dict[str, Any]:
    return {"DeviceName": device, "Ebs": {"SnapshotId": snapshot_id, **ebs}}


# --- what is registered ------------------------------------------------------------------------


def test_an_image_of_a_snapshot_is_available_at_once(workshop: Workshop, snapshot_id: str) -> None:
    image_id = register(
        workshop, root(snapshot_id), description="the web", boot_mode="uefi", tags={"a": "b"}
    )
    shape = described(workshop, image_id)
    assert {
        "Name": "image",
        "Description": "the web",
        "State": "available",
    }.items() <= shape.items()
    assert {"BootMode": "uefi", "VirtualizationType": "hvm"}.items() <= shape.items()
    assert shape["Tags"] == [{"Key": "a", "Value": "b"}]
    assert shape["RootDeviceName"] == ROOT


def test_the_root_is_as_large_as_its_snapshot_and_goes_with_its_instance(
    workshop: Workshop, snapshot_id: str
) -> None:
    (mapping,) = described(workshop, register(workshop, root(snapshot_id)))["BlockDeviceMappings"]
    assert mapping == {
        "DeviceName": ROOT,
        "Ebs": {
            "SnapshotId": snapshot_id,
            "VolumeSize": 1,
            "DeleteOnTermination": True,
            "Encrypted": False,
        },
        "Amictl": {"SizeBytes": 4000},
    }


def test_an_image_has_all_the_devices_that_are_given(workshop: Workshop, snapshot_id: str) -> None:
    other = workshop.snapshot_id(workshop.file("data", b"data" * 1000))
    image_id = register(
        workshop,
        {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": other, "VolumeSize": 5}},
        root(snapshot_id, VolumeSize=20, DeleteOnTermination=False, VolumeType="gp3"),
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 100}},
        {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
        {"DeviceName": "/dev/sdc", "NoDevice": ""},
        root_device_name=ROOT,
    )
    found = {
        mapping["DeviceName"]: mapping.get("Ebs")
        for mapping in described(workshop, image_id)["BlockDeviceMappings"]
    }
    assert list(found) == ["/dev/sdf", ROOT, "/dev/sdg", "/dev/sdb"]
    assert found["/dev/sdf"]["VolumeSize"] == 5
    assert found[ROOT]["VolumeSize"] == 20
    assert found[ROOT]["DeleteOnTermination"] is False
    assert found["/dev/sdg"] == {
        "VolumeSize": 100,
        "DeleteOnTermination": False,
        "Encrypted": False,
    }
    assert found["/dev/sdb"] is None


def test_two_images_may_map_one_snapshot(workshop: Workshop, snapshot_id: str) -> None:
    ids = {register(workshop, root(snapshot_id), name=name) for name in ("one", "two")}
    with workshop.open() as store:
        assert set(catalog.users_of(store, snapshot_id)) == ids


def test_registering_leaves_an_event(workshop: Workshop, snapshot_id: str) -> None:
    image_id = register(workshop, root(snapshot_id))
    records = [path.read_text() for path in (workshop.root / "events").iterdir()]
    assert any("RegisterImage" in text and image_id in text for text in records)


# --- the root device ---------------------------------------------------------------------------


def test_the_only_device_with_a_snapshot_is_the_root(workshop: Workshop, snapshot_id: str) -> None:
    empty = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}
    image_id = register(workshop, empty, root(snapshot_id, "/dev/sdh"))
    assert described(workshop, image_id)["RootDeviceName"] == "/dev/sdh"


def test_of_several_the_one_with_the_usual_name_is_the_root(
    workshop: Workshop, snapshot_id: str
) -> None:
    devices = [root(snapshot_id, "/dev/sdf"), root(snapshot_id, "/dev/xvda")]
    assert described(workshop, register(workshop, *devices))["RootDeviceName"] == "/dev/xvda"


def test_a_root_device_that_cannot_be_told_is_asked_for(
    workshop: Workshop, snapshot_id: str
) -> None:
    devices = [root(snapshot_id, "/dev/sdf"), root(snapshot_id, "/dev/sdg")]
    with pytest.raises(UsageError) as raised:
        register(workshop, *devices)
    assert raised.value.code == "MissingParameter"
    assert raised.value.hint == "give --root-device-name /dev/sdf or /dev/sdg"


def test_without_a_snapshot_there_is_no_root_device(workshop: Workshop) -> None:
    with pytest.raises(UsageError) as raised:
        register(workshop, {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}})
    assert raised.value.hint == "map a snapshot: DeviceName=/dev/sda1,Ebs={SnapshotId=snap-...}"


@pytest.mark.parametrize("device", ["/dev/sdf", "/dev/sdg"])
def test_a_root_device_without_a_snapshot_is_refused(
    workshop: Workshop, snapshot_id: str, device: str
) -> None:
    empty = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}
    with pytest.raises(BlockDeviceMappingError, match=device) as raised:
        register(workshop, root(snapshot_id), empty, root_device_name=device)
    assert str(raised.value.hint).endswith("or give --root-device-name /dev/sda1")


@pytest.mark.parametrize("kind", ["sc1", "st1"])
def test_what_no_machine_starts_from_cannot_be_the_root(
    workshop: Workshop, snapshot_id: str, kind: str
) -> None:
    with pytest.raises(BlockDeviceMappingError) as raised:
        register(workshop, root(snapshot_id, VolumeType=kind))
    assert raised.value.code == "BootForVolumeTypeUnsupported"


# --- what the root disk says -------------------------------------------------------------------


def test_the_architecture_is_found_out(workshop: Workshop) -> None:
    disk = workshop.file("arm", {at * MIB: ARM_PROGRAM for at in range(8)}, 8 * MIB)
    image_id = register(workshop, root(workshop.snapshot_id(disk)))
    assert described(workshop, image_id)["Architecture"] == "arm64"


def test_the_architecture_that_is_given_counts(workshop: Workshop) -> None:
    disk = workshop.file("arm", {at * MIB: ARM_PROGRAM for at in range(8)}, 8 * MIB)
    image_id = register(workshop, root(workshop.snapshot_id(disk)), architecture="i386")
    assert described(workshop, image_id)["Architecture"] == "i386"


def test_a_disk_that_says_nothing_is_taken_for_the_usual(
    workshop: Workshop, snapshot_id: str
) -> None:
    shape = described(workshop, register(workshop, root(snapshot_id)))
    assert shape["Architecture"] == "x86_64"
    assert "BootMode" not in shape


def test_of_a_damaged_disk_nothing_is_found_out(workshop: Workshop) -> None:
    disk = workshop.file("arm", (ARM_PROGRAM + workshop.noise(4096)) * 4)
    mapping = root(workshop.snapshot_id(disk))
    whole = described(workshop, register(workshop, mapping, name="whole"))
    pack = workshop.packs(0)[0]
    flip(pack, pack.stat().st_size // 2)
    damaged = described(workshop, register(workshop, mapping, name="damaged"))
    assert (whole["Architecture"], damaged["Architecture"]) == ("arm64", "x86_64")


def test_false_may_be_said_of_encryption(workshop: Workshop, snapshot_id: str) -> None:
    (mapping,) = described(workshop, register(workshop, root(snapshot_id, Encrypted=False)))[
        "BlockDeviceMappings"
    ]
    assert mapping["Ebs"]["Encrypted"] is False


# --- what is refused ---------------------------------------------------------------------------

WRONG_EBS: dict[str, dict[str, Any]] = {
    "encrypted": {"Encrypted": True},
    "too-large": {"VolumeSize": 65_537},
    "type": {"VolumeType": "tape"},
}


@pytest.mark.parametrize("ebs", WRONG_EBS.values(), ids=WRONG_EBS)
def test_what_a_snapshot_cannot_be_mapped_with_is_refused(
    workshop: Workshop, snapshot_id: str, ebs: dict[str, Any]
) -> None:
    with pytest.raises(BlockDeviceMappingError):
        register(workshop, root(snapshot_id, **ebs))


def test_a_key_is_refused_by_name(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(UnsupportedError, match="KmsKeyId"):
        register(workshop, root(snapshot_id, Encrypted=True, KmsKeyId="alias/mine"))


def test_a_key_needs_encrypted(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(UsageError, match="requires the parameter Encrypted") as caught:
        register(workshop, root(snapshot_id, KmsKeyId="alias/mine"))
    assert caught.value.code == "InvalidParameterDependency"


def test_a_volume_smaller_than_its_snapshot_is_refused(workshop: Workshop) -> None:
    large = workshop.snapshot_id(workshop.file("large", {0: b"x"}, 2 * GIB + 1))
    with pytest.raises(BlockDeviceMappingError, match="smaller"):
        register(workshop, root(large, VolumeSize=2))


def test_a_snapshot_must_exist(workshop: Workshop) -> None:
    with pytest.raises(SnapshotNotFoundError):
        register(workshop, root("snap-" + "0" * 17))


def test_a_snapshot_must_have_the_form_of_an_id(workshop: Workshop) -> None:
    with pytest.raises(MalformedIdError):
        register(workshop, root("snap-1"))


def test_a_snapshot_that_is_being_made_is_refused(workshop: Workshop) -> None:
    refused: list[AmictlError] = []

    def secured(shape: dict[str, Any]) -> None:
        with pytest.raises(ConflictError) as raised:
            register(workshop, root(shape["SnapshotId"]))
        refused.append(raised.value)

    with workshop.open() as store:
        request = CreateSnapshotRequest(workshop.file("disk", b"x" * 5000))
        create_snapshot(store, request, workshop.surroundings, secured)
    assert (refused[0].code, "pending" in refused[0].message) == ("IncorrectState", True)


@pytest.mark.parametrize("name", ["ab", "a" * 129, "a;b"])
def test_names_that_ec2_does_not_take_are_refused(
    workshop: Workshop, snapshot_id: str, name: str
) -> None:
    with pytest.raises(ImageNameMalformedError):
        register(workshop, root(snapshot_id), name=name)


def test_paravirtual_images_are_refused(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(UnsupportedError, match="paravirtual"):
        register(workshop, root(snapshot_id), virtualization_type="paravirtual")


@pytest.mark.parametrize("words", [{"architecture": "vax"}, {"boot_mode": "tape"}])
def test_words_that_ec2_does_not_know_are_refused(
    workshop: Workshop, snapshot_id: str, words: dict[str, str]
) -> None:
    with pytest.raises(UsageError):
        register(workshop, root(snapshot_id), **words)


def test_a_name_that_is_taken_is_refused_and_leaves_nothing(
    workshop: Workshop, snapshot_id: str
) -> None:
    first = register(workshop, root(snapshot_id))
    with pytest.raises(ImageNameDuplicateError, match=first):
        register(workshop, root(snapshot_id))
    assert list((workshop.root / "pending").iterdir()) == []


def test_of_several_that_register_one_name_at_once_exactly_one_does(
    workshop: Workshop, snapshot_id: str
) -> None:
    ready = threading.Barrier(6)
    made: list[str] = []
    refused: list[ImageNameDuplicateError] = []

    def one() -> None:
        ready.wait()
        try:
            made.append(register(workshop, root(snapshot_id)))
        except ImageNameDuplicateError as error:
            refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 5)
    with workshop.open() as store:
        assert catalog.image_ids(store) == made


def test_an_image_whose_snapshot_goes_meanwhile_is_not_registered(
    workshop: Workshop, snapshot_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = image_names.reserve_name

    def remove_first(store: Any, name: str, image_id: str) -> str | None:
        catalog.remove(store, snapshot_id)
        return reserve(store, name, image_id)

    monkeypatch.setattr(image_names, "reserve_name", remove_first)
    with pytest.raises(SnapshotNotFoundError):
        register(workshop, root(snapshot_id))
    with workshop.open() as store:
        assert describe_images(store) == {"Images": []}
        assert image_names.name_holder(store, "image") is None


def test_a_dry_run_checks_and_makes_nothing(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(SnapshotNotFoundError):
        register(workshop, root("snap-" + "0" * 17), dry_run=True)
    with pytest.raises(DryRunError):
        register(workshop, root(snapshot_id), dry_run=True)
    with workshop.open() as store:
        assert describe_images(store) == {"Images": []}
        assert pending.all_seen(store, "ami-") == []
    assert not (workshop.root / layout.image_name("image")).exists()
