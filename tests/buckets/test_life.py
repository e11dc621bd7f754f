"""A region in a bucket does what one in a directory does."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.actions.accounting import describe_store
from amictl.actions.checking import verify_snapshot
from amictl.actions.deregistering import deregister_image
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import describe_images
from amictl.actions.launching import LaunchRequest, launch_image
from amictl.actions.rebuilding import rebuild_index
from amictl.actions.recycling import restore_snapshot_from_recycle_bin
from amictl.actions.retention import CreateRuleRequest, create_rule
from amictl.actions.snapshots import delete_snapshot
from amictl.actions.tagging import create_tags
from amictl.errors import ConflictError, CorruptStoreError, RegionNotFoundError
from amictl.model.records import Attributes
from amictl.store import catalog, layout
from amictl.store.opening import create_store, open_store
from tests.buckets.proxy import proxied
from tests.buckets.servers import SHORT, Region
from tests.buckets.workshop import BucketWorkshop
from tests.workshop import MIB, SEGMENT


@pytest.fixture
def disk(workshop: BucketWorkshop) -> Path:
    """Four segments; the third is a hole."""
    pieces = {0: workshop.noise(SEGMENT), SEGMENT: b"text" * 100_000, 3 * SEGMENT: b"tail"}
    return workshop.file("disk", pieces, 3 * SEGMENT + 1000)


def test_what_was_taken_is_restored_bit_for_bit(workshop: BucketWorkshop, disk: Path) -> None:
    assert workshop.restored(workshop.snapshot_id(disk)) == disk.read_bytes()


def test_an_increment_adds_little(workshop: BucketWorkshop, disk: Path) -> None:
    first = workshop.snapshot_id(disk)
    with disk.open("r+b") as file:
        file.write(b"changed")
    second = workshop.snapshot_id(disk)
    assert workshop.core(second).new_bytes < 100_000 < workshop.core(first).new_bytes
    assert workshop.restored(second) == disk.read_bytes()


def test_a_whole_check_finds_nothing(workshop: BucketWorkshop, disk: Path) -> None:
    workshop.image("image", disk)
    found = workshop.check(read_data=True)
    assert (found["Faults"], found["Damaged"], found["Leftovers"]) == ([], [], [])
    assert found["GarbageBytes"] == 0


def test_damage_is_found_behind_the_cache(workshop: BucketWorkshop, disk: Path) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    assert workshop.restored(snapshot_id) == disk.read_bytes()
    name = max(names(workshop, "packs"), key=lambda name: len(workshop.region.object(name)))
    data = bytearray(workshop.region.object(name))
    data[100_000] ^= 1
    workshop.region.put_object(name, bytes(data))
    assert workshop.check(read_data=True)["Faults"]


def test_damage_of_the_cache_is_not_damage_of_the_store(
    workshop: BucketWorkshop, disk: Path
) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    workshop.restored(snapshot_id)
    for path in (workshop.region.place.own_cache_folder / "blocks").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert workshop.restored(snapshot_id) == disk.read_bytes()


def test_a_wrong_answer_that_was_kept_is_asked_for_again(
    workshop: BucketWorkshop, disk: Path
) -> None:
    """As after a server that once answered with other bytes."""
    snapshot_id = workshop.snapshot_id(disk)
    name = max(names(workshop, "packs"), key=lambda name: len(workshop.region.object(name)))
    whole = workshop.region.object(name)
    workshop.region.put_object(name, whole[:MIB] + bytes(MIB) + whole[2 * MIB :])
    with pytest.raises(CorruptStoreError):
        workshop.restored(snapshot_id)
    workshop.region.put_object(name, whole)
    assert workshop.restored(snapshot_id) == disk.read_bytes()


def test_the_index_is_made_again_from_the_packs(workshop: BucketWorkshop, disk: Path) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    with workshop.open() as store:
        store.storage.delete(layout.CURRENT)
    with workshop.open() as store:
        rebuilt = rebuild_index(store, workshop.surroundings)
    assert (rebuilt["PackCount"], rebuilt["Faults"]) == (2, [])
    assert workshop.restored(snapshot_id) == disk.read_bytes()


def test_an_image_is_described_tagged_launched_and_deregistered(
    workshop: BucketWorkshop, disk: Path
) -> None:
    image_id = workshop.image("image", disk)
    machine = workshop.folder / "machine"
    with workshop.open() as store:
        create_tags(store, [image_id], [("a", "b")])
        (image,) = describe_images(store)["Images"]
        launch_image(store, LaunchRequest(image_id, machine), workshop.surroundings)
        deregister_image(store, image_id, workshop.surroundings, delete_snapshots=True)
        assert describe_snapshots(store)["Snapshots"] == []
    assert (image["Name"], image["Tags"]) == ("image", [{"Key": "a", "Value": "b"}])
    assert any(path.read_bytes() == disk.read_bytes() for path in machine.glob("*.raw"))


def test_a_snapshot_comes_back_from_the_recycle_bin(workshop: BucketWorkshop, disk: Path) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    period = {"RetentionPeriodValue": 7, "RetentionPeriodUnit": "DAYS"}
    with workshop.open() as store:
        create_rule(store, CreateRuleRequest("EBS_SNAPSHOT", period), workshop.surroundings)
        delete_snapshot(store, snapshot_id, workshop.surroundings)
        assert not catalog.exists(store, snapshot_id)
        restore_snapshot_from_recycle_bin(store, snapshot_id, workshop.surroundings)
    assert workshop.restored(snapshot_id) == disk.read_bytes()


def test_of_many_writers_nobody_undoes_the_others(workshop: BucketWorkshop) -> None:
    disks = [workshop.file(f"disk-{n}", workshop.noise(100_000, seed=n)) for n in range(4)]
    taken: dict[Path, str] = {}

    def take(disk: Path) -> None:
        taken[disk] = workshop.snapshot_id(disk)

    threads = [threading.Thread(target=take, args=(disk,)) for disk in disks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [workshop.restored(taken[disk]) for disk in disks] == [
        disk.read_bytes() for disk in disks
    ]
    assert workshop.check(read_data=True)["Faults"] == []


def test_a_snapshot_is_verified_against_its_disk(workshop: BucketWorkshop, disk: Path) -> None:
    snapshot_id = workshop.snapshot_id(disk)
    with workshop.open() as store:
        found = verify_snapshot(
            store, snapshot_id, against=disk, surroundings=workshop.surroundings
        )
        place = describe_store(store, workshop.surroundings.now())["Directory"]
    assert (found["Faults"], place) == ([], workshop.region.place.url)


def many_snapshots(workshop: BucketWorkshop, disk: Path, count: int) -> list[str]:
    """Records of so many snapshots that have one content."""
    core = workshop.core(workshop.snapshot_id(disk))
    ids = [f"snap-{number:017x}" for number in range(count)]
    with workshop.open() as store:
        for one in ids:
            attributes = Attributes(one, 0, "completed", "", ())
            catalog.put_snapshot(store, replace(core, snapshot_id=one), attributes)
    return ids


def test_many_records_are_asked_for_at_the_same_time(workshop: BucketWorkshop, disk: Path) -> None:
    ids = many_snapshots(workshop, disk, 20)
    with proxied(workshop.region.server.port, "503") as proxy:
        proxy.delay_seconds = 0.05
        with workshop.behind(proxy.url, SHORT).open() as store:
            shown = [one["SnapshotId"] for one in describe_snapshots(store)["Snapshots"]]
            named = describe_snapshots(store, tuple(ids))["Snapshots"]
    assert set(ids) < set(shown)
    assert [one["SnapshotId"] for one in named] == ids
    assert proxy.most_at_once >= 8


def test_a_damaged_record_does_not_hide_the_others(workshop: BucketWorkshop, disk: Path) -> None:
    ids = many_snapshots(workshop, disk, 5)
    workshop.region.put_object(f"snapshots/{ids[2]}.json", b"{}")
    with workshop.open() as store:
        states = {one["SnapshotId"]: one["State"] for one in describe_snapshots(store)["Snapshots"]}
        with pytest.raises(CorruptStoreError, match=ids[2]):
            describe_snapshots(store, tuple(ids))
    assert [states[one] for one in ids] == ["completed"] * 2 + ["error"] + ["completed"] * 2


def test_a_second_store_is_refused(workshop: BucketWorkshop) -> None:
    with pytest.raises(ConflictError, match="there is a store in 's3://"):
        make(workshop)


def test_a_prefix_with_something_else_is_refused(region: Region, tmp_path: Path) -> None:
    region.put_object("letter.txt", b"dear reader")
    with pytest.raises(ConflictError, match=r"it holds 'letter\.txt'"):
        BucketWorkshop(tmp_path, region=region)


def test_the_mark_of_a_folder_is_nothing(region: Region, tmp_path: Path) -> None:
    """Consoles make such objects when they are asked for a folder."""
    region.put_object("", b"")
    workshop = BucketWorkshop(tmp_path, region=region)
    region.put_object("packs/", b"")
    assert workshop.check()["Faults"] == []


def test_a_prefix_without_a_store_is_told(region: Region) -> None:
    with pytest.raises(RegionNotFoundError, match="no store in 's3://"):
        open_store(region.place)


def names(workshop: BucketWorkshop, folder: str) -> list[str]:
    with workshop.open() as store:
        return [name for name, _ in store.storage.names(folder)]


def make(workshop: BucketWorkshop) -> None:
    create_store(
        workshop.place,
        chunk_size_bytes=32_768,
        compression_level=3,
        surroundings=workshop.surroundings,
    ).close()
