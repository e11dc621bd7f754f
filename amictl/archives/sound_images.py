"""Whether an archived image is one that could have been registered."""

from collections.abc import Sequence

from amictl.errors import CorruptStoreError, UsageError
from amictl.formats.framing import refuse
from amictl.model.archives import ArchivedDisk, ArchivedImage, Manifest
from amictl.model.blockmap import SECRET_CUT_ID
from amictl.model.images import (
    ARCHITECTURES,
    BOOT_MODES,
    MAX_VOLUME_SIZE_GIB,
    VOLUME_TYPES,
    require_bootable,
    require_name,
    size_gib,
)
from amictl.model.records import Mapping, Tag
from amictl.model.tags import require_tags
from amictl.model.texts import require_description, require_text

_SIZE_AND_RATE_MAX = 2**31
_CONSISTENCIES = ("at-rest", "quiesced", "crash")


def require_sound_image(manifest: Manifest) -> None:
    """Raises CorruptStoreError for what no program of ours would have registered."""
    image = manifest.image
    try:
        require_name(image.name)
        _require_texts(image.description, image.tags)
        sizes = {disk.snapshot_id: size_gib(disk.size_bytes) for disk in manifest.disks}
        _require_machine(image, sizes)
        for disk in manifest.disks:
            _require_disk(disk)
    except UsageError as error:
        raise CorruptStoreError(f"the image is not sound: {error.message}") from error


def _require_machine(image: ArchivedImage, sizes: dict[str, int]) -> None:
    known = image.architecture in ARCHITECTURES and image.boot_mode in (None, *BOOT_MODES)
    refuse(not known, "the image has an unknown architecture or boot mode")
    refuse(image.platform not in (None, "windows"), "the image has an unknown platform")
    for mapping in image.mappings:
        _require_mapping(mapping, sizes)
        if mapping.device_name == image.root_device_name:
            refuse(mapping.snapshot_id is None, "the root device of the image has no snapshot")
            require_bootable(mapping)


def _require_mapping(mapping: Mapping, sizes: dict[str, int]) -> None:
    device = mapping.device_name
    if mapping.virtual_name is not None:
        is_more = (mapping.snapshot_id, mapping.volume_size, mapping.volume_type) != (None,) * 3
        refuse(is_more, f"{device} is two things at once")
        return
    least = sizes[mapping.snapshot_id] if mapping.snapshot_id is not None else 1
    refuse(
        not least <= (mapping.volume_size or 0) <= max(MAX_VOLUME_SIZE_GIB, least),
        f"{device} has an impossible size",
    )
    refuse(mapping.volume_type not in (None, *VOLUME_TYPES), f"{device} is of an unknown type")
    numbers = (mapping.iops or 0, mapping.throughput or 0)
    refuse(
        not all(0 <= number < _SIZE_AND_RATE_MAX for number in numbers),
        f"{device} has an impossible rate",
    )


def _require_disk(disk: ArchivedDisk) -> None:
    _require_texts(disk.description, disk.tags)
    require_text(disk.source.path, "the path of a disk")
    refuse(
        disk.cut.id == SECRET_CUT_ID and not disk.encrypted,
        f"the disk {disk.snapshot_id} is plain, and cut by a secret",
    )
    refuse(
        disk.freeze.consistency not in _CONSISTENCIES,
        f"the disk {disk.snapshot_id} has an unknown consistency",
    )


def _require_texts(description: str, tags: Sequence[Tag]) -> None:
    """Raises UsageError for what no user may have written."""
    require_description(description)
    require_tags([(tag.key, tag.value) for tag in tags])
