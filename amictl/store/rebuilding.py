"""Making the index again from the packs, which hold everything that it says."""

from collections.abc import Callable
from dataclasses import dataclass

from amictl.errors import BusyError, CorruptStoreError, ObjectMissingError
from amictl.formats import current as current_format
from amictl.formats import node as node_format
from amictl.formats.current import Current, PackRow, RunRow
from amictl.formats.pack import Entry, PackKind
from amictl.model.blockmap import Name
from amictl.store import layout
from amictl.store.index import ABSENT, Index, Run
from amictl.store.inspection import clear_node, read_outline, read_piece, rows_in_piece
from amictl.store.packing import PlacedName
from amictl.store.publishing import rows_of, write_run
from amictl.store.store import Store

_ROWS_IN_HAND = 1_000_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How much is in the new index, and what could not be put into it."""

    packs: int
    rows: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pack:
    row: PackRow
    entries: tuple[Entry, ...]


class IndexRebuild:
    """Made for a single `run`, while nobody else writes to the store."""

    def __init__(self, store: Store, new_run_id: Callable[[], bytes]) -> None:
        self._store = store
        self._new_run_id = new_run_id
        self._faults: list[str] = []
        self._packs: list[_Pack] = []
        self._runs: list[RunRow] = []
        self._parts: list[tuple[int, list[PlacedName]]] = []
        self._in_hand = 0
        self._rows = 0

    def run(self) -> Rebuilt:
        """Replace the index; durable when it returns. Raises StorageError, BusyError.

        Where CURRENT can be read, its list of packs is kept to; otherwise every pack counts.
        """
        self._store.storage.make_folder("index")
        present = self._read_current()
        before = self._decoded(present)
        self._packs = self._find_packs(before)
        for pack in self._packs:
            if pack.row.kind is PackKind.FRAMES:
                self._add(pack)
        self._flush()
        # A node is indexed only if everything below it is: leaves first, then level by level.
        for level in range(node_format.LEVEL_MAX + 1):
            if not self._add_nodes(level):
                break
        numbers = [pack.row.number + 1 for pack in self._packs]
        after = Current(
            generation=before.generation + 1,
            next_pack=max([before.next_pack, *numbers]),
            packs=tuple(pack.row for pack in self._packs),
            runs=tuple(self._runs),
            removed=before.removed,
            condemned=before.condemned,
        )
        if not self._store.storage.replace_if_unchanged(
            layout.CURRENT, current_format.encode(after), present
        ):
            raise BusyError(
                "another writer changed the index meanwhile", hint="run the command again"
            )
        self._remove_other_runs()
        self._store.reload_index()
        return Rebuilt(len(self._packs), self._rows, tuple(self._faults))

    def _read_current(self) -> bytes | None:
        try:
            return self._store.storage.read(layout.CURRENT)
        except ObjectMissingError:
            return None

    def _decoded(self, present: bytes | None) -> Current:
        if present is None:
            return Current()
        try:
            return current_format.decode(present)
        except CorruptStoreError as error:
            self._faults.append(error.message)
            return Current()

    def _find_packs(self, before: Current) -> list[_Pack]:
        known = {row.pack_id: row for row in before.packs}
        listed = sorted(
            (name, size)
            for name, size in self._store.storage.names("packs")
            if name.endswith(".pack")
        )
        found = []
        for name, size in listed:
            try:
                kind, pack_id, entries, _ = read_outline(self._store, name, size)
            except CorruptStoreError as error:
                self._faults.append(error.message)
                continue
            if layout.pack(pack_id) != name:
                self._faults.append(f"{name} is another pack")
            elif pack_id in known:
                found.append(_Pack(known[pack_id], entries))
            elif not known:
                found.append(_Pack(PackRow(pack_id, size, len(found), kind), entries))
        names = {name for name, _ in listed}
        missing = (layout.pack(pack_id) for pack_id in known)
        self._faults += [f"{name} is missing" for name in sorted(missing) if name not in names]
        return sorted(found, key=lambda pack: pack.row.number)

    def _add(self, pack: _Pack, offsets: set[int] | None = None) -> None:
        """Take the rows of a pack, or of its pieces at `offsets`, as far as they are whole."""
        rows: list[PlacedName] = []
        name = layout.pack(pack.row.pack_id)
        for entry in pack.entries:
            if offsets is not None and entry.offset not in offsets:
                continue
            try:
                rows += rows_in_piece(pack.row.kind, entry, read_piece(self._store, name, entry))
            except CorruptStoreError as error:
                fault = f"{error.message} ({name}, offset {entry.offset})"
                if fault not in self._faults:
                    self._faults.append(fault)
        if rows:
            self._parts.append((pack.row.number, rows))
            self._in_hand += len(rows)
        if self._in_hand >= _ROWS_IN_HAND:
            self._flush()

    def _add_nodes(self, level: int) -> bool:
        """Index the nodes of one level; returns whether there were any."""
        so_far = Index(
            Current(
                next_pack=2**32 - 1,
                packs=tuple(pack.row for pack in self._packs),
                runs=tuple(self._runs),
            ),
            {
                row.run_id: Run(self._store.storage.map(layout.run(row.run_id)))
                for row in self._runs
            },
            frozenset(),
        )
        seen = 0
        for pack in self._packs:
            if pack.row.kind is PackKind.NODES:
                here = self._children(pack, level)
                seen += len(here)
                whole = {
                    offset
                    for offset, children in here.items()
                    if not children or not (so_far.find_many(children).packs == ABSENT).any()
                }
                self._add(pack, whole)
        self._flush()
        return seen > 0

    def _children(self, pack: _Pack, level: int) -> dict[int, list[Name]]:
        """By offset, what the whole nodes of one level lead to."""
        name = layout.pack(pack.row.pack_id)
        found: dict[int, list[Name]] = {}
        for entry in pack.entries:
            try:
                node = clear_node(read_piece(self._store, name, entry))
            except CorruptStoreError:
                continue
            if node.level == level:
                found[entry.offset] = list(node.children)
        return found

    def _flush(self) -> None:
        if self._parts:
            run = write_run(self._store.storage, [rows_of(self._parts)], self._new_run_id())
            self._runs.append(run)
            self._rows += run.rows
            self._parts, self._in_hand = [], 0

    def _remove_other_runs(self) -> None:
        own = {layout.run(row.run_id) for row in self._runs}
        for name, _ in list(self._store.storage.names("index")):
            if name.endswith(".run") and name not in own:
                self._store.storage.clean(name)
