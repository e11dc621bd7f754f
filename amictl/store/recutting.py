"""Cutting the content of a snapshot anew on its way into an encrypted domain."""

from dataclasses import replace

from amictl.content.domains import SealedDomain
from amictl.errors import CorruptStoreError
from amictl.model.blockmap import SECRET_CUT_ID, SEGMENT_SIZE
from amictl.model.records import Cut, SnapshotCore
from amictl.progress import Progress
from amictl.store.ingesting import Ingest, Volume
from amictl.store.lineages import Lineage, lineage_of
from amictl.store.parallel import PerThread
from amictl.store.reading import SegmentReader, data_ranges
from amictl.store.store import Store
from amictl.store.walking import leaf_at, leaves, map_of, read_leaf_at
from amictl.store.writing import Writer


def recut_lineage(source: Store, core: SnapshotCore, domain: SealedDomain, average: int) -> Lineage:
    """With a secret cut, the same for all snapshots of one lineage.

    So a copy that is run again finds what it had, and the copy of a later snapshot is an increment.
    Nobody without the key of the domain can tell it. Raises KeyUnavailableError.
    """
    before = lineage_of(source, core).fingerprint_key

    def secret(use: str) -> bytes:
        return bytes.fromhex(domain.mac(b"amictl recut 1 " + use.encode() + before))

    cut = Cut(SECRET_CUT_ID, average)
    return Lineage(cut, secret("fingerprint"), domain.id.hex(), secret("cut"))


def recut(
    source: Store, writer: Writer, core: SnapshotCore, lineage: Lineage, progress: Progress
) -> SnapshotCore:
    """Store the content of a snapshot by another cut; its core with the new map, which is not yet
    published.

    Raises CorruptStoreError that names what the source cannot give, StorageError.
    """
    block_map = map_of(core)
    readers = PerThread(lambda: SegmentReader(source))

    def read(offset: int, target: memoryview) -> None:
        index = offset // SEGMENT_SIZE
        name = leaf_at(source, block_map, index)
        target[:] = bytes(len(target))
        if name is None:
            return
        reader = readers.get()
        leaf = read_leaf_at(source, block_map, index, name)
        faults = reader.read(leaf)
        if faults:
            first = faults[0]
            raise CorruptStoreError(
                f"{core.snapshot_id} is damaged at bytes {offset + first.start} to"
                f" {offset + first.stop}: {first.reason}"
            )
        for start, stop in data_ranges(leaf):
            target[start:stop] = reader.buffer[start:stop]

    segments = (index for index, _ in leaves(source, block_map))
    volume = Volume(core.size_bytes, segments, read)
    done = Ingest(writer, lineage, volume, iter(()), progress).run()
    root = done.map.root.hex() if done.map.root else None
    return replace(core, root=root, height=done.map.height, data_bytes=done.data_bytes)
