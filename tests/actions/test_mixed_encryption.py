"""Plain disks beside encrypted ones, and disks of different keys: together, and compared."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from amictl.actions.blocks import list_changed_blocks
from amictl.actions.checking import verify_snapshot
from amictl.actions.creating import CreateSnapshotsRequest, create_snapshots
from amictl.actions.launching import LaunchRequest, launch_image
from amictl.errors import KeyUnavailableError
from amictl.model.encryption import EncryptionRequest
from amictl.store import catalog
from tests.workshop import MIB, SEGMENT, Workshop, ignore

BLOCK = 512 * 1024


@dataclass(frozen=True)
class Disks:
    """Three disks of equal content: plain, and volumes of two keys."""

    plain: Path
    first: Path
    second: Path
    first_key: str
    second_key: str
    content: bytes


@pytest.fixture
def disks(workshop: Workshop) -> Disks:
    content = workshop.noise(SEGMENT + MIB)
    plain = workshop.file("plain", content)
    snapshot_id = workshop.snapshot_id(plain)
    keys = [workshop.keys.new() for _ in range(2)]
    paths = [workshop.folder / name for name in ("first", "second")]
    for path, key in zip(paths, keys, strict=True):
        request = EncryptionRequest(encrypted=True, kms_key_id=key)
        workshop.volume(snapshot_id, path, encryption=request)
    return Disks(plain, paths[0], paths[1], keys[0], keys[1], content)


def key_of(workshop: Workshop, snapshot_id: str) -> str | None:
    with workshop.open() as store:
        return store.key_id(catalog.read_snapshot(store, snapshot_id).domain)


def together(workshop: Workshop, *paths: Path) -> list[str]:
    with workshop.open() as store:
        request = CreateSnapshotsRequest(paths)
        made = create_snapshots(store, request, workshop.surroundings, ignore)
    return [one["SnapshotId"] for one in made["Snapshots"]]


def left(workshop: Workshop) -> list[str]:
    """Snapshots, and what is pending."""
    folders = [workshop.root / name for name in ("snapshots", "pending")]
    return sorted(path.name for folder in folders for path in folder.iterdir())


def test_disks_that_are_taken_together_keep_their_own_keys(
    workshop: Workshop, disks: Disks
) -> None:
    made = together(workshop, disks.plain, disks.first, disks.second)
    keys = [key_of(workshop, snapshot_id) for snapshot_id in made]
    assert keys == [None, disks.first_key, disks.second_key]
    assert all(workshop.restored(snapshot_id) == disks.content for snapshot_id in made)


def test_one_key_that_is_missing_stops_all_and_leaves_nothing(
    workshop: Workshop, disks: Disks
) -> None:
    before = left(workshop)
    workshop.keys.mislay(disks.second_key)
    with pytest.raises(KeyUnavailableError, match=disks.second_key):
        together(workshop, disks.plain, disks.first, disks.second)
    with pytest.raises(KeyUnavailableError, match=disks.second_key):
        workshop.image("web", disks.plain, disks.first, disks.second)
    assert left(workshop) == before


def test_an_image_of_disks_of_all_kinds_is_launched_bit_for_bit(
    workshop: Workshop, disks: Disks
) -> None:
    image_id = workshop.image("web", disks.first, disks.plain, disks.second)
    with workshop.open() as store:
        request = LaunchRequest(image_id, workshop.folder / "machine")
        volumes = launch_image(store, request, workshop.surroundings)["Volumes"]
    keys = [one.get("KmsKeyId") for one in volumes]
    assert keys == [disks.first_key, None, disks.second_key]
    found = [Path(one["Amictl"]["Path"]).read_bytes() for one in volumes]
    assert found == [disks.content] * 3


@pytest.mark.parametrize("missing", ["first_key", "second_key"])
def test_it_is_launched_with_all_its_keys_only(
    workshop: Workshop, disks: Disks, missing: str
) -> None:
    image_id = workshop.image("web", disks.first, disks.plain, disks.second)
    key = getattr(disks, missing)
    workshop.keys.mislay(key)
    request = LaunchRequest(image_id, workshop.folder / "machine")
    with workshop.open() as store, pytest.raises(KeyUnavailableError, match=key):
        launch_image(store, request, workshop.surroundings)
    assert not (workshop.folder / "machine").exists()


def test_an_encrypted_disk_that_grew_is_an_increment(workshop: Workshop, disks: Disks) -> None:
    parent = workshop.snapshot_id(disks.first)
    more = workshop.noise(2 * SEGMENT, 8)
    with disks.first.open("ab") as file:
        file.write(more)
    child = workshop.core(workshop.snapshot_id(disks.first))
    assert child.parent == parent
    assert child.new_bytes < len(more) + 2 * MIB
    assert workshop.restored(child.snapshot_id) == disks.content + more


def changed(workshop: Workshop, first: str, second: str) -> list[int]:
    with workshop.open() as store:
        found = list_changed_blocks(store, first, second)["ChangedBlocks"]
    return [one["BlockIndex"] for one in found]


def test_equal_bytes_of_different_domains_are_not_changed(workshop: Workshop, disks: Disks) -> None:
    plain, first, second = together(workshop, disks.plain, disks.first, disks.second)
    assert changed(workshop, plain, first) == []
    assert changed(workshop, first, second) == []


def test_what_changed_is_found_between_domains(workshop: Workshop, disks: Disks) -> None:
    plain, first = together(workshop, disks.plain, disks.first)
    with disks.second.open("r+b") as file:
        file.seek(3 * BLOCK)
        file.write(b"changed")
    second = workshop.snapshot_id(disks.second)
    assert changed(workshop, plain, second) == [3]
    assert changed(workshop, second, first) == [3]


def test_an_encrypted_snapshot_is_compared_with_a_file(workshop: Workshop, disks: Disks) -> None:
    snapshot_id = workshop.snapshot_id(disks.first)
    other = workshop.file("other", disks.content[:-512] + bytes(512))
    with workshop.open() as store:
        surroundings = workshop.surroundings
        same = verify_snapshot(store, snapshot_id, against=disks.first, surroundings=surroundings)
        differs = verify_snapshot(store, snapshot_id, against=other, surroundings=surroundings)
    assert same["Faults"] == []
    assert [fault["Start"] for fault in differs["Faults"]] == [len(disks.content) - 512]
