"""Bringing a disk of an archive into a store."""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import lru_cache, partial

from amictl.archives.disks import OpenMember, in_parts
from amictl.archives.reading import Archive
from amictl.content.naming import fingerprint
from amictl.errors import CorruptStoreError, InvalidArchiveError
from amictl.model.archives import ArchivedDisk, Blank
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, segment_length, tree_height
from amictl.progress import Progress, Step
from amictl.store.lineages import Lineage
from amictl.store.map_making import Ingested
from amictl.store.parallel import worker_count
from amictl.store.receiving import Arriving, DamagedSegmentError, Receiving
from amictl.store.walking import Map
from amictl.store.writing import Writer

_WAITING_THREADS = 2
"""Beyond the processors, because some wait for the archive."""


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
        with closing(_segments(archive, number, lineage.fingerprint_key)) as segments:
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


def _segments(archive: Archive, number: int, key: bytes) -> Generator[Arriving, None, None]:
    """All segments of a disk that have leaves."""
    for member in in_parts(archive, number):
        yield from _segments_of(member, archive.manifest.disks[number].size_bytes, key)


def _segments_of(member: OpenMember, size_bytes: int, key: bytes) -> Iterator[Arriving]:
    for unit in member.units():
        said = member.said(unit.first)
        if isinstance(said, Leaf):
            yield Arriving(unit.first, said, partial(member.load, unit))
            continue
        for index in range(unit.first, unit.first + unit.count):
            if member.said(index) is Blank.ZEROS:
                yield Arriving(index, zeros(segment_length(size_bytes, index), key), tuple)


@lru_cache(maxsize=4)  # a member of thirty kilobytes may be a gibibyte of them
def zeros(length: int, fingerprint_key: bytes) -> Leaf:
    """The leaf of a segment that was allocated and holds nothing but zeros."""
    assert length <= SEGMENT_SIZE
    return Leaf((length,), (None,), fingerprint(bytes(length), fingerprint_key), (None,))
