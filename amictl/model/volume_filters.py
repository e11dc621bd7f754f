"""The filters of DescribeVolumes, over the shapes of volumes."""

from collections.abc import Iterable, Mapping
from typing import Any

from amictl.model.filters import Texts, matching, tag_texts, text_of

_FIELDS = {
    "create-time": "CreateTime",
    "encrypted": "Encrypted",
    "size": "Size",
    "snapshot-id": "SnapshotId",
    "status": "State",
    "volume-id": "VolumeId",
}
_NO_ZONES = "a region is one directory and has no zones"
_NO_INSTANCE = "amictl knows who has a disk open, and no instance that it is attached to"
_NOT_HERE = {  # by the name, or by what stands before the first dot
    "attachment.attach-time": _NO_INSTANCE,
    "attachment.delete-on-termination": _NO_INSTANCE,
    "attachment.instance-id": _NO_INSTANCE,
    "availability-zone": _NO_ZONES,
    "availability-zone-id": _NO_ZONES,
    "fast-restored": "a volume is whole when it is made",
    "multi-attach-enabled": "whether machines may share a file is decided by the hypervisor",
    "operator": "no service manages volumes in your place",
    "source-volume-id": "volumes are made of snapshots",
    "volume-type": "a volume is a file or a block device, as fast as the disk that it lies on",
}


def _field(key: str) -> Texts:
    return lambda volume: text_of(volume.get(key))


def _attached(key: str) -> Texts:
    return lambda volume: [
        text for one in volume.get("Attachments", ()) for text in text_of(one.get(key))
    ]


KNOWN: dict[str, Texts] = {
    **{name: _field(key) for name, key in _FIELDS.items()},
    "attachment.device": _attached("Device"),
    "attachment.status": _attached("State"),
    **tag_texts(lambda volume: volume.get("Tags", ())),
}


def matching_volumes(
    volumes: Iterable[dict[str, Any]], filters: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The shapes that all filters match.

    Raises UsageError for an unknown filter, UnsupportedError for one that has no meaning here.
    """
    return matching(volumes, filters, KNOWN, _NOT_HERE)
