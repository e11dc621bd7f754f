"""create-snapshots, describe-snapshots, delete-snapshot, and the attributes of snapshots."""

from pathlib import Path
from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import FILE, WordsType
from amictl.cli.options import (
    Decorator,
    dry_run,
    filters,
    freeze_request,
    freezing,
    id_option,
    ids_option,
    list_option,
    no_wait,
    tag_specifications,
    tags_of,
)

_TABLE = Presentation(
    identifier="SnapshotId",
    columns=("SnapshotId", "VolumeId", "State", "StartTime", "VolumeSize", "Description"),
)


def _attribute() -> Decorator:
    return click.option(
        "--attribute",
        type=click.Choice(("createVolumePermission", "productCodes")),
        required=True,
        help="Who may make volumes of it, or what it is sold as.",
    )


@command(
    "create-snapshots",
    presentation=_TABLE,
    examples=[
        ("All disks of a machine, at one moment", "amictl create-snapshots root.raw data.raw"),
        (
            "Of a running machine, with its database flushed for the moment",
            "amictl create-snapshots --no-reboot --pre-freeze 'ssh db fsfreeze -f /srv'"
            " --post-freeze 'ssh db fsfreeze -u /srv' root.raw data.raw",
        ),
        (
            "With the tags of the volumes and one more",
            "amictl create-snapshots root.raw data.raw --copy-tags-from-source volume"
            " --tag-specifications 'ResourceType=snapshot,Tags=[{Key=stage,Value=prod}]'",
        ),
    ],
)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--description", default="", metavar="TEXT", help="A note of your own, for all.")
@tag_specifications("snapshots")
@click.option(
    "--copy-tags-from-source",
    type=click.Choice(("volume",)),
    help="Give each snapshot the tags of its volume too.",
)
@freezing
@click.option(
    "--full-read",
    is_flag=True,
    help="Read every byte, even if the files' times say that nothing changed.",
)
@no_wait()
@dry_run()
def create_snapshots(
    invocation: Invocation,
    paths: tuple[Path, ...],
    tag_specifications: tuple[dict[str, Any], ...],
    copy_tags_from_source: str | None,
    no_wait: bool,
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Store the content of several disks at one moment.

    All files are secured together; then each becomes a snapshot of its own, all with one start
    time. When one cannot be completed, none is. The result is printed when nothing depends on the
    files any more.
    """
    if no_wait and (result := invocation.detached()):
        return result
    from amictl.actions import creating

    (tags,) = tags_of(tag_specifications, "snapshot")
    request = creating.CreateSnapshotsRequest(
        paths=paths,
        tags=tags,
        copy_tags=copy_tags_from_source is not None,
        freeze=freeze_request(options),
        dry_run=bool(dry_run),
        **options,
    )
    with invocation.open_store_for_writing(dry_run=dry_run) as store:
        return creating.create_snapshots(
            store, request, invocation.surroundings, invocation.on_secured
        )


@command(
    "describe-snapshots",
    presentation=_TABLE,
    examples=[
        ("All snapshots", "amictl describe-snapshots"),
        (
            "Those of one volume",
            "amictl describe-snapshots --filters Name=volume-id,Values=vol-0123456789abcdef0",
        ),
        (
            "What is being made, and since when",
            "amictl describe-snapshots --owner-ids self --filters Name=status,Values=pending"
            ' --query "Snapshots[*].{ID:SnapshotId,Time:StartTime}"',
        ),
    ],
)
@ids_option("--snapshot-ids", "snap", help="Only these.")
@list_option(
    "--owner-ids",
    WordsType(),
    metavar="OWNER...",
    help="Only those of these accounts: self, or 12 digits.",
)
@list_option(
    "--restorable-by-user-ids",
    WordsType(),
    metavar="USER...",
    help="Only those that these may make volumes of: self, all, or 12 digits.",
)
@filters(
    "description, encrypted, owner-id, progress, snapshot-id, start-time, status, storage-tier,"
    " tag:KEY, tag-key, volume-id, volume-size"
)
@dry_run()
def describe_snapshots(
    invocation: Invocation,
    snapshot_ids: tuple[str, ...],
    owner_ids: tuple[str, ...],
    restorable_by_user_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Show snapshots.

    Without --snapshot-ids all snapshots of the region are shown, unfinished ones included.
    """
    from amictl.actions import describing

    selection = describing.SnapshotSelection(
        snapshot_ids, owner_ids, restorable_by_user_ids, filters, bool(dry_run)
    )
    with invocation.open_store_for_listing() as store:
        return describing.describe_snapshots(store, selection=selection)


@command(
    "delete-snapshot",
    examples=[
        (
            "A snapshot that no image maps",
            "amictl delete-snapshot --snapshot-id snap-0123456789abcdef0",
        ),
        (
            "Only ask whether it could be deleted",
            "amictl delete-snapshot --snapshot-id snap-0123456789abcdef0 --dry-run",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@dry_run()
def delete_snapshot(invocation: Invocation, snapshot_id: str, dry_run: bool | None) -> Result:
    """Delete a snapshot.

    It is refused while an image maps the snapshot, also a disabled one, and while it is locked or
    being made. Other snapshots stay whole, whatever they share with it. Where a retention rule is
    for it, it can be had back for a while.
    """
    from amictl.actions import snapshots

    with invocation.open_store() as store:
        return snapshots.delete_snapshot(
            store, snapshot_id, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "describe-snapshot-attribute",
    examples=[
        (
            "Who may make volumes of a snapshot",
            "amictl describe-snapshot-attribute --snapshot-id snap-0123456789abcdef0"
            " --attribute createVolumePermission",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@_attribute()
@dry_run()
def describe_snapshot_attribute(
    invocation: Invocation, snapshot_id: str, attribute: str, dry_run: bool | None
) -> Result:
    """Show an attribute of a snapshot.

    A region has one owner: nobody else was given a permission, and both lists are empty.
    """
    from amictl.actions import snapshots

    with invocation.open_store_for_listing() as store:
        return snapshots.describe_snapshot_attribute(
            store, snapshot_id, attribute, dry_run=bool(dry_run)
        )


@command(
    "modify-snapshot-attribute",
    examples=[
        (
            "Be told why a snapshot cannot be shared",
            "amictl modify-snapshot-attribute --snapshot-id snap-0123456789abcdef0"
            " --attribute createVolumePermission",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@click.option(
    "--attribute",
    type=click.Choice(("createVolumePermission", "productCodes")),
    default="createVolumePermission",
    show_default=True,
    help="The attribute.",
)
@dry_run()
def modify_snapshot_attribute(
    invocation: Invocation, snapshot_id: str, attribute: str, dry_run: bool | None
) -> Result:
    """Say why the permissions of a snapshot cannot be changed.

    A region has one owner and nobody else whom a permission could be given to, so that this ends
    with status 15.
    """
    from amictl.actions import snapshots

    with invocation.open_store() as store:
        snapshots.change_snapshot_attribute(store, snapshot_id, attribute)


@command(
    "reset-snapshot-attribute",
    examples=[
        (
            "Be told why there is nothing to reset",
            "amictl reset-snapshot-attribute --snapshot-id snap-0123456789abcdef0"
            " --attribute createVolumePermission",
        ),
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@_attribute()
@dry_run()
def reset_snapshot_attribute(
    invocation: Invocation, snapshot_id: str, attribute: str, dry_run: bool | None
) -> Result:
    """Say why the permissions of a snapshot cannot be reset.

    As modify-snapshot-attribute, this ends with status 15.
    """
    from amictl.actions import snapshots

    with invocation.open_store() as store:
        snapshots.change_snapshot_attribute(store, snapshot_id, attribute)
