"""create-tags, delete-tags and describe-tags."""

from typing import Any

from amictl.cli import shapes
from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import StructuresType, WordsType
from amictl.cli.options import Decorator, dry_run, filters, list_option


def _resources() -> Decorator:
    return list_option(
        "--resources",
        WordsType(),
        metavar="ID...",
        required=True,
        help="Images, snapshots and volumes, up to 1000.",
    )


@command(
    "create-tags",
    examples=[
        (
            "One tag",
            "amictl create-tags --resources ami-0123456789abcdef0"
            " --tags Key=Stack,Value=production",
        ),
        (
            "Two tags for an image and its snapshot, one with an empty value",
            "amictl create-tags --resources ami-0123456789abcdef0 snap-0123456789abcdef0"
            " --tags Key=webserver,Value= Key=stack,Value=Production",
        ),
    ],
)
@_resources()
@list_option(
    "--tags",
    StructuresType(shapes.TAG),
    metavar="TAG...",
    required=True,
    help="As Key=KEY,Value=VALUE; a value replaces that of the same key.",
)
@dry_run()
def create_tags(
    invocation: Invocation,
    resources: tuple[str, ...],
    tags: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Give tags to images, snapshots and volumes.

    A resource has at most 50 tags. When one of the resources cannot be given them, none is.
    """
    from amictl.actions import tagging

    pairs = [(tag["Key"], tag.get("Value", "")) for tag in tags]
    with invocation.open_store() as store:
        return tagging.create_tags(store, resources, pairs, dry_run=bool(dry_run))


@command(
    "delete-tags",
    examples=[
        (
            "A tag, whatever its value is",
            "amictl delete-tags --resources ami-0123456789abcdef0 --tags Key=purpose",
        ),
        (
            "Only if it has this value",
            "amictl delete-tags --resources ami-0123456789abcdef0 --tags Key=Stack,Value=Test",
        ),
        ("All tags", "amictl delete-tags --resources ami-0123456789abcdef0"),
    ],
)
@_resources()
@list_option(
    "--tags",
    StructuresType(shapes.TAG),
    metavar="TAG...",
    help="As Key=KEY, or Key=KEY,Value=VALUE to delete it only if it has this value; an empty"
    " value counts. Without this option all tags are deleted.",
)
@dry_run()
def delete_tags(
    invocation: Invocation,
    resources: tuple[str, ...],
    tags: tuple[dict[str, Any], ...],
    dry_run: bool | None,
) -> Result:
    """Take tags from images, snapshots and volumes.

    A tag that a resource has not is no error.
    """
    from amictl.actions import tagging

    pairs = [(tag["Key"], tag.get("Value")) for tag in tags]
    with invocation.open_store() as store:
        return tagging.delete_tags(store, resources, pairs, dry_run=bool(dry_run))


@command(
    "describe-tags",
    presentation=Presentation(columns=("ResourceId", "Key", "Value")),
    examples=[
        ("All tags", "amictl describe-tags"),
        (
            "Those of one resource",
            "amictl describe-tags --filters Name=resource-id,Values=ami-0123456789abcdef0",
        ),
        (
            "Volumes with a tag",
            "amictl describe-tags --filters Name=resource-type,Values=volume"
            " Name=key,Values=Purpose",
        ),
    ],
)
@filters("key, resource-id, resource-type, tag:KEY, value")
@dry_run()
def describe_tags(
    invocation: Invocation, filters: tuple[dict[str, Any], ...], dry_run: bool | None
) -> Result:
    """Show the tags of images, snapshots and volumes."""
    from amictl.actions import tagging

    with invocation.open_store_for_listing() as store:
        return tagging.describe_tags(store, filters, dry_run=bool(dry_run))
