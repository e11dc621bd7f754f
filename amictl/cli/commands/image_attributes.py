"""describe-image-attribute, modify-image-attribute and reset-image-attribute."""

from typing import Any

import click

from amictl.cli import shapes
from amictl.cli.command import Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import StructureType
from amictl.cli.options import dry_run, id_option
from amictl.errors import UsageError

_IMAGE_ID = "ami-0123456789abcdef0"


@command(
    "describe-image-attribute",
    examples=[
        (
            "Whether an image is protected from deregistration",
            f"amictl describe-image-attribute --image-id {_IMAGE_ID}"
            " --attribute deregistrationProtection",
        )
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@click.option(
    "--attribute",
    required=True,
    metavar="NAME",
    help="description, bootMode, lastLaunchedTime, deregistrationProtection, or another of EC2's.",
)
@dry_run()
def describe_image_attribute(
    invocation: Invocation, image_id: str, attribute: str, dry_run: bool | None
) -> Result:
    """Show one attribute of an image.

    An attribute that the image has not is shown without a value.
    """
    from amictl.actions import image_attributes

    with invocation.open_store_for_listing() as store:
        return image_attributes.describe_image_attribute(
            store, image_id, attribute, dry_run=bool(dry_run)
        )


@command(
    "modify-image-attribute",
    examples=[
        (
            "A new description",
            f"amictl modify-image-attribute --image-id {_IMAGE_ID} --description 'web, hardened'",
        ),
        (
            "The same in the older form",
            f"amictl modify-image-attribute --image-id {_IMAGE_ID} --attribute description"
            " --value 'web, hardened'",
        ),
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@click.option(
    "--description",
    type=StructureType(shapes.VALUE),
    metavar="TEXT",
    help="Up to 255 characters.",
)
@click.option("--attribute", metavar="NAME", help="description, with --value.")
@click.option("--value", metavar="TEXT", help="The value for --attribute.")
@dry_run()
def modify_image_attribute(
    invocation: Invocation,
    image_id: str,
    description: dict[str, Any] | None,
    attribute: str | None,
    value: str | None,
    dry_run: bool | None,
) -> Result:
    """Change the description of an image. Nothing else of an image can change, but its tags."""
    name, text = _wanted(description, attribute, value)
    from amictl.actions import image_attributes

    with invocation.open_store() as store:
        return image_attributes.modify_image_attribute(
            store, image_id, name, text, invocation.surroundings, dry_run=bool(dry_run)
        )


def _wanted(
    description: dict[str, Any] | None, attribute: str | None, value: str | None
) -> tuple[str, str]:
    """The attribute and its new value, in whichever of EC2's two forms it was given."""
    if description is not None and (attribute or value is not None):
        raise UsageError(
            "give either --description, or --attribute and --value",
            code="InvalidParameterCombination",
        )
    if description is not None:
        return "description", str(description.get("Value", ""))
    if attribute is None:
        raise UsageError(
            "nothing is said that should change",
            hint="give --description TEXT; tags change with create-tags and delete-tags",
            code="MissingParameter",
        )
    if value is None and attribute == "description":
        raise UsageError("--attribute description needs --value", code="MissingParameter")
    return attribute, value or ""


@command(
    "reset-image-attribute",
    examples=[
        (
            "What EC2 resets, and amictl refuses",
            f"amictl reset-image-attribute --image-id {_IMAGE_ID} --attribute launchPermission",
        )
    ],
)
@id_option("--image-id", "ami", required=True, help="The image.")
@click.option("--attribute", required=True, metavar="NAME", help="launchPermission.")
@dry_run()
def reset_image_attribute(
    invocation: Invocation, image_id: str, attribute: str, dry_run: bool | None
) -> Result:
    """Refuse to reset launch permissions, which do not exist here."""
    from amictl.actions import image_attributes

    with invocation.open_store() as store:
        return image_attributes.reset_image_attribute(store, image_id, attribute)
