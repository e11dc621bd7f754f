"""lock-snapshot, unlock-snapshot and describe-locked-snapshots."""

from datetime import datetime
from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import MomentType, OneOf
from amictl.cli.options import dry_run, filters, id_option, ids_option


@command(
    "lock-snapshot",
    examples=[
        (
            "For a year",
            "amictl lock-snapshot --snapshot-id snap-0123456789abcdef0 --lock-mode governance"
            " --lock-duration 365",
        ),
        (
            "Until a day",
            "amictl lock-snapshot --snapshot-id snap-0123456789abcdef0 --lock-mode governance"
            " --expiration-date 2027-06-30T00:00:00Z",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@click.option(
    "--lock-mode",
    type=OneOf(("governance",), refused=("compliance",)),
    required=True,
    help="governance; compliance is refused, since nothing could enforce it in a directory.",
)
@click.option(
    "--lock-duration",
    "duration_days",
    type=int,
    metavar="DAYS",
    help="Lock it for so long, 1 to 36500 days from now on.",
)
@click.option(
    "--expiration-date", "expires", type=MomentType(), metavar="DATE", help="Lock it until then."
)
@dry_run()
def lock_snapshot(
    invocation: Invocation,
    snapshot_id: str,
    lock_mode: str,
    duration_days: int | None,
    expires: datetime | None,
    dry_run: bool | None,
) -> Result:
    """Keep a snapshot from being deleted until a time.

    A lock that is there already is replaced, by a longer or a shorter one. The lock is against
    mistakes: unlock-snapshot takes it away, and whoever may write to the directory of the store
    can remove anything.
    """
    from amictl.actions import locking

    request = locking.LockRequest(snapshot_id, lock_mode, duration_days, expires, bool(dry_run))
    with invocation.open_store() as store:
        return locking.lock_snapshot(store, request, invocation.surroundings)


@command(
    "unlock-snapshot",
    examples=[
        (
            "So that it can be deleted",
            "amictl unlock-snapshot --snapshot-id snap-0123456789abcdef0",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@dry_run()
def unlock_snapshot(invocation: Invocation, snapshot_id: str, dry_run: bool | None) -> Result:
    """Take the lock of a snapshot away."""
    from amictl.actions import locking

    with invocation.open_store() as store:
        return locking.unlock_snapshot(
            store, snapshot_id, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "describe-locked-snapshots",
    presentation=Presentation(
        identifier="SnapshotId", columns=("SnapshotId", "LockState", "LockExpiresOn")
    ),
    examples=[
        ("All snapshots that were locked", "amictl describe-locked-snapshots"),
        (
            "Those whose lock protects no more",
            "amictl describe-locked-snapshots --filters Name=lock-state,Values=expired",
        ),
    ],
)
@ids_option("--snapshot-ids", "snap", help="Only these.")
@filters("lock-state")
@dry_run()
def describe_locked_snapshots(
    invocation: Invocation,
    snapshot_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show the locks of snapshots, those that have expired included."""
    from amictl.actions import locking

    with invocation.open_store_for_listing() as store:
        return locking.describe_locked_snapshots(
            store,
            invocation.surroundings.now(),
            snapshot_ids,
            filters,
            dry_run=bool(dry_run),
        )
