"""The recipes in the page of the archive restore disks with tar, zstd, sha256sum, age, openssl."""

import subprocess
from pathlib import Path

import pytest
from pyrage import x25519

from amictl.keys.signing_keys import signer
from tests.archives.storing import ENCRYPTED, ONE_DISK, PLAIN, SIGNED, follow, recipes, stored
from tests.workshop import MIB, SEGMENT, Workshop, same

pytestmark = pytest.mark.needs("zstd", "age", "openssl")


def no_passphrase(place: str) -> str:
    raise AssertionError(f"{place} needs none")


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    """Two disks of several segments: noise, text, zeros, holes, and a tail that is no sector."""
    shop = Workshop(tmp_path / "disks")
    root = {
        0: shop.noise(MIB + 777),
        2 * MIB: b"a line of text\n" * 50_000,
        5 * SEGMENT: b"\1",
        6 * SEGMENT: bytes(SEGMENT),
    }
    return [
        shop.file("root", root, size=9 * SEGMENT + 333),
        shop.file("data", shop.noise(3 * MIB, seed=8)),
    ]


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_the_page_has_four_recipes() -> None:
    assert [recipe.split()[0] for recipe in recipes()] == ["tar", "tar", "umask", "tar"]


def test_one_command_restores_a_disk_sparsely(workshop: Workshop, disks: list[Path]) -> None:
    archive = stored(workshop, workshop.image("two", *disks))
    follow(ONE_DISK, workshop.folder / "out", archive=archive)
    found = workshop.folder / "out" / "disk-0.raw"
    assert same(found, disks[0])
    assert found.stat().st_blocks * 512 < 5 * MIB


@pytest.mark.parametrize("reuse_from", [0.0, 0.5, 2.0])
def test_a_plain_archive_is_restored_with_its_digests_compared(
    workshop: Workshop, disks: list[Path], reuse_from: float
) -> None:
    archive = stored(workshop, workshop.image("two", *disks), reuse_from=reuse_from)
    follow(PLAIN, workshop.folder / "out", archive=archive)
    assert same(workshop.folder / "out" / "disk-0.raw", disks[0])
    assert same(workshop.folder / "out" / "disk-1.raw", disks[1])


def test_an_encrypted_archive_is_restored_with_age(workshop: Workshop, disks: list[Path]) -> None:
    identity = x25519.Identity.generate()
    (workshop.folder / "identity").write_text(f"{identity}\n")
    workshop.encrypt_by_default(workshop.keys.add(str(identity)))
    archive = stored(workshop, workshop.image("two", *disks))
    out = workshop.folder / "out"
    follow(ENCRYPTED, out, archive=archive, identity=workshop.folder / "identity")
    assert same(out / "disk-0.raw", disks[0])
    assert same(out / "disk-1.raw", disks[1])
    assert b'"Name":"two"' in (out / "manifest.json").read_bytes()


def test_a_further_recipient_opens_an_archive_too(workshop: Workshop, disks: list[Path]) -> None:
    identity = x25519.Identity.generate()
    (workshop.folder / "identity").write_text(f"{identity}\n")
    workshop.encrypt_by_default(workshop.keys.new())
    image = workshop.image("one", disks[1])
    archive = stored(workshop, image, recipients=(str(identity.to_public()),))
    out = workshop.folder / "out"
    follow(ENCRYPTED, out, archive=archive, identity=workshop.folder / "identity")
    assert same(out / "disk-0.raw", disks[1])


def test_a_plain_image_is_encrypted_for_recipients(workshop: Workshop, disks: list[Path]) -> None:
    identity = x25519.Identity.generate()
    (workshop.folder / "identity").write_text(f"{identity}\n")
    image = workshop.image("one", disks[1])
    archive = stored(workshop, image, recipients=(str(identity.to_public()),))
    out = workshop.folder / "out"
    follow(ENCRYPTED, out, archive=archive, identity=workshop.folder / "identity")
    assert same(out / "disk-0.raw", disks[1])
    assert workshop.noise(64, seed=8) not in archive.read_bytes()


def test_openssl_says_who_signed_an_archive(workshop: Workshop, disks: list[Path]) -> None:
    key, public = workshop.folder / "key.pem", workshop.folder / "public.pem"
    for words in (
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)],
        ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)],
    ):
        subprocess.run(words, check=True, capture_output=True)
    key.chmod(0o600)
    archive = stored(workshop, workshop.image("one", disks[1]), sign=signer(key, no_passphrase))
    said = follow(SIGNED, workshop.folder / "out", archive=archive, signer=public)
    assert said == "Signature Verified Successfully\n"
    follow(PLAIN, workshop.folder / "again", archive=archive)
