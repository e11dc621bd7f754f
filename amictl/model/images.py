"""What makes an image: its name, its devices, its block device mappings. EC2's CreateImage."""

import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Pairs
from dataclasses import dataclass
from typing import Any

from amictl.errors import (
    BlockDeviceMappingError,
    ImageNameMalformedError,
    UnsupportedError,
    UsageError,
)
from amictl.model.encryption import EncryptionRequest
from amictl.model.records import ImageCore, Mapping

ROOT_DEVICE = "/dev/sda1"
USUAL_ROOTS = (ROOT_DEVICE, "/dev/xvda")
DEFAULT_ARCHITECTURE = "x86_64"
ARCHITECTURES = ("i386", "x86_64", "arm64")
BOOT_MODES = ("legacy-bios", "uefi", "uefi-preferred")
VOLUME_TYPES = ("standard", "io1", "io2", "gp2", "gp3", "sc1", "st1")
MAX_VOLUME_SIZE_GIB = 65_536
GIB = 1024**3

_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
_DEVICE = re.compile(r"/dev/[a-z][a-z0-9]{1,31}|xvd[a-z]{1,2}")
_NO_BOOT_TYPES = ("sc1", "st1")
_EPHEMERAL = re.compile(r"ephemeral([0-9]|1[0-9]|2[0-3])")
_EBS_KEYS = {
    "SnapshotId",
    "VolumeSize",
    "DeleteOnTermination",
    "VolumeType",
    "Iops",
    "Throughput",
    "Encrypted",
    "KmsKeyId",
}
_EBS_NOT_HERE = {
    "AvailabilityZone": "a region is one directory and has no zones",
    "AvailabilityZoneId": "a region is one directory and has no zones",
    "EbsCardIndex": "which adapter a disk hangs on is decided by the hypervisor",
    "OutpostArn": "there are no outposts",
    "VolumeInitializationRate": "a volume is whole as soon as it is there",
}
_MAC_ARCHITECTURES = ("x86_64_mac", "arm64_mac")


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
    request: ImageRequest,
    volumes: Pairs[str, tuple[str, int]],
    snapshot_size: Callable[[str], int],
) -> ImageCore:
    """The image of these volumes: device name to snapshot id and size in bytes, in order.

    The first volume is the root. `snapshot_size` gives the bytes of another snapshot that a
    mapping names. Raises UsageError, BlockDeviceMappingError, SnapshotNotFoundError, and
    UnsupportedError for what has no meaning here.
    """
    root = next(iter(volumes))
    disks = {
        device: Mapping(device, snapshot_id, size_gib(size), delete_on_termination=device == root)
        for device, (snapshot_id, size) in volumes.items()
    }
    return _core(request, root, disks | _mappings(request, root, disks, snapshot_size))


def registered_core(
    request: ImageRequest, root_device_name: str | None, snapshot_size: Callable[[str], int]
) -> ImageCore:
    """The image that only mappings make. EC2's RegisterImage.

    Without a name the root is the only device with a snapshot, else the one with a usual name.
    Raises as `image_core`.
    """
    root = root_device_name or _likely_root(request.mappings)
    mappings = _mappings(request, root, {}, snapshot_size)
    if root not in mappings or mappings[root].snapshot_id is None:
        mapped = " or ".join(_with_snapshot(request.mappings))
        hint = f"map one: DeviceName={root},Ebs={{SnapshotId=snap-...}}"
        raise BlockDeviceMappingError(
            f"the root device {root} has no snapshot",
            hint=f"{hint}; or give --root-device-name {mapped}" if mapped else hint,
        )
    return _core(request, root, mappings)


def bundled_core(
    request: ImageRequest, root: str, snapshot_size: Callable[[str], int]
) -> ImageCore:
    """The image whose root disk is a bundle, so that nothing maps it. Raises as `image_core`."""
    mappings = _mappings(request, root, {}, snapshot_size)
    if root in mappings:
        raise BlockDeviceMappingError(f"the root device {root} is in the bundle: map it nowhere")
    return _core(request, root, mappings)


def root_mapping(core: ImageCore) -> Mapping:
    """The mapping of the root device, which every image has but those of bundles."""
    return next(one for one in core.mappings if one.device_name == core.root_device_name)


def mapping_from(given: dict[str, Any], snapshot_size: Callable[[str], int]) -> Mapping | None:
    """A mapping that stands for itself, from EC2's shape; None for NoDevice.

    Raises BlockDeviceMappingError, SnapshotNotFoundError.
    """
    return _mapping(str(given.get("DeviceName", "")), given, None, snapshot_size)


def _with_snapshot(mappings: Sequence[dict[str, Any]]) -> list[str]:
    """The devices that a snapshot is mapped to."""
    return [
        str(given.get("DeviceName"))
        for given in mappings
        if isinstance(given.get("Ebs"), dict) and "SnapshotId" in given["Ebs"]
    ]


def _likely_root(mappings: Sequence[dict[str, Any]]) -> str:
    with_snapshot = _with_snapshot(mappings)
    usual = [device for device in with_snapshot if device in USUAL_ROOTS]
    for names in (with_snapshot, usual):
        if len(names) == 1:
            return names[0]
    mapped = " or ".join(with_snapshot)
    raise UsageError(
        "The request must contain the parameter RootDeviceName",
        hint=f"give --root-device-name {mapped}"
        if mapped
        else f"map a snapshot: DeviceName={ROOT_DEVICE},Ebs={{SnapshotId=snap-...}}",
        code="MissingParameter",
    )


