"""Members of disks: what their maps say is what is in them, and they are as few as may be."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from blake3 import blake3
from pyrage import x25519

from amictl.archives import segments, stream
from amictl.archives.members import Disk, members
from amictl.archives.segments import PackedSegment
from amictl.content.compressing import Compressor
from amictl.content.naming import fingerprint
from amictl.errors import CorruptStoreError, UnsupportedError
from amictl.formats import archive_manifest, archive_map, archive_members
from amictl.formats.archive_map import raw_frame
from amictl.formats.frame import CODEC_ZSTD
from amictl.model.archives import (
    MANIFEST,
    MEMBER_SIZE_MAX,
    MEMBERS_MAX,
    Blank,
    FramePlace,
    Member,
    MemberMap,
    Members,
)
from amictl.model.blockmap import Leaf, Name
from amictl.store import catalog
from tests.archives.storing import content, opened, stored, table_of
from tests.workshop import MIB, SEGMENT, Workshop, flip

GIB = 1 << 30
ID = bytes(16)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def parts(data: bytes) -> tuple[MemberMap, bytes]:
    """The map of a member, and its frames."""
    size = archive_map.size_in(data[:8])
    return archive_map.decode(data[:size]), data[size:]


def decoded(frames: bytes, places: tuple[FramePlace, ...]) -> Iterator[bytes]:
    """Each frame by itself, without a dictionary, in a window of 8 MiB."""
    position = 0
    for place in places:
        data = frames[position : position + place.stored_length]
        position += place.stored_length
        found = zstandard.get_frame_parameters(data)
        assert (found.content_size, found.dict_id) == (place.plain_length, 0)
        yield zstandard.ZstdDecompressor(max_window_size=8 * MIB).decompress(data)
    assert position == len(frames)


def require_leaf(leaf: Leaf, plain: bytes, key: bytes) -> None:
    """Chunks have their plain names, zeros are zeros, the fingerprint is right."""
    position = 0
    for length, name in zip(leaf.lengths, leaf.names, strict=True):
        piece = plain[position : position + length]
        assert blake3(piece).digest() == name if name else piece == bytes(length)
        position += length
    assert fingerprint(plain, key) == leaf.fingerprint


@pytest.mark.parametrize("reuse_from", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("encrypts", [False, True])
def test_maps_describe_what_is_in_members(
    workshop: Workshop, reuse_from: float, encrypts: bool
) -> None:
    text = b"".join(b"line %d of a text\n" % number for number in range(100_000))
    disk = workshop.file(
        "disk", {0: workshop.noise(MIB), SEGMENT + 5000: text, 3 * SEGMENT: bytes(SEGMENT)},
        size=6 * SEGMENT + 1000,
    )  # fmt: skip
    identity = x25519.Identity.generate()
    if encrypts:
        workshop.encrypt_by_default(workshop.keys.add(str(identity)))
    archive = stored(workshop, workshop.image("one", disk), reuse_from=reuse_from)
    found = opened(archive, identity)
    manifest = archive_manifest.decode(found.pop(MANIFEST), str(archive))
    plain = b""
    for number, data in enumerate(found.values()):
        member, frames = parts(data)
        assert (member.archive_id.hex(), member.disk) == (manifest.archive_id, 0)
        assert (member.number, member.first) == (number, len(plain))
        plain += b"".join(decoded(frames, member.frames))
        for index, segment in enumerate(member.segments):
            start = member.first + index * SEGMENT
            here = plain[start : start + SEGMENT]
            if isinstance(segment, Leaf):
                require_leaf(segment, here, bytes.fromhex(manifest.disks[0].fingerprint_key))
            else:
                assert here == bytes(len(here))
    assert plain == disk.read_bytes()


def test_frames_are_taken_over_or_made_anew(workshop: Workshop) -> None:
    image = workshop.image("one", workshop.file("disk", workshop.noise(SEGMENT)))
    lengths = {}
    for name, reuse_from in (("all", 0.0), ("half", 0.5), ("none", 2.0)):
        archive = stored(workshop, image, prefix=name, reuse_from=reuse_from)
        member, _ = parts(opened(archive)["disk-0/000000.zst"])
        lengths[name] = [frame.plain_length for frame in member.frames]
    assert lengths["none"] == [MIB] * 4
    assert lengths["half"] == lengths["all"]
    assert max(lengths["all"]) <= 262_144


def test_segments_of_which_little_can_be_taken_over_are_made_anew(workshop: Workshop) -> None:
    content = bytearray(workshop.noise(SEGMENT))
    disk = workshop.file("disk", bytes(content))
    workshop.snapshot(disk)
    for start in range(0, SEGMENT, 256 * 1024):  # a chunk of most frames becomes another one
        content[start : start + 512] = b"\1" * 512
    disk.write_bytes(content)
    image = workshop.image("one", disk)
    archive = stored(workshop, image, prefix="half")
    member, _ = parts(opened(archive)["disk-0/000000.zst"])
    assert [frame.plain_length for frame in member.frames] == [MIB] * 4
    archive = stored(workshop, image, prefix="all", reuse_from=0.0)
    member, _ = parts(opened(archive)["disk-0/000000.zst"])
    assert len(member.frames) > 4


def swollen(_: Compressor, plain: memoryview) -> tuple[int, bytes]:
    """A frame of zstd with thousands of blocks of nothing before its own."""
    frame = raw_frame(plain)
    return CODEC_ZSTD, frame[:10] + bytes(3) * 3000 + frame[10:]


def test_frames_that_no_archive_may_have_are_made_anew(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = workshop.file("disk", workshop.noise(SEGMENT))
    with monkeypatch.context() as patch:
        patch.setattr(Compressor, "encode", swollen)  # as a foreign program may write
        image = workshop.image("one", disk)
    archive = stored(workshop, image, reuse_from=0.0)
    member, frames = parts(opened(archive)["disk-0/000000.zst"])
    assert [frame.plain_length for frame in member.frames] == [MIB] * 4
    assert b"".join(decoded(frames, member.frames)) == disk.read_bytes()


def test_a_segment_of_too_many_frames_is_made_anew(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = workshop.image("one", workshop.file("disk", workshop.noise(SEGMENT)))
    monkeypatch.setattr(segments, "SEGMENT_FRAMES_MAX", 4)
    archive = stored(workshop, image, reuse_from=0.0)
    member, _ = parts(opened(archive)["disk-0/000000.zst"])
    assert [frame.plain_length for frame in member.frames] == [MIB] * 4


def test_an_image_of_too_many_members_is_refused(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = workshop.image("one", workshop.file("disk", workshop.noise(SEGMENT)))
    monkeypatch.setattr(stream, "MEMBERS_MAX", 1)
    with pytest.raises(UnsupportedError, match="too large for an archive"):
        stored(workshop, image)
    assert list((workshop.folder / "bucket").iterdir()) == []


def test_the_largest_table_can_be_found_from_the_end() -> None:
    name, digest = "disk-262143/262143.zst.age", "0" * 64
    member = Member(name, MEMBERS_MAX * (MEMBER_SIZE_MAX + 65_536), MEMBER_SIZE_MAX, digest)
    table = len(archive_members.encode(Members("0" * 32, "t", (member,) * 1000))) / 1000
    assert table * MEMBERS_MAX <= archive_members.SIZE_MAX
    sums = len(archive_members.sums([(name, digest)]))
    assert (table + sums) * MEMBERS_MAX < 64 * MIB


def test_a_leaf_that_cannot_be_read_is_named(workshop: Workshop) -> None:
    image = workshop.image("one", workshop.file("disk", workshop.noise(SEGMENT + 1000)))
    flip(workshop.packs(1)[0], 32 + 40)
    with pytest.raises(CorruptStoreError, match="is damaged at bytes 4194304 to 4195304"):
        stored(workshop, image)


@pytest.mark.parametrize(
    ("place", "start"), [(lambda root, _: root, 0), (lambda _, below: below, SEGMENT)]
)
def test_what_cannot_be_told_of_a_disk_is_named(
    workshop: Workshop, place: Callable[[Name, Name], Name], start: int
) -> None:
    size = 200 * SEGMENT
    disk = workshop.file("disk", {0: b"first", 150 * SEGMENT: b"last"}, size=size)
    image = workshop.image("one", disk)
    with workshop.open() as store:
        snapshot = str(catalog.read_image_core(store, image).mappings[0].snapshot_id)
        root = bytes.fromhex(catalog.read_snapshot(store, snapshot).root or "")
        below = store.read_interior(root, 2).children[1]
        assert below is not None
        found = store.index.find(place(root, below))
    assert found is not None
    flip(workshop.packs(1)[0], found.offset + 20)
    with pytest.raises(CorruptStoreError) as caught:
        stored(workshop, image)
    assert caught.value.message.startswith(f"{snapshot} is damaged at bytes {start} to {size}: ")


def test_a_wrong_fingerprint_is_damage(workshop: Workshop) -> None:
    image = workshop.image("one", workshop.file("disk", workshop.noise(SEGMENT + 1000)))
    with workshop.open() as store:
        snapshot = catalog.read_image_core(store, image).mappings[0].snapshot_id
    workshop.put_core(replace(workshop.core(str(snapshot)), fingerprint_key="ab" * 32))
    with pytest.raises(CorruptStoreError, match="says something else than its chunks"):
        stored(workshop, image)


@pytest.mark.parametrize("blank", [Blank.HOLE, Blank.ZEROS])
def test_a_gibibyte_of_zeros_is_one_member_of_33_kilobytes(blank: Blank) -> None:
    blanks = [PackedSegment(index, blank) for index in range(GIB // SEGMENT)]
    found = list(members(Disk(ID, 0, GIB), blanks))
    assert len(found) == 1
    assert sum(map(len, found[0])) < 34_000


def test_a_terabyte_with_little_in_it_has_a_member_for_each_gibibyte(workshop: Workshop) -> None:
    disk = workshop.file("disk", {0: b"first", 700 * GIB: b"last"}, size=1024 * GIB)
    archive = stored(workshop, workshop.image("one", disk))
    table = table_of(archive).members
    assert len(table) == 1 + 1024
    assert archive.stat().st_size < 36_000_000
    member, frames = parts(content(archive, table[1 + 700]))
    assert next(decoded(frames, member.frames)).startswith(b"last")


def incompressible(count: int) -> Iterator[PackedSegment]:
    data = raw_frame(b"x" * MIB)
    places = (FramePlace(len(data), MIB),) * 4
    leaf = Leaf((SEGMENT,), (b"n" * 32,), b"f" * 16)
    return (PackedSegment(index, leaf, places, data * 4) for index in range(count))


def test_a_member_has_as_many_segments_as_fit() -> None:
    found = list(members(Disk(ID, 3, 40 * SEGMENT), incompressible(40)))
    sizes = [sum(map(len, pieces)) for pieces in found]
    assert max(sizes) <= MEMBER_SIZE_MAX < max(sizes) + SEGMENT
    assert [len(archive_map.decode(pieces[0]).segments) for pieces in found] == [15, 15, 10]
    assert [archive_map.decode(pieces[0]).first for pieces in found] == [
        0,
        15 * SEGMENT,
        30 * SEGMENT,
    ]


def test_zeros_between_segments_are_one_frame() -> None:
    (first,) = incompressible(1)
    packed = [first, PackedSegment(1, Blank.ZEROS), replace(first, index=5)]
    (found,) = members(Disk(ID, 0, 6 * SEGMENT + 9), packed)
    member = archive_map.decode(found[0])
    assert [frame.plain_length for frame in member.frames] == [MIB] * 4 + [4 * SEGMENT] + [
        MIB
    ] * 4 + [9]
    assert member.segments[1:5] == (Blank.ZEROS, Blank.HOLE, Blank.HOLE, Blank.HOLE)
