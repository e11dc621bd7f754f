"""Work that is not finished: files of live writers, under their locks, or of dead ones.

A pending file is held by its writer for as long as it works. When nobody holds it and the record
does not exist, the work failed. Its first line says what the work is, durably, before
anybody is told the id; the second how far it is, rewritten in place, and what of that a power cut
leaves torn is taken for nothing. amictl-store(5), PENDING WORK.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from amictl.errors import (
    UNREADABLE,
    AmictlError,
    BusyError,
    CorruptStoreError,
    ObjectMissingError,
)
from amictl.formats import records as record_format
from amictl.model.ids import is_id
from amictl.model.records import PendingImage, PendingSnapshot, PendingState
from amictl.model.surroundings import Surroundings
from amictl.model.tasks import TaskRecord
from amictl.store import events, layout
from amictl.store.store import Store

Work = PendingSnapshot | PendingImage
"""What is to become a snapshot or an image."""

AnyWork = Work | TaskRecord

DIED = "the process that made it ended before it was done"

_KINDS: dict[str, type[AnyWork]] = {"ami": PendingImage, "snap": PendingSnapshot}
"""By the beginning of an id; all others are of tasks."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Pending work as a reader sees it; `alive` is whether its writer still holds it."""

    work: AnyWork
    alive: bool


class PendingFile:
    """The writer's side: made held, its second line rewritten, removed when the record exists."""

    def __init__(self, store: Store, record_id: str, work: AnyWork) -> None:
        head = record_format.encode(_without_state(work))
        self._held = store.storage.begin_work(layout.pending(record_id), head)

    def write(self, work: AnyWork) -> None:
        """Say how far the work is. Raises StorageError.

        Not durable: after a power cut it has failed anyway.
        """
        self._held.write(record_format.encode(_state_of(work)))

    def end(self, work: AnyWork) -> None:
        """Leave a last word where there will be no record, as far as it can be said; let go."""
        self._held.end(record_format.encode(_state_of(work)))

    def remove(self) -> None:
        """The record exists: the work is done."""
        self._held.remove()

    def release(self) -> None:
        """Let go of it; what it says stays."""
        self._held.release()


@contextmanager
def unfinished(
    store: Store,
    operation: str,
    works: Sequence[Work],
    surroundings: Surroundings,
    begin: Callable[[], None] = lambda: None,
) -> Iterator[list[PendingFile]]:
    """A pending file for each work, for the time of an operation, in the order of `works`.

    `begin` is called when they are there; if it raises, they are as if they had never been. They
    are removed when the block ends well; otherwise they say why it did not, and so does an event.
    """
    files = _begun(store, works, begin)
    try:
        yield files
    except BaseException as error:
        for file, work in zip(files, works, strict=False):
            file.end(replace(work, reason=reason_of(error)))
        ids = tuple(_id_of(work) for work in reversed(works))
        outcome = "failed" if isinstance(works[-1], PendingImage) else "error"
        events.record(store, surroundings, operation, ids, outcome)
        raise
    for file in files:
        file.remove()


@contextmanager
def held(
    store: Store, works: Sequence[Work], begin: Callable[[], None] = lambda: None
) -> Iterator[list[PendingFile]]:
    """The same for parts of a task, which says what became of it: they are removed in any case."""
    files = _begun(store, works, begin)
    try:
        yield files
    finally:
        for file in files:
            file.remove()


def reason_of(error: BaseException) -> str:
    """Why work failed, for those who ask."""
    return error.message if isinstance(error, AmictlError) else DIED


def seen(store: Store, record_id: str) -> Seen | None:
    """Pending work by its id, or None if there is none. Raises CorruptStoreError, StorageError."""
    name = layout.pending(record_id)
    found = store.storage.read_work(name)
    if found is None:
        return None
    data, alive = found
    return Seen(_decode(data, name, store.storage.where(name)), alive)


def ids(store: Store, kind: str) -> list[str]:
    """Ids of all pending work of a kind (`ami-`, `snap-` …), damaged work too, in order."""
    return [one for one in all_ids(store) if is_id(kind.rstrip("-"), one)]


