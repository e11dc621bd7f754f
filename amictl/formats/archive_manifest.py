"""manifest.json of an archive: the image, and its disks. amictl-archive(5), MANIFEST."""

import msgspec

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats import records
from amictl.formats.framing import refuse
from amictl.model.archives import VERSION, ArchivedDisk, Manifest
from amictl.model.blockmap import AVERAGE_SIZES, CUT_ID, SECRET_CUT_ID
from amictl.model.records import Mapping, Tag
from amictl.model.times import parse_timestamp

SIZE_MAX = 16 * 1024**2
"""The longest manifest, in bytes, before it is sealed."""

MARKS_MAX = 100_000
"""How often the bytes , : [ { may occur in it: reading takes memory for each."""

FORMAT = "amictl-archive"


class _Head(msgspec.Struct, rename="pascal"):
    format: str
    version: int


def encode(manifest: Manifest) -> bytes:
    """The document. Equal manifests give equal bytes."""
    return records.encode_plain(manifest) + b"\n"


def decode(data: bytes, place: str) -> Manifest:
    """Raises CorruptStoreError, naming `place`, unless `encode` could have written `data` of an
    image that holds together; UnsupportedError for a newer version.
    """
    require_version(data, FORMAT, SIZE_MAX, place)
    marks = sum(data.count(mark) for mark in (b",", b":", b"[", b"{"))
    refuse(marks > MARKS_MAX, f"{place} says more than a manifest can")
    manifest = records.decode_plain(data[:-1], Manifest, place)
    try:
        _require_sound(manifest)
    except CorruptStoreError as error:
        raise CorruptStoreError(f"{place}: {error.message}") from error
    return manifest


def require_version(data: bytes, name: str, size_max: int, place: str) -> None:
    """Raises CorruptStoreError unless `data` is a JSON document of this format, with its newline;
    UnsupportedError if it is of a newer version.
    """
    refuse(len(data) > size_max, f"{place} is over {size_max} bytes")
    refuse(not data.endswith(b"}\n"), f"{place} is truncated, or not a JSON document")
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptStoreError(f"{place} cannot be read: {error}") from error
    refuse(head.format != name, f"{place} is not of format {name}")
    if head.version > VERSION:
        raise UnsupportedError(
            f"{place} has format version {head.version}; this amictl knows {VERSION}",
            hint="use a newer amictl",
        )
    refuse(head.version != VERSION, f"{place} has an impossible version")


def mapped_snapshots(mappings: tuple[Mapping, ...]) -> list[str]:
    """The snapshots of these mappings in the order of the disks: each where it is first named."""
    return list(dict.fromkeys(each.snapshot_id for each in mappings if each.snapshot_id))


def _require_sound(manifest: Manifest) -> None:
    """What the types of single fields cannot say."""
    image = manifest.image
    devices = [mapping.device_name for mapping in image.mappings]
    refuse(image.root_device_name not in devices, "the image does not map its root device")
    refuse(len(set(devices)) != len(devices), "the image maps a device twice")
    refuse(
        [disk.snapshot_id for disk in manifest.disks] != mapped_snapshots(image.mappings),
        "the disks are not the snapshots that the image maps, in their order",
    )
    _require_time(manifest.stored)
    _require_time(image.creation_date)
    _require_sorted(image.tags, image.further)
    for disk in manifest.disks:
        _require_sound_disk(disk)
        refuse(disk.encrypted and not manifest.encrypted, "a plain archive has an encrypted disk")


def _require_sound_disk(disk: ArchivedDisk) -> None:
    where = f"the disk {disk.snapshot_id}"
    if disk.hash != "blake3" or disk.cut.id not in (CUT_ID, SECRET_CUT_ID):
        raise UnsupportedError(
            f"{where} has a hash or a cut that this amictl does not know", hint="use a newer amictl"
        )
    refuse(disk.cut.average not in AVERAGE_SIZES, f"{where} has an impossible cut")
    refuse(
        (disk.cut_secret is not None) != (disk.cut.id == SECRET_CUT_ID),
        f"{where} has a secret that does not go with its cut",
    )
    refuse(
        not 0 < disk.size_bytes <= records.VOLUME_SIZE_MAX or disk.data_bytes > disk.size_bytes,
        f"{where} has an impossible size",
    )
    refuse(
        disk.encrypted != (disk.kms_key_id is not None),
        f"{where} is encrypted without a key, or has one and is not",
    )
    _require_time(disk.start_time)
    _require_time(disk.freeze.moment)
    _require_sorted(disk.tags, disk.further)


def _require_sorted(*lists: tuple[Tag, ...]) -> None:
    for tags in lists:
        keys = [tag.key for tag in tags]
        refuse(keys != sorted(set(keys)), "tags are not in order, or one is there twice")


def _require_time(text: str) -> None:
    try:
        aware = parse_timestamp(text).tzinfo is not None
    except ValueError:
        aware = False
    refuse(not aware, f"the time {text[:40]!r} is impossible")
