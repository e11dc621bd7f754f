"""describe-store-image-tasks and its like, and cancel-import-task."""

from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import Context, Parameter
from amictl.cli.options import dry_run, filters, ids_option
from amictl.errors import MalformedIdError

_BY_STATE = filters("task-state (active, completed, deleting or deleted)")


class TaskIdType(click.ParamType[str]):
    """The id of a task of any kind. Raises MalformedIdError."""

    name = "id"

    def convert(self, value: str, param: Parameter, ctx: Context) -> str:
        from amictl.model.ids import require_id
        from amictl.model.tasks import PREFIXES, kind_of

        kind = kind_of(value)
        if kind is None:
            ids = ", ".join(f"{prefix}-..." for prefix in PREFIXES.values())
            raise MalformedIdError(
                f'Invalid id: "{value}" (expecting one of {ids})',
                hint="the describe commands of tasks show them, as describe-import-image-tasks",
                code="InvalidConversionTaskId.Malformed",
            )
        return require_id(PREFIXES[kind], value)


def _transfers(verb: str) -> Presentation:
    return Presentation(
        identifier="AmiId",
        columns=(
            "AmiId",
            "TaskStartTime",
            "Bucket",
            "S3objectKey",
            "ProgressPercentage",
            f"{verb}TaskState",
            f"{verb}TaskFailureReason",
        ),
    )


