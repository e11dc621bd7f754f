"""Disks that are imported: files and objects, raw or in a foreign format, as what can be read.

A file is frozen like the disk of a machine; an object never changes.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from amictl.errors import UsageError
from amictl.formats import foreign
from amictl.formats.foreign_header import ForeignDisk, ForeignFile
from amictl.model.blockmap import SEGMENT_SIZE, segment_count
from amictl.model.source import Freeze, SourceIdentity
from amictl.model.surroundings import Surroundings
from amictl.model.times import timestamp
from amictl.storage.objects import ObjectSource
from amictl.volumes.converting import require_converter
from amictl.volumes.extents import all_segments, data_segments, read_segment
from amictl.volumes.foreign_reading import ConvertedDisk, FileBytes
from amictl.volumes.freezing import FreezeRequest, FrozenDisk, frozen
from amictl.volumes.key_labels import labelled_key
from amictl.volumes.sources import Source
from amictl.volumes.targets import is_device, path_text

_BLOCK_SIZE = SEGMENT_SIZE
_BLOCKS_AHEAD = 3
_BLOCKS_KEPT = 8

Content = tuple[Iterable[int], Callable[[int, memoryview], None]]
"""Ascending indexes of the segments that may hold data, and how to read one of them."""


@dataclass(frozen=True, slots=True)
class DiskContainer:
    """Where a disk comes from: a file, an object, or a snapshot that exists; one of the three.

    `url` is what the user wrote for an object. `format` is one of `foreign.READ`, or None to find
    it out.
    """

    path: Path | None = None
    source: ObjectSource | None = None
    url: str = ""
    snapshot_id: str | None = None
    format: str | None = None
    device_name: str | None = None
    description: str = ""


class DiskSource(FileBytes, Protocol):
    """A file or an object that a disk is in.

    `path` is where it is, absolute, or its URL; `label` the key that it says itself it is of.
    """

    path: str
    label: str | None
    identity: SourceIdentity
    freeze: Freeze

    def content(self) -> Content:
        """Its bytes as those of a raw disk."""
        ...

    def finish(self) -> None:
        """The last byte was read. Raises SourceChangedError if it is not what it was."""
        ...


@dataclass(frozen=True, slots=True)
class ImportedDisk:
    """A disk in a source: raw, or what its header says."""

    source: DiskSource
    foreign: ForeignDisk | None

    @property
    def format(self) -> str:
        """RAW, QCOW2, VMDK, VHD, VHDX or VDI."""
        return foreign.RAW if self.foreign is None else self.foreign.format

    @property
    def size_bytes(self) -> int:
        """Bytes of the disk, whatever its file takes."""
        return self.source.size if self.foreign is None else self.foreign.size_bytes

    @contextmanager
    def content(self) -> Iterator[Content]:
        """The segments and their bytes: once, and in order, if it is foreign.

        Raises CorruptStoreError at the end of segments that are not all of the disk.
        """
        if self.foreign is None:
            yield self.source.content()
            return
        with ConvertedDisk(self.foreign, self.source) as converted:
            yield converted.segments(), converted.read


@contextmanager
def opened_disks(
    containers: Sequence[DiskContainer],
    request: FreezeRequest,
    staging: Path,
    surroundings: Surroundings,
) -> Iterator[tuple[ImportedDisk, ...]]:
    """The disks of all containers, in their order; those in files are of one moment.

    Raises as `frozen` and `imported_disk`.
    """
    labels: dict[Path, str | None] = {}

    def look(sources: Sequence[Source]) -> None:
        for source in sources:
            progress = surroundings.progress
            labels[source.path] = labelled_key(source.descriptor, source.path, progress)

    paths = [one.path for one in containers if one.path is not None]
    with (
        frozen(paths, request, staging=staging, now=surroundings.now, opened=look) as files,
        ExitStack() as stack,
    ):
        frozen_files = iter(files)
        disks = []
        for container in containers:
            if container.source is None:
                file = next(frozen_files)
                source: DiskSource = FileDisk(file, labels[file.path])
            else:
                moment = timestamp(surroundings.now())
                one = ObjectDisk(container.source, container.url, moment)
                source = stack.enter_context(one)
            disks.append(imported_disk(source, container.format))
        yield tuple(disks)


def imported_disk(source: DiskSource, wanted: str | None) -> ImportedDisk:
    """What is in a source that is to be read as `wanted`, or as what it is.

    Raises as `foreign.looked_at`, UsageError if it is empty or its name says something else, and
    UnsupportedError if qemu-img is needed and not installed.
    """
    if source.size == 0:
        raise UsageError(f"{source.where} is empty", hint="name a disk that holds something")
    found = foreign.looked_at(ForeignFile(source.where, source.size, source.read), wanted)
    if found is not None:
        require_converter()
    elif wanted is None:
        foreign.require_raw_name(source.where, source.path)
    return ImportedDisk(source, found)


class FileDisk:
    """A frozen file or block device; every read first makes sure that its moment is still held."""

    def __init__(self, disk: FrozenDisk, label: str | None) -> None:
        self.size = disk.size_bytes
        self.where = repr(str(disk.path))
        self.path = path_text(disk.path)
        self.label = label
        self.identity = disk.identity
        self.freeze = disk.freeze
        self._disk = disk
        self._began = time.monotonic()
        self._read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(length)
        self._fill(offset, memoryview(data))
        return bytes(data)

    def content(self) -> Content:
        disk = self._disk
        whole = is_device(disk.path) and not disk.has_own_file
        segments = all_segments(self.size) if whole else data_segments(disk.descriptor, self.size)
        return segments, self._fill

    def finish(self) -> None:
        self._disk.finish_reading()

    def _fill(self, offset: int, target: memoryview) -> None:
        rate = self._read_bytes / max(time.monotonic() - self._began, 0.001)
        self._disk.require_held(max(0, self.size - self._read_bytes), rate)
        read_segment(self._disk.descriptor, offset, target, str(self._disk.path))
        self._read_bytes += len(target)


class ObjectDisk:
    """An object of a bucket. A context manager: its threads end with it.

    It is read in blocks, and those after the one that was asked for are fetched ahead: whoever
    reads a foreign format goes through it in small steps, mostly forward.
    """

    def __init__(self, source: ObjectSource, url: str, moment: str) -> None:
        self.size = source.size
        self.where = repr(source.where)
        self.path = url
        self.label: str | None = None
        self.identity = SourceIdentity(0, 0, source.size, 0, 0)
        self.freeze = Freeze(moment, "object", "at-rest", together=True)
        self._source = source
        self._kept: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool = ThreadPoolExecutor(_BLOCKS_AHEAD, thread_name_prefix="object")

    def __enter__(self) -> "ObjectDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._source.close()

    def read(self, offset: int, length: int) -> bytes:
        """By one thread at a time."""
        pieces = []
        stop = offset + length
        for index in range(offset // _BLOCK_SIZE, -(-stop // _BLOCK_SIZE)):
            first = index * _BLOCK_SIZE
            block = self._block(index)
            pieces.append(block[max(0, offset - first) : stop - first])
        return b"".join(pieces)

    def content(self) -> Content:
        return range(segment_count(self.size)), self._fill

    def finish(self) -> None:
        pass  # whatever replaces an object would have been noticed

    def _fill(self, offset: int, target: memoryview) -> None:
        target[:] = self._source.read(offset, len(target))

    def _block(self, index: int) -> bytes:
        last = -(-self.size // _BLOCK_SIZE)
        for each in range(index, min(index + 1 + _BLOCKS_AHEAD, last)):
            if each not in self._kept:
                self._kept[each] = self._pool.submit(self._fetched, each)
            self._kept.move_to_end(each)
        while len(self._kept) > _BLOCKS_KEPT:
            self._kept.popitem(last=False)[1].cancel()
        return self._kept[index].result()

    def _fetched(self, index: int) -> bytes:
        first = index * _BLOCK_SIZE
        return self._source.read(first, min(_BLOCK_SIZE, self.size - first))
