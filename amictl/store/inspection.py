"""Looking a store over: are all pieces there, are they what was written, and whom does damage
hurt."""

from dataclasses import dataclass
from itertools import accumulate, pairwise

from blake3 import blake3

from amictl.content.compressing import Decompressor
from amictl.content.domains import PLAIN, Domain
from amictl.content.naming import chunk_name
from amictl.errors import UNREADABLE, AmictlError, CorruptStoreError
from amictl.formats import frame as frame_format
from amictl.formats import node as node_format
from amictl.formats import pack as pack_format
from amictl.formats import run as run_format
from amictl.formats.current import PackRow
from amictl.formats.frame import PLAIN_SIZE_MAX, ClearFrame
from amictl.formats.framing import Buffer, refuse
from amictl.formats.node import ClearNode
from amictl.formats.pack import Entry, PackKind
from amictl.model.records import DamagedFrame
from amictl.store import layout
from amictl.store.packing import PlacedName
from amictl.store.store import Store

_PIECE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackFault:
    """What is wrong with a pack: with one frame or node of it, or with all (length 0).

    `damaged` is None where the content is whole and only what describes it is not, and where it
    could not be read, which says nothing of it.
    """

    damaged: DamagedFrame | None
    reason: str


def pack_entries(store: Store, row: PackRow) -> tuple[Entry, ...]:
    """The entries of a pack, from its footer.

    Raises CorruptStoreError unless the outside is sound.
    """
    name = layout.pack(row.pack_id)
    store.storage.distrust(name)
    size = store.storage.size(name)
    if size != row.length:
        raise CorruptStoreError(f"{name} has {size} bytes, not {row.length}")
    kind, pack_id, entries, _ = read_outline(store, name, size)
    if pack_id != row.pack_id or kind != row.kind:
        raise CorruptStoreError(f"{name} is another pack")
    return entries


def read_outline(
    store: Store, name: str, size: int
) -> tuple[PackKind, bytes, tuple[Entry, ...], bytes]:
    """Kind, id, entries and digest of a pack file. Raises CorruptStoreError."""
    if size < pack_format.HEADER_SIZE + pack_format.TAIL_SIZE:
        raise CorruptStoreError(f"{name} is truncated")
    try:
        kind, pack_id = pack_format.decode_header(_range(store, name, 0, pack_format.HEADER_SIZE))
        tail = _range(store, name, size - pack_format.TAIL_SIZE, pack_format.TAIL_SIZE)
        digest, length = pack_format.decode_tail(tail)
        if length > size - pack_format.HEADER_SIZE:
            raise CorruptStoreError("the pack's footer is longer than the pack")
        entries = pack_format.decode_entries(_range(store, name, size - length, length), size)
    except CorruptStoreError as error:
        raise CorruptStoreError(f"{name}: {error.message}") from error
    return kind, pack_id, entries, digest


def _range(store: Store, name: str, offset: int, length: int) -> bytearray:
    data = bytearray(length)
    store.storage.read_into(name, offset, memoryview(data))
    return data


def check_run(store: Store, run_id: bytes, length: int) -> None:
    """Raises CorruptStoreError unless a run is, to the last byte, what was written.

    It is read, not mapped: a bad sector is an error then, and not the end of the program.
    """
    name = layout.run(run_id)
    store.storage.distrust(name)
    size = store.storage.size(name)
    if size != length:
        raise CorruptStoreError(f"{name} has {size} bytes, not {length}")
    try:
        run = run_format.decode_header(_range(store, name, 0, min(size, run_format.HEADER_SIZE)))
        refuse(run.size != size, "the run has a wrong length")
        digest = blake3()
        for start in range(0, run.digest, _PIECE):
            digest.update(_range(store, name, start, min(_PIECE, run.digest - start)))
        stored = _range(store, name, run.digest, run_format.DIGEST_SIZE)
        refuse(digest.digest() != stored, "the run's digest is wrong")
    except CorruptStoreError as error:
        raise CorruptStoreError(f"{name}: {error.message}") from error


