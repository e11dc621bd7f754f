"""check-store, verify-snapshot and rebuild-index."""

from pathlib import Path

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, DurationType
from amictl.cli.options import id_option
from amictl.errors import UsageError

_FAULTS = Presentation(faults=True)


@command(
    "check-store",
    presentation=_FAULTS,
    examples=[
        ("Everything but the content of the packs", "amictl check-store"),
        ("Every byte", "amictl check-store --read-data"),
        ("A tenth of the packs, chosen at random", "amictl check-store --read-data --sample 10"),
        (
            "Only what was not read for a month, from a nightly timer; silent when all is well",
            "amictl check-store --read-data --max-age 30d --quiet",
        ),
        (
            "A region that was put back from a copy, and is meant to be as it was then",
            "amictl check-store --accept-state",
        ),
    ],
)
@click.option("--read-data", is_flag=True, help="Read the packs too and check every byte.")
@click.option(
    "--sample",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="PERCENT",
    help="With --read-data: only so many of the packs, chosen at random.",
)
@click.option(
    "--max-age",
    type=DurationType(),
    metavar="AGE",
    help="With --read-data: only packs that were last read longer ago than this (7d, 12h).",
)
@click.option(
    "--accept-state",
    is_flag=True,
    help="Forget what newer states of the store were seen on this machine.",
)
def check_store(
    invocation: Invocation,
    read_data: bool,
    sample: float | None,
    max_age: float | None,
    accept_state: bool,
) -> Result:
    """Find every missing, damaged or foreign piece of a store.

    Names the images, disks and byte ranges that each fault hurts. The exit status is 3 when
    there is one. What killed commands left of records is listed apart and is no fault. That the
    store is older than it was when this machine last saw it, is one.

    What --read-data finds damaged is recorded, where the store can be written to. Before that it
    counts as stored, and nothing stores it again. Afterwards the next backup, copy or restore of
    the same content stores it anew, which heals every snapshot that it is in.
    """
    if not read_data and (sample is not None or max_age is not None):
        raise UsageError(
            "--sample and --max-age need --read-data", code="InvalidParameterCombination"
        )
    from amictl.actions import checking

    store, watch = invocation.open_watched_store()
    with store:
        if accept_state:
            watch.accept()
        return checking.check_store(
            store,
            read_data=read_data,
            sample_percent=sample,
            max_age_seconds=max_age,
            went_back=watch.findings,
            surroundings=invocation.surroundings,
        )


@command(
    "verify-snapshot",
    presentation=_FAULTS,
    examples=[
        (
            "Check that it can be restored",
            "amictl verify-snapshot --snapshot-id snap-0123456789abcdef0",
        ),
        (
            "Compare it with a disk",
            "amictl verify-snapshot --snapshot-id snap-0123456789abcdef0 --against /srv/vm/web.raw",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@click.option(
    "--against", type=FILE, metavar="FILE", help="Compare it with this disk image file, too."
)
def verify_snapshot(invocation: Invocation, snapshot_id: str, against: Path | None) -> Result:
    """Read a snapshot whole and check every byte of it.

    The exit status is 3 when something is wrong or differs. Nothing is recorded: where a fault's
    Kind is damage, check-store --read-data does that, so that the next backup, copy or restore of
    the same content stores it anew.
    """
    from amictl.actions import checking

    with invocation.open_store() as store:
        return checking.verify_snapshot(
            store, snapshot_id, against=against, surroundings=invocation.surroundings
        )


@command(
    "rebuild-index",
    examples=[("After the folder `index` was lost or damaged", "amictl rebuild-index")],
)
def rebuild_index(invocation: Invocation) -> Result:
    """Make the index of a store anew from its packs.

    The index says where each piece is; the packs hold all that is needed to make it again.
    """
    from amictl.actions import rebuilding

    store, watch = invocation.open_watched_store()
    with store:
        result = rebuilding.rebuild_index(store, invocation.surroundings)
        watch.accept_index()
        return result
