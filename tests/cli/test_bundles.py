"""Instance-store bundles through the command line: made, moved, registered, launched, opened."""

import json
import random
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bundles.shell import Signer, bundle, new_signer, unbundle
from tests.cli.test_images import make_disk
from tests.conftest import Home
from tests.oracle import require_ec2_shape

pytestmark = pytest.mark.needs("openssl", "gzip", "tar")

MIB = 1 << 20
USER = "123456789012"


@dataclass(frozen=True)
class Place:
    """A home with a signer, a folder for bundles, and a bucket."""

    amictl: Home
    signer: Signer

    @property
    def folder(self) -> Path:
        return self.amictl.folder

    def run(self, *words: str | Path) -> dict[str, Any]:
        finished = self.amictl(*words)
        assert (finished.status, finished.err) == (0, "")
        result: dict[str, Any] = json.loads(finished.out)
        return result

    def fails(self, *words: str | Path) -> tuple[int, str]:
        finished = self.amictl(*words)
        assert finished.out == ""
        return finished.status, finished.err.partition("(")[2].partition(")")[0]

    def bundled(self, image: Path, *words: str | Path) -> Path:
        made = self.run("bundle-image", "--image", image, *self.making(), *words)
        return Path(made["Manifest"])

    def making(self) -> list[str | Path]:
        signer = ["--certificate", self.signer.certificate, "--private-key", self.key]
        return [*signer, "--user", USER, "--destination", self.folder / "bundled"]

    @property
    def key(self) -> Path:
        return self.signer.private_key

    def uploaded(self, image: Path) -> str:
        """The location of a bundle in the bucket."""
        manifest = self.bundled(image)
        self.run("upload-bundle", "--bucket", "./bucket/old", "--manifest", manifest)
        return f"./bucket/old/{manifest.name}"

    def registered(self, location: str, *words: str) -> str:
        signed = ["--image-location", location, "--certificate", self.signer.certificate]
        return str(self.run("register-image", "--name", "old", *signed, *words)["ImageId"])


@pytest.fixture
def place(amictl: Home) -> Place:
    for name in ("bundled", "bucket/old"):
        (amictl.folder / name).mkdir(parents=True)
    return Place(amictl, new_signer(amictl.folder))


@pytest.fixture
def disk(place: Place) -> Path:
    return make_disk(place.folder / "disk.raw")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_bundle_comes_back(place: Place, disk: Path) -> None:
    manifest = place.bundled(disk)
    opened = ["--private-key", place.key, "--destination", place.folder / "bucket"]
    back = place.run("unbundle-image", "--manifest", manifest, *opened)
    assert Path(back["Image"]).read_bytes() == disk.read_bytes()
    assert back["SizeBytes"] == disk.stat().st_size
    assert files(place.folder / "bundled") == ["disk.raw.manifest.xml", "disk.raw.part.00"]


def test_an_image_of_the_region_is_opened_by_openssl(place: Place, disk: Path) -> None:
    image_id = place.run("create-image", "--name", "web", disk)["ImageId"]
    made = place.run("bundle-image", "--image-id", image_id, *place.making(), "--prefix", "web")
    unbundle(Path(made["Manifest"]), place.signer, place.folder / "bucket")
    assert (place.folder / "bucket" / "web").read_bytes() == disk.read_bytes()


