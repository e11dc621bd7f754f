"""Whatever goes wrong between amictl and a bucket: nothing is lost, and nothing half-visible."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.actions.checking import check_store
from amictl.actions.describing import describe_snapshots
from amictl.errors import CorruptStoreError, StorageError
from amictl.storage.attempts import Patience
from tests.buckets.proxy import FAULTS, OBJECT_FAULTS, proxied
from tests.buckets.servers import Region
from tests.buckets.workshop import BucketWorkshop
from tests.workshop import SEGMENT

HASTY = Patience(attempts=4, first_wait_seconds=0.02, timeout_seconds=0.7, bulk_timeout_seconds=5)
PASSING = ("503", "reset", "stall", "cut body", "lost reply", "truncated list")
"""After which the same request succeeds, so that nobody notices."""

SHARES = [round(random.Random(7 + at).random() / 3 + at / 3, 2) for at in range(3)]
"""How far into the story the fault comes: once in each third."""


Count = Callable[[str], int]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Two segments of noise."""
    path = tmp_path / "disk"
    path.write_bytes(random.Random(3).randbytes(SEGMENT + 100_000))
    return path


@pytest.fixture
def workshop(one_region: Region, tmp_path: Path) -> BucketWorkshop:
    """A store whose leases are short."""
    return BucketWorkshop(tmp_path, region=replace(one_region, ttl_seconds=2.0))


@pytest.fixture(scope="module")
def counts() -> dict[tuple[int, str], int]:
    """How many requests of the story each fault is about, by port and fault."""
    return {}


@pytest.fixture
def count(
    counts: dict[tuple[int, str], int], workshop: BucketWorkshop, disk: Path, tmp_path: Path
) -> Count:
    """Tell the story once for each fault, in a bucket of its own."""

    def counted(fault: str) -> int:
        server = workshop.region.server
        if (server.port, fault) not in counts:
            folder = tmp_path / "counting"
            folder.mkdir()
            region = replace(workshop.region, bucket=server.new_bucket(), cache=folder / "cache")
            other = BucketWorkshop(folder, region=region)
            with proxied(server.port, fault) as proxy:
                story(other.behind(proxy.url, HASTY), disk)
                counts[server.port, fault] = proxy.count
        return counts[server.port, fault]

    return counted


def story(workshop: BucketWorkshop, disk: Path) -> bytes:
    """Take a disk, and restore it with an empty cache."""
    snapshot_id = workshop.snapshot_id(disk)
    return workshop.with_empty_cache().restored(snapshot_id)


def require_whole(workshop: BucketWorkshop, disk: Path) -> None:
    """Every snapshot that is told of as completed restores, and the store has no damage."""
    with workshop.open() as store:
        shown = describe_snapshots(store)["Snapshots"]
        found = check_store(store, read_data=True, surroundings=workshop.surroundings)
    completed = [one["SnapshotId"] for one in shown if one["State"] == "completed"]
    assert [workshop.restored(one) == disk.read_bytes() for one in completed] == [True] * len(
        completed
    )
    assert (found["Faults"], found["Damaged"]) == ([], [])


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_not_noticed(
    workshop: BucketWorkshop, disk: Path, count: Count, fault: str, share: float
) -> None:
    at = int(count(fault) * share)
    with proxied(workshop.region.server.port, fault, at, at) as proxy:
        assert story(workshop.behind(proxy.url, HASTY), disk) == disk.read_bytes()
    require_whole(workshop, disk)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {*PASSING, *OBJECT_FAULTS}))
def test_a_lie_is_refused_and_a_rerun_succeeds(
    workshop: BucketWorkshop, disk: Path, count: Count, fault: str, share: float
) -> None:
    at = int(count(fault) * share)
    restored = disk.read_bytes()
    with (
        proxied(workshop.region.server.port, fault, at, at) as proxy,
        suppress(StorageError, CorruptStoreError),
    ):
        restored = story(workshop.behind(proxy.url, HASTY), disk)
    assert restored == story(workshop, disk) == disk.read_bytes()
    require_whole(workshop, disk)


@pytest.mark.parametrize("share", SHARES[:2])
@pytest.mark.parametrize("fault", ["503", "lost reply"])
def test_after_an_outage_a_rerun_succeeds(
    workshop: BucketWorkshop, disk: Path, count: Count, fault: str, share: float
) -> None:
    at = int(count(fault) * share)
    with (
        proxied(workshop.region.server.port, fault, at, 1_000_000) as proxy,
        pytest.raises(StorageError),
    ):
        story(workshop.behind(proxy.url, HASTY), disk)
    assert story(workshop, disk) == disk.read_bytes()
    require_whole(workshop, disk)
