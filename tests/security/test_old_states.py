"""A region that went back in time: what notices it, what it says, and how it is accepted."""

import json
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from amictl.formats import records
from amictl.model.records import Event, StoreConfig
from amictl.store import layout
from tests.conftest import Finished, Home

WARNING = "the region went back in time"
ACCEPT = "amictl check-store --accept-state"


@pytest.fixture
def disk(amictl: Home) -> Path:
    path = amictl.folder / "disk"
    path.write_bytes(b"first" * 10_000)
    return path


def snapshot(amictl: Home, disk: Path, **variables: str) -> Finished:
    return amictl("create-snapshot", disk, **variables)


def memory(amictl: Home) -> Path:
    (path,) = (amictl.folder / ".local" / "state" / "amictl" / "seen").iterdir()
    return path


def faults(finished: Finished) -> list[tuple[str, str]]:
    return [(fault["Kind"], fault["Place"]) for fault in json.loads(finished.out)["Faults"]]


@pytest.fixture
def old(amictl: Home, disk: Path) -> Path:
    """A copy of the region after its first snapshot; it goes on after that."""
    snapshot(amictl, disk)
    copy = amictl.folder / "copy"
    shutil.copytree(amictl.local_region, copy)
    disk.write_bytes(b"second" * 10_000)
    snapshot(amictl, disk)
    return copy


def put_back(amictl: Home, old: Path) -> None:
    shutil.rmtree(amictl.local_region)
    shutil.copytree(old, amictl.local_region)


def test_a_region_that_goes_on_is_nothing_to_speak_of(amictl: Home, disk: Path, old: Path) -> None:
    assert snapshot(amictl, disk).err == ""
    assert amictl("check-store").status == 0


def test_whoever_writes_is_told_of_an_old_region_and_how_to_accept_it(
    amictl: Home, disk: Path, old: Path
) -> None:
    put_back(amictl, old)
    finished = snapshot(amictl, disk)
    assert finished.status == 0
    assert f"warning: {WARNING}: index/CURRENT: it has generation 1, and had 2" in finished.err
    assert ACCEPT in finished.err


def test_another_store_in_the_place_of_one_is_noticed_and_can_be_accepted(
    amictl: Home, disk: Path, old: Path
) -> None:
    config = amictl.local_region / layout.CONFIG
    mine = records.decode(config.read_bytes(), StoreConfig, layout.CONFIG)
    config.write_bytes(records.encode(replace(mine, store_id="0" * 32)))
    assert f"another store than was seen in this place, {mine.store_id}" in (
        snapshot(amictl, disk).err
    )
    assert ("state", layout.CONFIG) in faults(amictl("check-store"))
    assert faults(amictl("check-store", "--accept-state")) == []
    assert snapshot(amictl, disk).err == ""


def test_a_copy_of_a_region_goes_its_own_way(amictl: Home, disk: Path, old: Path) -> None:
    copy = ("--store", str(old))
    assert amictl("create-snapshot", *copy, disk).err == ""
    assert snapshot(amictl, disk).err == ""
    assert amictl("create-snapshot", *copy, disk).err == ""
    assert amictl("check-store").status == amictl("check-store", *copy).status == 0


def test_a_rebuilt_index_is_nothing_to_speak_of(amictl: Home, disk: Path, old: Path) -> None:
    (amictl.local_region / layout.CURRENT).unlink()
    assert amictl("rebuild-index").status == 0
    assert snapshot(amictl, disk).err == ""
    assert amictl("check-store").status == 0


def test_a_domain_of_a_run_that_was_killed_is_nothing_to_speak_of(
    amictl: Home, disk: Path, old: Path
) -> None:
    amictl("create-key")
    amictl("enable-ebs-encryption-by-default")
    program = "import os; from amictl.store import writing; from amictl.cli.main import main"
    killed = f"{program}; writing.Writer.add_frames = lambda *_: os._exit(9); main()"
    subprocess.run(
        [sys.executable, "-c", killed, "create-snapshot", disk],
        env=amictl.environment(),
        check=False,
    )
    assert list((amictl.local_region / "domains").iterdir())
    assert snapshot(amictl, disk).err == ""


