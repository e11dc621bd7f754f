"""EC2's filters: names with values, where `*` and `?` stand for any text and any one character.

Values of one filter are alternatives; all filters must match. Case matters.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from amictl.errors import UnsupportedError, UsageError

Texts = Callable[[Any], Iterable[str]]
"""The texts of an item that a filter is compared with; none if the item lacks the field."""

_LONGEST = 200


def matching(
    items: Iterable[Any],
    filters: Iterable[Mapping[str, Any]],
    known: Mapping[str, Texts],
    not_here: Mapping[str, str] = MappingProxyType({}),
) -> list[Any]:
    """The items that all filters, each `{"Name": …, "Values": […]}`, match.

    `known` has the texts for each name of a filter; a name that ends in `:` stands for a family,
    whose texts are those that follow that name in `KEY=VALUE` form. `not_here` gives the reason why
    a filter of EC2 has no meaning, by its name or by what stands before its first dot. Raises
    UnsupportedError for such a filter, UsageError for an unknown one, or one without values.
    """
    filters = tuple(filters)
    _require_meaning(filters, not_here)
    tests = [_test(one, known) for one in filters]
    return [item for item in items if all(test(item) for test in tests)]


def _require_meaning(filters: Iterable[Mapping[str, Any]], not_here: Mapping[str, str]) -> None:
    for one in filters:
        name = str(one.get("Name"))
        reason = not_here.get(name) or not_here.get(name.partition(".")[0])
        if reason is not None:
            raise UnsupportedError(f"The filter '{name}' has no meaning here: {reason}")


def tag_texts(tags_of: Callable[[Any], Iterable[Mapping[str, str]]]) -> dict[str, Texts]:
    """The filters `tag:KEY` and `tag-key` of things with tags in EC2's shape."""
    return {
        "tag:": lambda item: [f"{tag['Key']}={tag['Value']}" for tag in tags_of(item)],
        "tag-key": lambda item: [tag["Key"] for tag in tags_of(item)],
    }


def text_of(value: Any) -> list[str]:
    """A field as filters see it: numbers in digits, truth in lower case, nothing if absent."""
    if value is None:
        return []
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _test(one: Mapping[str, Any], known: Mapping[str, Texts]) -> Callable[[Any], bool]:
    name, values = one.get("Name"), one.get("Values") or ()
    if not name:
        raise UsageError("a filter has no Name", code="MissingParameter")
    if not values:
        raise UsageError(f"The filter '{name}' has no Values", code="MissingParameter")
    if len(values) > _LONGEST:
        raise UsageError(
            f"The filter '{name}' has more than {_LONGEST} values", code="FilterLimitExceeded"
        )
    family, colon, key = str(name).partition(":")
    if colon and family + colon in known and key:
        texts = known[family + colon]
        patterns = [_pattern(_literal(key) + "=" + value) for value in values]
    elif name in known and not str(name).endswith(":"):
        texts = known[name]
        patterns = [_pattern(value) for value in values]
    else:
        raise UsageError(
            f"The filter '{name}' is invalid", hint=f"filters here: {', '.join(sorted(known))}"
        )
    return lambda item: any(pattern.fullmatch(text) for text in texts(item) for pattern in patterns)


def _literal(text: str) -> str:
    return re.sub(r"([*?\\])", r"\\\1", text)


@cache
def _pattern(value: str) -> re.Pattern[str]:
    """A value as a pattern; a backslash takes the meaning of the character after it."""
    parts = re.findall(r"\\.|.|\\", value, re.DOTALL)
    return re.compile("".join(map(_piece, parts)), re.DOTALL)


def _piece(part: str) -> str:
    if part == "*":
        return ".*"
    if part == "?":
        return "."
    return re.escape(part[1] if len(part) == 2 else part)
