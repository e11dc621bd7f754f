"""Moving what is needed out of packs that are to go: frames and nodes as they are stored.

No key is needed for that. A frame of which less than half is needed is made anew of the rest,
where its content can be opened.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from amictl.errors import UNREADABLE
from amictl.formats import frame as frame_format
from amictl.formats import node as node_format
from amictl.formats.current import PackRow
from amictl.formats.framing import Buffer
from amictl.formats.pack import PackKind
from amictl.model.blockmap import Location, Name
from amictl.store.carrying import UsedChunks
from amictl.store.marking import Frames, Marks, is_reduced
from amictl.store.packing import NewPack, PackWriter
from amictl.store.store import Store

Piece = tuple[Buffer, tuple[Name, ...]]


@dataclass(slots=True)
class Moved:
    """New packs, sealed but not yet published, and packs that must stay because something that is
    needed of them cannot be read, by number, with the reason.
    """

    packs: list[NewPack] = field(default_factory=list)
    stay: dict[int, str] = field(default_factory=dict)

    def discard(self) -> None:
        """Forget the new packs."""
        for pack in self.packs:
            pack.upload.discard()


class Repacker:
    """Moves pieces of packs, in the order of their turns: that of the newest snapshot's disk."""

    def __init__(
        self, store: Store, marks: Sequence[Marks], random_bytes: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._marks = marks
        self._random_bytes = random_bytes
        self._reducing: dict[bytes, UsedChunks] = {}
        self._space = memoryview(bytearray(frame_format.STORED_SIZE_MAX))

    def move(self, packs: Sequence[PackRow], frames: Frames) -> Moved:
        """What is needed of these packs, of one kind, in new ones. Raises StorageError."""
        moved = Moved()
        rows = {row.number: row for row in packs}
        kind = packs[0].kind
        writer = PackWriter(
            self._store.storage, kind, lambda: self._random_bytes(16), moved.packs.append
        )
        try:
            reduced = is_reduced(frames)
            for at in frames.turns.argsort(kind="stable").tolist():
                number = int(frames.packs[at])
                if number not in rows or not frames.needed[at] or number in moved.stay:
                    continue
                place = Location(number, int(frames.offsets[at]), int(frames.lengths[at]), 0)
                try:
                    piece = self._piece(kind, place, whole=not reduced[at])
                except UNREADABLE as error:
                    moved.stay[number] = error.message
                    continue
                data, names = piece
                writer.append(memoryview(data), [(len(data), names)])
            writer.finish()
            for pack in moved.packs:
                pack.upload.seal()
        except BaseException:
            writer.discard()
            moved.discard()
            raise
        return moved

    def _piece(self, kind: PackKind, place: Location, *, whole: bool) -> Piece:
        data = self._store.read_bytes(place)
        if kind is PackKind.NODES:
            return data, (node_format.clear_part(data).name,)
        clear = frame_format.clear_part(data)
        if whole or clear.needed or not self._store.can_open(clear.domain.hex()):
            return data, clear.names
        used: set[Name] = set()
        for marks in self._marks:
            used |= marks.needed_of(clear.names, place.pack, place.offset)
        both = {name: (name, name) for name in used}
        carried = self._reducer(clear.domain).carry(memoryview(data), both, self._space)
        return bytes(self._space[: carried.size]), carried.names

    def _reducer(self, domain_id: bytes) -> UsedChunks:
        found = self._reducing.get(domain_id)
        if found is None:
            found = self._reducing[domain_id] = UsedChunks(
                self._store.domain(domain_id.hex()),
                self._store.config.compression_level,
                self._random_bytes,
            )
        return found
