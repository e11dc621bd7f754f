"""Reading an archive whole: every digest, every frame, every name, every root."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from typing import NamedTuple

from amictl.archives.contents import Contents, naming, require_header, require_padding
from amictl.archives.disks import OpenMember, Unit, read_whole, whole
from amictl.archives.reading import Archive
from amictl.archives.restoring import zeros
from amictl.content.domains import PLAIN
from amictl.content.mapping import MapBuilder
from amictl.formats import archive_map
from amictl.formats.framing import refuse
from amictl.formats.tar import BLOCK_SIZE
from amictl.model.archives import Blank
from amictl.model.blockmap import SEGMENT_SIZE, Interior, Leaf, NodeName, segment_length
from amictl.progress import Progress, Step
from amictl.storage.objects import ObjectSource
from amictl.store.parallel import PerThread, in_order
from amictl.store.receiving import SegmentOpener, naming_segment


class _Item(NamedTuple):
    """What one thread works on, of which member."""

    member: OpenMember
    unit: Unit


class _Verified(NamedTuple):
    """The leaves of a unit, and where it ends on the disk."""

    leaves: list[tuple[int, NodeName]]
    stop: int


def verify_members(source: ObjectSource, contents: Contents, progress: Progress) -> None:
    """Compare all members with their digests and their place; nothing is opened.

    Raises InvalidArchiveError, StorageError. `progress` is told of bytes of the archive.
    """
    with naming(source.where):
        for member in contents.members.members:
            head = source.read(member.offset - BLOCK_SIZE, BLOCK_SIZE)
            require_header(head, contents, member)
            require_padding(source, member)
            for _ in read_whole(source, member):
                pass
            done = member.offset + member.size
            progress.update(Step("verify", done, source.size, known=done))
    progress.update(Step("verify", source.size, source.size, known=source.size))


def verify_disk(archive: Archive, number: int, progress: Progress) -> None:
    """Read a disk whole, and compare everything with what its map and the manifest say.

    Raises InvalidArchiveError that names the damaged range, StorageError. `progress` is told of
    bytes of the disk.
    """
    disk = archive.manifest.disks[number]
    key = bytes.fromhex(disk.fingerprint_key)
    openers = PerThread(lambda: SegmentOpener(key))
    builder = MapBuilder(disk.size_bytes, _name_of)
    with (
        naming(f"{archive.where}: disk-{number}"),
        closing(_items(archive, number)) as items,
        in_order(partial(_verified, openers, disk.size_bytes, key), items) as results,
    ):
        for verified in results:
            for index, leaf in verified.leaves:
                builder.add(index, leaf)
            progress.update(Step("verify", verified.stop, disk.size_bytes, known=verified.stop))
        root = builder.finish()
        refuse(
            (root.hex() if root else None) != disk.root,
            "it has other content than its manifest says",
        )


def _items(archive: Archive, number: int) -> Generator[_Item, None, None]:
    for member in whole(archive, number):
        for unit in member.units():
            yield _Item(member, unit)
        del member  # before the next is read


def _verified(
    openers: PerThread[SegmentOpener], size_bytes: int, key: bytes, item: _Item
) -> _Verified:
    member, unit = item
    stop = min(size_bytes, (unit.first + unit.count) * SEGMENT_SIZE)
    said = member.said(unit.first)
    if isinstance(said, Leaf):
        with naming_segment(unit.first, said.plain_length):
            openers.get().open(said, member.load(unit))
        return _Verified([(unit.first, _name_of(said))], stop)
    return _Verified(list(_blank(member, unit, size_bytes, key)), stop)


def _blank(
    member: OpenMember, unit: Unit, size_bytes: int, key: bytes
) -> Iterator[tuple[int, NodeName]]:
    """The leaves of segments without content. Raises CorruptStoreError unless they are zeros."""
    (frame,) = member.load(unit)
    refuse(
        frame.payload != archive_map.zero_frame(frame.plain_length),
        f"what should be zeros from byte {unit.first * SEGMENT_SIZE} on is not",
    )
    for index in range(unit.first, unit.first + unit.count):
        if member.said(index) is Blank.ZEROS:
            yield index, _name_of(zeros(segment_length(size_bytes, index), key))


def _name_of(node: Leaf | Interior) -> NodeName:
    """The plain name of a node, twice."""
    return PLAIN.encode_node(node, bytes)[0]
