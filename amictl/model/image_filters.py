"""The filters of DescribeImages, over the shapes of images."""

from collections.abc import Iterable, Mapping
from typing import Any

from amictl.model.filters import Texts, matching, tag_texts, text_of

_FIELDS = {
    "architecture": "Architecture",
    "creation-date": "CreationDate",
    "description": "Description",
    "image-id": "ImageId",
    "image-type": "ImageType",
    "is-public": "Public",
    "kernel-id": "KernelId",
    "manifest-location": "ImageLocation",
    "name": "Name",
    "owner-alias": "ImageOwnerAlias",
    "owner-id": "OwnerId",
    "platform": "Platform",
    "ramdisk-id": "RamdiskId",
    "root-device-name": "RootDeviceName",
    "root-device-type": "RootDeviceType",
    "source-image-id": "SourceImageId",
    "source-image-region": "SourceImageRegion",
    "source-instance-id": "SourceInstanceId",
    "state": "State",
    "virtualization-type": "VirtualizationType",
}
_EBS_FIELDS = {
    "delete-on-termination": "DeleteOnTermination",
    "encrypted": "Encrypted",
    "snapshot-id": "SnapshotId",
    "volume-size": "VolumeSize",
    "volume-type": "VolumeType",
}
_NOT_HERE = {  # by what stands before the first dot
    "ena-support": "there are no network adapters of EC2",
    "free-tier-eligible": "nothing is billed",
    "hypervisor": "amictl does not decide what runs an image",
    "image-watermark": "images carry no watermarks",
    "image-allowed": "there are no settings for allowed images",
    "product-code": "nothing is sold",
    "public-ssm-parameter-name": "there are no parameters that name images",
    "sriov-net-support": "there are no network adapters of EC2",
}


def _field(key: str) -> Texts:
    return lambda image: text_of(image.get(key))


def _ebs_field(key: str) -> Texts:
    return lambda image: [
        text
        for mapping in image.get("BlockDeviceMappings", ())
        for text in text_of(mapping.get("Ebs", {}).get(key))
    ]


def _reason_field(key: str) -> Texts:
    return lambda image: text_of(image.get("StateReason", {}).get(key))


def _devices(image: Any) -> list[str]:
    return [mapping["DeviceName"] for mapping in image.get("BlockDeviceMappings", ())]


KNOWN: dict[str, Texts] = {
    **{name: _field(key) for name, key in _FIELDS.items()},
    **{f"block-device-mapping.{name}": _ebs_field(key) for name, key in _EBS_FIELDS.items()},
    "block-device-mapping.device-name": _devices,
    "state-reason-code": _reason_field("Code"),
    "state-reason-message": _reason_field("Message"),
    **tag_texts(lambda image: image.get("Tags", ())),
}


def matching_images(
    images: Iterable[dict[str, Any]], filters: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The shapes that all filters match.

    Raises UsageError for an unknown filter, UnsupportedError for one that has no meaning here.
    """
    return matching(images, filters, KNOWN, _NOT_HERE)
