"""Values of the formats, and bytes that were damaged on the way, for property tests."""

import string
from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from amictl.formats import frame as frame_format
from amictl.formats import pack as pack_format
from amictl.formats.current import Current, PackRow, RunRow
from amictl.formats.frame import CODEC_STORED, CODEC_ZSTD, PLAIN_SIZE_MAX
from amictl.formats.pack import Entry, PackKind
from amictl.model.blockmap import (
    AVERAGE_SIZES,
    SEGMENT_SIZE,
    Interior,
    Leaf,
    Name,
    child_span,
    slot_count,
    tree_height,
)
from amictl.model.keys import ENABLED, PENDING_DELETION, KeyRecord
from amictl.model.records import (
    STATES,
    Attributes,
    CheckLog,
    CopyToken,
    Cut,
    DamagedFrame,
    DamageList,
    DomainHeader,
    Epoch,
    Event,
    EventLog,
    Features,
    ImageCore,
    ImageName,
    Mapping,
    PackCheck,
    PendingImage,
    PendingSnapshot,
    PendingState,
    RegionSettings,
    RetentionRule,
    RetentionRules,
    SnapshotCore,
    Source,
    StoreConfig,
    VolumeRecord,
    tags_from,
)
from amictl.model.seen import SeenDomain, SeenState
from amictl.model.source import Freeze
from amictl.model.tasks import ACTIVE, PREFIXES, TaskCancellation, TaskRecord
from amictl.model.tasks import STATES as TASK_STATES

FrameParts = tuple[tuple[Name, ...], tuple[int, ...], int, bytes]
"""Names, lengths, codec and payload."""

IndexRow = tuple[Name, int, int, int, int]
"""Name, pack, offset, length, position."""

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
IDS = st.binary(min_size=16, max_size=16)
FINGERPRINTS = st.binary(min_size=16, max_size=16)
# Few different first bytes, so that names repeat and keys collide.
NAMES = st.builds(
    lambda key, rest: key * 8 + rest * 24,
    st.sampled_from([b"\0", b"\1", b"\x80", b"\xff"]),
    st.integers(0, 20).map(lambda value: bytes([value])),
) | st.binary(min_size=32, max_size=32)


def damaged(
    encoded: SearchStrategy[bytes], seal: Callable[[bytes], bytes] = bytes
) -> SearchStrategy[bytes]:
    """Encoded values with one damage each; `seal` may repair the checksum after it."""

    @st.composite
    def strategy(draw: DrawFn) -> bytes:
        data = draw(encoded)
        return seal(draw(st.sampled_from(_DAMAGES))(draw, data))

    return strategy()


def _flipped(draw: DrawFn, data: bytes) -> bytes:
    at, bit = draw(st.integers(0, max(0, len(data) - 1))), draw(st.integers(0, 7))
    return data[:at] + bytes(byte ^ 1 << bit for byte in data[at : at + 1]) + data[at + 1 :]


def _truncated(draw: DrawFn, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _zeroed(draw: DrawFn, data: bytes) -> bytes:
    start, stop = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
    return data[:start] + bytes(stop - start) + data[stop:]


def _swapped(draw: DrawFn, data: bytes) -> bytes:
    size = draw(st.integers(1, 32))
    a, b = sorted(draw(st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))))
    if b < a + size or b + size > len(data):
        return data[::-1]
    return (
        data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]
    )


def _appended(draw: DrawFn, data: bytes) -> bytes:
    return data + draw(st.binary(min_size=1, max_size=40))


def _overwritten(draw: DrawFn, data: bytes) -> bytes:
    piece = draw(st.binary(min_size=1, max_size=8))
    at = draw(st.integers(0, len(data)))
    return data[:at] + piece + data[at + len(piece) :]


_DAMAGES = [_flipped, _truncated, _zeroed, _swapped, _appended, _overwritten]


# --- block maps, frames, packs -----------------------------------------------------------------


@st.composite
def leaves(draw: DrawFn) -> Leaf:
    """Leaves of segments of any length; no two runs of zeros follow each other."""
    drawn = draw(
        st.lists(st.tuples(st.integers(1, 131_072), st.none() | NAMES), min_size=1, max_size=12)
    )
    pieces = [
        piece
        for at, piece in enumerate(drawn)
        if at == 0 or piece[1] is not None or drawn[at - 1][1] is not None
    ]
    lengths, names = zip(*pieces, strict=True)
    return Leaf(lengths, names, draw(FINGERPRINTS))


