"""DescribeImageAttribute, ModifyImageAttribute and ResetImageAttribute."""

from dataclasses import replace
from typing import Any

from amictl.errors import DryRunError, UnsupportedError, UsageError
from amictl.formats import shapes
from amictl.model.surroundings import Surroundings
from amictl.model.texts import require_description
from amictl.store.image_states import change_image, registered_image
from amictl.store.store import Store

_MEMBERS = {
    "bootMode": "BootMode",
    "deregistrationProtection": "DeregistrationProtection",
    "description": "Description",
    "imdsSupport": "ImdsSupport",
    "kernel": "KernelId",
    "lastLaunchedTime": "LastLaunchedTime",
    "ramdisk": "RamdiskId",
    "sriovNetSupport": "SriovNetSupport",
    "tpmSupport": "TpmSupport",
    "uefiData": "UefiData",
}
"""Attributes and the members that have their values; some no image here ever has."""

_LISTS = {"launchPermission": "LaunchPermissions", "productCodes": "ProductCodes"}

ATTRIBUTES = tuple(sorted((*_MEMBERS, *_LISTS, "blockDeviceMapping")))

_NO_ACCOUNTS = "a region has one owner, and nobody else whom a permission could be given to"
_FIXED = {
    "imdsSupport": "the metadata service of a machine is not amictl's",
    "launchPermission": _NO_ACCOUNTS,
    "productCodes": "nothing here is sold, so images carry no product codes",
}


def describe_image_attribute(
    store: Store, image_id: str, attribute: str, *, dry_run: bool = False
) -> dict[str, Any]:
    """`{"ImageId": …}` and the attribute: a list, or `{"Value": …}`, without the value if absent.

    Raises ImageNotFoundError, ConflictError as changing does, UsageError for an unknown attribute;
    UnsupportedError (AuthFailure) for the mapping, which EC2 gives to nobody this way.
    """
    if attribute not in ATTRIBUTES:
        raise _unknown(attribute, ATTRIBUTES)
    core, attributes = registered_image(store, image_id)
    if attribute == "blockDeviceMapping":
        raise UnsupportedError(
            "Unauthorized attempt to access restricted resource",
            code="AuthFailure",
            hint=f"amictl describe-images --image-ids {image_id} shows the mapping",
        )
    if dry_run:
        raise DryRunError
    if attribute in _LISTS:
        return {"ImageId": image_id, _LISTS[attribute]: []}
    image = shapes.image_shape(core, attributes)
    member = _MEMBERS[attribute]
    value = image.get(member)
    return {"ImageId": image_id, member: {} if value is None else {"Value": value}}


def modify_image_attribute(
    store: Store,
    image_id: str,
    attribute: str,
    value: str,
    surroundings: Surroundings,
    *,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Nothing, once it is done. Only the description of an image can be changed.

    Raises UsageError, ImageNotFoundError, ConflictError; UnsupportedError for what EC2 changes.
    """
    if attribute in _FIXED:
        raise _not_here(attribute)
    if attribute != "description":
        raise _unknown(attribute, ("description",))
    require_description(value)
    change_image(
        store,
        surroundings,
        image_id,
        ("ModifyImageAttribute", "description changed"),
        lambda attributes: replace(attributes, description=value),
        dry_run=dry_run,
    )
    return {}


def reset_image_attribute(store: Store, image_id: str, attribute: str) -> dict[str, Any]:
    """Never returns: EC2 resets launch permissions only, and there are none.

    Raises UnsupportedError, UsageError for another attribute, ImageNotFoundError.
    """
    if attribute != "launchPermission":
        raise _unknown(attribute, ("launchPermission",))
    registered_image(store, image_id)
    raise _not_here(attribute)


def _not_here(attribute: str) -> UnsupportedError:
    return UnsupportedError(f"the attribute {attribute} has no meaning here: {_FIXED[attribute]}")


def _unknown(attribute: str, known: tuple[str, ...]) -> UsageError:
    return UsageError(
        f"Value ({attribute}) for parameter attribute is invalid",
        hint=f"attributes that can be given here: {', '.join(known)}",
    )