def test_a_bundle_is_launched(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    shown = place.run("describe-images", "--image-ids", image_id)
    require_ec2_shape("DescribeImages", shown)
    (image,) = shown["Images"]
    assert image["RootDeviceType"] == "instance-store"
    assert image["ImageLocation"] == str(place.folder / "bucket/old/disk.raw.manifest.xml")
    assert image["BlockDeviceMappings"] == []
    launched = place.run(
        "launch-image", "--image-id", image_id, "--directory", "web", "--private-key", place.key
    )
    assert (place.folder / "web/sda1.raw").read_bytes() == disk.read_bytes()
    assert launched["EphemeralDisks"][0]["VirtualName"] == "ami"
    assert launched["Volumes"] == []
    document = json.loads((place.folder / "web/launch.json").read_text())
    assert document["BlockDeviceMappings"][0]["Kind"] == "bundle"


def test_a_bundle_of_the_shell_is_launched_with_its_ephemeral_disk(place: Place) -> None:
    image = make_disk(place.folder / "old.img", size_bytes=3 * MIB)
    bundle(image, place.folder / "bundled", place.signer)
    image_id = place.registered("./bundled/old.img.manifest.xml")
    (shown,) = place.run("describe-images", "--image-ids", image_id)["Images"]
    mapping = {"DeviceName": "/dev/sda2", "VirtualName": "ephemeral0"}
    assert (shown["Architecture"], shown["BlockDeviceMappings"]) == ("i386", [mapping])
    key = ["--private-key", place.key, "--ephemeral-size", "1"]
    place.run("launch-image", "--image-id", image_id, "--directory", "web", *key)
    assert files(place.folder / "web") == ["launch.json", "launch.sh", "sda1.raw", "sda2.raw"]
    assert (place.folder / "web/sda1.raw").read_bytes() == image.read_bytes()


def test_a_launch_takes_a_key(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    words = ["launch-image", "--image-id", image_id, "--directory", "web"]
    other = new_signer(place.folder, "other")
    assert place.fails(*words) == (2, "MissingParameter")
    wrong = place.fails(*words, "--private-key", other.private_key)
    assert wrong == (12, "CustomerKeyHasBeenRevoked")
    assert not (place.folder / "web").exists()


def test_a_manifest_that_was_changed_is_not_launched(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    manifest = place.folder / "bucket/old/disk.raw.manifest.xml"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    words = ["launch-image", "--image-id", image_id, "--directory", "web"]
    assert place.fails(*words, "--private-key", place.key) == (13, "InvalidManifest")


def test_a_damaged_part_leaves_nothing(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    part = place.folder / "bucket/old/disk.raw.part.00"
    part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
    words = ["launch-image", "--image-id", image_id, "--directory", "web"]
    assert place.fails(*words, "--private-key", place.key) == (13, "CorruptStore")
    assert not (place.folder / "web").exists()
    opened = ["--source", place.folder / "bucket/old", "--private-key", place.key]
    manifest = place.folder / "bundled/disk.raw.manifest.xml"
    (place.folder / "back").mkdir()
    into = ["--destination", place.folder / "back"]
    failed = place.fails("unbundle-image", "--manifest", manifest, *opened, *into)
    assert (failed, files(place.folder / "back")) == ((13, "CorruptStore"), [])


def test_somebody_elses_signature_is_refused(place: Place, disk: Path) -> None:
    location = place.uploaded(disk)
    other = new_signer(place.folder, "other")
    words = ["register-image", "--name", "old", "--image-location", location]
    failed = place.fails(*words, "--certificate", other.certificate)
    assert failed == (13, "InvalidManifest")


def test_a_bundle_is_not_registered_without_a_certificate(place: Place, disk: Path) -> None:
    words = ["register-image", "--name", "old"]
    failed = place.amictl(*words, "--image-location", place.uploaded(disk))
    assert (failed.status, failed.out) == (2, "")
    assert "(MissingParameter)" in failed.err
    assert "--certificate, which says who signed the bundle\nhint: add --certificate" in failed.err
    unnamed = place.amictl(*words, "--certificate", place.signer.certificate)
    assert (unnamed.status, unnamed.out) == (2, "")
    assert "hint: add --image-location" in unnamed.err


def test_a_missing_part_is_named(place: Place, disk: Path) -> None:
    location = place.uploaded(disk)
    (place.folder / "bucket/old/disk.raw.part.00").unlink()
    words = ["register-image", "--name", "old", "--image-location", location]
    failed = place.amictl(*words, "--certificate", place.signer.certificate)
    assert failed.status == 10
    assert "disk.raw.part.00" in failed.err


def test_deregistering_leaves_the_bundle(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    assert place.amictl("deregister-image", "--image-id", image_id).status == 0
    assert files(place.folder / "bucket") == ["disk.raw.manifest.xml", "disk.raw.part.00"]


def test_a_bundle_goes_to_a_bucket_and_back_and_away(place: Place) -> None:
    image = place.folder / "big.img"
    image.write_bytes(random.Random(1).randbytes(11 * MIB))
    manifest = place.bundled(image)
    up = ["upload-bundle", "--bucket", "./bucket/old", "--manifest", manifest]
    place.run(*up, "--part", "1", "--skip-manifest")
    assert files(place.folder / "bucket") == ["big.img.part.01"]
    place.run(*up)
    place.run(*up, "--retry")
    (place.folder / "down").mkdir()
    which = ["--bucket", "./bucket/old", "--prefix", "big.img"]
    place.run("download-bundle", *which, "--destination", "down")
    names = ["big.img.manifest.xml", "big.img.part.00", "big.img.part.01"]
    assert files(place.folder / "down") == names
    assert place.fails("delete-bundle", *which, "--dry-run") == (17, "DryRunOperation")
    assert files(place.folder / "bucket") == names
    place.run("delete-bundle", *which)
    assert files(place.folder / "bucket") == []


def test_another_object_in_the_place_of_a_part_stays(place: Place, disk: Path) -> None:
    manifest = place.bundled(disk)
    (place.folder / "bucket/disk.raw.part.00").write_text("mine")
    up = ["upload-bundle", "--bucket", "./bucket", "--manifest", manifest]
    assert place.fails(*up) == (14, "PreconditionFailed")
    assert (place.folder / "bucket/disk.raw.part.00").read_text() == "mine"
    assert files(place.folder / "bucket") == ["disk.raw.part.00"]


def test_a_manifest_cannot_have_other_objects_deleted(place: Place, disk: Path) -> None:
    manifest = place.bundled(disk)
    text = manifest.read_text().replace("disk.raw.part.00", "diary.txt")
    (place.folder / "bucket/disk.raw.manifest.xml").write_text(text)
    (place.folder / "bucket/diary.txt").write_text("mine")
    which = ["--bucket", "./bucket", "--manifest", "disk.raw.manifest.xml"]
    assert place.fails("delete-bundle", *which) == (15, "UnsupportedOperation")
    assert files(place.folder / "bucket") == ["diary.txt", "disk.raw.manifest.xml"]


def test_an_encrypted_image_is_not_bundled(place: Place, disk: Path) -> None:
    key = place.run("create-key")["KeyMetadata"]["KeyId"]
    image_id = place.run("create-image", "--name", "plain", disk)["ImageId"]
    copy = ["copy-image", "--source-region", "local", "--source-image-id", image_id]
    encrypted = ["--encrypted", "--kms-key-id", key, "--name", "secret"]
    secret = place.run(*copy, *encrypted)["ImageId"]
    failed = place.fails("bundle-image", "--image-id", secret, *place.making())
    assert failed == (15, "UnsupportedOperation")
    place.amictl("launch-image", "--image-id", secret, "--directory", "web")
    words = ["bundle-image", "--image", place.folder / "web/sda1.raw", *place.making()]
    assert place.fails(*words) == (15, "UnsupportedOperation")
    assert files(place.folder / "bundled") == []


def test_a_bundle_is_not_written_over(place: Place, disk: Path) -> None:
    place.bundled(disk)
    words = ["bundle-image", "--image", disk, *place.making()]
    assert place.fails(*words) == (14, "IncorrectState")
    opened = ["--manifest", place.folder / "bundled/disk.raw.manifest.xml"]
    back = ["unbundle-image", *opened, "--private-key", place.key]
    assert place.fails(*back, "--destination", place.folder) == (14, "IncorrectState")


def test_dry_runs_do_nothing(place: Place, disk: Path) -> None:
    words = ["bundle-image", "--image", disk, *place.making(), "--dry-run"]
    assert place.fails(*words) == (17, "DryRunOperation")
    assert files(place.folder / "bundled") == []
    manifest = place.bundled(disk)
    words = ["unbundle-image", "--manifest", manifest, "--private-key", place.key]
    into = ["--destination", place.folder / "bucket", "--dry-run"]
    assert place.fails(*words, *into) == (17, "DryRunOperation")
    up = ["upload-bundle", "--bucket", "./bucket", "--manifest", manifest, "--dry-run"]
    assert place.fails(*up) == (17, "DryRunOperation")
    assert files(place.folder / "bucket") == []


def test_a_certificate_of_another_key_is_refused(place: Place, disk: Path) -> None:
    other = new_signer(place.folder, "other")
    words = ["bundle-image", "--image", disk, *place.making(), "--certificate", other.certificate]
    assert place.fails(*words) == (2, "InvalidParameterValue")


def test_who_has_the_ec2_key_opens_a_bundle_too(place: Place, disk: Path) -> None:
    ec2 = new_signer(place.folder, "ec2")
    manifest = place.bundled(disk, "--ec2certificate", ec2.certificate)
    words = ["unbundle-image", "--manifest", manifest, "--private-key", ec2.private_key]
    into = ["--destination", place.folder / "bucket"]
    assert place.fails(*words, *into) == (13, "InvalidManifest")
    place.run(*words, *into, "--certificate", place.signer.certificate)
    assert (place.folder / "bucket/disk.raw").read_bytes() == disk.read_bytes()


def test_a_copy_takes_the_bundle_along(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    place.run("create-region", "other", "--directory", place.folder / "other")
    words = ["copy-image", "--source-region", "local", "--source-image-id", image_id]
    copies = [
        place.run(*words, "--region", "other", "--name", name)["ImageId"] for name in ("one", "two")
    ]
    place.run("delete-bundle", "--bucket", "./bucket/old", "--prefix", "disk.raw")
    (made,) = (place.folder / "data/amictl/buckets").iterdir()
    assert sorted(path.name for path in made.iterdir()) == sorted(copies)
    (region,) = place.run("describe-regions", "--region-names", "other")["Regions"]
    assert region["Amictl"]["BundleBucket"] == str(made)
    launch = ["launch-image", "--region", "other", "--image-id", copies[1], "--directory", "web"]
    place.run(*launch, "--private-key", place.key)
    assert (place.folder / "web/sda1.raw").read_bytes() == disk.read_bytes()


def test_a_copy_goes_to_the_bucket_of_the_region(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    (place.folder / "theirs").mkdir()
    place.run("modify-region", "local", "--bundle-bucket", "./theirs")
    words = ["copy-image", "--source-region", "local", "--source-image-id", image_id]
    copy = place.run(*words, "--name", "copy")["ImageId"]
    (image,) = place.run("describe-images", "--image-ids", copy)["Images"]
    assert image["ImageLocation"] == str(place.folder / "theirs" / copy / "disk.raw.manifest.xml")
    assert Path(image["ImageLocation"]).exists()


def test_a_copy_of_a_bundle_is_not_encrypted(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    words = ["copy-image", "--source-region", "local", "--source-image-id", image_id]
    failed = place.fails(*words, "--name", "copy", "--encrypted")
    assert failed == (15, "UnsupportedOperation")


def test_a_copy_of_a_damaged_bundle_leaves_nothing(place: Place, disk: Path) -> None:
    image_id = place.registered(place.uploaded(disk))
    part = place.folder / "bucket/old/disk.raw.part.00"
    part.write_bytes(bytes(part.stat().st_size))
    words = ["copy-image", "--source-region", "local", "--source-image-id", image_id]
    assert place.fails(*words, "--name", "copy") == (13, "CorruptStore")
    assert files(place.folder / "data/amictl/buckets") == []


def test_what_is_in_a_bundle_goes_into_no_archive_and_no_other_file(
    place: Place, disk: Path
) -> None:
    image_id = place.registered(place.uploaded(disk))
    named = ["--image-id", image_id]
    refused = (15, "UnsupportedOperation")
    assert place.fails("create-store-image-task", *named, "--bucket", "./bucket") == refused
    assert place.fails("bundle-image", *named, *place.making()) == refused
    export = ["--disk-image-format", "RAW", "--s3-export-location", "S3Bucket=./bucket"]
    assert place.fails("export-image", *named, *export) == refused


def test_the_root_of_a_bundle_cannot_be_mapped(place: Place, disk: Path) -> None:
    location = place.uploaded(disk)
    mapped = ["--block-device-mappings", "DeviceName=/dev/sda1,Ebs={VolumeSize=5}"]
    signed = ["--image-location", location, "--certificate", place.signer.certificate]
    failed = place.fails("register-image", "--name", "old", *signed, *mapped)
    assert failed == (2, "InvalidBlockDeviceMapping")
    launch = ["launch-image", "--image-id", place.registered(location), "--directory", "web"]
    failed = place.fails(*launch, "--private-key", place.key, *mapped)
    assert failed == (2, "InvalidBlockDeviceMapping")


def test_an_image_of_a_bundle_may_have_volumes(place: Place, disk: Path) -> None:
    snapshot = place.run("create-snapshot", disk)["SnapshotId"]
    mapped = f"DeviceName=/dev/sdf,Ebs={{SnapshotId={snapshot}}}"
    image_id = place.registered(place.uploaded(disk), "--block-device-mappings", mapped)
    launch = ["launch-image", "--image-id", image_id, "--directory", "web"]
    launched = place.run(*launch, "--private-key", place.key)
    assert (place.folder / "web/sdf.raw").read_bytes() == disk.read_bytes()
    assert len(launched["Volumes"]) == 1


def test_windows_is_not_bundled(place: Place) -> None:
    disk = bytearray(4 * MIB)
    disk[446:462] = bytes([0x80, 0, 0, 0, 7, 0, 0, 0]) + struct.pack("<II", 2048, 4096)
    disk[510:512] = b"\x55\xaa"
    disk[MIB : MIB + 11] = b"\xebR\x90NTFS    "
    disk[MIB + 600 : MIB + 614] = "BOOTMGR".encode("utf-16-le")
    image = place.folder / "windows.raw"
    image.write_bytes(disk)
    words = ["bundle-image", "--image", image, *place.making()]
    assert place.fails(*words) == (15, "UnsupportedOperation")
    image_id = place.run("create-image", "--name", "windows", image)["ImageId"]
    words = ["bundle-image", "--image-id", image_id, *place.making()]
    assert place.fails(*words) == (15, "UnsupportedOperation")


def test_a_disk_that_is_too_large_is_refused(place: Place) -> None:
    image = place.folder / "large.raw"
    with image.open("wb") as file:
        file.truncate(10 * 1024 * MIB + 512)
    words = ["bundle-image", "--image", image, *place.making()]
    assert place.fails(*words) == (2, "InvalidParameterValue")


def test_mappings_go_into_the_manifest(place: Place, disk: Path) -> None:
    mapped = ["--block-device-mapping", "ami=sda1,root=/dev/sda1,ephemeral0=sdb", "swap=sda3"]
    manifest = place.bundled(disk, *mapped, "--product-codes", "A1B2")
    text = manifest.read_text()
    assert "<mapping><virtual>ephemeral0</virtual><device>sdb</device></mapping>" in text
    assert "<product_codes><product_code>A1B2</product_code></product_codes>" in text
    image_id = place.registered(f"./bundled/{manifest.name}")
    (image,) = place.run("describe-images", "--image-ids", image_id)["Images"]
    ephemeral = {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}
    assert image["BlockDeviceMappings"] == [ephemeral]
    wrong = ["bundle-image", "--image", disk, *place.making(), "--prefix", "other"]
    assert place.fails(*wrong, "--block-device-mapping", "usb=sdx") == (2, "InvalidParameterValue")
