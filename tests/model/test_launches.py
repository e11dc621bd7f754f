"""What overrides make of the devices of an image, and the files that they are in."""

from typing import Any

import pytest

from amictl.errors import BlockDeviceMappingError
from amictl.model.launches import file_name, overridden, planned_disks
from amictl.model.records import ImageCore, Mapping

GIB = 1 << 30
SNAPSHOT = "snap-0123456789abcdef0"
ROOT = Mapping("/dev/sda1", SNAPSHOT, 8, delete_on_termination=True, volume_type="gp2")
DATA = Mapping("/dev/sdf", SNAPSHOT, 4)


def image(*mappings: Mapping) -> ImageCore:
    return ImageCore(
        image_id="ami-0123456789abcdef0",
        name="image",
        owner_id="123456789012",
        creation_date="2026-11-22T00:00:00.000Z",
        architecture="x86_64",
        boot_mode=None,
        platform=None,
        root_device_name="/dev/sda1",
        mappings=mappings,
    )


def size_of(_: str) -> int:
    """Every snapshot has 1 GiB and a byte."""
    return GIB + 1


def changed(device: str, **ebs: Any) -> list[Mapping]:
    given = {"DeviceName": device, "Ebs": ebs}
    return overridden(image(DATA, ROOT), [given], size_of)


def test_the_root_comes_first() -> None:
    assert overridden(image(DATA, ROOT), [], size_of) == [ROOT, DATA]


def test_the_root_grows_and_keeps_the_rest() -> None:
    (root, _) = changed("/dev/sda1", VolumeSize=9)
    assert root == Mapping("/dev/sda1", SNAPSHOT, 9, delete_on_termination=True, volume_type="gp2")


def test_the_root_is_never_smaller_than_in_the_image() -> None:
    with pytest.raises(BlockDeviceMappingError, match="cannot be smaller than in the image"):
        changed("/dev/sda1", VolumeSize=7)


def test_the_root_is_of_a_type_that_ec2_boots_from() -> None:
    with pytest.raises(BlockDeviceMappingError, match="cannot be of volume type sc1") as caught:
        changed("/dev/sda1", VolumeType="sc1")
    assert caught.value.code == "BootForVolumeTypeUnsupported"
    assert changed("/dev/sdf", VolumeType="sc1")[1].volume_type == "sc1"


def test_another_disk_may_be_as_small_as_its_snapshot() -> None:
    assert changed("/dev/sdf", VolumeSize=2)[1].volume_size == 2


def test_another_snapshot_brings_its_own_size() -> None:
    other = "snap-00000000000000000"
    assert changed("/dev/sdf", SnapshotId=other)[1] == Mapping("/dev/sdf", other, 2)


def test_an_ephemeral_device_that_becomes_a_volume_needs_a_size() -> None:
    ephemeral = Mapping("/dev/sdb", virtual_name="ephemeral0")
    given = {"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": True}}
    with pytest.raises(BlockDeviceMappingError, match="needs a snapshot or a volume size"):
        overridden(image(ROOT, ephemeral), [given], size_of)


@pytest.mark.parametrize(("mapped", "size"), [(2, GIB + 1), (3, 3 * GIB)])
def test_a_file_is_as_long_as_the_snapshot_or_as_the_larger_volume(mapped: int, size: int) -> None:
    (disk,) = planned_disks([Mapping("/dev/sda1", SNAPSHOT, mapped)], size_of, None)
    assert disk.size_bytes == size


@pytest.mark.parametrize(
    ("device", "name"),
    [("/dev/sda1", "sda1.raw"), ("xvdf", "xvdf.raw"), ("/dev/xvdba", "xvdba.raw")],
)
def test_a_file_is_called_as_its_device(device: str, name: str) -> None:
    assert file_name(device) == name


@pytest.mark.parametrize("device", ["", "/dev/", "../x", "/dev/../x", "/dev/a/b", "sda1\n", "SDA"])
def test_what_is_no_device_has_no_file(device: str) -> None:
    with pytest.raises(BlockDeviceMappingError, match="Invalid device name"):
        file_name(device)


def test_no_file_is_longer_than_the_kernel_can_count() -> None:
    with pytest.raises(BlockDeviceMappingError, match="larger than a file can be"):
        planned_disks([Mapping("/dev/sdf", None, 2**33)], size_of, None)
