"""members.json and SHA256SUMS: what is encoded is decoded, and other programs read it."""

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats import archive_members
from amictl.model.archives import KEY, Members, member_name
from tests.archive_strategies import members
from tests.strategies import damaged

DIGEST_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def encoded_again(data: bytes) -> bytes | None:
    try:
        return archive_members.encode(archive_members.decode(data, "here"))
    except (CorruptStoreError, UnsupportedError):
        return None


@given(members())
def test_decode_inverts_encode(table: Members) -> None:
    assert archive_members.decode(archive_members.encode(table), "here") == table


@given(st.binary() | damaged(members().map(archive_members.encode)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)


@given(members())
def test_an_archive_is_sealed_if_it_begins_with_a_key(table: Members) -> None:
    assert archive_members.is_sealed(table) == (table.members[0].name == KEY)


def test_places_are_read_from_names() -> None:
    assert archive_members.place_of(member_name(2, 34, is_sealed=True)) == (2, 34)
    assert archive_members.place_of("manifest.json") is None


def test_the_time_in_the_headers_is_in_whole_seconds() -> None:
    assert archive_members.seconds_of("2026-11-22T10:00:00.999Z") == 1_795_341_600
    assert archive_members.seconds_of("2026-11-22T10:00:00") == -1
    assert archive_members.seconds_of("never") == -1


def test_sha256sum_reads_the_sums(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "SHA256SUMS").write_bytes(archive_members.sums([("empty", DIGEST_OF_NOTHING)]))
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)
