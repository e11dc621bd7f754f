"""What we bundle is opened by openssl, gzip and tar; what they bundled is opened by us."""

import os
import random
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amictl.actions.bundling import (
    BundleImageRequest,
    UnbundleRequest,
    bundle_file,
    unbundle_image,
)
from amictl.bundles import rsa_keys
from amictl.bundles.opening import BundlePlace
from amictl.bundles.writing import BundleFiles, BundleKeys, BundleRequest, write_parts
from amictl.errors import StorageError
from amictl.model.surroundings import Surroundings
from amictl.progress import Silent
from amictl.storage.object_files import DirectoryBucket
from tests.bundles.shell import Signer, bundle, new_signer, unbundle

pytestmark = pytest.mark.needs("openssl", "gzip", "tar")

SURROUNDINGS = Surroundings(lambda: datetime.now(UTC), os.urandom, Silent())
MIB = 1 << 20
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return new_signer(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bundle"
    made.mkdir()
    return made


def sparse_image(path: Path, size_bytes: int, *, seed: int = 1, pieces: int = 40) -> Path:
    generator = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size_bytes)
        for _ in range(pieces):
            file.seek(generator.randrange(size_bytes - 5000))
            file.write(generator.randbytes(5000))
    return path


def made_by_us(image: Path, folder: Path, signer: Signer) -> Path:
    request = BundleImageRequest(
        signer.certificate, signer.private_key, folder, "123456789012", architecture="x86_64"
    )
    return Path(bundle_file(image, request, SURROUNDINGS)["Manifest"])


def opened_by_us(manifest: Path, signer: Signer, destination: Path) -> Path:
    place = BundlePlace(DirectoryBucket(manifest.parent), manifest.name)
    request = UnbundleRequest(place, signer.private_key, destination)
    return Path(unbundle_image(request, SURROUNDINGS)["Image"])


@pytest.mark.parametrize("size_bytes", [512, 65_536, 3 * MIB + 512, 70 * MIB])
def test_what_we_bundle_is_opened_by_openssl_gzip_and_tar(
    tmp_path: Path, folder: Path, signer: Signer, size_bytes: int
) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(b"") if size_bytes < MIB else sparse_image(image, size_bytes)
    os.truncate(image, size_bytes)
    back = tmp_path / "back"
    back.mkdir()
    unbundle(made_by_us(image, folder, signer), signer, back)
    assert (back / "disk.img").read_bytes() == image.read_bytes()


def test_parts_are_of_ten_mebibytes(tmp_path: Path, folder: Path, signer: Signer) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(random.Random(1).randbytes(21 * MIB))
    manifest = made_by_us(image, folder, signer)
    sizes = [part.stat().st_size for part in sorted(folder.glob("disk.img.part.*"))]
    assert sizes[:2] == [10 * MIB, 10 * MIB]
    assert len(sizes) == 3
    assert opened_by_us(manifest, signer, tmp_path / "bundle").read_bytes() == image.read_bytes()


@pytest.mark.parametrize(("size_bytes", "pieces"), [(1, 0), (MIB, 3), (64 * MIB, 200)])
def test_what_openssl_gzip_and_tar_bundled_is_opened_by_us(
    tmp_path: Path, folder: Path, signer: Signer, size_bytes: int, pieces: int
) -> None:
    image = sparse_image(tmp_path / "old.img", size_bytes + 5001, pieces=pieces)
    manifest = bundle(image, folder, signer)
    back = tmp_path / "back"
    back.mkdir()
    assert opened_by_us(manifest, signer, back).read_bytes() == image.read_bytes()


def test_what_is_empty_takes_no_room(tmp_path: Path, folder: Path, signer: Signer) -> None:
    image = sparse_image(tmp_path / "disk.img", 90 * MIB, pieces=2)
    manifest = made_by_us(image, folder, signer)
    back = tmp_path / "back"
    back.mkdir()
    assert opened_by_us(manifest, signer, back).stat().st_blocks * 512 < 2 * MIB


@pytest.mark.parametrize("shell", ["bash", pytest.param("dash", marks=pytest.mark.needs("dash"))])
def test_the_recipe_of_the_manual_opens_a_bundle(
    tmp_path: Path, folder: Path, signer: Signer, shell: str
) -> None:
    image = sparse_image(tmp_path / "disk.img", 3 * MIB)
    made_by_us(image, folder, signer)
    page = (ROOT / "man" / "amictl-bundle.5").read_text()
    recipe = page.partition("OPENING ONE")[2].partition(".nf\n")[2].partition(".fi")[0]
    recipe = recipe.replace("\\-", "-").replace("\\e", "\\")
    script = f"name=disk.img; private_key={signer.private_key}; {recipe}"
    subprocess.run([shell, "-euc", script], cwd=folder, check=True, capture_output=True)
    assert (folder / "disk.img").read_bytes() == image.read_bytes()


def test_a_disk_that_cannot_be_read_to_its_end_leaves_nothing(
    tmp_path: Path, folder: Path, signer: Signer
) -> None:
    class Failing:
        size_bytes = 30 * MIB

        def extents(self) -> list[tuple[int, int]]:
            return [(0, self.size_bytes)]

        def read(self, offset: int, length: int) -> bytes:
            if offset > 25 * MIB:
                raise StorageError("the disk fails")
            return random.Random(offset).randbytes(length)

    private = rsa_keys.read_private_key(signer.private_key)
    public = rsa_keys.read_public_key(signer.certificate)
    keys = BundleKeys(private, public, public)
    request = BundleRequest("disk", "123456789012", "x86_64")
    with (
        pytest.raises(StorageError, match="the disk fails"),
        BundleFiles(DirectoryBucket(folder)) as files,
    ):
        write_parts(Failing(), request, keys, files, os.urandom, Silent())
    assert len(files.names) == 2
    assert list(folder.iterdir()) == []
