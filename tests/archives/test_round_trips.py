"""Whatever is on a disk, and however its frames are taken over: what is stored can be verified."""

import random
import tempfile
from pathlib import Path

import pyrage
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrage import x25519

from amictl.actions.unarchiving import verify_archive
from amictl.progress import Silent
from amictl.storage.object_files import FileSource
from tests.archives.storing import opened, stored
from tests.workshop import SEGMENT, Workshop

IDENTITY = x25519.Identity.generate()
PIECES = st.lists(
    st.tuples(
        st.integers(0, 3 * SEGMENT),
        st.integers(1, 300_000),
        st.sampled_from(["noise", "text", "zeros"]),
        st.integers(0, 3),
    ),
    max_size=8,
)
SIZES = st.integers(1, 4 * SEGMENT) | st.sampled_from([SEGMENT, 2 * SEGMENT, 512, 4096])


def content(kind: str, size: int, seed: int) -> bytes:
    """Pieces of one seed begin alike, so that there is something to find again."""
    if kind == "zeros":
        return bytes(size)
    if kind == "noise":
        return random.Random(seed).randbytes(size)
    return (b"a line of text %d\n" % seed * (size // 10))[:size]


@settings(max_examples=30)
@given(PIECES, SIZES, st.sampled_from([0.0, 0.5, 2.0]), st.booleans(), st.booleans())
def test_what_is_stored_is_verified_and_has_the_bytes_of_the_disk(
    pieces: list[tuple[int, int, str, int]],
    size: int,
    reuse_from: float,
    encrypts: bool,
    is_second: bool,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        if encrypts:
            workshop.encrypt_by_default(workshop.keys.add(str(IDENTITY)))
        layout = {offset: content(kind, length, seed) for offset, length, kind, seed in pieces}
        disk = workshop.file("disk", layout)
        with disk.open("r+b") as file:
            file.truncate(size)
        if is_second:
            other = {offset // 2: data for offset, data in layout.items()}
            workshop.snapshot(workshop.file("other", other, size=4096))
        archive = stored(workshop, workshop.image("one", disk), reuse_from=reuse_from)
        found = opened(archive, IDENTITY)
        members = b"".join(data for name, data in found.items() if name.startswith("disk-"))
        with zstandard.ZstdDecompressor().stream_reader(members, read_across_frames=True) as reader:
            assert reader.read() == disk.read_bytes()
        verified = verify_archive(
            FileSource(archive), lambda data, _: pyrage.decrypt(data, [IDENTITY]), (), Silent()
        )
        assert verified["Content"] == "verified"
