"""What this machine encrypted stays encrypted, whatever the region says of it later."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.formats import records
from amictl.model import facts
from amictl.model.keys import LABEL
from amictl.model.records import Attributes, SnapshotCore
from amictl.model.seen import VOLUMES_MAX, SeenState, SeenVolume, with_volumes
from amictl.store import layout
from tests.conftest import Finished, Home

NOTE = "the region does not say so any"


@pytest.fixture
def disk(amictl: Home) -> Path:
    path = amictl.folder / "disk"
    path.write_bytes(b"first" * 10_000)
    return path


@pytest.fixture
def key(amictl: Home) -> str:
    made = json.loads(amictl("create-key", "--alias", "web").out)
    return str(made["KeyMetadata"]["KeyId"])


@pytest.fixture
def restored(amictl: Home, disk: Path, key: str) -> Path:
    """A volume of the key, which was written here."""
    plain = snapshot(amictl, disk)["SnapshotId"]
    target = amictl.folder / "restored"
    words = ("--encrypted", "--kms-key-id", "alias/web", str(target))
    assert amictl("create-volume", "--snapshot-id", plain, *words).status == 0
    return target


def take(amictl: Home, disk: Path, *words: str) -> Finished:
    return amictl("create-snapshot", "--progress", "json", *words, str(disk))


def snapshot(amictl: Home, disk: Path) -> dict[str, Any]:
    finished = take(amictl, disk)
    assert finished.status == 0, finished.err
    result: dict[str, Any] = json.loads(finished.out)
    return result


def without_key(amictl: Home) -> None:
    """As who can write to the region: no volume has a key."""
    for path in (amictl.local_region / "volumes").glob("*.attributes.json"):
        attributes = records.decode(path.read_bytes(), Attributes, "here")
        path.write_bytes(records.encode(attributes.with_facts({facts.KMS_KEY_ID: None})))


def test_a_disk_stays_encrypted_when_the_region_forgot_its_key(
    amictl: Home, restored: Path, key: str
) -> None:
    without_key(amictl)
    finished = take(amictl, restored)
    assert json.loads(finished.out)["KmsKeyId"] == key
    assert NOTE in finished.err


def test_a_disk_stays_encrypted_when_a_plain_snapshot_came_in_the_place_of_its_newest(
    amictl: Home, disk: Path, key: str
) -> None:
    amictl("enable-ebs-encryption-by-default")
    ours = snapshot(amictl, disk)
    amictl("disable-ebs-encryption-by-default")
    other = amictl.folder / "other"
    other.write_bytes(b"other" * 10_000)
    theirs = snapshot(amictl, other)
    data = (amictl.local_region / layout.core(theirs["SnapshotId"])).read_bytes()
    core = records.decode(data, SnapshotCore, "here")
    forged = replace(core, snapshot_id=ours["SnapshotId"], volume_id=ours["VolumeId"])
    (amictl.local_region / layout.core(forged.snapshot_id)).write_bytes(records.encode(forged))
    finished = take(amictl, disk)
    assert json.loads(finished.out)["KmsKeyId"] == key
    assert NOTE in finished.err


def test_a_dry_run_knows_it_too(amictl: Home, restored: Path) -> None:
    without_key(amictl)
    finished = take(amictl, restored, "--dry-run")
    assert finished.status == 17
    assert NOTE in finished.err


def test_a_volume_that_is_forgotten_is_as_the_region_says(amictl: Home, restored: Path) -> None:
    os.removexattr(restored, LABEL)
    shown = json.loads(amictl("describe-volumes", "--filters", "Name=encrypted,Values=true").out)
    for volume in shown["Volumes"]:
        amictl("delete-volume", "--volume-id", volume["VolumeId"])
    finished = take(amictl, restored)
    assert (json.loads(finished.out)["Encrypted"], NOTE in finished.err) == (False, False)


def test_a_disk_stays_encrypted_that_is_taken_into_another_region(
    amictl: Home, restored: Path, key: str
) -> None:
    assert amictl("create-region", "away", "--directory", "away").status == 0
    moved = restored.rename(restored.with_name("moved"))
    for region in ("away", "local"):
        assert json.loads(take(amictl, moved, "--region", region).out)["KmsKeyId"] == key


def test_a_disk_that_is_written_anew_from_what_is_plain_is_plain(
    amictl: Home, disk: Path, restored: Path
) -> None:
    plain = snapshot(amictl, disk)["SnapshotId"]
    amictl("create-volume", "--snapshot-id", plain, "--force", str(restored))
    finished = take(amictl, restored)
    assert (json.loads(finished.out)["Encrypted"], NOTE in finished.err) == (False, False)


KEY = "00000000-0000-0000-0000-000000000000"


def volumes(count: int, first: int = 0) -> dict[str, str | None]:
    return {f"vol-{number:017x}": KEY for number in range(first, first + count)}


def test_so_many_volumes_are_remembered_and_the_newest_first() -> None:
    seen = with_volumes(SeenState("0" * 32), volumes(VOLUMES_MAX))
    seen = with_volumes(seen, volumes(1, VOLUMES_MAX) | {f"vol-{0:017x}": None})
    assert len(seen.volumes) == VOLUMES_MAX
    assert seen.volumes[-1] == SeenVolume(f"vol-{VOLUMES_MAX:017x}", KEY)
    assert seen.volumes[0].volume_id == f"vol-{1:017x}"


def test_as_many_volumes_as_are_remembered_can_be_read_again() -> None:
    seen = with_volumes(SeenState("0" * 32), volumes(VOLUMES_MAX))
    assert len(records.encode(seen)) < 1 << 20
