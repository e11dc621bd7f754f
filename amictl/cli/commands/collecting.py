"""collect-garbage."""

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import DurationType


@command(
    "collect-garbage",
    presentation=Presentation(),
    examples=[
        ("What it would free", "amictl collect-garbage --dry-run"),
        (
            "Every week, after the backups; a backup that is still at work is waited for",
            "amictl collect-garbage --lock-timeout 1h --quiet",
        ),
        ("On a disk that is slow, no more than 10 GiB a night",
         "amictl collect-garbage --max-repack 10240"),
    ],
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option(
    "--max-repack",
    type=click.IntRange(0),
    metavar="MIB",
    help="Move at most so many mebibytes of what is needed out of packs that are mostly garbage.",
)
@click.option(
    "--lock-timeout",
    type=DurationType(),
    default="0",
    metavar="TIME",
    help="How long to wait for writers that began before (30s, 10m); without it, not at all.",
)
@click.option(
    "--yes-delete-most",
    is_flag=True,
    help="Go on although more than half of the store is garbage.",
)
def collect_garbage(
    invocation: Invocation,
    dry_run: bool,
    max_repack: int | None,
    lock_timeout: float,
    yes_delete_most: bool,
) -> Result:
    """Remove what no snapshot needs.

    Deleting snapshots frees nothing by itself; this does. First goes what has left the recycle
    bin, then what neither a snapshot nor anything in the bin leads to. Packs that hold little
    else are emptied into new ones. Commands that write at the same time are not disturbed: where
    some began before, it waits for --lock-timeout, and then ends with status 11 and nothing
    removed. If anything that is in the store cannot be read, nothing is removed either. Killed at
    any moment it leaves a whole store, and the next run finishes.
    """
    from amictl.actions import collecting
    from amictl.store.garbage import Limits

    limits = Limits(
        repack_bytes=None if max_repack is None else max_repack << 20,
        wait_seconds=lock_timeout,
        most=yes_delete_most,
    )
    request = collecting.CollectGarbageRequest(dry_run, limits)
    with invocation.open_store() as store:
        return collecting.collect_garbage(store, request, invocation.surroundings)
