"""The main job through the command line: disks become snapshots and images, and come back."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PROGRAM, Finished, Home

SEGMENT = 4 * 1024 * 1024


def make_disk(path: Path, *, seed: int = 1, size_bytes: int = 2 * SEGMENT + 512) -> Path:
    """Random bytes, a hole, and some more."""
    generator = random.Random(seed)
    with path.open("wb") as file:
        file.write(generator.randbytes(300_000))
        file.seek(SEGMENT + 12288)
        file.write(generator.randbytes(100_000))
        file.truncate(size_bytes)
    return path


def result_of(finished: Finished) -> dict[str, Any]:
    assert (finished.status, finished.err) == (0, "")
    result = json.loads(finished.out)
    assert isinstance(result, dict)
    return result


def snapshot_of(amictl: Home, disk: Path, *words: str) -> str:
    return str(result_of(amictl("create-snapshot", disk, *words))["SnapshotId"])


@pytest.fixture
def disk(amictl: Home) -> Path:
    return make_disk(amictl.folder / "disk.raw")


def test_an_image_comes_back_bit_for_bit(amictl: Home, disk: Path) -> None:
    image_id = amictl("create-image", "--name", "first", disk, "--quiet").out.strip()
    (image,) = result_of(amictl("describe-images", "--image-ids", image_id))["Images"]
    (mapping,) = image["BlockDeviceMappings"]
    snapshot_id = mapping["Ebs"]["SnapshotId"]
    result_of(amictl("create-volume", "--snapshot-id", snapshot_id, "back.raw"))
    assert image["State"] == "available"
    assert image["Name"] == "first"
    assert mapping["DeviceName"] == "/dev/sda1"
    assert mapping["Ebs"]["DeleteOnTermination"] is True
    assert (amictl.folder / "back.raw").read_bytes() == disk.read_bytes()


def test_disks_get_the_devices_that_are_given(amictl: Home, disk: Path) -> None:
    data = make_disk(amictl.folder / "data=1.raw", seed=2)
    words = ["--name", "two", f"/dev/sda1={disk}", "/dev/sdf=data=1.raw"]
    result_of(amictl("create-image", *words))
    (image,) = result_of(amictl("describe-images"))["Images"]
    assert data.exists()
    names = [mapping["DeviceName"] for mapping in image["BlockDeviceMappings"]]
    assert names == ["/dev/sda1", "/dev/sdf"]


def test_a_file_with_an_equals_sign_in_its_name_wins(amictl: Home) -> None:
    make_disk(amictl.folder / "sda=disk.raw")
    assert amictl("create-image", "--name", "odd", "sda=disk.raw").status == 0


def test_tags_go_to_image_and_snapshots(amictl: Home, disk: Path) -> None:
    words = [
        "--tag-specifications",
        "ResourceType=image,Tags=[{Key=stage,Value=prod}]",
        '{"ResourceType": "snapshot", "Tags": [{"Key": "cost", "Value": ""}]}',
    ]
    result_of(amictl("create-image", "--name", "tagged", *words, disk))
    (image,) = result_of(amictl("describe-images"))["Images"]
    (snapshot,) = result_of(amictl("describe-snapshots"))["Snapshots"]
    assert image["Tags"] == [{"Key": "stage", "Value": "prod"}]
    assert snapshot["Tags"] == [{"Key": "cost", "Value": ""}]


def test_a_second_image_of_the_same_name_is_refused(amictl: Home, disk: Path) -> None:
    result_of(amictl("create-image", "--name", "same", disk))
    finished = amictl("create-image", "--name", "same", disk)
    assert (finished.status, finished.out) == (14, "")
    assert "(InvalidAMIName.Duplicate)" in finished.err


def test_a_dry_run_makes_nothing(amictl: Home, disk: Path) -> None:
    result_of(amictl("create-image", "--name", "real", disk))
    finished = amictl("create-image", "--name", "dry", "--dry-run", disk)
    assert (finished.status, finished.out) == (17, "")
    assert "(DryRunOperation)" in finished.err
    assert len(result_of(amictl("describe-images"))["Images"]) == 1


def test_a_missing_disk_is_named(amictl: Home) -> None:
    finished = amictl("create-image", "--name", "none", "no-such-disk.raw")
    assert (finished.status, finished.out) == (10, "")
    assert "no-such-disk.raw" in finished.err


def test_a_second_snapshot_stores_only_what_is_new(amictl: Home, disk: Path) -> None:
    first = snapshot_of(amictl, disk)
    with disk.open("r+b") as file:
        file.seek(100)
        file.write(b"changed")
    second = result_of(amictl("create-snapshot", disk, "--description", "changed"))
    assert second["Description"] == "changed"
    assert second["Amictl"]["Parent"] == first
    assert 0 < second["Amictl"]["NewBytes"] < 200_000


def test_a_disk_that_is_open_for_writing_is_refused(amictl: Home, disk: Path) -> None:
    with disk.open("r+b"):
        finished = amictl("create-snapshot", disk)
    assert (finished.status, finished.out) == (14, "")
    assert "(IncorrectInstanceState)" in finished.err


def test_the_volume_of_a_date(amictl: Home, disk: Path) -> None:
    early = result_of(amictl("create-snapshot", disk))
    old = disk.read_bytes()
    time.sleep(0.01)
    make_disk(disk, seed=3)
    snapshot_of(amictl, disk)
    words = ["--volume-id", early["VolumeId"], "--as-of", early["StartTime"]]
    result_of(amictl("create-volume", *words, "back.raw"))
    assert (amictl.folder / "back.raw").read_bytes() == old


def test_an_existing_target_is_not_overwritten_without_force(amictl: Home, disk: Path) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    (amictl.folder / "back.raw").write_text("mine")
    finished = amictl("create-volume", "--snapshot-id", snapshot_id, "back.raw")
    assert finished.status != 0
    assert (amictl.folder / "back.raw").read_text() == "mine"


def test_a_volume_is_rolled_back_in_place(amictl: Home, disk: Path) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    old = disk.read_bytes()
    with disk.open("r+b") as file:
        file.write(b"broken")
    result_of(amictl("create-volume", "--snapshot-id", snapshot_id, "--in-place", disk))
    assert disk.read_bytes() == old


def test_an_unknown_snapshot_is_not_found(amictl: Home, disk: Path) -> None:
    snapshot_of(amictl, disk)
    finished = amictl("create-volume", "--snapshot-id", "snap-0123456789abcdef0", "back.raw")
    assert (finished.status, finished.out) == (10, "")
    assert "(InvalidSnapshot.NotFound)" in finished.err


def test_describe_store_counts(amictl: Home, disk: Path) -> None:
    snapshot_of(amictl, disk)
    assert result_of(amictl("describe-store"))


def test_queries_and_text_as_in_the_aws_cli(amictl: Home, disk: Path) -> None:
    first, second = snapshot_of(amictl, disk), snapshot_of(amictl, disk)
    query = "sort_by(Snapshots,&StartTime)[*].[SnapshotId]"
    finished = amictl("describe-snapshots", "--query", query, "--output", "text")
    assert finished == Finished(0, f"{first}\n{second}\n", "")


def test_quiet_lists_ids(amictl: Home, disk: Path) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    assert amictl("describe-snapshots", "--quiet") == Finished(0, f"{snapshot_id}\n", "")


def test_blocks_with_data_are_listed_and_read(amictl: Home, disk: Path) -> None:
    snapshot = ["--snapshot-id", snapshot_of(amictl, disk)]
    listing = result_of(amictl("list-snapshot-blocks", *snapshot))
    token = listing["Blocks"][0]["BlockToken"]
    words = ["--block-index", "0", "--block-token", token, "block.bin"]
    block = result_of(amictl("get-snapshot-block", *snapshot, *words))
    assert [entry["BlockIndex"] for entry in listing["Blocks"]] == [0, 8]
    assert block["DataLength"] == listing["BlockSize"] == 524288
    assert (amictl.folder / "block.bin").read_bytes() == disk.read_bytes()[:524288]


def test_changed_blocks_are_listed(amictl: Home, disk: Path) -> None:
    first = snapshot_of(amictl, disk)
    with disk.open("r+b") as file:
        file.seek(SEGMENT)
        file.write(b"changed")
    second = snapshot_of(amictl, disk)
    words = ["--first-snapshot-id", first, "--second-snapshot-id", second]
    changed = result_of(amictl("list-changed-blocks", *words))["ChangedBlocks"]
    assert [entry["BlockIndex"] for entry in changed] == [8]


def test_a_sound_store_has_no_faults(amictl: Home, disk: Path) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    assert result_of(amictl("check-store", "--read-data"))["Faults"] == []
    verified = amictl("verify-snapshot", "--snapshot-id", snapshot_id, "--against", disk)
    assert result_of(verified)["Faults"] == []


def test_damage_is_status_3_and_the_result_is_shown(amictl: Home, disk: Path) -> None:
    snapshot_of(amictl, disk)
    pack = max(amictl.local_region.glob("packs/**/*"), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(pack.stat().st_size // 2)
        file.write(b"damage")
    finished = amictl("check-store", "--read-data")
    faults = json.loads(finished.out)["Faults"]
    assert finished.status == 3
    assert faults
    first = finished.err.splitlines()[0]
    assert first == f"CheckStore found {len(faults)} fault(s)"
    assert faults[0]["Place"] in finished.err
    quiet = amictl("check-store", "--read-data", "--quiet")
    assert (quiet.status, quiet.out) == (3, "")
    assert "\ndamaged: snap-" in quiet.err


def test_a_quiet_check_says_which_bytes_of_which_image_are_damaged(
    amictl: Home, disk: Path
) -> None:
    image_id = amictl("create-image", "--name", "web", "--quiet", disk).out.strip()
    assert amictl("check-store", "--read-data", "--quiet") == Finished(0, "", "")
    pack = max(amictl.local_region.glob("packs/**/*"), key=lambda path: path.stat().st_size)
    pack.unlink()
    finished = amictl("check-store", "--quiet")
    assert (finished.status, finished.out) == (3, "")
    assert f"in {image_id} (web) /dev/sda1: bytes 0 to " in finished.err


def test_what_a_killed_command_left_is_no_fault_and_can_be_removed(
    amictl: Home, disk: Path
) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    (amictl.local_region / "snapshots" / f"{snapshot_id}.json").unlink()
    checked = result_of(amictl("check-store"))
    assert [snapshot_id in one["Place"] for one in checked["Leftovers"]] == [True]
    assert amictl("delete-snapshot", "--snapshot-id", snapshot_id).status == 0
    assert result_of(amictl("check-store"))["Leftovers"] == []
    assert amictl("delete-snapshot", "--snapshot-id", snapshot_id).status == 10


def test_a_damaged_pending_image_is_shown_and_can_be_removed(amictl: Home, disk: Path) -> None:
    snapshot_id, image_id = snapshot_of(amictl, disk), "ami-" + "1" * 17
    (amictl.local_region / "pending" / f"{image_id}.json").write_text("garbage")
    (image,) = result_of(amictl("describe-images"))["Images"]
    assert (image["ImageId"], image["State"]) == (image_id, "invalid")
    assert amictl("delete-snapshot", "--snapshot-id", snapshot_id).status == 0
    assert amictl("check-store").status == 3
    assert amictl("deregister-image", "--image-id", image_id).status == 0
    assert result_of(amictl("check-store"))["Faults"] == []


def test_a_lost_index_is_made_anew(amictl: Home, disk: Path) -> None:
    snapshot_id = snapshot_of(amictl, disk)
    for path in amictl.local_region.glob("index/*"):
        path.unlink()
    assert amictl("rebuild-index").status == 0
    assert amictl("verify-snapshot", "--snapshot-id", snapshot_id).status == 0


def test_no_wait_returns_the_id_and_a_worker_finishes(amictl: Home, disk: Path) -> None:
    image_id = result_of(amictl("create-image", "--name", "later", "--no-wait", disk))["ImageId"]
    waited = amictl("wait", "image-available", "--image-ids", image_id, "--timeout", "60")
    assert waited == Finished(0, "", "")
    (image,) = result_of(amictl("describe-images"))["Images"]
    assert image["State"] == "available"


def test_no_wait_returns_a_pending_snapshot(amictl: Home, disk: Path) -> None:
    snapshot = result_of(amictl("create-snapshot", "--no-wait", disk))
    words = ["--snapshot-ids", snapshot["SnapshotId"], "--timeout", "60"]
    assert snapshot["State"] == "pending"
    assert amictl("wait", "snapshot-completed", *words) == Finished(0, "", "")


def test_no_wait_relays_what_the_worker_says(amictl: Home, disk: Path) -> None:
    result_of(amictl("create-image", "--name", "same", disk))
    foreground = amictl("create-image", "--name", "same", disk)
    assert amictl("create-image", "--name", "same", "--no-wait", disk) == foreground
    assert foreground.status == 14


def test_no_wait_leaves_the_callers_streams_alone(amictl: Home, disk: Path) -> None:
    """Whoever reads our output to its end must not have to wait for the worker."""
    start = time.monotonic()
    words = ["--post-freeze", "sleep 0", "--no-wait", disk]
    result_of(amictl("create-snapshot", *words))
    assert time.monotonic() - start < 20


def test_the_worker_is_not_taken_from_the_current_directory(amictl: Home, disk: Path) -> None:
    foreign = amictl.folder / "amictl"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("raise SystemExit('the wrong amictl')")
    assert amictl("create-snapshot", "--no-wait", disk).status == 0


def test_a_waiter_gives_up(amictl: Home, disk: Path) -> None:
    snapshot_of(amictl, disk)
    image = "ami-0123456789abcdef0"
    finished = amictl("wait", "image-exists", "--image-ids", image, "--timeout", "0")
    assert (finished.status, finished.out) == (11, "")
    assert finished.err.startswith("Waiter ImageExists failed: Max attempts exceeded\n")


def test_a_waiter_needs_ids(amictl: Home) -> None:
    finished = amictl("wait", "image-exists", "--image-ids")
    assert (finished.status, finished.out) == (2, "")
    assert "(MissingParameter)" in finished.err


def test_a_signal_leaves_nothing_half_made(amictl: Home) -> None:
    disk = make_disk(amictl.folder / "disk.raw")
    words = ["create-snapshot", disk, "--pre-freeze", "sleep 5"]
    process = subprocess.Popen(
        [PROGRAM, *words], env=amictl.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (143, b"")
    assert list((amictl.local_region / "pending").iterdir()) == []
    assert result_of(amictl("describe-snapshots"))["Snapshots"] == []