def all_ids(store: Store) -> list[str]:
    """Ids of all pending work, and what else is called like that, in order."""
    try:
        names = [name for name, _ in store.storage.names("pending")]
    except ObjectMissingError:
        return []
    found = (layout.core_id(name) for name in names)
    return sorted(one for one in found if one is not None)


def all_seen(store: Store, kind: str) -> list[tuple[str, Seen]]:
    """Id and state of all pending work of a kind. What cannot be read is left to a check."""
    found: list[tuple[str, Seen]] = []
    for record_id in ids(store, kind):
        with suppress(*UNREADABLE):
            work = seen(store, record_id)
            if work is not None:
                found.append((record_id, work))
    return found


def in_hand(store: Store, record_id: str) -> AnyWork | None:
    """What a live writer is at work on, or None.

    What a dead one left is not looked at. Raises CorruptStoreError, StorageError.
    """
    if not is_alive(store, record_id):
        return None
    work = seen(store, record_id)
    return work.work if work is not None and work.alive else None


def is_there(store: Store, record_id: str) -> bool:
    """Whether there is pending work with this id, of a live writer or a dead one, also damaged."""
    return store.storage.is_there(layout.pending(record_id))


def remove_dead(store: Store, record_id: str) -> None:
    """Remove the file of a writer that died, of work that failed or that was finished.

    Also one that is damaged.
    """
    if is_there(store, record_id) and not is_alive(store, record_id):
        store.storage.delete(layout.pending(record_id))


def is_alive(store: Store, record_id: str) -> bool:
    """Whether a writer is at work on this id. What its file says is not looked at."""
    return store.storage.is_worked_on(layout.pending(record_id))


def require_certainly_alive(store: Store, record_id: str, message: str, code: str) -> None:
    """Raises BusyError with the message where a live writer cannot be told from one that was killed
    a moment ago: waiting helps then, and nothing else.
    """
    seconds = store.storage.seconds_until_dead(layout.pending(record_id))
    if seconds is not None:
        raise BusyError(
            f"{message}; if the process that makes it is dead, it is free in at most"
            f" {math.ceil(seconds)} seconds",
            hint="wait, then run the command again",
            code=code,
        )


def _begun(store: Store, works: Sequence[Work], begin: Callable[[], None]) -> list[PendingFile]:
    """The files of all works, or of none if one cannot be made, or `begin` raises."""
    files: list[PendingFile] = []
    try:
        for work in works:
            files.append(PendingFile(store, _id_of(work), work))
        begin()
    except BaseException:
        for file in files:  # nobody was told an id
            file.remove()
        raise
    return files


def _decode(data: bytes, name: str, place: str) -> AnyWork:
    own_id = layout.core_id(name)
    assert own_id is not None
    kind = _KINDS.get(own_id.partition("-")[0], TaskRecord)
    first, newline, second = data.partition(b"\n")
    work = record_format.decode(first + newline, kind, place)
    if _id_of(work) != own_id:
        raise CorruptStoreError(f"{place} is about {_id_of(work)}")
    try:
        return _with_state(work, second, place)
    except CorruptStoreError:
        return work  # not written yet, being rewritten at this moment, or torn


def _with_state(work: AnyWork, second: bytes, place: str) -> AnyWork:
    if isinstance(work, TaskRecord):
        task = record_format.decode(second, TaskRecord, place)
        return task if task.task_id == work.task_id else work
    state = record_format.decode(second, PendingState, place)
    if isinstance(work, PendingImage):
        return replace(work, reason=state.reason)
    return replace(work, done=state.done, reason=state.reason)


def _id_of(work: AnyWork) -> str:
    match work:
        case TaskRecord():
            return work.task_id
        case PendingImage():
            return work.image.image_id
        case PendingSnapshot():
            return work.snapshot_id


def _state_of(work: AnyWork) -> PendingState | TaskRecord:
    if isinstance(work, TaskRecord):
        return work
    return PendingState(0 if isinstance(work, PendingImage) else work.done, work.reason)


def _without_state(work: AnyWork) -> AnyWork:
    match work:
        case TaskRecord():
            return work
        case PendingImage():
            return replace(work, reason=None)
        case PendingSnapshot():
            return replace(work, done=0, reason=None)
