"""A bundle goes to an S3-compatible server, is launched from there, copied, fetched and deleted."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.buckets.servers import KINDS, Region, Servers
from tests.bundles.shell import Signer, new_signer
from tests.conftest import Home

pytestmark = pytest.mark.needs("openssl")

MIB = 1 << 20


@pytest.fixture(params=KINDS)
def region(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Region:
    server = servers.get(request.param)
    return Region(server, server.new_bucket(), tmp_path / "cache")


class User:
    """Somebody with a bundle of two parts, and a bucket at a server."""

    def __init__(self, home: Home, region: Region) -> None:
        self.home = home
        self.url = region.server.url
        self.bucket = f"s3://{region.bucket}/bundles"
        self.signer: Signer = new_signer(home.folder)
        self.image = home.folder / "old.img"
        self.image.write_bytes(random.Random(1).randbytes(11 * MIB))

    def __call__(self, *words: str | Path) -> Any:
        finished = self.home(*words, AWS_ENDPOINT_URL=self.url)
        assert (finished.status, finished.err) == (0, "")
        return json.loads(finished.out or "null")

    def launched(self, image_id: str, name: str) -> bytes:
        key = ["--private-key", self.signer.private_key]
        self("launch-image", "--image-id", image_id, "--directory", name, *key)
        return (self.home.folder / name / "sda1.raw").read_bytes()


def test_a_bundle_lives_at_a_server(amictl: Home, region: Region) -> None:
    user = User(amictl, region)
    signed = ["--certificate", user.signer.certificate, "--private-key", user.signer.private_key]
    made = user("bundle-image", "--image", user.image, *signed, "--user", "123456789012")
    up = ["upload-bundle", "--bucket", user.bucket, "--manifest", made["Manifest"]]
    user(*up, "--part", "1", "--skip-manifest")
    user(*up)
    location = f"{user.bucket}/old.img.manifest.xml"
    words = ["register-image", "--name", "old", "--image-location", location]
    image_id = user(*words, "--certificate", user.signer.certificate)["ImageId"]
    assert user.launched(image_id, "first") == user.image.read_bytes()

    user("modify-region", "local", "--bundle-bucket", f"{user.bucket}/copies")
    copy = ["copy-image", "--source-region", "local", "--source-image-id", image_id]
    copied = user(*copy, "--name", "copy")["ImageId"]
    which = ["--bucket", user.bucket, "--prefix", "old.img"]
    (amictl.folder / "down").mkdir()
    user("download-bundle", *which, "--destination", "down")
    user("delete-bundle", *which)
    names = sorted(path.name for path in (amictl.folder / "down").iterdir())
    assert names == ["old.img.manifest.xml", "old.img.part.00", "old.img.part.01"]
    assert user.launched(copied, "second") == user.image.read_bytes()
    failed = amictl(*words, "--certificate", user.signer.certificate, AWS_ENDPOINT_URL=user.url)
    assert failed.status == 14
    assert "InvalidAMIName.Duplicate" in failed.err
