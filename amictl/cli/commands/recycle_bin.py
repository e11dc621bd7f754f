"""Retention rules, and what is in the recycle bin."""

from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import StructuresType, StructureType
from amictl.cli.options import Decorator, dry_run, id_option, ids_option, list_option
from amictl.model.tags import require_tags

Structures = tuple[dict[str, Any], ...]

_RULE = Presentation(identifier="Identifier")
_TYPES = "EBS_SNAPSHOT or EC2_IMAGE"
_EXAMPLE_ID = "abcDEF12345"


def _identifier() -> Decorator:
    return click.option("--identifier", required=True, metavar="ID", help="The rule.")


def _resource_type(text: str, *, required: bool = True) -> Decorator:
    return click.option("--resource-type", required=required, metavar="TYPE", help=text)


def _period(*, required: bool = False) -> Decorator:
    return click.option(
        "--retention-period",
        type=StructureType(shapes.RETENTION_PERIOD),
        required=required,
        metavar="PERIOD",
        help="RetentionPeriodValue=DAYS,RetentionPeriodUnit=DAYS; 1 to 365 days.",
    )


def _description() -> Decorator:
    return click.option("--description", metavar="TEXT", help="At most 255 characters.")


def _resource_tags(text: str) -> Decorator:
    return list_option(
        "--resource-tags", StructuresType(shapes.RESOURCE_TAG), metavar="TAG...", help=text
    )


def _exclude_resource_tags(text: str) -> Decorator:
    return list_option(
        "--exclude-resource-tags", StructuresType(shapes.RESOURCE_TAG), metavar="TAG...", help=text
    )


@command(
    "create-rule",
    presentation=_RULE,
    examples=[
        (
            "Keep every deregistered image for a week",
            "amictl create-rule --resource-type EC2_IMAGE"
            " --retention-period RetentionPeriodValue=7,RetentionPeriodUnit=DAYS",
        ),
        (
            "Keep deleted snapshots of the production for a month",
            "amictl create-rule --resource-type EBS_SNAPSHOT"
            " --retention-period RetentionPeriodValue=30,RetentionPeriodUnit=DAYS"
            " --resource-tags ResourceTagKey=stage,ResourceTagValue=prod",
        ),
    ],
)
@_resource_type(f"What it retains: {_TYPES}.")
@_period(required=True)
@_description()
@_resource_tags(
    "Retain what has one of these, as ResourceTagKey=KEY,ResourceTagValue=VALUE; without a value,"
    " the empty one."
)
@_exclude_resource_tags("Retain everything but what has one of these; at most 5.")
@list_option(
    "--tags", StructuresType(shapes.TAG), metavar="TAG...", help="Tags for the rule itself."
)
@dry_run()
def create_rule(invocation: Invocation, tags: Structures, **options: Any) -> Result:
    """Make a retention rule for the recycle bin.

    What is deleted from now on, and what the rule is for, can be restored for so long, and takes
    its space for so long. Where several rules are for a thing, the longest period counts. An image
    needs its snapshots: retain them as long as the image.
    """
    from amictl.actions import retention

    pairs = [(tag["Key"], tag.get("Value", "")) for tag in tags]
    options["description"] = options["description"] or ""
    request = retention.CreateRuleRequest(
        **{**options, "dry_run": bool(options["dry_run"])}, tags=require_tags(pairs)
    )
    with invocation.open_store_for_writing(dry_run=request.dry_run) as store:
        return retention.create_rule(store, request, invocation.surroundings)


@command(
    "list-rules",
    presentation=_RULE,
    examples=[("The rules for images", "amictl list-rules --resource-type EC2_IMAGE")],
)
@_resource_type(f"Rules that retain this: {_TYPES}.")
@_resource_tags("Only rules that are for one of these.")
@_exclude_resource_tags("Only rules that exclude one of these.")
def list_rules(
    invocation: Invocation,
    resource_type: str,
    resource_tags: Structures,
    exclude_resource_tags: Structures,
) -> Result:
    """Show the retention rules for one type of resource."""
    from amictl.actions import retention

    with invocation.open_store_for_listing() as store:
        return retention.list_rules(store, resource_type, resource_tags, exclude_resource_tags)


@command(
    "get-rule",
    presentation=_RULE,
    examples=[("What a rule says", f"amictl get-rule --identifier {_EXAMPLE_ID}")],
)
@_identifier()
def get_rule(invocation: Invocation, identifier: str) -> Result:
    """Show one retention rule."""
    from amictl.actions import retention

    with invocation.open_store_for_listing() as store:
        return retention.get_rule(store, identifier)


