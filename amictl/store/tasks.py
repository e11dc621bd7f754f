"""Tasks of a region: at work, as a pending file of their worker; afterwards, as a record.

A task whose worker was killed failed; nobody needs to write that down. amictl-store(5), TASKS.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime

from amictl.errors import (
    UNREADABLE,
    AmictlError,
    CorruptStoreError,
    ObjectMissingError,
    TaskCancelledError,
)
from amictl.formats import records as record_format
from amictl.model.ids import is_id
from amictl.model.surroundings import Surroundings
from amictl.model.tasks import (
    ACTIVE,
    CANCELLED,
    COMPLETED,
    EXPORT_IMAGE,
    FAILED,
    OPERATIONS,
    PREFIXES,
    STORE_IMAGE,
    TaskCancellation,
    TaskRecord,
    kind_of,
    oldest_shown,
)
from amictl.model.times import timestamp
from amictl.progress import Progress, Step
from amictl.store import at_once, catalog, events, layout, pending
from amictl.store.store import Store

DIED = "the process that did it ended before it was done"

FEW = 100
"""Only where there are more tasks than this, old ones are looked for and removed."""

_FOLDER = "tasks"
_SAVE_SECONDS = 1.0
_MAKE_NOTHING_HERE = (STORE_IMAGE, EXPORT_IMAGE)
"""Kinds that make nothing in the region; nothing else leaves an event for them."""


class RunningTask:
    """The worker's side of a task; see `running`."""

    def __init__(
        self, store: Store, record: TaskRecord, file: pending.PendingFile, progress: Progress
    ) -> None:
        self.record = record
        self._store = store
        self._file = file
        self._progress = progress
        self._saved = time.monotonic()

    def progress(self, done: int, total: int) -> None:
        """Say how far it is, in bytes of the disks; may be called often, by one thread at a time.

        Those who ask see it about a second later. Raises TaskCancelledError, StorageError.
        """
        self.record = replace(self.record, done=done, total=total)
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self._saved = time.monotonic()
            self._require_wanted()
            self._file.write(self.record)

    def result(
        self,
        *,
        image_id: str | None = None,
        snapshot_ids: tuple[str, ...] = (),
        message: str | None = None,
    ) -> None:
        """Note what the task made, or what a user should know; what is not given stays."""
        self.record = replace(
            self.record,
            image_id=image_id or self.record.image_id,
            snapshot_ids=snapshot_ids or self.record.snapshot_ids,
            message=message or self.record.message,
        )

    def update(self, step: Step) -> None:
        """The same as `progress`, as a Progress: it goes on to the person who waits, too."""
        self._progress.update(step)
        self.progress(step.done, step.total)

    def note(self, text: str) -> None:
        """One line for the person who waits."""
        self._progress.note(text)

    def _require_wanted(self) -> None:
        cancellation = read_cancellation(self._store, self.record.task_id)
        if cancellation is not None:
            reason = f": {cancellation.reason}" if cancellation.reason else ""
            raise TaskCancelledError(f"the task was cancelled{reason}")


@contextmanager
def running(store: Store, record: TaskRecord, surroundings: Surroundings) -> Iterator[RunningTask]:
    """A task for the time of a block: active meanwhile, completed when it ends well.

    Otherwise failed, with the error's message, or cancelled. The work that is done never fails
    because its task could not be noted at the end. Stores and exports leave an event; what makes
    something in the region does that by itself. Raises StorageError before the block.
    """
    _remove_old(store, surroundings.now())
    file = pending.PendingFile(store, record.task_id, record)
    task = RunningTask(store, record, file, surroundings.progress)
    try:
        yield task
    except BaseException as error:
        _end(task, store, file, surroundings, _broken_off(store, task.record, error))
        raise
    _end(task, store, file, surroundings, replace(task.record, state=COMPLETED))


def _broken_off(store: Store, record: TaskRecord, error: BaseException) -> TaskRecord:
    """What became of a task whose block did not end well: it may have been done all the same."""
    if _is_made(store, record):
        return replace(record, state=COMPLETED)
    state = CANCELLED if isinstance(error, TaskCancelledError) else FAILED
    reason = error.message if isinstance(error, AmictlError) else DIED
    return replace(record, state=state, message=reason)


def _is_made(store: Store, record: TaskRecord) -> bool:
    """Whether there is what a task makes in the region; False of those that make nothing there."""
    if record.kind in _MAKE_NOTHING_HERE:
        return False
    ids = record.snapshot_ids if record.image_id is None else (record.image_id,)
    with suppress(*UNREADABLE):
        return bool(ids) and all(catalog.is_there(store, layout.core(one)) for one in ids)
    return False


