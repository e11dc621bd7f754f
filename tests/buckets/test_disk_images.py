"""Disks in the formats of others, from and to buckets of objects at each of the two servers."""

import subprocess
from pathlib import Path

import pytest

from amictl.actions.exporting import ExportImageRequest, export_image
from amictl.actions.importing import ImportSnapshotRequest, import_snapshot
from amictl.errors import StorageError
from amictl.volumes.imports import DiskContainer
from tests.buckets.objects import Objects
from tests.buckets.servers import Region
from tests.workshop import MIB, Workshop, ignore


@pytest.fixture
def objects(region: Region, tmp_path: Path) -> Objects:
    """An empty bucket."""
    return Objects(tmp_path, region)


@pytest.fixture
def local(tmp_path: Path) -> Workshop:
    """A store in a directory."""
    return Workshop(tmp_path)


def raw_disk(local: Workshop) -> Path:
    return local.file("raw", {0: local.noise(3 * MIB), 9 * MIB: b"end" * 1000}, 10 * MIB)


def imported(local: Workshop, objects: Objects, key: str) -> str:
    source = objects.open().open(key)
    container = DiskContainer(source=source, url=source.where)
    with local.open() as store:
        request = ImportSnapshotRequest(container)
        shape = import_snapshot(store, request, local.surroundings, ignore)
    return str(shape["SnapshotTaskDetail"]["SnapshotId"])


@pytest.mark.parametrize("driver", ["raw", "qcow2", "vhdx"])
def test_object_is_imported_by_ranges(local: Workshop, objects: Objects, driver: str) -> None:
    raw, path = raw_disk(local), local.folder / "disk"
    words = ["qemu-img", "convert", "-f", "raw", "-O", driver, str(raw), str(path)]
    subprocess.run(words, check=True)
    objects.put("images/disk", path.read_bytes())
    assert local.restored(imported(local, objects, "images/disk")) == raw.read_bytes()


def test_object_that_is_replaced_meanwhile_is_not_imported(
    local: Workshop, objects: Objects
) -> None:
    objects.put("disk", raw_disk(local).read_bytes())
    source = objects.open().open("disk")
    objects.open().delete("disk")
    objects.put("disk", b"another" * 1000)
    request = ImportSnapshotRequest(DiskContainer(source=source, url=source.where))
    with local.open() as store, pytest.raises(StorageError, match="disk"):
        import_snapshot(store, request, local.surroundings, ignore)
    assert list((local.root / "pending").iterdir()) == []


@pytest.mark.parametrize("form", ["RAW", "VMDK"])
def test_image_is_exported_to_a_bucket_and_comes_back(
    local: Workshop, objects: Objects, form: str
) -> None:
    raw = raw_disk(local)
    image_id = local.image("one", raw)
    with local.open() as store:
        request = ExportImageRequest(image_id, form, "s3://bucket", prefix="exports/")
        shape = export_image(store, objects.open(), request, local.surroundings, ignore)
    key = shape["Amictl"]["ObjectKey"]
    assert objects.everything() == [key]
    assert local.restored(imported(local, objects, key)) == raw.read_bytes()