@command(
    "update-rule",
    presentation=_RULE,
    examples=[
        (
            "Retain longer from now on",
            f"amictl update-rule --identifier {_EXAMPLE_ID}"
            " --retention-period RetentionPeriodValue=90,RetentionPeriodUnit=DAYS",
        )
    ],
)
@_identifier()
@_period()
@_description()
@_resource_type("The type that the rule has; it cannot be changed.", required=False)
@_resource_tags("Instead of those that the rule is for; not for a rule that is for everything.")
@_exclude_resource_tags("Instead of those that the rule excludes.")
@dry_run()
def update_rule(invocation: Invocation, **options: Any) -> Result:
    """Change a retention rule.

    What is in the recycle bin already stays as long as it was to when it was deleted.
    """
    from amictl.actions import retention

    request = retention.UpdateRuleRequest(**{**options, "dry_run": bool(options["dry_run"])})
    with invocation.open_store() as store:
        return retention.update_rule(store, request, invocation.surroundings)


@command(
    "delete-rule",
    examples=[("Retain nothing more by a rule", f"amictl delete-rule --identifier {_EXAMPLE_ID}")],
)
@_identifier()
@dry_run()
def delete_rule(invocation: Invocation, identifier: str, dry_run: bool | None) -> Result:
    """Delete a retention rule.

    What is in the recycle bin already stays as long as it was to.
    """
    from amictl.actions import retention

    with invocation.open_store() as store:
        return retention.delete_rule(
            store, identifier, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "list-images-in-recycle-bin",
    presentation=Presentation(
        identifier="ImageId", columns=("ImageId", "Name", "RecycleBinExitTime")
    ),
    examples=[
        ("All deregistered images that can be restored", "amictl list-images-in-recycle-bin")
    ],
)
@ids_option("--image-ids", "ami", help="Only these.")
@dry_run()
def list_images_in_recycle_bin(
    invocation: Invocation, image_ids: tuple[str, ...], dry_run: bool | None
) -> Result:
    """Show the images in the recycle bin."""
    from amictl.actions import recycling

    with invocation.open_store_for_listing() as store:
        return recycling.list_images_in_recycle_bin(
            store, image_ids, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "list-snapshots-in-recycle-bin",
    presentation=Presentation(
        identifier="SnapshotId",
        columns=("SnapshotId", "VolumeId", "RecycleBinExitTime", "Description"),
    ),
    examples=[
        ("All deleted snapshots that can be restored", "amictl list-snapshots-in-recycle-bin")
    ],
)
@ids_option("--snapshot-ids", "snap", help="Only these.")
@dry_run()
def list_snapshots_in_recycle_bin(
    invocation: Invocation, snapshot_ids: tuple[str, ...], dry_run: bool | None
) -> Result:
    """Show the snapshots in the recycle bin."""
    from amictl.actions import recycling

    with invocation.open_store_for_listing() as store:
        return recycling.list_snapshots_in_recycle_bin(
            store, snapshot_ids, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "restore-image-from-recycle-bin",
    examples=[
        (
            "Have a deregistered image back",
            "amictl restore-image-from-recycle-bin --image-id ami-0123456789abcdef0",
        )
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@dry_run()
def restore_image_from_recycle_bin(
    invocation: Invocation, image_id: str, dry_run: bool | None
) -> Result:
    """Take an image out of the recycle bin.

    It has its id, tags and state again. Its snapshots must be restored before, and its name must
    not have been given to another image.
    """
    from amictl.actions import recycling

    with invocation.open_store() as store:
        return recycling.restore_image_from_recycle_bin(
            store, image_id, invocation.surroundings, dry_run=bool(dry_run)
        )


@command(
    "restore-snapshot-from-recycle-bin",
    presentation=Presentation(identifier="SnapshotId"),
    examples=[
        (
            "Have a deleted snapshot back",
            "amictl restore-snapshot-from-recycle-bin --snapshot-id snap-0123456789abcdef0",
        )
    ],
)
@id_option("--snapshot-id", "snap", required=True, help="The snapshot.")
@dry_run()
def restore_snapshot_from_recycle_bin(
    invocation: Invocation, snapshot_id: str, dry_run: bool | None
) -> Result:
    """Take a snapshot out of the recycle bin.

    It has its id and tags again, at once.
    """
    from amictl.actions import recycling

    with invocation.open_store() as store:
        return recycling.restore_snapshot_from_recycle_bin(
            store, snapshot_id, invocation.surroundings, dry_run=bool(dry_run)
        )