@command(
    "describe-store-image-tasks",
    presentation=_transfers("Store"),
    examples=[
        ("All of the last 31 days", "amictl describe-store-image-tasks"),
        (
            "Why those of an image failed",
            "amictl describe-store-image-tasks --image-ids ami-0123456789abcdef0"
            " --query StoreImageTaskResults[].StoreTaskFailureReason",
        ),
    ],
)
@ids_option("--image-ids", "ami", help="Only those of these images; filters do not count then.")
@filters("task-state (InProgress, Completed or Failed), bucket")
@dry_run()
def describe_store_image_tasks(
    invocation: Invocation,
    image_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show how far the storing of images into buckets is, the newest first.

    That is what was begun in the last 31 days. A task that was killed has failed, at once where
    the region is a directory, and in a bucket when its lease is over. The member Amictl has the
    id that cancel-import-task takes.
    """
    from amictl.actions import tasks

    selection = tasks.TaskSelection(image_ids, filters, bool(dry_run))
    with invocation.open_store_for_listing() as store:
        return tasks.describe_store_image_tasks(store, selection, invocation.surroundings.now())


@command(
    "describe-restore-image-tasks",
    presentation=_transfers("Restore"),
    examples=[
        ("All of the last 31 days", "amictl describe-restore-image-tasks"),
        (
            "Those that failed, and why",
            "amictl describe-restore-image-tasks --filters Name=task-state,Values=Failed"
            " --query RestoreImageTaskResults[].[AmiId,RestoreTaskFailureReason]",
        ),
    ],
)
@ids_option("--image-ids", "ami", help="Only those that make these images; filters do not count.")
@filters("task-state (InProgress, Completed or Failed), bucket")
@dry_run()
def describe_restore_image_tasks(
    invocation: Invocation,
    image_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show how far the restoring of images from buckets is, the newest first.

    As describe-store-image-tasks does for storing; AmiId is the image that is made.
    """
    from amictl.actions import tasks

    selection = tasks.TaskSelection(image_ids, filters, bool(dry_run))
    with invocation.open_store_for_listing() as store:
        return tasks.describe_restore_image_tasks(store, selection, invocation.surroundings.now())


@command(
    "describe-import-image-tasks",
    presentation=Presentation(
        identifier="ImportTaskId",
        columns=("ImportTaskId", "ImageId", "Progress", "Status", "StatusMessage"),
    ),
    examples=[
        ("All of the last 31 days", "amictl describe-import-image-tasks"),
        (
            "The image that a task made",
            "amictl describe-import-image-tasks --import-task-ids import-ami-0123456789abcdef0"
            " --query ImportImageTasks[].ImageId",
        ),
    ],
)
@ids_option("--import-task-ids", "import-ami", help="Only these.")
@_BY_STATE
@dry_run()
def describe_import_image_tasks(
    invocation: Invocation,
    import_task_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show how far the imports of images are.

    That is what was begun in the last 31 days. The status of a task that failed, or was
    cancelled, is deleted, as in EC2; its message says why.
    """
    from amictl.actions import tasks

    selection = tasks.TaskSelection(import_task_ids, filters, bool(dry_run))
    with invocation.open_store_for_listing() as store:
        return tasks.describe_import_image_tasks(store, selection, invocation.surroundings.now())


@command(
    "describe-import-snapshot-tasks",
    presentation=Presentation(
        identifier="ImportTaskId",
        columns=(
            "ImportTaskId",
            "SnapshotTaskDetail.SnapshotId",
            "SnapshotTaskDetail.Progress",
            "SnapshotTaskDetail.Status",
            "SnapshotTaskDetail.StatusMessage",
        ),
    ),
    examples=[
        ("All of the last 31 days", "amictl describe-import-snapshot-tasks"),
        (
            "How far one is",
            "amictl describe-import-snapshot-tasks"
            " --import-task-ids import-snap-0123456789abcdef0"
            " --query ImportSnapshotTasks[].SnapshotTaskDetail.Progress",
        ),
    ],
)
@ids_option("--import-task-ids", "import-snap", help="Only these.")
@filters("task-state (active, completed, error, deleting or deleted)")
@dry_run()
def describe_import_snapshot_tasks(
    invocation: Invocation,
    import_task_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show how far the imports of snapshots are.

    That is what was begun in the last 31 days. The status of a task that failed is error, of one
    that was cancelled deleted; the message says why.
    """
    from amictl.actions import tasks

    selection = tasks.TaskSelection(import_task_ids, filters, bool(dry_run))
    with invocation.open_store_for_listing() as store:
        return tasks.describe_import_snapshot_tasks(store, selection, invocation.surroundings.now())


@command(
    "describe-export-image-tasks",
    presentation=Presentation(
        identifier="ExportImageTaskId",
        columns=("ExportImageTaskId", "ImageId", "Progress", "Status", "StatusMessage"),
    ),
    examples=[
        ("All of the last 31 days", "amictl describe-export-image-tasks"),
        (
            "Where the file of one is",
            "amictl describe-export-image-tasks"
            " --export-image-task-ids export-ami-0123456789abcdef0"
            " --query ExportImageTasks[].[S3ExportLocation.S3Bucket,Amictl.ObjectKey]",
        ),
    ],
)
@ids_option("--export-image-task-ids", "export-ami", help="Only these.")
@_BY_STATE
@dry_run()
def describe_export_image_tasks(
    invocation: Invocation,
    export_image_task_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show how far the exports of images are.

    That is what was begun in the last 31 days. The status of a task that failed, or was
    cancelled, is deleted, as in EC2; its message says why.
    """
    from amictl.actions import tasks

    selection = tasks.TaskSelection(export_image_task_ids, filters, bool(dry_run))
    with invocation.open_store_for_listing() as store:
        return tasks.describe_export_image_tasks(store, selection, invocation.surroundings.now())


@command(
    "cancel-import-task",
    presentation=Presentation(identifier="ImportTaskId"),
    examples=[
        (
            "An import",
            "amictl cancel-import-task --import-task-id import-ami-0123456789abcdef0"
            " --cancel-reason 'the wrong disk'",
        ),
        (
            "The storing of an image, by the id in the member Amictl of its task",
            "amictl cancel-import-task --import-task-id store-0123456789abcdef0",
        ),
    ],
)
@click.option(
    "--import-task-id",
    type=TaskIdType(),
    metavar="ID",
    required=True,
    help="The task: an import, an export, or the storing or restoring of an image.",
)
@click.option("--cancel-reason", default="", metavar="TEXT", help="Shown as a part of its message.")
@dry_run()
def cancel_import_task(
    invocation: Invocation, import_task_id: str, cancel_reason: str, dry_run: bool | None
) -> Result:
    """Cancel a task that is at work, whoever began it.

    The command returns at once. The worker of the task notices it within seconds, while it moves
    data, and ends.

    Nothing is left of an import, an export or a storing that was cancelled. The image of a
    restore stays visible in state failed and its snapshots in state error, with the reason; and
    so do those of an import whose worker was killed instead. deregister-image and
    delete-snapshot remove them, and collect-garbage what had been stored for them.
    """
    from amictl.actions import tasks

    with invocation.open_store() as store:
        return tasks.cancel_task(
            store,
            import_task_id,
            cancel_reason,
            invocation.surroundings,
            dry_run=bool(dry_run),
        )
