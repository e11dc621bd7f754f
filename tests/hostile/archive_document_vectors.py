"""Faults of the manifest of an archive."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile import json_faults
from tests.hostile.archives import KEY_ID, SNAPSHOTS, Archive, built, mapping
from tests.hostile.corpus import Vector

Change = Callable[[Archive], object]
INVALID, UNSUPPORTED = "InvalidArchiveError", "UnsupportedError"


def manifest(**members: Any) -> Change:
    return lambda archive: archive.manifest.update(members)


def image(**members: Any) -> Change:
    return lambda archive: archive.manifest["Image"].update(members)


def disk(**members: Any) -> Change:
    """The first disk has these members."""
    return lambda archive: archive.manifest["Disks"][0].update(members)


def disks(change: Callable[[list[Any]], Any]) -> Change:
    return lambda archive: change(archive.manifest["Disks"])


def cut(average: int, identifier: int) -> Change:
    return disk(Cut={"Average": average, "Id": identifier})


def freeze(**members: Any) -> Change:
    return lambda archive: archive.manifest["Disks"][0]["Freeze"].update(members)


MANIFEST = {
    "manifest-version-0": (manifest(Version=0), "manifest.json has an impossible version"),
    "manifest-version-negative": (manifest(Version=-1), "manifest.json has an impossible version"),
    "manifest-version-of-text": (
        manifest(Version="1"),
        "manifest.json cannot be read: Expected `int`, got `str`",
    ),
    "manifest-version-true": (
        manifest(Version=True),
        "manifest.json cannot be read: Expected `int`, got `bool`",
    ),
    "manifest-format-of-a-store": (
        manifest(Format="amictl-store"),
        "manifest.json is not of format amictl-archive",
    ),
    "manifest-of-another-archive": (
        manifest(ArchiveId="f" * 32),
        "manifest.json is of another archive",
    ),
    "manifest-id-with-escape": (
        manifest(ArchiveId="\x1b[2J" + "0" * 28),
        "manifest.json cannot be read",
    ),
    "manifest-id-in-capitals": (manifest(ArchiveId="A" * 32), "manifest.json cannot be read"),
    "manifest-stored-at-another-time": (
        manifest(Stored="2026-11-22T12:00:01.000Z"),
        "manifest.json is of another archive",
    ),
    "manifest-stored-at-no-time": (
        manifest(Stored="yesterday"),
        "manifest.json: the time 'yesterday' is impossible",
    ),
    "manifest-says-encrypted": (manifest(Encrypted=True), "manifest.json is of another archive"),
    "manifest-without-image": (
        lambda archive: archive.manifest.pop("Image"),
        "Object missing required field `image`",
    ),
    "manifest-without-disks": (
        manifest(Disks=[]),
        "the disks are not the snapshots that the image maps, in",
    ),
    "manifest-disks-null": (manifest(Disks=None), "Expected `array`, got `null`"),
    "image-id-of-a-path": (image(ImageId="../../etc/passwd"), "manifest.json cannot be read"),
    "image-id-with-a-newline": (
        image(ImageId="ami-0123456789abcdef0\n"),
        "manifest.json cannot be read",
    ),
    "image-id-of-a-snapshot": (image(ImageId=SNAPSHOTS[0]), "manifest.json cannot be read"),
    "image-owner-of-letters": (image(OwnerId="root"), "manifest.json cannot be read"),
    "image-created-at-no-time": (image(CreationDate="\x1b[2J"), "is impossible"),
    "image-without-mappings": (
        image(Mappings=[]),
        "manifest.json: the image does not map its root device",
    ),
    "image-root-that-is-not-mapped": (
        image(RootDeviceName="/dev/sdz"),
        "manifest.json: the image does not map its root device",
    ),
    "image-device-of-a-path": (
        image(
            Mappings=[mapping("/dev/../etc/x", SNAPSHOTS[0]), mapping("/dev/sda1", SNAPSHOTS[1])]
        ),
        "manifest.json cannot be read",
    ),
    "image-device-twice": (
        image(Mappings=[mapping("/dev/sda1", SNAPSHOTS[0]), mapping("/dev/sda1", SNAPSHOTS[1])]),
        "manifest.json: the image maps a device twice",
    ),
    "image-maps-another-snapshot": (
        image(
            Mappings=[mapping("/dev/sda1", SNAPSHOTS[0]), mapping("/dev/sdb", "snap-" + "f" * 17)]
        ),
        "the disks are not the snapshots that the image maps, in",
    ),
    "image-maps-one-disk-only": (
        image(Mappings=[mapping("/dev/sda1", SNAPSHOTS[0])]),
        "the disks are not the snapshots that the image maps, in",
    ),
    "image-maps-in-another-order": (
        image(Mappings=[mapping("/dev/sdb", SNAPSHOTS[1]), mapping("/dev/sda1", SNAPSHOTS[0])]),
        "the disks are not the snapshots that the image maps, in",
    ),
    "image-size-negative": (
        image(
            Mappings=[
                mapping("/dev/sda1", SNAPSHOTS[0], VolumeSize=-1),
                mapping("xvdb", SNAPSHOTS[1]),
            ]
        ),
        "manifest.json cannot be read: Expected `int` >= 0",
    ),
    "image-ephemeral-24": (
        image(
            Mappings=[
                mapping("/dev/sda1", SNAPSHOTS[0]),
                mapping("/dev/sdb", SNAPSHOTS[1], VirtualName="ephemeral24"),
            ]
        ),
        "manifest.json cannot be read",
    ),
    "image-tags-not-sorted": (
        image(
            Tags=[{"Key": "b", "Value": ""}, {"Key": "a", "Value": ""}],
        ),
        "tags are not in order, or one is there twice",
    ),
    "image-tag-twice": (
        image(Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]),
        "tags are not in order, or one is there twice",
    ),
    "image-tag-of-a-number": (
        image(Tags=[{"Key": "a", "Value": 1}]),
        "manifest.json cannot be read: Expected `str`, got `int`",
    ),
    "image-name-null": (
        image(Name=None),
        "manifest.json cannot be read: Expected `str`, got `null`",
    ),
    "image-unknown-member": (
        image(LaunchPermissions=["all"]),
        "manifest.json is not in canonical form",
    ),
    "disk-id-of-a-path": (disk(SnapshotId="snap-../../../../etc"), "manifest.json cannot be read"),
    "disk-volume-of-a-path": (disk(VolumeId="vol-../../../../etc"), "manifest.json cannot be read"),
    "disk-twice": (
        disks(lambda found: found.append(found[0])),
        "the disks are not the snapshots that the image maps, in",
    ),
    "disks-in-another-order": (
        disks(lambda found: found.reverse()),
        "the disks are not the snapshots that the image maps, in",
    ),
    "disk-missing": (
        disks(lambda found: found.pop()),
        "the disks are not the snapshots that the image maps, in",
    ),
    "disk-of-no-bytes": (
        disk(SizeBytes=0, DataBytes=0),
        "the disk snap-00000000000000001 has an impossible size",
    ),
    "disk-of-negative-bytes": (
        disk(SizeBytes=-1),
        "manifest.json cannot be read: Expected `int` >= 0",
    ),
    "disk-of-4-pib": (disk(SizeBytes=1 << 52), "/dev/sda1 has an impossible size"),
    "disk-of-2-to-63-bytes": (
        disk(SizeBytes=1 << 63),
        "the disk snap-00000000000000001 has an impossible size",
    ),
    "disk-one-byte-longer": (disk(SizeBytes=(12 << 20) + 1), "it ends before its end"),
    "disk-one-byte-shorter": (
        disk(SizeBytes=(12 << 20) - 1),
        "member 0 does not go on where the one before it ends",
    ),
    "disk-one-segment-longer": (disk(SizeBytes=16 << 20), "it ends before its end"),
    "disk-one-segment-shorter": (
        disk(SizeBytes=8 << 20),
        "member 0 does not go on where the one before it ends",
    ),
    "disk-with-more-data-than-bytes": (
        disk(DataBytes=1 << 40),
        "the disk snap-00000000000000001 has an impossible size",
    ),
    "disk-root-of-another": (disk(Root="0" * 64), "it has other content than its manifest says"),
    "disk-root-null": (disk(Root=None), "it has other content than its manifest says"),
    "disk-root-in-capitals": (disk(Root="A" * 64), "manifest.json cannot be read"),
    "disk-root-too-short": (disk(Root="a" * 63), "manifest.json cannot be read"),
    "disk-cut-average-of-1": (cut(1, 1), "the disk snap-00000000000000001 has an impossible cut"),
    "disk-cut-secret-with-a-public-cut": (
        disk(CutSecret="a" * 64),
        "the disk snap-00000000000000001 has a secret that does n",
    ),
    "disk-cut-secret-absent": (
        cut(32_768, 2),
        "the disk snap-00000000000000001 has a secret that does n",
    ),
    "disk-fingerprint-key-of-another": (
        disk(FingerprintKey="f" * 64),
        "its content has another fingerprint",
    ),
    "disk-fingerprint-key-too-short": (
        disk(FingerprintKey="f" * 62),
        "manifest.json cannot be read",
    ),
    "disk-encrypted-in-a-plain-archive": (
        disk(Encrypted=True, KmsKeyId=KEY_ID),
        "manifest.json: a plain archive has an encrypted disk",
    ),
    "disk-encrypted-without-a-key": (
        disk(Encrypted=True),
        "the disk snap-00000000000000001 is encrypted without a k",
    ),
    "disk-with-a-key-and-plain": (
        disk(KmsKeyId=KEY_ID),
        "the disk snap-00000000000000001 is encrypted without a k",
    ),
    "disk-key-of-a-path": (disk(KmsKeyId="../../../../etc/passwd"), "manifest.json cannot be read"),
    "disk-started-at-no-time": (
        disk(StartTime="0000-00-00T00:00:00.000Z"),
        "the time '0000-00-00T00:00:00.000Z' is impossible",
    ),
    "disk-started-without-a-zone": (
        disk(StartTime="2026-11-22T12:00:00.000"),
        "the time '2026-11-22T12:00:00.000' is impossible",
    ),
    "disk-frozen-at-no-time": (
        freeze(Moment="never"),
        "manifest.json: the time 'never' is impossible",
    ),
    "disk-frozen-in-an-unknown-way": (
        freeze(Consistency="perfect"),
        "e disk snap-00000000000000001 has an unknown consistency",
    ),
    "disk-frozen-together-as-text": (
        freeze(Together="true"),
        "manifest.json cannot be read: Expected `bool`, got `str`",
    ),
    "disk-source-inode-of-letters": (
        lambda archive: archive.manifest["Disks"][0]["Source"].update(Inode="../x"),
        "manifest.json cannot be read",
    ),
    "disk-tags-not-sorted": (
        disk(Tags=[{"Key": "b", "Value": ""}, {"Key": "a", "Value": ""}]),
        "tags are not in order, or one is there twice",
    ),
    "disk-further-twice": (
        disk(Further=[{"Key": "a", "Value": ""}, {"Key": "a", "Value": ""}]),
        "tags are not in order, or one is there twice",
    ),
    "disk-unknown-member": (disk(Permissions="all"), "manifest.json is not in canonical form"),
}
NEWER = {
    "manifest-version-2": (
        manifest(Version=2),
        "manifest.json has format version 2; this amictl knows 1",
    ),
    "manifest-version-2-of-other-members": (
        lambda archive: setattr(
            archive, "manifest", {"Format": "amictl-archive", "Version": 2, "Content": []}
        ),
        "manifest.json has format version 2; this amictl knows 1",
    ),
    "disk-hash-that-is-unknown": (
        disk(Hash="sha256"),
        "00001 has a hash or a cut that this amictl does not know",
    ),
    "disk-cut-3": (cut(32_768, 3), "00001 has a hash or a cut that this amictl does not know"),
}


def faults() -> Iterator[tuple[str, str, Change, str]]:
    for error, some in ((INVALID, MANIFEST), (UNSUPPORTED, NEWER)):
        for fault, (change, reason) in some.items():
            yield fault, error, change, reason
    for fault, changed in json_faults.FAULTS.items():
        own = lambda archive, how=changed: setattr(archive, "change_manifest_bytes", how)  # noqa: E731
        yield f"manifest-{fault}", INVALID, own, "manifest.json"


def vectors() -> Iterator[Vector]:
    for fault, error, change, reason in faults():
        yield Vector("archive", fault, error, reason, lambda change=change: built(change))
