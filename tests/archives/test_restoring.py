"""Images from archives: what they become in a region, and what is refused."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from pyrage import x25519

from amictl.actions.unarchiving import RestoreImageRequest, restore_image
from amictl.archives.sealed import OpenKey
from amictl.errors import (
    AmictlError,
    DryRunError,
    ImageNameDuplicateError,
    InvalidArchiveError,
    KeyUnavailableError,
    StorageError,
)
from amictl.formats import archive_manifest
from amictl.model.archives import MANIFEST, Blank
from amictl.model.blockmap import Leaf
from amictl.model.records import ImageCore, SnapshotCore
from amictl.model.tasks import COMPLETED, FAILED, RESTORE_IMAGE
from amictl.storage.object_files import FileSource
from amictl.store import catalog, pending, tasks
from amictl.store.lineages import is_encrypted
from tests.archives import raw_archives
from tests.archives.raw_archives import (
    Disk,
    Parts,
    chunks,
    mebibytes,
    plain_archive,
    sealed_archive,
)
from tests.workshop import SEGMENT, Keys, Workshop, ignore

CONTENT = b"".join(
    (
        b"boot" * 1000,
        bytes(SEGMENT - 4000),
        random.Random(7).randbytes(SEGMENT),
        bytes(2 * SEGMENT),
        random.Random(8).randbytes(SEGMENT // 2),
        b"text " * 100_000,
        b"tail",
    )
)
"""Five segments: little data, noise, zeros twice, and a tail."""


class Source(FileSource):
    """A file of which is known what was read; what begins in `broken` cannot be."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read_bytes = 0
        self.broken = range(0)

    def read(self, offset: int, length: int) -> bytes:
        if offset in self.broken:
            raise StorageError("the cable is out")
        self.read_bytes += length
        return super().read(offset, length)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def no_key(data: bytes, place: str) -> bytes:
    raise KeyUnavailableError(f"no key opens {place}")


def source_of(workshop: Workshop, archive: Parts | bytes) -> Source:
    """An archive in a file."""
    data = archive if isinstance(archive, bytes) else archive.joined()
    path = workshop.folder / "archive.bin"
    path.write_bytes(data)
    return Source(path)


def restored(
    workshop: Workshop,
    archive: Parts | bytes | Source,
    open_key: OpenKey = no_key,
    on_begun: Callable[[dict[str, Any]], None] = ignore,
    **words: Any,
) -> str:
    """The id of the image."""
    source = archive if isinstance(archive, Source) else source_of(workshop, archive)
    request = RestoreImageRequest("backups", "archive.bin", **words)
    with workshop.open() as store:
        result = restore_image(store, source, open_key, request, workshop.surroundings, on_begun)
    source.close()
    return str(result["ImageId"])


def image_of(workshop: Workshop, image_id: str) -> ImageCore:
    with workshop.open() as store:
        return catalog.read_image_core(store, image_id)


def snapshots_of(workshop: Workshop, image_id: str) -> list[SnapshotCore]:
    """What an image maps, in the order of its devices."""
    image = image_of(workshop, image_id)
    return [workshop.core(one.snapshot_id) for one in image.mappings if one.snapshot_id]


def contents_of(workshop: Workshop, image_id: str) -> list[bytes]:
    return [workshop.restored(core.snapshot_id) for core in snapshots_of(workshop, image_id)]


@pytest.mark.parametrize("frames", [mebibytes, chunks])
@pytest.mark.parametrize("holes", [True, False])
def test_an_image_comes_back_bit_for_bit(
    workshop: Workshop, frames: Callable[[Leaf], list[int]], holes: bool
) -> None:
    other = workshop.noise(SEGMENT + 5, seed=3)

    image_id = restored(workshop, plain_archive(Disk(CONTENT, frames, holes=holes), Disk(other)))

    assert contents_of(workshop, image_id) == [CONTENT, other]
    assert workshop.check(read_data=True)["Faults"] == []


