"""wait: commands that end when something is in a certain state."""

from functools import partial
from typing import Any

import click

from amictl.cli.command import Command, Example, Presentation, Result
from amictl.cli.commands.images import describe_images
from amictl.cli.commands.snapshots import describe_snapshots
from amictl.cli.commands.volumes import describe_volumes
from amictl.cli.global_options import GlobalOption
from amictl.cli.invocation import Invocation
from amictl.cli.lazy_group import Entry, LazyGroup
from amictl.cli.option_types import DurationType
from amictl.cli.paging import PagingOption
from amictl.errors import AmictlError, BusyError, UsageError, WaiterError


class Waiter(Command):
    """A command that prints nothing; its failures are worded as EC2's waiters word them."""

    def sentence(self, error: AmictlError) -> str:
        if isinstance(error, WaiterError | BusyError):
            return error.message
        return f"Waiter {self.operation} failed: An error occurred ({error.code}): {error.message}"


_KINDS = {
    "image": (describe_images, "--image-ids ami-0123456789abcdef0"),
    "snapshot": (describe_snapshots, "--snapshot-ids snap-0123456789abcdef0"),
    "volume": (describe_volumes, "--volume-ids vol-0123456789abcdef0"),
}
"""By the first word of a waiter's name: the command whose answer it waits for, and an example."""


def _waiter(name: str, text: str) -> Waiter:
    """A waiter has the options of its describe command, as in EC2, and a timeout."""
    describe, example = _KINDS[name.partition("-")[0]]
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
    """Wait until images are available.

    Ends with status 14 as soon as one has failed, since it can never become available.
    """,
)
image_exists = _waiter("image-exists", "Wait until images exist.")
snapshot_completed = _waiter(
    "snapshot-completed",
    """Wait until snapshots are completed.

    Ends with status 14 as soon as one is in error, since it can never be completed.
    """,
)
volume_available = _waiter(
    "volume-available",
    """Wait until volumes are available.

    That is when their disks are there and nobody has them open for writing.
    """,
)
volume_deleted = _waiter(
    "volume-deleted",
    """Wait until volumes are deleted.

    That is when the region does not know one of them any more.
    """,
)
volume_in_use = _waiter(
    "volume-in-use",
    """Wait until volumes are in use.

    That is when somebody has their disks open for writing, or a virtual machine has locked them.
    """,
)

wait = LazyGroup(
    "wait",
    {
        "image-available": Entry(__name__, "image_available", "Wait until images are available."),
        "image-exists": Entry(__name__, "image_exists", "Wait until images exist."),
        "snapshot-completed": Entry(
            __name__, "snapshot_completed", "Wait until snapshots are completed."
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
