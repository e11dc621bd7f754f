"""Writing packs: frames or nodes one after the other, then a footer. amictl-store(5), PACKS."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blake3 import blake3

from amictl.formats import pack as pack_format
from amictl.formats.framing import Buffer
from amictl.formats.pack import Entry, PackKind
from amictl.model.blockmap import Name
from amictl.storage.interface import Storage, Upload
from amictl.store import layout

PACK_SIZE = 64 * 1024 * 1024

PlacedName = tuple[Name, int, int, int]
"""A name with the offset and stored length of its frame or node, and its position in that frame."""


NewFrame = tuple[Buffer, tuple[Name, ...]]
"""The stored bytes of a frame, and the names of its chunks."""

NewPart = tuple[int, tuple[Name, ...]]
"""The stored length of a frame with the names of its chunks, or of a node with its name."""


@dataclass(slots=True)
class NewPack:
    """A pack that is finished: its file is in staging, its rows wait for the index."""

    pack_id: bytes
    kind: PackKind
    upload: Upload
    rows: list[PlacedName]


class PackWriter:
    """Appends to one pack after the other. Safe for many threads.

    `finished` is called, in the thread that filled it, with each pack that is full.
    """

    def __init__(
        self,
        storage: Storage,
        kind: PackKind,
        new_pack_id: Callable[[], bytes],
        finished: Callable[[NewPack], None],
    ) -> None:
        self._storage = storage
        self._kind = kind
        self._new_pack_id = new_pack_id
        self._finished = finished
        self._lock = threading.Lock()
        self._pack: NewPack | None = None
        self._entries: list[Entry] = []
        self._digest = blake3()

    def append(self, data: bytes | memoryview, parts: Sequence[NewPart]) -> None:
        """Add frames, or nodes, whose bytes stand one behind the other.

        They get into one pack: no more than a few MiB at once.
        """
        with self._lock:
            pack = self._pack or self._begin()
            offset = pack.upload.size
            self._write(pack, data)
            for length, names in parts:
                self._entries.append(Entry(offset, length))
                pack.rows += [
                    (name, offset, length, position) for position, name in enumerate(names)
                ]
                offset += length
            if pack.upload.size >= PACK_SIZE:
                self._finish(pack)

    def finish(self) -> None:
        """Hand over the pack in hand, if there is one."""
        with self._lock:
            if self._pack is not None:
                self._finish(self._pack)

    def discard(self) -> None:
        """Forget the pack in hand."""
        with self._lock:
            if self._pack is not None:
                self._pack.upload.discard()
                self._pack = None

    def _begin(self) -> NewPack:
        pack_id = self._new_pack_id()
        self._pack = NewPack(pack_id, self._kind, self._storage.begin(layout.pack(pack_id)), [])
        self._entries = []
        self._digest = blake3()
        self._write(self._pack, pack_format.encode_header(self._kind, pack_id))
        return self._pack

    def _write(self, pack: NewPack, data: bytes | memoryview) -> None:
        self._digest.update(data)
        pack.upload.append(data)

    def _finish(self, pack: NewPack) -> None:
        entries = pack_format.encode_entries(self._entries)
        self._write(pack, entries)
        pack.upload.append(pack_format.encode_tail(self._digest.digest(), len(entries)))
        self._pack = None
        self._finished(pack)
