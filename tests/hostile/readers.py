"""The readers that the vectors go through, each the real one: bytes in, an error or nothing out."""

from collections.abc import Callable, Mapping
from itertools import islice

from amictl.errors import CorruptStoreError, KeyUnavailableError
from amictl.formats import config
from amictl.model.blockmap import SEGMENT_SIZE
from amictl.progress import Silent
from tests.golden.readers import AGAIN

Reader = Callable[[bytes], object]


def read_identity_file(data: bytes) -> None:
    """A key as `import-key` takes it; whoever is asked for a passphrase knows none."""
    from amictl.keys import identities
    from tests.keys.chest import Mute

    identities.identity_in(identities.unprotected(data, "here", _nobody_knows), "here", Mute())


def read_configuration(data: bytes) -> None:
    """`config.toml`, all of it."""
    text = data.decode()
    config.decode(text)
    config.decode_defaults(text)


def read_structure(data: bytes) -> None:
    """Block device mappings as they stand on a command line."""
    from amictl.cli import shapes

    shapes.read(data.decode(), shapes.BLOCK_DEVICE_MAPPING)


class Whole:
    """An object that is in memory."""

    where = "s3://bucket/ami.bin"
    metadata: Mapping[str, str] = {}

    piece_size = 1 << 20
    reading_threads = 4

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        found = self._data[offset : offset + length]
        if offset < 0 or len(found) != length:
            raise CorruptStoreError(f"{self.where} ends before byte {offset + length}")
        return found

    def close(self) -> None:
        pass


def read_archive(data: bytes) -> None:
    """All of an archive, as `verify-archive` reads it with the key."""
    from amictl.archives.contents import read_contents
    from amictl.archives.reading import open_archive
    from amictl.archives.sound_images import require_sound_image
    from amictl.archives.verifying import verify_disk, verify_members
    from tests.hostile.archives import open_key

    source = Whole(data)
    contents = read_contents(source)
    archive = open_archive(source, contents, open_key)
    verify_members(source, contents, Silent())
    require_sound_image(archive.manifest)
    for number in range(len(archive.manifest.disks)):
        verify_disk(archive, number, Silent())


def read_disk_image(data: bytes, most: int | None = None) -> None:
    """A disk in a foreign format, as `import-snapshot` reads it: all of it, or so many segments."""
    from amictl.volumes.imports import ObjectDisk, imported_disk

    with ObjectDisk(Whole(data), "s3://bucket/disk", "2026-11-22T12:00:00.000Z") as source:
        disk = imported_disk(source, None)
        with disk.content() as (segments, read):
            for index in islice(segments, most):
                place = index * SEGMENT_SIZE
                read(place, memoryview(bytearray(min(SEGMENT_SIZE, disk.size_bytes - place))))


def read_bundle_manifest(data: bytes) -> None:
    """The manifest of an instance-store bundle."""
    from amictl.bundles import manifest_xml

    manifest_xml.decode(data)


def read_bundle_stream(data: bytes) -> None:
    """What comes out of the parts of a bundle once they are decrypted."""
    from amictl.bundles.image_tar import read_image
    from amictl.bundles.reading import TarStream
    from tests.hostile.bundle_vectors import IMAGE_SIZE

    for offset, piece in read_image(TarStream(iter([data])), IMAGE_SIZE):
        assert 0 <= offset <= offset + len(piece) <= IMAGE_SIZE


def _nobody_knows(place: str) -> str:
    raise KeyUnavailableError(f"nobody knows the passphrase of {place}")


READERS: dict[str, Reader] = {
    **AGAIN,
    "identity-file": read_identity_file,
    "configuration": read_configuration,
    "structure": read_structure,
    "archive": read_archive,
    "disk-image": read_disk_image,
    "bundle-manifest": read_bundle_manifest,
    "bundle-stream": read_bundle_stream,
}


def warm() -> None:
    """Import now what readers import when they are called."""
    import cryptography.hazmat.primitives.serialization
    import numpy
    import pyrage
    import tomlkit

    import amictl.archives.verifying
    import amictl.bundles.manifest_xml
    import amictl.bundles.reading
    import amictl.cli.shapes
    import amictl.keys.identities
    import amictl.volumes.imports

    assert all((cryptography, numpy, pyrage, tomlkit, amictl))
