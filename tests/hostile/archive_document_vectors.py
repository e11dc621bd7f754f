"""Faults of the documents in an archive: the manifest, and the table of the members."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile import json_faults
from tests.hostile.archives import KEY_ID, SNAPSHOTS, Archive, built, mapping
from tests.hostile.corpus import Vector

Change = Callable[[Archive], object]
INVALID, UNSUPPORTED = "InvalidArchiveError", "UnsupportedError"
TABLE_ROWS = 1_000_000


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


def table(**members: Any) -> Change:
    return lambda archive: setattr(archive, "change_table", lambda found: found.update(members))


def row(at: int = 1, **members: Any) -> Change:
    """One row of the table has these members."""
    return rows(lambda found: found[at].update(members))


def rows(change: Callable[[list[Any]], Any]) -> Change:
    def changed(found: dict[str, Any]) -> None:
        change(found["Members"])

    return lambda archive: setattr(archive, "change_table", changed)


def many_rows(count: int) -> Change:
    """So many, each as short as can be."""
    empty = b'{"Name":"","Offset":0,"SHA256":"","Size":0}'

    def changed(data: bytes) -> bytes:
        start, stop = data.index(b"[") + 1, data.index(b"]")
        return data[:start] + b",".join([empty] * count) + data[stop:]

    return lambda archive: setattr(archive, "change_table_bytes", changed)


MANIFEST = {
    "manifest-version-0": manifest(Version=0),
    "manifest-version-negative": manifest(Version=-1),
    "manifest-version-of-text": manifest(Version="1"),
    "manifest-version-true": manifest(Version=True),
    "manifest-format-of-a-store": manifest(Format="amictl-store"),
    "manifest-of-another-archive": manifest(ArchiveId="f" * 32),
    "manifest-id-with-escape": manifest(ArchiveId="\x1b[2J" + "0" * 28),
    "manifest-id-in-capitals": manifest(ArchiveId="A" * 32),
    "manifest-stored-at-another-time": manifest(Stored="2026-11-22T12:00:01.000Z"),
    "manifest-stored-at-no-time": manifest(Stored="yesterday"),
    "manifest-says-encrypted": manifest(Encrypted=True),
    "manifest-without-image": lambda archive: archive.manifest.pop("Image"),
    "manifest-without-disks": manifest(Disks=[]),
    "manifest-disks-null": manifest(Disks=None),
    "image-id-of-a-path": image(ImageId="../../etc/passwd"),
    "image-id-with-a-newline": image(ImageId="ami-0123456789abcdef0\n"),
    "image-id-of-a-snapshot": image(ImageId=SNAPSHOTS[0]),
    "image-owner-of-letters": image(OwnerId="root"),
    "image-created-at-no-time": image(CreationDate="\x1b[2J"),
    "image-without-mappings": image(Mappings=[]),
    "image-root-that-is-not-mapped": image(RootDeviceName="/dev/sdz"),
    "image-device-of-a-path": image(
        Mappings=[mapping("/dev/../etc/x", SNAPSHOTS[0]), mapping("/dev/sda1", SNAPSHOTS[1])]
    ),
    "image-device-twice": image(
        Mappings=[mapping("/dev/sda1", SNAPSHOTS[0]), mapping("/dev/sda1", SNAPSHOTS[1])]
    ),
    "image-maps-another-snapshot": image(
        Mappings=[mapping("/dev/sda1", SNAPSHOTS[0]), mapping("/dev/sdb", "snap-" + "f" * 17)]
    ),
    "image-maps-one-disk-only": image(Mappings=[mapping("/dev/sda1", SNAPSHOTS[0])]),
    "image-maps-in-another-order": image(
        Mappings=[mapping("/dev/sdb", SNAPSHOTS[1]), mapping("/dev/sda1", SNAPSHOTS[0])]
    ),
    "image-size-negative": image(
        Mappings=[mapping("/dev/sda1", SNAPSHOTS[0], VolumeSize=-1), mapping("xvdb", SNAPSHOTS[1])]
    ),
    "image-ephemeral-24": image(
        Mappings=[
            mapping("/dev/sda1", SNAPSHOTS[0]),
            mapping("/dev/sdb", SNAPSHOTS[1], VirtualName="ephemeral24"),
        ]
    ),
    "image-tags-not-sorted": image(
        Tags=[{"Key": "b", "Value": ""}, {"Key": "a", "Value": ""}],
    ),
    "image-tag-twice": image(Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]),
    "image-tag-of-a-number": image(Tags=[{"Key": "a", "Value": 1}]),
    "image-name-null": image(Name=None),
    "image-unknown-member": image(LaunchPermissions=["all"]),
    "disk-id-of-a-path": disk(SnapshotId="snap-../../../../etc"),
    "disk-volume-of-a-path": disk(VolumeId="vol-../../../../etc"),
    "disk-twice": disks(lambda found: found.append(found[0])),
    "disks-in-another-order": disks(lambda found: found.reverse()),
    "disk-missing": disks(lambda found: found.pop()),
    "disk-of-no-bytes": disk(SizeBytes=0, DataBytes=0),
    "disk-of-negative-bytes": disk(SizeBytes=-1),
    "disk-of-4-pib": disk(SizeBytes=1 << 52),
    "disk-of-2-to-63-bytes": disk(SizeBytes=1 << 63),
    "disk-one-byte-longer": disk(SizeBytes=(12 << 20) + 1),
    "disk-one-byte-shorter": disk(SizeBytes=(12 << 20) - 1),
    "disk-one-segment-longer": disk(SizeBytes=16 << 20),
    "disk-one-segment-shorter": disk(SizeBytes=8 << 20),
    "disk-with-more-data-than-bytes": disk(DataBytes=1 << 40),
    "disk-root-of-another": disk(Root="0" * 64),
    "disk-root-null": disk(Root=None),
    "disk-root-in-capitals": disk(Root="A" * 64),
    "disk-root-too-short": disk(Root="a" * 63),
    "disk-cut-average-of-1": cut(1, 1),
    "disk-cut-secret-with-a-public-cut": disk(CutSecret="a" * 64),
    "disk-cut-secret-absent": cut(32_768, 2),
    "disk-fingerprint-key-of-another": disk(FingerprintKey="f" * 64),
    "disk-fingerprint-key-too-short": disk(FingerprintKey="f" * 62),
    "disk-encrypted-in-a-plain-archive": disk(Encrypted=True, KmsKeyId=KEY_ID),
    "disk-encrypted-without-a-key": disk(Encrypted=True),
    "disk-with-a-key-and-plain": disk(KmsKeyId=KEY_ID),
    "disk-key-of-a-path": disk(KmsKeyId="../../../../etc/passwd"),
    "disk-started-at-no-time": disk(StartTime="0000-00-00T00:00:00.000Z"),
    "disk-started-without-a-zone": disk(StartTime="2026-11-22T12:00:00.000"),
    "disk-frozen-at-no-time": freeze(Moment="never"),
    "disk-frozen-in-an-unknown-way": freeze(Consistency="perfect"),
    "disk-frozen-together-as-text": freeze(Together="true"),
    "disk-source-inode-of-letters": lambda archive: archive.manifest["Disks"][0]["Source"].update(
        Inode="../x"
    ),
    "disk-tags-not-sorted": disk(Tags=[{"Key": "b", "Value": ""}, {"Key": "a", "Value": ""}]),
    "disk-further-twice": disk(Further=[{"Key": "a", "Value": ""}, {"Key": "a", "Value": ""}]),
    "disk-unknown-member": disk(Permissions="all"),
}
NEWER = {
    "manifest-version-2": manifest(Version=2),
    "manifest-version-2-of-other-members": lambda archive: setattr(
        archive, "manifest", {"Format": "amictl-archive", "Version": 2, "Content": []}
    ),
    "table-version-2": table(Version=2),
    "disk-hash-that-is-unknown": disk(Hash="sha256"),
    "disk-cut-3": cut(32_768, 3),
}
TABLE = {
    "table-version-0": table(Version=0),
    "table-of-another-format": table(Format="amictl-archive"),
    "table-of-another-archive": table(ArchiveId="f" * 32),
    "table-id-of-a-path": table(ArchiveId="../../../../../../../etc/passwd."),
    "table-stored-at-another-time": table(Stored="2026-11-22T12:00:01.000Z"),
    "table-stored-at-no-time": table(Stored="\x1b[2J"),
    "table-stored-before-1970": table(Stored="1969-12-31T23:59:59.000Z"),
    "table-stored-in-the-year-9999": table(Stored="9999-12-31T23:59:59.999Z"),
    "table-members-empty": table(Members=[]),
    "table-members-null": table(Members=None),
    "table-member-more": table(Signers=[]),
    "row-offset-of-the-one-before": row(Offset=512),
    "row-offset-of-the-header": row(Offset=3072),
    "row-offset-one-block-on": row(Offset=4096),
    "row-offset-negative": row(Offset=-512),
    "row-offset-beyond-the-end": row(Offset=1 << 40),
    "row-offset-of-2-to-63": row(Offset=1 << 63),
    "row-offset-of-2-to-64": row(Offset=1 << 64),
    "row-offset-of-text": row(Offset="3584"),
    "row-offset-fraction": row(Offset=3584.5),
    "row-size-zero": row(Size=0),
    "row-size-negative": row(Size=-1),
    "row-size-one-more": row(Size=25_351),
    "row-size-one-less": row(Size=25_349),
    "row-size-one-more-at-the-end": row(at=2, Size=8354),
    "row-size-over-64-mib": row(Size=(64 << 20) + 1),
    "row-size-of-2-to-63": row(Size=1 << 63),
    "row-manifest-over-16-mib": row(at=0, Size=(16 << 20) + 1),
    "row-digest-of-another": row(SHA256="0" * 64),
    "row-digest-of-the-manifest": rows(lambda found: found[1].update(SHA256=found[0]["SHA256"])),
    "row-digest-in-capitals": rows(lambda found: found[1].update(SHA256=found[1]["SHA256"].upper())),
    "row-digest-too-short": row(SHA256="0" * 63),
    "row-digest-with-a-path": row(SHA256="0" * 64 + "  /etc/passwd"),
    "row-digest-null": row(SHA256=None),
    "row-name-of-another": row(Name="disk-1/000000.zst"),
    "row-name-of-a-path": row(Name="../../etc/passwd"),
    "row-name-with-a-newline": row(Name="disk-0/000000.zst\n"),
    "row-name-with-escape": row(Name="\x1b]0;x\x07"),
    "row-more": rows(lambda found: found.append({**found[2], "Name": "disk-1/000001.zst"})),
    "row-missing": rows(lambda found: found.pop()),
    "row-twice": rows(lambda found: found.insert(1, found[1])),
    "rows-swapped": rows(lambda found: found.reverse()),
    "row-with-an-unknown-member": row(Path="/etc/passwd"),
    "row-is-a-list": rows(lambda found: found.insert(1, [])),
    "a-million-rows": many_rows(TABLE_ROWS),
    "rows-of-over-48-mib": many_rows(1_200_000),
}


def faults() -> Iterator[tuple[str, str, Change]]:
    for error, some in ((INVALID, MANIFEST), (UNSUPPORTED, NEWER), (INVALID, TABLE)):
        for fault, change in some.items():
            yield fault, error, change
    for name, field in (("manifest", "change_manifest_bytes"), ("table", "change_table_bytes")):
        for fault, changed in json_faults.FAULTS.items():
            own = lambda archive, at=field, how=changed: setattr(archive, at, how)  # noqa: E731
            yield f"{name}-{fault}", INVALID, own


def vectors() -> Iterator[Vector]:
    for fault, error, change in faults():
        yield Vector("archive", fault, error, "", lambda change=change: built(change))
