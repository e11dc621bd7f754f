"""Launches: an image becomes a folder of disks, whole or not at all."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.describing_images import describe_images
from amictl.actions.launching import LaunchRequest, launch_image
from amictl.actions.volumes import delete_volume, describe_volumes
from amictl.errors import (
    BlockDeviceMappingError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNotFoundError,
    InterruptedBySignalError,
    MalformedIdError,
    NotFoundError,
    SnapshotNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.model.records import Attributes
from amictl.progress import Silent, Step
from amictl.store import catalog
from tests.workshop import SEGMENT, Workshop, flip, same

GIB = 1 << 30
UNKNOWN = "ami-0123456789abcdef0"

Mapping = dict[str, Any]


@pytest.fixture
def image_id(workshop: Workshop) -> str:
    """An image of `root` and `data`."""
    pieces = {0: workshop.noise(SEGMENT), 3 * SEGMENT: b"tail"}
    root = workshop.file("root", pieces, 3 * SEGMENT + 1000)
    data = workshop.file("data", b"data" * 1000)
    return workshop.image("image", ("/dev/sda1", root), ("/dev/sdf", data))


def launch(workshop: Workshop, image_id: str, *overrides: Mapping, **words: Any) -> dict[str, Any]:
    """Into `machine`, if nothing else is said."""
    directory = words.pop("directory", workshop.folder / "machine")
    request = LaunchRequest(image_id, directory, tuple(overrides), **words)
    with workshop.open() as store:
        return launch_image(store, request, workshop.surroundings)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ebs(device: str, **members: Any) -> Mapping:
    return {"DeviceName": device, "Ebs": members}


def without(device: str) -> Mapping:
    return {"DeviceName": device, "NoDevice": ""}


def snapshot_of(workshop: Workshop, image_id: str, device: str) -> str:
    with workshop.open() as store:
        mappings = catalog.read_image(store, image_id).mappings
    return next(str(one.snapshot_id) for one in mappings if one.device_name == device)


# --- disks -------------------------------------------------------------------------------------


def test_every_disk_comes_back_bit_for_bit(workshop: Workshop, image_id: str) -> None:
    launch(workshop, image_id)
    machine = workshop.folder / "machine"
    assert names(machine) == ["launch.json", "launch.sh", "sda1.raw", "sdf.raw"]
    assert same(machine / "sda1.raw", workshop.folder / "root")
    assert same(machine / "sdf.raw", workshop.folder / "data")


def test_disks_are_sparse(workshop: Workshop, image_id: str) -> None:
    launch(workshop, image_id, ebs("/dev/sda1", VolumeSize=4))
    status = (workshop.folder / "machine" / "sda1.raw").stat()
    assert status.st_size == 4 * GIB
    assert status.st_blocks * 512 < 2 * SEGMENT


def test_a_larger_disk_ends_in_zeros(workshop: Workshop, image_id: str) -> None:
    launch(workshop, image_id, ebs("/dev/sda1", VolumeSize=2))
    with (workshop.folder / "root").open("r+b") as file:
        file.truncate(2 * GIB)
    assert same(workshop.folder / "machine" / "sda1.raw", workshop.folder / "root")


def test_the_size_that_a_volume_has_anyway_keeps_its_exact_length(
    workshop: Workshop, image_id: str
) -> None:
    launch(workshop, image_id, ebs("/dev/sda1", VolumeSize=1))
    assert same(workshop.folder / "machine" / "sda1.raw", workshop.folder / "root")


def test_a_volume_that_the_image_maps_larger_is_larger(workshop: Workshop, image_id: str) -> None:
    snapshot_id = snapshot_of(workshop, image_id, "/dev/sdf")
    root = workshop.folder / "root"
    wanted = (ebs("/dev/sdg", SnapshotId=snapshot_id, VolumeSize=3),)
    larger = workshop.image("larger", root, block_device_mappings=wanted)
    launch(workshop, larger)
    assert (workshop.folder / "machine" / "sdg.raw").stat().st_size == 3 * GIB


def test_empty_volumes_and_ephemeral_devices_are_empty_files(
    workshop: Workshop, image_id: str
) -> None:
    result = launch(
        workshop,
        image_id,
        ebs("/dev/sdg", VolumeSize=2),
        {"DeviceName": "/dev/sdh", "VirtualName": "ephemeral0"},
        ephemeral_size_gib=3,
    )
    machine = workshop.folder / "machine"
    sizes = [(machine / name).stat() for name in ("sdg.raw", "sdh.raw")]
    assert [(one.st_size, one.st_blocks) for one in sizes] == [(2 * GIB, 0), (3 * GIB, 0)]
    assert [one["Path"] for one in result["EphemeralDisks"]] == [str(machine / "sdh.raw")]
    assert len(result["Volumes"]) == 3


def test_an_ephemeral_device_needs_a_size(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(UsageError, match="/dev/sdh is the ephemeral device ephemeral1"):
        launch(workshop, image_id, {"DeviceName": "/dev/sdh", "VirtualName": "ephemeral1"})


# --- overrides ---------------------------------------------------------------------------------


def test_a_device_can_be_taken_away(workshop: Workshop, image_id: str) -> None:
    launch(workshop, image_id, without("/dev/sdf"))
    assert "sdf.raw" not in names(workshop.folder / "machine")


def test_a_device_can_become_ephemeral(workshop: Workshop, image_id: str) -> None:
    ephemeral = {"DeviceName": "/dev/sdf", "VirtualName": "ephemeral0"}
    launch(workshop, image_id, ephemeral, ephemeral_size_gib=1)
    assert (workshop.folder / "machine" / "sdf.raw").stat().st_blocks == 0


def test_a_data_disk_can_have_another_snapshot(workshop: Workshop, image_id: str) -> None:
    other = workshop.snapshot_id(workshop.file("other", b"other"))
    launch(workshop, image_id, ebs("/dev/sdf", SnapshotId=other))
    assert (workshop.folder / "machine" / "sdf.raw").read_bytes() == b"other"


def test_what_an_override_does_not_say_is_as_in_the_image(
    workshop: Workshop, image_id: str
) -> None:
    launch(workshop, image_id, ebs("/dev/sda1", VolumeType="gp3"))
    root = document(workshop)["BlockDeviceMappings"][0]
    assert root["SnapshotId"] == snapshot_of(workshop, image_id, "/dev/sda1")
    assert (root["VolumeType"], root["DeleteOnTermination"]) == ("gp3", True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (without("/dev/sda1"), "can neither be taken away"),
        ({"DeviceName": "/dev/sda1", "VirtualName": "ephemeral0"}, "can neither be taken away"),
        (ebs("/dev/sdg"), "needs a snapshot or a volume size"),
        ({"DeviceName": "/dev/sdf"}, "neither Ebs, VirtualName nor NoDevice"),
        (ebs("/dev/sdf", VolumeType="fast"), "volume type fast"),
        (ebs("../../etc/passwd", VolumeSize=1), "Invalid device name"),
        (ebs("/dev/sdf", VolumeSize=0), "/dev/sdf"),
    ],
)
def test_overrides_that_cannot_be_are_refused(
    workshop: Workshop, image_id: str, override: Mapping, message: str
) -> None:
    with pytest.raises(BlockDeviceMappingError, match=message):
        launch(workshop, image_id, override)
    assert not (workshop.folder / "machine").exists()


def test_what_has_no_meaning_here_is_refused_by_name(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(UnsupportedError, match="OutpostArn"):
        launch(workshop, image_id, ebs("/dev/sdf", OutpostArn="arn:x"))


def test_the_root_keeps_its_snapshot(workshop: Workshop, image_id: str) -> None:
    other = workshop.snapshot_id(workshop.file("other", b"other"))
    with pytest.raises(BlockDeviceMappingError, match="another snapshot"):
        launch(workshop, image_id, ebs("/dev/sda1", SnapshotId=other))


def test_the_root_never_shrinks(workshop: Workshop) -> None:
    image_id = workshop.image("large", workshop.file("large", {0: b"x"}, GIB + 1))
    with pytest.raises(BlockDeviceMappingError, match="smaller"):
        launch(workshop, image_id, ebs("/dev/sda1", VolumeSize=1))


def test_a_data_disk_is_not_smaller_than_its_snapshot(workshop: Workshop) -> None:
    large = workshop.file("large", {0: b"x"}, GIB + 1)
    image_id = workshop.image("large", workshop.file("root", b"root"), large)
    with pytest.raises(BlockDeviceMappingError, match="smaller than its snapshot"):
        launch(workshop, image_id, ebs("/dev/sdb", VolumeSize=1))


def test_a_device_is_overridden_once(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(BlockDeviceMappingError, match="mapped twice"):
        launch(workshop, image_id, without("/dev/sdf"), ebs("/dev/sdf", VolumeSize=2))


def test_two_devices_are_not_one_file(workshop: Workshop, image_id: str) -> None:
    overrides = [ebs("/dev/xvdf", VolumeSize=1), ebs("xvdf", VolumeSize=1)]
    with pytest.raises(BlockDeviceMappingError, match=r"xvdf\.raw"):
        launch(workshop, image_id, *overrides)


def test_a_snapshot_that_does_not_exist_is_told(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(SnapshotNotFoundError):
        launch(workshop, image_id, ebs("/dev/sdf", SnapshotId="snap-0123456789abcdef0"))


# --- images ------------------------------------------------------------------------------------


def test_an_image_that_does_not_exist_is_told(workshop: Workshop) -> None:
    with pytest.raises(ImageNotFoundError):
        launch(workshop, UNKNOWN)
    with pytest.raises(MalformedIdError):
        launch(workshop, "ami-1")


@pytest.mark.parametrize("state", ["disabled", "recoverable"])
def test_only_an_available_image_is_launched(workshop: Workshop, image_id: str, state: str) -> None:
    def changed(before: Attributes) -> Attributes:
        return replace(before, state=state)

    with workshop.open() as store:
        catalog.change_attributes(store, image_id, changed)
    with pytest.raises(ConflictError, match="is no longer available") as caught:
        launch(workshop, image_id)
    assert (caught.value.code, caught.value.exit_code) == ("InvalidAMIID.Unavailable", 14)


def test_an_image_is_not_launched_while_it_is_made(workshop: Workshop) -> None:
    found: list[str] = []

    def secured(_: object) -> None:
        with workshop.open() as store:
            (image,) = describe_images(store)["Images"]
        with pytest.raises(ConflictError) as caught:
            launch(workshop, image["ImageId"])
        found.append(f"{image['State']}: {caught.value.code}")

    create_while(workshop, secured)
    assert found == ["pending: InvalidAMIID.Unavailable"]


def create_while(workshop: Workshop, secured: Callable[[object], None]) -> None:
    from amictl.actions.creating import CreateImageRequest, create_image

    disk = workshop.file("disk", b"disk")
    with workshop.open() as store:
        request = CreateImageRequest("slow", ((None, disk),))
        create_image(store, request, workshop.surroundings, secured)


def test_a_launch_is_noted_at_the_image(workshop: Workshop, image_id: str) -> None:
    result = launch(workshop, image_id)
    with workshop.open() as store:
        attributes = catalog.read_attributes(store, image_id)
        (image,) = describe_images(store, (image_id,))["Images"]
    assert attributes.state == "available"
    assert image["LastLaunchedTime"] == result["LaunchTime"]


def test_a_launch_leaves_an_event(workshop: Workshop, image_id: str) -> None:
    result = launch(workshop, image_id)
    texts = [path.read_text() for path in (workshop.root / "events").iterdir()]
    (event,) = [json.loads(text) for text in texts if "LaunchImage" in text]
    assert event["Ids"] == [image_id, *(one["VolumeId"] for one in result["Volumes"])]


# --- volumes -----------------------------------------------------------------------------------


def test_the_disks_are_volumes_that_the_region_knows(workshop: Workshop, image_id: str) -> None:
    result = launch(workshop, image_id, tags={"stage": "test"})
    with workshop.open() as store:
        ids = tuple(one["VolumeId"] for one in result["Volumes"])
        volumes = describe_volumes(store, ids)["Volumes"]
    assert volumes == result["Volumes"]
    assert volumes[1]["Tags"] == [{"Key": "stage", "Value": "test"}]
    assert volumes[1]["SnapshotId"] == snapshot_of(workshop, image_id, "/dev/sdf")
    own = volumes[1]["Amictl"]
    assert (own["ImageId"], own["DeviceName"]) == (image_id, "/dev/sdf")
    assert own["Path"] == str(workshop.folder / "machine" / "sdf.raw")


def test_a_launched_disk_has_its_snapshot_as_parent(workshop: Workshop, image_id: str) -> None:
    launch(workshop, image_id)
    shape = workshop.snapshot(workshop.folder / "machine" / "sda1.raw")
    assert shape["Amictl"]["Parent"] == snapshot_of(workshop, image_id, "/dev/sda1")


# --- all or nothing ----------------------------------------------------------------------------


def test_an_empty_folder_is_filled_where_it_is(workshop: Workshop, image_id: str) -> None:
    machine = workshop.folder / "machine"
    machine.mkdir(mode=0o750)
    before = machine.stat()
    launch(workshop, image_id)
    after = machine.stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert same(machine / "sda1.raw", workshop.folder / "root")


def test_a_folder_that_holds_something_is_refused(workshop: Workshop, image_id: str) -> None:
    (workshop.folder / "machine").mkdir()
    workshop.file("machine/mine", b"precious")
    with pytest.raises(ConflictError, match="is not empty"):
        launch(workshop, image_id)
    assert names(workshop.folder / "machine") == ["mine"]


def test_a_file_in_the_place_of_the_folder_is_refused(workshop: Workshop, image_id: str) -> None:
    workshop.file("machine", b"precious")
    with pytest.raises(ConflictError, match="no folder"):
        launch(workshop, image_id)


def test_the_folder_above_must_be_there(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(NotFoundError, match="there is no folder"):
        launch(workshop, image_id, directory=workshop.folder / "missing" / "machine")


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_a_damaged_snapshot_leaves_nothing(workshop: Workshop, image_id: str, exists: bool) -> None:
    if exists:
        (workshop.folder / "machine").mkdir()
    flip(workshop.packs(0)[0], 5000)
    before = sorted(workshop.folder.rglob("machine*"))
    with pytest.raises(CorruptStoreError, match="is damaged at bytes"):
        launch(workshop, image_id)
    assert sorted(workshop.folder.rglob("*machine*")) == before


class Interrupting(Silent):
    """Progress at whose first step somebody presses Ctrl-C."""

    def update(self, step: Step) -> None:
        raise InterruptedBySignalError(2)


def test_an_interruption_leaves_nothing(workshop: Workshop, image_id: str) -> None:
    request = LaunchRequest(image_id, workshop.folder / "machine")
    surroundings = replace(workshop.surroundings, progress=Interrupting())
    before = names(workshop.folder)
    with workshop.open() as store, pytest.raises(InterruptedBySignalError):
        launch_image(store, request, surroundings)
    assert names(workshop.folder) == before


def test_a_dry_run_makes_nothing(workshop: Workshop, image_id: str) -> None:
    before = names(workshop.folder)
    with pytest.raises(DryRunError):
        launch(workshop, image_id, dry_run=True)
    assert names(workshop.folder) == before
    with workshop.open() as store:
        assert catalog.read_attributes(store, image_id).further == ()


def test_progress_counts_all_disks_as_one_work(workshop: Workshop, image_id: str) -> None:
    watching = Watching()
    request = LaunchRequest(image_id, workshop.folder / "machine")
    with workshop.open() as store:
        launch_image(store, request, replace(workshop.surroundings, progress=watching))
    total = 3 * SEGMENT + 1000 + 4000
    assert {step.total for step in watching.steps} == {total}
    done = [step.done for step in watching.steps]
    assert (done, done[-1]) == (sorted(done), total)


class Watching(Silent):
    """Progress that keeps its steps."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def update(self, step: Step) -> None:
        self.steps.append(step)


