"""Restores: whole or not at all, in place or anew, to files and to devices."""

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    DryRunError,
    InterruptedBySignalError,
    SnapshotNotFoundError,
    SourceInUseError,
    StorageError,
    UsageError,
    VolumeNotFoundError,
)
from amictl.model.records import Features
from amictl.progress import Silent, Step
from amictl.store import events
from amictl.volumes.targets import MARK_SUFFIX
from tests.workshop import MIB, SEGMENT, Workshop, flip, same

GIB = 1 << 30


@pytest.fixture
def taken(workshop: Workshop) -> tuple[Workshop, str]:
    """A snapshot of `disk`: noise, a hole, zeros and a tail."""
    pieces = {0: workshop.noise(SEGMENT), 2 * SEGMENT: bytes(MIB), 3 * SEGMENT: b"tail"}
    return workshop, workshop.snapshot_id(workshop.file("disk", pieces, 3 * SEGMENT + 1000))


Taken = tuple[Workshop, str]


def mark_of(path: Path) -> Path:
    return path.with_name(path.name + MARK_SUFFIX)


def damage(workshop: Workshop) -> None:
    """Flip a bit in the first frame."""
    flip(workshop.packs(0)[0], 5000)


# --- new files ---------------------------------------------------------------------------------


def test_the_answer_has_the_shape_of_ec2(taken: Taken) -> None:
    workshop, snapshot_id = taken
    shape = workshop.volume(snapshot_id, workshop.folder / "target")
    assert (shape["State"], shape["SnapshotId"], shape["Size"]) == ("available", snapshot_id, 1)
    assert shape["Amictl"]["SizeBytes"] == 3 * SEGMENT + 1000
    assert shape["Amictl"]["Path"] == str(workshop.folder / "target")


def test_a_restored_disk_has_its_snapshot_as_parent(taken: Taken) -> None:
    workshop, snapshot_id = taken
    workshop.volume(snapshot_id, workshop.folder / "target")
    core = workshop.core(workshop.snapshot_id(workshop.folder / "target"))
    assert (core.parent, core.new_bytes < 8192) == (snapshot_id, True)


def test_a_file_that_exists_is_left_alone(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"precious")
    with pytest.raises(ConflictError):
        workshop.volume(snapshot_id, target)
    assert target.read_bytes() == b"precious"


def test_a_file_that_exists_is_replaced_by_force(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"old" * MIB)
    workshop.volume(snapshot_id, target, force=True)
    assert same(target, workshop.folder / "disk")


def test_a_dry_run_refuses_a_file_that_exists(taken: Taken) -> None:
    workshop, snapshot_id = taken
    with pytest.raises(ConflictError):
        workshop.volume(snapshot_id, workshop.file("target", b"precious"), dry_run=True)


def test_what_is_no_disk_is_not_replaced_by_force(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.folder / "target"
    os.mkfifo(target)
    with pytest.raises(UsageError, match="neither a file nor a block device"):
        workshop.volume(snapshot_id, target, force=True)
    assert target.is_fifo()


@pytest.mark.parametrize("force", [False, True])
def test_a_damaged_snapshot_leaves_no_file(taken: Taken, force: bool) -> None:
    workshop, snapshot_id = taken
    damage(workshop)
    before = {path.name for path in workshop.folder.iterdir()}
    with pytest.raises(CorruptStoreError, match=f"{snapshot_id} is damaged at bytes"):
        workshop.volume(snapshot_id, workshop.folder / "target", force=force)
    assert {path.name for path in workshop.folder.iterdir()} == before


def test_adjacent_ranges_with_one_reason_are_named_once(taken: Taken) -> None:
    workshop, snapshot_id = taken
    damage(workshop)
    with pytest.raises(CorruptStoreError, match="is damaged at bytes 0 to") as caught:
        workshop.volume(snapshot_id, workshop.folder / "target")
    reasons = [text.partition(": ")[2] for text in caught.value.message.split("; ")]
    assert len(set(reasons)) == len(reasons)


def test_a_damaged_snapshot_does_not_replace_a_file(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"precious")
    damage(workshop)
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, target, force=True)
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", [0, 1], ids=["frames", "nodes"])
def test_a_snapshot_without_its_pack_leaves_no_file(taken: Taken, kind: int) -> None:
    workshop, snapshot_id = taken
    workshop.packs(kind)[0].unlink()
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, workshop.folder / "target")
    assert not (workshop.folder / "target").exists()


