"""Marking what is needed: all that the roots lead to, each shared subtree walked once.

A root is a snapshot that there is, in the recycle bin or not. What pending work needs is known to
nobody but its writer, who holds an epoch: see `store.collecting`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from amictl.errors import CorruptStoreError, SnapshotNotFoundError
from amictl.formats.run import Rows
from amictl.model.blockmap import Name
from amictl.model.records import SnapshotCore
from amictl.store import catalog
from amictl.store.index import ABSENT, Index
from amictl.store.store import Store
from amictl.store.walking import map_of

if TYPE_CHECKING:
    import numpy.typing as npt

NEVER = 0xFFFFFFFF
"""The turn of what was not marked."""

_NAMES_IN_HAND = 50_000


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames, or nodes, of packs, as equally long columns, in the order of pack and offset.

    `lengths` are stored bytes, `chunks` how many chunks each holds and `needed` how many of these
    are marked. `turns` is when the first of them was: the smaller, the nearer to the beginning of
    the newest snapshot; NEVER where nothing is needed.
    """

    packs: "npt.NDArray[np.uint32]"
    offsets: "npt.NDArray[np.uint32]"
    lengths: "npt.NDArray[np.uint32]"
    chunks: "npt.NDArray[np.int64]"
    needed: "npt.NDArray[np.int64]"
    turns: "npt.NDArray[np.uint32]"


def is_reduced(frames: Frames) -> "npt.NDArray[np.bool_]":
    """Which frames are made anew when they are moved: less than half of each is needed."""
    return 2 * frames.needed < frames.chunks


class Marks:
    """Which rows of the index are needed. Takes about five bytes of memory a row, and 100 for each
    node of a map that is in use.

    `missing` counts the names that are in no pack.
    """

    def __init__(self, store: Store, index: Index, after: "Marks | None" = None) -> None:
        """With `after` only what was not marked there will be."""
        self.index = index
        self.missing = 0
        self.roots: set[str] = set(after.roots if after else ())
        self._store = store
        self._seen: set[Name] = after._seen if after else set()
        self._turns = [np.full(len(run.rows().keys), NEVER, np.uint32) for run in index.runs]
        self._turn = 0
        self._in_hand: list[Name] = []

    def mark_all(self) -> None:
        """Mark what the snapshots of the store lead to, as far as that is not done, the newest
        first. Raises CorruptStoreError if one of them, or a node of it, cannot be read.
        """
        cores = list(self._new_cores())
        for core in sorted(cores, key=lambda one: one.taken, reverse=True):
            root = map_of(core).root
            if root is not None:
                self._walk(root, core.height)
            self.roots.add(core.snapshot_id)
        self._mark_in_hand()

    def frames_of(self, packs: Iterable[int]) -> Frames:
        """What is in these packs."""
        wanted = np.array(sorted(packs), np.uint32)
        parts = [
            _frames(run.rows(), turns, wanted)
            for run, turns in zip(self.index.runs, self._turns, strict=True)
        ]
        if not parts:
            return Frames(*(np.zeros(0, kind) for kind in _COLUMNS.values()))
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS]
        order = np.lexsort((columns[1], columns[0]))
        return Frames(*(column[order] for column in columns))

    def needed_of(self, names: Sequence[Name], pack: int, offset: int) -> set[Name]:
        """Those of the chunks of a frame that are needed there."""
        found: set[Name] = set()
        for turns, (rows, wanted, at) in zip(self._turns, self.index.rows_of(names), strict=True):
            own = (rows.packs[at] == pack) & (rows.offsets[at] == offset) & (turns[at] != NEVER)
            found.update(names[number] for number in wanted[own].tolist())
        return found

    def _new_cores(self) -> Iterator[SnapshotCore]:
        for snapshot_id in catalog.snapshot_ids(self._store):
            if snapshot_id not in self.roots:
                try:
                    yield catalog.read_snapshot_core(self._store, snapshot_id)
                except SnapshotNotFoundError:  # removed meanwhile
                    continue

    def _walk(self, name: Name, level: int) -> None:
        if name in self._seen:
            return
        node = self._store.read_clear_node(name)
        if node.level != level:
            raise CorruptStoreError(f"node {name.hex()} is not of level {level}")
        self._take((name,))
        if level:
            for child in node.children:
                self._walk(child, level - 1)
        else:
            self._take(node.children)
        # Last: a walk that was broken off must not look done.
        self._seen.add(name)

    def _take(self, names: Sequence[Name]) -> None:
        self._in_hand += names
        if len(self._in_hand) >= _NAMES_IN_HAND:
            self._mark_in_hand()

    def _mark_in_hand(self) -> None:
        names = list(dict.fromkeys(self._in_hand))
        self._in_hand = []
        if names:
            self._mark(names)

    def _mark(self, names: list[Name]) -> None:
        """Mark the place of each name that counts.

        Where none does, because all are damaged or lost, all of them: what is left of it there
        may be all that there is.
        """
        counting = self.index.find_many(names)
        places = self.index.rows_of(names)
        found = np.zeros(len(names), bool)
        present = np.array(list(self.index.packs), np.uint32)
        for turns, (rows, wanted, at) in zip(self._turns, places, strict=True):
            right = (rows.packs[at] == counting.packs[wanted]) & (
                rows.offsets[at] == counting.offsets[wanted]
            )
            lost = counting.packs[wanted] == ABSENT
            right |= lost & np.isin(rows.packs[at], present)
            turn = (self._turn + wanted[right]).astype(np.uint32)
            np.minimum.at(turns, at[right], turn)
            found[wanted[right]] = True
        self._turn = min(self._turn + len(names), NEVER - _NAMES_IN_HAND - 1)
        self.missing += len(names) - int(found.sum())


_COLUMNS: dict[str, Any] = {
    "packs": np.uint32,
    "offsets": np.uint32,
    "lengths": np.uint32,
    "chunks": np.int64,
    "needed": np.int64,
    "turns": np.uint32,
}


def _frames(
    rows: Rows, turns: "npt.NDArray[np.uint32]", wanted: "npt.NDArray[np.uint32]"
) -> Frames:
    """The frames of one run: all rows of a pack are in one run."""
    own = np.flatnonzero(np.isin(rows.packs, wanted))
    places = (rows.packs[own].astype(np.uint64) << np.uint64(32)) | rows.offsets[own]
    frames, first, which, chunks = np.unique(
        places, return_index=True, return_inverse=True, return_counts=True
    )
    earliest = np.full(len(frames), NEVER, np.uint32)
    np.minimum.at(earliest, which, turns[own])
    needed = np.bincount(which, weights=turns[own] != NEVER, minlength=len(frames))
    return Frames(
        (frames >> np.uint64(32)).astype(np.uint32),
        frames.astype(np.uint32),
        rows.lengths[own][first],
        chunks.astype(np.int64),
        needed.astype(np.int64),
        earliest,
    )
