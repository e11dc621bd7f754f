"""describe-events."""

from datetime import datetime
from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.option_types import Context, MomentType, Parameter
from amictl.cli.options import filters as filters_option
from amictl.cli.options import list_option
from amictl.cli.words import ListType

_FILTERS = "event-id, event-name, event-time, outcome, resource-id, resource-type"


class ResourceIdsType(ListType):
    """Ids of things of any kind, in a row."""

    name = "id"

    def accepts(self, word: str) -> bool:
        return True

    def convert(self, value: str, param: Parameter, ctx: Context) -> tuple[Any, ...]:
        return (value,)


@command(
    "describe-events",
    presentation=Presentation(
        identifier="EventId",
        columns=("EventTime", "EventName", "Resources", "Outcome"),
        faults=True,
    ),
    examples=[
        (
            "What happened to an image",
            "amictl describe-events --resource-ids ami-0123456789abcdef0",
        ),
        (
            "What was deleted since Monday",
            "amictl describe-events --start-time 2026-11-16"
            " --filters Name=event-name,Values=DeregisterImage,DeleteSnapshot",
        ),
    ],
)
@list_option(
    "--resource-ids",
    ResourceIdsType(),
    metavar="ID...",
    help="Only what happened to one of these: images, snapshots, volumes, tasks, retention rules.",
)
@filters_option(_FILTERS)
@click.option(
    "--start-time", type=MomentType(), metavar="DATE", help="Only what happened then or later."
)
@click.option(
    "--end-time", type=MomentType(), metavar="DATE", help="Only what happened then or before."
)
def describe_events(
    invocation: Invocation,
    resource_ids: tuple[str, ...],
    filters: tuple[dict[str, Any], ...],
    start_time: datetime | None,
    end_time: datetime | None,
) -> Result:
    """Show what happened in the region, the newest last.

    Every change of state is noted: when, by which operation, to what, and what became of it. A
    change never fails because it could not be noted, so the history may have gaps.
    """
    from amictl.actions import events

    request = events.DescribeEventsRequest(resource_ids, filters, start_time, end_time)
    with invocation.open_store_for_listing() as store:
        return events.describe_events(store, request)
