"""The command line as click gets it: lists, abbreviations, and where arguments begin."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.cli import shapes
from amictl.cli.option_types import IdsType, StructuresType
from amictl.cli.words import ListOption, Words
from amictl.errors import UsageError

IMAGE = "ami-0123456789abcdef0"
TAGS = StructuresType(shapes.TAG_SPECIFICATION)
OPTIONS: list[click.Parameter] = [
    ListOption(["--image-ids"], IdsType("ami")),
    ListOption(["--tag-specifications"], TAGS),
    click.Option(["--name"]),
    click.Option(["--no-reboot/--reboot"], default=None),
    click.Option(["--no-wait"], is_flag=True),
]
DISK = click.Argument(["disks"], nargs=-1)


def prepared(words: list[str], *, disks: bool = True) -> list[str]:
    command = click.Command("test", params=OPTIONS + [DISK] * disks)
    return Words.of(command, click.Context(command)).prepared(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--image-ids", IMAGE, "disk"], [f"--image-ids={IMAGE}", "disk"]),
        (
            ["--image-ids", IMAGE, IMAGE, "--name", "x"],
            [f"--image-ids={IMAGE}", f"--image-ids={IMAGE}", "--name", "x"],
        ),
        ([f"--image-ids={IMAGE}", IMAGE], [f"--image-ids={IMAGE}", IMAGE]),
        (["--image-ids", "disk"], ["disk"]),
        (["--image-ids", "--", IMAGE], ["--", IMAGE]),
        (
            ["--tag-specifications", "ResourceType=image", "/dev/sda1=a.raw", "b.raw"],
            ["--tag-specifications=ResourceType=image", "/dev/sda1=a.raw", "b.raw"],
        ),
        (["--name", "--image-ids", "disk"], ["--name", "--image-ids", "disk"]),
        (["--name"], ["--name"]),
        (["--", "--image-ids", IMAGE], ["--", "--image-ids", IMAGE]),
        (["--na", "x"], ["--name", "x"]),
        (["--im=" + IMAGE], [f"--image-ids={IMAGE}"]),
        (["--re", "disk"], ["--reboot", "disk"]),
        (["--bogus", "x"], ["--bogus", "x"]),
        (["--no-wait", "disk"], ["--no-wait", "disk"]),
    ],
)
def test_words_of_a_command_with_arguments(words: list[str], expected: list[str]) -> None:
    assert prepared(words) == expected


def test_without_arguments_every_word_is_a_value() -> None:
    assert prepared(["--image-ids", "foo", IMAGE], disks=False) == [
        "--image-ids=foo",
        f"--image-ids={IMAGE}",
    ]


def test_an_ambiguous_beginning_is_refused() -> None:
    with pytest.raises(UsageError, match="--no is ambiguous"):
        prepared(["--no"])


@given(st.lists(st.text(max_size=6) | st.sampled_from(["--image-ids", "--name", "--", IMAGE])))
def test_arguments_after_two_hyphens_are_left_alone(words: list[str]) -> None:
    assert prepared(["--", *words]) == ["--", *words]


@given(st.lists(st.from_regex(r"ami-[0-9a-f]{17}", fullmatch=True), min_size=1))
def test_all_values_of_a_list_arrive_in_order(ids: list[str]) -> None:
    assert prepared(["--image-ids", *ids, "disk"]) == [*(f"--image-ids={i}" for i in ids), "disk"]
