"""A disk image file of a key says so itself, by an extended attribute: where it goes, whatever
volume it is taken for and whichever region it is taken into, its snapshots are encrypted."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.actions.creating import CreateSnapshotRequest, create_snapshot
from amictl.actions.describing import describe_snapshots
from amictl.actions.launching import LaunchRequest, launch_image
from amictl.actions.snapshots import delete_snapshot
from amictl.actions.volumes import delete_volume
from amictl.errors import KeyUnavailableError
from amictl.model.keys import LABEL
from amictl.progress import Silent
from amictl.store.lineages import is_encrypted
from amictl.volumes.freezing import FreezeRequest
from tests.workshop import MIB, Workshop, ignore


class Notes(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def key(workshop: Workshop) -> str:
    return workshop.keys.new()


@pytest.fixture
def encrypted(workshop: Workshop, key: str) -> str:
    """An encrypted snapshot, in a region where new things are plain again."""
    workshop.encrypt_by_default(key)
    found = workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB)))
    workshop.plain_by_default()
    return found


@pytest.fixture
def restored(workshop: Workshop, encrypted: str) -> Path:
    target = workshop.folder / "restored"
    workshop.volume(encrypted, target)
    return target


@pytest.fixture
def elsewhere(workshop: Workshop, tmp_path: Path) -> Workshop:
    """Another region of the same user."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Workshop(folder, keys=workshop.keys)


def label(path: Path) -> str | None:
    return os.getxattr(path, LABEL).decode() if LABEL in os.listxattr(path) else None


def key_of(workshop: Workshop, path: Path, **words: str) -> str | None:
    """The key of a new snapshot of a file."""
    with workshop.open() as store:
        core = workshop.core(workshop.snapshot_id(path, **words))
        return store.key_id(core.domain) if is_encrypted(core) else None


def forget(workshop: Workshop, path: Path) -> None:
    with workshop.open() as store:
        delete_volume(store, store.volume_id(str(path)), workshop.surroundings)


@pytest.mark.parametrize("way", [{}, {"force": True}, {"in_place": True}])
def test_a_restored_file_says_of_which_key_it_is(
    workshop: Workshop, encrypted: str, key: str, way: dict[str, bool]
) -> None:
    target = workshop.folder / "target"
    if way:
        target.write_bytes(b"before")
    workshop.volume(encrypted, target, **way)
    assert label(target) == key


@pytest.mark.parametrize("way", ["force", "in_place"])
def test_something_plain_that_is_written_over_it_is_plain(
    workshop: Workshop, restored: Path, way: str
) -> None:
    plain = workshop.snapshot_id(workshop.file("plain", workshop.noise(MIB, seed=8)))
    workshop.volume(plain, restored, **{way: True})
    assert label(restored) is None
    assert key_of(workshop, restored) is None


def test_what_is_plain_has_no_label(workshop: Workshop) -> None:
    plain = workshop.snapshot_id(workshop.file("plain", workshop.noise(MIB)))
    workshop.volume(plain, workshop.folder / "target")
    assert label(workshop.folder / "target") is None


def test_the_disks_of_a_launched_image_say_it_too(
    workshop: Workshop, key: str, tmp_path: Path
) -> None:
    workshop.encrypt_by_default(key)
    image_id = workshop.image("web", workshop.file("disk", workshop.noise(MIB)))
    with workshop.open() as store:
        request = LaunchRequest(image_id, tmp_path / "machine")
        shape = launch_image(store, request, workshop.surroundings)
    assert [label(Path(one["Amictl"]["Path"])) for one in shape["Volumes"]] == [key]


def moved(path: Path) -> Path:
    return path.rename(path.with_name("moved"))


def linked(path: Path) -> Path:
    path.with_name("linked").hardlink_to(path)
    return path.with_name("linked")


def copied_with_attributes(path: Path) -> Path:
    return Path(shutil.copy2(path, path.with_name("copied")))


@pytest.mark.parametrize("way", [moved, linked, copied_with_attributes])
def test_under_another_name_it_is_encrypted(
    workshop: Workshop, restored: Path, key: str, way: Callable[[Path], Path]
) -> None:
    assert key_of(workshop, way(restored)) == key


def test_in_another_region_it_is_encrypted(elsewhere: Workshop, restored: Path, key: str) -> None:
    assert key_of(elsewhere, restored) == key


def test_an_image_of_it_in_another_region_is_encrypted(elsewhere: Workshop, restored: Path) -> None:
    elsewhere.image("web", restored)
    with elsewhere.open() as store:
        (shape,) = describe_snapshots(store)["Snapshots"]
    assert shape["Encrypted"]


