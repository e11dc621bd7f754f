"""Archives of images whose region is in a bucket, in another bucket of the same server."""

from pathlib import Path

import pytest

from amictl.actions.archiving import StoreImageRequest, store_image
from amictl.actions.unarchiving import RestoreImageRequest, restore_image, verify_archive
from amictl.errors import CorruptStoreError, KeyUnavailableError
from amictl.progress import Silent
from amictl.store import catalog
from tests.buckets.objects import Objects
from tests.buckets.proxy import proxied
from tests.buckets.servers import Region
from tests.buckets.workshop import BucketWorkshop
from tests.workshop import MIB, SEGMENT, Workshop, ignore

TAGS = {"project": "größer"}


@pytest.fixture
def objects(one_region: Region, tmp_path: Path) -> Objects:
    """An empty bucket at the server of the workshop."""
    server = one_region.server
    return Objects(tmp_path, Region(server, server.new_bucket(), tmp_path / "objects"))


def no_key(data: bytes, place: str) -> bytes:
    raise KeyUnavailableError(f"no key opens {place}")


def stored(workshop: BucketWorkshop, objects: Objects, image_id: str) -> str:
    request = StoreImageRequest(image_id, "bucket", "folder", TAGS)
    with workshop.open() as store:
        result = store_image(store, objects.open(), request, workshop.surroundings, ignore)
    return f"folder/{result['ObjectKey']}"


def test_an_image_goes_from_a_region_in_a_bucket_to_one_in_a_directory(
    workshop: BucketWorkshop, objects: Objects, tmp_path: Path
) -> None:
    content = {0: workshop.noise(6 * MIB), 3 * SEGMENT: b"text " * 100_000}
    disk = workshop.file("disk", content, size=5 * SEGMENT + 100)
    image_id = workshop.image("web", disk, description="größer")
    key = stored(workshop, objects, image_id)
    assert objects.everything() == [key]
    source = objects.open().open(key)
    assert source.metadata["ami-description"] == "größer"
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Workshop(tmp_path / "elsewhere", seed=2)
    with elsewhere.open() as store:
        request = RestoreImageRequest("bucket", key)
        made = restore_image(store, source, no_key, request, elsewhere.surroundings, ignore)
        image = catalog.read_image_core(store, made["ImageId"])
    assert image.name == "web"
    assert image.image_id != image_id
    assert elsewhere.restored(str(image.mappings[0].snapshot_id)) == disk.read_bytes()


def test_an_archive_is_read_with_few_requests(
    workshop: BucketWorkshop, objects: Objects, tmp_path: Path
) -> None:
    content = workshop.noise(24 * MIB)
    key = stored(workshop, objects, workshop.image("web", workshop.file("disk", content)))
    assert objects.region is not None
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Workshop(tmp_path / "elsewhere", seed=2)
    with proxied(objects.region.server.port, "503") as verifying:
        verify_archive(objects.open(verifying.url).open(key), no_key, (), Silent())
    with proxied(objects.region.server.port, "503") as restoring, elsewhere.open() as store:
        source = objects.open(restoring.url).open(key)
        request = RestoreImageRequest("bucket", key)
        made = restore_image(store, source, no_key, request, elsewhere.surroundings, ignore)
        image = catalog.read_image_core(store, made["ImageId"])
    assert elsewhere.restored(str(image.mappings[0].snapshot_id)) == content
    # One to ask for it, its table, its manifest, the head of its member, and each 8 MiB.
    assert len(verifying.methods) <= 9
    assert len(restoring.methods) <= 8


def test_a_damaged_region_leaves_no_object_and_no_upload(
    workshop: BucketWorkshop, objects: Objects
) -> None:
    image_id = workshop.image("web", workshop.file("disk", workshop.noise(9 * MIB)))
    with workshop.open() as store:
        names = [name for name, _ in store.storage.names("packs")]
        name = max(names, key=store.storage.size)
        data = bytearray(store.storage.read(name))
        data[-9000] ^= 1
        store.storage.delete(name)
        store.storage.write(name, bytes(data))
    with pytest.raises(CorruptStoreError, match="is damaged at bytes"):
        stored(workshop.with_empty_cache(), objects, image_id)
    assert objects.everything() == []
