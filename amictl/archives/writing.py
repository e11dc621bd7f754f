"""Writing an image of a store as an archive, from the first byte to the last.

amictl-archive(5), WRITE ORDER.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from amictl.archives.members import Disk, members
from amictl.archives.sealing import Sealing
from amictl.archives.segments import REUSE_HALF, PackedSegment, SegmentPacker
from amictl.archives.stream import ArchiveStream, Sign, Target, too_large
from amictl.errors import CorruptStoreError, SnapshotNotFoundError
from amictl.formats import archive_manifest
from amictl.formats.framing import Buffer
from amictl.model.archives import (
    KEY,
    MANIFEST,
    MEMBER_PLAIN_MAX,
    MEMBERS_MAX,
    SEALED,
    Manifest,
    member_name,
)
from amictl.model.blockmap import SEGMENT_SIZE, Name
from amictl.model.records import SnapshotCore
from amictl.progress import Progress, Step
from amictl.store import catalog, layout
from amictl.store.filling import damage_of
from amictl.store.parallel import PerThread, in_processes, process_count, reading_threads
from amictl.store.store import Store
from amictl.store.walking import leaves, map_of


@dataclass(frozen=True, slots=True)
class Packing:
    """How an archive is made: sealed, signed, or neither; and from which share of a segment's
    data on frames of the store are taken over.
    """

    sealing: Sealing | None = None
    sign: Sign | None = None
    reuse_from: float = REUSE_HALF


def require_archivable(disks: Sequence[SnapshotCore]) -> None:
    """Raises UnsupportedError for disks that are surely too large for an archive."""
    least = sum(-(-core.size_bytes // MEMBER_PLAIN_MAX) for core in disks)
    if least + 2 > MEMBERS_MAX:
        raise too_large(f"it would have more than {MEMBERS_MAX} members")


def write_archive(
    store: Store,
    manifest: Manifest,
    disks: Sequence[SnapshotCore],
    target: Target,
    packing: Packing,
    progress: Progress,
) -> int:
    """Write the archive of an image with these snapshots; returns its size in bytes.

    Whatever is read is compared with its names. Raises CorruptStoreError, which names the disk
    and the damaged range, SnapshotNotFoundError if one was deleted meanwhile, StorageError,
    UnsupportedError if it becomes too large.
    """
    out = _Out(ArchiveStream(target, manifest), packing.sealing)
    if packing.sealing is not None:
        out.stream.add(KEY, [packing.sealing.key_file])
    out.add(MANIFEST, [archive_manifest.encode(manifest)])
    told = _Told(progress, sum(core.size_bytes for core in disks))
    for number, core in enumerate(disks):
        disk = Disk(bytes.fromhex(manifest.archive_id), number, core.size_bytes)
        try:
            with closing(_members(store, disk, core, packing, told)) as contents:
                for at, content in enumerate(contents):
                    out.add(member_name(number, at, is_sealed=False), content)
        except CorruptStoreError:
            _require_present(store, core)
            raise
        told.end_disk(core)
    for core in disks:
        _require_present(store, core)
    out.stream.finish(packing.sign)
    return out.stream.size


@dataclass(frozen=True, slots=True)
class _Out:
    """Where members go, on their way sealed if the archive is."""

    stream: ArchiveStream
    sealing: Sealing | None

    def add(self, name: str, pieces: list[Buffer]) -> None:
        """`pieces` may be used up."""
        if self.sealing is None:
            self.stream.add(name, pieces)
        else:
            self.stream.add(name + SEALED, self.sealing.seal(pieces))


class _Told:
    """Says how far it is, in bytes of all disks."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._before = 0

    def at(self, position: int) -> None:
        done = min(self._before + position, self._total)
        self._progress.update(Step("store", done, self._total, known=done))

    def end_disk(self, core: SnapshotCore) -> None:
        self.at(core.size_bytes)
        self._before += core.size_bytes


def _members(
    store: Store, disk: Disk, core: SnapshotCore, packing: Packing, told: _Told
) -> Generator[list[Buffer], None, None]:
    """The content of each member of a disk."""
    packers = PerThread(lambda: SegmentPacker(store, core, packing.reuse_from))

    def pack(item: tuple[int, Name]) -> PackedSegment:
        return packers.get().pack(*item)

    with in_processes(
        pack,
        lambda: _leaves(store, core),
        process_count(store.storage, core.data_bytes),
        threads=reading_threads(store.storage),
    ) as packed:
        yield from members(disk, _telling(packed, told))


def _leaves(store: Store, core: SnapshotCore) -> Iterator[tuple[int, Name]]:
    """Raises CorruptStoreError, which names what cannot be told of the disk any more."""
    position = 0
    try:
        for index, name in leaves(store, map_of(core)):
            yield index, name
            position = index + 1
    except CorruptStoreError as error:
        lost = (position * SEGMENT_SIZE, core.size_bytes, error.message)
        raise damage_of(core, [lost]) from error


def _telling(packed: Iterator[PackedSegment], told: _Told) -> Iterator[PackedSegment]:
    for segment in packed:
        yield segment
        told.at((segment.index + 1) * SEGMENT_SIZE)


def _require_present(store: Store, core: SnapshotCore) -> None:
    if not catalog.is_there(store, layout.core(core.snapshot_id)):
        raise SnapshotNotFoundError(
            f"The snapshot '{core.snapshot_id}' was deleted while it was stored."
        )
