"""Reading the disks of an archive, member by member.

Members that are not sealed can be read in parts: what a region has already is never fetched. A
sealed one is opened whole, in memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import accumulate

from amictl.archives.contents import (
    naming,
    require_digest,
    require_header,
    require_padding,
)
from amictl.archives.reading import Archive
from amictl.archives.sealed import Target
from amictl.formats import archive_map
from amictl.formats.archive_members import place_of
from amictl.formats.framing import refuse
from amictl.formats.tar import BLOCK_SIZE
from amictl.model.archives import MEMBER_SIZE_MAX, Blank, FramePlace, Member, MemberMap
from amictl.model.blockmap import SEGMENT_SIZE, Leaf
from amictl.storage.objects import ObjectSource
from amictl.store.parallel import in_order
from amictl.store.receiving import ArrivingFrame

_HEAD_SIZE = 256 * 1024
_HEAD_THREADS = 4

Read = Callable[[int, int], memoryview]
"""Bytes of a member, before it was sealed, from start to stop."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A segment of a disk, or a run of segments without content; and its frames.

    `first` counts segments from the start of the disk, `count` how many there are. The frames
    follow each other from `start` in the member.
    """

    first: int
    count: int
    start: int
    frames: tuple[FramePlace, ...]

    @property
    def stored_length(self) -> int:
        """Bytes of its frames in the member."""
        return sum(frame.stored_length for frame in self.frames)


def _frames(data: memoryview, unit: Unit) -> list[ArrivingFrame]:
    """The frames of a unit, which `data` begins with."""
    starts = accumulate((frame.stored_length for frame in unit.frames), initial=0)
    return [
        ArrivingFrame(data[start : start + frame.stored_length], frame.plain_length)
        for start, frame in zip(starts, unit.frames, strict=False)
    ]


@dataclass(frozen=True, slots=True)
class OpenMember:
    """A member of a disk that is where it belongs, and how to read what follows its map."""

    map: MemberMap
    map_size: int
    read: Read

    def units(self) -> Iterator[Unit]:
        """All of it, in order."""
        first = self.map.first // SEGMENT_SIZE
        start = self.map_size
        for index, count, frames in archive_map.frames_of_segments(self.map):
            yield Unit(first + index, count, start, frames)
            start += sum(frame.stored_length for frame in frames)

    def load(self, unit: Unit) -> list[ArrivingFrame]:
        """The frames of a unit. Raises CorruptStoreError, StorageError."""
        return self.load_many([unit])[0]

    def load_many(self, units: Sequence[Unit]) -> list[list[ArrivingFrame]]:
        """The frames of units that follow each other, read at once. Raises the same."""
        begin = units[0].start
        data = self.read(begin, units[-1].start + units[-1].stored_length)
        return [_frames(data[unit.start - begin :], unit) for unit in units]

    def said(self, index: int) -> Leaf | Blank:
        """What the map says of a segment of the disk."""
        return self.map.segments[index - self.map.first // SEGMENT_SIZE]


def in_parts(archive: Archive, disk: int) -> Iterator[OpenMember]:
    """The members of a disk, of which only the maps are read.

    One that is sealed is opened whole, and compared with its digest. Raises InvalidArchiveError,
    StorageError.
    """
    if archive.unsealer is not None:
        yield from whole(archive, disk)
        return
    opened = partial(_opened_in_parts, archive)
    with in_order(opened, archive.members_of(disk), threads=_HEAD_THREADS) as members:
        yield from _in_place(archive, disk, members)


def whole(archive: Archive, disk: int) -> Iterator[OpenMember]:
    """The members of a disk, each read whole and compared with its digest.

    At most two are in memory, if what was read of the first is dropped when the next is asked for.
    Raises InvalidArchiveError, StorageError.
    """
    opened = partial(_opened_whole, archive)
    yield from _in_place(archive, disk, map(opened, archive.members_of(disk)))


def read_whole(source: ObjectSource, member: Member) -> Iterator[bytes]:
    """The content of a member in pieces, and its digest compared at the end."""
    digest = sha256()

    def piece(start: int) -> bytes:
        return source.read(member.offset + start, min(source.piece_size, member.size - start))

    starts = range(0, member.size, source.piece_size)
    threads = source.reading_threads
    with in_order(piece, starts, threads=threads, ahead=threads - 1) as pieces:
        for data in pieces:
            digest.update(data)
            yield data
    require_digest(digest.hexdigest(), member)


def _in_place(archive: Archive, disk: int, members: Iterable[OpenMember]) -> Iterator[OpenMember]:
    """The members, if they cover all of a disk, one after the other."""
    size = archive.manifest.disks[disk].size_bytes
    position = 0
    with naming(f"{archive.where}: disk-{disk}"):
        for opened in members:
            stop = position + opened.map.plain_length
            refuse(
                opened.map.first != position or stop > size,
                f"member {opened.map.number} does not go on where the one before it ends",
            )
            yield opened
            del opened  # before the next is read
            position = stop
        refuse(position != size, "it ends before its end")


def _opened_in_parts(archive: Archive, member: Member) -> OpenMember:
    source = archive.source
    head_size = BLOCK_SIZE + min(_HEAD_SIZE, member.size)
    head = source.read(member.offset - BLOCK_SIZE, head_size)
    require_header(head[:BLOCK_SIZE], archive.contents, member)
    size = archive_map.size_in(head[BLOCK_SIZE : BLOCK_SIZE + archive_map.LEAD_SIZE])
    refuse(size > member.size, f"{member.name} is shorter than its map")
    data = head[BLOCK_SIZE : BLOCK_SIZE + size]
    data += source.read(member.offset + len(data), size - len(data))

    def read(start: int, stop: int) -> memoryview:
        return memoryview(source.read(member.offset + start, stop - start))

    return _opened(archive, member, data, member.size, read)


def _opened_whole(archive: Archive, member: Member) -> OpenMember:
    source = archive.source
    head = source.read(member.offset - BLOCK_SIZE, BLOCK_SIZE)
    require_header(head, archive.contents, member)
    require_padding(source, member)
    target = Target(bytearray(member.size))
    pieces = read_whole(source, member)
    if archive.unsealer is None:
        for piece in pieces:
            target.write(piece)
    else:
        archive.unsealer.open_into(pieces, target, member.name)
        refuse(next(pieces, None) is not None, f"{member.name} goes on behind its end")
    data = target.filled
    refuse(len(data) > MEMBER_SIZE_MAX, f"{member.name} is longer than a member can be")
    size = archive_map.size_in(data[: archive_map.LEAD_SIZE])
    refuse(size > len(data), f"{member.name} is shorter than its map")
    return _opened(archive, member, data[:size], len(data), lambda a, b: data[a:b])


def _opened(
    archive: Archive, member: Member, encoded: bytes | memoryview, size: int, read: Read
) -> OpenMember:
    """Raises CorruptStoreError unless the map is of this member, and goes with its size."""
    found = archive_map.decode(encoded)
    place = (found.archive_id.hex(), (found.disk, found.number))
    refuse(
        place != (archive.manifest.archive_id, place_of(member.name)),
        f"{member.name} is a member of something else",
    )
    frames = sum(frame.stored_length for frame in found.frames)
    refuse(len(encoded) + frames != size, f"{member.name} has another length than its map says")
    return OpenMember(found, len(encoded), read)
