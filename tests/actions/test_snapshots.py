"""Snapshots: how they are found, and their attributes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from amictl.actions.describing import SnapshotSelection, describe_snapshots
from amictl.actions.snapshots import (
    change_snapshot_attribute,
    describe_snapshot_attribute,
)
from amictl.errors import (
    DryRunError,
    SnapshotNotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.model.records import Attributes
from amictl.store import catalog, events
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop

NO_SNAPSHOT = "snap-0123456789abcdef0"
OTHER_ACCOUNT = "123456789012"


def found(workshop: Workshop, **selection: Any) -> list[dict[str, Any]]:
    with workshop.open() as store:
        result = describe_snapshots(store, selection=SnapshotSelection(**selection))
    require_ec2_shape("DescribeSnapshots", result)
    return list(result["Snapshots"])


def found_by(workshop: Workshop, *filters: tuple[str, str]) -> list[str]:
    given = tuple({"Name": name, "Values": values.split(",")} for name, values in filters)
    return [one["Description"] for one in found(workshop, filters=given)]


def change(workshop: Workshop, record_id: str, edit: Callable[[Attributes], Attributes]) -> None:
    with workshop.open() as store:
        catalog.change_attributes(store, record_id, edit)


def outcomes(workshop: Workshop, operation: str) -> list[tuple[tuple[str, ...], str]]:
    with workshop.open() as store:
        history = events.read_all(store).events
    return [(one.ids, one.outcome) for one in history if one.operation == operation]


@pytest.fixture
def snapshot_id(workshop: Workshop) -> str:
    return workshop.snapshot_id(workshop.file("disk", b"content"))


# --- find --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "descriptions"),
    [
        ([("description", "fir*")], ["first"]),
        ([("description", "first,second")], ["first", "second"]),
        ([("encrypted", "false")], ["first", "second"]),
        ([("encrypted", "true")], []),
        ([("progress", "100%")], ["first", "second"]),
        ([("snapshot-id", NO_SNAPSHOT)], []),
        ([("start-time", "2*Z")], ["first", "second"]),
        ([("status", "completed")], ["first", "second"]),
        ([("status", "pending")], []),
        ([("storage-tier", "archive")], []),
        ([("owner-alias", "amazon")], []),
        ([("tag:Stack", "prod")], ["second"]),
        ([("tag-key", "Stack")], ["second"]),
        ([("volume-size", "1")], ["first", "second"]),
        ([("volume-id", "vol-*"), ("tag-key", "S?ack")], ["second"]),
    ],
)
def test_snapshots_are_found_by_filters(
    workshop: Workshop, filters: list[tuple[str, str]], descriptions: list[str]
) -> None:
    workshop.snapshot(workshop.file("a", b"a"), description="first")
    workshop.snapshot(workshop.file("b", b"b"), description="second", tags={"Stack": "prod"})
    assert found_by(workshop, *filters) == descriptions


def test_an_unknown_filter_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="'state' is invalid"):
        found_by(workshop, ("state", "completed"))


def test_filters_hold_for_named_snapshots_too(workshop: Workshop, snapshot_id: str) -> None:
    filters = ({"Name": "status", "Values": ["error"]},)
    assert found(workshop, snapshot_ids=(snapshot_id,), filters=filters) == []


def test_a_pending_snapshot_is_found_by_its_status(workshop: Workshop) -> None:
    seen: list[str] = []
    workshop.snapshot(
        workshop.file("disk", b"content"),
        lambda _: seen.extend(found_by(workshop, ("status", "pending"))),
        description="now",
    )
    assert seen == ["now"]


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        ({"owner_ids": ("self",)}, 1),
        ({"owner_ids": ("amazon",)}, 0),
        ({"owner_ids": (OTHER_ACCOUNT,)}, 0),
        ({"owner_ids": (OTHER_ACCOUNT, "self")}, 1),
        ({"restorable_by": ("self",)}, 1),
        ({"restorable_by": ("all",)}, 0),
        ({"restorable_by": (OTHER_ACCOUNT,)}, 0),
    ],
)
def test_snapshots_have_one_owner_who_alone_may_restore_them(
    workshop: Workshop, snapshot_id: str, selection: dict[str, Any], count: int
) -> None:
    assert [one["SnapshotId"] for one in found(workshop, **selection)] == [snapshot_id] * count


def test_the_owner_is_known_by_its_number(workshop: Workshop, snapshot_id: str) -> None:
    owner = workshop.core(snapshot_id).owner_id
    assert len(found(workshop, owner_ids=(owner,), restorable_by=(owner,))) == 1


@pytest.mark.parametrize("words", [{"owner_ids": ("me",)}, {"restorable_by": ("1234",)}])
def test_what_is_no_account_is_refused(workshop: Workshop, words: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        found(workshop, **words)
    assert caught.value.code == "InvalidUserID.Malformed"


def test_what_is_in_the_recycle_bin_is_not_found(workshop: Workshop, snapshot_id: str) -> None:
    change(workshop, snapshot_id, lambda old: replace(old, state=catalog.IN_BIN))
    assert found(workshop) == []
    with pytest.raises(SnapshotNotFoundError):
        found(workshop, snapshot_ids=(snapshot_id,))


def test_a_dry_run_finds_nothing_but_errors(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(DryRunError):
        found(workshop, dry_run=True)
    with pytest.raises(SnapshotNotFoundError):
        found(workshop, snapshot_ids=(NO_SNAPSHOT,), dry_run=True)


# --- attributes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "member"),
    [("createVolumePermission", "CreateVolumePermissions"), ("productCodes", "ProductCodes")],
)
def test_attributes_are_empty(
    workshop: Workshop, snapshot_id: str, attribute: str, member: str
) -> None:
    with workshop.open() as store:
        shape = describe_snapshot_attribute(store, snapshot_id, attribute)
    require_ec2_shape("DescribeSnapshotAttribute", shape)
    assert shape == {"SnapshotId": snapshot_id, member: []}


def test_permissions_cannot_be_changed(workshop: Workshop, snapshot_id: str) -> None:
    with workshop.open() as store, pytest.raises(UnsupportedError, match="no accounts"):
        change_snapshot_attribute(store, snapshot_id, "createVolumePermission")


def test_product_codes_cannot_be_changed_in_ec2_either(
    workshop: Workshop, snapshot_id: str
) -> None:
    with workshop.open() as store, pytest.raises(UsageError, match="productCodes cannot be"):
        change_snapshot_attribute(store, snapshot_id, "productCodes")


def test_attributes_of_what_does_not_exist_are_not_found(workshop: Workshop) -> None:
    with workshop.open() as store:
        with pytest.raises(SnapshotNotFoundError):
            describe_snapshot_attribute(store, NO_SNAPSHOT, "productCodes")
        with pytest.raises(SnapshotNotFoundError):
            change_snapshot_attribute(store, NO_SNAPSHOT, "createVolumePermission")


def test_an_unknown_attribute_is_refused(workshop: Workshop, snapshot_id: str) -> None:
    with workshop.open() as store, pytest.raises(UsageError, match="'size' is not one of"):
        describe_snapshot_attribute(store, snapshot_id, "size")


def test_what_is_being_made_has_attributes_too(workshop: Workshop) -> None:
    shown: list[dict[str, Any]] = []

    def ask(shape: dict[str, Any]) -> None:
        with workshop.open() as store:
            shown.append(describe_snapshot_attribute(store, shape["SnapshotId"], "productCodes"))

    snapshot_id = workshop.snapshot_id(workshop.file("disk", b"content"), on_secured=ask)
    assert shown == [{"SnapshotId": snapshot_id, "ProductCodes": []}]


def test_asking_for_an_attribute_can_be_tried(workshop: Workshop, snapshot_id: str) -> None:
    with workshop.open() as store, pytest.raises(DryRunError):
        describe_snapshot_attribute(store, snapshot_id, "productCodes", dry_run=True)
