"""What a structured value on the command line may contain, and its reading into typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amictl.cli import shorthand
from amictl.errors import StorageError, UsageError


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number."""


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""


@dataclass(frozen=True, slots=True)
class ListOf:
    """Values of one shape; a single value without brackets is a list of one."""

    item: "Shape"


@dataclass(frozen=True, slots=True)
class Structure:
    """Members by name; those in `required` must be given."""

    members: Mapping[str, "Shape"]
    required: frozenset[str] = frozenset()


Shape = Text | Integer | Boolean | ListOf | Structure

TAG = Structure({"Key": Text(), "Value": Text()}, frozenset({"Key"}))
TAG_SPECIFICATION = Structure(
    {"ResourceType": Text(), "Tags": ListOf(TAG)}, frozenset({"ResourceType"})
)
VALUE = Structure({"Value": Text()})
FILTER = Structure({"Name": Text(), "Values": ListOf(Text())}, frozenset({"Name"}))
RETENTION_PERIOD = Structure(
    {"RetentionPeriodValue": Integer(), "RetentionPeriodUnit": Text()},
    frozenset({"RetentionPeriodValue", "RetentionPeriodUnit"}),
)
RESOURCE_TAG = Structure(
    {"ResourceTagKey": Text(), "ResourceTagValue": Text()}, frozenset({"ResourceTagKey"})
)
BLOCK_DEVICE_MAPPING = Structure(
    {
        "DeviceName": Text(),
        "VirtualName": Text(),
        "NoDevice": Text(),
        "Ebs": Structure(
            {
                "SnapshotId": Text(),
                "VolumeSize": Integer(),
                "DeleteOnTermination": Boolean(),
                "VolumeType": Text(),
                "Iops": Integer(),
                "Throughput": Integer(),
                "Encrypted": Boolean(),
                "KmsKeyId": Text(),
                "AvailabilityZone": Text(),
                "AvailabilityZoneId": Text(),
                "OutpostArn": Text(),
                "VolumeInitializationRate": Integer(),
                "EbsCardIndex": Integer(),
            }
        ),
    },
    frozenset({"DeviceName"}),
)


def begins_like(text: str, shape: Structure) -> bool:
    """Whether a word has the form of a value: JSON, `file://`, or a key that the shape knows."""
    return text.startswith(("[", "{", "file://")) or shorthand.first_key(text) in shape.members


def read(text: str, shape: Structure) -> list[dict[str, Any]]:
    """The structures that one word stands for: shorthand or a JSON object one, a JSON list many.

    `file://PATH` is replaced by what the file holds. Where a structure has the one member `Value`,
    a bare word is that member's value. Raises UsageError, naming the place.
    """
    text = text_or_file(text)
    if text.lstrip().startswith(("[", "{")):
        value = json_value(text)
    elif shape.members.keys() == {"Value"} and shorthand.first_key(text) != "Value":
        value = {"Value": text}
    else:
        value = shorthand.parse(text)
    items = value if isinstance(value, list) else [value]
    return [typed(item, shape, "") for item in items]


def text_or_file(text: str) -> str:
    """The text itself, or what the file of `file://PATH` holds.

    Raises UsageError if that is not text, StorageError if it cannot be read.
    """
    if text.startswith("file://"):
        return _text_of(Path(text.removeprefix("file://")))
    return text


def typed(value: Any, shape: Shape, place: str) -> Any:
    """Give `value` the types of `shape`. Raises UsageError that names `place`."""
    match shape:
        case Structure():
            return _structure(value, shape, place)
        case ListOf():
            items = value if isinstance(value, list) else [value]
            return [typed(item, shape.item, f"{place}[{i}]") for i, item in enumerate(items)]
        case Integer():
            return _integer(value, place)
        case Boolean():
            return _boolean(value, place)
        case Text():
            if isinstance(value, str):
                return value
            raise _wrong(value, "text", place)


def _structure(value: Any, shape: Structure, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(value, "Key=value pairs", place)
    for name in value:
        if name not in shape.members:
            raise UsageError(
                f"unknown key {name!r}{_in(place)}", hint=f"known keys: {', '.join(shape.members)}"
            )
    missing = sorted(shape.required - value.keys())
    if missing:
        raise UsageError(f"the key {missing[0]!r} is missing{_in(place)}", code="MissingParameter")
    return {
        name: typed(member, shape.members[name], f"{place}.{name}" if place else name)
        for name, member in value.items()
    }


def _integer(value: Any, place: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
        return int(value)
    raise _wrong(value, "a whole number", place)


def _boolean(value: Any, place: str) -> bool:
    words = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise _wrong(value, "true or false", place)


def _wrong(value: Any, expected: str, place: str) -> UsageError:
    return UsageError(f"expected {expected}{_in(place)}, found {str(value)[:100]!r}")


def _in(place: str) -> str:
    return f" in {place}" if place else ""


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise UsageError(f"the file {str(path)!r} is not UTF-8 text") from None
    except OSError as error:
        raise StorageError.from_os_error(error, "read the parameter file") from error


def json_value(text: str) -> Any:
    """Raises UsageError for what is not JSON, and for a member that is given twice."""
    import json

    try:
        return json.loads(text, object_pairs_hook=_unique_members)
    except RecursionError:
        raise UsageError(f"brackets are nested too deep in {text[:60]!r}…") from None
    except ValueError as error:
        raise UsageError(f"invalid JSON: {error} in {text[:100]!r}") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a member is given twice")
    return result
