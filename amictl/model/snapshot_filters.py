"""The filters of DescribeSnapshots, over the shapes of snapshots."""

from collections.abc import Iterable, Mapping
from typing import Any

from amictl.model.filters import Texts, matching, tag_texts, text_of

_FIELDS = {
    "description": "Description",
    "encrypted": "Encrypted",
    "owner-alias": "OwnerAlias",
    "owner-id": "OwnerId",
    "progress": "Progress",
    "snapshot-id": "SnapshotId",
    "start-time": "StartTime",
    "status": "State",
    "storage-tier": "StorageTier",
    "transfer-type": "TransferType",
    "volume-id": "VolumeId",
    "volume-size": "VolumeSize",
}


def _field(key: str) -> Texts:
    return lambda snapshot: text_of(snapshot.get(key))


KNOWN: dict[str, Texts] = {
    **{name: _field(key) for name, key in _FIELDS.items()},
    **tag_texts(lambda snapshot: snapshot.get("Tags", ())),
}


def matching_snapshots(
    snapshots: Iterable[dict[str, Any]], filters: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The shapes that all filters match. Raises UsageError for an unknown filter."""
    return matching(snapshots, filters, KNOWN)
