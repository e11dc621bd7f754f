"""CreateSnapshots: several disks at one moment, all or none."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.creating import CreateSnapshotsRequest, create_snapshots
from amictl.actions.tagging import create_tags
from amictl.errors import (
    ConflictError,
    DryRunError,
    SourceInUseError,
    StorageError,
    UsageError,
    VolumeNotFoundError,
)
from amictl.model.surroundings import Surroundings
from amictl.store import catalog, volume_records
from tests.actions.test_deleting_snapshots import disks, register
from tests.actions.test_snapshots import found, outcomes
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop, ignore


def take(
    workshop: Workshop,
    *paths: Path,
    on_secured: Callable[[dict[str, Any]], None] = ignore,
    surroundings: Surroundings | None = None,
    **words: Any,
) -> list[dict[str, Any]]:
    request = CreateSnapshotsRequest(paths, **words)
    with workshop.open() as store:
        result = create_snapshots(store, request, surroundings or workshop.surroundings, on_secured)
    require_ec2_shape("CreateSnapshots", result)
    return list(result["Snapshots"])


@pytest.fixture
def snapshot_id(workshop: Workshop) -> str:
    return workshop.snapshot_id(workshop.file("disk", b"content"))


def test_several_disks_become_snapshots_of_one_start_time(workshop: Workshop) -> None:
    paths = disks(workshop, 3)
    shapes = take(workshop, *paths, description="all", tags={"a": "b"})
    contents = [workshop.restored(shape["SnapshotId"]) for shape in shapes]
    assert contents == [path.read_bytes() for path in paths]
    assert len({shape["StartTime"] for shape in shapes}) == 1
    assert [shape["Description"] for shape in shapes] == ["all"] * 3
    assert [shape["Tags"] for shape in shapes] == [[{"Key": "a", "Value": "b"}]] * 3


def test_the_answer_has_the_completion_time_that_is_stored(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"content"))
    assert shape["CompletionTime"] == workshop.core(shape["SnapshotId"]).completion_time


def test_they_share_one_moment(workshop: Workshop) -> None:
    shapes = take(workshop, *disks(workshop))
    assert len({shape["Amictl"]["Moment"] for shape in shapes}) == 1


def test_what_is_written_once_they_are_secured_is_in_none_of_them(workshop: Workshop) -> None:
    paths = disks(workshop)
    before = [path.read_bytes() for path in paths]
    announced: list[str] = []

    def write(result: dict[str, Any]) -> None:
        announced.extend(shape["State"] for shape in result["Snapshots"])
        for path in paths:
            path.write_bytes(b"later" * 2000)

    shapes = take(workshop, *paths, on_secured=write)
    assert announced == ["pending", "pending"]
    assert [workshop.restored(shape["SnapshotId"]) for shape in shapes] == before


def test_the_event_names_all_of_them(workshop: Workshop) -> None:
    shapes = take(workshop, *disks(workshop))
    ids = tuple(shape["SnapshotId"] for shape in shapes)
    assert outcomes(workshop, "CreateSnapshots") == [(ids, "completed")]


def test_a_disk_in_use_keeps_all_from_being_made(workshop: Workshop) -> None:
    first, second = disks(workshop)
    with second.open("r+b"), pytest.raises(SourceInUseError):
        take(workshop, first, second)
    assert found(workshop) == []


def test_when_one_fails_while_it_is_read_all_show_error(workshop: Workshop) -> None:
    def fail(_: object) -> None:
        raise ConflictError("stop")

    with pytest.raises(ConflictError, match="stop"):
        take(workshop, *disks(workshop), on_secured=fail)
    shapes = found(workshop)
    assert [(shape["State"], shape["StateMessage"]) for shape in shapes] == [("error", "stop")] * 2


def test_when_one_cannot_be_completed_none_is(workshop: Workshop) -> None:
    def now() -> datetime:
        with workshop.open() as store:
            if catalog.snapshot_ids(store):
                raise StorageError("the second one cannot be written")
        return own.now()

    own = workshop.surroundings
    failing = Surroundings(now, own.random_bytes, own.progress)
    with pytest.raises(StorageError, match="second"):
        take(workshop, *disks(workshop), surroundings=failing)
    assert [shape["State"] for shape in found(workshop)] == ["error", "error"]


def test_one_that_an_image_maps_already_stays_when_another_fails(workshop: Workshop) -> None:
    images: list[str] = []

    def now() -> datetime:
        with workshop.open() as store:
            completed = catalog.snapshot_ids(store)
        if completed and not images:
            images.append(register(workshop, completed[0]))
            raise StorageError("the second one cannot be written")
        return own.now()

    own = workshop.surroundings
    failing = Surroundings(now, own.random_bytes, own.progress)
    with pytest.raises(StorageError, match="second"):
        take(workshop, *disks(workshop), surroundings=failing)
    assert sorted(shape["State"] for shape in found(workshop)) == ["completed", "error"]
    assert workshop.check()["Faults"] == []


def test_a_dry_run_makes_no_snapshot(workshop: Workshop) -> None:
    with pytest.raises(DryRunError):
        take(workshop, *disks(workshop), dry_run=True)
    assert found(workshop) == []


def test_tags_are_copied_from_volumes_that_amictl_wrote(
    workshop: Workshop, snapshot_id: str
) -> None:
    target = workshop.folder / "written"
    volume_id = workshop.volume(snapshot_id, target)["VolumeId"]
    with workshop.open() as store:
        create_tags(store, [volume_id], [("kept", "volume"), ("both", "volume")])
    foreign = workshop.file("foreign", b"foreign")
    shapes = take(workshop, target, foreign, tags={"both": "given"}, copy_tags=True)
    tags = [{tag["Key"]: tag["Value"] for tag in shape["Tags"]} for shape in shapes]
    assert tags == [{"kept": "volume", "both": "given"}, {"both": "given"}]


def test_tags_are_copied_from_disks_that_amictl_did_not_write(workshop: Workshop) -> None:
    path = workshop.file("disk", b"content")
    (first,) = take(workshop, path)
    with workshop.open() as store:
        create_tags(store, [first["VolumeId"]], [("stage", "prod")])
    (second,) = take(workshop, path, copy_tags=True)
    assert second["Tags"] == [{"Key": "stage", "Value": "prod"}]


def test_a_volume_that_nobody_knows_is_told(workshop: Workshop) -> None:
    path = workshop.file("disk", b"content")
    with pytest.raises(VolumeNotFoundError, match="'vol-0123456789abcdef0' does not exist") as told:
        workshop.snapshot(path, volume_id="vol-0123456789abcdef0")
    assert (told.value.code, told.value.exit_code) == ("InvalidVolume.NotFound", 10)
    assert found(workshop) == []


def test_a_volume_of_which_only_snapshots_are_known_is_known(workshop: Workshop) -> None:
    path = workshop.file("disk", b"content")
    volume_id = workshop.snapshot(path)["VolumeId"]
    with workshop.open() as store:
        volume_records.forget(store, volume_id)
    with pytest.raises(UsageError, match="does not know where the disk of vol-"):
        workshop.snapshot(None, volume_id=volume_id)
    assert workshop.snapshot(path, volume_id=volume_id)["VolumeId"] == volume_id


def test_without_a_file_the_disk_of_the_volume_is_taken_where_it_was_last(
    workshop: Workshop,
) -> None:
    first = workshop.snapshot(workshop.file("disk", b"content"))
    workshop.snapshot(workshop.file("moved", b"moved"), volume_id=first["VolumeId"])
    last = workshop.snapshot(None, volume_id=first["VolumeId"])
    assert workshop.restored(last["SnapshotId"]) == b"moved"


def test_without_a_file_what_amictl_wrote_is_taken(workshop: Workshop, snapshot_id: str) -> None:
    volume = workshop.volume(snapshot_id, workshop.folder / "written")
    again = workshop.snapshot(None, volume_id=volume["VolumeId"])
    assert again["VolumeId"] == volume["VolumeId"]
    assert again["Amictl"]["SizeBytes"] == 7


def test_a_snapshot_needs_a_file_or_a_volume(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="give a file or --volume-id"):
        workshop.snapshot(None)


def test_copied_and_given_tags_are_fifty_together(workshop: Workshop, snapshot_id: str) -> None:
    target = workshop.folder / "written"
    volume_id = workshop.volume(snapshot_id, target)["VolumeId"]
    with workshop.open() as store:
        create_tags(store, [volume_id], [(f"k{number}", "") for number in range(50)])
    with pytest.raises(UsageError) as caught:
        take(workshop, target, tags={"one": "more"}, copy_tags=True)
    assert caught.value.code == "TagLimitExceeded"