@st.composite
def interiors(draw: DrawFn) -> Interior:
    """Inner nodes of low levels, with holes, that lead to something."""
    level = draw(st.integers(1, 3))
    children = draw(st.lists(st.none() | NAMES, min_size=1, max_size=20).filter(any))
    tail = draw(st.integers(1, child_span(level)))
    plain_length = (len(children) - 1) * child_span(level) + tail
    assert slot_count(level, plain_length) == len(children)
    return Interior(level, plain_length, tuple(children))


@st.composite
def frames(draw: DrawFn) -> FrameParts:
    """What a frame is made of; the payload of codec 1 is any bytes, since it is not decoded."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    codec = draw(st.sampled_from([CODEC_STORED, CODEC_ZSTD]))
    most = 100 if codec == CODEC_STORED else PLAIN_SIZE_MAX // len(names)
    lengths = tuple(draw(st.integers(1, most)) for _ in names)
    size = {"min_size": sum(lengths), "max_size": sum(lengths)} if codec == CODEC_STORED else {}
    return tuple(names), lengths, codec, draw(st.binary(**size))


def encoded_frame(parts: FrameParts) -> bytes:
    """The stored bytes of such a frame."""
    return frame_format.encode(*parts)


@st.composite
def packs(draw: DrawFn) -> tuple[PackKind, bytes, tuple[Entry, ...], bytes]:
    """Kind, id, entries and digest of a pack with small pieces."""
    position = pack_format.HEADER_SIZE
    entries = []
    for length in draw(st.lists(st.integers(1, 30), max_size=6)):
        entries.append(Entry(position, length))
        position += length
    kind = draw(st.sampled_from(PackKind))
    return kind, draw(IDS), tuple(entries), draw(st.binary(min_size=32, max_size=32))


# --- the index ---------------------------------------------------------------------------------

INDEX_ROWS: SearchStrategy[IndexRow] = st.tuples(NAMES, U32, U32, U32, U16)


@st.composite
def currents(draw: DrawFn) -> Current:
    """Any CURRENT."""
    numbers = sorted(draw(st.sets(st.integers(0, 2**32 - 2), max_size=4)))
    kinds = st.sampled_from(PackKind)
    lists = st.sets(U32, max_size=3).map(lambda values: tuple(sorted(values)))
    return Current(
        generation=draw(U64),
        next_pack=draw(st.integers(max(numbers, default=-1) + 1, 2**32 - 1)),
        packs=tuple(PackRow(draw(IDS), draw(U64), number, draw(kinds)) for number in numbers),
        runs=tuple(draw(st.lists(st.builds(RunRow, IDS, U64, U64), max_size=3))),
        removed=draw(lists),
        condemned=draw(lists),
    )


# --- records -----------------------------------------------------------------------------------

TEXTS = st.text(max_size=20)
SIZES = st.integers(1, 2**50)
COUNTS = st.integers(0, 2**50)
TIMES = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").zfill(24))
TAGS = st.dictionaries(TEXTS, TEXTS, max_size=3).map(tags_from)


def hexadecimal(digits: int) -> SearchStrategy[str]:
    """So many lower-case hexadecimal digits."""
    return st.text("0123456789abcdef", min_size=digits, max_size=digits)


def record_ids(kind: str) -> SearchStrategy[str]:
    """`ami-…`, `snap-…` or `vol-…`, or of a task."""
    return hexadecimal(17).map(lambda digits: f"{kind}-{digits}")


OWNERS = st.text(string.digits, min_size=12, max_size=12)
DIGITS = st.integers(0, 2**64 - 1).map(str)
FREEZES = st.builds(
    Freeze,
    TIMES,
    st.sampled_from(["reflink", "lease", "copy", "exclusive"]),
    st.sampled_from(["at-rest", "quiesced", "crash"]),
    st.booleans(),
)
SOURCES = st.builds(Source, TEXTS, st.integers(0, 2**31), DIGITS, SIZES, DIGITS, DIGITS)


@st.composite
def snapshot_cores(draw: DrawFn) -> SnapshotCore:
    """Cores of snapshots of any size."""
    size = draw(SIZES | st.sampled_from([1, SEGMENT_SIZE, 128 * SEGMENT_SIZE + 1]))
    return SnapshotCore(
        snapshot_id=draw(record_ids("snap")),
        volume_id=draw(record_ids("vol")),
        owner_id=draw(OWNERS),
        size_bytes=size,
        root=draw(st.none() | hexadecimal(64)),
        height=tree_height(size),
        cut=draw(st.builds(Cut, st.just(1), st.sampled_from(AVERAGE_SIZES))),
        fingerprint_key=draw(hexadecimal(64)),
        domain="0" * 32,
        hash="blake3",
        parent=draw(st.none() | record_ids("snap")),
        start_time=draw(TIMES),
        completion_time=draw(TIMES),
        freeze=draw(FREEZES),
        source=draw(SOURCES),
        unchanged=draw(st.booleans()),
        new_bytes=draw(COUNTS),
        data_bytes=draw(st.integers(0, size)),
        further=draw(TAGS),
    )


MAPPINGS = st.builds(
    Mapping,
    st.sampled_from(["/dev/sda1", "/dev/xvda", "xvdb", "/dev/sdf"]),
    st.none() | record_ids("snap"),
    st.none() | st.integers(1, 16_384),
    st.booleans(),
    st.none() | TEXTS,
    st.none() | COUNTS,
    st.none() | COUNTS,
    st.none() | st.sampled_from(["ephemeral0", "ephemeral23"]),
)


@st.composite
def image_cores(draw: st.DrawFn) -> ImageCore:
    mappings = draw(st.lists(MAPPINGS, min_size=1, max_size=3))
    return ImageCore(
        draw(record_ids("ami")),
        draw(TEXTS),
        draw(OWNERS),
        draw(TIMES),
        draw(TEXTS),
        draw(st.none() | TEXTS),
        draw(st.none() | TEXTS),
        draw(st.sampled_from(mappings)).device_name,
        tuple(mappings),
        further=draw(TAGS),
    )


IMAGE_CORES = image_cores()


def attributes(kind: str) -> st.SearchStrategy[Attributes]:
    return st.builds(
        Attributes,
        record_ids(kind),
        COUNTS,
        st.sampled_from(STATES[kind]),
        TEXTS,
        TAGS,
        TAGS,
    )


PENDING_SNAPSHOTS = st.builds(
    PendingSnapshot,
    record_ids("snap"),
    record_ids("vol"),
    OWNERS,
    SIZES,
    TIMES,
    FREEZES,
    TEXTS,
    TEXTS,
    TAGS,
    COUNTS,
    COUNTS,
    st.none() | TEXTS,
)
WORDS = st.lists(TEXTS, max_size=2).map(tuple)
STORE_CONFIGS = st.builds(
    StoreConfig,
    store_id=hexadecimal(32),
    owner_id=OWNERS,
    created=TIMES,
    chunk_size=st.sampled_from(AVERAGE_SIZES),
    compression_level=st.integers(1, 19),
    hash=st.just("blake3"),
    parity=st.integers(0, 100),
    features=st.builds(Features, WORDS, WORDS, WORDS, WORDS),
)
EVENTS = st.builds(
    Event,
    hexadecimal(32),
    TIMES,
    TEXTS,
    st.lists(record_ids("ami") | record_ids("snap"), max_size=2).map(tuple),
    TEXTS,
    TAGS,
)
RETENTION_RULES = st.builds(
    RetentionRule,
    st.text(string.ascii_letters + string.digits, min_size=11, max_size=11),
    st.sampled_from(["EC2_IMAGE", "EBS_SNAPSHOT"]),
    st.integers(1, 365),
    TEXTS,
    TAGS,
    TAGS,
    TAGS,
    TAGS,
)
KEY_IDS = st.uuids().map(str)


@st.composite
def encrypted_cores(draw: DrawFn) -> SnapshotCore:
    """Cores of encrypted snapshots; what is sealed, and the MAC, are any text."""
    core = draw(snapshot_cores())
    pairs = {tag.key: tag.value for tag in core.further} | {"sealed": draw(TEXTS)}
    return replace(
        core,
        domain=draw(hexadecimal(32).filter(lambda text: text.strip("0"))),
        fingerprint_key="0" * 64,
        signatures=draw(st.lists(TEXTS, max_size=1).map(tuple)),
        further=tags_from(pairs),
    )


KEY_RECORDS = st.builds(
    KeyRecord,
    key_id=KEY_IDS,
    recipient=TEXTS,
    further_recipients=st.lists(TEXTS, max_size=3).map(tuple),
    aliases=st.lists(TEXTS, max_size=3).map(tuple),
    state=st.just(ENABLED),
    deletion_date=st.none(),
    created=TIMES,
    description=TEXTS,
    origin=st.sampled_from(["AWS_KMS", "EXTERNAL"]),
    further=TAGS,
)
SEEN_STATES = st.builds(
    SeenState,
    hexadecimal(32),
    st.none() | COUNTS,
    st.none() | hexadecimal(64),
    st.none() | TEXTS,
    st.none() | st.booleans(),
    st.none()
    | st.lists(st.builds(SeenDomain, hexadecimal(32), hexadecimal(64), COUNTS), max_size=3).map(
        tuple
    ),
)


@st.composite
def task_records(draw: DrawFn) -> TaskRecord:
    """Tasks of all kinds, active ones and ended ones."""
    kind = draw(st.sampled_from(sorted(PREFIXES)))
    state = draw(st.sampled_from(TASK_STATES))
    return TaskRecord(
        task_id=draw(record_ids(PREFIXES[kind])),
        kind=kind,
        start_time=draw(TIMES),
        state=state,
        image_id=draw(st.none() | record_ids("ami")),
        snapshot_ids=tuple(draw(st.lists(record_ids("snap"), max_size=2))),
        bucket=draw(st.none() | TEXTS),
        object_key=draw(st.none() | TEXTS),
        end_time=None if state == ACTIVE else draw(TIMES),
        done=draw(COUNTS),
        total=draw(COUNTS),
        message=draw(st.none() | TEXTS),
        further=draw(TAGS),
    )


TASK_CANCELLATIONS = st.builds(
    TaskCancellation, st.sampled_from(sorted(PREFIXES.values())).flatmap(record_ids), TIMES, TEXTS
)
RECORDS = st.one_of(
    task_records(),
    TASK_CANCELLATIONS,
    snapshot_cores(),
    encrypted_cores(),
    st.builds(
        DomainHeader,
        hexadecimal(32),
        KEY_IDS,
        hexadecimal(64),
        TEXTS,
        COUNTS,
        TIMES,
        TAGS,
    ),
    st.builds(RegionSettings, st.booleans(), st.none() | KEY_IDS, COUNTS, TAGS),
    IMAGE_CORES,
    STORE_CONFIGS,
    PENDING_SNAPSHOTS,
    st.builds(PendingImage, IMAGE_CORES, TEXTS, TAGS, st.none() | TEXTS),
    attributes("snap"),
    attributes("ami"),
    st.builds(PendingState, COUNTS, st.none() | TEXTS),
    st.builds(ImageName, TEXTS, record_ids("ami")),
    st.builds(CopyToken, TEXTS, hexadecimal(64), record_ids("ami")),
    KEY_RECORDS,
    SEEN_STATES,
    st.builds(replace, KEY_RECORDS, state=st.just(PENDING_DELETION), deletion_date=TIMES),
    st.builds(VolumeRecord, record_ids("vol"), TEXTS, record_ids("snap")),
    st.lists(st.builds(DamagedFrame, hexadecimal(32), U32, U32), max_size=3).map(
        lambda damage: DamageList(tuple(damage))
    ),
    st.lists(st.builds(PackCheck, hexadecimal(32), COUNTS), max_size=3).map(
        lambda packs: CheckLog(tuple(packs))
    ),
    st.builds(Epoch, st.integers(0, 1)),
    EVENTS,
    st.lists(EVENTS, max_size=3).map(lambda events: EventLog(tuple(events))),
    st.lists(RETENTION_RULES, max_size=3).map(lambda rules: RetentionRules(tuple(rules))),
)
