"""DeregisterImage, with and without its snapshots."""

from datetime import timedelta
from typing import Any

import pytest

from amictl.actions.changing_images import disable_image
from amictl.actions.creating import CreateImageRequest, create_image
from amictl.actions.deregistering import deregister_image
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.errors import (
    AmictlError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNotFoundError,
    MalformedIdError,
)
from amictl.model import facts
from amictl.model.locks import GOVERNANCE, Lock, with_lock
from amictl.model.records import ImageCore, PendingImage, RetentionRule
from amictl.store import catalog, layout, recycling
from amictl.store.pending import PendingFile
from amictl.store.store import Store
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop

UNKNOWN = "ami-" + "0" * 17
GARBAGE: dict[str, str | None] = {facts.PROTECTED_UNTIL: "soon"}


@pytest.fixture
def image_id(workshop: Workshop) -> str:
    """An image of two disks."""
    disks = [workshop.file(name, name.encode() * 1000) for name in ("root", "data")]
    return workshop.image("web", *disks)


def deregister(workshop: Workshop, image_id: str, **words: bool) -> dict[str, Any]:
    with workshop.open() as store:
        result = deregister_image(store, image_id, workshop.surroundings, **words)
    require_ec2_shape("DeregisterImage", result)
    return result


def codes(result: dict[str, Any]) -> dict[str, str]:
    """What became of each snapshot."""
    return {one["SnapshotId"]: one["ReturnCode"] for one in result["DeleteSnapshotResults"]}


def snapshots_of(workshop: Workshop, image_id: str) -> list[str]:
    with workshop.open() as store:
        mappings = catalog.read_image(store, image_id).mappings
    return [mapping.snapshot_id or "" for mapping in mappings]


def snapshots(workshop: Workshop) -> list[str]:
    with workshop.open() as store:
        return [one["SnapshotId"] for one in describe_snapshots(store)["Snapshots"]]


def images(workshop: Workshop) -> list[str]:
    with workshop.open() as store:
        return [one["ImageId"] for one in describe_images(store)["Images"]]


# --- the image ---------------------------------------------------------------------------------


def test_a_deregistered_image_is_gone_and_its_snapshots_stay(
    workshop: Workshop, image_id: str
) -> None:
    before = snapshots_of(workshop, image_id)
    assert deregister(workshop, image_id) == {"Return": True}
    assert images(workshop) == []
    assert sorted(snapshots(workshop)) == sorted(before)


def test_the_name_is_free(workshop: Workshop, image_id: str) -> None:
    deregister(workshop, image_id)
    assert workshop.image("web", workshop.file("other", b"x")) != image_id


def test_a_second_time_there_is_no_such_image(workshop: Workshop, image_id: str) -> None:
    deregister(workshop, image_id)
    with pytest.raises(ImageNotFoundError):
        deregister(workshop, image_id)


def test_what_is_no_image_is_told(workshop: Workshop) -> None:
    with pytest.raises(ImageNotFoundError):
        deregister(workshop, UNKNOWN)
    with pytest.raises(MalformedIdError):
        deregister(workshop, "../store")


def test_a_disabled_image_can_be_deregistered(workshop: Workshop, image_id: str) -> None:
    with workshop.open() as store:
        disable_image(store, image_id, workshop.surroundings)
    assert deregister(workshop, image_id) == {"Return": True}


def test_deregistering_leaves_an_event(workshop: Workshop, image_id: str) -> None:
    deregister(workshop, image_id, delete_snapshots=True)
    history = [path.read_text() for path in (workshop.root / "events").iterdir()]
    assert sum('"DeregisterImage"' in text for text in history) == 1
    assert sum('"DeleteSnapshot"' in text for text in history) == 2


