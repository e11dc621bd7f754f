"""DescribeImages: owners, filters, and what is hidden."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.changing_images import (
    disable_image,
    enable_image_deprecation,
    enable_image_deregistration_protection,
)
from amictl.actions.creating import CreateImageRequest, create_image
from amictl.actions.describing import describe_snapshots
from amictl.actions.describing_images import ImageSelection, describe_images
from amictl.actions.registering import RegisterImageRequest, register_image
from amictl.actions.tagging import describe_tags
from amictl.errors import (
    UNREADABLE,
    CorruptStoreError,
    DryRunError,
    ImageNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.model import facts
from amictl.model.times import timestamp
from amictl.storage.directory import DirectoryStorage
from amictl.store import catalog, layout
from tests.oracle import operation_model, require_ec2_shape
from tests.workshop import Workshop

UNKNOWN = "ami-" + "0" * 17


def names(workshop: Workshop, **words: Any) -> list[str]:
    """Names of the images that are selected."""
    with workshop.open() as store:
        result = describe_images(store, selection=ImageSelection(**words))
    require_ec2_shape("DescribeImages", result)
    return [image["Name"] for image in result["Images"]]


def filtered(workshop: Workshop, name: str, *values: str) -> list[str]:
    return names(workshop, filters=({"Name": name, "Values": list(values)},))


@pytest.fixture
def web(workshop: Workshop) -> str:
    """The id of the first of two images, `web` and `database`."""
    root, data = workshop.file("root", b"r" * 5000), workshop.file("data", b"d" * 5000)
    web = workshop.image(
        "web",
        root,
        description="the web server",
        architecture="arm64",
        image_tags={"stage": "prod", "team": "a"},
    )
    workshop.image(
        "database",
        root,
        ("/dev/sdf", data),
        boot_mode="uefi",
        image_tags={"stage": "test"},
        block_device_mappings=(
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 100, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdh", "VirtualName": "ephemeral0"},
        ),
    )
    return web


# --- filters -----------------------------------------------------------------------------------

FILTERS: list[tuple[str, str, list[str]]] = [
    ("architecture", "arm64", ["web"]),
    ("architecture", "x86_64", ["database"]),
    ("block-device-mapping.delete-on-termination", "true", ["web", "database"]),
    ("block-device-mapping.delete-on-termination", "false", ["database"]),
    ("block-device-mapping.device-name", "/dev/sdf", ["database"]),
    ("block-device-mapping.device-name", "/dev/sdh", ["database"]),
    ("block-device-mapping.encrypted", "false", ["web", "database"]),
    ("block-device-mapping.encrypted", "true", []),
    ("block-device-mapping.volume-size", "100", ["database"]),
    ("block-device-mapping.volume-type", "gp?", ["database"]),
    ("creation-date", "20*T*", ["web", "database"]),
    ("creation-date", "1999*", []),
    ("description", "*web*", ["web"]),
    ("image-type", "machine", ["web", "database"]),
    ("is-public", "false", ["web", "database"]),
    ("is-public", "true", []),
    ("manifest-location", "*/web", ["web"]),
    ("name", "w?b", ["web"]),
    ("name", "WEB", []),
    ("owner-alias", "amazon", []),
    ("platform", "windows", []),
    ("root-device-name", "/dev/sda1", ["web", "database"]),
    ("root-device-type", "ebs", ["web", "database"]),
    ("root-device-type", "instance-store", []),
    ("source-image-id", "*", []),
    ("state", "available", ["web", "database"]),
    ("state", "pending", []),
    ("state-reason-code", "*", []),
    ("state-reason-message", "*", []),
    ("tag:stage", "prod", ["web"]),
    ("tag:stage", "*", ["web", "database"]),
    ("tag-key", "team", ["web"]),
    ("virtualization-type", "hvm", ["web", "database"]),
    ("virtualization-type", "paravirtual", []),
]


@pytest.mark.parametrize(("name", "value", "expected"), FILTERS)
@pytest.mark.usefixtures("web")
def test_a_filter_selects(workshop: Workshop, name: str, value: str, expected: list[str]) -> None:
    assert filtered(workshop, name, value) == expected


def test_the_images_of_a_snapshot_can_be_asked_for(workshop: Workshop, web: str) -> None:
    with workshop.open() as store:
        snapshot_id = catalog.read_image(store, web).mappings[0].snapshot_id
        assert snapshot_id is not None
        mapping = {"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": snapshot_id}}
        register_image(store, RegisterImageRequest("copy", (mapping,)), workshop.surroundings)
    found = filtered(workshop, "block-device-mapping.snapshot-id", snapshot_id)
    assert found == ["web", "copy"]


def test_ids_and_owners_can_be_filtered_for(workshop: Workshop, web: str) -> None:
    with workshop.open() as store:
        owner_id = store.config.owner_id
    assert filtered(workshop, "image-id", web, UNKNOWN) == ["web"]
    assert filtered(workshop, "owner-id", owner_id) == ["web", "database"]


@pytest.mark.usefixtures("web")
def test_all_filters_must_match(workshop: Workshop) -> None:
    stage = {"Name": "tag-key", "Values": ["stage"]}
    name = {"Name": "name", "Values": ["database", "other"]}
    assert names(workshop, filters=(stage, name)) == ["database"]


def test_filters_go_for_named_images_too(workshop: Workshop, web: str) -> None:
    other = {"Name": "name", "Values": ["database"]}
    assert names(workshop, image_ids=(web,), filters=(other,)) == []


@pytest.mark.parametrize("name", ["colour", "tag:", "Name", "block-device-mapping"])
def test_an_unknown_filter_is_an_error_even_if_there_is_no_image(
    workshop: Workshop, name: str
) -> None:
    with pytest.raises(UsageError, match=f"The filter '{name}' is invalid"):
        filtered(workshop, name, "x")


@pytest.mark.parametrize("name", ["hypervisor", "ena-support", "image-allowed", "product-code"])
def test_a_filter_without_meaning_here_is_refused_by_name(workshop: Workshop, name: str) -> None:
    with pytest.raises(UnsupportedError, match=name):
        filtered(workshop, name, "x")


def filters_of_ec2() -> list[str]:
    model = operation_model("DescribeImages")
    assert model is not None
    assert model.input_shape is not None
    text = model.input_shape.members["Filters"].documentation
    names = [part.partition("</code>")[0] for part in text.split("<li> <p> <code>")[1:]]
    return [name.replace("&lt;", "<").replace("<key>", "stage") for name in names]


@pytest.mark.parametrize("name", filters_of_ec2())
def test_a_filter_of_ec2_is_known_or_refused_by_name(workshop: Workshop, name: str) -> None:
    with suppress(UnsupportedError):
        assert filtered(workshop, name, "x") == []


# --- owners ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("web")
def test_all_images_are_our_own(workshop: Workshop) -> None:
    with workshop.open() as store:
        owner_id = store.config.owner_id
    for owners in (("self",), (owner_id,), ("amazon", "self")):
        assert names(workshop, owners=owners) == ["web", "database"]


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("owner", ["amazon", "aws-marketplace", "aws-backup-vault", "0" * 12])
def test_others_have_no_images_here(workshop: Workshop, owner: str) -> None:
    assert names(workshop, owners=(owner,)) == []


@pytest.mark.parametrize("owner", ["me", "123", "1" * 13, "12345678901x", ""])
@pytest.mark.parametrize("option", ["owners", "executable_users"])
def test_what_is_no_account_is_told(workshop: Workshop, option: str, owner: str) -> None:
    with pytest.raises(UsageError) as raised:
        names(workshop, **{option: ("self", owner)})
    assert raised.value.code == "InvalidUserID.Malformed"


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("user", ["self", "all", "123456789012"])
def test_nobody_was_permitted_to_launch_an_image(workshop: Workshop, user: str) -> None:
    assert names(workshop, executable_users=(user,)) == []


# --- what is hidden ----------------------------------------------------------------------------


@pytest.fixture
def disabled(workshop: Workshop, web: str) -> str:
    with workshop.open() as store:
        disable_image(store, web, workshop.surroundings)
    return web


@pytest.mark.usefixtures("disabled")
def test_a_disabled_image_is_hidden(workshop: Workshop) -> None:
    assert names(workshop) == ["database"]
    assert filtered(workshop, "state", "disabled") == []


def test_a_disabled_image_is_shown_when_it_is_asked_for(workshop: Workshop, disabled: str) -> None:
    assert names(workshop, include_disabled=True) == ["web", "database"]
    assert names(workshop, image_ids=(disabled,)) == ["web"]


def test_a_deprecated_image_is_shown_to_its_owner(workshop: Workshop, web: str) -> None:
    with workshop.open() as store:
        now = workshop.surroundings.now()
        enable_image_deprecation(store, web, now.replace(year=now.year + 1), workshop.surroundings)
    assert names(workshop) == ["web", "database"]


def test_one_unknown_id_spoils_the_answer(workshop: Workshop, web: str) -> None:
    with pytest.raises(ImageNotFoundError, match=UNKNOWN):
        names(workshop, image_ids=(web, UNKNOWN))


def test_an_image_in_the_recycle_bin_does_not_exist(workshop: Workshop, web: str) -> None:
    with workshop.open() as store:
        catalog.change_attributes(store, web, lambda old: replace(old, state=catalog.IN_BIN))
    assert names(workshop, include_disabled=True) == ["database"]
    with pytest.raises(ImageNotFoundError):
        names(workshop, image_ids=(web,))


def test_an_image_that_is_being_made_is_pending(workshop: Workshop) -> None:
    states: list[str] = []

    def secured(result: dict[str, Any]) -> None:
        with workshop.open() as store:
            (image,) = describe_images(store, (result["ImageId"],))["Images"]
        states.append(image["State"])

    with workshop.open() as store:
        request = CreateImageRequest("slow", ((None, workshop.file("disk", b"x" * 5000)),))
        create_image(store, request, workshop.surroundings, secured)
    assert states == ["pending"]


# --- what is shown -----------------------------------------------------------------------------


def test_what_changed_about_an_image_is_shown(workshop: Workshop, web: str) -> None:
    launched = timestamp(workshop.surroundings.now())
    with workshop.open() as store:
        enable_image_deregistration_protection(store, web, workshop.surroundings)
        catalog.change_attributes(
            store, web, lambda old: old.with_facts({facts.LAST_LAUNCHED_TIME: launched})
        )
        (image,) = describe_images(store, (web,))["Images"]
    assert image["DeregistrationProtection"] == "enabled-without-cooldown"
    assert image["LastLaunchedTime"] == launched


def test_what_was_never_said_of_an_image_is_left_out(workshop: Workshop, web: str) -> None:
    with workshop.open() as store:
        (image,) = describe_images(store, (web,))["Images"]
    assert image["DeregistrationProtection"] == "disabled"
    absent = {"DeprecationTime", "LastLaunchedTime", "BootMode"}
    assert absent.isdisjoint(image)


@pytest.mark.parametrize("place", [layout.core, layout.attributes])
def test_a_damaged_image_does_not_hide_the_others(workshop: Workshop, web: str, place: Any) -> None:
    (workshop.root / place(web)).write_bytes(b"{}\n")
    with workshop.open() as store:
        images = describe_images(store)["Images"]
        assert [image["State"] for image in images] == ["invalid", "available"]
        require_ec2_shape("DescribeImages", {"Images": images})
        with pytest.raises(CorruptStoreError):
            describe_images(store, (web,))


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("platform", "windows", ["ami-" + "1" * 17]),
        ("state-reason-code", "CorruptStore", ["ami-" + "2" * 17]),
        ("state-reason-message", "*JSON*", ["ami-" + "2" * 17]),
        ("state", "invalid", ["ami-" + "2" * 17]),
    ],
)
def test_filters_of_what_is_rare(
    workshop: Workshop, web: str, name: str, value: str, found: list[str]
) -> None:
    with workshop.open() as store:
        core, attributes = catalog.read_image(store, web), catalog.read_attributes(store, web)
        windows = replace(core, image_id="ami-" + "1" * 17, name="windows", platform="windows")
        catalog.put_image(store, windows, replace(attributes, id=windows.image_id))
        (workshop.root / layout.core("ami-" + "2" * 17)).write_bytes(b"no JSON")
        selection = ImageSelection(filters=({"Name": name, "Values": [value]},))
        images = describe_images(store, selection=selection)["Images"]
    assert [image["ImageId"] for image in images] == found


def of_a_newer_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))


def symbolic_link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("unreadable", [of_a_newer_version, symbolic_link, folder])
@pytest.mark.parametrize("place", [layout.core, layout.attributes])
def test_what_cannot_be_read_does_not_hide_the_others(
    workshop: Workshop, web: str, place: Any, unreadable: Callable[[Path], None]
) -> None:
    with workshop.open() as store:
        (mapping,) = catalog.read_image(store, web).mappings
        assert mapping.snapshot_id is not None
        unreadable(workshop.root / place(web))
        unreadable(workshop.root / place(mapping.snapshot_id))
        images = describe_images(store)["Images"]
        assert [image["State"] for image in images] == ["invalid", "available"]
        with pytest.raises(UNREADABLE):
            describe_images(store, (web,))
        snapshots = describe_snapshots(store)["Snapshots"]
        assert [one["State"] for one in snapshots] == ["error", "completed", "completed"]
        with pytest.raises(UNREADABLE):
            describe_snapshots(store, (mapping.snapshot_id,))
        assert "test" in [tag["Value"] for tag in describe_tags(store)["Tags"]]


def test_an_image_without_attributes_is_damaged(workshop: Workshop, web: str) -> None:
    (workshop.root / layout.attributes(web)).unlink()
    with workshop.open() as store:
        images = describe_images(store)["Images"]
    assert [image["State"] for image in images] == ["invalid", "available"]


def test_an_image_with_a_damaged_snapshot_does_not_hide_the_others(
    workshop: Workshop, web: str
) -> None:
    with workshop.open() as store:
        snapshot_id = catalog.read_image(store, web).mappings[0].snapshot_id
        assert snapshot_id is not None
        (workshop.root / layout.core(snapshot_id)).write_bytes(b"{}\n")
        images = describe_images(store)["Images"]
        assert [image["State"] for image in images] == ["invalid", "available"]
        with pytest.raises(CorruptStoreError):
            describe_images(store, (web,))


def test_an_image_that_goes_meanwhile_is_left_out(
    workshop: Workshop, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = catalog.read_attributes

    def removed_before(store: Any, record_id: str) -> Any:
        if record_id == web:
            catalog.remove(store, web)
        return read(store, record_id)

    monkeypatch.setattr(catalog, "read_attributes", removed_before)
    assert names(workshop) == ["database"]


@pytest.mark.usefixtures("web")
def test_a_dry_run_only_checks(workshop: Workshop) -> None:
    with pytest.raises(DryRunError):
        names(workshop, dry_run=True)
    with pytest.raises(ImageNotFoundError):
        names(workshop, dry_run=True, image_ids=(UNKNOWN,))


# --- how much is read --------------------------------------------------------------------------


class Counting(DirectoryStorage):
    """Storage that remembers what was read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.names_read: list[str] = []

    def read(self, name: str) -> bytes:
        self.names_read.append(name)
        return super().read(name)


