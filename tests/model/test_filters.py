"""EC2's filters."""

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import UsageError
from amictl.model.filters import matching, tag_texts, text_of

ITEMS = [
    {"Name": "web-1", "Size": 8, "Public": False, "Tags": [{"Key": "stage", "Value": "prod"}]},
    {"Name": "web-2", "Size": 80, "Public": False, "Tags": [{"Key": "stage", "Value": "test"}]},
    {"Name": "db*", "Size": 100, "Public": True, "Tags": [{"Key": "a=b:c", "Value": ""}]},
    {"Name": "Web-1"},
]
KNOWN = {
    "name": lambda item: text_of(item.get("Name")),
    "size": lambda item: text_of(item.get("Size")),
    "public": lambda item: text_of(item.get("Public")),
    **tag_texts(lambda item: item.get("Tags", [])),
}


def _names(*filters: tuple[str, list[str]]) -> list[str]:
    wanted = [{"Name": name, "Values": values} for name, values in filters]
    return [item["Name"] for item in matching(ITEMS, wanted, KNOWN)]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ((), ["web-1", "web-2", "db*", "Web-1"]),
        ((("name", ["web-1"]),), ["web-1"]),
        ((("name", ["web-1", "db*"]),), ["web-1", "db*"]),
        ((("name", ["web-?"]),), ["web-1", "web-2"]),
        ((("name", ["*-1"]),), ["web-1", "Web-1"]),
        ((("name", ["db\\*"]),), ["db*"]),
        ((("name", ["web-\\?"]),), []),
        ((("name", ["[w]eb-1"]),), []),
        ((("size", ["8*"]),), ["web-1", "web-2"]),
        ((("size", ["8"]), ("name", ["*"])), ["web-1"]),
        ((("public", ["true"]),), ["db*"]),
        ((("public", ["false"]), ("name", ["*2"])), ["web-2"]),
        ((("tag:stage", ["p*", "t*"]),), ["web-1", "web-2"]),
        ((("tag:stag?", ["prod"]),), []),
        ((("tag:a=b:c", ["*"]),), ["db*"]),
        ((("tag-key", ["stage"]),), ["web-1", "web-2"]),
        ((("tag-key", ["*"]), ("size", ["100"])), ["db*"]),
    ],
)
def test_values_are_alternatives_and_filters_add_up(
    filters: tuple[tuple[str, list[str]], ...], names: list[str]
) -> None:
    assert _names(*filters) == names


@pytest.mark.parametrize("name", ["nme", "tag", "tag:", "Name"])
def test_an_unknown_filter_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match=f"The filter '{name}' is invalid") as caught:
        _names((name, ["x"]))
    assert caught.value.code == "InvalidParameterValue"


@pytest.mark.parametrize(
    "one", [{"Values": ["x"]}, {"Name": "name"}, {"Name": "name", "Values": []}]
)
def test_a_filter_needs_a_name_and_values(one: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        matching(ITEMS, [one], KNOWN)
    assert caught.value.code == "MissingParameter"


def test_too_many_values() -> None:
    with pytest.raises(UsageError) as caught:
        _names(("name", ["x"] * 201))
    assert caught.value.code == "FilterLimitExceeded"


@given(st.text("ab*?[]", max_size=8), st.text("ab*?[]", max_size=8))
def test_stars_and_question_marks_as_a_shell_has_them(pattern: str, text: str) -> None:
    escaped = re.sub(r"\[", "[[]", pattern)
    found = matching([text], [{"Name": "it", "Values": [pattern]}], {"it": lambda item: [item]})
    if pattern:
        assert bool(found) == fnmatch.fnmatchcase(text, escaped)