def test_a_region_that_was_made_anew_is_nothing_to_speak_of(amictl: Home, disk: Path) -> None:
    for _ in range(2):
        assert amictl("create-region", "backup", "--directory", "backup").status == 0
        assert amictl("delete-region", "backup").status == 0
    amictl("create-region", "backup", "--directory", "backup")
    assert amictl("create-snapshot", "--region", "backup", disk).err == ""


def test_whoever_restores_is_told_of_an_old_region(amictl: Home, old: Path) -> None:
    put_back(amictl, old)
    (snapshot_id,) = amictl("describe-snapshots", "--quiet").out.split()
    finished = amictl("create-volume", "--snapshot-id", snapshot_id, amictl.folder / "target")
    assert finished.status == 0
    assert WARNING in finished.err


def test_who_does_not_wait_is_told_of_an_old_region(amictl: Home, disk: Path, old: Path) -> None:
    put_back(amictl, old)
    finished = amictl("create-snapshot", "--no-wait", disk)
    assert finished.status == 0
    assert WARNING in finished.err


def test_describing_an_old_region_says_nothing(amictl: Home, old: Path) -> None:
    put_back(amictl, old)
    assert amictl("describe-snapshots").err == ""


def test_an_old_region_is_a_fault_of_a_check_until_it_is_accepted(amictl: Home, old: Path) -> None:
    put_back(amictl, old)
    finished = amictl("check-store")
    assert finished.status == 3
    assert ("state", "index/CURRENT") in faults(finished)
    assert faults(amictl("check-store", "--accept-state")) == []
    assert amictl("check-store").status == 0


def test_a_fault_stays_one_until_it_is_accepted(amictl: Home, disk: Path, old: Path) -> None:
    put_back(amictl, old)
    for number in range(3):
        disk.write_bytes(b"%d" % number * 50_000)
        assert WARNING in snapshot(amictl, disk).err
    assert amictl("check-store").status == 3


def test_another_region_of_the_same_age_is_noticed(amictl: Home, disk: Path, old: Path) -> None:
    mine = memory(amictl).read_bytes()
    put_back(amictl, old)
    amictl("check-store", "--accept-state")
    disk.write_bytes(b"other" * 10_000)
    snapshot(amictl, disk)
    memory(amictl).write_bytes(mine)
    finished = amictl("check-store")
    messages = [fault["Message"] for fault in json.loads(finished.out)["Faults"]]
    assert "it is another one of generation 2 than was seen here" in messages


def test_a_deleted_snapshot_that_is_back_is_noticed_by_what_happened(
    amictl: Home, disk: Path
) -> None:
    snapshot_id = json.loads(snapshot(amictl, disk).out)["SnapshotId"]
    old = amictl.folder / "copy"
    shutil.copytree(amictl.local_region, old)
    assert amictl("delete-snapshot", "--snapshot-id", snapshot_id).status == 0
    put_back(amictl, old)
    (fault,) = faults(amictl("check-store"))
    assert fault[0] == "state"
    assert fault[1].startswith("events/")


def test_events_that_were_put_together_are_not_missing(amictl: Home, disk: Path) -> None:
    snapshot_id = json.loads(snapshot(amictl, disk).out)["SnapshotId"]
    for number in range(500):
        event = Event(f"{number:032x}", "2000-01-01T00:00:00.000Z", "CreateTags", (), "completed")
        path = amictl.local_region / layout.event(event.time, event.event_id)
        path.write_bytes(records.encode(event))
    assert amictl("delete-snapshot", "--snapshot-id", snapshot_id).err == ""
    assert [path.suffix for path in amictl.local_region.glob("events/*")] == [".log"]
    assert amictl("check-store").status == 0


