"""Values on the command line: disks, points in time, durations, tags."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from amictl.cli.option_types import DiskType, DurationType, MomentType, OneOf
from amictl.cli.options import tags_of
from amictl.errors import AmictlError, UsageError


@pytest.mark.parametrize(
    ("word", "disk"),
    [
        ("disk.raw", (None, Path("disk.raw"))),
        ("/dev/sda1=disk.raw", ("/dev/sda1", Path("disk.raw"))),
        ("/dev/xvdf=a=b.raw", ("/dev/xvdf", Path("a=b.raw"))),
        ("xvdh=disk.raw", ("xvdh", Path("disk.raw"))),
        ("sdb=disk.raw", ("sdb", Path("disk.raw"))),
        ("/srv/sda=disk.raw", (None, Path("/srv/sda=disk.raw"))),
        ("name=disk.raw", (None, Path("name=disk.raw"))),
        ("/dev/vg0/disk", (None, Path("/dev/vg0/disk"))),
    ],
)
def test_a_disk_may_name_its_device(word: str, disk: tuple[str | None, Path]) -> None:
    assert DiskType().convert(word, None, None) == disk


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T14:30:00Z", datetime(2026, 11, 22, 14, 30, tzinfo=UTC)),
        ("2026-11-22T14:30:00+02:00", datetime(2026, 11, 22, 12, 30, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22).astimezone(UTC)),
    ],
)
def test_points_in_time(text: str, moment: datetime) -> None:
    assert MomentType().convert(text, None, None) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "9" * 30, "²"])
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a point in time"):
        MomentType().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("12h", 43200), ("2w", 1209600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert DurationType().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1y", "1.5h", "h", "9" * 10])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        DurationType().convert(text, None, None)


def tag(key: str, value: str = "v") -> dict[str, str]:
    return {"Key": key, "Value": value}


def test_tags_are_collected_by_resource() -> None:
    specifications = [
        {"ResourceType": "image", "Tags": [tag("a"), {"Key": "b"}]},
        {"ResourceType": "image", "Tags": [tag("c")]},
    ]
    expected = ({"a": "v", "b": "", "c": "v"}, {})
    assert tags_of(specifications, "image", "snapshot") == expected


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([tag("a"), tag("a")], "InvalidParameterValue"),
        ([tag(str(number)) for number in range(51)], "TagLimitExceeded"),
        ([tag("")], "InvalidParameterValue"),
        ([tag("k" * 129)], "InvalidParameterValue"),
        ([tag("aws:x")], "InvalidParameterValue"),
        ([tag("a", "v" * 257)], "InvalidParameterValue"),
    ],
)
def test_tags_that_ec2_refuses_are_refused(tags: list[dict[str, str]], code: str) -> None:
    with pytest.raises(AmictlError) as caught:
        tags_of([{"ResourceType": "image", "Tags": tags}], "image")
    assert (caught.value.code, caught.value.exit_code) == (code, 2)


@pytest.mark.parametrize("specification", [{}, {"Tags": []}])
def test_a_specification_without_tags_is_refused(specification: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must have at least one tag"):
        tags_of([{"ResourceType": "image", **specification}], "image")


def test_a_word_that_is_always_refused_is_taken_but_not_offered() -> None:
    kind = OneOf(("governance",), refused=("compliance",))
    option = click.Option(["--lock-mode"], type=kind)
    context = click.Context(click.Command("lock", params=[option]))
    assert kind.convert("compliance", option, context) == "compliance"
    assert option.make_metavar(context) == "[governance]"
    assert kind.get_missing_message(option, context) == "Choose from: governance"
    assert [item.value for item in kind.shell_complete(context, option, "")] == ["governance"]
    with pytest.raises(click.BadParameter, match="'other' is not one of 'governance'"):
        kind.convert("other", option, context)
