"""Long lists in pieces: items, tokens, and options that do not go together."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.cli.main import program
from amictl.cli.operations import operation_of
from amictl.cli.paging import _ORDERS, LISTS, Page, take_page
from amictl.errors import UsageError
from tests.conftest import Home

COMMAND = "describe-images"
NAMES = ("max_items", "starting_token", "page_size", "max_results", "next_token")
BLOCKS = {"list-snapshot-blocks", "list-changed-blocks"}
"""EBS direct cuts its lists by itself."""


def page(*, paginate: bool = True, **given: Any) -> Page:
    params = dict.fromkeys(NAMES) | given
    return take_page(COMMAND, params, paginate=paginate)


def images(*names: str) -> dict[str, Any]:
    return {"Images": [{"ImageId": name} for name in names]}


def ids(result: dict[str, Any]) -> list[str]:
    return [image["ImageId"] for image in result["Images"]]


def test_without_options_everything_is_shown() -> None:
    assert page().of(images("a", "b")) == images("a", "b")


def test_a_piece_has_a_token_if_there_is_more() -> None:
    piece = page(max_items=2).of(images("a", "b", "c"))
    assert ids(piece) == ["a", "b"]
    assert "NextToken" in piece
    assert "NextToken" not in page(max_items=3).of(images("a", "b", "c"))


@given(st.integers(1, 30), st.integers(1, 7), st.sampled_from(["max_items", "max_results"]))
def test_the_pieces_are_the_whole_list(count: int, size: int, option: str) -> None:
    every = images(*(f"{number:02}" for number in range(count)))
    token_option = "starting_token" if option == "max_items" else "next_token"
    seen: list[str] = []
    token = None
    while True:
        piece = page(**{option: size, token_option: token}).of(every)
        seen += ids(piece)
        if (token := piece.get("NextToken")) is None:
            break
    assert seen == ids(every)


@pytest.mark.parametrize(
    ("later", "rest"),
    [
        (["a", "b", "c"], ["c"]),
        (["0", "a", "b", "c"], ["c"]),
        (["b", "c"], ["c"]),
        (["a", "c", "d"], ["c", "d"]),
        (["a", "b"], []),
        (["c"], ["c"]),
        (["a", "aa", "c", "d"], ["c", "d"]),
        ([], []),
    ],
)
def test_the_next_piece_begins_after_the_last_item(later: list[str], rest: list[str]) -> None:
    token = page(max_items=2).of(images("a", "b", "c"))["NextToken"]
    assert ids(page(starting_token=token).of(images(*later))) == rest


def test_items_without_an_id_are_told_apart_by_their_order() -> None:
    tags = {"Tags": [{"Key": key, "ResourceId": "ami-1", "Value": ""} for key in "abc"]}
    params = dict.fromkeys(NAMES) | {"max_items": 2}
    token = take_page("describe-tags", params, paginate=True).of(tags)["NextToken"]
    params = dict.fromkeys(NAMES) | {"starting_token": token}
    rest = take_page("describe-tags", params, paginate=True).of({"Tags": tags["Tags"][1:]})
    assert rest == {"Tags": tags["Tags"][2:]}


def test_volumes_of_one_snapshot_are_told_apart() -> None:
    volumes = [{"SnapshotId": "snap-1", "VolumeId": name} for name in "abc"]
    params = dict.fromkeys(NAMES) | {"max_items": 2}
    token = take_page("describe-volumes", params, paginate=True).of({"Volumes": volumes})
    params = dict.fromkeys(NAMES) | {"starting_token": token["NextToken"]}
    rest = take_page("describe-volumes", params, paginate=True).of({"Volumes": volumes})
    assert rest == {"Volumes": volumes[2:]}


def test_a_token_of_another_command_is_refused() -> None:
    params = dict.fromkeys(NAMES) | {"max_items": 1}
    snapshots = {"Snapshots": [{"SnapshotId": "a"}, {"SnapshotId": "b"}]}
    token = take_page("describe-snapshots", params, paginate=True).of(snapshots)["NextToken"]
    with pytest.raises(UsageError) as caught:
        page(starting_token=token)
    assert caught.value.code == "InvalidNextToken"


@pytest.mark.parametrize("token", ["abc", "é", "bnVsbA==", "WyJkZXNjcmliZS1pbWFnZXMiLCJhIiwwXQ=="])
def test_a_token_from_elsewhere_is_refused(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        page(next_token=token)
    assert caught.value.code == "InvalidNextToken"


@pytest.mark.parametrize(
    "options",
    [
        {"max_items": 1, "max_results": 5},
        {"page_size": 1, "next_token": "x"},
        {"max_results": 5, "image_ids": ("ami-1",)},
        {"max_items": 1, "paginate": False},
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        page(**options)
    assert caught.value.code == "InvalidParameterCombination"


def test_every_list_that_aws_cuts_is_cut() -> None:
    cut = [
        name
        for name in program.table
        if (operation := operation_of(name)) and "NextToken" in operation.result
    ]
    assert set(cut) - BLOCKS <= LISTS.keys()


def test_every_list_has_an_order() -> None:
    assert _ORDERS.keys() == LISTS.keys()


def test_every_listing_is_cut() -> None:
    listings = {name for name in program.table if name.startswith(("describe-", "list-"))}
    single = {name for name in listings if name.endswith(("-archive", "-attribute", "-key"))}
    assert listings - single - BLOCKS - {"describe-store"} == LISTS.keys()


@pytest.mark.parametrize("name", sorted(LISTS.keys() & program.table.keys()))
def test_what_is_cut_is_a_list_of_the_result(name: str) -> None:
    operation = operation_of(name)
    assert operation is None or isinstance(operation.result[LISTS[name]], list)


def test_images_come_in_pieces(amictl: Home) -> None:
    disk = Path(amictl.folder / "disk.raw")
    disk.write_bytes(b"disk" * 1024)
    for name in ("first", "second", "third"):
        assert amictl("create-image", "--name", name, disk).status == 0
    words = ["describe-images", "--query", "[Images[].Name, NextToken]"]
    names, token = json.loads(amictl(*words, "--max-items", "2").out)
    assert names == ["first", "second"]
    rest = amictl(*words, "--starting-token", token)
    assert json.loads(rest.out) == [["third"], None]
    lines = amictl("describe-images", "--max-items", "1", "--output", "text").out.splitlines()
    assert lines[-1].startswith("NEXTTOKEN\t")