def _end(
    task: RunningTask,
    store: Store,
    file: pending.PendingFile,
    surroundings: Surroundings,
    ended: TaskRecord,
) -> None:
    task.record = ended = replace(ended, end_time=timestamp(surroundings.now()))
    try:
        _make_folder(store)
        store.storage.write(layout.task(ended.task_id), record_format.encode(ended))
    except UNREADABLE:
        file.end(ended)
    except BaseException:  # who stops it now must not make it what it is not
        file.end(ended)
        raise
    else:
        file.remove()
    with suppress(*UNREADABLE):
        store.storage.clean(layout.task_cancellation(ended.task_id))
    if ended.kind in _MAKE_NOTHING_HERE and ended.image_id is not None:
        ids = (ended.image_id, ended.task_id)
        events.record(store, surroundings, OPERATIONS[ended.kind], ids, ended.state)


def seen(store: Store, task_id: str) -> TaskRecord | None:
    """A task as it is now, failed if its worker was killed; None if there is none.

    In a bucket a killed worker counts as at work until its lease is over. Raises
    CorruptStoreError, StorageError.
    """
    # The record is asked for before and after the pending file: it may end meanwhile.
    for find in (_ended, _at_work, _ended):
        task = find(store, task_id)
        if task is not None:
            return task
    return None


def all_seen(store: Store, kind: str) -> list[TaskRecord]:
    """All tasks of a kind, the oldest first. What cannot be read is left to a check."""

    def read(task_id: str) -> TaskRecord | None:
        with suppress(*UNREADABLE):
            return seen(store, task_id)
        return None

    prefix = PREFIXES[kind]
    task_ids = sorted(task_id for task_id in _ids(store) if is_id(prefix, task_id))
    found = (task for task in at_once.each(store, read, task_ids) if task is not None)
    return sorted(found, key=lambda task: (task.start_time, task.task_id))


def cancel(store: Store, task_id: str, reason: str, surroundings: Surroundings) -> None:
    """Ask a task to end; its worker does so at its next step. Durable when it returns."""
    wanted = TaskCancellation(task_id, timestamp(surroundings.now()), reason)
    _make_folder(store)
    place = layout.task_cancellation(task_id)
    store.storage.write_if_absent(place, record_format.encode(wanted))


def read_cancellation(store: Store, task_id: str) -> TaskCancellation | None:
    """That a task is asked to end; None if it is not. Raises CorruptStoreError, StorageError."""
    place = layout.task_cancellation(task_id)
    try:
        data = store.storage.read(place)
    except ObjectMissingError:
        return None
    found = record_format.decode(data, TaskCancellation, place)
    if found.task_id != task_id:
        raise CorruptStoreError(f"{place} is about {found.task_id}")
    return found


def read_object(store: Store, place: str) -> object:
    """What an object of the folder holds. Raises CorruptStoreError."""
    base = place.rpartition("/")[2]
    task_id = base.partition(".")[0]
    return _ended(store, task_id) if base.endswith(".json") else read_cancellation(store, task_id)


def at_work(store: Store) -> list[str]:
    """Ids of all tasks whose workers are alive."""
    begun = (one for one in pending.all_ids(store) if kind_of(one) is not None)
    return [task_id for task_id in begun if pending.is_alive(store, task_id)]


def _ended(store: Store, task_id: str) -> TaskRecord | None:
    place = layout.task(task_id)
    try:
        task = record_format.decode(store.storage.read(place), TaskRecord, place)
    except ObjectMissingError:
        return None
    if task.task_id != task_id:
        raise CorruptStoreError(f"{place} is about {task.task_id}")
    return task


def _at_work(store: Store, task_id: str) -> TaskRecord | None:
    found = pending.seen(store, task_id)
    if found is None or not isinstance(found.work, TaskRecord):
        return None
    task = found.work
    if found.alive or task.state != ACTIVE:
        return task
    if _is_made(store, task):
        return replace(task, state=COMPLETED)
    return replace(task, state=FAILED, message=DIED)


def _ids(store: Store) -> set[str]:
    """Of all tasks, and of whatever else is pending."""
    found = set(pending.all_ids(store))
    with suppress(ObjectMissingError):  # the folder is made when it is needed
        names = [layout.core_id(name) for name, _ in store.storage.names(_FOLDER)]
        found.update(task_id for task_id in names if task_id is not None)
    return found


def _make_folder(store: Store) -> None:
    """A store from before there were tasks has none."""
    if not store.storage.is_there(_FOLDER):
        store.storage.make_folder(_FOLDER)


def _remove_old(store: Store, now: datetime) -> None:
    """Remove what is not shown any more. Raises nothing but what interrupts the program."""
    with suppress(*UNREADABLE):
        if len(_ids(store)) <= FEW:
            return
        for kind in PREFIXES:
            for task in all_seen(store, kind):
                if task.start_time < oldest_shown(now) and task.state != ACTIVE:
                    _remove(store, task.task_id)


def _remove(store: Store, task_id: str) -> None:
    pending.remove_dead(store, task_id)
    store.storage.clean(layout.task_cancellation(task_id))
    store.storage.clean(layout.task(task_id))
