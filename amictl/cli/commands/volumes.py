"""describe-volumes and delete-volume."""

from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.options import dry_run, filters, id_option, ids_option


@command(
    "describe-volumes",
    presentation=Presentation(
        identifier="VolumeId",
        columns=("VolumeId", "State", "Size", "SnapshotId", "CreateTime"),
    ),
    examples=[
        ("All volumes", "amictl describe-volumes"),
        (
            "The files of the volumes that nobody uses",
            "amictl describe-volumes --filters Name=status,Values=available"
            " --query Volumes[].Amictl.Path",
        ),
    ],
)
@ids_option("--volume-ids", "vol", help="Only these.")
@filters("status, size, snapshot-id, create-time, volume-id, tag:KEY and others")
@dry_run()
def describe_volumes(
    invocation: Invocation,
    volume_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show volumes.

    That is every disk that amictl wrote or took a snapshot of, in the state of this moment: a
    volume is available if its disk is there, in-use if somebody has it open for writing, and in
    error if the disk is gone or a restore to it did not finish.
    """
    from amictl.actions import volumes

    with invocation.open_store_for_listing() as store:
        return volumes.describe_volumes(store, volume_ids, filters, dry_run=bool(dry_run))


@command(
    "delete-volume",
    examples=[
        ("Forget a volume", "amictl delete-volume --volume-id vol-0123456789abcdef0"),
        (
            "Delete its disk image file, too",
            "amictl delete-volume --volume-id vol-0123456789abcdef0 --delete-file",
        ),
    ],
)
@id_option("--volume-id", "vol", required=True, help="The volume.")
@click.option(
    "--delete-file",
    is_flag=True,
    help="Delete the disk image file. Only what amictl wrote is deleted, never a block device.",
)
@dry_run()
def delete_volume(
    invocation: Invocation, volume_id: str, delete_file: bool, dry_run: bool | None
) -> Result:
    """Forget a volume, and delete its file if that is asked for.

    Snapshots stay; the next snapshot of the same disk has no parent, and is encrypted if they
    are. A volume that somebody has open for writing is refused.
    """
    from amictl.actions import volumes

    with invocation.open_store() as store:
        volumes.delete_volume(
            store,
            volume_id,
            invocation.surroundings,
            delete_file=delete_file,
            dry_run=bool(dry_run),
        )
    return {}
