"""Results on standard output: JSON, YAML, text, tables, ids; and what is selected from them."""

import json
from typing import Any

import pytest
import yaml

from amictl.cli import fault_lines
from amictl.cli.command import Presentation
from amictl.cli.global_options import GlobalOptions
from amictl.cli.invocation import Invocation
from amictl.cli.output import rendered
from amictl.cli.table_output import table_of
from tests.conftest import Home

IMAGE = {"ImageId": "ami-0123456789abcdef0", "Name": "wéb", "Tags": [{"Key": "a", "Value": "b"}]}
RESULT: dict[str, Any] = {"Images": [IMAGE, {**IMAGE, "Name": "db"}]}
PRESENTATION = Presentation(identifier="ImageId", columns=("ImageId", "Name"))


def shown(result: dict[str, Any], **options: Any) -> str:
    return rendered(Invocation(given=GlobalOptions(**options)), PRESENTATION, result)


def test_json_has_four_spaces_and_keeps_the_order() -> None:
    assert shown(RESULT, output="json") == json.dumps(RESULT, indent=4, ensure_ascii=False) + "\n"


def test_without_a_terminal_it_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(RESULT) == shown(RESULT, output="json")


def test_yaml_says_the_same() -> None:
    assert yaml.safe_load(shown(RESULT, output="yaml")) == RESULT


@pytest.mark.parametrize("output", ["json", "yaml", "text", "table"])
def test_an_empty_result_prints_nothing(output: str) -> None:
    assert shown({}, output=output) == ""


def test_quiet_prints_ids_in_any_form() -> None:
    expected = "ami-0123456789abcdef0\nami-0123456789abcdef0\n"
    assert shown(RESULT, quiet=True, output="table") == expected
    assert shown({"ImageId": "ami-1"}, quiet=True) == "ami-1\n"


def test_a_table_of_several_shows_the_columns_that_were_chosen() -> None:
    table = shown(RESULT, output="table")
    assert "ImageId" in table
    assert "Tags" not in table


def test_a_table_of_one_shows_everything_one_a_line() -> None:
    table = shown({"Images": [IMAGE]}, output="table")
    fields = [line.split("│")[1].strip() for line in table.splitlines() if line.count("│") == 3]
    assert fields == ["ImageId", "Name", "Tags"]
    assert "wéb" in table
    assert "Key=a,Value=b" in table


@pytest.mark.parametrize(
    ("value", "fragments"),
    [
        ({"Images": []}, ["Images: none"]),
        ([["a", 1], ["b", None]], ["a", "1", "b"]),
        (["a"], ["a"]),
        (True, ["true"]),
        ({"A": {"B": {"C": 1}}}, ["A.B.C", "1"]),
        ({"A": [1, [2, {"B": 3}]]}, ["1", "2,{B=3}"]),
        ({"Tags": [{"Key": "a\x1b[31mb\n"}]}, [r"a\x1b[31mb\n"]),
        ({"Long": [{f"Column{i}": "x" * 40 for i in range(50)}]}, ["x" * 40]),
    ],
)
def test_a_table_shows_any_value(value: Any, fragments: list[str]) -> None:
    table = table_of(value, Invocation(), ())
    assert all(fragment in table for fragment in fragments)
    assert "\x1b" not in table


def test_colour_can_be_forced() -> None:
    assert "\x1b[1m" in table_of(RESULT, Invocation(given=GlobalOptions(color="on")), ())


def test_a_file_name_that_is_no_text_is_shown_as_an_escape(amictl: Home) -> None:
    (amictl.folder / "d\udcff.raw").write_bytes(b"x" * 5000)
    finished = amictl("create-snapshot", "d\udcff.raw")
    assert finished.status == 0
    assert json.loads(finished.out)["Amictl"]["SourcePath"].isprintable()


def test_results_are_utf_8_in_any_locale(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 5000)
    words = ["create-snapshot", "disk.raw", "--description", "größer"]
    finished = amictl(*words, LC_ALL="POSIX", PYTHONIOENCODING="ascii")
    assert json.loads(finished.out)["Description"] == "größer"


def test_in_text_the_next_token_comes_last() -> None:
    text = shown({"NextToken": "abc", "Names": ["a", "b"]}, output="text")
    assert text == "NAMES\ta\nNAMES\tb\nNEXTTOKEN\tabc\n"


def test_long_lists_of_faults_are_cut_in_complaints() -> None:
    fault = {"Kind": "pack", "Place": "packs/00/00", "Message": "it is missing"}
    damaged = {
        "SnapshotId": "snap-1",
        "VolumeId": "vol-1",
        "Images": [],
        "Ranges": [{"Start": 0, "End": 9}] * 12,
    }
    lines = list(fault_lines.lines("CheckStore", {"Faults": [fault] * 12, "Damaged": [damaged]}))
    assert lines[0] == "CheckStore found 12 fault(s)"
    assert lines[1] == f"damaged: snap-1 of vol-1: bytes {'0 to 9, ' * 9}0 to 9 and 2 more ranges"
    assert lines[2:12] == ["pack: packs/00/00: it is missing"] * 10
    assert lines[12:] == ["and 2 more faults: run it without --quiet to see all"]


def test_every_kind_of_fault_has_a_line() -> None:
    faults = [{"Start": 0, "End": 9, "Reason": "torn"}, {"Id": "snap-1", "Problem": "no key"}]
    lines = list(fault_lines.lines("CheckKey", {"Faults": faults}))
    assert lines[1:] == ["bytes 0 to 9: torn", "snap-1: no key"]
    assert "nothing of it can be read" in next(
        line
        for line in fault_lines.lines(
            "CheckStore",
            {
                "Faults": faults,
                "Damaged": [{"SnapshotId": "snap-1", "VolumeId": "vol-1", "Images": []}],
            },
        )
        if line.startswith("damaged")
    )
