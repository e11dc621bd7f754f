"""Long lists in pieces, as the AWS CLI and EC2 give them: `--max-items`, `--max-results`, tokens.

A token names the command and the last item that was shown, so that the next piece begins after
that item even if others came or went; if that very item went, it begins where it had been.
"""

from typing import Any, NamedTuple

import click

from amictl.errors import UsageError

_RAW = ("--max-results", "--next-token")
_FEWEST = {"describe-images": 1, "list-images-in-recycle-bin": 1, "list-rules": 1}
_MOST = 1000
LISTS = {
    "describe-events": "Events",
    "describe-images": "Images",
    "describe-locked-snapshots": "Snapshots",
    "describe-regions": "Regions",
    "describe-snapshots": "Snapshots",
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
_IDENTIFIERS = {
    "Events": "EventId",
    "Images": "ImageId",
    "Regions": "RegionName",
    "Rules": "Identifier",
    "Snapshots": "SnapshotId",
    "Volumes": "VolumeId",
}


class PagingOption(click.Option):
    """An option that says which piece of a list is wanted; the command itself never sees it."""


class Place(NamedTuple):
    """Where a piece begins: after the item with this name, which was the one at `position - 1`."""

    name: str
    position: int


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
        items = result[member]
        names = [_name(item, _IDENTIFIERS.get(member)) for item in items]
        start = _start(names, self.place)
        stop = len(items) if self.most is None else start + self.most
        piece = {**result, member: items[start:stop]}
        if stop < len(items):
            piece["NextToken"] = _token(self.command, Place(names[stop - 1], stop))
        return piece


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


def _start(names: list[str], place: Place | None) -> int:
    if place is None:
        return 0
    if place.name in names:
        return names.index(place.name) + 1
    return min(place.position - 1, len(names))


def _name(item: dict[str, Any], identifier: str | None) -> str:
    """What tells an item from the others of its list: its identifier, or a digest of it all."""
    if identifier is not None:
        return str(item[identifier])
    import hashlib
    import json

    text = json.dumps(item, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


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
            case [str(name), str(item), int(position)] if name == command and position > 0:
                return Place(item, position)
    except ValueError:
        pass
    raise UsageError(
        f"the token {token[:80]!r} is not from an earlier result of this operation",
        hint="give the NextToken of a result, whole",
        code="InvalidNextToken",
    )
