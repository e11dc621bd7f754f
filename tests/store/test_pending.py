"""Pending files that are damaged, or no files at all, hurt nobody but themselves."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amictl.actions.deregistering import deregister_image
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.actions.snapshots import delete_snapshot
from amictl.actions.tagging import describe_tags
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    ImageNotFoundError,
    SnapshotNotFoundError,
)
from amictl.store import catalog, layout, pending
from tests.workshop import Workshop

IMAGE, SNAPSHOT = "ami-" + "0" * 16 + "1", "snap-" + "0" * 16 + "1"

Damage = Callable[[Path], object]


def as_another(path: Path) -> None:
    """A whole record, of something else."""
    path.write_bytes((path.parent.parent / layout.CONFIG).read_bytes())


DAMAGES: dict[str, Damage] = {
    "garbage": lambda path: path.write_bytes(b"garbage"),
    "empty": lambda path: path.write_bytes(b""),
    "another": as_another,
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("nowhere"),
}


@pytest.fixture(params=DAMAGES.values(), ids=list(DAMAGES))
def damaged(workshop: Workshop, request: pytest.FixtureRequest) -> Workshop:
    """A store with a pending image and a pending snapshot that are not what was written."""
    for record_id in (IMAGE, SNAPSHOT):
        request.param(workshop.root / layout.pending(record_id))
    return workshop


@contextmanager
def held(path: Path) -> Iterator[None]:
    """As by a writer that is at work."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_damaged_pending_file_hides_nothing_else(damaged: Workshop) -> None:
    image_id = damaged.image("web", damaged.file("disk", b"disk"))
    with damaged.open() as store:
        images = {one["ImageId"]: one["State"] for one in describe_images(store)["Images"]}
        snapshots = {one["State"] for one in describe_snapshots(store)["Snapshots"]}
        assert describe_tags(store) == {"Tags": []}
    assert images == {image_id: "available", IMAGE: "invalid"}
    assert snapshots == {"completed", "error"}


def test_a_damaged_pending_file_keeps_no_snapshot(damaged: Workshop) -> None:
    snapshot_id = damaged.snapshot_id(damaged.file("disk", b"disk"))
    with damaged.open() as store:
        delete_snapshot(store, snapshot_id, damaged.surroundings)
        assert not catalog.exists(store, snapshot_id)


def test_a_check_names_damaged_pending_files(damaged: Workshop) -> None:
    faults = [(fault["Kind"], fault["Place"]) for fault in damaged.check()["Faults"]]
    assert faults == [("record", layout.pending(IMAGE)), ("record", layout.pending(SNAPSHOT))]


def test_a_damaged_pending_file_is_removed_by_its_id(damaged: Workshop) -> None:
    with damaged.open() as store:
        deregister_image(store, IMAGE, damaged.surroundings, delete_snapshots=True)
        delete_snapshot(store, SNAPSHOT, damaged.surroundings)
        assert list((damaged.root / "pending").iterdir()) == []
        with pytest.raises(ImageNotFoundError):
            deregister_image(store, IMAGE, damaged.surroundings)
        with pytest.raises(SnapshotNotFoundError):
            delete_snapshot(store, SNAPSHOT, damaged.surroundings)
    assert damaged.check()["Faults"] == []


def test_a_damaged_pending_image_that_is_held_may_map_any_snapshot(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("disk", b"disk"))
    place = workshop.root / layout.pending(IMAGE)
    place.write_bytes(b"garbage")
    with workshop.open() as store, held(place):
        with pytest.raises(CorruptStoreError, match=IMAGE):
            delete_snapshot(store, snapshot_id, workshop.surroundings)
        with pytest.raises(CorruptStoreError, match=IMAGE):
            deregister_image(store, IMAGE, workshop.surroundings)
        assert catalog.exists(store, snapshot_id)
    assert place.exists()


def test_a_damaged_pending_snapshot_that_is_held_stays(workshop: Workshop) -> None:
    place = workshop.root / layout.pending(SNAPSHOT)
    place.write_bytes(b"garbage")
    with workshop.open() as store, held(place):
        with pytest.raises(ConflictError, match="is in state pending"):
            delete_snapshot(store, SNAPSHOT, workshop.surroundings)
        pending.remove_dead(store, SNAPSHOT)
    assert place.exists()


def test_work_of_another_id_is_damage(workshop: Workshop) -> None:
    path = workshop.file("disk", b"disk")
    with pytest.raises(KeyError):
        workshop.snapshot(path, on_secured=lambda shape: shape["nothing"])
    (left,) = (workshop.root / "pending").iterdir()
    left.rename(workshop.root / layout.pending(SNAPSHOT))
    with workshop.open() as store, pytest.raises(CorruptStoreError, match="is about snap-"):
        pending.seen(store, SNAPSHOT)
