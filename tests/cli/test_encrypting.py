"""Commands that encrypt, end to end: keys by their aliases, passphrases, and workers."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_images import make_disk
from tests.conftest import PROGRAM, Finished, Home

PAGE = Path(__file__).resolve().parents[2] / "man" / "amictl-security.7"


@pytest.fixture
def disk(amictl: Home) -> Path:
    return make_disk(amictl.folder / "disk.raw")


def answer(finished: Finished) -> dict[str, Any]:
    assert finished.status == 0, finished.err
    result: dict[str, Any] = json.loads(finished.out)
    return result


def passphrase(amictl: Home, text: str) -> Path:
    path = amictl.folder / text
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def pending(amictl: Home) -> list[Path]:
    folder = amictl.local_region / "pending"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_volume_is_made_of_a_key_by_its_alias(amictl: Home, disk: Path) -> None:
    snapshot_id = amictl("create-snapshot", "--quiet", disk).out.strip()
    key_id = amictl("create-key", "--quiet", "--alias", "web").out.strip()
    words = ["--snapshot-id", snapshot_id, "--encrypted", "--kms-key-id", "alias/web"]
    volume = answer(amictl("create-volume", *words, amictl.folder / "web.raw"))
    assert (volume["Encrypted"], volume["KmsKeyId"]) == (True, key_id)
    child = answer(amictl("create-snapshot", amictl.folder / "web.raw"))
    assert (child["Encrypted"], child["KmsKeyId"]) == (True, key_id)


def test_a_key_without_encrypted_is_wrong_usage(amictl: Home, disk: Path) -> None:
    snapshot_id = amictl("create-snapshot", "--quiet", disk).out.strip()
    words = ["--snapshot-id", snapshot_id, "--kms-key-id", "alias/web"]
    finished = amictl("create-volume", *words, amictl.folder / "web.raw")
    assert (finished.status, finished.out) == (2, "")
    assert "InvalidParameterDependency" in finished.err


def test_a_disk_is_launched_with_a_key(amictl: Home, disk: Path) -> None:
    image_id = amictl("create-image", "--quiet", "--name", "web", disk).out.strip()
    key_id = amictl("create-key", "--quiet", "--alias", "web").out.strip()
    mapping = "DeviceName=/dev/sda1,Ebs={Encrypted=true,KmsKeyId=alias/web}"
    words = ["--image-id", image_id, "--directory", amictl.folder / "machine"]
    launched = answer(amictl("launch-image", *words, "--block-device-mappings", mapping))
    assert [volume["KmsKeyId"] for volume in launched["Volumes"]] == [key_id]


def test_a_worker_opens_a_key_with_a_passphrase_from_a_file(amictl: Home, disk: Path) -> None:
    right = passphrase(amictl, "right")
    key_id = amictl("create-key", "--quiet", "--passphrase-file", right).out.strip()
    amictl("enable-ebs-encryption-by-default")
    words = ("create-snapshot", "--quiet", "--no-wait", disk)
    made = amictl(*words, AMICTL_PASSPHRASE_FILE=str(right))
    snapshot_id = made.out.strip()
    assert made.status == 0
    assert amictl("wait", "snapshot-completed", "--snapshot-ids", snapshot_id).status == 0
    (shown,) = answer(amictl("describe-snapshots", "--snapshot-ids", snapshot_id))["Snapshots"]
    assert (shown["State"], shown["KmsKeyId"]) == ("completed", key_id)


@pytest.mark.parametrize("wait", [(), ("--no-wait",), ("--dry-run",)], ids=str)
def test_a_wrong_passphrase_is_found_before_the_moment(
    amictl: Home, disk: Path, wait: tuple[str, ...]
) -> None:
    right, wrong = passphrase(amictl, "right"), passphrase(amictl, "wrong")
    key_id = amictl("create-key", "--quiet", "--passphrase-file", right).out.strip()
    amictl("enable-ebs-encryption-by-default")
    finished = amictl("create-snapshot", *wait, disk, AMICTL_PASSPHRASE_FILE=str(wrong))
    assert (finished.status, finished.out) == (12, "")
    assert key_id in finished.err
    assert "hint:" in finished.err
    assert pending(amictl) == []
    assert answer(amictl("describe-snapshots"))["Snapshots"] == []


def test_the_recipe_of_the_manual_makes_an_image_with_one_encrypted_disk(
    amictl: Home, disk: Path
) -> None:
    amictl("create-key")
    make_disk(amictl.folder / "root.raw")
    disk.rename(amictl.folder / "data.raw")
    section = PAGE.read_text().split('.SH "SOME DISKS ENCRYPTED"')[1]
    recipe = section.partition(".EX\n")[2].partition(".EE")[0]
    recipe = recipe.replace("\\-", "-").replace("\\e", "\\")
    script = f'amictl() {{ "{PROGRAM}" "$@"; }}\n{recipe}'
    subprocess.run(["sh", "-euc", script], cwd=amictl.folder, env=amictl.environment(), check=True)
    (image,) = answer(amictl("describe-images"))["Images"]
    mappings = {one["DeviceName"]: one["Ebs"] for one in image["BlockDeviceMappings"]}
    encrypted = {device: ebs["Encrypted"] for device, ebs in mappings.items()}
    assert encrypted == {"/dev/sda1": False, "/dev/sdb": True}
    snapshots = amictl("describe-snapshots", "--quiet").out.split()
    assert sorted(snapshots) == sorted(ebs["SnapshotId"] for ebs in mappings.values())
