"""wait: commands that end when something is in a certain state."""

import click

from amictl.cli.command import Command, Example, Presentation, Result
from amictl.cli.invocation import Invocation
from amictl.cli.lazy_group import Entry, LazyGroup
from amictl.cli.option_types import DurationType, IdsType
from amictl.cli.words import ListOption
from amictl.errors import AmictlError, BusyError, WaiterError


class Waiter(Command):
    """A command that prints nothing; its failures are worded as EC2's waiters word them."""

    def sentence(self, error: AmictlError) -> str:
        if isinstance(error, WaiterError | BusyError):
            return error.message
        return f"Waiter {self.operation} failed: An error occurred ({error.code}): {error.message}"


def _waiter(name: str, option: str, kind: str, text: str) -> Waiter:
    def wait_for(invocation: Invocation, ids: tuple[str, ...], timeout: float) -> Result:
        from amictl.actions import waiting

        with invocation.open_store() as store:
            waiting.wait_for(store, name, ids, timeout)
        return {}

    return Waiter(
        name,
        callback=wait_for,
        help=text,
        presentation=Presentation(),
        examples=[
            Example("Wait for five minutes at most", f"{_line(name, option, kind)} --timeout 5m")
        ],
        params=[
            ListOption(
                [option, "ids"],
                item_type=IdsType(kind),
                metavar="ID...",
                required=True,
                help="For these, all of them.",
            ),
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


def _line(name: str, option: str, kind: str) -> str:
    return f"amictl wait {name} {option} {kind}-0123456789abcdef0"


image_available = _waiter(
    "image-available",
    "--image-ids",
    "ami",
    """Wait until images are available.

    Ends with status 14 as soon as one has failed, since it can never become available.
    """,
)
image_exists = _waiter("image-exists", "--image-ids", "ami", "Wait until images exist.")
snapshot_completed = _waiter(
    "snapshot-completed",
    "--snapshot-ids",
    "snap",
    """Wait until snapshots are completed.

    Ends with status 14 as soon as one is in error, since it can never be completed.
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
    },
    help="Wait until something is in a certain state.",
    params=[],
)
