"""Images: their disks, their mappings, their names, and how they are described."""

from dataclasses import replace
from typing import Any

import pytest

from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.errors import (
    BlockDeviceMappingError,
    CorruptStoreError,
    DryRunError,
    ImageNameDuplicateError,
    ImageNameMalformedError,
    ImageNotFoundError,
    MalformedIdError,
    SnapshotNotFoundError,
    UsageError,
)
from amictl.store import image_names, layout, pending
from amictl.store.store import Store
from tests.workshop import MIB, Workshop

GIB = 1 << 30


def described(workshop: Workshop, image_id: str) -> dict[str, Any]:
    with workshop.open() as store:
        (shape,) = describe_images(store, (image_id,))["Images"]
    return dict(shape)


def mappings(workshop: Workshop, *given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The mappings of an image of two disks, by device."""
    disks = [workshop.file(name, name.encode() * 1000) for name in ("root", "data")]
    image_id = workshop.image("image", *disks, block_device_mappings=given)
    shape = described(workshop, image_id)
    return {mapping["DeviceName"]: mapping for mapping in shape["BlockDeviceMappings"]}


# --- disks -------------------------------------------------------------------------------------


def test_disks_get_the_names_that_ec2_gives(workshop: Workshop) -> None:
    assert list(mappings(workshop)) == ["/dev/sda1", "/dev/sdb"]


def test_the_root_goes_with_its_instance_and_the_others_stay(workshop: Workshop) -> None:
    found = mappings(workshop)
    ends = [mapping["Ebs"]["DeleteOnTermination"] for mapping in found.values()]
    assert ends == [True, False]


def test_an_image_comes_back_disk_by_disk(workshop: Workshop) -> None:
    found = mappings(workshop)
    contents = [workshop.restored(mapping["Ebs"]["SnapshotId"]) for mapping in found.values()]
    assert contents == [b"root" * 1000, b"data" * 1000]


def test_devices_may_be_named(workshop: Workshop) -> None:
    disks = [("/dev/xvda", workshop.file("a", b"a")), ("/dev/xvdf", workshop.file("b", b"b"))]
    shape = described(workshop, workshop.image("image", *disks))
    assert shape["RootDeviceName"] == "/dev/xvda"
    assert [m["DeviceName"] for m in shape["BlockDeviceMappings"]] == ["/dev/xvda", "/dev/xvdf"]


def test_free_names_go_round_those_that_are_given(workshop: Workshop) -> None:
    first, last = workshop.file("a", b"a"), workshop.file("c", b"c")
    named = ("/dev/sdb", workshop.file("b", b"b"))
    shape = described(workshop, workshop.image("image", first, named, last))
    names = [mapping["DeviceName"] for mapping in shape["BlockDeviceMappings"]]
    assert names == ["/dev/sda1", "/dev/sdb", "/dev/sdc"]


@pytest.mark.parametrize(
    ("first", "second"), [("/dev/sdb", "/dev/sdb"), ("sda", None), ("/dev/", None), (None, "x")]
)
def test_wrong_device_names_are_refused(
    workshop: Workshop, first: str | None, second: str | None
) -> None:
    disks = ((first, workshop.file("a", b"a")), (second, workshop.file("b", b"b")))
    with pytest.raises(BlockDeviceMappingError):
        workshop.image("image", *disks)  # type: ignore[arg-type]  # None is what the caller gives


def test_a_root_device_name_that_the_first_disk_has_not_is_refused(workshop: Workshop) -> None:
    with pytest.raises(BlockDeviceMappingError, match="root device name"):
        workshop.image(
            "image", ("/dev/sda1", workshop.file("a", b"a")), root_device_name="/dev/xvda"
        )


# --- mappings ----------------------------------------------------------------------------------


def test_delete_on_termination_can_be_given_for_a_disk(workshop: Workshop) -> None:
    found = mappings(
        workshop,
        {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": True}},
    )
    ends = [mapping["Ebs"]["DeleteOnTermination"] for mapping in found.values()]
    assert ends == [False, True]


def test_a_volume_type_can_be_given_for_a_disk(workshop: Workshop) -> None:
    ebs = {"VolumeType": "gp3", "Iops": 3000, "Throughput": 125}
    found = mappings(workshop, {"DeviceName": "/dev/sdb", "Ebs": ebs})["/dev/sdb"]["Ebs"]
    assert {key: found[key] for key in ebs} == ebs


def test_a_new_empty_volume_can_be_mapped(workshop: Workshop) -> None:
    found = mappings(workshop, {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 8}})["/dev/sdf"]
    assert found["Ebs"] == {"VolumeSize": 8, "DeleteOnTermination": False, "Encrypted": False}


def test_an_ephemeral_device_can_be_mapped(workshop: Workshop) -> None:
    given = {"DeviceName": "/dev/sdc", "VirtualName": "ephemeral0"}
    assert mappings(workshop, given)["/dev/sdc"] == given


def test_a_device_without_volume_is_left_out(workshop: Workshop) -> None:
    assert "/dev/sdf" not in mappings(workshop, {"DeviceName": "/dev/sdf", "NoDevice": ""})


def test_a_snapshot_that_exists_can_be_mapped(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("old", {0: b"x"}, 2 * GIB + 1))
    given = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot_id}}
    found = mappings(workshop, given)["/dev/sdf"]
    assert (found["Ebs"]["SnapshotId"], found["Ebs"]["VolumeSize"]) == (snapshot_id, 3)
    assert found["Amictl"]["SizeBytes"] == 2 * GIB + 1


def test_a_snapshot_can_be_mapped_to_a_larger_volume(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("old", b"x"))
    given = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot_id, "VolumeSize": 9}}
    assert mappings(workshop, given)["/dev/sdf"]["Ebs"]["VolumeSize"] == 9


WRONG: dict[str, dict[str, Any]] = {
    "no-device-name": {"Ebs": {"VolumeSize": 8}},
    "malformed-device": {"DeviceName": "sdf", "Ebs": {"VolumeSize": 8}},
    "nothing": {"DeviceName": "/dev/sdf"},
    "neither-size-nor-snapshot": {"DeviceName": "/dev/sdf", "Ebs": {}},
    "size-of-zero": {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 0}},
    "size-below-zero": {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": -1}},
    "encrypted": {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 8, "Encrypted": True}},
    "unknown-key": {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 8, "Colour": "red"}},
    "unknown-type": {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 8, "VolumeType": "tape"}},
    "ephemeral-24": {"DeviceName": "/dev/sdf", "VirtualName": "ephemeral24"},
    "ephemeral-and-ebs": {
        "DeviceName": "/dev/sdf",
        "VirtualName": "ephemeral0",
        "Ebs": {"VolumeSize": 8},
    },
    "ephemeral-disk": {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
    "no-device-for-a-disk": {"DeviceName": "/dev/sdb", "NoDevice": ""},
    "size-of-a-disk": {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 100}},
    "snapshot-of-a-disk": {"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": "snap-" + "0" * 17}},
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_wrong_mappings_are_refused(workshop: Workshop, given: dict[str, Any]) -> None:
    with pytest.raises(BlockDeviceMappingError):
        mappings(workshop, given)


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_wrong_mappings_leave_nothing(workshop: Workshop, given: dict[str, Any]) -> None:
    with pytest.raises(BlockDeviceMappingError):
        mappings(workshop, given)
    folders = ("packs", "snapshots", "images", "names", "pending", "staging")
    assert [path for name in folders for path in (workshop.root / name).iterdir()] == []


def test_a_device_that_is_mapped_twice_is_refused(workshop: Workshop) -> None:
    given = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 8}}
    with pytest.raises(BlockDeviceMappingError, match="twice"):
        mappings(workshop, given, given)


def test_a_volume_smaller_than_its_snapshot_is_refused(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("old", {0: b"x"}, 2 * GIB + 1))
    ebs = {"SnapshotId": snapshot_id, "VolumeSize": 2}
    with pytest.raises(BlockDeviceMappingError, match="smaller"):
        mappings(workshop, {"DeviceName": "/dev/sdf", "Ebs": ebs})


def test_a_mapped_snapshot_must_exist(workshop: Workshop) -> None:
    given = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": "snap-" + "0" * 17}}
    with pytest.raises(SnapshotNotFoundError):
        mappings(workshop, given)


@pytest.mark.parametrize("snapshot_id", ["snap-1", "../store", "ami-" + "0" * 17, ""])
def test_a_mapped_snapshot_must_have_the_form_of_an_id(
    workshop: Workshop, snapshot_id: str
) -> None:
    with pytest.raises(MalformedIdError):
        mappings(workshop, {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": snapshot_id}})


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "ab", "a" * 129, "tab\tbed", "naïve", "a;b", "new\nline"])
def test_names_that_ec2_does_not_take_are_refused(workshop: Workshop, name: str) -> None:
    with pytest.raises(ImageNameMalformedError):
        workshop.image(name, workshop.file("a", b"a"))


@pytest.mark.parametrize("name", ["abc", "a" * 128, "Web (v1) [x] ./-'@_"])
def test_names_that_ec2_takes_are_taken(workshop: Workshop, name: str) -> None:
    assert described(workshop, workshop.image(name, workshop.file("a", b"a")))["Name"] == name


def test_a_name_that_is_taken_is_refused(workshop: Workshop) -> None:
    path = workshop.file("a", b"a")
    first = workshop.image("image", path)
    with pytest.raises(ImageNameDuplicateError, match=first):
        workshop.image("image", path)


def test_a_name_whose_image_failed_is_free(workshop: Workshop) -> None:
    with workshop.open() as store:
        assert image_names.reserve_name(store, "image", "ami-" + "1" * 17) is None
    assert workshop.image("image", workshop.file("a", b"a"))


def test_a_name_stays_taken_when_its_image_is_finished_while_it_is_asked_for(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = workshop.image("image", workshop.file("a", b"a"))
    core = workshop.root / layout.core(image_id)
    hidden = core.rename(workshop.folder / "core")

    def finished_meanwhile(store: Store, record_id: str) -> bool:
        hidden.rename(core)
        return False

    monkeypatch.setattr(pending, "is_alive", finished_meanwhile)
    with workshop.open() as store:
        assert image_names.reserve_name(store, "image", "ami-" + "1" * 17) == image_id


def test_a_record_of_another_name_does_not_give_it_away(workshop: Workshop) -> None:
    for name in ("first", "second"):
        workshop.image(name, workshop.file("a", b"a"))
    (workshop.root / layout.image_name("second")).rename(workshop.root / layout.image_name("first"))
    with pytest.raises(Exception, match="is about 'second'"):
        workshop.image("first", workshop.file("a", b"a"))


# --- descriptions ------------------------------------------------------------------------------


def test_an_image_has_the_shape_of_ec2(workshop: Workshop) -> None:
    image_id = workshop.image(
        "web",
        workshop.file("root", b"a" * MIB),
        description="the web server",
        architecture="arm64",
        boot_mode="uefi",
        image_tags={"Env": "test"},
        snapshot_tags={"Of": "web"},
    )
    shape = described(workshop, image_id)
    owner = shape["OwnerId"]
    assert len(owner) == 12
    del shape["CreationDate"], shape["BlockDeviceMappings"], shape["Amictl"]
    assert shape == {
        "ImageId": image_id,
        "ImageLocation": f"{owner}/web",
        "Name": "web",
        "Description": "the web server",
        "State": "available",
        "DeregistrationProtection": "disabled",
        "OwnerId": owner,
        "Public": False,
        "Architecture": "arm64",
        "ImageType": "machine",
        "BootMode": "uefi",
        "RootDeviceName": "/dev/sda1",
        "RootDeviceType": "ebs",
        "VirtualizationType": "hvm",
        "Tags": [{"Key": "Env", "Value": "test"}],
    }


def test_a_snapshot_of_an_image_says_whose_it_is(workshop: Workshop) -> None:
    image_id = workshop.image("web", workshop.file("root", b"a"), snapshot_tags={"Of": "web"})
    with workshop.open() as store:
        (snapshot,) = describe_snapshots(store)["Snapshots"]
    assert snapshot["Description"].endswith(f"for {image_id}")
    assert snapshot["Tags"] == [{"Key": "Of", "Value": "web"}]


@pytest.mark.parametrize(
    ("words", "what"), [({"architecture": "vax"}, "vax"), ({"boot_mode": "tape"}, "tape")]
)
def test_words_that_ec2_does_not_know_are_refused(
    workshop: Workshop, words: dict[str, str], what: str
) -> None:
    with pytest.raises(UsageError, match=what):
        workshop.image("web", workshop.file("root", b"a"), **words)


def test_a_dry_run_makes_no_image(workshop: Workshop) -> None:
    with pytest.raises(DryRunError):
        workshop.image("web", workshop.file("root", b"a"), dry_run=True)
    with workshop.open() as store:
        assert describe_images(store) == {"Images": []}


def test_images_are_listed_from_the_oldest_on(workshop: Workshop) -> None:
    path = workshop.file("root", b"a")
    ids = [workshop.image(name, path) for name in ("one", "two", "three")]
    with workshop.open() as store:
        assert [image["ImageId"] for image in describe_images(store)["Images"]] == ids


def test_an_image_that_is_unknown_is_told(workshop: Workshop) -> None:
    with workshop.open() as store, pytest.raises(ImageNotFoundError):
        describe_images(store, ("ami-" + "0" * 17,))


def test_a_snapshot_that_is_unknown_is_told(workshop: Workshop) -> None:
    with workshop.open() as store, pytest.raises(SnapshotNotFoundError):
        describe_snapshots(store, ("snap-" + "0" * 17,))


@pytest.mark.parametrize("text", ["ami-1", "snap-" + "0" * 17, "../x"])
def test_what_is_no_image_id_is_told(workshop: Workshop, text: str) -> None:
    with workshop.open() as store, pytest.raises(MalformedIdError):
        describe_images(store, (text,))


def test_a_foreign_file_does_not_disturb_descriptions(workshop: Workshop) -> None:
    image_id = workshop.image("web", workshop.file("root", b"a"))
    for folder in ("snapshots", "images", "pending"):
        (workshop.root / folder / "readme.json").write_text("mine")
    with workshop.open() as store:
        assert [image["ImageId"] for image in describe_images(store)["Images"]] == [image_id]
        assert len(describe_snapshots(store)["Snapshots"]) == 1


def test_an_image_whose_work_fails_says_why(workshop: Workshop) -> None:
    current = workshop.root / layout.CURRENT
    content = current.read_bytes()
    current.write_bytes(b"")
    with pytest.raises(CorruptStoreError):
        workshop.image("web", workshop.file("root", b"a"))
    current.write_bytes(content)
    with workshop.open() as store:
        (image,) = describe_images(store)["Images"]
        (snapshot,) = describe_snapshots(store)["Snapshots"]
    assert (image["State"], snapshot["State"]) == ("failed", "error")
    assert "CURRENT" in image["StateReason"]["Message"]
    assert "CURRENT" in snapshot["StateMessage"]


def test_an_image_says_when_its_disks_were_frozen_and_how(workshop: Workshop) -> None:
    image_id = workshop.image("web", workshop.file("a", b"a" * 5000), workshop.file("b", b"b"))
    with workshop.open() as store:
        (image,) = describe_images(store, (image_id,))["Images"]
        moments = [core["StartTime"] for core in describe_snapshots(store)["Snapshots"]]
    assert image["Amictl"] == {"Moment": min(moments), "Consistency": "at-rest"}


def test_disks_that_were_not_held_together_are_said_to_be_apart(workshop: Workshop) -> None:
    image_id = workshop.image("web", workshop.file("a", b"a" * 5000))
    with workshop.open() as store:
        (snapshot,) = describe_snapshots(store)["Snapshots"]
        core = workshop.core(snapshot["SnapshotId"])
        live = replace(core.freeze, consistency="crash", together=False)
        workshop.put_core(replace(core, freeze=live))
        (image,) = describe_images(store, (image_id,))["Images"]
    assert image["Amictl"]["Consistency"] == "crash, per disk"