def test_a_larger_volume_ends_in_zeros(taken: Taken) -> None:
    workshop, snapshot_id = taken
    workshop.volume(snapshot_id, workshop.folder / "target", size_gib=1)
    with (workshop.folder / "disk").open("r+b") as file:
        file.truncate(GIB)
    assert same(workshop.folder / "target", workshop.folder / "disk")


def test_a_volume_smaller_than_its_snapshot_is_refused(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", {0: b"x"}, GIB + 1))
    with pytest.raises(UsageError, match="less than the snapshot"):
        workshop.volume(snapshot_id, workshop.folder / "target", size_gib=1)


def test_a_dry_run_makes_no_file(taken: Taken) -> None:
    workshop, snapshot_id = taken
    with pytest.raises(DryRunError):
        workshop.volume(snapshot_id, workshop.folder / "target", dry_run=True)
    assert not (workshop.folder / "target").exists()


def test_a_target_in_a_missing_folder_is_told(taken: Taken) -> None:
    workshop, snapshot_id = taken
    with pytest.raises(StorageError, match="absent"):
        workshop.volume(snapshot_id, workshop.folder / "absent" / "target")


def test_a_snapshot_that_is_unknown_is_told(workshop: Workshop) -> None:
    with pytest.raises(SnapshotNotFoundError):
        workshop.volume("snap-" + "0" * 17, workshop.folder / "target")


def test_a_store_that_must_not_be_written_to_is_read(taken: Taken) -> None:
    workshop, snapshot_id = taken
    workshop.change_config(features=Features(write=("later",)))
    before = sorted((workshop.root / "volumes").iterdir())
    workshop.volume(snapshot_id, workshop.folder / "target")
    assert same(workshop.folder / "target", workshop.folder / "disk")
    assert sorted((workshop.root / "volumes").iterdir()) == before


# --- in place ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, SEGMENT, 3 * SEGMENT + 1000, 5 * SEGMENT])
@pytest.mark.parametrize("content", [b"\0", b"x"])
def test_whatever_a_file_held_it_is_the_snapshot_afterwards(
    taken: Taken, size: int, content: bytes
) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", content * size)
    workshop.volume(snapshot_id, target, in_place=True)
    assert same(target, workshop.folder / "disk")


def test_only_what_differs_is_written(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", (workshop.folder / "disk").read_bytes())
    flip(target, SEGMENT // 2)
    shape = workshop.volume(snapshot_id, target, in_place=True)
    assert 0 < shape["Amictl"]["WrittenBytes"] <= 32_768


def test_nothing_is_written_where_nothing_differs(taken: Taken) -> None:
    workshop, snapshot_id = taken
    shape = workshop.volume(snapshot_id, workshop.folder / "disk", in_place=True)
    assert shape["Amictl"]["WrittenBytes"] == 0


def test_data_in_a_hole_of_the_snapshot_becomes_zeros(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", (workshop.folder / "disk").read_bytes())
    flip(target, SEGMENT + 5)
    workshop.volume(snapshot_id, target, in_place=True)
    assert same(target, workshop.folder / "disk")


def test_a_larger_volume_in_place_ends_in_zeros(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"x" * (5 * SEGMENT))
    workshop.volume(snapshot_id, target, in_place=True, size_gib=1)
    with (workshop.folder / "disk").open("r+b") as file:
        file.truncate(GIB)
    assert same(target, workshop.folder / "disk")


def test_a_finished_restore_leaves_no_mark(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"x")
    workshop.volume(snapshot_id, target, in_place=True)
    assert not mark_of(target).exists()


def test_an_unfinished_restore_leaves_the_mark(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"x")
    damage(workshop)
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, target, in_place=True)
    assert mark_of(target).read_text() == f"{snapshot_id}\n"


def test_a_restore_in_place_that_is_broken_off_leaves_an_event(taken: Taken) -> None:
    workshop, snapshot_id = taken
    damage(workshop)
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, workshop.file("target", b"x"), in_place=True)
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, workshop.folder / "new")
    with workshop.open() as store:
        volume_id = store.volume_id(str((workshop.folder / "target").resolve()))
        found = [one for one in events.read_all(store).events if one.operation == "CreateVolume"]
    assert [(one.ids, one.outcome) for one in found] == [((volume_id, snapshot_id), "error")]


def test_an_unfinished_restore_is_finished_by_running_it_again(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"x")
    damage(workshop)
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, target, in_place=True)
    damage(workshop)  # flips the bit back
    workshop.volume(snapshot_id, target, in_place=True)
    assert same(target, workshop.folder / "disk")
    assert not mark_of(target).exists()


