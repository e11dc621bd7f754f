"""Tags of images, snapshots and volumes: given, taken, found; all or none, and none lost."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.tagging import create_tags, delete_tags, describe_tags
from amictl.errors import (
    AmictlError,
    ConflictError,
    CorruptStoreError,
    DryRunError,
    ImageNotFoundError,
    MalformedIdError,
    SnapshotNotFoundError,
    UsageError,
    VolumeNotFoundError,
)
from amictl.store import catalog, recycling
from amictl.store.opening import open_store
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop

NO_IMAGE = "ami-0123456789abcdef0"
NO_SNAPSHOT = "snap-0123456789abcdef0"
NO_VOLUME = "vol-0123456789abcdef0"
PROCESSES = 4
TAGS_EACH = 12

Pairs = Sequence[tuple[str, str]]


def tag(
    workshop: Workshop, resources: Sequence[str], *pairs: tuple[str, str], **words: Any
) -> None:
    with workshop.open() as store:
        assert create_tags(store, resources, pairs, **words) == {}


def untag(workshop: Workshop, resources: Sequence[str], *pairs: tuple[str, str | None]) -> None:
    with workshop.open() as store:
        assert delete_tags(store, resources, pairs) == {}


def tags(workshop: Workshop, *filters: tuple[str, str]) -> list[dict[str, str]]:
    with workshop.open() as store:
        found = describe_tags(
            store, [{"Name": name, "Values": values.split(",")} for name, values in filters]
        )
    require_ec2_shape("DescribeTags", found)
    return list(found["Tags"])


def tags_of(workshop: Workshop, resource: str) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in tags(workshop, ("resource-id", resource))}


@pytest.fixture
def snapshot_id(workshop: Workshop) -> str:
    return workshop.snapshot_id(workshop.file("disk", b"content"))


# --- give and take -----------------------------------------------------------------------------


def test_a_value_replaces_that_of_the_same_key(workshop: Workshop, snapshot_id: str) -> None:
    tag(workshop, [snapshot_id], ("stage", "test"), ("keep", ""))
    tag(workshop, [snapshot_id], ("stage", "prod"))
    assert tags_of(workshop, snapshot_id) == {"stage": "prod", "keep": ""}


def test_images_snapshots_and_volumes_have_tags(workshop: Workshop, snapshot_id: str) -> None:
    image_id = workshop.image("image", workshop.file("root", b"root"))
    volume_id = workshop.volume(snapshot_id, workshop.folder / "target")["VolumeId"]
    tag(workshop, [image_id, snapshot_id, volume_id], ("a", "b"))
    found = {(one["ResourceId"], one["ResourceType"]) for one in tags(workshop)}
    assert found == {(image_id, "image"), (snapshot_id, "snapshot"), (volume_id, "volume")}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([("a", None)], {"b": "", "c": "2"}),
        ([("a", "1")], {"b": "", "c": "2"}),
        ([("a", "other")], {"a": "1", "b": "", "c": "2"}),
        ([("a", "")], {"a": "1", "b": "", "c": "2"}),
        ([("b", "")], {"a": "1", "c": "2"}),
        ([("absent", None)], {"a": "1", "b": "", "c": "2"}),
        ([("A", None)], {"a": "1", "b": "", "c": "2"}),
        ([("a", None), ("c", "2")], {"b": ""}),
        ([], {}),
    ],
)
def test_a_tag_goes_by_its_key_or_by_key_and_value(
    workshop: Workshop, snapshot_id: str, given: list[tuple[str, str | None]], left: dict[str, str]
) -> None:
    tag(workshop, [snapshot_id], ("a", "1"), ("b", ""), ("c", "2"))
    untag(workshop, [snapshot_id], *given)
    assert tags_of(workshop, snapshot_id) == left


def test_fifty_tags_fit_and_one_more_is_refused(workshop: Workshop, snapshot_id: str) -> None:
    tag(workshop, [snapshot_id], *[(f"k{number}", "") for number in range(50)])
    with pytest.raises(UsageError, match="maximum number of Tags") as caught:
        tag(workshop, [snapshot_id], ("k50", ""))
    assert caught.value.code == "TagLimitExceeded"
    tag(workshop, [snapshot_id], ("k49", "other"))
    assert tags_of(workshop, snapshot_id)["k49"] == "other"


@pytest.mark.parametrize(
    "pairs",
    [[("aws:x", "")], [("k" * 129, "")], [("", "")], [("k", "v" * 257)], [("k", "1"), ("k", "2")]],
)
def test_tags_that_ec2_refuses_are_refused(
    workshop: Workshop, snapshot_id: str, pairs: Pairs
) -> None:
    with pytest.raises(UsageError) as caught:
        tag(workshop, [snapshot_id], *pairs)
    assert caught.value.code == "InvalidParameterValue"
    assert tags_of(workshop, snapshot_id) == {}


def test_what_is_reserved_cannot_be_taken_away_by_name(
    workshop: Workshop, snapshot_id: str
) -> None:
    with pytest.raises(UsageError, match="reserved for internal use"):
        untag(workshop, [snapshot_id], ("aws:x", None))


def test_no_tags_or_no_resources_is_an_error(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(UsageError, match="tagSet") as caught:
        tag(workshop, [snapshot_id])
    assert caught.value.code == "MissingParameter"
    with pytest.raises(UsageError, match="resourceIdSet"):
        untag(workshop, [])


def test_a_thousand_resources_are_the_most(workshop: Workshop) -> None:
    many = [f"snap-{number:017x}" for number in range(1001)]
    with pytest.raises(UsageError, match="1000 resources"):
        tag(workshop, many, ("a", "b"))


def test_a_thousand_tags_are_the_most_to_take_away(workshop: Workshop, snapshot_id: str) -> None:
    with pytest.raises(UsageError, match="1000 tags"):
        untag(workshop, [snapshot_id], *[(f"k{number}", None) for number in range(1001)])


# --- all or none -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "code"),
    [
        ("snap-1", MalformedIdError, "InvalidID"),
        ("i-0123456789abcdef0", MalformedIdError, "InvalidID"),
        (NO_IMAGE, ImageNotFoundError, "InvalidAMIID.NotFound"),
        (NO_SNAPSHOT, SnapshotNotFoundError, "InvalidSnapshot.NotFound"),
        (NO_VOLUME, VolumeNotFoundError, "InvalidVolume.NotFound"),
    ],
)
def test_a_wrong_resource_leaves_the_others_as_they_were(
    workshop: Workshop, snapshot_id: str, wrong: str, error: type[AmictlError], code: str
) -> None:
    with pytest.raises(error, match=wrong) as caught:
        tag(workshop, [snapshot_id, wrong], ("a", "b"))
    assert caught.value.code == code
    assert tags(workshop) == []


def test_a_full_resource_leaves_the_others_as_they_were(
    workshop: Workshop, snapshot_id: str
) -> None:
    other = workshop.snapshot_id(workshop.file("other", b"other"))
    tag(workshop, [other], *[(f"k{number}", "") for number in range(50)])
    with pytest.raises(UsageError, match="maximum number of Tags"):
        tag(workshop, [snapshot_id, other], ("a", "b"))
    assert tags_of(workshop, snapshot_id) == {}


def test_a_dry_run_checks_everything_and_changes_nothing(
    workshop: Workshop, snapshot_id: str
) -> None:
    with pytest.raises(SnapshotNotFoundError):
        tag(workshop, [snapshot_id, NO_SNAPSHOT], ("a", "b"), dry_run=True)
    with pytest.raises(DryRunError):
        tag(workshop, [snapshot_id], ("a", "b"), dry_run=True)
    assert tags(workshop) == []


def test_what_is_being_made_cannot_be_tagged_yet(workshop: Workshop) -> None:
    refused: list[ConflictError] = []

    def tag_pending(shape: dict[str, Any]) -> None:
        with pytest.raises(ConflictError, match="still being made") as caught:
            tag(workshop, [shape["SnapshotId"]], ("a", "b"))
        refused.append(caught.value)

    workshop.snapshot(workshop.file("disk", b"content"), tag_pending)
    assert [error.code for error in refused] == ["IncorrectState"]


def test_what_failed_cannot_be_tagged(workshop: Workshop) -> None:
    ids: list[str] = []

    def fail(shape: dict[str, Any]) -> None:
        ids.append(shape["SnapshotId"])
        raise ConflictError("stop")

    with pytest.raises(ConflictError, match="stop"):
        workshop.snapshot(workshop.file("disk", b"content"), fail)
    with pytest.raises(ConflictError, match="failed"):
        tag(workshop, ids, ("a", "b"))


def test_a_volume_that_amictl_did_not_write_can_be_tagged(
    workshop: Workshop, snapshot_id: str
) -> None:
    volume_id = workshop.core(snapshot_id).volume_id
    tag(workshop, [snapshot_id, volume_id], ("a", "b"))
    tag(workshop, [volume_id], ("c", "d"))
    with workshop.open() as store:
        found = [one for one in describe_tags(store)["Tags"] if one["ResourceId"] == volume_id]
    assert [(one["Key"], one["Value"]) for one in found] == [("a", "b"), ("c", "d")]
    assert {one["ResourceType"] for one in found} == {"volume"}


# --- find --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ([("key", "St*")], ["Stack", "Stage"]),
        ([("value", "prod")], ["Stack"]),
        ([("value", "")], ["empty"]),
        ([("tag:Stack", "prod,test")], ["Stack"]),
        ([("tag:Stage", "prod")], []),
        ([("key", "Stack,empty"), ("value", "prod")], ["Stack"]),
        ([("resource-type", "snapshot")], ["Stack", "Stage", "empty"]),
        ([("resource-type", "image")], []),
        ([("resource-id", NO_SNAPSHOT)], []),
    ],
)
def test_tags_are_found_by_filters(
    workshop: Workshop, snapshot_id: str, filters: list[tuple[str, str]], keys: list[str]
) -> None:
    tag(workshop, [snapshot_id], ("Stack", "prod"), ("Stage", "test"), ("empty", ""))
    assert [one["Key"] for one in tags(workshop, *filters)] == keys


def test_an_unknown_filter_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="'tag-key' is invalid"):
        tags(workshop, ("tag-key", "a"))


def test_tags_given_at_creation_are_found_while_it_is_being_made(workshop: Workshop) -> None:
    seen: list[dict[str, str]] = []
    disk = workshop.file("disk", b"content")
    workshop.snapshot(disk, lambda shape: seen.extend(tags(workshop)), tags={"a": "b"})
    assert [(one["Key"], one["Value"]) for one in seen] == [("a", "b")]
    assert tags(workshop) == seen


def test_what_is_in_the_recycle_bin_shows_no_tags_and_takes_none(
    workshop: Workshop, snapshot_id: str
) -> None:
    tag(workshop, [snapshot_id], ("a", "b"))
    with workshop.open() as store:
        catalog.change_attributes(
            store, snapshot_id, lambda before: replace(before, state=catalog.IN_BIN)
        )
    assert tags(workshop) == []
    with pytest.raises(SnapshotNotFoundError):
        tag(workshop, [snapshot_id], ("c", "d"))


def test_a_damaged_record_does_not_hide_the_tags_of_others(
    workshop: Workshop, snapshot_id: str
) -> None:
    other = workshop.snapshot_id(workshop.file("other", b"other"))
    tag(workshop, [snapshot_id, other], ("a", "b"))
    (workshop.root / f"snapshots/{other}.attributes.json").write_bytes(b"{}")
    assert [one["ResourceId"] for one in tags(workshop)] == [snapshot_id]


def test_no_tags_stay_behind_when_a_snapshot_is_gone(workshop: Workshop, snapshot_id: str) -> None:
    tag(workshop, [snapshot_id], ("a", "b"))
    with workshop.open() as store, catalog.exclusively(store):
        recycling.discard(store, snapshot_id, datetime.now(UTC))
    assert tags(workshop) == []


def test_a_dry_run_shows_no_tags(workshop: Workshop) -> None:
    with workshop.open() as store, pytest.raises(DryRunError):
        describe_tags(store, dry_run=True)


def test_a_snapshot_whose_attributes_are_lost_is_not_taken_for_absent(
    workshop: Workshop, snapshot_id: str
) -> None:
    (workshop.root / f"snapshots/{snapshot_id}.attributes.json").unlink()
    with pytest.raises(CorruptStoreError):
        tag(workshop, [snapshot_id], ("a", "b"))


# --- several at once ---------------------------------------------------------------------------


def _tag_often(root: Path, snapshot_id: str, process: int) -> None:
    for number in range(TAGS_EACH):
        with open_store(root) as store:
            create_tags(store, [snapshot_id], [(f"{process}-{number}", "new")])


def test_edits_from_several_processes_lose_nothing(workshop: Workshop, snapshot_id: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_tag_often, args=(workshop.root, snapshot_id, number))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert len(tags_of(workshop, snapshot_id)) == PROCESSES * TAGS_EACH