def test_a_dry_run_checks_and_does_nothing(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(DryRunError):
        deregister(workshop, image_id, delete_snapshots=True, dry_run=True)
    with pytest.raises(ImageNotFoundError):
        deregister(workshop, UNKNOWN, dry_run=True)
    assert images(workshop) == [image_id]
    assert len(snapshots(workshop)) == 2


# --- its snapshots -----------------------------------------------------------------------------


def test_snapshots_are_deleted_when_that_is_asked_for(workshop: Workshop, image_id: str) -> None:
    first, second = snapshots_of(workshop, image_id)
    result = deregister(workshop, image_id, delete_snapshots=True)
    assert result == {
        "Return": True,
        "DeleteSnapshotResults": [
            {"SnapshotId": first, "ReturnCode": "success"},
            {"SnapshotId": second, "ReturnCode": "success"},
        ],
    }
    assert snapshots(workshop) == []


def test_a_snapshot_that_another_image_maps_is_skipped(workshop: Workshop, image_id: str) -> None:
    first, second = snapshots_of(workshop, image_id)
    with workshop.open() as store:
        mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": first}}
        request = RegisterImageRequest("other", (mapping,))
        other = register_image(store, request, workshop.surroundings)["ImageId"]
        disable_image(store, other, workshop.surroundings)
    result = deregister(workshop, image_id, delete_snapshots=True)
    assert codes(result) == {first: "skipped", second: "success"}
    assert snapshots(workshop) == [first]


def test_a_locked_snapshot_stays(workshop: Workshop, image_id: str) -> None:
    first, second = snapshots_of(workshop, image_id)
    now = workshop.surroundings.now()
    lock = Lock(GOVERNANCE, 1, now, now, now + timedelta(days=1))
    with workshop.open() as store:
        catalog.change_attributes(store, first, lambda old: with_lock(old, lock))
    result = deregister(workshop, image_id, delete_snapshots=True)
    assert codes(result) == {first: "client-error", second: "success"}
    assert snapshots(workshop) == [first]


def test_a_damaged_snapshot_does_not_stop_the_others(workshop: Workshop, image_id: str) -> None:
    first, second = snapshots_of(workshop, image_id)
    (workshop.root / layout.attributes(first)).write_bytes(b"{}\n")
    result = deregister(workshop, image_id, delete_snapshots=True)
    assert codes(result) == {first: "internal-error", second: "success"}


def test_a_snapshot_that_is_mapped_twice_is_deleted_once(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", b"x" * 5000))
    mappings = tuple(
        {"DeviceName": device, "Ebs": {"SnapshotId": snapshot_id}}
        for device in ("/dev/sda1", "/dev/sdf")
    )
    with workshop.open() as store:
        request = RegisterImageRequest("web", mappings, root_device_name="/dev/sda1")
        image_id = register_image(store, request, workshop.surroundings)["ImageId"]
    result = deregister(workshop, image_id, delete_snapshots=True)
    assert result["DeleteSnapshotResults"] == [{"SnapshotId": snapshot_id, "ReturnCode": "success"}]


def test_other_snapshots_of_the_volume_stay_whole(workshop: Workshop) -> None:
    disk = workshop.file("disk", workshop.noise(100_000))
    image_id = workshop.image("web", disk)
    later = workshop.snapshot_id(disk)
    deregister(workshop, image_id, delete_snapshots=True)
    assert workshop.restored(later) == disk.read_bytes()


# --- the recycle bin ---------------------------------------------------------------------------


@pytest.fixture
def rule(workshop: Workshop) -> None:
    one = RetentionRule("0123456789a", "EC2_IMAGE", 1, "", (), ())
    with workshop.open() as store:
        recycling.change_rules(store, lambda rules: (*rules, one))


@pytest.mark.usefixtures("rule")
def test_an_image_in_the_recycle_bin_cannot_be_deregistered_again(
    workshop: Workshop, image_id: str
) -> None:
    assert deregister(workshop, image_id) == {"Return": True}
    with pytest.raises(ConflictError) as raised:
        deregister(workshop, image_id)
    assert raised.value.code == "InvalidAMIID.Unavailable"
    with workshop.open() as store:
        assert catalog.read_attributes(store, image_id).state == catalog.IN_BIN


@pytest.mark.usefixtures("rule")
def test_the_name_of_an_image_in_the_recycle_bin_is_free(workshop: Workshop, image_id: str) -> None:
    deregister(workshop, image_id)
    assert workshop.image("web", workshop.file("other", b"x")) != image_id


# --- images that never were --------------------------------------------------------------------


@pytest.fixture
def failed(workshop: Workshop) -> str:
    """The id of an image whose making failed."""
    current = workshop.root / layout.CURRENT
    content = current.read_bytes()
    current.write_bytes(b"")
    with pytest.raises(CorruptStoreError):
        workshop.image("web", workshop.file("root", b"root" * 1000))
    current.write_bytes(content)
    (image_id,) = images(workshop)
    return image_id


def test_an_image_that_failed_can_be_deregistered(workshop: Workshop, failed: str) -> None:
    assert deregister(workshop, failed) == {"Return": True}
    assert images(workshop) == []
    with pytest.raises(ImageNotFoundError):
        deregister(workshop, failed)
    assert workshop.image("web", workshop.file("root", b"root" * 1000))


def test_snapshots_that_failed_with_their_image_can_be_deleted_with_it(
    workshop: Workshop, failed: str
) -> None:
    (snapshot_id,) = snapshots(workshop)
    assert codes(deregister(workshop, failed, delete_snapshots=True)) == {snapshot_id: "success"}
    assert snapshots(workshop) == []


def test_a_dry_run_leaves_an_image_that_failed(workshop: Workshop, failed: str) -> None:
    with pytest.raises(DryRunError):
        deregister(workshop, failed, dry_run=True)
    assert images(workshop) == [failed]


def test_an_image_that_is_being_made_is_refused(workshop: Workshop) -> None:
    refused: list[AmictlError] = []

    def secured(result: dict[str, Any]) -> None:
        with pytest.raises(ConflictError) as raised:
            deregister(workshop, result["ImageId"])
        refused.append(raised.value)

    with workshop.open() as store:
        request = CreateImageRequest("web", ((None, workshop.file("disk", b"x" * 5000)),))
        create_image(store, request, workshop.surroundings, secured)
    assert refused[0].code == "IncorrectState"


def test_what_a_killed_writer_left_of_a_finished_image_goes_with_it(
    workshop: Workshop, image_id: str
) -> None:
    with workshop.open() as store:
        core = catalog.read_image(store, image_id)
        PendingFile(store, image_id, PendingImage(core, "", ())).release()
    assert deregister(workshop, image_id) == {"Return": True}
    assert images(workshop) == []


def test_a_protection_that_cannot_be_read_still_protects(workshop: Workshop, image_id: str) -> None:
    with workshop.open() as store:
        catalog.change_attributes(store, image_id, lambda old: old.with_facts(GARBAGE))
    with pytest.raises(CorruptStoreError, match="deregistration-protection-until of ami-"):
        deregister(workshop, image_id)
    with workshop.open() as store:
        assert catalog.exists(store, image_id)


def test_images_are_read_once_for_all_snapshots(
    workshop: Workshop, image_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = workshop.image("other", workshop.file("other", b"other"))
    read: list[str] = []
    original = catalog.read_image_core

    def counted(store: Store, image_id: str) -> ImageCore:
        read.append(image_id)
        return original(store, image_id)

    monkeypatch.setattr(catalog, "read_image_core", counted)
    result = deregister(workshop, image_id, delete_snapshots=True)
    assert list(codes(result).values()) == ["success", "success"]
    assert read.count(other) == 1
