"""Two images go to a directory and to two object stores, and come back on an empty machine."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from tests.buckets.servers import KINDS, Servers, servers
from tests.cli.test_images import make_disk
from tests.conftest import Home

__all__ = ["servers"]

TAGS = (
    "ResourceType=image,Tags=[{Key=stage,Value=prod}]",
    "ResourceType=snapshot,Tags=[{Key=part,Value=web}]",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where archives go: what the user calls it, and how an object is had without amictl."""

    bucket: str
    variables: dict[str, str]
    fetch: Callable[[str], bytes]


@pytest.fixture(params=["directory", *KINDS])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "directory":
        folder = tmp_path / "usb"
        folder.mkdir()
        yield Place(str(folder), {}, lambda key: (folder / key).read_bytes())
        return
    servers: Servers = request.getfixturevalue("servers")
    server = servers.get(request.param)
    bucket = server.new_bucket()

    def fetch(key: str) -> bytes:
        status, content = server.request("GET", f"/{bucket}/images/{key}")
        assert status == 200
        return content

    yield Place(f"s3://{bucket}/images", {"AWS_ENDPOINT_URL": server.url}, fetch)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with a home, and nothing in it at first."""

    home: Home

    def __call__(self, *words: str | Path) -> Any:
        """The answer of a command that succeeds."""
        finished = self.home(*words)
        assert (finished.status, finished.err) == (0, ""), words
        return json.loads(finished.out or "null")

    def image(self, image_id: str) -> dict[str, Any]:
        (image,) = self("describe-images", "--image-ids", image_id)["Images"]
        return dict(image)

    def snapshots(self, image_id: str) -> list[str]:
        """By the order of the devices."""
        mappings = self.image(image_id)["BlockDeviceMappings"]
        return [one["Ebs"]["SnapshotId"] for one in mappings]

    def disks(self, image_id: str) -> list[bytes]:
        """The content of all disks of an image."""
        found = []
        for snapshot_id in self.snapshots(image_id):
            target = self.home.folder / snapshot_id
            self("create-volume", "--snapshot-id", snapshot_id, target)
            found.append(target.read_bytes())
        return found


def machine(tmp_path: Path, name: str, place: Place) -> Machine:
    folder = tmp_path / name
    folder.mkdir()
    return Machine(Home(folder, place.variables))


def encrypted_image(first: Machine, plain: str) -> str:
    """An image with the disks of another one, of which the second is encrypted."""
    root, data = first.snapshots(plain)
    copy = first(
        "copy-snapshot", "--source-region", "local", "--source-snapshot-id", data,
        "--encrypted", "--kms-key-id", "alias/shop",
    )["SnapshotId"]  # fmt: skip
    image = first(
        "register-image", "--name", "shop", "--root-device-name", "/dev/sda1",
        "--block-device-mappings", f"DeviceName=/dev/sda1,Ebs={{SnapshotId={root}}}",
        f"DeviceName=/dev/sdb,Ebs={{SnapshotId={copy}}}", "--tag-specifications", TAGS[0],
    )  # fmt: skip
    return str(image["ImageId"])


def by_hand(folder: Path, archive: bytes) -> list[bytes]:
    """The disks of a plain archive, as the shell gets them."""
    folder.mkdir()
    path = folder / "archive.bin"
    path.write_bytes(archive)
    disks = []
    for number in range(2):
        recipe = f"tar xOf archive.bin --wildcards 'disk-{number}/*' | zstd -q -d -o {number}.raw"
        subprocess.run(["bash", "-euc", f"set -o pipefail; {recipe}"], cwd=folder, check=True)
        disks.append((folder / f"{number}.raw").read_bytes())
    return disks


def restored(second: Machine, bucket: str, key: str) -> str:
    words = ["--bucket", bucket, "--object-key", key]
    return str(second("create-restore-image-task", *words)["ImageId"])


@pytest.mark.needs("tar", "zstd")
def test_images_survive_the_loss_of_their_machine(tmp_path: Path, place: Place) -> None:
    first = machine(tmp_path, "first", place)
    first("create-key", "--alias", "shop")
    files = [make_disk(first.home.folder / f"{name}.raw", seed=ord(name)) for name in "ab"]
    contents = [file.read_bytes() for file in files]
    plain = first("create-image", "--name", "web", *files, "--tag-specifications", *TAGS)
    image_ids = [plain["ImageId"], encrypted_image(first, plain["ImageId"])]
    before = [first.image(image_id) for image_id in image_ids]
    keys = [
        first("create-store-image-task", "--image-id", one, "--bucket", place.bucket)["ObjectKey"]
        for one in image_ids
    ]
    first("export-key", "--key-id", "alias/shop", "--output-file", tmp_path / "shop.key")
    rmtree(first.home.folder)

    second = machine(tmp_path, "second", place)
    second("import-key", tmp_path / "shop.key")
    new_ids = [restored(second, place.bucket, key) for key in keys]

    for old, new_id in zip(before, new_ids, strict=True):
        new = second.image(new_id)
        assert new["ImageId"] != old["ImageId"] == new["SourceImageId"]
        assert (new["Name"], new["Tags"]) == (old["Name"], old["Tags"])
        assert second.disks(new_id) == contents
        encrypted = [one["Ebs"]["Encrypted"] for one in old["BlockDeviceMappings"]]
        assert [one["Ebs"]["Encrypted"] for one in new["BlockDeviceMappings"]] == encrypted
    assert second("check-store", "--read-data")["Faults"] == []
    shown = second("describe-snapshots", "--snapshot-ids", *second.snapshots(new_ids[0]))
    assert [one["Tags"] for one in shown["Snapshots"]] == [[{"Key": "part", "Value": "web"}]] * 2
    assert by_hand(tmp_path / "by-hand", place.fetch(keys[0])) == contents
    assert all(word not in place.fetch(keys[1]) for word in (b"shop", b"stage", b"prod"))
