"""DescribeEvents: which events are shown, and in which shape."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from amictl.actions.events import DescribeEventsRequest, describe_events
from amictl.errors import UsageError
from amictl.model.times import parse_timestamp
from amictl.store import events
from tests.workshop import Workshop

IMAGE, SNAPSHOT, VOLUME = (f"{kind}-{'1' * 17}" for kind in ("ami", "snap", "vol"))
RULE = "abcDEF12345"
HAPPENED = (
    ("CreateImage", (IMAGE, SNAPSHOT), "available"),
    ("CreateVolume", (VOLUME, SNAPSHOT), "available"),
    ("CreateRule", (RULE,), "available"),
    ("DeregisterImage", (IMAGE,), "recoverable"),
)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop(tmp_path, start=datetime(2026, 11, 22, tzinfo=UTC))
    with workshop.open() as store:
        for operation, ids, outcome in HAPPENED:
            events.record(store, workshop.surroundings, operation, ids, outcome)
    return workshop


def shown(workshop: Workshop, **words: Any) -> list[dict[str, Any]]:
    with workshop.open() as store:
        found = describe_events(store, DescribeEventsRequest(**words))["Events"]
    assert isinstance(found, list)
    return found


def names(workshop: Workshop, *filters: tuple[str, list[str]], **words: Any) -> list[str]:
    given = [{"Name": name, "Values": values} for name, values in filters]
    return [event["EventName"] for event in shown(workshop, filters=given, **words)]


def test_an_event_says_what_when_by_what_and_what_became_of_it(workshop: Workshop) -> None:
    first = shown(workshop)[0]
    assert len(first.pop("EventId")) == 32
    assert first.pop("EventTime").startswith("2026-11-22T00:00:0")
    assert first == {
        "EventName": "CreateImage",
        "Resources": [
            {"ResourceType": "image", "ResourceId": IMAGE},
            {"ResourceType": "snapshot", "ResourceId": SNAPSHOT},
        ],
        "Outcome": "available",
    }


def test_the_newest_is_last(workshop: Workshop) -> None:
    assert names(workshop) == [operation for operation, _, _ in HAPPENED]


def test_resources_are_alternatives(workshop: Workshop) -> None:
    assert names(workshop, resource_ids=(IMAGE,)) == ["CreateImage", "DeregisterImage"]
    assert names(workshop, resource_ids=(SNAPSHOT,)) == ["CreateImage", "CreateVolume"]
    assert names(workshop, resource_ids=(VOLUME, RULE)) == ["CreateVolume", "CreateRule"]
    assert names(workshop, resource_ids=("ami-" + "2" * 17,)) == []


def test_filters(workshop: Workshop) -> None:
    assert names(workshop, ("event-name", ["Create*"])) == [
        "CreateImage",
        "CreateVolume",
        "CreateRule",
    ]
    assert names(workshop, ("outcome", ["recover*"])) == ["DeregisterImage"]
    assert names(workshop, ("resource-type", ["volume", "retention-rule"])) == [
        "CreateVolume",
        "CreateRule",
    ]
    assert names(workshop, ("resource-id", [SNAPSHOT]), ("event-name", ["*Volume"])) == [
        "CreateVolume"
    ]
    assert names(workshop, ("event-time", ["2026-11-22T*"])) == names(workshop)
    second = shown(workshop)[1]
    assert names(workshop, ("event-id", [second["EventId"]])) == ["CreateVolume"]


def test_times_are_both_included(workshop: Workshop) -> None:
    second, third = (parse_timestamp(event["EventTime"]) for event in shown(workshop)[1:3])
    assert names(workshop, start=second, end=third) == ["CreateVolume", "CreateRule"]
    assert names(workshop, start=third) == ["CreateRule", "DeregisterImage"]
    assert names(workshop, end=second) == ["CreateImage", "CreateVolume"]


@pytest.mark.parametrize("resource_id", ["ami-123", "i-0123456789abcdef0", ""])
def test_a_malformed_resource_is_refused(workshop: Workshop, resource_id: str) -> None:
    with pytest.raises(UsageError) as caught:
        shown(workshop, resource_ids=(resource_id,))
    assert caught.value.code == "InvalidID"


def test_an_unknown_filter_is_refused(workshop: Workshop) -> None:
    with pytest.raises(UsageError, match="'colour' is invalid"):
        names(workshop, ("colour", ["red"]))


def test_an_end_before_the_start_is_refused(workshop: Workshop) -> None:
    start, end = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="before the start"):
        shown(workshop, start=start, end=end)


def test_what_cannot_be_read_is_said(workshop: Workshop) -> None:
    damaged = min((workshop.root / "events").iterdir())
    damaged.write_bytes(b"torn")
    with workshop.open() as store:
        result = describe_events(store, DescribeEventsRequest())
    assert len(result["Events"]) == len(HAPPENED) - 1
    assert [fault["Place"] for fault in result["Faults"]] == [f"events/{damaged.name}"]


def test_tasks_are_resources_too(workshop: Workshop) -> None:
    task_id = f"import-snap-{'1' * 17}"
    with workshop.open() as store:
        ids = (SNAPSHOT, task_id)
        events.record(store, workshop.surroundings, "ImportSnapshot", ids, "completed")
    (event,) = shown(workshop, resource_ids=(task_id,))
    assert event["Resources"] == [
        {"ResourceType": "snapshot", "ResourceId": SNAPSHOT},
        {"ResourceType": "import-snapshot-task", "ResourceId": task_id},
    ]