@pytest.mark.parametrize("method", ["lease", "copy"])
def test_however_it_is_frozen_it_is_encrypted(
    elsewhere: Workshop, restored: Path, key: str, method: str
) -> None:
    found = elsewhere.core(elsewhere.snapshot_id(restored, freeze=FreezeRequest(method)))
    assert is_encrypted(found)


def test_as_a_plain_volume_it_is_encrypted(workshop: Workshop, restored: Path, key: str) -> None:
    plain = workshop.snapshot(workshop.file("plain", workshop.noise(MIB)))["VolumeId"]
    assert key_of(workshop, restored, volume_id=plain) == key


def test_as_a_plain_volume_the_path_of_an_encrypted_one_counts_without_a_label(
    workshop: Workshop, restored: Path, key: str
) -> None:
    plain = workshop.snapshot(workshop.file("plain", workshop.noise(MIB)))["VolumeId"]
    os.removexattr(restored, LABEL)
    assert key_of(workshop, restored, volume_id=plain) == key
    assert key_of(workshop, workshop.folder / "disk", volume_id=plain) == key


def test_a_volume_that_is_forgotten_stays_encrypted_as_its_snapshots_are(
    workshop: Workshop, encrypted: str, key: str
) -> None:
    disk = workshop.folder / "disk"
    forget(workshop, disk)
    assert key_of(workshop, disk) == key


def test_a_volume_that_is_forgotten_with_its_snapshots_is_plain(
    workshop: Workshop, encrypted: str
) -> None:
    disk = workshop.folder / "disk"
    forget(workshop, disk)
    with workshop.open() as store:
        delete_snapshot(store, encrypted, workshop.surroundings)
    assert key_of(workshop, disk) is None


def test_a_forgotten_volume_of_plain_snapshots_is_plain(workshop: Workshop, encrypted: str) -> None:
    plain = workshop.file("plain", workshop.noise(MIB))
    workshop.snapshot_id(plain)
    forget(workshop, plain)
    assert key_of(workshop, plain) is None


def test_the_key_of_its_volume_goes_before_the_label(
    workshop: Workshop, restored: Path, key: str
) -> None:
    os.setxattr(restored, LABEL, workshop.keys.new().encode())
    assert key_of(workshop, restored) == key


def test_a_label_that_is_no_id_is_told_of_and_does_not_count(workshop: Workshop) -> None:
    disk, notes = workshop.file("plain", workshop.noise(MIB)), Notes()
    os.setxattr(disk, LABEL, b"\xff\0nonsense")
    surroundings = replace(workshop.surroundings, progress=notes)
    with workshop.open() as store:
        shape = create_snapshot(store, CreateSnapshotRequest(disk), surroundings, ignore)
    assert not shape["Encrypted"]
    assert any(LABEL in text and str(disk) in text for text in notes.texts)


def test_without_the_key_of_the_label_nothing_begins(
    workshop: Workshop, elsewhere: Workshop, restored: Path, tmp_path: Path
) -> None:
    workshop.keys.mislay()
    freeze = FreezeRequest(pre_freeze=f"touch {tmp_path / 'begun'}")
    with pytest.raises(KeyUnavailableError) as caught:
        elsewhere.snapshot(restored, freeze=freeze)
    assert f"setfattr -x {LABEL} {restored}" in str(caught.value.hint)
    assert not (tmp_path / "begun").exists()
    with elsewhere.open() as store:
        assert describe_snapshots(store)["Snapshots"] == []


def test_a_missing_key_of_the_volume_itself_does_not_blame_the_label(
    workshop: Workshop, restored: Path
) -> None:
    workshop.keys.mislay()
    with pytest.raises(KeyUnavailableError) as caught:
        workshop.snapshot(restored)
    assert LABEL not in str(caught.value.hint)


def test_where_there_are_no_attributes_the_disk_is_restored_all_the_same(
    workshop: Workshop, encrypted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refused)
    monkeypatch.setattr(os, "getxattr", refused)
    target = workshop.folder / "target"
    workshop.volume(encrypted, target)
    assert target.read_bytes() == (workshop.folder / "disk").read_bytes()
    assert is_encrypted(workshop.core(workshop.snapshot_id(target)))


def test_an_unchanged_disk_costs_one_look_at_its_label(
    workshop: Workshop, restored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.snapshot_id(restored)
    looks: list[str] = []
    own = os.getxattr

    def counted(descriptor: int, name: str) -> bytes:
        looks.append(name)
        return own(descriptor, name)

    monkeypatch.setattr(os, "getxattr", counted)
    assert workshop.snapshot(restored)["Amictl"]["Unchanged"]
    assert len(looks) == 1
