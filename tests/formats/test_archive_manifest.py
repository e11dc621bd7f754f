"""manifest.json: what is encoded is decoded, and what nobody encoded is refused."""

from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats import archive_manifest
from amictl.model.archives import Manifest
from tests.archive_strategies import manifests
from tests.strategies import damaged


def encoded_again(data: bytes) -> bytes | None:
    try:
        return archive_manifest.encode(archive_manifest.decode(data, "here"))
    except (CorruptStoreError, UnsupportedError):
        return None


@given(manifests())
def test_decode_inverts_encode(manifest: Manifest) -> None:
    assert archive_manifest.decode(archive_manifest.encode(manifest), "here") == manifest


@given(st.binary() | damaged(manifests().map(archive_manifest.encode)))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    assert encoded_again(data) in (None, data)
