"""DescribeEvents: what happened in a region, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from amictl.errors import UsageError
from amictl.model.filters import matching, text_of
from amictl.model.ids import is_id
from amictl.model.records import Event
from amictl.model.retention import is_identifier
from amictl.model.tasks import PREFIXES, kind_of
from amictl.model.times import timestamp
from amictl.store import events
from amictl.store.store import Store

_TYPES = {"ami": "image", "snap": "snapshot", "vol": "volume"}


@dataclass(frozen=True, slots=True)
class DescribeEventsRequest:
    """Which events: of one of these resources, between two times, both included, that match."""

    resource_ids: tuple[str, ...] = ()
    filters: Sequence[Mapping[str, Any]] = ()
    start: datetime | None = None
    end: datetime | None = None


def describe_events(store: Store, request: DescribeEventsRequest) -> dict[str, Any]:
    """`{"Events": […]}`, the newest last; and `Faults`, if some objects could not be read.

    Raises UsageError for a malformed resource id or an unknown filter.
    """
    wanted = {_require_resource_id(text) for text in request.resource_ids}
    if request.start and request.end and request.end < request.start:
        raise UsageError("the end time is before the start time")
    history = events.read_all(
        store,
        timestamp(request.start) if request.start else "",
        timestamp(request.end) if request.end else None,
    )
    found = [_shape(event) for event in history.events if not wanted or wanted & set(event.ids)]
    result: dict[str, Any] = {"Events": matching(found, request.filters, _FILTERS)}
    if history.unreadable:
        result["Faults"] = [
            {"Kind": "record", "Place": place, "Message": message}
            for place, message in history.unreadable
        ]
    return result


def _require_resource_id(text: str) -> str:
    kinds = (*_TYPES, *PREFIXES.values())
    if not is_identifier(text) and not any(is_id(kind, text) for kind in kinds):
        raise UsageError(
            f"The ID '{text[:60]}' is not valid",
            hint="give ids of images, snapshots, volumes, tasks or retention rules",
            code="InvalidID",
        )
    return text


def _shape(event: Event) -> dict[str, Any]:
    return {
        "EventId": event.event_id,
        "EventTime": event.time,
        "EventName": event.operation,
        "Resources": [
            {"ResourceType": _type(resource_id), "ResourceId": resource_id}
            for resource_id in event.ids
        ],
        "Outcome": event.outcome,
    }


def _type(resource_id: str) -> str:
    task = kind_of(resource_id)
    if task is not None:
        return f"{task}-task"
    return _TYPES.get(resource_id.partition("-")[0], "retention-rule")


def _resources(member: str, event: dict[str, Any]) -> list[str]:
    return [resource[member] for resource in event["Resources"]]


_FILTERS = {
    "event-id": lambda event: text_of(event["EventId"]),
    "event-name": lambda event: text_of(event["EventName"]),
    "event-time": lambda event: text_of(event["EventTime"]),
    "outcome": lambda event: text_of(event["Outcome"]),
    "resource-id": lambda event: _resources("ResourceId", event),
    "resource-type": lambda event: _resources("ResourceType", event),
}