def test_it_has_new_ids_and_what_it_was_called(workshop: Workshop) -> None:
    image_id = restored(
        workshop,
        plain_archive(Disk(CONTENT)),
        image_tags={"from": "usb"},
        snapshot_tags={"disk": "first"},
    )

    image = image_of(workshop, image_id)
    (snapshot,) = snapshots_of(workshop, image_id)
    with workshop.open() as store:
        tags = {tag.key: tag.value for tag in catalog.read_attributes(store, image_id).tags}
        attributes = catalog.read_attributes(store, snapshot.snapshot_id)
        owner = store.config.owner_id
    assert image_id != raw_archives.IMAGE_ID
    assert (image.name, image.owner_id, image.boot_mode) == ("web", owner, "uefi")
    assert image.fact("source-image-id") == raw_archives.IMAGE_ID
    assert tags == {"stage": "prod", "from": "usb"}
    assert snapshot.snapshot_id != raw_archives.snapshot_id(0)
    assert snapshot.fact("source-snapshot-id") == raw_archives.snapshot_id(0)
    assert snapshot.owner_id == owner
    assert snapshot.start_time > snapshot.freeze.moment == raw_archives.STORED
    assert attributes.description == "disk 0"
    assert [(tag.key, tag.value) for tag in attributes.tags] == [("disk", "first")]


def test_two_devices_can_share_a_disk(workshop: Workshop) -> None:
    parts = plain_archive(Disk(CONTENT))
    manifest = raw_archives.manifest_of([Disk(CONTENT)])
    (mapping,) = manifest.image.mappings
    both = (mapping, replace(mapping, device_name="/dev/sdb"))
    manifest = replace(manifest, image=replace(manifest.image, mappings=both))

    image_id = restored(workshop, parts.with_member(MANIFEST, archive_manifest.encode(manifest)))

    first, second = image_of(workshop, image_id).mappings
    assert first.snapshot_id == second.snapshot_id


def test_the_name_must_be_free(workshop: Workshop) -> None:
    archive = plain_archive(Disk(CONTENT))
    restored(workshop, archive)

    with pytest.raises(ImageNameDuplicateError):
        restored(workshop, archive)
    other = restored(workshop, archive, name="other")

    assert image_of(workshop, other).name == "other"


def test_a_dry_run_leaves_nothing(workshop: Workshop) -> None:
    before = sorted(workshop.root.rglob("*"))

    with pytest.raises(DryRunError):
        restored(workshop, plain_archive(Disk(CONTENT)), dry_run=True)

    assert sorted(workshop.root.rglob("*")) == before


def test_of_what_is_there_nothing_is_read_or_stored_again(workshop: Workshop) -> None:
    archive = plain_archive(Disk(CONTENT), Disk(workshop.noise(3 * SEGMENT)))
    restored(workshop, archive)
    source = source_of(workshop, archive)

    again = restored(workshop, source, name="again")

    assert [core.new_bytes for core in snapshots_of(workshop, again)] == [0, 0]
    assert source.read_bytes < 80_000


def test_of_a_disk_that_changed_only_the_segments_that_did_are_read(workshop: Workshop) -> None:
    content = workshop.noise(6 * SEGMENT)
    restored(workshop, plain_archive(Disk(content)))
    changed = content[: 4 * SEGMENT] + b"x" + content[4 * SEGMENT + 1 :]
    source = source_of(workshop, plain_archive(Disk(changed), per_member=6))

    image_id = restored(workshop, source, name="changed")

    assert contents_of(workshop, image_id) == [changed]
    assert source.read_bytes < SEGMENT + 600_000


def test_frames_that_fit_are_stored_as_they_came(workshop: Workshop) -> None:
    text = b"".join(f"line {number}\n".encode() for number in range(300_000))
    archive = plain_archive(Disk(text, frames=chunks))

    image_id = restored(workshop, archive)

    with workshop.packs(0)[0].open("rb") as file:
        packed = file.read()
    member = dict(archive.members)["disk-0/000000.zst"]
    first = member.index(b"\x28\xb5\x2f\xfd")
    second = member.index(b"\x28\xb5\x2f\xfd", first + 1)
    assert member[first:second] in packed
    assert contents_of(workshop, image_id) == [text]