# --- for launchers -----------------------------------------------------------------------------


def document(workshop: Workshop) -> dict[str, Any]:
    text = (workshop.folder / "machine" / "launch.json").read_text()
    return dict(json.loads(text))


def test_the_document_says_what_a_launcher_needs(workshop: Workshop, image_id: str) -> None:
    result = launch(workshop, image_id)
    written = document(workshop)
    root, data = written.pop("BlockDeviceMappings")
    assert written == {
        "Format": "amictl-launch",
        "Version": 1,
        "ImageId": image_id,
        "Name": "image",
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/sda1",
        "LaunchTime": result["LaunchTime"],
    }
    assert root == {
        "DeviceName": "/dev/sda1",
        "File": "sda1.raw",
        "Kind": "snapshot",
        "SizeBytes": 3 * SEGMENT + 1000,
        "SnapshotId": snapshot_of(workshop, image_id, "/dev/sda1"),
        "VolumeId": result["Volumes"][0]["VolumeId"],
        "DeleteOnTermination": True,
    }
    assert data["File"] == "sdf.raw"


def started(workshop: Workshop, program: str, *words: str, **variables: str) -> list[str]:
    """The words that the script gives to QEMU, for which a program stands in that prints them."""
    tools = workshop.folder / "tools"
    tools.mkdir()
    (tools / program).write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    (tools / program).chmod(0o700)
    finished = subprocess.run(
        [workshop.folder / "machine" / "launch.sh", *words],
        env={"PATH": f"{tools}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    place, *given = finished.stdout.splitlines()
    assert place == str(workshop.folder / "machine")
    return given


def after(words: list[str], option: str) -> list[str]:
    """The values of an option that is given several times."""
    return [words[at + 1] for at, word in enumerate(words) if word == option]


def test_the_script_starts_qemu_with_every_disk(workshop: Workshop, image_id: str) -> None:
    result = launch(workshop, image_id)
    words = started(workshop, "qemu-system-x86_64", "-nographic", MEMORY="512")
    serials = [one["VolumeId"].replace("-", "") for one in result["Volumes"]]
    assert after(words, "-drive") == [
        "if=none,id=disk0,format=raw,discard=unmap,file=sda1.raw",
        "if=none,id=disk1,format=raw,discard=unmap,file=sdf.raw",
    ]
    assert after(words, "-device") == [
        f"virtio-blk-pci,drive=disk0,serial={serials[0]},bootindex=0",
        f"virtio-blk-pci,drive=disk1,serial={serials[1]},bootindex=1",
        "virtio-net-pci,netdev=net0",
    ]
    assert (after(words, "-m"), after(words, "-smp")) == (["512"], ["2"])
    assert words[-1] == "-nographic"


def test_the_devices_can_be_others(workshop: Workshop, image_id: str) -> None:
    launch(workshop, image_id, without("/dev/sdf"))
    words = started(workshop, "qemu-system-x86_64", DISK="nvme", NETWORK="e1000e")
    kinds = [value.partition(",")[0] for value in after(words, "-device")]
    assert kinds == ["nvme", "e1000e"]


def test_the_root_is_the_first_drive(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("data", b"data"))
    root = ("/dev/xvda", workshop.file("root", b"root"))
    first = (ebs("/dev/sdb", SnapshotId=snapshot_id),)
    launch(workshop, workshop.image("image", root, block_device_mappings=first))
    assert document(workshop)["BlockDeviceMappings"][0]["DeviceName"] == "/dev/xvda"


def test_uefi_gets_its_firmware_and_variables_of_its_own(workshop: Workshop) -> None:
    image_id = workshop.image("uefi", workshop.file("root", b"root"), boot_mode="uefi")
    launch(workshop, image_id)
    code, variables = workshop.file("CODE.fd", b"code"), workshop.file("VARS.fd", b"vars")
    given = {"FIRMWARE": str(code), "FIRMWARE_VARIABLES": str(variables)}
    words = started(workshop, "qemu-system-x86_64", **given)
    assert after(words, "-drive")[:2] == [
        f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
        "if=pflash,unit=1,format=raw,file=uefi-variables.fd",
    ]
    assert (workshop.folder / "machine" / "uefi-variables.fd").read_bytes() == b"vars"


def test_the_script_says_that_firmware_is_missing(workshop: Workshop) -> None:
    image_id = workshop.image("uefi", workshop.file("root", b"root"), boot_mode="uefi-preferred")
    launch(workshop, image_id)
    finished = subprocess.run(
        [workshop.folder / "machine" / "launch.sh"],
        env={"PATH": os.environ["PATH"], "FIRMWARE": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "install ovmf, or set FIRMWARE" in finished.stderr


def test_arm_machines_have_a_qemu_and_a_firmware_of_their_own(workshop: Workshop) -> None:
    image_id = workshop.image("arm", workshop.file("root", b"root"), architecture="arm64")
    launch(workshop, image_id)
    firmware = str(workshop.file("fd", b"fd"))
    given = {"FIRMWARE": firmware, "FIRMWARE_VARIABLES": firmware}
    words = started(workshop, "qemu-system-aarch64", **given)
    assert after(words, "-machine") == ["virt,accel=kvm:tcg"]
    assert f"if=pflash,unit=0,format=raw,readonly=on,file={firmware}" in after(words, "-drive")


def test_what_a_launch_that_was_killed_left_is_named(workshop: Workshop, image_id: str) -> None:
    left = workshop.folder / ".machine.0123abcd"
    for folder in (left, workshop.folder / ".machine.back", workshop.folder / ".other.0123abcd"):
        folder.mkdir()
    notes: list[str] = []

    class Notes(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    surroundings = replace(workshop.surroundings, progress=Notes())
    with workshop.open() as store:
        launch_image(store, LaunchRequest(image_id, workshop.folder / "machine"), surroundings)
    (note,) = notes
    assert note.startswith(f"{str(left)!r} is left of a launch that was broken off")
    assert left.is_dir()


def test_the_disks_of_a_launch_are_deleted_when_asked_for(
    workshop: Workshop, image_id: str
) -> None:
    with workshop.open() as store:
        for volume in launch(workshop, image_id)["Volumes"]:
            delete_volume(store, volume["VolumeId"], workshop.surroundings, delete_file=True)
    assert names(workshop.folder / "machine") == ["launch.json", "launch.sh"]
