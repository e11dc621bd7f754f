"""What a check found, in lines for standard error: for logs, and for mail from cron."""

from collections.abc import Iterator, Mapping
from typing import Any

LINES_MAX = 10
"""Of the damaged snapshots, and of the faults."""

_RANGES_MAX = 10


def lines(operation: str, result: Mapping[str, Any]) -> Iterator[str]:
    """How many faults there are, whom they hurt, and what each is; long lists are cut."""
    faults = result["Faults"]
    yield f"{operation} found {len(faults)} fault(s)"
    yield from _cut([_damaged(one) for one in result.get("Damaged", ())], "damaged snapshots")
    yield from _cut([_fault(one) for one in faults], "faults")


def hint(result: Mapping[str, Any]) -> str | None:
    """What to do about content that was found damaged, and is not recorded as damaged."""
    if all(fault.get("Kind") != "damage" for fault in result["Faults"]):
        return None
    from amictl.store.reading import HEALING

    return HEALING


def _cut(texts: list[str], what: str) -> Iterator[str]:
    yield from texts[:LINES_MAX]
    if len(texts) > LINES_MAX:
        yield f"and {len(texts) - LINES_MAX} more {what}: run it without --quiet to see all"


def _damaged(snapshot: Mapping[str, Any]) -> str:
    images = [f"{one['ImageId']} ({one['Name']}) {one['DeviceName']}" for one in snapshot["Images"]]
    users = f", in {', '.join(images)}" if images else ""
    ranges = _ranges(snapshot["Ranges"]) if "Ranges" in snapshot else "nothing of it can be read"
    return f"damaged: {snapshot['SnapshotId']} of {snapshot['VolumeId']}{users}: {ranges}"


def _ranges(ranges: list[Mapping[str, int]]) -> str:
    shown = ", ".join(f"{one['Start']} to {one['End']}" for one in ranges[:_RANGES_MAX])
    more = len(ranges) - _RANGES_MAX
    return f"bytes {shown}" + (f" and {more} more ranges" if more > 0 else "")


def _fault(fault: Mapping[str, Any]) -> str:
    """Of whichever kind: at a place of the store, at bytes of a snapshot, or about an id."""
    match fault:
        case {"Kind": kind, "Place": place, "Message": message}:
            return f"{kind}: {place}: {message}"
        case {"Start": start, "End": stop, "Reason": reason}:
            return f"bytes {start} to {stop}: {reason}"
        case _:
            return ": ".join(str(member) for member in fault.values())