def test_each_record_is_read_once_and_snapshots_only_of_what_is_shown(
    workshop: Workshop, web: str
) -> None:
    with workshop.open() as store:
        snapshot_id = catalog.read_image(store, web).mappings[0].snapshot_id
        assert snapshot_id is not None
        images = catalog.image_ids(store)
        counting = store.storage = Counting(store.storage.root)
        by_name = {"Name": "name", "Values": ["web"]}
        describe_images(store, selection=ImageSelection(filters=(by_name,)))
    records = [place(image_id) for image_id in images for place in (layout.core, layout.attributes)]
    snapshot = [layout.core(snapshot_id), layout.attributes(snapshot_id)]
    assert sorted(counting.names_read) == sorted(records + snapshot)


@pytest.mark.usefixtures("web")
def test_a_snapshot_of_many_images_is_read_once(workshop: Workshop) -> None:
    snapshot_id = workshop.snapshot_id(workshop.file("shared", b"s" * 5000))
    mapping = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot_id}}
    with workshop.open() as store:
        for number in range(3):
            request = RegisterImageRequest(f"image-{number}", (mapping,))
            register_image(store, request, workshop.surroundings)
        counting = store.storage = Counting(store.storage.root)
        describe_images(store)
    assert counting.names_read.count(layout.core(snapshot_id)) == 1
