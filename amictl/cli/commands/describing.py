"""describe-store."""

from amictl.cli.command import Result, command
from amictl.cli.invocation import Invocation


@command(
    "describe-store",
    examples=[
        ("How much is stored, and how much deduplication saves", "amictl describe-store"),
        ("The same of another directory", "amictl describe-store --store /mnt/backup/amis"),
    ],
)
def describe_store(invocation: Invocation) -> Result:
    """Show how much is stored and what each snapshot alone holds.

    Logical bytes are those of all volumes, unique bytes those that are left when each content is
    counted once, stored bytes those on the disk. For each snapshot: what deleting it would free.
    Unmapped snapshots are those that no image uses.
    """
    from amictl.actions import accounting

    with invocation.open_store() as store:
        return accounting.describe_store(store, invocation.surroundings.now())
