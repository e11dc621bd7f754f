"""Collecting garbage: what no snapshot needs is removed, without disturbing anybody.

amictl-store(5), COLLECTING. Writers that are at work keep what they count on, because they began
in an epoch that is waited for; who begins later takes what is condemned for absent. Killed at any
moment, a collection leaves a valid store, and the next one finishes.
"""

import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from amictl.errors import UNREADABLE, AmictlError, BusyError, StorageError
from amictl.formats import records as record_format
from amictl.formats.current import PackRow
from amictl.formats.pack import PackKind
from amictl.model.records import Epoch
from amictl.storage.disk import is_out_of_space
from amictl.store import catalog, layout
from amictl.store.garbage import Limits, Plan, due
from amictl.store.marking import Frames, Marks
from amictl.store.packing import PACK_SIZE, NewPack
from amictl.store.publishing import condemn, publish_packs
from amictl.store.repacking import Repacker
from amictl.store.store import Store
from amictl.store.writing import read_epoch

_BATCH_BYTES = 16 * PACK_SIZE
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Collected:
    """What was done; `stayed` says why packs that were to go did not."""

    packs_removed: int
    packs_written: int
    freed_bytes: int
    moved_bytes: int
    stayed: tuple[str, ...]


def remove_due(store: Store, now: datetime) -> list[str]:
    """Remove what has left the recycle bin; the ids. A snapshot that an image maps stays."""
    removed = []
    for record_id in due(store, now):
        with suppress(*UNREADABLE), catalog.exclusively(store):
            in_use = record_id.startswith("snap-") and catalog.users_of(store, record_id)
            if not in_use and record_id in due(store, now):
                catalog.remove(store, record_id)
                removed.append(record_id)
    return removed


def execute(
    store: Store,
    found: Plan,
    marks: Marks,
    limits: Limits,
    random_bytes: Callable[[int], bytes],
) -> Collected:
    """Do what was planned, as far as no writer counts on it by now.

    Whoever calls holds the lock of collections. Raises BusyError when writers are at work for
    longer than may be waited; StorageError, CorruptStoreError. Then what was done stays done, and
    nothing is condemned any more, unless some of it may not be whole.
    """
    if not found.numbers and not found.stray and not store.index.current.condemned:
        return Collected(0, 0, 0, 0, ())
    deadline = time.monotonic() + limits.wait_seconds
    load = store.reload_index
    # One that was killed may have removed what nodes that are condemned lead to.
    is_partial = bool(store.index.current.condemned)
    _wait_for_epoch(store, 1 - read_epoch(store), deadline)
    try:
        condemn(store.storage, load, found.numbers)
        _turn_epoch(store, deadline)
        later = Marks(store, load(), after=marks)
        later.mark_all()
        done = _Execution(store, [marks, later], random_bytes)
        done.remove_stray(found.stray)
        # Nodes leave the index before what they lead to: nobody may find one that is not whole.
        is_partial = True
        if not done.move(found.moved, PackKind.NODES):
            return done.finish(found.node_packs)
        done.remove_dead(found)
        done.move(found.moved, PackKind.FRAMES)
        return done.finish(frozenset())
    except BaseException:
        if not is_partial:
            with suppress(AmictlError):
                condemn(store.storage, load, set())
        raise