def test_frames_that_hardly_shrink_are_stored_as_they_are(workshop: Workshop) -> None:
    noise = workshop.noise(SEGMENT)

    restored(workshop, plain_archive(Disk(noise, frames=chunks)))

    assert any(noise[:4096] in path.read_bytes() for path in workshop.packs(0))


def test_the_next_snapshot_of_the_disk_is_an_increment(workshop: Workshop) -> None:
    disk = workshop.file("disk.raw", CONTENT)
    manifest = raw_archives.manifest_of([Disk(CONTENT, holes=False)])
    (archived,) = manifest.disks
    there = replace(archived, source=replace(archived.source, path=str(disk)))
    parts = plain_archive(Disk(CONTENT, holes=False)).with_member(
        MANIFEST, archive_manifest.encode(replace(manifest, disks=(there,)))
    )

    (snapshot,) = snapshots_of(workshop, restored(workshop, parts))

    following = workshop.snapshot(disk)
    assert following["Amictl"]["Parent"] == snapshot.snapshot_id
    assert following["Amictl"]["NewBytes"] == 0


def test_an_archive_says_nothing_of_a_disk_that_happens_to_have_its_path(
    workshop: Workshop,
) -> None:
    disk = workshop.file("disk.raw", workshop.noise(SEGMENT, seed=5))
    own = workshop.snapshot_id(disk)
    manifest = raw_archives.manifest_of([Disk(CONTENT)])
    (archived,) = manifest.disks
    there = replace(archived, source=replace(archived.source, path=str(disk)))
    parts = plain_archive(Disk(CONTENT)).with_member(
        MANIFEST, archive_manifest.encode(replace(manifest, disks=(there,)))
    )

    (snapshot,) = snapshots_of(workshop, restored(workshop, parts))

    assert snapshot.volume_id != workshop.core(own).volume_id
    assert workshop.snapshot(disk)["Amictl"]["Parent"] == own


def test_an_archive_does_not_vouch_for_a_file_that_looks_like_its_source(
    workshop: Workshop,
) -> None:
    same, other = workshop.noise(SEGMENT, seed=5), workshop.noise(SEGMENT, seed=6)
    disk = workshop.file("disk.raw", same + other)
    status = disk.stat()
    claimed = Disk(same + bytes(SEGMENT))  # whatever could be compared of it is right
    manifest = raw_archives.manifest_of([claimed])
    (archived,) = manifest.disks
    source = replace(
        archived.source,
        path=str(disk),
        device=status.st_dev,
        inode=str(status.st_ino),
        mtime_ns=str(status.st_mtime_ns),
        ctime_ns=str(status.st_ctime_ns),
    )
    freeze = replace(archived.freeze, moment="2999-01-01T00:00:00.000Z")
    forged = replace(archived, source=source, freeze=freeze)
    parts = plain_archive(claimed).with_member(
        MANIFEST, archive_manifest.encode(replace(manifest, disks=(forged,)))
    )
    restored(workshop, parts)

    following = workshop.snapshot(disk)

    assert not following["Amictl"]["Unchanged"]
    assert workshop.restored(following["SnapshotId"]) == same + other


def test_a_region_that_encrypts_everything_encrypts_what_was_plain(workshop: Workshop) -> None:
    key_id = workshop.keys.new()
    workshop.encrypt_by_default(key_id)

    image_id = restored(workshop, plain_archive(Disk(CONTENT)))

    (snapshot,) = snapshots_of(workshop, image_id)
    with workshop.open() as store:
        assert store.key_id(snapshot.domain) == key_id
    assert contents_of(workshop, image_id) == [CONTENT]
    assert workshop.check(read_data=True)["Faults"] == []


