"""Which snapshot of a volume is restored where others are damaged, or go meanwhile."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.errors import CorruptStoreError, VolumeNotFoundError
from amictl.model.surroundings import Surroundings
from amictl.progress import Step
from amictl.store import catalog, layout
from amictl.store.store import Store
from tests.workshop import Workshop

LATER = datetime(2100, 1, 1, tzinfo=UTC)


class Notes:
    """Progress of which only the notes are kept."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def update(self, step: Step) -> None:
        pass

    def note(self, text: str) -> None:
        self.texts.append(text)


def restored(
    workshop: Workshop, volume_id: str, as_of: datetime | None = None
) -> tuple[bytes, list[str]]:
    """The bytes of the newest snapshot, and what was noted."""
    notes = Notes()
    plain = workshop.surroundings
    target = workshop.folder / "restored"
    request = CreateVolumeRequest(None, volume_id, as_of, target)
    with workshop.open() as store:
        create_volume(store, request, Surroundings(plain.now, plain.random_bytes, notes))
    return target.read_bytes(), notes.texts


def damage(workshop: Workshop, snapshot_id: str) -> None:
    (workshop.root / layout.core(snapshot_id)).write_bytes(b"torn")


@pytest.fixture
def other(workshop: Workshop) -> str:
    """A snapshot of another volume."""
    return workshop.snapshot_id(workshop.file("other", b"other"))


@pytest.fixture
def disk(workshop: Workshop, other: str) -> Path:
    return workshop.file("disk", b"first")


@pytest.mark.parametrize("as_of", [None, LATER])
def test_a_damaged_snapshot_of_another_volume_is_only_noted(
    workshop: Workshop, other: str, disk: Path, as_of: datetime | None
) -> None:
    volume_id = workshop.snapshot(disk)["VolumeId"]
    damage(workshop, other)
    content, notes = restored(workshop, volume_id, as_of)
    assert content == b"first"
    assert notes == [f"{other} cannot be read, and may be of {volume_id}"]


def test_nothing_older_is_restored_silently_for_a_damaged_newest_one(
    workshop: Workshop, disk: Path
) -> None:
    volume_id = workshop.snapshot(disk)["VolumeId"]
    disk.write_bytes(b"second")
    newest = workshop.snapshot_id(disk)
    damage(workshop, newest)
    with pytest.raises(CorruptStoreError, match=newest):
        restored(workshop, volume_id)
    content, notes = restored(workshop, volume_id, LATER)
    assert content == b"first"
    assert notes == [f"{newest} cannot be read, and may be of {volume_id}"]


def test_a_damaged_record_of_the_volume_keeps_no_snapshot_from_being_restored(
    workshop: Workshop, other: str, disk: Path
) -> None:
    volume_id = workshop.snapshot(disk)["VolumeId"]
    damage(workshop, other)
    (workshop.root / layout.volume(volume_id)).write_bytes(b"torn")
    assert restored(workshop, volume_id)[0] == b"first"


def test_a_volume_without_a_readable_snapshot_has_none(workshop: Workshop, disk: Path) -> None:
    first = workshop.snapshot(disk)
    damage(workshop, first["SnapshotId"])
    with pytest.raises(VolumeNotFoundError):
        restored(workshop, first["VolumeId"], LATER)


def test_a_snapshot_that_is_deleted_meanwhile_is_not_missed(
    workshop: Workshop, other: str, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume_id = workshop.snapshot(disk)["VolumeId"]
    listed = catalog.snapshot_ids

    def deleted_after_listing(store: Store) -> list[str]:
        found = listed(store)
        catalog.remove(store, other)
        return found

    monkeypatch.setattr(catalog, "snapshot_ids", deleted_after_listing)
    assert restored(workshop, volume_id) == (b"first", [])
