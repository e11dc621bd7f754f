"""Archives in the shape that commands show: JSON-ready dictionaries."""

from typing import Any

from amictl.formats import shapes
from amictl.formats.archive_members import is_sealed, place_of
from amictl.model.archives import ArchivedDisk, ArchivedImage, Manifest, Members


def archive_shape(
    members: Members,
    manifest: Manifest | None,
    *,
    location: str,
    size_bytes: int,
    is_signed: bool,
    signer: str | None,
    is_trusted: bool | None,
) -> dict[str, Any]:
    """What is known of an archive; without a manifest, what is not sealed.

    `signer` is the fingerprint of the key that signed it, if that is known; `is_trusted` whether it
    is, or None where nobody was trusted beforehand.
    """
    shape: dict[str, Any] = {
        "ArchiveId": members.archive_id,
        "Location": location,
        "SizeBytes": size_bytes,
        "Stored": members.stored,
        "Encrypted": is_sealed(members),
        "Signed": is_signed,
        "MemberCount": len(members.members),
    }
    if is_trusted is not None:
        shape["Trusted"] = is_trusted
    if signer is not None:
        shape["SignedBy"] = signer
    if manifest is not None:
        shape["Image"] = _image_shape(manifest.image)
    shape["Disks"] = _disk_shapes(members, manifest)
    return shape


def _image_shape(image: ArchivedImage) -> dict[str, Any]:
    optional = {
        "Description": image.description or None,
        "BootMode": image.boot_mode,
        "Platform": image.platform,
    }
    return {
        "ImageId": image.image_id,
        "Name": image.name,
        "OwnerId": image.owner_id,
        "CreationDate": image.creation_date,
        "Architecture": image.architecture,
        **{key: value for key, value in optional.items() if value is not None},
        "RootDeviceName": image.root_device_name,
        "BlockDeviceMappings": [shapes.mapping_shape(mapping) for mapping in image.mappings],
        **shapes.tags_member(image.tags),
    }


def _disk_shapes(members: Members, manifest: Manifest | None) -> list[dict[str, Any]]:
    """For each disk what its members take, and what the manifest says of it."""
    found: list[dict[str, Any]] = []
    for member in members.members:
        place = place_of(member.name)
        if place is None:
            continue
        if place[0] == len(found):
            found.append({"Disk": place[0], "MemberCount": 0, "StoredBytes": 0})
        found[-1]["MemberCount"] += 1
        found[-1]["StoredBytes"] += member.size
    if manifest is not None:
        for shape, disk in zip(found, manifest.disks, strict=True):
            shape |= _disk_shape(disk)
    return found


def _disk_shape(disk: ArchivedDisk) -> dict[str, Any]:
    key = {"KmsKeyId": disk.kms_key_id} if disk.kms_key_id is not None else {}
    return {
        "SnapshotId": disk.snapshot_id,
        "SizeBytes": disk.size_bytes,
        "DataBytes": disk.data_bytes,
        "Encrypted": disk.encrypted,
        **key,
        "Moment": disk.freeze.moment,
        "SourcePath": disk.source.path,
        "Description": disk.description,
        **shapes.tags_member(disk.tags),
    }
