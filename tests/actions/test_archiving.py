"""CreateStoreImageTask: what is stored, what is refused, and what is left when it fails."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from amictl.actions.archiving import StoreImageRequest, store_image
from amictl.actions.changing_images import disable_image
from amictl.actions.deregistering import deregister_image
from amictl.archives.writing import require_archivable
from amictl.errors import (
    AmictlError,
    BusyError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNotFoundError,
    KeyUnavailableError,
    ObjectExistsError,
    SnapshotNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.formats import archive_manifest, records
from amictl.model import facts
from amictl.model.archives import MANIFEST, MEMBERS_MAX, SIGNATURE, Manifest
from amictl.model.records import ImageCore, tags_from
from amictl.model.tasks import COMPLETED, FAILED, STORE_IMAGE, TaskRecord
from amictl.storage.object_files import DirectoryBucket
from amictl.store import catalog, layout, tasks
from tests.archives.storing import opened, stored, table_of, visible
from tests.workshop import MIB, SEGMENT, Workshop, flip, ignore

AND_MEMORY = """
import shutil, sys
from amictl.cli.main import run
status = run(sys.argv[1:])
shutil.copy("/proc/self/status", "status")
sys.exit(status)
"""
"""The program; in the end it leaves what the kernel says of it."""

NOBODY = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"


@pytest.fixture
def image(workshop: Workshop) -> str:
    return workshop.image("web", workshop.file("disk", workshop.noise(MIB)))


@pytest.fixture
def identity(workshop: Workshop) -> x25519.Identity:
    """Opens what is encrypted from now on."""
    identity = x25519.Identity.generate()
    workshop.encrypt_by_default(workshop.keys.add(str(identity)))
    return identity


def manifest_in(archive: Path, identity: x25519.Identity | None = None) -> Manifest:
    return archive_manifest.decode(opened(archive, identity)[MANIFEST], str(archive))


def last_task(workshop: Workshop) -> TaskRecord:
    with workshop.open() as store:
        return tasks.all_seen(store, STORE_IMAGE)[-1]


def refused(workshop: Workshop, image_id: str, kind: type[AmictlError], **words: Any) -> str:
    """The message; nothing can be seen in the bucket."""
    with pytest.raises(kind) as caught:
        stored(workshop, image_id, **words)
    assert visible(workshop) == []
    return caught.value.message


def test_a_stored_image_is_one_object_called_after_it(workshop: Workshop, image: str) -> None:
    archive = stored(workshop, image)
    assert visible(workshop) == [f"{image}.bin"] == [archive.name]
    task = last_task(workshop)
    assert (task.state, task.image_id, task.object_key) == (COMPLETED, image, archive.name)
    assert (task.bucket, task.done, task.total) == (str(archive.parent), MIB, MIB)


def test_the_task_is_told_before_the_work(workshop: Workshop, image: str) -> None:
    told: list[tuple[dict[str, Any], list[str], str]] = []
    stored(
        workshop,
        image,
        lambda result: told.append((result, visible(workshop), last_task(workshop).state)),
    )
    assert told == [({"ObjectKey": f"{image}.bin"}, [], "active")]


def test_an_image_on_its_way_to_a_bucket_is_not_sent_there_again(
    workshop: Workshop, image: str
) -> None:
    refusals: list[AmictlError] = []

    def store_again(_: dict[str, Any]) -> None:
        with pytest.raises(BusyError) as caught:
            stored(workshop, image)
        refusals.append(caught.value)
        with workshop.open() as store:
            (workshop.folder / "other").mkdir()
            other = DirectoryBucket(workshop.folder / "other")
            request = StoreImageRequest(image, "other")
            store_image(store, other, request, workshop.surroundings, ignore)

    archive = stored(workshop, image, store_again)
    (refusal,) = refusals
    assert refusal.message.startswith(f"{image} is on its way to {archive.parent} already")
    with workshop.open() as store:
        states = [task.state for task in tasks.all_seen(store, STORE_IMAGE)]
    assert states == [COMPLETED, COMPLETED]


def test_the_manifest_says_what_is_known_of_the_image(workshop: Workshop) -> None:
    first = workshop.file("first", workshop.noise(MIB))
    second = workshop.file("second", workshop.noise(2 * MIB, seed=9))
    image = workshop.image(
        "web",
        ("/dev/sda1", first),
        ("/dev/sdb", second),
        description="größer",
        image_tags={"stage": "prod", "Name": "web"},
        snapshot_tags={"disk": "yes"},
    )
    manifest = manifest_in(stored(workshop, image))
    with workshop.open() as store:
        core = catalog.read_image_core(store, image)
    assert manifest.image.image_id == image
    assert (manifest.image.name, manifest.image.description) == ("web", "größer")
    assert [(tag.key, tag.value) for tag in manifest.image.tags] == [
        ("Name", "web"),
        ("stage", "prod"),
    ]
    assert manifest.image.mappings == core.mappings
    disks = manifest.disks
    assert [disk.snapshot_id for disk in disks] == [one.snapshot_id for one in core.mappings]
    assert [disk.size_bytes for disk in disks] == [MIB, 2 * MIB]
    assert [[tag.key for tag in disk.tags] for disk in disks] == [["disk"], ["disk"]]
    recorded = workshop.core(disks[0].snapshot_id)
    assert (disks[0].root, disks[0].cut) == (recorded.root, recorded.cut)
    assert (disks[0].freeze, disks[0].source) == (recorded.freeze, recorded.source)
    assert (disks[0].encrypted, manifest.encrypted) == (False, False)


def test_protection_and_deprecation_are_not_in_an_archive(workshop: Workshop, image: str) -> None:
    with workshop.open() as store:
        catalog.change_attributes(
            store, image, lambda before: before.with_facts({"deregistration-protection": "x"})
        )
    assert b"deregistration-protection" not in stored(workshop, image).read_bytes()


def test_a_snapshot_that_is_mapped_twice_is_one_disk(workshop: Workshop, image: str) -> None:
    with workshop.open() as store:
        core = catalog.read_image_core(store, image)
    mappings = (*core.mappings, replace(core.mappings[0], device_name="/dev/sdb"))
    place = workshop.root / layout.core(image)
    place.write_bytes(records.encode(replace(core, mappings=mappings)))
    manifest = manifest_in(stored(workshop, image))
    assert len(manifest.image.mappings) == 2
    assert len(manifest.disks) == 1


def test_what_is_encrypted_is_sealed_as_a_whole(workshop: Workshop) -> None:
    plain = workshop.file("plain", workshop.noise(MIB))
    secret = workshop.file("secret", workshop.noise(MIB, seed=9))
    first = workshop.snapshot_id(plain)
    identity = x25519.Identity.generate()
    key = workshop.keys.add(str(identity))
    workshop.encrypt_by_default(key)
    image = workshop.image("secret-name", ("/dev/sda1", secret), description="secret-words")
    with_plain(workshop, image, first)
    archive = stored(workshop, image)
    data = archive.read_bytes()
    assert not any(text in data for text in (b"secret-name", b"secret-words", b"snap-"))
    assert workshop.noise(64) not in data
    manifest = manifest_in(archive, identity)
    assert manifest.encrypted
    assert [(disk.encrypted, disk.kms_key_id) for disk in manifest.disks] == [
        (True, key),
        (False, None),
    ]


def with_plain(workshop: Workshop, image_id: str, snapshot_id: str) -> None:
    """Map a plain snapshot besides, as the owner of the key can."""
    from amictl.store.authenticity import signed_image

    with workshop.open() as store:
        core = catalog.read_image_core(store, image_id)
        other = replace(core.mappings[0], device_name="/dev/sdb", snapshot_id=snapshot_id)
        changed = signed_image(store, replace(core, mappings=(*core.mappings, other)))
    (workshop.root / layout.core(image_id)).write_bytes(records.encode(changed))


def test_the_root_in_a_sealed_manifest_is_a_plain_name(
    workshop: Workshop, identity: x25519.Identity
) -> None:
    disk = workshop.file("disk", workshop.noise(MIB))
    image = workshop.image("web", disk)
    manifest = manifest_in(stored(workshop, image), identity)
    recorded = workshop.core(manifest.disks[0].snapshot_id)
    assert manifest.disks[0].root != recorded.root
    assert manifest.disks[0].cut_secret is not None
    assert manifest.disks[0].fingerprint_key != recorded.fingerprint_key


def test_the_object_says_what_ec2_says_of_it(workshop: Workshop) -> None:
    image = workshop.image("web", workshop.file("disk", workshop.noise(MIB)), description="größer")
    archive = stored(workshop, image)
    source = DirectoryBucket(archive.parent).open(archive.name)
    manifest = manifest_in(archive)
    assert dict(source.metadata) == {
        "ami-name": "web",
        "ami-description": "größer",
        "ami-registration-date": manifest.image.creation_date,
        "ami-owner-account": manifest.image.owner_id,
        "ami-store-date": manifest.stored,
    }


def test_the_object_of_an_encrypted_image_does_not_say_what_it_is(
    workshop: Workshop, identity: x25519.Identity
) -> None:
    archive = stored(workshop, workshop.image("web", workshop.file("disk", workshop.noise(MIB))))
    source = DirectoryBucket(archive.parent).open(archive.name)
    assert set(source.metadata) == {
        "ami-registration-date",
        "ami-owner-account",
        "ami-store-date",
    }


def test_every_archive_has_an_id_of_its_own(workshop: Workshop, image: str) -> None:
    archives = [stored(workshop, image, prefix=name) for name in ("one", "two")]
    assert len({table_of(archive).archive_id for archive in archives}) == 2


def test_a_bucket_holds_an_image_once(workshop: Workshop, image: str) -> None:
    before = stored(workshop, image).read_bytes()
    for dry_run in (True, False):
        with pytest.raises(ObjectExistsError, match=f"{image}.bin exists already"):
            stored(workshop, image, dry_run=dry_run)
    assert (workshop.folder / "bucket" / f"{image}.bin").read_bytes() == before


def test_a_dry_run_leaves_nothing(workshop: Workshop, image: str) -> None:
    with pytest.raises(DryRunError):
        stored(workshop, image, dry_run=True)
    assert list((workshop.folder / "bucket").iterdir()) == []
    with workshop.open() as store:
        assert tasks.all_seen(store, STORE_IMAGE) == []


def test_an_image_that_is_not_there_is_not_found(workshop: Workshop) -> None:
    refused(workshop, "ami-" + "0" * 17, ImageNotFoundError)


def test_a_disabled_image_is_refused(workshop: Workshop, image: str) -> None:
    with workshop.open() as store:
        disable_image(store, image, workshop.surroundings, dry_run=False)
    assert "no longer available" in refused(workshop, image, ConflictError)


def test_an_instance_store_image_is_refused(workshop: Workshop, image: str) -> None:
    place = workshop.root / layout.core(image)
    core = records.decode(place.read_bytes(), ImageCore, "here")
    further = tags_from({facts.IMAGE_LOCATION: "bucket/image.manifest.xml"})
    place.write_bytes(records.encode(replace(core, mappings=(), further=further)))
    assert "is in the bundle" in refused(workshop, image, UnsupportedError)


def test_without_its_key_nothing_is_begun(workshop: Workshop, identity: x25519.Identity) -> None:
    image = workshop.image("web", workshop.file("disk", workshop.noise(MIB)))
    workshop.keys.mislay()
    refused(workshop, image, KeyUnavailableError)
    with workshop.open() as store:
        assert tasks.all_seen(store, STORE_IMAGE) == []


def test_what_is_no_recipient_is_refused(workshop: Workshop, image: str) -> None:
    with pytest.raises(Exception, match="invalid"):
        stored(workshop, image, recipients=("age1nobody",))


def test_too_many_recipients_are_refused(workshop: Workshop, image: str) -> None:
    many = tuple(str(x25519.Identity.generate().to_public()) for _ in range(65))
    assert "so many recipients" in refused(workshop, image, UsageError, recipients=many)


def test_tags_of_an_object_need_an_object_store(workshop: Workshop, image: str) -> None:
    refused(workshop, image, UnsupportedError, object_tags={"a": "b"})


def test_a_disk_that_no_archive_can_hold_is_refused(workshop: Workshop) -> None:
    core = workshop.core(workshop.snapshot_id(workshop.file("disk", workshop.noise(MIB))))
    require_archivable([replace(core, size_bytes=(MEMBERS_MAX - 2) << 30)])
    with pytest.raises(UnsupportedError, match="too large for an archive"):
        require_archivable([replace(core, size_bytes=(MEMBERS_MAX - 1) << 30)])


def test_a_damaged_chunk_is_named_and_nothing_is_left(workshop: Workshop) -> None:
    disk = workshop.file("disk", workshop.noise(2 * SEGMENT))
    image = workshop.image("web", disk)
    (pack,) = workshop.packs(0)
    flip(pack, -3000)
    message = refused(workshop, image, CorruptStoreError)
    with workshop.open() as store:
        snapshot = catalog.read_image_core(store, image).mappings[0].snapshot_id
    assert message.startswith(f"{snapshot} is damaged at bytes ")
    assert last_task(workshop).state == FAILED
    assert last_task(workshop).message == message
    assert list((workshop.folder / "bucket").iterdir()) == []


def test_a_forged_image_is_refused(workshop: Workshop, identity: x25519.Identity) -> None:
    image = workshop.image("web", workshop.file("disk", workshop.noise(MIB)))
    place = workshop.root / layout.core(image)
    core = records.decode(place.read_bytes(), ImageCore, "here")
    place.write_bytes(records.encode(replace(core, name="other")))
    assert "not recorded with the key" in refused(workshop, image, CorruptStoreError)


def test_a_forged_snapshot_is_refused(workshop: Workshop, identity: x25519.Identity) -> None:
    image = workshop.image("web", workshop.file("disk", workshop.noise(MIB)))
    with workshop.open() as store:
        snapshot = catalog.read_image_core(store, image).mappings[0].snapshot_id
    assert snapshot is not None
    workshop.put_core(replace(workshop.core(snapshot), owner_id="210987654321"))
    refused(workshop, image, CorruptStoreError)


def deleting(workshop: Workshop, image: str) -> Callable[[dict[str, Any]], None]:
    def delete(_: dict[str, Any]) -> None:
        with workshop.open() as store:
            deregister_image(
                store,
                image,
                workshop.surroundings,
                delete_snapshots=True,
            )

    return delete


def test_a_snapshot_that_is_deleted_meanwhile_ends_the_task(workshop: Workshop, image: str) -> None:
    with pytest.raises(SnapshotNotFoundError, match="was deleted while it was stored"):
        stored(workshop, image, deleting(workshop, image))
    assert list((workshop.folder / "bucket").iterdir()) == []
    assert last_task(workshop).state == FAILED


def killed_at_the_end(workshop: Workshop, image: str) -> None:
    """Store an image in a process that is killed when all disks are written."""

    def kill(table: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return table

    process = os.fork()
    if process == 0:
        try:
            stored(workshop, image, sign=kill)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def test_a_task_that_is_killed_leaves_nothing_to_see_and_can_be_repeated(
    workshop: Workshop, image: str
) -> None:
    killed_at_the_end(workshop, image)
    assert visible(workshop) == []
    assert last_task(workshop).state == FAILED
    archive = stored(workshop, image)
    assert list((workshop.folder / "bucket").iterdir()) == [archive]


def test_a_signature_is_a_member(workshop: Workshop, image: str) -> None:
    archive = stored(workshop, image, sign=lambda table: bytes(64))
    assert SIGNATURE.encode() in archive.read_bytes()


@pytest.mark.parametrize("recipients", [[], ["--recipient", NOBODY]])
def test_memory_does_not_grow_with_the_disk(workshop: Workshop, recipients: list[str]) -> None:
    disk = workshop.folder / "disk"
    with disk.open("wb") as file:
        for seed in range(40):
            file.write(workshop.noise(SEGMENT, seed))
    image = workshop.image("web", disk)
    (workshop.folder / "bucket").mkdir()
    words = ["create-store-image-task", "--image-id", image, "--bucket", "./bucket", *recipients]
    subprocess.run(
        [sys.executable, "-c", AND_MEMORY, "--store", "store", *words],
        cwd=workshop.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
    )
    assert visible(workshop) == [f"{image}.bin"]
    assert peak_bytes(workshop.folder / "status") < 200 * MIB


def peak_bytes(status: Path) -> int:
    """The most memory that a process had, as the kernel says."""
    (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
