"""Looking at archives: who signed them, what is in them, and whether all of it is right."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import x25519

from amictl.actions.unarchiving import describe_archive, verify_archive
from amictl.archives.contents import read_contents
from amictl.archives.sealed import OpenKey
from amictl.errors import AmictlError, InvalidArchiveError
from amictl.formats import archive_map
from amictl.keys.public_keys import PublicKey
from amictl.model.archives import MANIFEST, SEALED, member_name
from amictl.model.blockmap import Leaf
from amictl.progress import Silent
from tests.archives.raw_archives import (
    Disk,
    Parts,
    chunks,
    mebibytes,
    plain_archive,
    sealed_archive,
    snapshot_id,
)
from tests.archives.test_restoring import CONTENT, Source, no_key, opening
from tests.workshop import SEGMENT

FIRST = member_name(0, 0, is_sealed=False)
KEY = Ed25519PrivateKey.generate()
PUBLIC = PublicKey(KEY.public_key().public_bytes_raw())
STRANGER = PublicKey(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., dict[str, object]]:
    """Verify an archive, which is in a file."""

    def verified(
        archive: Parts | bytes, open_key: OpenKey = no_key, *trusted: PublicKey
    ) -> dict[str, object]:
        data = archive if isinstance(archive, bytes) else archive.joined()
        path = tmp_path / "archive.bin"
        path.write_bytes(data)
        return verify_archive(Source(path), open_key, trusted, Silent())

    return verified


Verify = Callable[..., dict[str, object]]


@pytest.mark.parametrize("frames", [mebibytes, chunks])
@pytest.mark.parametrize("holes", [True, False])
def test_a_sound_archive_is_verified(
    verify: Verify, frames: Callable[[Leaf], list[int]], holes: bool
) -> None:
    archive = plain_archive(Disk(CONTENT, frames, holes=holes), Disk(bytes(SEGMENT + 1)))

    assert verify(archive)["Content"] == "verified"


def test_a_sealed_archive_is_verified_with_its_key_alone(verify: Verify) -> None:
    identity = x25519.Identity.generate()
    archive = sealed_archive(identity.to_public(), Disk(CONTENT))

    opened, unopened = verify(archive, opening(identity)), verify(archive)

    assert (opened["Content"], unopened["Content"]) == ("verified", "sealed")
    assert "Image" in opened
    assert "Image" not in unopened


def test_each_bit_that_changes_is_found(verify: Verify) -> None:
    whole = plain_archive(Disk(b"text " * 2000, chunks)).joined()
    for at in range(0, len(whole), 97):
        changed = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        with pytest.raises(AmictlError):
            verify(changed)


def test_each_bit_of_a_sealed_archive_counts_without_its_key(verify: Verify) -> None:
    identity = x25519.Identity.generate()
    whole = sealed_archive(identity.to_public(), Disk(b"text " * 2000)).joined()
    for at in range(0, len(whole), 97):
        changed = whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :]
        with pytest.raises(InvalidArchiveError):
            verify(changed)


def test_an_archive_that_is_cut_short_is_refused(verify: Verify) -> None:
    whole = plain_archive(Disk(CONTENT[:SEGMENT])).joined()
    for size in range(0, len(whole), 512):
        with pytest.raises(InvalidArchiveError):
            verify(whole[:size])


def test_nothing_may_follow_an_archive(verify: Verify) -> None:
    whole = plain_archive(Disk(CONTENT)).joined()
    with pytest.raises(InvalidArchiveError):
        verify(whole + bytes(512))
    with pytest.raises(InvalidArchiveError):
        verify(whole + whole)


def test_zeros_that_are_none_are_found(verify: Verify) -> None:
    """A restore leaves them out, but the shell would not."""
    parts = plain_archive(Disk(bytes(2 * SEGMENT)))
    content = dict(parts.members)[FIRST]
    frame = archive_map.zero_frame(2 * SEGMENT)
    assert content.endswith(frame)
    other = frame[:-1] + b"x"

    with pytest.raises(InvalidArchiveError, match="should be zeros from byte 0"):
        verify(parts.with_member(FIRST, content[: -len(frame)] + other))


def test_a_member_in_the_place_of_another_is_found(verify: Verify) -> None:
    identity = x25519.Identity.generate()
    parts = sealed_archive(identity.to_public(), Disk(CONTENT[: 2 * SEGMENT] * 2))
    first, second = (member_name(0, at, is_sealed=True) for at in range(2))
    contents = dict(parts.members)
    swapped = parts.with_member(first, contents[second]).with_member(second, contents[first])

    with pytest.raises(InvalidArchiveError, match="is a member of something else"):
        verify(swapped, opening(identity))


def test_a_manifest_of_another_archive_is_found(verify: Verify) -> None:
    parts = replace(plain_archive(Disk(CONTENT)), archive_id="00" * 16)

    with pytest.raises(InvalidArchiveError, match=r"manifest\.json is of another archive"):
        verify(parts)


def test_a_missing_disk_is_found(verify: Verify) -> None:
    both = plain_archive(Disk(CONTENT), Disk(b"second"))
    parts = plain_archive(Disk(CONTENT)).with_member(MANIFEST, dict(both.members)[MANIFEST])

    with pytest.raises(InvalidArchiveError, match=r"the disks are not those of manifest\.json"):
        verify(parts)


def test_a_member_sealed_to_somebody_else_too_is_refused(verify: Verify) -> None:
    identity = x25519.Identity.generate()
    other = sealed_archive(identity.to_public(), Disk(b"other"))
    parts = sealed_archive(identity.to_public(), Disk(CONTENT))
    name = MANIFEST + SEALED

    with pytest.raises(InvalidArchiveError, match=r"manifest\.json\.age cannot be opened"):
        verify(parts.with_member(name, dict(other.members)[name]), opening(identity))


def test_it_is_known_who_signed_it(verify: Verify) -> None:
    signed = replace(plain_archive(Disk(CONTENT)), signing_key=KEY)

    shown = verify(signed, no_key, STRANGER, PUBLIC)

    assert (shown["Signed"], shown["SignedBy"]) == (True, PUBLIC.fingerprint)
    assert "SignedBy" not in verify(signed)


def test_what_nobody_signed_who_is_trusted_is_refused(verify: Verify) -> None:
    archive = plain_archive(Disk(CONTENT))

    with pytest.raises(InvalidArchiveError, match="is not signed") as caught:
        verify(archive, no_key, PUBLIC)
    assert caught.value.code == "SignatureDoesNotMatch"
    with pytest.raises(InvalidArchiveError, match="signed by nobody who is trusted"):
        verify(replace(archive, signing_key=KEY), no_key, STRANGER)


def test_who_signed_is_asked_before_the_key(verify: Verify) -> None:
    asked: list[str] = []

    def ask(data: bytes, place: str) -> bytes:
        asked.append(place)
        return no_key(data, place)

    archive = sealed_archive(x25519.Identity.generate().to_public(), Disk(CONTENT))
    with pytest.raises(InvalidArchiveError):
        verify(archive, ask, PUBLIC)
    assert asked == []


def test_a_description_reads_no_disk(tmp_path: Path) -> None:
    path = tmp_path / "archive.bin"
    path.write_bytes(plain_archive(Disk(CONTENT), Disk(b"second" * 100)).joined())
    source = Source(path)

    shown = describe_archive(source, no_key, [])

    assert source.read_bytes < 80_000
    assert (shown["Location"], shown["Encrypted"], shown["Signed"]) == (str(path), False, False)
    assert (shown["Image"]["Name"], shown["MemberCount"]) == ("web", 5)
    first, second = shown["Disks"]
    assert (first["SnapshotId"], first["SizeBytes"]) == (snapshot_id(0), len(CONTENT))
    assert (second["Disk"], second["MemberCount"], second["Description"]) == (1, 1, "disk 1")
    assert first["StoredBytes"] > SEGMENT


def test_the_table_is_found_where_it_is_long(tmp_path: Path) -> None:
    """Longer than what is searched at first."""
    members = [(member_name(0, number, is_sealed=False), b"x") for number in range(500)]
    path = tmp_path / "archive.bin"
    path.write_bytes(Parts(((MANIFEST, b"{}"), *members)).joined())

    assert len(read_contents(Source(path)).members.members) == 501


def test_an_archive_inside_a_disk_is_not_taken_for_the_table(verify: Verify) -> None:
    inner = replace(plain_archive(Disk(b"inner")), signing_key=KEY).joined()

    def whole(leaf: Leaf) -> list[int]:
        return [0, sum(leaf.lengths)]

    shown = verify(plain_archive(Disk(inner * 20, whole)), no_key)

    assert (shown["Signed"], shown["MemberCount"]) == (False, 2)