def test_bytes_that_cannot_be_had_are_left_as_they_are(workshop: Workshop) -> None:
    content = workshop.noise(SEGMENT)
    snapshot_id = workshop.snapshot_id(workshop.file("disk", content))
    target = workshop.file("target", content)
    flip(target, SEGMENT - 1)
    damage(workshop)
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, target, in_place=True)
    assert target.read_bytes() == content


@pytest.mark.parametrize("in_place", [False, True], ids=["new", "in_place"])
def test_nothing_is_written_any_more_when_a_restore_ends_early(
    workshop: Workshop, in_place: bool
) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(6 * SEGMENT)))
    target = workshop.file("target", b"") if in_place else workshop.folder / "target"
    request = CreateVolumeRequest(snapshot_id, None, None, target, in_place=in_place)
    with workshop.open() as store, pytest.raises(InterruptedBySignalError) as caught:
        create_volume(store, request, replace(workshop.surroundings, progress=Interrupting()))
    alive = [one.name for one in threading.enumerate() if one.name.startswith("segment")]
    assert (alive, caught.value.exit_code) == ([], 130)


class Interrupting(Silent):
    """Progress at whose first step somebody presses Ctrl-C."""

    def update(self, step: Step) -> None:
        raise InterruptedBySignalError(2)


@pytest.mark.parametrize("in_place", [False, True], ids=["new", "in_place"])
def test_a_map_that_does_not_fit_its_volume_is_damage(workshop: Workshop, in_place: bool) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    workshop.put_core(replace(workshop.core(snapshot_id), size_bytes=SEGMENT - 512))
    target = workshop.file("target", b"x") if in_place else workshop.folder / "target"
    with pytest.raises(CorruptStoreError, match="not as long as segment 0"):
        workshop.volume(snapshot_id, target, in_place=in_place)


def test_an_inner_node_that_does_not_fit_its_volume_is_damage(workshop: Workshop) -> None:
    path = workshop.file("disk", {0: b"x"}, 2 * SEGMENT)
    snapshot_id = workshop.snapshot_id(path)
    workshop.put_core(replace(workshop.core(snapshot_id), size_bytes=3 * SEGMENT))
    with pytest.raises(CorruptStoreError, match="does not cover"):
        workshop.volume(snapshot_id, workshop.folder / "target")


def test_a_target_that_is_open_elsewhere_is_refused(taken: Taken) -> None:
    workshop, snapshot_id = taken
    target = workshop.file("target", b"x" * 100)
    with target.open("rb"), pytest.raises(SourceInUseError):
        workshop.volume(snapshot_id, target, in_place=True)
    assert target.read_bytes() == b"x" * 100


def test_in_place_makes_a_file_that_does_not_exist(taken: Taken) -> None:
    workshop, snapshot_id = taken
    workshop.volume(snapshot_id, workshop.folder / "target", in_place=True)
    assert same(workshop.folder / "target", workshop.folder / "disk")


