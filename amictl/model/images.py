"""What makes an image: its name, its devices, its block device mappings. EC2's CreateImage."""

import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Pairs
from dataclasses import dataclass
from typing import Any

from amictl.errors import BlockDeviceMappingError, ImageNameMalformedError, UsageError
from amictl.model.records import ImageCore, Mapping

ROOT_DEVICE = "/dev/sda1"
ARCHITECTURES = ("i386", "x86_64", "arm64")
BOOT_MODES = ("legacy-bios", "uefi", "uefi-preferred")
VOLUME_TYPES = ("standard", "io1", "io2", "gp2", "gp3", "sc1", "st1")
GIB = 1024**3

_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
_DEVICE = re.compile(r"/dev/[a-z][a-z0-9]{1,31}|xvd[a-z]{1,2}")
_EPHEMERAL = re.compile(r"ephemeral([0-9]|1[0-9]|2[0-3])")
_EBS_KEYS = {
    "SnapshotId",
    "VolumeSize",
    "DeleteOnTermination",
    "VolumeType",
    "Iops",
    "Throughput",
    "Encrypted",
}


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What an image is made of, beside its disks; `mappings` have EC2's shape."""

    image_id: str
    name: str
    owner_id: str
    creation_date: str
    architecture: str | None
    boot_mode: str | None
    platform: str | None
    mappings: tuple[dict[str, Any], ...]


def require_name(name: str) -> None:
    """Raises ImageNameMalformedError unless EC2 would take the name."""
    if not _NAME.fullmatch(name):
        raise ImageNameMalformedError(
            "AMI names must be between 3 and 128 characters long, and may contain letters, "
            "numbers, '(', ')', '[', ']', ' ', '.', '/', '-', ''', '@' and '_'"
        )


