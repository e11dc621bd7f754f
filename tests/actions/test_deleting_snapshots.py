"""DeleteSnapshot: what may be deleted, what may not, and what others do meanwhile."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.actions.snapshots import (
    delete_snapshot,
)
from amictl.errors import (
    AmictlError,
    ConflictError,
    DryRunError,
    SnapshotNotFoundError,
)
from amictl.model.records import Attributes, RetentionRule
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, layout, recycling
from tests.actions.test_snapshots import NO_SNAPSHOT, found, outcomes
from tests.workshop import MIB, Workshop


def delete(workshop: Workshop, snapshot_id: str, **words: Any) -> None:
    with workshop.open() as store:
        assert delete_snapshot(store, snapshot_id, workshop.surroundings, **words) == {}


def register(workshop: Workshop, snapshot_id: str, name: str = "image") -> str:
    mappings = ({"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot_id}},)
    request = RegisterImageRequest(name, mappings, "/dev/sda1")
    with workshop.open() as store:
        return str(register_image(store, request, workshop.surroundings)["ImageId"])


def change(workshop: Workshop, record_id: str, edit: Callable[[Attributes], Attributes]) -> None:
    with workshop.open() as store:
        catalog.change_attributes(store, record_id, edit)


def failed_snapshot(workshop: Workshop) -> str:
    """The id of a snapshot in state error."""
    ids: list[str] = []

    def fail(shape: dict[str, Any]) -> None:
        ids.append(shape["SnapshotId"])
        raise ConflictError("stop")

    with pytest.raises(ConflictError, match="stop"):
        workshop.snapshot(workshop.file("failing", b"content"), fail)
    return ids[0]


def keep_for_a_day(workshop: Workshop) -> None:
    """Make a retention rule for all snapshots."""
    rule = RetentionRule("abcdefghijk", "EBS_SNAPSHOT", 1, "", (), ())
    with workshop.open() as store:
        recycling.change_rules(store, lambda rules: (*rules, rule))


def disks(workshop: Workshop, count: int = 2) -> list[Path]:
    return [workshop.file(f"disk{at}", f"disk {at}".encode() * 1000) for at in range(count)]


@pytest.fixture
def snapshot_id(workshop: Workshop) -> str:
    return workshop.snapshot_id(workshop.file("disk", b"content"))


# --- delete ------------------------------------------------------------------------------------


def test_a_deleted_snapshot_is_gone_and_others_stay_whole(workshop: Workshop) -> None:
    disk = workshop.file("disk", workshop.noise(MIB))
    ids = []
    contents = []
    for number in range(3):
        with disk.open("r+b") as file:
            file.write(b"%d" % number)
        contents.append(disk.read_bytes())
        ids.append(workshop.snapshot_id(disk))
    delete(workshop, ids[1])
    assert [one["SnapshotId"] for one in found(workshop)] == [ids[0], ids[2]]
    assert workshop.restored(ids[0]) == contents[0]
    assert workshop.restored(ids[2]) == contents[2]
    assert workshop.check(read_data=True)["Faults"] == []


def test_the_next_snapshot_of_a_volume_does_without_a_deleted_parent(workshop: Workshop) -> None:
    disk = workshop.file("disk", workshop.noise(MIB))
    first = workshop.snapshot_id(disk)
    delete(workshop, workshop.snapshot_id(disk))
    assert workshop.snapshot(disk)["Amictl"]["Parent"] == first


def test_deleting_leaves_an_event(workshop: Workshop, snapshot_id: str) -> None:
    delete(workshop, snapshot_id)
    assert outcomes(workshop, "DeleteSnapshot") == [((snapshot_id,), "deleted")]


@pytest.mark.parametrize("state", ["available", "disabled"])
def test_a_snapshot_that_an_image_maps_stays(
    workshop: Workshop, snapshot_id: str, state: str
) -> None:
    image_id = register(workshop, snapshot_id)
    change(workshop, image_id, lambda old: replace(old, state=state))
    with pytest.raises(ConflictError) as caught:
        delete(workshop, snapshot_id)
    assert caught.value.code == "InvalidSnapshot.InUse"
    assert caught.value.message == (f"The snapshot {snapshot_id} is currently in use by {image_id}")
    assert len(found(workshop)) == 1


def test_a_snapshot_of_an_image_in_the_recycle_bin_may_go(
    workshop: Workshop, snapshot_id: str
) -> None:
    image_id = register(workshop, snapshot_id)
    change(workshop, image_id, lambda old: replace(old, state=catalog.IN_BIN))
    delete(workshop, snapshot_id)
    assert found(workshop) == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(NO_SNAPSHOT, "InvalidSnapshot.NotFound"), ("snap-1", "InvalidSnapshotID.Malformed")],
)
def test_what_does_not_exist_cannot_be_deleted(workshop: Workshop, wrong: str, code: str) -> None:
    with pytest.raises(AmictlError) as caught:
        delete(workshop, wrong)
    assert caught.value.code == code


def test_what_was_deleted_cannot_be_deleted_again(workshop: Workshop, snapshot_id: str) -> None:
    delete(workshop, snapshot_id)
    with pytest.raises(SnapshotNotFoundError):
        delete(workshop, snapshot_id)


def test_what_is_being_made_cannot_be_deleted_yet(workshop: Workshop) -> None:
    refused: list[str] = []

    def delete_pending(shape: dict[str, Any]) -> None:
        with pytest.raises(ConflictError, match="in state pending") as caught:
            delete(workshop, shape["SnapshotId"])
        refused.append(caught.value.code)

    made = workshop.snapshot_id(workshop.file("disk", b"content"), on_secured=delete_pending)
    assert refused == ["IncorrectState"]
    assert [one["SnapshotId"] for one in found(workshop)] == [made]


def test_what_failed_can_be_deleted(workshop: Workshop) -> None:
    failed = failed_snapshot(workshop)
    with pytest.raises(DryRunError):
        delete(workshop, failed, dry_run=True)
    assert [one["State"] for one in found(workshop)] == ["error"]
    delete(workshop, failed)
    assert found(workshop) == []
    assert outcomes(workshop, "DeleteSnapshot") == [((failed,), "deleted")]


@pytest.mark.parametrize("binned", [False, True], ids=["gone", "in-bin"])
def test_nothing_shows_of_one_whose_writer_died_when_it_was_done(
    workshop: Workshop, binned: bool
) -> None:
    """Its last step would have been to remove the file that says that it is being made."""
    files: list[tuple[Path, bytes]] = []

    def keep(shape: dict[str, Any]) -> None:
        path = workshop.root / layout.pending(shape["SnapshotId"])
        files.append((path, path.read_bytes()))

    snapshot_id = workshop.snapshot_id(workshop.file("disk", b"content"), on_secured=keep)
    for path, content in files:
        path.write_bytes(content)
    if binned:
        keep_for_a_day(workshop)
    delete(workshop, snapshot_id)
    assert outcomes(workshop, "DeleteSnapshot") == [
        ((snapshot_id,), catalog.IN_BIN if binned else "deleted")
    ]
    assert found(workshop) == []


def test_a_dry_run_checks_everything_and_deletes_nothing(
    workshop: Workshop, snapshot_id: str
) -> None:
    with pytest.raises(DryRunError):
        delete(workshop, snapshot_id, dry_run=True)
    register(workshop, snapshot_id)
    with pytest.raises(ConflictError):
        delete(workshop, snapshot_id, dry_run=True)
    assert len(found(workshop)) == 1


# --- delete while somebody registers -----------------------------------------------------------


def attempts(*actions: Callable[[], object]) -> list[AmictlError | None]:
    """Do all at the same time; what each of them raised."""
    ends: list[AmictlError | None] = [None] * len(actions)
    barrier = threading.Barrier(len(actions))

    def attempt(at: int) -> None:
        barrier.wait()
        try:
            actions[at]()
        except AmictlError as error:
            ends[at] = error

    threads = [threading.Thread(target=attempt, args=(at,)) for at in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_nobody_maps_a_snapshot_that_is_just_being_deleted(
    workshop: Workshop, snapshot_id: str
) -> None:
    """The image is registered when the snapshot was found to be free, and before it goes."""
    raised: list[AmictlError] = []

    def map_it() -> None:
        try:
            register(workshop, snapshot_id)
        except AmictlError as error:
            raised.append(error)

    registering = threading.Thread(target=map_it)

    def now() -> datetime:
        moments.append(own.now())
        if len(moments) == 2:  # the first is for the lock, the second for the recycle bin
            registering.start()
            registering.join(timeout=0.3)
        return moments[-1]

    moments: list[datetime] = []
    own = workshop.surroundings
    with workshop.open() as store:
        delete_snapshot(store, snapshot_id, Surroundings(now, own.random_bytes, own.progress))
    registering.join()
    assert [type(error) for error in raised] == [SnapshotNotFoundError]
    assert found(workshop) == []


def test_of_deleting_a_snapshot_and_mapping_it_exactly_one_succeeds(workshop: Workshop) -> None:
    ids = [workshop.snapshot_id(path) for path in disks(workshop, 8)]
    for number, snapshot_id in enumerate(ids):
        ends = attempts(
            lambda: register(workshop, snapshot_id, f"image {number}"),  # noqa: B023 (done now)
            lambda: delete(workshop, snapshot_id),  # noqa: B023 (done now)
        )
        assert sum(end is None for end in ends) == 1
