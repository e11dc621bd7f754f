"""The attributes of images, asked for and changed one by one."""

from typing import Any

import pytest

from amictl.actions.changing_images import enable_image_deregistration_protection
from amictl.actions.describing_images import describe_images
from amictl.actions.image_attributes import (
    ATTRIBUTES,
    describe_image_attribute,
    modify_image_attribute,
    reset_image_attribute,
)
from amictl.errors import DryRunError, ImageNotFoundError, UnsupportedError, UsageError
from amictl.model import facts
from amictl.store import catalog
from tests.oracle import require_ec2_shape, service_model
from tests.workshop import Workshop

UNKNOWN = "ami-" + "0" * 17


@pytest.fixture
def image_id(workshop: Workshop) -> str:
    disk = workshop.file("root", b"root" * 1000)
    return workshop.image("web", disk, description="the web server", boot_mode="uefi")


def asked(workshop: Workshop, image_id: str, attribute: str, **words: Any) -> dict[str, Any]:
    with workshop.open() as store:
        result = describe_image_attribute(store, image_id, attribute, **words)
    require_ec2_shape("DescribeImageAttribute", result)
    assert result.pop("ImageId") == image_id
    return result


def modify(workshop: Workshop, image_id: str, attribute: str, value: str, **words: Any) -> None:
    with workshop.open() as store:
        result = modify_image_attribute(
            store, image_id, attribute, value, workshop.surroundings, **words
        )
    assert result == {}


# --- asking ------------------------------------------------------------------------------------

VALUES: list[tuple[str, dict[str, Any]]] = [
    ("description", {"Description": {"Value": "the web server"}}),
    ("bootMode", {"BootMode": {"Value": "uefi"}}),
    ("deregistrationProtection", {"DeregistrationProtection": {"Value": "disabled"}}),
    ("lastLaunchedTime", {"LastLaunchedTime": {}}),
    ("kernel", {"KernelId": {}}),
    ("ramdisk", {"RamdiskId": {}}),
    ("sriovNetSupport", {"SriovNetSupport": {}}),
    ("tpmSupport", {"TpmSupport": {}}),
    ("uefiData", {"UefiData": {}}),
    ("imdsSupport", {"ImdsSupport": {}}),
    ("launchPermission", {"LaunchPermissions": []}),
    ("productCodes", {"ProductCodes": []}),
]


@pytest.mark.parametrize(("attribute", "expected"), VALUES)
def test_an_attribute_can_be_asked_for(
    workshop: Workshop, image_id: str, attribute: str, expected: dict[str, Any]
) -> None:
    assert asked(workshop, image_id, attribute) == expected


def test_what_changed_is_told(workshop: Workshop, image_id: str) -> None:
    time = "2026-11-22T14:30:00.000Z"
    with workshop.open() as store:
        enable_image_deregistration_protection(
            store, image_id, workshop.surroundings, with_cooldown=True
        )
        catalog.change_attributes(
            store, image_id, lambda old: old.with_facts({facts.LAST_LAUNCHED_TIME: time})
        )
    protection = asked(workshop, image_id, "deregistrationProtection")
    assert protection == {"DeregistrationProtection": {"Value": "enabled-with-cooldown"}}
    launched = asked(workshop, image_id, "lastLaunchedTime")
    assert launched == {"LastLaunchedTime": {"Value": time}}


def test_the_mapping_is_refused_as_ec2_does(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(UnsupportedError) as raised:
        asked(workshop, image_id, "blockDeviceMapping")
    assert raised.value.code == "AuthFailure"


def test_all_attributes_of_ec2_are_known() -> None:
    assert set(ATTRIBUTES) == set(service_model("ec2").shape_for("ImageAttributeName").enum)


def test_an_unknown_attribute_is_told(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(UsageError, match="colour"):
        asked(workshop, image_id, "colour")


def test_asking_needs_an_image_that_exists(workshop: Workshop) -> None:
    with pytest.raises(ImageNotFoundError):
        asked(workshop, UNKNOWN, "description")


def test_a_dry_run_tells_nothing(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(DryRunError):
        asked(workshop, image_id, "description", dry_run=True)


# --- changing ----------------------------------------------------------------------------------


def test_the_description_can_be_changed(workshop: Workshop, image_id: str) -> None:
    modify(workshop, image_id, "description", "hardened")
    assert asked(workshop, image_id, "description") == {"Description": {"Value": "hardened"}}


def test_the_description_can_be_taken_away(workshop: Workshop, image_id: str) -> None:
    modify(workshop, image_id, "description", "")
    assert asked(workshop, image_id, "description") == {"Description": {}}
    with workshop.open() as store:
        (image,) = describe_images(store)["Images"]
    assert "Description" not in image


def test_a_change_leaves_an_event(workshop: Workshop, image_id: str) -> None:
    modify(workshop, image_id, "description", "hardened")
    history = [path.read_text() for path in (workshop.root / "events").iterdir()]
    assert any('"ModifyImageAttribute"' in text and image_id in text for text in history)


@pytest.mark.parametrize("text", ["x" * 256, "\udcff"])
def test_a_description_that_ec2_does_not_take_is_refused(
    workshop: Workshop, image_id: str, text: str
) -> None:
    with pytest.raises(UsageError):
        modify(workshop, image_id, "description", text)


@pytest.mark.parametrize("attribute", ["launchPermission", "productCodes", "imdsSupport"])
def test_what_has_no_meaning_here_is_refused_by_name(
    workshop: Workshop, image_id: str, attribute: str
) -> None:
    with pytest.raises(UnsupportedError, match=attribute):
        modify(workshop, image_id, attribute, "x")


@pytest.mark.parametrize("attribute", ["bootMode", "blockDeviceMapping", "colour"])
def test_nothing_else_can_be_changed(workshop: Workshop, image_id: str, attribute: str) -> None:
    with pytest.raises(UsageError, match=attribute):
        modify(workshop, image_id, attribute, "uefi")


def test_a_dry_run_changes_nothing(workshop: Workshop, image_id: str) -> None:
    with pytest.raises(DryRunError):
        modify(workshop, image_id, "description", "other", dry_run=True)
    with pytest.raises(UsageError):
        modify(workshop, image_id, "description", "x" * 256, dry_run=True)
    with pytest.raises(ImageNotFoundError):
        modify(workshop, UNKNOWN, "description", "other", dry_run=True)
    value = asked(workshop, image_id, "description")
    assert value == {"Description": {"Value": "the web server"}}


# --- resetting ---------------------------------------------------------------------------------


def test_launch_permissions_cannot_be_reset(workshop: Workshop, image_id: str) -> None:
    with workshop.open() as store, pytest.raises(UnsupportedError, match="launchPermission"):
        reset_image_attribute(store, image_id, "launchPermission")


def test_resetting_needs_an_image_and_what_ec2_resets(workshop: Workshop, image_id: str) -> None:
    with workshop.open() as store:
        with pytest.raises(UsageError, match="description"):
            reset_image_attribute(store, image_id, "description")
        with pytest.raises(ImageNotFoundError):
            reset_image_attribute(store, UNKNOWN, "launchPermission")
