"""The golden store of what is encrypted is read by every later version; it is never made again."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from amictl.actions.checking import check_store
from amictl.actions.creating import CreateSnapshotRequest, create_snapshot
from amictl.actions.launching import LaunchRequest, launch_image
from amictl.actions.rebuilding import rebuild_index
from amictl.actions.restoring import CreateVolumeRequest, create_volume
from amictl.store import authenticity, catalog
from amictl.store.opening import open_store
from amictl.store.store import Store
from tests.golden.make_store import digest_of
from tests.workshop import Keys, Workshop

GOLDEN = Path(__file__).parent / "sealed-v1"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
SNAPSHOTS: dict[str, str] = EXPECTED["Snapshots"]
SEALED = sorted(SNAPSHOTS.keys() - {EXPECTED["Plain"]})
READER = Path(__file__).parents[1] / "store" / "independent_reader.py"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Opened by who has the key."""
    with tarfile.open(GOLDEN / "store.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    opened = open_store(tmp_path / "store")
    keys = Keys()
    keys.add(EXPECTED["Identity"])
    opened.keyring = keys
    return opened


@pytest.fixture
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """For what actions need from outside."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


def restored(store: Store, workshop: Workshop, snapshot_id: str) -> str:
    target = workshop.folder / "target"
    request = CreateVolumeRequest(snapshot_id, None, None, target)
    create_volume(store, request, workshop.surroundings)
    return digest_of(target)


def test_it_is_sound_with_the_key(store: Store, workshop: Workshop) -> None:
    checked = check_store(store, read_data=True, surroundings=workshop.surroundings)
    assert (checked["Faults"], checked["Damaged"], checked["GarbageBytes"]) == ([], [], 0)


def test_it_is_sound_without_the_key(store: Store, workshop: Workshop) -> None:
    store.keyring = None
    checked = check_store(store, read_data=True, surroundings=workshop.surroundings)
    assert (checked["Faults"], checked["Damaged"], checked["GarbageBytes"]) == ([], [], 0)


@pytest.mark.parametrize("snapshot_id", sorted(SNAPSHOTS))
def test_a_golden_snapshot_comes_back(store: Store, workshop: Workshop, snapshot_id: str) -> None:
    assert restored(store, workshop, snapshot_id) == SNAPSHOTS[snapshot_id]


@pytest.mark.parametrize("snapshot_id", SEALED)
def test_a_stranger_with_the_secret_reads_it(
    store: Store, tmp_path: Path, snapshot_id: str
) -> None:
    target = tmp_path / "target"
    words = [READER, store.storage.root, snapshot_id, target, EXPECTED["Secret"]]
    subprocess.run([sys.executable, "-I", *map(str, words)], check=True)
    assert digest_of(target) == SNAPSHOTS[snapshot_id]


@pytest.mark.parametrize("snapshot_id", SEALED)
def test_a_golden_core_is_authentic(store: Store, snapshot_id: str) -> None:
    core = catalog.read_snapshot(store, snapshot_id)
    assert authenticity.state_of(store, core, None) == "authentic"


def test_the_golden_image_is_launched(store: Store, workshop: Workshop) -> None:
    folder = workshop.folder / "machine"
    launch_image(store, LaunchRequest(EXPECTED["Image"], folder), workshop.surroundings)
    (disk,) = folder.glob("*.raw")
    assert disk.read_bytes() == workshop.noise(9000)


def test_its_index_is_made_again_without_the_key(store: Store, workshop: Workshop) -> None:
    keyring, store.keyring = store.keyring, None
    for path in (store.storage.root / "index").iterdir():
        path.unlink()
    rebuild_index(store, workshop.surroundings)
    store.keyring = keyring
    assert restored(store, workshop, SEALED[0]) == SNAPSHOTS[SEALED[0]]


def test_it_takes_a_child_of_the_same_lineage(store: Store, workshop: Workshop) -> None:
    parent = catalog.read_snapshot(store, SEALED[0])
    path = workshop.file("disk", workshop.noise(9000))
    request = CreateSnapshotRequest(path, parent=SEALED[0])
    shape = create_snapshot(store, request, workshop.surroundings, lambda shape: None)
    child = catalog.read_snapshot(store, shape["SnapshotId"])
    assert (child.domain, child.cut) == (parent.domain, parent.cut)
    assert restored(store, workshop, child.snapshot_id) == digest_of(path)
