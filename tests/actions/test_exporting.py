"""The disk of an image becomes a file in a bucket, in the formats of others."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.changing_images import disable_image
from amictl.actions.exporting import FORMATS, ExportImageRequest, export_image
from amictl.errors import (
    BucketNotFoundError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNotFoundError,
    TaskCancelledError,
    UnsupportedError,
)
from amictl.storage.object_files import DirectoryBucket
from amictl.store import tasks
from tests.oracle import require_ec2_shape
from tests.workshop import MIB, SEGMENT, Workshop, flip, ignore

DRIVERS = {"RAW": "raw", "VMDK": "vmdk", "VHD": "vpc", "QCOW2": "qcow2"}


def raw_disk(workshop: Workshop, size: int = 2 * SEGMENT) -> Path:
    pieces = {0: workshop.noise(70_000), SEGMENT - 100: b"text " * 100, size - 5: b"end.."}
    return workshop.file("raw", pieces, size)


def bucket_of(workshop: Workshop) -> Path:
    folder = workshop.folder / "bucket"
    folder.mkdir(exist_ok=True)
    return folder


def exported(
    workshop: Workshop, image_id: str, form: str = "QCOW2", **words: Any
) -> tuple[dict[str, Any], Path]:
    """The answer, and the file."""
    folder = bucket_of(workshop)
    with workshop.open() as store:
        request = ExportImageRequest(image_id, form, str(folder), **words)
        bucket = DirectoryBucket(folder)
        shape = export_image(store, bucket, request, workshop.surroundings, ignore)
    require_ec2_shape("ExportImage", shape)
    return shape, folder / shape["Amictl"]["ObjectKey"]


def content_of(path: Path, driver: str) -> bytes:
    target = path.with_name("content")
    words = ["qemu-img", "convert", "-f", driver, "-O", "raw", str(path), str(target)]
    subprocess.run(words, check=True, capture_output=True)
    return target.read_bytes()


def info(path: Path) -> str:
    return subprocess.run(
        ["qemu-img", "info", "--output=json", path], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("form", FORMATS)
def test_file_holds_the_disk_byte_for_byte(workshop: Workshop, form: str) -> None:
    raw = raw_disk(workshop)
    shape, path = exported(workshop, workshop.image("one", raw), form)
    assert path.name == f"{shape['ExportImageTaskId']}.{FORMATS[form].suffix}"
    assert content_of(path, DRIVERS[form]) == raw.read_bytes()
    assert shape["Status"] == "completed"
    assert (shape if form != "QCOW2" else shape["Amictl"])["DiskImageFormat"] == form


def test_vhd_has_exactly_the_size_of_the_disk(workshop: Workshop) -> None:
    _, path = exported(workshop, workshop.image("one", raw_disk(workshop)), "VHD")
    assert int.from_bytes(path.read_bytes()[48:56], "big") == 2 * SEGMENT


def test_vmdk_is_one_for_streams(workshop: Workshop) -> None:
    _, path = exported(workshop, workshop.image("one", raw_disk(workshop)), "VMDK")
    assert "streamOptimized" in info(path)


@pytest.mark.parametrize("form", FORMATS)
def test_disk_that_ends_inside_of_a_sector_is_filled_up(workshop: Workshop, form: str) -> None:
    raw = raw_disk(workshop, size=SEGMENT + 1000)
    _, path = exported(workshop, workshop.image("one", raw), form)
    size = SEGMENT + 1000 if form == "RAW" else SEGMENT + 1024
    if form == "RAW":
        assert path.stat().st_size == size
    assert content_of(path, DRIVERS[form])[:size] == raw.read_bytes().ljust(size, b"\0")


def test_key_begins_with_folder_and_prefix(workshop: Workshop) -> None:
    image_id = workshop.image("one", raw_disk(workshop))
    shape, path = exported(workshop, image_id, folder="machines", prefix="exports/web-")
    key = f"machines/exports/web-{shape['ExportImageTaskId']}.qcow2"
    assert path == bucket_of(workshop) / key
    assert shape["S3ExportLocation"]["S3Prefix"] == "machines/exports/web-"


def test_task_remembers_what_was_asked(workshop: Workshop) -> None:
    image_id = workshop.image("one", raw_disk(workshop))
    shape, _ = exported(workshop, image_id, description="for a friend", tags={"a": "b"})
    with workshop.open() as store:
        task = tasks.seen(store, shape["ExportImageTaskId"])
    assert task is not None
    assert (task.state, task.image_id, task.percentage) == ("completed", image_id, 100)
    assert (shape["Description"], shape["Tags"]) == ("for a friend", [{"Key": "a", "Value": "b"}])


def test_encrypted_image_is_refused(workshop: Workshop) -> None:
    workshop.encrypt_by_default(workshop.keys.new())
    image_id = workshop.image("one", raw_disk(workshop))
    with pytest.raises(UnsupportedError, match="is encrypted") as raised:
        exported(workshop, image_id)
    assert "create-store-image-task" in str(raised.value.hint)


def test_image_of_two_disks_is_refused(workshop: Workshop) -> None:
    raw = raw_disk(workshop)
    image_id = workshop.image("two", raw, workshop.file("data", b"data"))
    with pytest.raises(UnsupportedError, match="has 2 disks"):
        exported(workshop, image_id)


def test_disabled_image_is_refused(workshop: Workshop) -> None:
    image_id = workshop.image("one", raw_disk(workshop))
    with workshop.open() as store:
        disable_image(store, image_id, workshop.surroundings)
    with pytest.raises(ConflictError) as raised:
        exported(workshop, image_id)
    assert "enable-image" in str(raised.value.hint)


def test_unknown_image_is_an_error(workshop: Workshop) -> None:
    with pytest.raises(ImageNotFoundError):
        exported(workshop, "ami-0123456789abcdef0")


@pytest.mark.parametrize("form", ["VHD", "VMDK"])
def test_disk_that_is_too_large_for_a_format_is_refused(workshop: Workshop, form: str) -> None:
    image_id = workshop.image("one", workshop.file("raw", b"data", 3 << 40))
    with pytest.raises(UnsupportedError, match=f"a {form} has at most"):
        exported(workshop, image_id, form)


def test_bucket_that_is_not_there_is_told_before_anything_begins(workshop: Workshop) -> None:
    image_id = workshop.image("one", raw_disk(workshop))
    with workshop.open() as store:
        bucket = DirectoryBucket(workshop.folder / "nothing")
        request = ExportImageRequest(image_id, "RAW", "nothing")
        with pytest.raises(BucketNotFoundError):
            export_image(store, bucket, request, workshop.surroundings, ignore)
        assert tasks.all_seen(store, "export-image") == []


def test_dry_run_writes_nothing(workshop: Workshop) -> None:
    image_id = workshop.image("one", raw_disk(workshop))
    with pytest.raises(DryRunError):
        exported(workshop, image_id, "VMDK", dry_run=True)
    assert list(bucket_of(workshop).iterdir()) == []


def test_without_qemu_img_only_raw_is_exported(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = workshop.image("one", raw_disk(workshop))
    monkeypatch.setenv("PATH", str(workshop.folder))
    with pytest.raises(UnsupportedError, match="not installed"):
        exported(workshop, image_id, "VMDK")
    assert exported(workshop, image_id, "RAW")[1].exists()


@pytest.mark.parametrize("form", ["RAW", "QCOW2"])
def test_damage_leaves_no_object_and_a_task_that_names_it(workshop: Workshop, form: str) -> None:
    image_id = workshop.image("one", raw_disk(workshop))
    flip(workshop.packs(0)[0], 5000)
    with pytest.raises(CorruptStoreError) as raised:
        exported(workshop, image_id, form)
    assert list(bucket_of(workshop).rglob("*")) == []
    assert list((workshop.root / "staging").iterdir()) == []
    with workshop.open() as store:
        (task,) = tasks.all_seen(store, "export-image")
    assert (task.state, task.message) == ("failed", raised.value.message)


def test_cancelled_export_leaves_no_object(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_SAVE_SECONDS", 0.0)
    image_id = workshop.image("one", workshop.file("raw", workshop.noise(3 * MIB)))
    with workshop.open() as store:

        def cancel(shape: Mapping[str, Any]) -> None:
            tasks.cancel(store, shape["ExportImageTaskId"], "", workshop.surroundings)

        request = ExportImageRequest(image_id, "QCOW2", "bucket")
        bucket = DirectoryBucket(bucket_of(workshop))
        with pytest.raises(TaskCancelledError):
            export_image(store, bucket, request, workshop.surroundings, cancel)
    assert list(bucket_of(workshop).iterdir()) == []


@pytest.mark.parametrize("form", FORMATS)
def test_export_is_imported_again(workshop: Workshop, form: str) -> None:
    from tests.actions.test_importing import DiskContainer, imported, snapshot_of

    raw = raw_disk(workshop)
    _, path = exported(workshop, workshop.image("one", raw), form)
    shape = imported(workshop, DiskContainer(path))
    assert workshop.restored(snapshot_of(shape)) == raw.read_bytes()