@pytest.fixture
def key(amictl: Home) -> None:
    default = ["modify-ebs-default-kms-key-id", "--kms-key-id", "alias/aws/ebs"]
    for words in (["create-key"], default, ["enable-ebs-encryption-by-default"]):
        assert amictl(*words).status == 0


def header(amictl: Home) -> Path:
    (path,) = (amictl.local_region / "domains").iterdir()
    return path


def test_the_header_of_a_domain_that_is_an_old_one_is_a_fault(
    amictl: Home, key: None, disk: Path
) -> None:
    snapshot(amictl, disk)
    path = header(amictl)
    old = path.read_bytes()
    recipient = json.loads(amictl("describe-keys").out)["Keys"][0]["Amictl"]["Recipient"]
    assert amictl("rewrap-key", "--key-id", "alias/aws/ebs", "--recipients", recipient).status == 0
    assert amictl("check-store").status == 0
    assert path.read_bytes() != old
    path.write_bytes(old)
    assert faults(amictl("check-store")) == [("state", f"domains/{path.name}")]


def test_the_header_of_a_domain_that_is_gone_is_a_fault(
    amictl: Home, key: None, disk: Path
) -> None:
    snapshot(amictl, disk)
    path = header(amictl)
    path.unlink()
    assert ("state", f"domains/{path.name}") in faults(amictl("check-store"))


def test_a_domain_that_another_machine_made_is_told_of_once(
    amictl: Home, key: None, disk: Path
) -> None:
    amictl("describe-store")
    snapshot(amictl, disk, AMICTL_STATE=str(amictl.folder / "another machine"))
    assert "came from elsewhere" in snapshot(amictl, disk).err
    assert snapshot(amictl, disk).err == ""


def test_that_encryption_was_switched_off_elsewhere_is_told_of_once(
    amictl: Home, key: None, disk: Path
) -> None:
    snapshot(amictl, disk)
    (amictl.local_region / "settings.json").unlink()
    assert "encryption by default was on" in snapshot(amictl, disk).err
    assert snapshot(amictl, disk).err == ""


def test_who_switches_encryption_off_is_told_nothing(amictl: Home, key: None, disk: Path) -> None:
    snapshot(amictl, disk)
    amictl("disable-ebs-encryption-by-default")
    assert snapshot(amictl, disk).err == ""


def test_an_index_that_was_made_anew_is_not_an_old_one(amictl: Home, disk: Path, old: Path) -> None:
    shutil.rmtree(amictl.local_region / "index")
    assert amictl("rebuild-index").status == 0
    assert amictl("check-store").status == 0


def test_the_memory_is_small_and_private(amictl: Home, old: Path) -> None:
    path = memory(amictl)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_size < 1000


def test_the_memory_can_be_elsewhere(amictl: Home, disk: Path) -> None:
    snapshot(amictl, disk, AMICTL_STATE=str(amictl.folder / "elsewhere"))
    assert len(list((amictl.folder / "elsewhere" / "seen").iterdir())) == 1
    assert not (amictl.folder / ".local" / "state").exists()


def test_a_memory_that_cannot_be_written_is_no_failure(amictl: Home, disk: Path) -> None:
    file = amictl.folder / "file"
    file.touch()
    finished = snapshot(amictl, disk, AMICTL_STATE=str(file))
    assert (finished.status, finished.err) == (0, "")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 5000])
def test_a_memory_that_is_damaged_counts_as_none(
    amictl: Home, disk: Path, old: Path, content: bytes
) -> None:
    memory(amictl).write_bytes(content)
    put_back(amictl, old)
    assert snapshot(amictl, disk).err == ""
    assert amictl("check-store").status == 0


def test_a_dry_run_is_not_remembered(amictl: Home, disk: Path) -> None:
    assert amictl("create-snapshot", "--dry-run", disk).status == 17
    assert not (amictl.folder / ".local").exists()