def test_with_a_key_everything_is_encrypted(workshop: Workshop) -> None:
    key_id = workshop.keys.new()

    image_id = restored(workshop, plain_archive(Disk(CONTENT)), kms_key_id=key_id)

    (snapshot,) = snapshots_of(workshop, image_id)
    with workshop.open() as store:
        assert store.key_id(snapshot.domain) == key_id


@pytest.fixture
def recipient() -> x25519.Identity:
    """Who can open sealed archives."""
    return x25519.Identity.generate()


def opening(identity: x25519.Identity) -> OpenKey:
    return lambda data, place: pyrage.decrypt(data, [identity])


def test_what_was_encrypted_is_encrypted_with_its_own_key(
    workshop: Workshop, recipient: x25519.Identity
) -> None:
    key_id = workshop.keys.new()
    workshop.keys.new()
    parts = sealed_archive(recipient.to_public(), Disk(CONTENT), Disk(CONTENT, key_id=key_id))

    image_id = restored(workshop, parts, opening(recipient))

    plain, sealed = snapshots_of(workshop, image_id)
    with workshop.open() as store:
        assert store.key_id(plain.domain) is None
        assert store.key_id(sealed.domain) == key_id
    assert contents_of(workshop, image_id) == [CONTENT, CONTENT]
    assert workshop.check(read_data=True)["Faults"] == []


def test_without_its_own_key_it_is_encrypted_with_the_default_key(
    workshop: Workshop, recipient: x25519.Identity
) -> None:
    default = workshop.keys.new()
    workshop.encrypt_by_default(default)
    workshop.plain_by_default()
    parts = sealed_archive(recipient.to_public(), Disk(CONTENT, key_id=Keys().new()))

    (snapshot,) = snapshots_of(workshop, restored(workshop, parts, opening(recipient)))

    with workshop.open() as store:
        assert store.key_id(snapshot.domain) == default


def test_without_any_key_what_was_encrypted_is_not_restored(
    workshop: Workshop, recipient: x25519.Identity
) -> None:
    parts = sealed_archive(recipient.to_public(), Disk(CONTENT, key_id=Keys().new()))

    with pytest.raises(KeyUnavailableError):
        restored(workshop, parts, opening(recipient))
    with pytest.raises(KeyUnavailableError, match=r"no key opens key\.age"):
        restored(workshop, parts)

    assert workshop.check()["SnapshotCount"] == 0


def test_the_secret_cut_of_an_encrypted_disk_goes_on(
    workshop: Workshop, recipient: x25519.Identity
) -> None:
    disk = workshop.file("disk.raw", CONTENT)
    key_id = workshop.keys.new()
    manifest = raw_archives.manifest_of([Disk(CONTENT, key_id=key_id, holes=False)], sealed=True)
    (archived,) = manifest.disks
    there = replace(archived, source=replace(archived.source, path=str(disk)))
    parts = sealed_archive(
        recipient.to_public(),
        Disk(CONTENT, key_id=key_id, holes=False),
        manifest=replace(manifest, disks=(there,)),
    )
    (snapshot,) = snapshots_of(workshop, restored(workshop, parts, opening(recipient)))

    following = workshop.snapshot(disk)

    assert is_encrypted(snapshot)
    assert following["Amictl"]["Parent"] == snapshot.snapshot_id
    assert following["Amictl"]["NewBytes"] == 0


def test_a_restore_that_is_interrupted_goes_on(workshop: Workshop, monkeypatch: Any) -> None:
    monkeypatch.setattr("amictl.store.writing.CHECKPOINT_NAMES", 1)
    content = workshop.noise(20 * SEGMENT)
    archive = plain_archive(Disk(content), per_member=10)
    source = source_of(workshop, archive)
    source.broken = range(17 * SEGMENT, 19 * SEGMENT)
    begun: list[dict[str, Any]] = []

    with pytest.raises(StorageError, match="the cable is out"):
        restored(workshop, source, on_begun=begun.append)

    failed = begun[0]["ImageId"]
    with workshop.open() as store:
        work = pending.seen(store, failed)
        assert work is not None
        assert work.work.reason == "the cable is out"
        (task,) = tasks.all_seen(store, RESTORE_IMAGE)
    assert (task.state, task.message, task.image_id) == (FAILED, "the cable is out", failed)
    again = source_of(workshop, archive)
    image_id = restored(workshop, again)
    assert again.read_bytes < 12 * SEGMENT
    assert contents_of(workshop, image_id) == [content]


