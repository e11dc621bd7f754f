"""What a launch makes of an image: its disks after the overrides, each with a file of its own."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amictl.errors import BlockDeviceMappingError, UsageError
from amictl.model.encryption import EncryptionRequest
from amictl.model.images import (
    GIB,
    encryption_request,
    mapping_from,
    require_bootable,
    size_gib,
)
from amictl.model.records import ImageCore, Mapping

_SECRECY = ("Encrypted", "KmsKeyId")
_DEVICE = re.compile(r"(?:/dev/)?([a-z][a-z0-9]{1,31})")

FILE_SIZE_MAX = 2**63 - 1
"""Bytes that the kernel can count to in a file."""

BUNDLED = "ami"
"""The virtual name of a root disk that is in a bundle, as in the bundle's manifest."""

SnapshotSize = Callable[[str], int]
"""The bytes of a snapshot. Raises SnapshotNotFoundError."""


@dataclass(frozen=True, slots=True)
class LaunchedDisk:
    """One device and the file that it is in.

    `volume_id` is None if it is ephemeral; `key_id` is the key of the volume, if it has one.
    """

    mapping: Mapping
    file_name: str
    size_bytes: int
    volume_id: str | None = None
    key_id: str | None = None

    @property
    def kind(self) -> str:
        """snapshot, empty, ephemeral or bundle."""
        if self.mapping.virtual_name == BUNDLED:
            return "bundle"
        if self.mapping.virtual_name is not None:
            return "ephemeral"
        return "empty" if self.mapping.snapshot_id is None else "snapshot"


@dataclass(frozen=True, slots=True)
class Launch:
    """An image whose disks lie in a folder, the root first; the time is ISO 8601."""

    image: ImageCore
    launch_time: str
    disks: tuple[LaunchedDisk, ...]


def overridden(
    image: ImageCore, overrides: Sequence[dict[str, Any]], snapshot_size: SnapshotSize
) -> list[Mapping]:
    """The mappings of an image under those that a launch gives, the root first.

    As EC2's RunInstances: what names a device of the image is merged over its entry, other
    devices are added, NoDevice takes one away; the root keeps its snapshot and never shrinks.
    What is said of encryption is not in them: see `encryption_requests`. Raises
    BlockDeviceMappingError, SnapshotNotFoundError.
    """
    mappings = {one.device_name: one for one in image.mappings}
    seen: set[str] = set()
    for given in overrides:
        device = str(given.get("DeviceName", ""))
        if device in seen:
            raise BlockDeviceMappingError(f"device {device} is mapped twice")
        seen.add(device)
        before = mappings.get(device)
        if before is None and device == image.root_device_name:
            raise BlockDeviceMappingError(
                f"the root device {device} is in the bundle of the image and cannot be mapped"
            )
        after = mapping_from(_merged(given, before), snapshot_size)
        if before is not None and device == image.root_device_name:
            _require_root_kept(before, after)
        if after is None:
            mappings.pop(device, None)
        else:
            mappings[device] = after
    return sorted(mappings.values(), key=lambda one: one.device_name != image.root_device_name)


def encryption_requests(overrides: Sequence[dict[str, Any]]) -> dict[str, EncryptionRequest]:
    """What a launch says of the encryption of disks, by device. Raises UsageError."""
    given = ((str(one.get("DeviceName", "")), one.get("Ebs")) for one in overrides)
    return {
        device: encryption_request(device, ebs) for device, ebs in given if isinstance(ebs, dict)
    }


def planned_disks(
    mappings: Sequence[Mapping],
    snapshot_size: SnapshotSize,
    ephemeral_size_gib: int | None,
    before: Sequence[LaunchedDisk] = (),
) -> tuple[LaunchedDisk, ...]:
    """The disks `before`, and a file for each device, as long as its volume.

    A volume has the exact bytes of its snapshot, or whole GiB where it is mapped to be larger.
    Raises BlockDeviceMappingError, and UsageError if there are ephemeral devices without a size.
    """
    disks = list(before)
    for mapping in mappings:
        size = _size_bytes(mapping, snapshot_size, ephemeral_size_gib)
        if size > FILE_SIZE_MAX:
            raise BlockDeviceMappingError(
                f"device {mapping.device_name} is larger than a file can be"
            )
        disks.append(LaunchedDisk(mapping, file_name(mapping.device_name), size))
    names = [disk.file_name for disk in disks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BlockDeviceMappingError(
            f"two devices would be the file {twice}",
            hint="take one away: DeviceName=...,NoDevice=",
        )
    return tuple(disks)


def bundled_disk(image: ImageCore, size_bytes: int) -> LaunchedDisk:
    """The root disk of an image whose root is in a bundle."""
    root = image.root_device_name
    return LaunchedDisk(Mapping(root, virtual_name=BUNDLED), file_name(root), size_bytes)


def file_name(device_name: str) -> str:
    """`/dev/sda1` is in `sda1.raw`. Raises BlockDeviceMappingError for what is no device."""
    match = _DEVICE.fullmatch(device_name)
    if match is None:
        raise BlockDeviceMappingError(f"Invalid device name {device_name}")
    return f"{match[1]}.raw"


def _merged(given: dict[str, Any], before: Mapping | None) -> dict[str, Any]:
    """A mapping in EC2's shape with what the image's entry says where it says nothing."""
    ebs = given.get("Ebs")
    if not isinstance(ebs, dict):
        return given
    known: dict[str, Any] = {}
    if before is not None and before.virtual_name is None:
        same = ebs.get("SnapshotId", before.snapshot_id) == before.snapshot_id
        known = {
            "SnapshotId": before.snapshot_id,
            "VolumeSize": before.volume_size if same else None,
            "DeleteOnTermination": before.delete_on_termination,
            "VolumeType": before.volume_type,
            "Iops": before.iops,
            "Throughput": before.throughput,
        }
    members = (known | ebs).items()
    merged = {name: value for name, value in members if value is not None and name not in _SECRECY}
    return given | {"Ebs": merged}


def _require_root_kept(before: Mapping, after: Mapping | None) -> None:
    device = before.device_name
    if after is None or after.snapshot_id != before.snapshot_id:
        raise BlockDeviceMappingError(
            f"the root device {device} can neither be taken away nor have another snapshot"
        )
    least = before.volume_size or 0
    if (after.volume_size or 0) < least:
        raise BlockDeviceMappingError(
            f"the root device {device} cannot be smaller than in the image, where it has"
            f" {least} GiB"
        )
    require_bootable(after)


def _size_bytes(
    mapping: Mapping, snapshot_size: SnapshotSize, ephemeral_size_gib: int | None
) -> int:
    if mapping.virtual_name is not None:
        if ephemeral_size_gib is None:
            raise UsageError(
                f"{mapping.device_name} is the ephemeral device {mapping.virtual_name}, which has"
                " no size of its own",
                hint="give --ephemeral-size, or take it away:"
                f" --block-device-mappings DeviceName={mapping.device_name},NoDevice=",
                code="MissingParameter",
            )
        return ephemeral_size_gib * GIB
    wanted = mapping.volume_size or 0
    if mapping.snapshot_id is None:
        return wanted * GIB
    own = snapshot_size(mapping.snapshot_id)
    return wanted * GIB if wanted > size_gib(own) else own