def test_in_place_and_force_exclude_each_other(taken: Taken) -> None:
    workshop, snapshot_id = taken
    with pytest.raises(UsageError):
        workshop.volume(snapshot_id, workshop.folder / "target", in_place=True, force=True)


# --- the newest of a volume --------------------------------------------------------------------


def test_a_volume_is_restored_as_it_was_at_a_time(workshop: Workshop) -> None:
    shapes = [workshop.snapshot(workshop.file("disk", text)) for text in (b"first", b"second")]
    volume_id = shapes[0]["VolumeId"]
    as_of = datetime.fromisoformat(shapes[0]["StartTime"])
    workshop.volume(None, workshop.folder / "then", volume_id=volume_id, as_of=as_of)
    workshop.volume(None, workshop.folder / "now", volume_id=volume_id)
    assert (workshop.folder / "then").read_bytes() == b"first"
    assert (workshop.folder / "now").read_bytes() == b"second"


def test_a_volume_without_a_snapshot_at_that_time_is_told(workshop: Workshop) -> None:
    shape = workshop.snapshot(workshop.file("disk", b"content"))
    with pytest.raises(VolumeNotFoundError):
        workshop.volume(
            None,
            workshop.folder / "then",
            volume_id=shape["VolumeId"],
            as_of=datetime(2020, 1, 1, tzinfo=UTC),
        )


def test_either_a_snapshot_or_a_volume_is_given(workshop: Workshop) -> None:
    with pytest.raises(UsageError):
        workshop.volume(None, workshop.folder / "target")


# --- devices -----------------------------------------------------------------------------------


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A block device of 16 MiB that is full of something."""
    image = tmp_path / "device.raw"
    image.write_bytes(b"d" * (16 * MIB))
    words = ["losetup", "--find", "--show", str(image)]
    name = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield Path(name)
    finally:
        subprocess.run(["losetup", "--detach", name], check=True)


needs_devices = pytest.mark.needs("root", "losetup")


@needs_devices
def test_a_device_is_not_overwritten_without_force(taken: Taken, device: Path) -> None:
    workshop, snapshot_id = taken
    with pytest.raises(ConflictError):
        workshop.volume(snapshot_id, device)
    assert device.read_bytes() == b"d" * (16 * MIB)


@needs_devices
def test_a_device_holds_the_snapshot_afterwards(taken: Taken, device: Path) -> None:
    workshop, snapshot_id = taken
    workshop.volume(snapshot_id, device, force=True)
    expected = (workshop.folder / "disk").read_bytes()
    assert device.read_bytes()[: len(expected)] == expected


@needs_devices
def test_a_device_keeps_what_is_behind_the_volume(taken: Taken, device: Path) -> None:
    workshop, snapshot_id = taken
    workshop.volume(snapshot_id, device, force=True)
    assert device.read_bytes()[3 * SEGMENT + 1000 :] == b"d" * (4 * MIB - 1000)


@needs_devices
def test_a_device_that_is_too_small_is_refused(workshop: Workshop, device: Path) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", {0: b"x"}, 16 * MIB + 1))
    with pytest.raises(UsageError, match="bytes"):
        workshop.volume(snapshot_id, device, force=True)
    assert device.read_bytes() == b"d" * (16 * MIB)


@needs_devices
def test_an_unfinished_device_is_marked_in_the_store(taken: Taken, device: Path) -> None:
    workshop, snapshot_id = taken
    damage(workshop)
    with pytest.raises(CorruptStoreError):
        workshop.volume(snapshot_id, device, force=True)
    assert len(list((workshop.root / "marks").iterdir())) == 1


@needs_devices
def test_the_mark_of_a_finished_device_is_removed(taken: Taken, device: Path) -> None:
    workshop, snapshot_id = taken
    workshop.volume(snapshot_id, device, force=True)
    assert list((workshop.root / "marks").iterdir()) == []


@needs_devices
def test_a_device_becomes_a_snapshot_and_comes_back(workshop: Workshop, device: Path) -> None:
    assert workshop.restored(workshop.snapshot_id(device)) == b"d" * (16 * MIB)
