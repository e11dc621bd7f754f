"""create-restore-image-task, describe-archive and verify-archive, end to end."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_images import make_disk
from tests.conftest import Finished, Home


@pytest.fixture
def home(amictl: Home) -> Home:
    """A user with an image of a disk, and an archive of it, signed by the office."""
    amictl("create-image", "--name", "web", make_disk(amictl.folder / "disk.raw"))
    (amictl.folder / "usb").mkdir()
    for words in (
        "genpkey -algorithm ed25519 -out office.pem",
        "pkey -in office.pem -pubout -out office.pub",
        "genpkey -algorithm ed25519 -out other.pem",
        "pkey -in other.pem -pubout -out other.pub",
    ):
        subprocess.run(["openssl", *words.split()], cwd=amictl.folder, check=True)
    (amictl.folder / "office.pem").chmod(0o600)
    image = amictl("describe-images", "--quiet").out.split()[0]
    words = ["--image-id", image, "--bucket", "./usb", "--sign-key", "office.pem"]
    assert amictl("create-store-image-task", *words).status == 0
    return amictl


def archive(home: Home) -> Path:
    (path,) = (home.folder / "usb").iterdir()
    return path


def restore(home: Home, *words: str, key: str | None = None) -> Finished:
    named = ["--bucket", "./usb", "--object-key", key or archive(home).name]
    return home("create-restore-image-task", *named, *words)


def shown(finished: Finished) -> Any:
    assert (finished.status, finished.err) == (0, "")
    return json.loads(finished.out)


def test_it_prints_the_id_of_an_image_that_is_available(home: Home) -> None:
    finished = restore(home, "--name", "again", "--quiet")

    (image,) = shown(home("describe-images", "--image-ids", finished.out.strip()))["Images"]
    assert (finished.status, finished.err) == (0, "")
    assert (image["Name"], image["State"]) == ("again", "available")
    (result,) = shown(home("describe-restore-image-tasks"))["RestoreImageTaskResults"]
    assert (result["AmiId"], result["RestoreTaskState"]) == (image["ImageId"], "Completed")


def test_the_name_that_it_had_may_be_taken(home: Home) -> None:
    finished = restore(home)

    assert (finished.status, finished.out) == (14, "")
    assert "InvalidAMIName.Duplicate" in finished.err
    assert "give another --name" in finished.err


def test_without_waiting_a_worker_restores_it(home: Home) -> None:
    image_id = shown(restore(home, "--name", "again", "--no-wait"))["ImageId"]

    assert home("wait", "image-available", "--image-ids", image_id) == Finished(0, "", "")


def test_a_dry_run_says_so_and_leaves_nothing(home: Home) -> None:
    assert restore(home, "--name", "again", "--dry-run").status == 17
    assert len(shown(home("describe-images"))["Images"]) == 1
    assert shown(home("describe-restore-image-tasks"))["RestoreImageTaskResults"] == []


def test_only_what_is_signed_by_who_is_trusted_is_restored(home: Home) -> None:
    name = ["--name", "again"]
    refused = restore(home, *name, "--trusted-keys", "other.pub")
    both = ["--trusted-keys", "other.pub", "--trusted-keys", "office.pub"]
    taken = restore(home, *name, *both)

    assert (refused.status, refused.out) == (13, "")
    assert "was signed by nobody who is trusted" in refused.err
    assert taken.status == 0


def test_an_object_that_is_not_there_is_not_found(home: Home) -> None:
    finished = restore(home, key="ami-00000000000000000.bin")

    assert (finished.status, finished.out) == (10, "")


def test_what_is_no_archive_is_refused(home: Home) -> None:
    (home.folder / "usb" / "disk.raw").write_bytes(bytes(1 << 20))
    for finished in (restore(home, key="disk.raw"), home("verify-archive", "usb/disk.raw")):
        assert (finished.status, finished.out) == (13, "")
        assert "InvalidFormat" in finished.err


def test_an_archive_is_described(home: Home) -> None:
    said = shown(home("describe-archive", archive(home), "--trusted-keys", "office.pub"))

    assert said["Image"]["Name"] == "web"
    assert said["SignedBy"].startswith("SHA256:")
    assert [disk["SizeBytes"] for disk in said["Disks"]] == [8 * 1024**2 + 512]
    assert said["Trusted"] is True
    unasked = shown(home("describe-archive", f"./usb/{archive(home).name}"))
    assert not {"SignedBy", "Trusted"} & unasked.keys()


def test_an_archive_says_that_none_of_the_trusted_keys_signed_it(home: Home) -> None:
    said = shown(home("describe-archive", archive(home), "--trusted-keys", "other.pub"))

    assert (said["Signed"], said["Trusted"]) == (True, False)
    assert "SignedBy" not in said


def test_an_archive_is_verified(home: Home) -> None:
    assert shown(home("verify-archive", archive(home)))["Content"] == "verified"
    damaged = home.folder / "damaged.bin"
    content = bytearray(archive(home).read_bytes())
    content[20_000] ^= 1
    damaged.write_bytes(content)

    finished = home("verify-archive", damaged)

    assert (finished.status, finished.out) == (13, "")
    assert "disk-0" in finished.err


def test_an_encrypted_archive_needs_a_key_or_an_identity_file(home: Home) -> None:
    home("create-key", "--alias", "web")
    image = home("describe-images", "--quiet").out.split()[0]
    words = ["--source-image-id", image, "--name", "secret", "--encrypted"]
    copied = shown(
        home("copy-image", "--source-region", "local", *words, "--kms-key-id", "alias/web")
    )["ImageId"]
    shown(home("create-store-image-task", "--image-id", copied, "--bucket", "./usb"))
    home("export-key", "--key-id", "alias/web", "--output-file", "web.key")
    path = f"usb/{copied}.bin"
    assert shown(home("verify-archive", path))["Content"] == "verified"
    elsewhere = {"AMICTL_KEYS": str(home.folder / "no-keys")}

    described = json.loads(home("describe-archive", path, **elsewhere).out)
    verified = json.loads(home("verify-archive", path, **elsewhere).out)
    opened = json.loads(home("verify-archive", path, "--identity", "web.key", **elsewhere).out)
    restored = restore(home, "--name", "back", key=f"{copied}.bin")
    unopened = home(
        "create-restore-image-task", "--bucket", "./usb", "--object-key", f"{copied}.bin",
        "--name", "again", **elsewhere,
    )  # fmt: skip

    assert "Image" not in described
    assert (verified["Content"], opened["Content"]) == ("sealed", "verified")
    assert restored.status == 0
    assert (unopened.status, unopened.out) == (12, "")
    assert "--identity" in unopened.err


def test_a_restore_heals_damage_as_soon_as_a_check_has_recorded_it(home: Home) -> None:
    pack = max((home.local_region / "packs").iterdir(), key=lambda path: path.stat().st_size)
    with pack.open("r+b") as file:
        file.seek(5000)
        file.write(b"damaged!")
    snapshot = home("describe-snapshots", "--quiet").out.split()[0]
    verify = ["verify-snapshot", "--snapshot-id", snapshot]

    restore(home, "--name", "before")
    found = home(*verify)
    volume = home("create-volume", "--snapshot-id", snapshot, "out.raw")

    healing = (
        "hint: amictl check-store --read-data names everything that is damaged, and records it"
    )
    assert (found.status, volume.status) == (3, 13)
    assert healing in found.err
    assert healing in volume.err

    assert home("check-store", "--read-data").status == 3
    restore(home, "--name", "after")
    assert home(*verify).status == 0
