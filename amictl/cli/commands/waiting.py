"""wait: commands that end when something is in a certain state."""

from functools import partial
from typing import Any

import click

from amictl.cli.command import Command, Example, Presentation, Result
from amictl.cli.commands.images import describe_images
from amictl.cli.commands.snapshots import describe_snapshots
from amictl.cli.commands.tasks import (
    describe_export_image_tasks,
    describe_import_image_tasks,
    describe_import_snapshot_tasks,
    describe_store_image_tasks,
)
from amictl.cli.commands.volumes import describe_volumes
from amictl.cli.global_options import GlobalOption
from amictl.cli.invocation import Invocation
from amictl.cli.lazy_group import Entry, LazyGroup
from amictl.cli.option_types import DurationType
from amictl.cli.paging import PagingOption
from amictl.errors import (
    AmictlError,
    BusyError,
    InterruptedBySignalError,
    UsageError,
    WaiterError,
)


class Waiter(Command):
    """A command that prints nothing; its failures are worded as EC2's waiters word them."""

    def sentence(self, error: AmictlError) -> str:
        if isinstance(error, WaiterError | BusyError):
            return error.message
        return f"Waiter {self.operation} failed: An error occurred ({error.code}): {error.message}"

    def hint(self, error: AmictlError) -> str | None:
        """Who stops a waiter does not want it again."""
        return None if isinstance(error, InterruptedBySignalError) else super().hint(error)


_IMAGES = (describe_images, "--image-ids ami-0123456789abcdef0")
_SNAPSHOTS = (describe_snapshots, "--snapshot-ids snap-0123456789abcdef0")
_VOLUMES = (describe_volumes, "--volume-ids vol-0123456789abcdef0")
_STORE_TASKS = (describe_store_image_tasks, "--image-ids ami-0123456789abcdef0")
_IMAGE_IMPORTS = (
    describe_import_image_tasks,
    "--import-task-ids import-ami-0123456789abcdef0",
)
_SNAPSHOT_IMPORTS = (
    describe_import_snapshot_tasks,
    "--import-task-ids import-snap-0123456789abcdef0",
)
_EXPORTS = (
    describe_export_image_tasks,
    "--export-image-task-ids export-ami-0123456789abcdef0",
)


def _waiter(name: str, kind: tuple[Command, str], text: str) -> Waiter:
    """A waiter has the options of its describe command, as in EC2, and a timeout.

    `kind` is the command whose answer it waits for, and an example of what it may be given.
    """
    describe, example = kind
    selecting = [
        param
        for param in describe.params
        if param.name != "dry_run" and not isinstance(param, GlobalOption | PagingOption)
    ]

    def wait_for(invocation: Invocation, timeout: float, **selection: Any) -> Result:
        from amictl.actions import waiting

        if not any(selection.values()):
            option = example.partition(" ")[0]
            raise UsageError(f"give {option} or --filters", code="MissingParameter")
        assert describe.callback is not None
        look = partial(describe.callback, invocation, dry_run=None, **selection)
        waiting.wait_for(waiting.WAITERS[name], look, timeout)
        return {}

    return Waiter(
        name,
        callback=wait_for,
        help=text,
        presentation=Presentation(),
        examples=[
            Example("Wait for five minutes at most", f"amictl wait {name} {example} --timeout 5m")
        ],
        params=[
            *selecting,
            click.Option(
                ["--timeout"],
                type=DurationType(),
                metavar="SECONDS",
                default="600",
                show_default=True,
                help="Give up after this time, with status 11.",
            ),
        ],
    )


image_available = _waiter(
    "image-available",
    _IMAGES,
    """Wait until images are available.

    Ends with status 14 as soon as one has failed, since it can never become available.
    """,
)
image_exists = _waiter("image-exists", _IMAGES, "Wait until images exist.")
image_exported = _waiter(
    "image-exported",
    _EXPORTS,
    """Wait until images are exported.

    Ends with status 14 as soon as one of the tasks has failed or was cancelled.
    """,
)
image_imported = _waiter(
    "image-imported",
    _IMAGE_IMPORTS,
    """Wait until images are imported.

    Ends with status 14 as soon as one of the tasks has failed or was cancelled.
    """,
)
snapshot_completed = _waiter(
    "snapshot-completed",
    _SNAPSHOTS,
    """Wait until snapshots are completed.

    Ends with status 14 as soon as one is in error, since it can never be completed.
    """,
)
snapshot_imported = _waiter(
    "snapshot-imported",
    _SNAPSHOT_IMPORTS,
    """Wait until snapshots are imported.

    Ends with status 14 as soon as one of the tasks has failed or was cancelled.
    """,
)
store_image_task_complete = _waiter(
    "store-image-task-complete",
    _STORE_TASKS,
    """Wait until images are stored in their buckets.

    Ends with status 14 as soon as one of the tasks has failed or was cancelled. An attempt that
    was repeated does not count.
    """,
)
volume_available = _waiter(
    "volume-available",
    _VOLUMES,
    """Wait until volumes are available.

    That is when their disks are there and nobody has them open for writing.
    """,
)
volume_deleted = _waiter(
    "volume-deleted",
    _VOLUMES,
    """Wait until volumes are deleted.

    That is when the region does not know one of them any more.
    """,
)
volume_in_use = _waiter(
    "volume-in-use",
    _VOLUMES,
    """Wait until volumes are in use.

    That is when somebody has their disks open for writing, or a virtual machine has locked them.
    """,
)

wait = LazyGroup(
    "wait",
    {
        "image-available": Entry(__name__, "image_available", "Wait until images are available."),
        "image-exists": Entry(__name__, "image_exists", "Wait until images exist."),
        "image-exported": Entry(__name__, "image_exported", "Wait until images are exported."),
        "image-imported": Entry(__name__, "image_imported", "Wait until images are imported."),
        "snapshot-completed": Entry(
            __name__, "snapshot_completed", "Wait until snapshots are completed."
        ),
        "snapshot-imported": Entry(
            __name__, "snapshot_imported", "Wait until snapshots are imported."
        ),
        "store-image-task-complete": Entry(
            __name__,
            "store_image_task_complete",
            "Wait until images are stored in their buckets.",
        ),
        "volume-available": Entry(
            __name__, "volume_available", "Wait until volumes are available."
        ),
        "volume-deleted": Entry(__name__, "volume_deleted", "Wait until volumes are deleted."),
        "volume-in-use": Entry(__name__, "volume_in_use", "Wait until volumes are in use."),
    },
    help="Wait until something is in a certain state.",
    params=[],
)