class PackChecker:
    """Reads packs whole; one for each thread, because it uses its buffers again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._decompressor = Decompressor()
        self._stored = memoryview(bytearray(_PIECE))
        self._plain = memoryview(bytearray(PLAIN_SIZE_MAX))

    def check(self, row: PackRow) -> list[PackFault]:
        """Everything that is wrong with a pack: its digest, and each frame or node."""
        pack = row.pack_id.hex()
        try:
            entries = pack_entries(self._store, row)
        except UNREADABLE as error:
            return [PackFault(_damage(error, pack, Entry(0, 0)), error.message)]
        faults = []
        name = layout.pack(row.pack_id)
        digest = blake3()
        position = 0
        for entry in entries:
            digest.update(_range(self._store, name, position, entry.offset - position))
            position = entry.offset + entry.length
            try:
                data = self._read(name, entry)
                digest.update(data)
                self._check_piece(row.kind, data)
            except UNREADABLE as error:
                place = f"{name}, bytes {entry.offset} to {position}"
                faults.append(PackFault(_damage(error, pack, entry), f"{error.message} ({place})"))
        rest = _range(self._store, name, position, row.length - position)
        digest.update(rest[: -pack_format.TAIL_SIZE])
        if (
            digest.digest() != pack_format.decode_tail(rest[-pack_format.TAIL_SIZE :])[0]
            and not faults
        ):
            faults.append(
                PackFault(None, f"{name} has a wrong digest, although all in it is whole")
            )
        return faults

    def _read(self, name: str, entry: Entry) -> memoryview:
        if entry.length > _PIECE:
            raise CorruptStoreError(f"{entry.length} bytes are too many for a frame or a node")
        data = self._stored[: entry.length]
        self._store.storage.read_into(name, entry.offset, data)
        return data

    def _check_piece(self, kind: PackKind, data: memoryview) -> None:
        """What is sealed and cannot be opened is checked as far as its checksum goes."""
        if kind is PackKind.NODES:
            node = node_format.clear_part(data)
            if self._store.can_open(node.domain.hex()):
                self._store.domain(node.domain.hex()).decode_node(node)
            return
        clear = frame_format.clear_part(data)
        if self._store.can_open(clear.domain.hex()):
            self._check_frame(clear, self._store.domain(clear.domain.hex()))

    def _check_frame(self, clear: ClearFrame, domain: Domain) -> None:
        frame = domain.decode_frame(clear)
        plain = self._plain[: frame.plain_length]
        self._decompressor.decode_into(frame.codec, frame.payload, plain)
        bounds = pairwise(accumulate(frame.lengths, initial=0))
        names = domain.stored_names([chunk_name(plain[start:stop]) for start, stop in bounds])
        for name, found in zip(frame.names, names, strict=True):
            if name != found:
                raise CorruptStoreError(f"chunk {name.hex()} has other content")


def _damage(error: AmictlError, pack: str, entry: Entry) -> DamagedFrame | None:
    """What is damaged when reading it raised `error`.

    Nothing is, when a newer amictl may read it, or the system would not let us.
    """
    damaged = isinstance(error, CorruptStoreError)
    return DamagedFrame(pack, entry.offset, entry.length) if damaged else None


def rows_in_piece(kind: PackKind, entry: Entry, data: bytearray) -> list[PlacedName]:
    """What the index says of one frame or node, which needs no key.

    Raises CorruptStoreError if it is damaged.
    """
    if kind is PackKind.NODES:
        return [(clear_node(data).name, entry.offset, entry.length, 0)]
    names = clear_frame(data).names
    return [(name, entry.offset, entry.length, position) for position, name in enumerate(names)]


def clear_node(data: Buffer) -> ClearNode:
    """What a node shows; in the plain domain all of it is looked at. Raises CorruptStoreError."""
    clear = node_format.clear_part(data)
    if clear.domain == PLAIN.id:
        PLAIN.decode_node(clear)
    return clear


def clear_frame(data: Buffer) -> ClearFrame:
    """The same of a frame."""
    clear = frame_format.clear_part(data)
    if clear.domain == PLAIN.id:
        PLAIN.decode_frame(clear)
    return clear


def read_piece(store: Store, name: str, entry: Entry) -> bytearray:
    """The stored bytes of a frame or node of the pack object `name`.

    Raises StorageError, CorruptStoreError.
    """
    if entry.length > _PIECE:
        raise CorruptStoreError(f"{entry.length} bytes are too many for a frame or a node")
    return _range(store, name, entry.offset, entry.length)