def plan_devices(given: Sequence[str | None], root_device_name: str | None) -> list[str]:
    """A device name for each disk: the given one, else /dev/sda1 for the first, then
    /dev/sdb and on.

    Raises BlockDeviceMappingError for a malformed or repeated name.
    """
    taken = {name for name in given if name is not None}
    if len(taken) != sum(name is not None for name in given):
        raise BlockDeviceMappingError("a device name is given twice")
    names: list[str] = []
    letters = (f"/dev/sd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    for at, name in enumerate(given):
        if name is None and at == 0:
            name = root_device_name or ROOT_DEVICE
        elif name is None:
            name = next((free for free in letters if free not in taken), None)
        if name is None:
            raise BlockDeviceMappingError(
                "an image has at most 26 disks without device names of their own"
            )
        if not _DEVICE.fullmatch(name):
            raise BlockDeviceMappingError(
                f"Invalid device name {name}", hint="for example /dev/sda1 or /dev/xvda"
            )
        names.append(name)
    if len(set(names)) != len(names):
        raise BlockDeviceMappingError("a device name is given twice")
    if root_device_name is not None and names[0] != root_device_name:
        raise BlockDeviceMappingError(
            f"the root device name is {root_device_name}, but the first disk is {names[0]}",
            hint="name the root disk first",
        )
    return names


def image_core(
    request: ImageRequest, volumes: Pairs[str, tuple[str, int]], snapshot_size: Callable[[str], int]
) -> ImageCore:
    """The core of an image whose disks are `volumes`: device name to snapshot id and size in bytes.

    The first volume is the root. `snapshot_size` gives the bytes of another snapshot that a
    mapping names. Raises UsageError, BlockDeviceMappingError, SnapshotNotFoundError.
    """
    if request.architecture is not None and request.architecture not in ARCHITECTURES:
        raise UsageError(
            f"architecture {request.architecture} is not one of {', '.join(ARCHITECTURES)}"
        )
    if request.boot_mode is not None and request.boot_mode not in BOOT_MODES:
        raise UsageError(f"boot mode {request.boot_mode} is not one of {', '.join(BOOT_MODES)}")
    root = next(iter(volumes))
    mappings = {
        device: Mapping(device, snapshot_id, size_gib(size), delete_on_termination=device == root)
        for device, (snapshot_id, size) in volumes.items()
    }
    seen: set[str] = set()
    for given in request.mappings:
        device = str(given.get("DeviceName", ""))
        if device in seen:
            raise BlockDeviceMappingError(f"device {device} is mapped twice")
        seen.add(device)
        mapping = _mapping(device, given, mappings.get(device), snapshot_size)
        if mapping is not None:
            mappings[device] = mapping
    return ImageCore(
        image_id=request.image_id,
        name=request.name,
        owner_id=request.owner_id,
        creation_date=request.creation_date,
        architecture=request.architecture or "x86_64",
        boot_mode=request.boot_mode,
        platform=request.platform,
        root_device_name=root,
        mappings=tuple(mappings.values()),
    )


def _mapping(
    device: str, given: dict[str, Any], disk: Mapping | None, snapshot_size: Callable[[str], int]
) -> Mapping | None:
    """One mapping that the user gave; `disk` is the one that a disk already has there."""
    if not _DEVICE.fullmatch(device):
        raise BlockDeviceMappingError(
            f"Invalid device name {device}", hint="for example DeviceName=/dev/sdf"
        )
    if "NoDevice" in given:
        if disk is not None:
            raise BlockDeviceMappingError(
                f"device {device} is one of the disks; leave the disk out instead"
            )
        return None
    if "VirtualName" in given:
        if (
            disk is not None
            or "Ebs" in given
            or not _EPHEMERAL.fullmatch(str(given["VirtualName"]))
        ):
            raise BlockDeviceMappingError(f"device {device} cannot be {given['VirtualName']}")
        return Mapping(device, virtual_name=str(given["VirtualName"]))
    ebs = given.get("Ebs")
    if not isinstance(ebs, dict):
        raise BlockDeviceMappingError(
            f"the mapping of {device} has neither Ebs, VirtualName nor NoDevice"
        )
    return _ebs_mapping(device, ebs, disk, snapshot_size)


def _ebs_mapping(
    device: str, ebs: dict[str, Any], disk: Mapping | None, snapshot_size: Callable[[str], int]
) -> Mapping:
    unknown = set(ebs) - _EBS_KEYS
    if unknown:
        raise BlockDeviceMappingError(
            f"the mapping of {device} has {sorted(unknown)[0]}, which amictl does not know"
        )
    if ebs.get("Encrypted"):
        raise BlockDeviceMappingError(
            f"device {device} cannot be encrypted here", hint="copy the image with a key"
        )
    if disk is not None and ("SnapshotId" in ebs or "VolumeSize" in ebs):
        raise BlockDeviceMappingError(
            f"device {device} is one of the disks; its snapshot and size are its own"
        )
    snapshot_id = disk.snapshot_id if disk else ebs.get("SnapshotId")
    size = disk.volume_size if disk else ebs.get("VolumeSize")
    if disk is None and snapshot_id is not None:
        least = size_gib(snapshot_size(snapshot_id))
        size = size if size is not None else least
        if size < least:
            raise BlockDeviceMappingError(
                f"device {device} is smaller than its snapshot, which has {least} GiB"
            )
    if size is None or size < 1:
        raise BlockDeviceMappingError(
            f"the mapping of {device} needs a snapshot or a volume size in GiB"
        )
    kind = ebs.get("VolumeType")
    if kind is not None and kind not in VOLUME_TYPES:
        raise BlockDeviceMappingError(f"volume type {kind} is not one of {', '.join(VOLUME_TYPES)}")
    return Mapping(
        device,
        snapshot_id,
        size,
        delete_on_termination=bool(
            ebs.get("DeleteOnTermination", disk.delete_on_termination if disk else False)
        ),
        volume_type=kind,
        iops=ebs.get("Iops"),
        throughput=ebs.get("Throughput"),
    )


def size_gib(size_bytes: int) -> int:
    """A size in GiB, rounded up, as EC2 gives volumes."""
    return -(-size_bytes // GIB)
