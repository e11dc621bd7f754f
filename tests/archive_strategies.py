"""Values of an archive's formats, for property tests."""

from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from amictl.formats import tar
from amictl.formats.archive_manifest import mapped_snapshots
from amictl.formats.archive_map import zero_frame_size
from amictl.model.archives import (
    KEY,
    MANIFEST,
    SEALED,
    ArchivedDisk,
    ArchivedImage,
    Blank,
    FramePlace,
    Manifest,
    Member,
    MemberMap,
    Members,
    member_name,
)
from amictl.model.blockmap import AVERAGE_SIZES, SEGMENT_SIZE, Leaf
from amictl.model.records import Cut, Mapping
from tests.strategies import (
    FINGERPRINTS,
    FREEZES,
    IDS,
    KEY_IDS,
    NAMES,
    OWNERS,
    SOURCES,
    TAGS,
    TEXTS,
    TIMES,
    U32,
    hexadecimal,
    record_ids,
)

LATER_TIMES = st.integers(2000, 2200).map(lambda year: f"{year}-01-02T03:04:05.678Z")
TAR_HEADERS = st.builds(
    tar.Header,
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-./", min_size=1, max_size=99),
    st.integers(0, tar.SIZE_MAX),
    st.integers(0, tar.TIME_MAX),
)


@st.composite
def member_maps(draw: DrawFn) -> MemberMap:
    """Maps of up to four segments, the last one perhaps short."""
    tail = draw(st.integers(1, SEGMENT_SIZE))
    lengths = [SEGMENT_SIZE] * draw(st.integers(0, 3)) + [tail]
    segments = [draw(st.sampled_from(Blank) | _leaves(length)) for length in lengths]
    frames: list[FramePlace] = []
    blank = 0
    for segment, length in [*zip(segments, lengths, strict=True), (None, 0)]:
        if isinstance(segment, Blank):
            blank += length
            continue
        if blank:
            frames.append(FramePlace(zero_frame_size(blank), blank))
            blank = 0
        if segment is not None:
            frames += draw(_frames(length))
    return MemberMap(
        draw(IDS),
        draw(U32),
        draw(U32),
        draw(st.integers(0, 2**40)) * SEGMENT_SIZE,
        sum(lengths),
        tuple(frames),
        tuple(segments),
    )


@st.composite
def _leaves(draw: DrawFn, length: int) -> Leaf:
    """A leaf of this length with at least one chunk."""
    cuts = draw(st.sets(st.integers(1, max(1, length - 1)), max_size=5)) - {length}
    bounds = [0, *sorted(cuts), length]
    lengths = tuple(stop - start for start, stop in pairwise(bounds))
    names: list[bytes | None] = []
    for at in range(len(lengths)):
        may_be_zeros = at > 0 and names[-1] is not None
        names.append(draw(st.none() | NAMES if may_be_zeros else NAMES))
    return Leaf(lengths, tuple(names), draw(FINGERPRINTS))


@st.composite
def _frames(draw: DrawFn, length: int) -> list[FramePlace]:
    frames = []
    while length:
        plain = min(length, draw(st.sampled_from([2**20, 2**20 - 3])))
        frames.append(FramePlace(draw(st.integers(1, plain + 8192)), plain))
        length -= plain
    return frames


@st.composite
def _disks(draw: DrawFn, snapshot_id: str, *, encrypted: bool) -> ArchivedDisk:
    secret = draw(st.none() | hexadecimal(64))
    size = draw(st.integers(1, 2**50))
    sealed = encrypted and draw(st.booleans())
    return ArchivedDisk(
        snapshot_id=snapshot_id,
        volume_id=draw(record_ids("vol")),
        owner_id=draw(OWNERS),
        size_bytes=size,
        data_bytes=draw(st.integers(0, size)),
        root=draw(st.none() | hexadecimal(64)),
        cut=Cut(2 if secret else 1, draw(st.sampled_from(AVERAGE_SIZES))),
        cut_secret=secret,
        fingerprint_key=draw(hexadecimal(64)),
        hash="blake3",
        encrypted=sealed,
        kms_key_id=draw(KEY_IDS) if sealed else None,
        start_time=draw(LATER_TIMES),
        freeze=draw(FREEZES.filter(lambda freeze: freeze.moment > "0001-01-01T00:00:01")),
        source=draw(SOURCES),
        description=draw(TEXTS),
        tags=draw(TAGS),
        further=draw(TAGS),
    )


@st.composite
def manifests(draw: DrawFn) -> Manifest:
    """Manifests of images with up to three disks."""
    devices = draw(
        st.lists(
            st.sampled_from(["/dev/sda1", "/dev/sdb", "xvdc", "/dev/sdd"]),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    snapshots = draw(st.lists(record_ids("snap"), min_size=2, max_size=2))
    mappings = tuple(
        Mapping(device, draw(st.none() | st.sampled_from(snapshots)), 1) for device in devices
    )
    image = ArchivedImage(
        image_id=draw(record_ids("ami")),
        name=draw(TEXTS),
        owner_id=draw(OWNERS),
        creation_date=draw(TIMES),
        architecture="x86_64",
        boot_mode=draw(st.none() | TEXTS),
        platform=draw(st.none() | TEXTS),
        root_device_name=draw(st.sampled_from(devices)),
        mappings=mappings,
        description=draw(TEXTS),
        tags=draw(TAGS),
        further=draw(TAGS),
    )
    encrypted = draw(st.booleans())
    disks = tuple(draw(_disks(one, encrypted=encrypted)) for one in mapped_snapshots(mappings))
    return Manifest(draw(hexadecimal(32)), draw(LATER_TIMES), encrypted, image, disks)


@st.composite
def members(draw: DrawFn) -> Members:
    """Tables of members of up to three disks."""
    sealed = draw(st.booleans())
    names = [KEY, MANIFEST + SEALED] if sealed else [MANIFEST]
    counts = draw(st.lists(st.integers(1, 3), max_size=3))
    names += [
        member_name(disk, number, is_sealed=sealed)
        for disk, count in enumerate(counts)
        for number in range(count)
    ]
    offset, found = tar.BLOCK_SIZE, []
    for name in names:
        size = draw(st.integers(1, 65_536))
        found.append(Member(name, offset, size, draw(hexadecimal(64))))
        offset = tar.next_offset(offset, size)
    return Members(draw(hexadecimal(32)), draw(LATER_TIMES), tuple(found))