def test_its_task_says_what_it_made(workshop: Workshop) -> None:
    image_id = restored(workshop, plain_archive(Disk(CONTENT), Disk(CONTENT)))

    with workshop.open() as store:
        (task,) = tasks.all_seen(store, RESTORE_IMAGE)
    snapshots = tuple(core.snapshot_id for core in snapshots_of(workshop, image_id))
    assert (task.state, task.percentage) == (COMPLETED, 100)
    assert (task.image_id, task.snapshot_ids) == (image_id, snapshots)
    assert (task.bucket, task.object_key) == ("backups", "archive.bin")
    assert (task.done, task.total) == (2 * len(CONTENT), 2 * len(CONTENT))


def with_false_leaf(change: Callable[[Leaf], Leaf]) -> Parts:
    """The archive of a disk whose leaves are lies, in its maps and its root alike."""
    return plain_archive(Disk(CONTENT, lie=change))


def shorter_first_chunk(leaf: Leaf) -> Leaf:
    lengths = (leaf.lengths[0] - 512, leaf.lengths[1] + 512, *leaf.lengths[2:])
    return replace(leaf, lengths=lengths)


def zeros_for_first_chunk(leaf: Leaf) -> Leaf:
    if None in leaf.names[:2]:
        return leaf
    names = (None, *leaf.names[1:])
    return replace(leaf, names=names, plain_names=names)


LIES = {
    "has another fingerprint": lambda leaf: replace(leaf, fingerprint=bytes(16)),
    "has other content": shorter_first_chunk,
    "what should be zeros is not": zeros_for_first_chunk,
}


@pytest.mark.parametrize("message", LIES)
def test_a_leaf_that_says_something_else_than_its_segment_is_refused(
    workshop: Workshop, message: str
) -> None:
    archive = with_false_leaf(LIES[message])

    with pytest.raises(InvalidArchiveError, match=message):
        restored(workshop, archive)

    assert workshop.check()["SnapshotCount"] == 0


def test_a_disk_that_is_not_what_the_manifest_says_is_refused(workshop: Workshop) -> None:
    other = plain_archive(Disk(CONTENT[:-1] + b"!"))
    parts = plain_archive(Disk(CONTENT)).with_member(MANIFEST, dict(other.members)[MANIFEST])

    with pytest.raises(InvalidArchiveError, match="disk-0 has other content"):
        restored(workshop, parts)


def test_bytes_that_changed_are_named(workshop: Workshop) -> None:
    data = bytearray(plain_archive(Disk(CONTENT)).joined())
    data[data.index(CONTENT[SEGMENT + 4000 : SEGMENT + 4032])] ^= 1

    with pytest.raises(InvalidArchiveError) as caught:
        restored(workshop, bytes(data))

    assert f"disk-0: bytes {SEGMENT} to {2 * SEGMENT}: " in caught.value.message


def test_a_disk_of_holes_is_restored(workshop: Workshop) -> None:
    image_id = restored(workshop, plain_archive(Disk(bytes(3 * SEGMENT))))

    (snapshot,) = snapshots_of(workshop, image_id)
    assert snapshot.root is None
    assert contents_of(workshop, image_id) == [bytes(3 * SEGMENT)]
    assert raw_archives.segments_of(Disk(bytes(SEGMENT))) == [Blank.HOLE]


def test_every_error_of_an_archive_is_one_of_ours(workshop: Workshop) -> None:
    whole = plain_archive(Disk(CONTENT[:SEGMENT])).joined()
    for size in range(0, len(whole), 512):
        with pytest.raises(AmictlError):
            restored(workshop, whole[:size])