class _Execution:
    """The part in which nobody counts on what is condemned, unless it was marked."""

    def __init__(
        self, store: Store, marks: Sequence[Marks], random_bytes: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._marks = marks
        self._random_bytes = random_bytes
        self._repacker = Repacker(store, marks, random_bytes)
        self._removed: list[PackRow] = []
        self._written = 0
        self._written_bytes = 0
        self._stray_bytes = 0
        self._stayed: list[str] = []

    def remove_dead(self, found: Plan) -> None:
        """Packs that nobody has begun to need."""
        frames = self._frames(found.dead)
        awake = set(frames.packs[frames.needed > 0].tolist())
        self._replace([row for row in found.dead if row.number not in awake], [])

    def move(self, packs: Sequence[PackRow], kind: PackKind) -> bool:
        """What is needed of packs goes into new ones, which are durable before these are gone.

        Returns whether none of them had to stay. Where there is no room for new ones all that are
        left stay.
        """
        stayed = len(self._stayed)
        for batch in _batches([row for row in packs if row.kind is kind]):
            try:
                self._move(batch)
            except StorageError as error:
                if not is_out_of_space(error):
                    raise
                self._stayed.append(error.message)
                break
        return len(self._stayed) == stayed

    def _move(self, batch: Sequence[PackRow]) -> None:
        moved = self._repacker.move(batch, self._frames(batch))
        try:
            self._store.storage.publish([pack.upload for pack in moved.packs])
        except BaseException:
            moved.discard()
            raise
        self._stayed += moved.stay.values()
        self._written += len(moved.packs)
        self._written_bytes += sum(pack.upload.size for pack in moved.packs)
        self._replace([row for row in batch if row.number not in moved.stay], moved.packs)

    def remove_stray(self, stray: Sequence[tuple[str, int]]) -> None:
        """Remove what killed writers left, and no index names by now."""
        current = self._store.reload_index().current
        named = {layout.pack(row.pack_id) for row in current.packs}
        named |= {layout.run(row.run_id) for row in current.runs}
        for name, size in stray:
            if name not in named:
                self._store.storage.clean(name)
                self._stray_bytes += size

    def finish(self, partial: Set[int]) -> Collected:
        """Condemn no packs any more but those of these that are left: what the nodes in them lead
        to may be gone.
        """
        condemn(self._store.storage, self._store.reload_index, partial)
        removed = sum(row.length for row in self._removed)
        return Collected(
            len(self._removed),
            self._written,
            removed + self._stray_bytes - self._written_bytes,
            self._written_bytes,
            tuple(self._stayed),
        )

    def _replace(self, packs: Sequence[PackRow], new: Sequence[NewPack]) -> None:
        """Have the index name new packs in place of others, then remove these."""
        if not packs and not new:
            return
        storage = self._store.storage
        gone = {row.number for row in packs}
        load = self._store.reload_index
        publish_packs(storage, new, load, lambda: self._random_bytes(16), gone)
        for row in packs:
            storage.clean(layout.pack(row.pack_id))
        storage.settle("packs")
        self._removed += packs

    def _frames(self, packs: Sequence[PackRow]) -> Frames:
        """What is in packs, with what was found to be needed by both markings."""
        first, second = (marks.frames_of(row.number for row in packs) for marks in self._marks)
        return Frames(
            first.packs,
            first.offsets,
            first.lengths,
            first.chunks,
            np.minimum(first.needed + second.needed, first.chunks),
            np.minimum(first.turns, second.turns),
        )


def _batches(packs: Sequence[PackRow]) -> Iterator[list[PackRow]]:
    """As many packs at a time as may be there twice for a while."""
    batch: list[PackRow] = []
    for row in packs:
        if batch and sum(one.length for one in (*batch, row)) > _BATCH_BYTES:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _turn_epoch(store: Store, deadline: float) -> None:
    """Have writers that begin hold the other lock, and wait until nobody holds this one.

    Raises BusyError.
    """
    epoch = read_epoch(store)
    store.storage.write(layout.EPOCH, record_format.encode(Epoch(1 - epoch)))
    _wait_for_epoch(store, epoch, deadline)


def _wait_for_epoch(store: Store, epoch: int, deadline: float) -> None:
    """Return when no writer of an epoch is at work. Raises BusyError when the time is up."""
    while True:
        try:
            with store.storage.alone([layout.EPOCH_LOCKS[epoch]]):
                return
        except BusyError as error:
            if time.monotonic() >= deadline:
                raise BusyError(
                    "another command writes to the store, and what it counts on cannot be told",
                    hint="run the command again when it is done, or wait: --lock-timeout SECONDS",
                ) from error
        time.sleep(_LOOK_SECONDS)
