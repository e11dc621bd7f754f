"""Volumes in the shape of EC2's answers. What EC2 has no field for stands in `Amictl`."""

from typing import Any

from amictl.model.images import size_gib
from amictl.model.volumes import IN_USE, DiskState, Volume


def volume_shape(volume: Volume, state: DiskState) -> dict[str, Any]:
    """A volume as DescribeVolumes gives it; the size is that of the disk, if it is there."""
    size = state.size_bytes if state.size_bytes is not None else volume.size_bytes
    shape = {
        "VolumeId": volume.volume_id,
        "State": state.state,
        "Size": None if size is None else size_gib(size),
        "SnapshotId": volume.snapshot_id,
        "CreateTime": volume.create_time,
        "Encrypted": volume.key_id is not None,
        "KmsKeyId": volume.key_id,
        "Attachments": [_attachment(volume)] if state.state == IN_USE else [],
        "Tags": [{"Key": tag.key, "Value": tag.value} for tag in volume.tags] or None,
        "Amictl": _present(
            {
                "Path": volume.path,
                "SizeBytes": size,
                "WrittenByAmictl": volume.is_written,
                "ImageId": volume.image_id,
                "DeviceName": volume.device_name,
                "NextParent": volume.next_parent,
                "StateReason": state.reason,
            }
        ),
    }
    return _present(shape)


def damaged_volume_shape(volume_id: str, reason: str) -> dict[str, Any]:
    """A volume whose record cannot be read."""
    return {"VolumeId": volume_id, "State": "error", "Amictl": {"StateReason": reason}}


def _attachment(volume: Volume) -> dict[str, Any]:
    """Somebody has the disk; who, only the kernel knows."""
    return _present(
        {"VolumeId": volume.volume_id, "Device": volume.device_name, "State": "attached"}
    )


def _present(shape: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if value is not None}
