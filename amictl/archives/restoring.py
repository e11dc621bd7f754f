"""Bringing a disk of an archive into a store."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain

from amictl.archives.disks import OpenMember, Unit, in_parts
from amictl.archives.reading import Archive
from amictl.content.naming import fingerprint
from amictl.errors import CorruptStoreError, InvalidArchiveError
from amictl.model.archives import ArchivedDisk, Blank
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, segment_length, tree_height
from amictl.progress import Progress, Step
from amictl.store.lineages import Lineage
from amictl.store.map_making import Ingested
from amictl.store.parallel import in_order, worker_count
from amictl.store.receiving import Arriving, DamagedSegmentError, Receiving
from amictl.store.walking import Map
from amictl.store.writing import Writer

_WAITING_THREADS = 2
"""Beyond the processors, because some wait for the archive."""

IsKnown = Callable[[Leaf], bool]
"""Whether the store has a segment, by its leaf with plain names."""


def lineage_in(disk: ArchivedDisk, domain_id: str) -> Lineage:
    """Of a disk, in a domain: so that the next snapshot of it can be an increment."""
    secret = bytes.fromhex(disk.cut_secret) if disk.cut_secret else None
    return Lineage(disk.cut, bytes.fromhex(disk.fingerprint_key), domain_id, secret)


def restore_disk(
    writer: Writer, archive: Archive, number: int, domain_id: str, progress: Progress
) -> Ingested:
    """Bring a disk into the store of a writer, in a domain that is there; not yet all published.

    Of what the store has, nothing is read. Raises InvalidArchiveError that names the damaged range,
    StorageError, KeyUnavailableError.
    """
    disk = archive.manifest.disks[number]
    lineage = lineage_in(disk, domain_id)
    block_map = _map_of(writer, disk, lineage)
    if _is_known(writer, block_map):
        progress.update(Step("restore", disk.size_bytes, disk.size_bytes, known=disk.size_bytes))
        return Ingested(block_map, disk.data_bytes)
    receiving = Receiving(writer, lineage, disk.size_bytes, "restore", progress)
    try:
        with closing(_segments(archive, number, receiving.is_known)) as segments:
            done = receiving.run(segments, worker_count() + _WAITING_THREADS)
    except DamagedSegmentError as error:
        raise InvalidArchiveError(f"{archive.where}: disk-{number}: {error.message}") from error
    if done.map.root != block_map.root:
        raise InvalidArchiveError(
            f"{archive.where}: disk-{number} has other content than its manifest says"
        )
    return done


def _map_of(writer: Writer, disk: ArchivedDisk, lineage: Lineage) -> Map:
    """What the map will be, with the name that its root has in the domain."""
    domain = writer.store.domain(lineage.domain)
    root = None
    if disk.root is not None:
        (root,) = domain.stored_names([bytes.fromhex(disk.root)])
    return Map(root, tree_height(disk.size_bytes), disk.size_bytes, domain.id)


def _is_known(writer: Writer, block_map: Map) -> bool:
    """Whether the store has all of a map, and no damage that it knows of."""
    root, index = block_map.root, writer.index
    # A disk of holes costs little to read, and its maps must agree that it is one.
    if root is None or index.knows_damage or index.find(root) is None:
        return False
    try:
        node = writer.store.read_node(root)
    except CorruptStoreError:
        writer.distrust_nodes()
        return False
    level = 0 if isinstance(node, Leaf) else node.level
    return (level, node.plain_length) == (block_map.height, block_map.size_bytes)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Units that follow each other in a member; those of several are read at once."""

    member: OpenMember
    units: tuple[Unit, ...]
    is_wanted: bool


def _segments(archive: Archive, number: int, is_known: IsKnown) -> Generator[Arriving, None, None]:
    """All segments of a disk that have leaves.

    What is wanted of a member in parts is read ahead, many segments at once. One that was opened
    whole is in memory, and looking ahead would keep a third one there.
    """
    disk = archive.manifest.disks[number]
    arrived = partial(_arrived, disk.size_bytes, bytes.fromhex(disk.fingerprint_key))
    if archive.unsealer is not None:
        for member in in_parts(archive, number):
            for unit in member.units():
                yield from arrived(_Piece(member, (unit,), False))
        return
    pieces = chain.from_iterable(
        _pieces(member, archive.source.piece_size, is_known) for member in in_parts(archive, number)
    )
    threads = archive.source.reading_threads
    with in_order(arrived, pieces, threads=threads, ahead=threads) as results:
        for segments in results:
            yield from segments


def _pieces(member: OpenMember, size: int, is_known: IsKnown) -> Iterator[_Piece]:
    """All units of a member in order; neighbours that the store lacks together, until they have
    this size.
    """
    wanted: list[Unit] = []
    for unit in member.units():
        is_wanted = _is_wanted(member.said(unit.first), is_known)
        length = sum(one.stored_length for one in wanted)
        if wanted and (not is_wanted or length >= size):
            yield _Piece(member, tuple(wanted), True)
            wanted.clear()
        if is_wanted:
            wanted.append(unit)
        else:
            yield _Piece(member, (unit,), False)
    if wanted:
        yield _Piece(member, tuple(wanted), True)


def _is_wanted(said: Leaf | Blank, is_known: IsKnown) -> bool:
    if not isinstance(said, Leaf) or said.zero_length == said.plain_length:
        return False
    return not is_known(said)


def _arrived(size_bytes: int, key: bytes, piece: _Piece) -> list[Arriving]:
    """The segments of a piece that have leaves; what is wanted was read."""
    member = piece.member
    if not piece.is_wanted:
        return [one for unit in piece.units for one in _unread(member, unit, size_bytes, key)]
    arrived = []
    for unit, frames in zip(piece.units, member.load_many(piece.units), strict=True):
        said = member.said(unit.first)
        assert isinstance(said, Leaf)  # nothing else is wanted
        arrived.append(Arriving(unit.first, said, partial(list, frames)))
    return arrived


def _unread(member: OpenMember, unit: Unit, size_bytes: int, key: bytes) -> Iterator[Arriving]:
    said = member.said(unit.first)
    if isinstance(said, Leaf):
        yield Arriving(unit.first, said, partial(member.load, unit))
        return
    for index in range(unit.first, unit.first + unit.count):
        if member.said(index) is Blank.ZEROS:
            yield Arriving(index, zeros(segment_length(size_bytes, index), key), tuple)


@lru_cache(maxsize=4)  # a member of thirty kilobytes may be a gibibyte of them
def zeros(length: int, fingerprint_key: bytes) -> Leaf:
    """The leaf of a segment that was allocated and holds nothing but zeros."""
    assert length <= SEGMENT_SIZE
    return Leaf((length,), (None,), fingerprint(bytes(length), fingerprint_key), (None,))
