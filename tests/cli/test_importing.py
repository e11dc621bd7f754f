"""import-image, import-snapshot and export-image, end to end."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_images import make_disk
from tests.conftest import Finished, Home


@pytest.fixture
def raw(amictl: Home) -> Path:
    return make_disk(amictl.folder / "disk.raw")


@pytest.fixture
def vmdk(amictl: Home, raw: Path) -> Path:
    path = amictl.folder / "disk.vmdk"
    words = ["-O", "vmdk", "-o", "subformat=streamOptimized", str(raw), str(path)]
    subprocess.run(["qemu-img", "convert", "-f", "raw", *words], check=True, capture_output=True)
    return path


def result(finished: Finished) -> dict[str, Any]:
    assert (finished.status, finished.err) == (0, "")
    found: dict[str, Any] = json.loads(finished.out)
    return found


def content(amictl: Home, snapshot_id: str) -> bytes:
    assert amictl("create-volume", "--snapshot-id", snapshot_id, "back.raw").status == 0
    return (amictl.folder / "back.raw").read_bytes()


def test_a_file_is_imported_by_its_name_alone(amictl: Home, raw: Path, vmdk: Path) -> None:
    shape = result(amictl("import-snapshot", "disk.vmdk"))
    detail = shape["SnapshotTaskDetail"]
    assert (detail["Format"], detail["Url"]) == ("VMDK", str(vmdk))
    assert content(amictl, detail["SnapshotId"]) == raw.read_bytes()


@pytest.mark.parametrize("url", ["{}", "file://{}"])
def test_a_container_names_the_file_by_a_url(amictl: Home, vmdk: Path, url: str) -> None:
    place = f"Format=vmdk,Url={url.format(vmdk)}"
    assert result(amictl("import-snapshot", "--disk-container", place))


def test_a_container_names_an_object(amictl: Home, raw: Path, vmdk: Path) -> None:
    (amictl.folder / "images" / "old").mkdir(parents=True)
    vmdk.rename(amictl.folder / "images" / "old" / "disk.vmdk")
    amictl("create-bucket", "--bucket", "images", "--directory", amictl.folder / "images")
    bucket = amictl.folder / "images"
    place = f"Format=VMDK,UserBucket={{S3Bucket={bucket},S3Key=old/disk.vmdk}}"
    shape = result(amictl("import-image", "--disk-containers", place))
    (detail,) = shape["SnapshotDetails"]
    assert content(amictl, detail["SnapshotId"]) == raw.read_bytes()


def test_an_image_is_made_of_several_disks(amictl: Home, raw: Path, vmdk: Path) -> None:
    shape = result(amictl("import-image", vmdk, raw, "--description", "two disks"))
    (image,) = json.loads(amictl("describe-images").out)["Images"]
    assert (image["ImageId"], image["Name"]) == (shape["ImageId"], shape["ImportTaskId"])
    devices = [mapping["DeviceName"] for mapping in image["BlockDeviceMappings"]]
    assert (devices, image["Description"]) == (["/dev/sda1", "/dev/sdb"], "two disks")


def test_import_without_waiting_leaves_a_worker(amictl: Home, vmdk: Path) -> None:
    finished = amictl("import-snapshot", "--no-wait", "--quiet", vmdk)
    assert (finished.status, finished.err) == (0, "")
    words = ["--import-task-ids", finished.out.strip()]
    assert amictl("wait", "snapshot-imported", *words) == Finished(0, "", "")
    (task,) = json.loads(amictl("describe-import-snapshot-tasks", *words).out)[
        "ImportSnapshotTasks"
    ]
    assert task["SnapshotTaskDetail"]["Status"] == "completed"


def test_export_and_import_again(amictl: Home, raw: Path) -> None:
    amictl("create-image", "--name", "web", raw)
    image_id = amictl("describe-images", "--quiet").out.strip()
    (amictl.folder / "bucket").mkdir()
    words = ["--image-id", image_id, "--disk-image-format", "vhd", "--bucket", "./bucket"]
    shape = result(amictl("export-image", *words))
    path = amictl.folder / "bucket" / shape["Amictl"]["ObjectKey"]
    detail = result(amictl("import-snapshot", path))["SnapshotTaskDetail"]
    assert detail["Format"] == "VHD"
    assert content(amictl, detail["SnapshotId"]) == raw.read_bytes()


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["import-snapshot"], 2, "give FILE"),
        (["import-snapshot", "https://example.org/disk.vmdk"], 15, "download it first"),
        (["import-snapshot", "nothing.vmdk"], 10, "there is no file"),
        (["import-snapshot", "--disk-container", "Format=RAW"], 2, "has one of Url"),
        (["import-snapshot", "--disk-container", "Format=ISO,Url=x"], 2, "is no format"),
        (["import-snapshot", "--disk-container", "Format=OVA,Url=x"], 15, "unpack it with tar"),
        (["import-image"], 2, "no disk was named"),
        (["import-image", "--license-type", "BYOL", "x"], 15, "--license-type"),
        (["import-image", "--boot-mode", "uefi-preferred", "x"], 15, "uefi-preferred"),
        (["export-image", "--image-id", "ami-0123456789abcdef0", "--disk-image-format", "RAW"],
         2, "--s3-export-location or --bucket"),
        (["export-image", "--image-id", "ami-0123456789abcdef0", "--disk-image-format", "RAW",
          "--bucket", "./exp", "--s3-export-location", "S3Bucket=usb"],
         2, "(InvalidParameterCombination)"),
        (["export-image", "--image-id", "ami-0123456789abcdef0", "--disk-image-format", "VHDX"],
         2, "'VHDX' is not one of 'RAW', 'VMDK', 'VHD', 'QCOW2'"),
        (["import-image", "--platform", "BeOS", "x"], 2, "is not one of 'Windows', 'Linux'"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(
    amictl: Home, words: list[str], status: int, reason: str
) -> None:
    finished = amictl(*words)
    assert finished.status == status, finished.err
    assert finished.out == ""
    assert reason in finished.err


def test_a_disk_that_leads_elsewhere_is_refused_by_that_name(amictl: Home, raw: Path) -> None:
    path = amictl.folder / "disk.qcow2"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(raw), str(path)]
    subprocess.run(words, check=True)
    finished = amictl("import-snapshot", path)
    assert (finished.status, finished.out) == (15, "")
    assert str(raw) in finished.err
    assert amictl("describe-snapshots", "--quiet").out == ""


@pytest.mark.parametrize("name", ["junk.vmdk", "JUNK.QCOW2", "junk.vhdx", "junk.ova"])
def test_a_name_that_the_content_does_not_bear_out_is_refused(amictl: Home, name: str) -> None:
    path = amictl.folder / name
    path.write_bytes(b"junk" * 1000)
    finished = amictl("import-snapshot", name)
    assert (finished.status, finished.out) == (2, "")
    assert "InvalidFormat" in finished.err
    assert "if it is a raw disk after all, give Format=RAW" in finished.err
    shape = result(amictl("import-snapshot", "--disk-container", f"Format=RAW,Url={path}"))
    assert content(amictl, shape["SnapshotTaskDetail"]["SnapshotId"]) == path.read_bytes()


@pytest.mark.parametrize("driver", ["qcow2", "vhdx"])
def test_a_disk_that_was_cut_short_is_to_be_taken_again(
    amictl: Home, raw: Path, driver: str
) -> None:
    path = amictl.folder / f"disk.{driver}"
    raw.write_bytes(b"text" * (2 << 20))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", driver, raw, path], check=True)
    path.write_bytes(path.read_bytes()[: 5 << 20])
    finished = amictl("import-image", path)
    assert (finished.status, finished.out) == (13, "")
    assert "it may have been truncated\nhint: the file is cut short or damaged" in finished.err
    assert "json" not in amictl("describe-import-image-tasks").out


def test_dry_run_says_that_it_would_be_done(amictl: Home, vmdk: Path) -> None:
    finished = amictl("import-snapshot", "--dry-run", vmdk)
    assert (finished.status, finished.out) == (17, "")
