"""Volumes: what a region remembers of disks, their state at a moment, and forgetting them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.tagging import create_tags, delete_tags
from amictl.actions.volumes import delete_volume, describe_volumes
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    DryRunError,
    MalformedIdError,
    NotFoundError,
    UnsupportedError,
    UsageError,
    VolumeInUseError,
    VolumeNotFoundError,
)
from amictl.model import facts
from amictl.model.records import VolumeRecord
from amictl.store import catalog, layout
from amictl.volumes.targets import MARK_SUFFIX
from tests.oracle import require_ec2_shape
from tests.workshop import SEGMENT, Workshop, flip

UNKNOWN = "vol-0123456789abcdef0"


def described(workshop: Workshop, *volume_ids: str, **filters: str) -> list[dict[str, Any]]:
    """The volumes; `snapshot_id="a"` is the filter snapshot-id."""
    given = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
    with workshop.open() as store:
        result = describe_volumes(store, volume_ids, given)
    require_ec2_shape("DescribeVolumes", result)
    return list(result["Volumes"])


def delete(workshop: Workshop, volume_id: str, **words: bool) -> None:
    with workshop.open() as store:
        delete_volume(store, volume_id, workshop.surroundings, **words)


def events(workshop: Workshop) -> str:
    return "".join(path.read_text() for path in (workshop.root / "events").iterdir())


@pytest.fixture
def written(workshop: Workshop) -> dict[str, Any]:
    """A volume that amictl wrote to `target`, from a snapshot of `disk`."""
    snapshot_id = workshop.snapshot_id(workshop.file("disk", b"content" * 1000))
    shape = workshop.volume(snapshot_id, workshop.folder / "target", tags={"stage": "test"})
    require_ec2_shape("CreateVolume", shape)
    return shape


# --- describing --------------------------------------------------------------------------------


def test_what_was_written_is_described_as_it_was_answered(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    (volume,) = described(workshop, written["VolumeId"])
    assert written["Amictl"].pop("WrittenBytes") == 7000
    assert volume == written
    assert volume["Tags"] == [{"Key": "stage", "Value": "test"}]
    assert volume["Amictl"]["SizeBytes"] == 7000


def test_the_source_of_a_snapshot_is_a_volume_too(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"content"))
    (volume,) = described(workshop)
    assert volume["VolumeId"] == shape["VolumeId"]
    assert volume["Amictl"] == {
        "Path": str(workshop.folder / "disk"),
        "SizeBytes": 7,
        "WrittenByAmictl": False,
        "NextParent": shape["SnapshotId"],
    }
    assert "SnapshotId" not in volume


def test_a_volume_whose_disk_grew_is_as_large_as_its_disk(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    with (workshop.folder / "target").open("r+b") as file:
        file.truncate((1 << 30) + 1)
    (volume,) = described(workshop, written["VolumeId"])
    assert (volume["Size"], volume["Amictl"]["SizeBytes"]) == (2, (1 << 30) + 1)


def test_a_volume_that_is_open_for_writing_is_in_use(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    with (workshop.folder / "target").open("r+b"):
        (volume,) = described(workshop, written["VolumeId"])
    assert volume["State"] == "in-use"
    assert volume["Attachments"] == [{"VolumeId": written["VolumeId"], "State": "attached"}]
    assert "open for writing" in volume["Amictl"]["StateReason"]
    assert described(workshop, written["VolumeId"])[0]["State"] == "available"


def test_a_volume_that_is_open_for_reading_is_available(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    with (workshop.folder / "target").open("rb"):
        assert described(workshop, written["VolumeId"])[0]["State"] == "available"


def test_a_volume_whose_disk_is_gone_is_in_error(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    (workshop.folder / "target").unlink()
    (volume,) = described(workshop, written["VolumeId"])
    assert (volume["State"], volume["Size"]) == ("error", 1)
    assert volume["Amictl"]["StateReason"] == f"there is no file '{workshop.folder / 'target'}'"


def test_an_unfinished_restore_is_in_error_and_while_it_runs_creating(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    target = workshop.folder / "target"
    target.with_name(target.name + MARK_SUFFIX).write_text("snap\n")
    assert described(workshop, written["VolumeId"])[0]["State"] == "error"
    with target.open("r+b"):
        assert described(workshop, written["VolumeId"])[0]["State"] == "creating"


def test_rolling_back_in_place_keeps_the_tags(workshop: Workshop, written: dict[str, Any]) -> None:
    target = workshop.folder / "target"
    again = workshop.volume(written["SnapshotId"], target, in_place=True)
    (volume,) = described(workshop, written["VolumeId"])
    assert again["CreateTime"] > written["CreateTime"]
    assert (volume["CreateTime"], volume["Tags"]) == (again["CreateTime"], written["Tags"])


def test_a_file_that_is_replaced_is_a_new_volume_without_the_tags(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    workshop.volume(written["SnapshotId"], workshop.folder / "target", force=True)
    assert "Tags" not in described(workshop, written["VolumeId"])[0]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("status", "avail*", 2),
        ("size", "1", 2),
        ("size", "2", 0),
        ("encrypted", "false", 2),
        ("tag-key", "stage", 1),
        ("tag:stage", "t?st", 1),
        ("tag:stage", "prod", 0),
        ("attachment.status", "attached", 0),
        ("create-time", "20*", 1),
    ],
)
def test_filters(
    workshop: Workshop, written: dict[str, Any], name: str, value: str, found: int
) -> None:
    assert len(described(workshop, **{name: value})) == found


def test_filters_find_the_volumes_of_a_snapshot(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    found = described(workshop, snapshot_id=written["SnapshotId"])
    assert [one["VolumeId"] for one in found] == [written["VolumeId"]]


def test_an_unknown_filter_is_refused(workshop: Workshop, written: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        described(workshop, nonsense="true")


@pytest.mark.parametrize(
    "name", ["multi-attach-enabled", "volume-type", "operator.managed", "attachment.instance-id"]
)
def test_a_filter_without_meaning_is_refused(workshop: Workshop, name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"'{name}' has no meaning here: "):
        described(workshop, **{name: "true"})


def test_an_unknown_volume_is_told(workshop: Workshop) -> None:
    with pytest.raises(VolumeNotFoundError, match=f"The volume '{UNKNOWN}' does not exist."):
        described(workshop, UNKNOWN)
    with pytest.raises(MalformedIdError):
        described(workshop, "vol-1")


def test_a_damaged_record_does_not_hide_the_others(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    flip(workshop.root / layout.attributes(written["VolumeId"]), 20)
    states = {one["VolumeId"]: one["State"] for one in described(workshop)}
    assert states.pop(written["VolumeId"]) == "error"
    assert list(states.values()) == ["available"]
    with pytest.raises(CorruptStoreError):
        described(workshop, written["VolumeId"])


def test_a_record_that_does_not_say_where_is_damaged(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    with workshop.open() as store:
        catalog.change_attributes(
            store, written["VolumeId"], lambda before: before.with_facts({facts.PATH: None})
        )
    with pytest.raises(CorruptStoreError, match="does not say what was written"):
        described(workshop, written["VolumeId"])


def test_a_dry_run_describes_nothing(workshop: Workshop) -> None:
    with workshop.open() as store, pytest.raises(DryRunError):
        describe_volumes(store, dry_run=True)


def test_a_check_finds_a_damaged_record_and_no_fault_without(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    place = layout.attributes(written["VolumeId"])
    before = workshop.check()["Faults"]
    flip(workshop.root / place, 20)
    assert before == []
    assert [fault["Place"] for fault in workshop.check()["Faults"]] == [place]


def test_a_region_that_cannot_be_written_to_does_not_stop_a_restore(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    folder = workshop.root / "volumes"
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("in the way")
    workshop.volume(written["SnapshotId"], workshop.folder / "second")
    assert (workshop.folder / "second").read_bytes() == b"content" * 1000


def test_the_next_parent_is_what_was_last_read_or_written(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    target = workshop.folder / "target"
    with target.open("r+b") as file:
        file.write(b"changed")
    newer = workshop.snapshot_id(target)
    after_snapshot = described(workshop, written["VolumeId"])[0]["Amictl"]["NextParent"]
    workshop.volume(written["SnapshotId"], target, in_place=True)
    after_rollback = described(workshop, written["VolumeId"])[0]["Amictl"]["NextParent"]
    assert (after_snapshot, after_rollback) == (newer, written["SnapshotId"])
    assert workshop.core(workshop.snapshot_id(target)).parent == after_rollback


# --- tags of sources ---------------------------------------------------------------------------


def tag(workshop: Workshop, volume_id: str, **tags: str) -> None:
    with workshop.open() as store:
        create_tags(store, [volume_id], list(tags.items()))


def test_the_source_of_a_snapshot_can_be_tagged(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"content"))
    (before,) = described(workshop)
    tag(workshop, shape["VolumeId"], stage="prod")
    (volume,) = described(workshop)
    assert volume == before | {"Tags": [{"Key": "stage", "Value": "prod"}]}
    assert workshop.check()["Faults"] == []
    with workshop.open() as store:
        delete_tags(store, [shape["VolumeId"]])
    assert described(workshop) == [before]


def test_tags_that_a_source_has_not_are_taken_from_it_in_vain(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"content"))
    with workshop.open() as store:
        delete_tags(store, [shape["VolumeId"]])
    assert not (workshop.root / layout.attributes(shape["VolumeId"])).exists()


def test_a_source_that_has_tags_is_still_not_what_amictl_wrote(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"precious"))
    tag(workshop, shape["VolumeId"], stage="prod")
    with pytest.raises(ConflictError, match="did not write"):
        delete(workshop, shape["VolumeId"], delete_file=True)
    assert (workshop.folder / "disk").exists()
    delete(workshop, shape["VolumeId"])
    assert described(workshop) == []


def test_a_source_keeps_its_tags_when_it_is_rolled_back(workshop: Workshop) -> None:
    disk = workshop.file("disk", b"content")
    shape = workshop.snapshot(disk)
    tag(workshop, shape["VolumeId"], stage="prod")
    workshop.volume(shape["SnapshotId"], disk, in_place=True)
    (volume,) = described(workshop)
    assert volume["Amictl"]["WrittenByAmictl"]
    assert volume["Tags"] == [{"Key": "stage", "Value": "prod"}]


# --- deleting ----------------------------------------------------------------------------------


def test_deleting_forgets_the_volume_and_leaves_the_file(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    delete(workshop, written["VolumeId"])
    with pytest.raises(VolumeNotFoundError):
        described(workshop, written["VolumeId"])
    assert (workshop.folder / "target").read_bytes() == b"content" * 1000
    assert '"DeleteVolume"' in events(workshop)


def test_the_file_is_deleted_when_asked_for(workshop: Workshop, written: dict[str, Any]) -> None:
    mark = workshop.folder / f"target{MARK_SUFFIX}"
    mark.write_text("snap\n")
    delete(workshop, written["VolumeId"], delete_file=True)
    assert described(workshop, snapshot_id=written["SnapshotId"]) == []
    assert [mark.exists(), (workshop.folder / "target").exists()] == [False, False]


def test_snapshots_of_a_deleted_volume_stay(workshop: Workshop, written: dict[str, Any]) -> None:
    first = workshop.snapshot(workshop.folder / "target")
    delete(workshop, written["VolumeId"], delete_file=True)
    assert workshop.restored(first["SnapshotId"]) == b"content" * 1000


def test_the_next_snapshot_of_a_forgotten_disk_has_no_parent(workshop: Workshop) -> None:
    disk = workshop.file("disk", workshop.noise(SEGMENT))
    shape = workshop.snapshot(disk)
    delete(workshop, shape["VolumeId"])
    again = workshop.snapshot(disk)
    assert again["VolumeId"] == shape["VolumeId"]
    assert "Parent" not in again["Amictl"]


def test_a_disk_that_amictl_did_not_write_is_never_deleted(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"precious"))
    with pytest.raises(ConflictError, match="did not write"):
        delete(workshop, shape["VolumeId"], delete_file=True)
    assert (workshop.folder / "disk").read_bytes() == b"precious"
    assert len(described(workshop, shape["VolumeId"])) == 1


def put_another_file(target: Path) -> None:
    other = target.with_name("other")
    other.write_bytes(b"precious")
    other.rename(target)


def put_a_link(target: Path) -> None:
    target.rename(target.with_name("moved"))
    target.symlink_to("moved")


@pytest.mark.parametrize("put", [put_another_file, put_a_link])
def test_another_file_in_its_place_is_not_deleted(
    workshop: Workshop, written: dict[str, Any], put: Any
) -> None:
    target = workshop.folder / "target"
    put(target)
    with pytest.raises(ConflictError, match="not the file that was written there"):
        delete(workshop, written["VolumeId"], delete_file=True)
    assert target.exists()


def test_another_file_with_the_inode_number_of_ours_is_not_deleted(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    """The kernel gives the number of a file that is gone to the next one."""
    target = workshop.folder / "target"
    put_another_file(target)
    inode = {facts.INODE: str(target.stat().st_ino)}
    size = {facts.SIZE_BYTES: str(target.stat().st_size)}
    change_facts(workshop, written["VolumeId"], inode | size)
    with pytest.raises(ConflictError, match="not the file that was written there"):
        delete(workshop, written["VolumeId"], delete_file=True)
    assert target.read_bytes() == b"precious"


def change_facts(workshop: Workshop, volume_id: str, changed: Mapping[str, str | None]) -> None:
    with workshop.open() as store:
        catalog.change_attributes(store, volume_id, lambda before: before.with_facts(changed))


@pytest.mark.parametrize("path", ["{0}/precious", "target", "{0}/target\0"])
def test_a_path_that_is_not_that_of_the_volume_is_damage(
    workshop: Workshop, written: dict[str, Any], path: str
) -> None:
    precious = workshop.file("precious", b"precious")
    path = path.format(workshop.folder)
    change_facts(workshop, written["VolumeId"], {facts.PATH: path})
    with pytest.raises(CorruptStoreError, match="has the path"):
        delete(workshop, written["VolumeId"], delete_file=True)
    faults = [fault["Place"] for fault in workshop.check()["Faults"]]
    assert faults == [layout.attributes(written["VolumeId"])]
    assert precious.exists()


@pytest.mark.parametrize("path", ["disk", "/disk\0"])
def test_a_source_with_an_impossible_path_is_damage(workshop: Workshop, path: str) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"content"))
    record = VolumeRecord(shape["VolumeId"], path, shape["SnapshotId"])
    with workshop.open() as store:
        catalog.put_volume(store, record)
    assert [one["State"] for one in described(workshop)] == ["error"]
    faults = [fault["Place"] for fault in workshop.check()["Faults"]]
    assert faults == [layout.volume(shape["VolumeId"])]


def test_a_source_that_became_a_loop_does_not_hide_the_others_and_is_forgotten(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    disk = workshop.folder / "disk"
    disk.unlink()
    disk.symlink_to("disk")
    states = {one["VolumeId"]: one["State"] for one in described(workshop)}
    assert states.pop(written["VolumeId"]) == "available"
    ((volume_id, state),) = states.items()
    assert state == "error"
    delete(workshop, volume_id)
    assert [one["VolumeId"] for one in described(workshop)] == [written["VolumeId"]]


def test_a_source_with_a_long_name_is_described(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("n" * 252, b"content"))
    (volume,) = described(workshop)
    assert (volume["VolumeId"], volume["State"]) == (shape["VolumeId"], "available")


@pytest.mark.parametrize("delete_file", [False, True])
def test_a_volume_in_use_is_not_deleted(
    workshop: Workshop, written: dict[str, Any], delete_file: bool
) -> None:
    with (workshop.folder / "target").open("r+b"), pytest.raises(VolumeInUseError) as caught:
        delete(workshop, written["VolumeId"], delete_file=delete_file)
    assert (caught.value.code, caught.value.exit_code) == ("VolumeInUse", 14)
    assert (workshop.folder / "target").exists()
    assert len(described(workshop, written["VolumeId"])) == 1


def test_a_volume_whose_file_is_gone_can_only_be_forgotten(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    (workshop.folder / "target").unlink()
    with pytest.raises(NotFoundError, match="there is no file"):
        delete(workshop, written["VolumeId"], delete_file=True)
    delete(workshop, written["VolumeId"])
    assert described(workshop, snapshot_id=written["SnapshotId"]) == []


@pytest.mark.parametrize("delete_file", [False, True])
def test_a_dry_run_deletes_nothing(
    workshop: Workshop, written: dict[str, Any], delete_file: bool
) -> None:
    with pytest.raises(DryRunError):
        delete(workshop, written["VolumeId"], delete_file=delete_file, dry_run=True)
    assert len(described(workshop, written["VolumeId"])) == 1
    assert (workshop.folder / "target").exists()


def test_a_dry_run_is_refused_what_a_real_one_is(
    workshop: Workshop, written: dict[str, Any]
) -> None:
    put_another_file(workshop.folder / "target")
    with pytest.raises(ConflictError):
        delete(workshop, written["VolumeId"], delete_file=True, dry_run=True)


def test_a_volume_is_deleted_once(workshop: Workshop, written: dict[str, Any]) -> None:
    delete(workshop, written["VolumeId"])
    with pytest.raises(VolumeNotFoundError):
        delete(workshop, written["VolumeId"])
