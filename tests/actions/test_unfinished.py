"""What a stranger tripped over: unfinished restores, lost packs, replaced files."""

import os
import shutil

import pytest

from amictl.actions.rebuilding import rebuild_index
from amictl.errors import (
    ConflictError,
    DryRunError,
    ImageNameDuplicateError,
    SourceInUseError,
)
from amictl.store import image_names, layout
from amictl.volumes.targets import MARK_SUFFIX
from tests.workshop import SEGMENT, Workshop, same


def test_an_unfinished_restore_is_not_taken_for_a_disk(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(SEGMENT))
    (workshop.folder / f"disk{MARK_SUFFIX}").write_text("snap-0123456789abcdef0\n")
    with pytest.raises(ConflictError, match="unfinished restore"):
        workshop.snapshot(path)


def test_a_snapshot_does_not_count_on_a_pack_that_is_gone(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(SEGMENT + 1000))
    first = workshop.snapshot_id(path)
    for pack in workshop.packs(0):
        pack.unlink()
    second = workshop.snapshot_id(path)
    assert workshop.restored(second) == path.read_bytes()
    assert workshop.restored(first) == path.read_bytes()


def test_the_index_is_made_again_where_its_folder_is_gone(workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(SEGMENT))
    snapshot_id = workshop.snapshot_id(path)
    shutil.rmtree(workshop.root / "index")
    with workshop.open() as store:
        assert rebuild_index(store, workshop.surroundings)["Faults"] == []
    assert workshop.restored(snapshot_id) == path.read_bytes()


def test_a_file_that_is_replaced_keeps_its_mode(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    target = workshop.file("target", b"old")
    target.chmod(0o640)
    workshop.volume(snapshot_id, target, force=True)
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_link_that_is_replaced_stays_a_link(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    target = workshop.file("target", b"old")
    link = workshop.folder / "link"
    link.symlink_to(target)
    workshop.volume(snapshot_id, link, force=True)
    assert link.is_symlink()
    assert same(target, workshop.folder / "disk")


def test_a_file_that_somebody_has_open_is_not_replaced(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    target = workshop.file("target", b"old")
    descriptor = os.open(target, os.O_RDWR)
    try:
        with pytest.raises(SourceInUseError):
            workshop.volume(snapshot_id, target, force=True)
    finally:
        os.close(descriptor)
    assert target.read_bytes() == b"old"


def test_a_dry_run_finds_a_target_in_use(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", workshop.noise(SEGMENT)))
    target = workshop.file("target", b"old")
    with pytest.raises(DryRunError):
        workshop.volume(snapshot_id, target, in_place=True, dry_run=True)
    with target.open("r+b"), pytest.raises(SourceInUseError):
        workshop.volume(snapshot_id, target, in_place=True, dry_run=True)


def test_a_lost_record_names_the_image_and_device_it_hurts(workshop: Workshop) -> None:
    workshop.image("web", workshop.file("disk", workshop.noise(SEGMENT)))
    (core,) = [
        path for path in (workshop.root / "snapshots").iterdir() if path.name.count(".") == 1
    ]
    core.write_bytes(b"")
    (damage,) = workshop.check()["Damaged"]
    assert damage["SnapshotId"] == layout.core_id(core.name)
    assert [user["DeviceName"] for user in damage["Images"]] == ["/dev/sda1"]


def test_a_race_for_a_name_that_is_lost_leaves_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody took the name after it was asked for."""
    disk = workshop.file("disk", workshop.noise(SEGMENT))
    first = workshop.image("web", disk)
    before = sorted(path.name for path in workshop.root.rglob("*"))
    monkeypatch.setattr(image_names, "name_holder", lambda *_: None)
    with pytest.raises(ImageNameDuplicateError, match=first):
        workshop.image("web", disk)
    assert sorted(path.name for path in workshop.root.rglob("*")) == before
