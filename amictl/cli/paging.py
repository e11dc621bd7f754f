"""Long lists in pieces, as the AWS CLI and EC2 give them: `--max-items`, `--max-results`, tokens.

A token names the command and where in the order of its list the last item that was shown stands,
so that the next piece begins after that, whatever came or went in between.
"""

from bisect import bisect_left, bisect_right
from typing import Any, NamedTuple

import click

from amictl.errors import UsageError

_RAW = ("--max-results", "--next-token")
_FEWEST = {
    "describe-export-image-tasks": 1,
    "describe-images": 1,
    "describe-import-image-tasks": 1,
    "describe-import-snapshot-tasks": 1,
    "describe-restore-image-tasks": 1,
    "describe-store-image-tasks": 1,
    "list-images-in-recycle-bin": 1,
    "list-rules": 1,
}
_MOST = 1000
LISTS = {
    "describe-buckets": "Buckets",
    "describe-events": "Events",
    "describe-export-image-tasks": "ExportImageTasks",
    "describe-images": "Images",
    "describe-import-image-tasks": "ImportImageTasks",
    "describe-import-snapshot-tasks": "ImportSnapshotTasks",
    "describe-keys": "Keys",
    "describe-locked-snapshots": "Snapshots",
    "describe-regions": "Regions",
    "describe-restore-image-tasks": "RestoreImageTaskResults",
    "describe-snapshots": "Snapshots",
    "describe-store-image-tasks": "StoreImageTaskResults",
    "describe-tags": "Tags",
    "describe-volumes": "Volumes",
    "list-images-in-recycle-bin": "Images",
    "list-rules": "Rules",
    "list-snapshots-in-recycle-bin": "Snapshots",
}
"""The commands whose results come in pieces, and the member that is cut."""

_IDS = {
    "image_ids": "imageIdsSet",
    "snapshot_ids": "snapshotIdsSet",
    "volume_ids": "volumeIdsSet",
}
_ORDERS = {
    "describe-buckets": ("Name",),
    "describe-events": ("EventTime", "EventId"),
    "describe-export-image-tasks": ("Amictl.StartTime", "ExportImageTaskId"),
    "describe-images": ("CreationDate", "ImageId"),
    "describe-import-image-tasks": ("Amictl.StartTime", "ImportTaskId"),
    "describe-import-snapshot-tasks": ("Amictl.StartTime", "ImportTaskId"),
    "describe-keys": ("KeyId",),
    "describe-locked-snapshots": ("SnapshotId",),
    "describe-regions": ("RegionName",),
    "describe-restore-image-tasks": ("TaskStartTime", "Amictl.TaskId"),
    "describe-snapshots": ("StartTime", "SnapshotId"),
    "describe-store-image-tasks": ("TaskStartTime", "Amictl.TaskId"),
    "describe-tags": ("ResourceId", "Key"),
    "describe-volumes": ("VolumeId",),
    "list-images-in-recycle-bin": ("RecycleBinEnterTime", "ImageId"),
    "list-rules": ("Identifier",),
    "list-snapshots-in-recycle-bin": ("RecycleBinEnterTime", "SnapshotId"),
}
"""The members of an item by which its list is ordered; no two items have the same.

A point leads into a structure.
"""

_NEWEST_FIRST = {"describe-restore-image-tasks", "describe-store-image-tasks"}
"""Lists in the reverse order."""

Place = tuple[str, ...]
"""What the last item that was shown has in these members."""


class PagingOption(click.Option):
    """An option that says which piece of a list is wanted; the command itself never sees it."""


class Page(NamedTuple):
    """The piece that was asked for: at most `most` items, after `place`."""

    command: str
    most: int | None = None
    place: Place | None = None

    def of(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result with this piece of its list, and `NextToken` if there is more."""
        member = LISTS.get(self.command)
        if member is None or member not in result:
            return result
        if self.most is None and self.place is None:
            return result
        reverse = self.command in _NEWEST_FIRST
        items = sorted(result[member], key=self._place_of, reverse=reverse)
        places = [self._place_of(item) for item in items]
        if self.place is None:
            start = 0
        elif reverse:
            start = len(items) - bisect_left(places[::-1], self.place)
        else:
            start = bisect_right(places, self.place)
        stop = len(items) if self.most is None else start + self.most
        piece = {**result, member: items[start:stop]}
        if stop < len(items):
            piece["NextToken"] = _token(self.command, places[stop - 1])
        return piece

    def _place_of(self, item: dict[str, Any]) -> Place:
        """A damaged record has no times, and stands first."""
        return tuple(_text_at(item, member) for member in _ORDERS[self.command])


def _text_at(item: dict[str, Any], path: str) -> str:
    name, _, rest = path.partition(".")
    member = item.get(name, "")
    return _text_at(member, rest) if rest and isinstance(member, dict) else str(member)


def paging_options(command: str) -> list[PagingOption]:
    """Fresh click parameters for a command of LISTS; none for another."""
    if command not in LISTS:
        return []
    fewest = _FEWEST.get(command, 5)
    return [
        _option("--max-items", click.IntRange(min=1), "N", "Show so many; NextToken says more."),
        _option("--starting-token", click.STRING, "TOKEN", "Go on after the result with this."),
        _option(
            "--page-size",
            click.IntRange(min=1),
            "N",
            "Accepted as by the AWS CLI; everything is read at once.",
        ),
        _option("--max-results", click.IntRange(fewest, _MOST), "N"),
        _option("--next-token", click.STRING, "TOKEN"),
    ]


def _option(name: str, kind: click.ParamType[Any], metavar: str, text: str = "") -> PagingOption:
    return PagingOption(
        [name], type=kind, metavar=metavar, default=None, help=text, hidden=not text
    )


def take_page(command: str, params: dict[str, Any], *, paginate: bool) -> Page:
    """The piece that the parameters ask for; they are taken out of `params`.

    Raises UsageError for parameters that do not go together and for a foreign token.
    """
    if command not in LISTS:
        return Page(command)
    given = {
        option: params.pop(option.removeprefix("--").replace("-", "_"), None)
        for option in ("--max-items", "--starting-token", "--page-size", *_RAW)
    }
    used = [option for option, value in given.items() if value is not None]
    raw = [option for option in used if option in _RAW]
    client = [option for option in used if option not in _RAW]
    if client and (raw or not paginate):
        other = raw[0] if raw else "--no-paginate"
        raise _combination(f"{other} cannot be used with {client[0]}")
    for name, parameter in _IDS.items():
        if given["--max-results"] is not None and params.get(name):
            raise _combination(
                f"The parameter {parameter} cannot be used with the parameter maxResults"
            )
    token = given["--starting-token"] or given["--next-token"]
    most = given["--max-items"] or given["--max-results"]
    return Page(command, most, _place(command, token) if token else None)


def _combination(message: str) -> UsageError:
    return UsageError(message, code="InvalidParameterCombination")


def _token(command: str, place: Place) -> str:
    import base64
    import json

    text = json.dumps([command, *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode("ascii")


def _place(command: str, token: str) -> Place:
    """Raises UsageError unless `_token` could have written this for the same command."""
    import base64
    import json

    try:
        match json.loads(base64.urlsafe_b64decode(token.encode())):
            case [str(name), *place] if name == command and len(place) == len(_ORDERS[command]):
                if all(isinstance(part, str) for part in place):
                    return tuple(place)
    except ValueError:
        pass
    raise UsageError(
        f"the token {token[:80]!r} is not from an earlier result of this operation",
        hint="give the NextToken of a result, whole",
        code="InvalidNextToken",
    )