def _core(request: ImageRequest, root: str, mappings: dict[str, Mapping]) -> ImageCore:
    if request.architecture in _MAC_ARCHITECTURES:
        raise UnsupportedError(
            f"architecture {request.architecture}: such images start on machines of Apple only"
        )
    if request.architecture is not None and request.architecture not in ARCHITECTURES:
        raise UsageError(
            f"architecture {request.architecture} is not one of {', '.join(ARCHITECTURES)}"
        )
    if request.boot_mode is not None and request.boot_mode not in BOOT_MODES:
        raise UsageError(f"boot mode {request.boot_mode} is not one of {', '.join(BOOT_MODES)}")
    if root in mappings:
        require_bootable(mappings[root])
    return ImageCore(
        image_id=request.image_id,
        name=request.name,
        owner_id=request.owner_id,
        creation_date=request.creation_date,
        architecture=request.architecture or DEFAULT_ARCHITECTURE,
        boot_mode=request.boot_mode,
        platform=request.platform,
        root_device_name=root,
        mappings=tuple(mappings.values()),
    )


def _mappings(
    request: ImageRequest,
    root: str,
    disks: dict[str, Mapping],
    snapshot_size: Callable[[str], int],
) -> dict[str, Mapping]:
    """The mappings that the user gave, by device."""
    found: dict[str, Mapping] = {}
    seen: set[str] = set()
    for given in request.mappings:
        device = str(given.get("DeviceName", ""))
        if device in seen:
            raise BlockDeviceMappingError(f"device {device} is mapped twice")
        seen.add(device)
        if device == root and device not in disks and isinstance(given.get("Ebs"), dict):
            # As the root disk of CreateImage: it goes with its instance.
            given = {**given, "Ebs": {"DeleteOnTermination": True, **given["Ebs"]}}
        mapping = _mapping(device, given, disks.get(device), snapshot_size)
        if mapping is not None:
            found[device] = mapping
    return found


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
    _require_known(device, ebs)
    _require_unsaid(device, ebs, disk)
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
    if ebs.get("VolumeSize", 1) > MAX_VOLUME_SIZE_GIB:
        raise BlockDeviceMappingError(
            f"device {device} is larger than {MAX_VOLUME_SIZE_GIB} GiB, which no volume can be"
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


def require_same_encryption(
    mappings: Sequence[dict[str, Any]], keys: Pairs[str, str | None]
) -> None:
    """Raises BlockDeviceMappingError if mappings say that disks are encrypted otherwise than they
    are. `keys` has the key of each device with a disk or a snapshot, None of one that is plain.
    """
    for given in mappings:
        device, ebs = str(given.get("DeviceName", "")), given.get("Ebs")
        if device not in keys or not isinstance(ebs, dict) or "Encrypted" not in ebs:
            continue
        if bool(ebs["Encrypted"]) != (keys[device] is not None):
            state = "not encrypted" if keys[device] is None else f"encrypted with {keys[device]}"
            raise BlockDeviceMappingError(
                f"an image cannot change the encryption of device {device}, which is {state}",
                hint="leave Encrypted out; copy-image --encrypted makes a copy with a key",
            )


def _require_unsaid(device: str, ebs: dict[str, Any], disk: Mapping | None) -> None:
    """An image does not say how its disks are encrypted: their snapshots do.

    What is said of a disk that is one of the image's own is left to who knows its key.
    """
    encryption_request(device, ebs)
    if "KmsKeyId" in ebs:
        raise UnsupportedError(
            f"KmsKeyId in the mapping of {device}: no image chooses the key of a disk",
            hint="give it to launch-image, or encrypt the snapshot: amictl copy-snapshot",
        )
    if disk is not None or not ebs.get("Encrypted"):
        return
    if ebs.get("SnapshotId") is not None:
        raise BlockDeviceMappingError(
            f"the encrypted flag cannot be specified since device {device} has a snapshot"
            " specified",
            hint="leave Encrypted out: the disk is as its snapshot is",
        )
    raise BlockDeviceMappingError(
        f"device {device} is an empty volume, whose key no image keeps",
        hint="leave Encrypted out, and give it to launch-image",
    )


def encryption_request(device: str, ebs: dict[str, Any]) -> EncryptionRequest:
    """What a mapping says of the encryption of a device. Raises UsageError."""
    request = EncryptionRequest(ebs.get("Encrypted"), ebs.get("KmsKeyId"))
    if request.kms_key_id is not None and not request.encrypted:
        raise UsageError(
            f"The parameter [KmsKeyId] of device {device} requires the parameter Encrypted to be"
            " set.",
            hint="add Encrypted=true",
            code="InvalidParameterDependency",
        )
    return request


def _require_known(device: str, ebs: dict[str, Any]) -> None:
    for key in sorted(ebs):
        if key in _EBS_NOT_HERE:
            raise UnsupportedError(
                f"{key} in the mapping of {device} has no meaning here: {_EBS_NOT_HERE[key]}"
            )
        if key not in _EBS_KEYS:
            raise BlockDeviceMappingError(
                f"the mapping of {device} has {key}, which amictl does not know"
            )


def require_bootable(root: Mapping) -> None:
    """Raises BlockDeviceMappingError if EC2 boots from no volume of this type."""
    if root.volume_type in _NO_BOOT_TYPES:
        raise BlockDeviceMappingError(
            f"the root device {root.device_name} cannot be of volume type {root.volume_type}",
            code="BootForVolumeTypeUnsupported",
        )


def size_gib(size_bytes: int) -> int:
    """A size in GiB, rounded up, as EC2 gives volumes."""
    return -(-size_bytes // GIB)
