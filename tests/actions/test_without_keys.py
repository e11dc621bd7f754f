"""What needs no key: to check, to list, to count, to make the index again."""

from pathlib import Path
from typing import Any

import pytest

from amictl.actions.accounting import describe_store
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.actions.rebuilding import rebuild_index
from amictl.store import layout
from tests.workshop import MIB, Workshop, flip


@pytest.fixture
def key(workshop: Workshop) -> str:
    key_id = workshop.keys.new()
    workshop.encrypt_by_default(key_id)
    return key_id


@pytest.fixture
def disk(workshop: Workshop, key: str) -> Path:
    noise = workshop.noise(3 * MIB)
    return workshop.file("disk", {0: noise, 9 * MIB: noise[::-1]}, 14 * MIB)


def described(workshop: Workshop) -> dict[str, Any]:
    with workshop.open() as store:
        return describe_store(store, workshop.surroundings.now())


def test_a_sound_store_is_found_sound(workshop: Workshop, disk: Path) -> None:
    workshop.image("web", disk)
    workshop.keys.mislay()
    found = workshop.check(read_data=True)
    assert (found["Faults"], found["Damaged"]) == ([], [])
    assert found["NodeCount"] > 2


@pytest.mark.parametrize("kind", [0, 1], ids=["frame", "node"])
def test_a_flipped_bit_is_found_and_whom_it_hurts(
    workshop: Workshop, disk: Path, kind: int
) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    workshop.keys.mislay()
    flip(workshop.packs(kind)[0], 400)
    found = workshop.check(read_data=True)
    assert any("checksum" in fault["Message"] for fault in found["Faults"])
    assert [damaged["SnapshotId"] for damaged in found["Damaged"]] == [snapshot_id]


def test_a_damaged_header_of_a_domain_is_found(workshop: Workshop, disk: Path) -> None:
    core = workshop.core(workshop.snapshot_id(disk))
    flip(workshop.root / layout.domain(core.domain), 60)
    found = workshop.check()
    assert layout.domain(core.domain) in [fault["Place"] for fault in found["Faults"]]


def test_a_missing_header_of_a_domain_is_found(workshop: Workshop, disk: Path) -> None:
    core = workshop.core(workshop.snapshot_id(disk))
    (workshop.root / layout.domain(core.domain)).unlink()
    found = workshop.check()
    assert [damaged["SnapshotId"] for damaged in found["Damaged"]] == [core.snapshot_id]
    assert layout.domain(core.domain) in [fault["Place"] for fault in found["Faults"]]


def test_the_index_is_made_again_and_the_disk_restored_with_the_key(
    workshop: Workshop, disk: Path
) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    workshop.keys.mislay()
    for path in (workshop.root / "index").iterdir():
        path.unlink()
    with workshop.open() as store:
        assert rebuild_index(store, workshop.surroundings)["Faults"] == []
    workshop.keys.find()
    assert workshop.restored(snapshot_id) == disk.read_bytes()


def test_snapshots_show_their_key(workshop: Workshop, key: str, disk: Path) -> None:
    workshop.snapshot_id(disk)
    workshop.keys.mislay()
    with workshop.open() as store:
        (shown,) = describe_snapshots(store)["Snapshots"]
    assert (shown["Encrypted"], shown["KmsKeyId"]) == (True, key)


def test_images_show_the_key_of_each_disk(workshop: Workshop, key: str, disk: Path) -> None:
    workshop.image("web", disk)
    workshop.keys.mislay()
    with workshop.open() as store:
        (image,) = describe_images(store)["Images"]
    (mapping,) = image["BlockDeviceMappings"]
    assert (mapping["Ebs"]["Encrypted"], mapping["Ebs"]["KmsKeyId"]) == (True, key)


def test_sizes_of_the_store_are_the_same_but_for_plain_lengths(
    workshop: Workshop, disk: Path
) -> None:
    workshop.snapshot_id(disk)
    with_key = described(workshop)
    workshop.keys.mislay()
    without = described(workshop)
    assert with_key["UniqueBytes"] == 6 * MIB
    assert (without["UniqueBytes"], without["SealedChunkCount"]) == (0, without["ChunkCount"])
    hidden = {"UniqueBytes", "SealedChunkCount"}
    assert {name: without[name] for name in without.keys() - hidden} == {
        name: with_key[name] for name in with_key.keys() - hidden
    }
