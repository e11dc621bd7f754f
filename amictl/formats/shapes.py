"""Records in the shapes of EC2's answers: JSON-ready dictionaries with EC2's keys.

Absent fields are left out, as EC2 does. What EC2 has no field for stands in the member `Amictl`.
"""

from typing import Any

from amictl.model.images import size_gib
from amictl.model.records import (
    Attributes,
    ImageCore,
    Mapping,
    PendingImage,
    PendingSnapshot,
    SnapshotCore,
    Tag,
)
from amictl.model.source import Freeze

Snapshots = dict[str, SnapshotCore]
"""Cores of snapshots by their ids."""

_CONSISTENCIES = ("crash", "quiesced", "at-rest")
"""The weakest first."""


def snapshot_shape(core: SnapshotCore, attributes: Attributes) -> dict[str, Any]:
    """A completed snapshot, as DescribeSnapshots gives it."""
    return _without_absent(
        {
            "SnapshotId": core.snapshot_id,
            "VolumeId": core.volume_id,
            "State": attributes.state,
            "Progress": "100%",
            "StartTime": core.start_time,
            "CompletionTime": core.completion_time,
            "OwnerId": core.owner_id,
            "Description": attributes.description,
            "VolumeSize": size_gib(core.size_bytes),
            "FullSnapshotSizeInBytes": core.data_bytes,
            "Encrypted": False,
            "StorageTier": "standard",
            "Tags": _tags(attributes.tags),
            "Amictl": _without_absent(
                {
                    "SizeBytes": core.size_bytes,
                    "DataBytes": core.data_bytes,
                    "NewBytes": core.new_bytes,
                    "Parent": core.parent,
                    "Unchanged": core.unchanged,
                    "SourcePath": core.source.path,
                    **_freeze(core.freeze),
                }
            ),
        }
    )


def pending_snapshot_shape(work: PendingSnapshot, *, alive: bool, died: str = "") -> dict[str, Any]:
    """A snapshot that is being made, or whose making failed.

    `died` is the reason if none is recorded.
    """
    pending = alive and work.reason is None
    shape = {
        "SnapshotId": work.snapshot_id,
        "VolumeId": work.volume_id,
        "State": "pending" if pending else "error",
        "StateMessage": None if pending else work.reason or died,
        "Progress": f"{100 * work.done // work.total if work.total else 0}%",
        "StartTime": work.start_time,
        "OwnerId": work.owner_id,
        "Description": work.description,
        "VolumeSize": size_gib(work.size_bytes),
        "Encrypted": False,
        "StorageTier": "standard",
        "Tags": _tags(work.tags),
        "Amictl": {"SizeBytes": work.size_bytes, "SourcePath": work.path, **_freeze(work.freeze)},
    }
    return _without_absent(shape)


def image_shape(core: ImageCore, attributes: Attributes, snapshots: Snapshots) -> dict[str, Any]:
    """A registered image, as DescribeImages gives it, with what exists of its snapshots."""
    return _image(core, attributes.state, attributes.description, attributes.tags, None, snapshots)


def pending_image_shape(
    work: PendingImage, *, alive: bool, snapshots: Snapshots, died: str
) -> dict[str, Any]:
    """An image that is being made, or whose making failed; `died` as for snapshots."""
    pending = alive and work.reason is None
    state = "pending" if pending else "failed"
    return _image(
        work.image,
        state,
        work.description,
        work.tags,
        None if pending else work.reason or died,
        snapshots,
    )


def _image(
    core: ImageCore,
    state: str,
    description: str,
    tags: tuple[Tag, ...],
    reason: str | None,
    snapshots: Snapshots,
) -> dict[str, Any]:
    return _without_absent(
        {
            "ImageId": core.image_id,
            "ImageLocation": f"{core.owner_id}/{core.name}",
            "Name": core.name,
            "Description": description or None,
            "State": state,
            "StateReason": {"Code": "Server.InternalError", "Message": reason} if reason else None,
            "OwnerId": core.owner_id,
            "CreationDate": core.creation_date,
            "Public": False,
            "Architecture": core.architecture,
            "ImageType": "machine",
            "Platform": core.platform,
            "BootMode": core.boot_mode,
            "RootDeviceName": core.root_device_name,
            "RootDeviceType": "ebs",
            "VirtualizationType": "hvm",
            "BlockDeviceMappings": [mapping_shape(mapping, snapshots) for mapping in core.mappings],
            "Tags": _tags(tags),
            "Amictl": _one_moment(snapshots),
        }
    )


def mapping_shape(mapping: Mapping, snapshots: Snapshots) -> dict[str, Any]:
    """One block device mapping."""
    if mapping.virtual_name is not None:
        return {"DeviceName": mapping.device_name, "VirtualName": mapping.virtual_name}
    ebs = {
        "SnapshotId": mapping.snapshot_id,
        "VolumeSize": mapping.volume_size,
        "DeleteOnTermination": mapping.delete_on_termination,
        "VolumeType": mapping.volume_type,
        "Iops": mapping.iops,
        "Throughput": mapping.throughput,
        "Encrypted": False,
    }
    shape: dict[str, Any] = {"DeviceName": mapping.device_name, "Ebs": _without_absent(ebs)}
    if mapping.snapshot_id in snapshots:
        shape["Amictl"] = {"SizeBytes": snapshots[mapping.snapshot_id].size_bytes}
    return shape


def _one_moment(snapshots: Snapshots) -> dict[str, str] | None:
    """When the disks of an image were frozen, and how consistent they are with each other."""
    freezes = [snapshot.freeze for snapshot in snapshots.values()]
    if not freezes:
        return None
    weakest = min(freezes, key=lambda freeze: _CONSISTENCIES.index(freeze.consistency))
    apart = next((freeze for freeze in freezes if not freeze.together), weakest)
    return {
        "Moment": min(freeze.moment for freeze in freezes),
        "Consistency": _freeze(apart)["Consistency"],
    }


def _freeze(freeze: Freeze) -> dict[str, Any]:
    return {
        "Moment": freeze.moment,
        "FreezeMethod": freeze.method,
        "Consistency": freeze.consistency if freeze.together else f"{freeze.consistency}, per disk",
    }


def _tags(tags: tuple[Tag, ...]) -> list[dict[str, str]] | None:
    return [{"Key": tag.key, "Value": tag.value} for tag in tags] or None


def _without_absent(shape: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if value is not None}
