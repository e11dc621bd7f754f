"""The golden archives of format version 1 are read by every later version; they are never made
again.
"""

import json
from pathlib import Path

import pyrage
import pytest
from pyrage import x25519

from amictl.actions.unarchiving import RestoreImageRequest, restore_image, verify_archive
from amictl.keys.public_keys import public_keys_in
from amictl.progress import Silent
from amictl.storage.object_files import FileSource
from amictl.store import catalog
from tests.archives.storing import ENCRYPTED, PLAIN, SIGNED, follow
from tests.golden.make_store import digest_of
from tests.workshop import Workshop, ignore

GOLDEN = Path(__file__).parent / "archive-v1"
EXPECTED: dict[str, list[str]] = json.loads((GOLDEN / "expected.json").read_text())
IDENTITY = x25519.Identity.from_str((GOLDEN / "identity.txt").read_text().strip())
SIGNERS = public_keys_in(GOLDEN / "signer.pem")
KINDS = ("plain", "sealed")


def open_key(data: bytes, place: str) -> bytes:
    return pyrage.decrypt(data, [IDENTITY])


def test_the_golden_archives_are_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 250_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_golden_archive_is_restored(tmp_path: Path, kind: str) -> None:
    workshop = Workshop(tmp_path)
    key = workshop.keys.add(str(IDENTITY))
    source = FileSource(GOLDEN / f"{kind}.bin")
    trusted = SIGNERS if kind == "plain" else ()
    request = RestoreImageRequest(str(GOLDEN), f"{kind}.bin", trusted=trusted)
    with workshop.open() as store:
        made = restore_image(store, source, open_key, request, workshop.surroundings, ignore)
        image = catalog.read_image_core(store, made["ImageId"])
        attributes = catalog.read_attributes(store, made["ImageId"])
        domain = catalog.read_snapshot(store, str(image.mappings[0].snapshot_id)).domain
        assert store.key_id(domain) == (key if kind == "sealed" else None)
    assert image.name == ("golden" if kind == "plain" else "golden and sealed")
    assert [(tag.key, tag.value) for tag in attributes.tags] == [("Name", "golden")]
    found = []
    for number, mapping in enumerate(image.mappings):
        workshop.volume(mapping.snapshot_id, tmp_path / f"disk-{number}")
        found.append(digest_of(tmp_path / f"disk-{number}"))
    assert found == EXPECTED[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_golden_archive_is_verified(kind: str) -> None:
    source = FileSource(GOLDEN / f"{kind}.bin")
    assert verify_archive(source, open_key, (), Silent())["Content"] == "verified"


@pytest.mark.needs("zstd", "age", "openssl")
def test_golden_archives_are_restored_without_amictl(tmp_path: Path) -> None:
    follow(PLAIN, tmp_path / "plain", archive=GOLDEN / "plain.bin")
    follow(SIGNED, tmp_path / "plain", archive=GOLDEN / "plain.bin", signer=GOLDEN / "signer.pem")
    identity = GOLDEN / "identity.txt"
    follow(ENCRYPTED, tmp_path / "sealed", archive=GOLDEN / "sealed.bin", identity=identity)
    for kind in KINDS:
        found = [digest_of(tmp_path / kind / f"disk-{number}.raw") for number in (0, 1)]
        assert found == EXPECTED[kind]
