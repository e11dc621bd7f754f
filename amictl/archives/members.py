"""Members of a disk: as many segments as fit, behind a map of them. amictl-archive(5)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from amictl.archives.segments import PackedSegment
from amictl.formats import archive_map
from amictl.formats.archive_map import zero_frame, zero_frame_size
from amictl.formats.framing import Buffer
from amictl.model.archives import (
    MEMBER_PLAIN_MAX,
    MEMBER_SIZE_MAX,
    Blank,
    FramePlace,
    MemberMap,
)
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, segment_count, segment_length

_SEGMENTS_MAX = MEMBER_PLAIN_MAX // SEGMENT_SIZE


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of an archive: 16 bytes of the archive's id, its number, its size in bytes."""

    archive_id: bytes
    number: int
    size_bytes: int


@dataclass(slots=True)
class _Growing:
    """A member that segments are added to; sizes are in bytes."""

    number: int
    first: int
    segments: list[Leaf | Blank] = field(default_factory=list)
    frames: list[FramePlace] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    plain_length: int = 0
    zeros: int = 0
    frames_size: int = 0
    map_size: int = archive_map.SIZE_LEAST

    def has_room(self, packed: PackedSegment) -> bool:
        map_size = self.map_size + archive_map.size_with(packed.segment, len(packed.frames))
        size = map_size + self.frames_size + len(packed.data)
        size += zero_frame_size(self.zeros + SEGMENT_SIZE)
        return (
            len(self.segments) < _SEGMENTS_MAX
            and map_size <= archive_map.SIZE_MAX
            and size <= MEMBER_SIZE_MAX
        )

    def add(self, packed: PackedSegment, length: int) -> None:
        self.segments.append(packed.segment)
        self.plain_length += length
        self.map_size += archive_map.size_with(packed.segment, len(packed.frames))
        if isinstance(packed.segment, Blank):
            self.zeros += length
            return
        self.end_zeros()
        self.frames += packed.frames
        self.pieces.append(packed.data)
        self.frames_size += len(packed.data)

    def end_zeros(self) -> None:
        """The blank segments before here become one frame."""
        if self.zeros:
            data = zero_frame(self.zeros)
            self.frames.append(FramePlace(len(data), self.zeros))
            self.pieces.append(data)
            self.frames_size += len(data)
            self.zeros = 0

    def content(self, disk: Disk) -> list[Buffer]:
        """The map, and the frames, which are not kept here any more."""
        self.end_zeros()
        pieces, self.pieces = self.pieces, []
        member = MemberMap(
            disk.archive_id,
            disk.number,
            self.number,
            self.first,
            self.plain_length,
            tuple(self.frames),
            tuple(self.segments),
        )
        return [archive_map.encode(member), *pieces]


def members(disk: Disk, packed: Iterable[PackedSegment]) -> Iterator[list[Buffer]]:
    """The content of each member of a disk, in pieces, in order.

    `packed` are ascending by their indexes; segments that are not among them are holes.
    """
    growing = _Growing(0, 0)
    for segment in _with_holes(packed, segment_count(disk.size_bytes)):
        if not growing.has_room(segment):
            yield growing.content(disk)
            growing = _Growing(growing.number + 1, growing.first + growing.plain_length)
        growing.add(segment, segment_length(disk.size_bytes, segment.index))
    if growing.segments:
        yield growing.content(disk)


def _with_holes(packed: Iterable[PackedSegment], count: int) -> Iterator[PackedSegment]:
    position = 0
    for segment in packed:
        yield from (PackedSegment(index, Blank.HOLE) for index in range(position, segment.index))
        yield segment
        position = segment.index + 1
    yield from (PackedSegment(index, Blank.HOLE) for index in range(position, count))
