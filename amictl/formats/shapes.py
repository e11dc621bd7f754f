"""Records in the shapes of EC2's answers: JSON-ready dictionaries with EC2's keys.

Absent fields are left out, as EC2 does. What EC2 has no field for stands in the member `Amictl`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from amictl.formats.framing import PLAIN_DOMAIN
from amictl.model import facts
from amictl.model.images import size_gib
from amictl.model.locks import Lock
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
from amictl.model.times import timestamp

Snapshots = dict[str, SnapshotCore]
"""Cores of snapshots by their ids."""

_CONSISTENCIES = ("crash", "quiesced", "at-rest")
"""The weakest first."""

_SNAPSHOT_INFO = (
    "SnapshotId",
    "VolumeId",
    "State",
    "Progress",
    "StartTime",
    "OwnerId",
    "Description",
    "VolumeSize",
    "Encrypted",
    "Tags",
    "Amictl",
)


def snapshot_shape(
    core: SnapshotCore, attributes: Attributes, key_id: str | None = None
) -> dict[str, Any]:
    """A completed snapshot, as DescribeSnapshots gives it.

    `key_id` is the key of its domain, if that is known.
    """
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
            **_encryption(core, key_id),
            "StorageTier": "standard",
            "Tags": _tags(attributes.tags),
            "Amictl": _without_absent(
                {
                    "SizeBytes": core.size_bytes,
                    "DataBytes": core.data_bytes,
                    "NewBytes": core.new_bytes,
                    "Parent": core.parent,
                    "Unchanged": core.unchanged,
                    "Authenticity": _authenticity(core, attributes),
                    "SourcePath": core.source.path,
                    "SourceSnapshotId": core.fact(facts.SOURCE_SNAPSHOT),
                    "SourceRegion": core.fact(facts.SOURCE_REGION),
                    "GarbageBytes": _garbage_bytes(core) or None,
                    **_freeze(core.freeze),
                }
            ),
        }
    )


def pending_snapshot_shape(
    work: PendingSnapshot, *, alive: bool, died: str = "", key_id: str | None = None
) -> dict[str, Any]:
    """A snapshot that is being made, or whose making failed.

    `died` is the reason if none is recorded, `key_id` the key that it is to be encrypted with.
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
        "Encrypted": key_id is not None,
        "KmsKeyId": key_id,
        "StorageTier": "standard",
        "Tags": _tags(work.tags),
        "Amictl": {"SizeBytes": work.size_bytes, "SourcePath": work.path, **_freeze(work.freeze)},
    }
    return _without_absent(shape)


def tags_member(tags: tuple[Tag, ...]) -> dict[str, Any]:
    """The member `Tags`; nothing where there are none."""
    return _without_absent({"Tags": _tags(tags)})


def copied_member(cores: Sequence[SnapshotCore]) -> dict[str, Any]:
    """What the copying of these snapshots took: stored bytes, and plain bytes of no use."""
    return {
        "Amictl": {
            "NewBytes": sum(core.new_bytes for core in cores),
            "GarbageBytes": sum(map(_garbage_bytes, cores)),
        }
    }


