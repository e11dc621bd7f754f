"""What tasks are at work, and what became of those of the last 31 days; and cancelling one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from amictl.errors import ConflictError, DryRunError, ImageNotFoundError, TaskNotFoundError
from amictl.formats import task_shapes
from amictl.model.filters import Texts, matching, text_of
from amictl.model.ids import require_id
from amictl.model.surroundings import Surroundings
from amictl.model.tasks import (
    ACTIVE,
    EXPORT_IMAGE,
    IMPORT_IMAGE,
    IMPORT_SNAPSHOT,
    PREFIXES,
    RESTORE_IMAGE,
    STORE_IMAGE,
    TaskRecord,
    kind_of,
    oldest_shown,
)
from amictl.store import catalog, tasks
from amictl.store.store import Store

_Shape = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskSelection:
    """Which tasks: of these images, or with these ids; `filters` have EC2's shape.

    As in EC2, filters do not count where images are named. Nothing given is no restriction.
    """

    ids: tuple[str, ...] = ()
    filters: tuple[dict[str, Any], ...] = ()
    dry_run: bool = False


def describe_store_image_tasks(
    store: Store, selection: TaskSelection, now: datetime
) -> dict[str, Any]:
    """`{"StoreImageTaskResults": […]}`, the newest first.

    Raises MalformedIdError; ImageNotFoundError for an image that neither exists nor has tasks;
    UsageError for an unknown filter.
    """
    found = _of_images(store, STORE_IMAGE, selection, now)
    shown = [task_shapes.store_task_shape(task) for task in found]
    return {"StoreImageTaskResults": _matching_transfers(shown, selection, "StoreTaskState")}


def describe_restore_image_tasks(
    store: Store, selection: TaskSelection, now: datetime
) -> dict[str, Any]:
    """`{"RestoreImageTaskResults": […]}`, the newest first; images are those that are made.

    Raises as `describe_store_image_tasks`.
    """
    found = _of_images(store, RESTORE_IMAGE, selection, now)
    shown = [task_shapes.restore_task_shape(task) for task in found]
    return {"RestoreImageTaskResults": _matching_transfers(shown, selection, "RestoreTaskState")}


def describe_import_image_tasks(
    store: Store, selection: TaskSelection, now: datetime
) -> dict[str, Any]:
    """`{"ImportImageTasks": […]}`, the oldest first.

    Raises MalformedIdError, TaskNotFoundError, UsageError for an unknown filter.
    """
    shape = task_shapes.import_image_task_shape
    shown = _shown(store, IMPORT_IMAGE, shape, selection, now)
    return {"ImportImageTasks": matching(shown, selection.filters, _BY_STATUS)}


def describe_import_snapshot_tasks(
    store: Store, selection: TaskSelection, now: datetime
) -> dict[str, Any]:
    """`{"ImportSnapshotTasks": […]}`, as `describe_import_image_tasks`."""
    shape = task_shapes.import_snapshot_task_shape
    shown = _shown(store, IMPORT_SNAPSHOT, shape, selection, now)
    known: dict[str, Texts] = {
        "task-state": lambda task: text_of(task["SnapshotTaskDetail"]["Status"])
    }
    return {"ImportSnapshotTasks": matching(shown, selection.filters, known)}


def describe_export_image_tasks(
    store: Store, selection: TaskSelection, now: datetime
) -> dict[str, Any]:
    """`{"ExportImageTasks": […]}`, as `describe_import_image_tasks`."""
    shape = task_shapes.export_image_task_shape
    shown = _shown(store, EXPORT_IMAGE, shape, selection, now)
    return {"ExportImageTasks": matching(shown, selection.filters, _BY_STATUS)}


def cancel_task(
    store: Store, task_id: str, reason: str, surroundings: Surroundings, *, dry_run: bool
) -> dict[str, Any]:
    """Ask a task of any kind to end: `{"ImportTaskId": …, "PreviousState": …, "State": …}`.

    Its worker does so at its next step, and leaves nothing. Raises TaskNotFoundError;
    ConflictError (IncorrectState) for a task that has ended.
    """
    store.require_features("write")
    task = tasks.seen(store, task_id)
    if task is None:
        raise _not_found(task_id)
    if task.state != ACTIVE:
        raise ConflictError(
            f"The task {task_id} is {task.state}: only what is at work can be cancelled"
        )
    before = task_shapes.DELETING if _is_cancelled(store, task) else task.state
    if dry_run:
        raise DryRunError
    tasks.cancel(store, task_id, reason, surroundings)
    return {
        "ImportTaskId": task_id,
        "PreviousState": before,
        "State": task_shapes.DELETING,
    }


def _of_images(
    store: Store, kind: str, selection: TaskSelection, now: datetime
) -> list[TaskRecord]:
    """The newest first."""
    for image_id in selection.ids:
        require_id("ami", image_id)
    found = _recent(tasks.all_seen(store, kind), now)[::-1]
    if selection.ids:
        found = [task for task in found if task.image_id in selection.ids]
        known = {task.image_id for task in found}
        for image_id in selection.ids:
            if image_id not in known and not catalog.exists_or_begun(store, image_id):
                raise ImageNotFoundError(f"The image id '[{image_id}]' does not exist")
    if selection.dry_run:
        raise DryRunError
    return found


def _matching_transfers(shown: list[_Shape], selection: TaskSelection, state: str) -> list[_Shape]:
    known: dict[str, Texts] = {
        "task-state": lambda task: text_of(task[state]),
        "bucket": lambda task: _bucket_texts(task.get("Bucket", "")),
    }
    found = matching(shown, selection.filters, known)
    return shown if selection.ids else found


def _bucket_texts(bucket: str) -> list[str]:
    """As it was given, and its name alone."""
    return [bucket, bucket.removeprefix("s3://").partition("/")[0]]


def _shown(
    store: Store,
    kind: str,
    shape: Callable[..., _Shape],
    selection: TaskSelection,
    now: datetime,
) -> list[_Shape]:
    """All that began lately, or those with the ids that are given, the oldest first."""
    if selection.ids:
        find = partial(_one, store, kind)
        found: Iterable[TaskRecord] = map(find, dict.fromkeys(selection.ids))
    else:
        found = _recent(tasks.all_seen(store, kind), now)
    shown = [shape(task, deleting=_is_cancelled(store, task)) for task in found]
    if selection.dry_run:
        raise DryRunError
    return shown


def _one(store: Store, kind: str, task_id: str) -> TaskRecord:
    require_id(PREFIXES[kind], task_id)
    task = tasks.seen(store, task_id)
    if task is None:
        raise _not_found(task_id)
    return task


def _recent(found: Iterable[TaskRecord], now: datetime) -> list[TaskRecord]:
    return [task for task in found if task.state == ACTIVE or task.start_time >= oldest_shown(now)]


def _is_cancelled(store: Store, task: TaskRecord) -> bool:
    """Whether a task that is at work was asked to end."""
    return task.state == ACTIVE and tasks.read_cancellation(store, task.task_id) is not None


def _not_found(task_id: str) -> TaskNotFoundError:
    error = TaskNotFoundError(
        f"The task ID {task_id} is not valid: there is no such task",
        hint="tasks are shown for 31 days",
    )
    if kind_of(task_id) == EXPORT_IMAGE:
        error.code = "InvalidExportTaskID.NotFound"
    return error


_BY_STATUS: Mapping[str, Texts] = {"task-state": lambda task: text_of(task["Status"])}
