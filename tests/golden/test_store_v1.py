"""The golden store of format version 1 is read by every later version; it is never made again."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from blake3 import blake3

from amictl.actions.checking import check_store, verify_snapshot
from amictl.actions.creating import CreateSnapshotRequest, create_snapshot
from amictl.actions.describing_images import describe_images
from amictl.actions.rebuilding import rebuild_index
from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.formats import records
from amictl.model.records import Attributes, ImageCore, SnapshotCore, StoreConfig, VolumeRecord
from amictl.store.opening import open_store
from amictl.store.store import Store
from tests.workshop import SEGMENT, Workshop

GOLDEN = Path(__file__).parent / "store-v1"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
READER = Path(__file__).parents[1] / "store" / "independent_reader.py"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    with tarfile.open(GOLDEN / "store.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    return open_store(tmp_path / "store")


@pytest.fixture
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """For what actions need from outside."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


def digest_of(path: Path) -> str:
    digest = blake3()
    with path.open("rb") as file:
        while piece := file.read(SEGMENT):
            digest.update(piece)
    return digest.hexdigest()


def restore(store: Store, workshop: Workshop, snapshot_id: str) -> dict[str, object]:
    target = workshop.folder / "target"
    create_volume(
        store, CreateVolumeRequest(snapshot_id, None, None, target), workshop.surroundings
    )
    return {"Size": target.stat().st_size, "Blake3": digest_of(target)}


def test_the_golden_store_is_small() -> None:
    assert (GOLDEN / "store.tar").stat().st_size <= 300_000


def test_the_golden_store_is_sound(store: Store, workshop: Workshop) -> None:
    checked = check_store(store, read_data=True, surroundings=workshop.surroundings)
    assert (checked["Faults"], checked["Damaged"], checked["GarbageBytes"]) == ([], [], 0)


@pytest.mark.parametrize("snapshot_id", sorted(EXPECTED))
def test_a_golden_snapshot_comes_back(store: Store, workshop: Workshop, snapshot_id: str) -> None:
    assert restore(store, workshop, snapshot_id) == EXPECTED[snapshot_id]


@pytest.mark.parametrize("snapshot_id", sorted(EXPECTED))
def test_a_golden_snapshot_is_verified(store: Store, workshop: Workshop, snapshot_id: str) -> None:
    verified = verify_snapshot(store, snapshot_id, surroundings=workshop.surroundings)
    assert verified["Faults"] == []


@pytest.mark.parametrize("snapshot_id", sorted(EXPECTED))
def test_a_stranger_reads_a_golden_snapshot(store: Store, tmp_path: Path, snapshot_id: str) -> None:
    target = tmp_path / "target"
    words = [READER, store.storage.root, snapshot_id, target]
    subprocess.run([sys.executable, "-I", *map(str, words)], check=True)
    assert digest_of(target) == EXPECTED[snapshot_id]["Blake3"]


def test_the_golden_image_is_described(store: Store) -> None:
    (image,) = describe_images(store)["Images"]
    devices = [mapping["DeviceName"] for mapping in image["BlockDeviceMappings"]]
    assert image["Name"] == "golden image [1]"
    assert devices == ["/dev/sda1", "/dev/sdf", "/dev/sdg", "/dev/sdh"]


RECORDS = {
    "store.json": StoreConfig,
    "snapshots/snap-?????????????????.json": SnapshotCore,
    "snapshots/*.attributes.json": Attributes,
    "images/ami-?????????????????.json": ImageCore,
    "images/*.attributes.json": Attributes,
    "volumes/*.json": VolumeRecord,
}


@pytest.mark.parametrize(("pattern", "kind"), RECORDS.items(), ids=RECORDS)
def test_golden_records_are_written_as_they_were(store: Store, pattern: str, kind: type) -> None:
    contents = [path.read_bytes() for path in store.storage.root.glob(pattern)]
    again = [records.encode(records.decode(content, kind, pattern)) for content in contents]
    assert again == contents != []


def test_a_golden_index_is_made_again_from_its_packs(store: Store, workshop: Workshop) -> None:
    for path in (store.storage.root / "index").iterdir():
        path.unlink()
    rebuild_index(store, workshop.surroundings)
    snapshot_id = sorted(EXPECTED)[0]
    assert restore(store, workshop, snapshot_id) == EXPECTED[snapshot_id]


def test_a_golden_store_takes_new_snapshots(store: Store, workshop: Workshop) -> None:
    path = workshop.file("disk", workshop.noise(SEGMENT))
    request = CreateSnapshotRequest(path, parent=sorted(EXPECTED)[0])
    shape = create_snapshot(store, request, workshop.surroundings, lambda shape: None)
    assert restore(store, workshop, shape["SnapshotId"])["Blake3"] == digest_of(path)
