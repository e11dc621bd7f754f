"""What of a store is garbage, and what of it is worth collecting. Nothing is changed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from amictl.errors import BusyError, ConflictError
from amictl.formats.current import PackRow
from amictl.formats.pack import PackKind
from amictl.store import catalog, layout, recycling
from amictl.store.marking import Frames, Marks, is_reduced
from amictl.store.packing import PACK_SIZE
from amictl.store.store import Store
from amictl.store.surveying import unnamed_files

SMALL_PACK = 16 << 20
"""Shorter packs are merged."""

_WASTE_KEPT = 0.1
"""So much of what is needed may stay as garbage in packs that are worth keeping."""

_WASTE_MIN = 0.02
"""A pack with less garbage is not worth moving."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a collection may go: bytes that may be moved (None: all), how long to wait for
    writers, and whether most of the store may go.
    """

    repack_bytes: int | None = None
    wait_seconds: float = 0.0
    most: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a collection would do.

    `dead` packs hold nothing that is needed, `moved` ones little, or are small. `needed_bytes` are
    whole frames and nodes; `moved_bytes` what is needed in `moved`. `stray` are files that no index
    names, with their sizes. `due` has left the recycle bin. `is_busy` says that writers are at
    work, whose packs need no snapshot yet: the newest are left out then.
    """

    dead: tuple[PackRow, ...]
    moved: tuple[PackRow, ...]
    needed_bytes: int
    moved_bytes: int
    stray: tuple[tuple[str, int], ...]
    due: tuple[str, ...]
    missing: int
    is_busy: bool

    @property
    def freed_bytes(self) -> int:
        """What all that takes less then, with what stays of frames as it is."""
        packs = sum(row.length for row in (*self.dead, *self.moved)) - self.moved_bytes
        return packs + sum(size for _, size in self.stray)

    @property
    def numbers(self) -> set[int]:
        """Of all packs that go."""
        return {row.number for row in (*self.dead, *self.moved)}

    @property
    def node_packs(self) -> set[int]:
        """Of those with nodes."""
        rows = (*self.dead, *self.moved)
        return {row.number for row in rows if row.kind is PackKind.NODES}


def plan(store: Store, now: datetime, limits: Limits) -> tuple[Plan, Marks]:
    """Look what there is to do; nothing is changed. What is due counts as gone only once it is.

    Raises CorruptStoreError if anything that a snapshot leads to cannot be told, BusyError never.
    """
    busy = _is_busy(store)  # before the index: what is in it of writers that ended has its records
    marks = Marks(store, store.reload_index())
    marks.mark_all()
    rows = store.index.current.packs
    packs = _by_pack(rows, marks.frames_of(row.number for row in rows))
    needed = {pack.row.number: pack.needed for pack in packs}
    moved = _worth_moving(packs, limits.repack_bytes)
    dead = tuple(row for row in rows if not needed[row.number])
    if busy:
        newest = max((number for number in needed if needed[number]), default=-1)
        dead = tuple(row for row in dead if row.number < newest)
    return (
        Plan(
            dead=dead,
            moved=moved,
            needed_bytes=sum(needed.values()),
            moved_bytes=sum(needed[row.number] for row in moved),
            stray=tuple(unnamed_files(store)),
            due=due(store, now),
            missing=marks.missing,
            is_busy=busy,
        ),
        marks,
    )


def due(store: Store, now: datetime) -> tuple[str, ...]:
    """Ids of what has left the recycle bin, images first."""
    ids = [*catalog.image_ids(store), *catalog.snapshot_ids(store)]
    return tuple(
        attributes.id for attributes, stay in recycling.stays(store, ids) if stay.is_over(now)
    )


def require_not_most(store: Store, found: Plan) -> None:
    """Raises ConflictError if a collection would remove more than half of the store."""
    total = sum(row.length for row in store.index.current.packs)
    if total and 2 * (total - found.needed_bytes) > total + 2 * PACK_SIZE:
        raise ConflictError(
            f"more than half of the store would go: {total - found.needed_bytes} of {total} bytes"
            " of packs are garbage",
            hint="if that is meant: amictl collect-garbage --yes-delete-most; describe-store says"
            " what is in it",
            code="OperationNotPermitted",
        )


def _is_busy(store: Store) -> bool:
    """Whether a writer may be at work at this moment."""
    if not store.storage.forkable:
        return True  # to find out would be to write
    try:
        with store.storage.alone(layout.EPOCH_LOCKS):
            return False
    except BusyError:
        return True


@dataclass(frozen=True, slots=True)
class _Content:
    """Of a pack: the bytes of frames that are needed, as they would be moved; of their chunks
    that are, taken for equally long; and whether it holds anything that is not needed.
    """

    row: PackRow
    needed: int
    worth: float
    has_dead: bool

    @property
    def waste(self) -> float:
        """The share of it that is garbage."""
        return 1 - self.worth / self.row.length


def _by_pack(rows: Sequence[PackRow], frames: Frames) -> list[_Content]:
    alive = frames.needed > 0
    whole = np.where(alive, frames.lengths, 0)
    worth = whole * (frames.needed / np.maximum(frames.chunks, 1))
    whole = np.where(is_reduced(frames), worth, whole)
    which = np.searchsorted(np.array([row.number for row in rows], np.uint32), frames.packs)
    sums = (
        np.bincount(which, weights=weights, minlength=len(rows)).tolist()
        for weights in (whole, worth, ~alive)
    )
    return [
        _Content(row, int(needed), part, bool(dead))
        for row, needed, part, dead in zip(rows, *sums, strict=True)
    ]


def _worth_moving(packs: Sequence[_Content], limit: int | None) -> tuple[PackRow, ...]:
    """Packs whose garbage is worth moving what is needed.

    Of frames the worst ones, until what stays is little. Of nodes every one that holds a dead
    one, because what that leads to may go. Small ones, if there are several of a kind.
    """
    alive = [pack for pack in packs if pack.needed]
    frames = [pack for pack in alive if pack.row.kind is PackKind.FRAMES]
    left = sum(pack.row.length - pack.worth for pack in frames)
    most = _WASTE_KEPT * sum(pack.worth for pack in frames)
    chosen = []
    for pack in sorted(frames, key=lambda one: one.waste, reverse=True):
        if left <= most or pack.waste < _WASTE_MIN:
            break
        chosen.append(pack)
        left -= pack.row.length - pack.worth
    chosen = _within(chosen, limit)
    nodes = [pack for pack in alive if pack.row.kind is PackKind.NODES]
    chosen += [pack for pack in nodes if pack.has_dead]
    for kind in (frames, nodes):
        small = [pack for pack in kind if pack.row.length < SMALL_PACK]
        if len(small) > 1:
            chosen += [pack for pack in small if pack not in chosen]
    return tuple(sorted((pack.row for pack in chosen), key=lambda row: row.number))


def _within(packs: Sequence[_Content], limit: int | None) -> list[_Content]:
    """As many of the first as may be moved."""
    kept, size = [], 0
    for pack in packs:
        size += pack.needed
        if limit is not None and size > limit:
            break
        kept.append(pack)
    return kept
