"""From a volume's bytes to its block map: segments are read, compared, cut, named and stored.

Threads work on whole segments, each with buffers and contexts of its own; results come back in
the order of the volume, and the map is built from them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amictl.content.naming import fingerprint
from amictl.errors import CorruptStoreError
from amictl.model.blockmap import SEGMENT_SIZE, Leaf, Name, NodeName, segment_length
from amictl.progress import Progress
from amictl.store.lineages import Lineage
from amictl.store.map_making import Ingested, MapMaking, StoredSegment
from amictl.store.parallel import PerThread, worker_count
from amictl.store.writing import Writer

if TYPE_CHECKING:
    from amictl.store.cutter import SegmentStorer


@dataclass(frozen=True, slots=True)
class Volume:
    """What is to be read: a size, the segments that may hold data, and how to read.

    `segments` ascend. `read(offset, target)` fills `target`, from any thread, and raises when the
    moment is lost.
    """

    size_bytes: int
    segments: Iterable[int]
    read: Callable[[int, memoryview], None]


class _Worker:
    """What one thread uses again for every segment."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(SEGMENT_SIZE))
        self.storer: SegmentStorer | None = None


class Ingest:
    """Ingests one volume; made for a single `run`."""

    def __init__(
        self,
        writer: Writer,
        lineage: Lineage,
        volume: Volume,
        parent_leaves: Iterator[tuple[int, Name]],
        progress: Progress,
    ) -> None:
        self._writer = writer
        self._lineage = lineage
        self._volume = volume
        self._parent_leaves = parent_leaves
        self._workers = PerThread(_Worker)
        self._domain = writer.store.domain(lineage.domain)
        self._making = MapMaking(writer, self._domain, volume.size_bytes, "snapshot", progress)

    def run(self) -> Ingested:
        """Read everything and build the map.

        Raises what `read` raises, StorageError, CorruptStoreError.
        When it returns nothing depends on the source; nodes and frames are not yet published.
        """
        return self._making.run(self._segment, self._with_parents(), worker_count())

    def _with_parents(self) -> Iterator[tuple[int, Name | None]]:
        """Each segment with the parent's leaf for it, if that has one."""
        following = self._next_parent_leaf()
        for index in self._volume.segments:
            while following is not None and following[0] < index:
                following = self._next_parent_leaf()
            yield index, following[1] if following is not None and following[0] == index else None

    def _next_parent_leaf(self) -> tuple[int, Name] | None:
        """A damaged parent must not stop its child; it only makes it read and store more."""
        try:
            return next(self._parent_leaves, None)
        except CorruptStoreError:
            self._writer.distrust_nodes()
            return None

    def _segment(self, item: tuple[int, Name | None]) -> StoredSegment:
        index, parent_leaf = item
        worker = self._workers.get()
        length = segment_length(self._volume.size_bytes, index)
        data = worker.buffer[:length]
        self._volume.read(index * SEGMENT_SIZE, data)
        mark = fingerprint(data, self._lineage.fingerprint_key)
        if parent_leaf is not None:
            leaf = self._reusable(parent_leaf, mark, length)
            if leaf is not None:
                zero = leaf.zero_length
                name = NodeName(parent_leaf, leaf.plain_name)
                return StoredSegment(index, name, 0, length - zero, zero)
        if worker.storer is None:
            # Imported here: numpy takes longer to load than an unchanged volume takes to check.
            from amictl.store.cutter import SegmentStorer

            worker.storer = SegmentStorer(self._writer, self._lineage, self._domain)
        leaf, new = worker.storer.store(data, mark)
        zero = leaf.zero_length
        name = self._writer.add_node(leaf, self._domain)
        return StoredSegment(index, name, new, length - zero - new, zero)

    def _reusable(self, name: Name, mark: bytes, length: int) -> Leaf | None:
        """The parent's leaf, if it says the same and nothing in it is known to be damaged."""
        try:
            leaf = self._writer.store.read_leaf(name)
        except CorruptStoreError:
            self._writer.distrust_nodes()
            return None
        if (leaf.fingerprint, leaf.plain_length, leaf.domain) != (mark, length, self._domain.id):
            return None
        return leaf if self._writer.has_all((name, *leaf.names)) else None