def snapshot_info_shape(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The shape of a snapshot as CreateSnapshots gives it, with fewer members."""
    return {key: snapshot[key] for key in _SNAPSHOT_INFO if key in snapshot}


def lock_shape(lock: Lock, now: datetime) -> dict[str, Any]:
    """The lock of a snapshot, as LockSnapshot gives it, without the snapshot's id."""
    return {
        "LockState": lock.state(now),
        "LockDuration": lock.duration_days,
        "LockCreatedOn": timestamp(lock.created),
        "LockDurationStartTime": timestamp(lock.starts),
        "LockExpiresOn": timestamp(lock.expires),
    }


def image_shape(core: ImageCore, attributes: Attributes) -> dict[str, Any]:
    """A registered image, as DescribeImages gives it, without what its snapshots say."""
    until = attributes.fact(facts.PROTECTED_UNTIL)
    return _image(
        core, attributes.state, attributes.description, attributes.tags
    ) | _without_absent(
        {
            "DeprecationTime": attributes.fact(facts.DEPRECATION_TIME),
            "DeregistrationProtection": attributes.fact(facts.PROTECTION) or "disabled",
            "LastLaunchedTime": attributes.fact(facts.LAST_LAUNCHED_TIME),
            "Amictl": _without_absent(
                {
                    "DeregistrationProtectedUntil": until,
                    "Authenticity": _authenticity(core, attributes),
                }
            )
            or None,
        }
    )


def pending_image_shape(work: PendingImage, *, alive: bool, died: str) -> dict[str, Any]:
    """An image that is being made, or whose making failed; `died` as for snapshots."""
    if alive and work.reason is None:
        return _image(work.image, "pending", work.description, work.tags)
    reason = {"Code": "Server.InternalError", "Message": work.reason or died}
    return _image(work.image, "failed", work.description, work.tags) | {"StateReason": reason}


UNCONFIRMED = {"Authenticity": "unconfirmed"}
"""In the member `Amictl` of what nobody with the key has recorded or confirmed."""


def with_snapshots(
    image: dict[str, Any], snapshots: Snapshots, keys: dict[str, str | None]
) -> dict[str, Any]:
    """The shape of an image with what exists of its snapshots: exact sizes and the moment.

    `keys` are the keys of their domains.
    """
    mappings = [
        _with_snapshot(mapping, snapshots, keys) for mapping in image["BlockDeviceMappings"]
    ]
    ours = (image.get("Amictl") or {}) | (_one_moment(snapshots) or {})
    return _without_absent({**image, "BlockDeviceMappings": mappings, "Amictl": ours or None})


def mapped_snapshots(image: dict[str, Any]) -> list[str]:
    """Ids of the snapshots that the shape of an image names."""
    mapped = (mapping.get("Ebs", {}).get("SnapshotId") for mapping in image["BlockDeviceMappings"])
    return [snapshot_id for snapshot_id in mapped if snapshot_id is not None]


def _with_snapshot(
    mapping: dict[str, Any], snapshots: Snapshots, keys: dict[str, str | None]
) -> dict[str, Any]:
    snapshot = snapshots.get(mapping.get("Ebs", {}).get("SnapshotId", ""))
    if snapshot is None:
        return mapping
    ebs = _without_absent(mapping["Ebs"] | _encryption(snapshot, keys.get(snapshot.domain)))
    return mapping | {"Ebs": ebs, "Amictl": {"SizeBytes": snapshot.size_bytes}}


def _image(core: ImageCore, state: str, description: str, tags: tuple[Tag, ...]) -> dict[str, Any]:
    location = core.fact(facts.IMAGE_LOCATION)
    return _without_absent(
        {
            "ImageId": core.image_id,
            "ImageLocation": location or f"{core.owner_id}/{core.name}",
            "Name": core.name,
            "Description": description or None,
            "State": state,
            "OwnerId": core.owner_id,
            "CreationDate": core.creation_date,
            "Public": False,
            "Architecture": core.architecture,
            "ImageType": "machine",
            "Platform": core.platform,
            "BootMode": core.boot_mode,
            "RootDeviceName": core.root_device_name,
            "RootDeviceType": "ebs" if location is None else "instance-store",
            "VirtualizationType": "hvm",
            "BlockDeviceMappings": [mapping_shape(mapping) for mapping in core.mappings],
            "SourceImageId": core.fact(facts.SOURCE_IMAGE),
            "SourceImageRegion": core.fact(facts.SOURCE_IMAGE_REGION),
            "Tags": _tags(tags),
        }
    )


def mapping_shape(mapping: Mapping) -> dict[str, Any]:
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
    return {"DeviceName": mapping.device_name, "Ebs": _without_absent(ebs)}


def _garbage_bytes(core: SnapshotCore) -> int:
    text = core.fact(facts.GARBAGE_BYTES) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


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


def _encryption(core: SnapshotCore, key_id: str | None) -> dict[str, Any]:
    return {"Encrypted": core.domain != PLAIN_DOMAIN.hex(), "KmsKeyId": key_id}


def _authenticity(core: SnapshotCore | ImageCore, attributes: Attributes) -> str | None:
    """Of a copy that was made without its key, and that no command with the key has confirmed."""
    domain = core.domain if isinstance(core, SnapshotCore) else core.fact(facts.MAC_DOMAIN)
    has_mac = domain in (None, PLAIN_DOMAIN.hex()) or core.signatures
    return None if has_mac or attributes.fact(facts.CONFIRMATION) else "unconfirmed"


def _tags(tags: tuple[Tag, ...]) -> list[dict[str, str]] | None:
    return [{"Key": tag.key, "Value": tag.value} for tag in tags] or None


def _without_absent(shape: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if value is not None}
