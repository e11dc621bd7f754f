"""What a structured value on the command line may contain, and its reading into typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amictl.cli import shorthand
from amictl.cli.parameter_files import PREFIX, text_or_file
from amictl.errors import UsageError


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
USER_BUCKET = Structure({"S3Bucket": Text(), "S3Key": Text()}, frozenset({"S3Bucket", "S3Key"}))
SNAPSHOT_DISK_CONTAINER = Structure(
    {"Description": Text(), "Format": Text(), "Url": Text(), "UserBucket": USER_BUCKET}
)
IMAGE_DISK_CONTAINER = Structure(
    {
        **SNAPSHOT_DISK_CONTAINER.members,
        "DeviceName": Text(),
        "SnapshotId": Text(),
    }
)
EXPORT_LOCATION = Structure({"S3Bucket": Text(), "S3Prefix": Text()}, frozenset({"S3Bucket"}))


def begins_like(text: str, shape: Structure) -> bool:
    """Whether a word has the form of a value: JSON, `file://`, or a key that the shape knows."""
    return text.startswith(("[", "{", PREFIX)) or shorthand.first_key(text) in shape.members


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


def texts(text: str) -> list[str]:
    """The texts that one word of a list stands for: itself, or those of a JSON list.

    `file://PATH` is replaced by what the file holds. Raises UsageError, StorageError.
    """
    text = text_or_file(text)
    if not text.startswith("["):
        return [text]
    return [str(typed(item, Text(), f"[{i}]")) for i, item in enumerate(json_value(text))]


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
    # Results have it beside EC2's members, and what was printed may be given back.
    value = {name: member for name, member in value.items() if name != "Amictl"}
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
    hint = None
    if isinstance(value, list) and expected == "text":
        hint = "a value with commas needs quotes of its own: 'Key=\"a,b\"'"
    return UsageError(f"expected {expected}{_in(place)}, found {_shown(value)}", hint=hint)


def _shown(value: Any) -> str:
    """As a person would write it: a list as JSON, text in quotes."""
    import json

    return json.dumps(value)[:100] if isinstance(value, list | dict) else repr(str(value)[:100])


def _in(place: str) -> str:
    return f" in {place}" if place else ""


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
