"""The short way of writing structures on a command line: `Key=value,Other=[a,b],Inner={K=v}`.

The grammar is that of the AWS CLI:

    structure = pair *("," pair)
    pair      = key ["@"] "=" [value | plain *("," plain)]
    value     = plain | quoted | "[" [value *("," value)] "]" | "{" [key "=" value …] "}"
    key       = letters, digits and - _ . # / :

A backslash keeps a comma inside a plain value; quotes are ' or ", with backslash before either.
After `@=` a value `file://PATH` stands for what the file holds.
All scalars come out as text: `amictl.cli.shapes` gives them types.
"""

import re
from collections.abc import Callable
from typing import Any

from amictl.cli.parameter_files import text_or_file
from amictl.errors import UsageError

_MAX_DEPTH = 16
_SPACE = re.compile(r"\s*")
_KEY = re.compile(r"[A-Za-z0-9\-_.#/:]+")
_PLAIN = re.compile(r"""(?:\\,|[^\s"',=\[\]{}])(?:\\,|[^"',\]}])*""")
_PLAIN_IN_LIST = re.compile(r"""(?:\\,|[^\s"',=\[\]{}])(?:\\,|[^"',=])*""")
_QUOTED = re.compile(r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' """, re.VERBOSE | re.DOTALL)
_ESCAPED = {mark: re.compile(rf"\\([{mark}\\])") for mark in "\"'"}
_START_OF_PAIR = re.compile(r"\s*([A-Za-z0-9\-_.#/:]+)\s*@?\s*=")


def first_key(text: str) -> str | None:
    """The key that `text` begins with, if it begins like a structure."""
    match = _START_OF_PAIR.match(text)
    return match[1] if match else None


def parse(text: str) -> dict[str, Any]:
    """Read one structure: text, lists and dicts with keys in the order written.

    Raises UsageError, naming the column, for anything else.
    """
    return _Reader(text).structure()


class _Reader:
    """A position in the text; every method reads one thing and moves past it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def structure(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while True:
            key, look_up = self.new_key(result)
            result[key] = look_up(self.value_of_pair())
            if self.position == len(self.text):
                return result
            self.expect(",")

    def new_key(self, taken: dict[str, Any]) -> tuple[str, Callable[[Any], Any]]:
        """A key, and what its equals sign does with the value: after `@=`, files are looked up."""
        self.skip_space()
        match = _KEY.match(self.text, self.position)
        if match is None:
            raise self.error("a key")
        if match[0] in taken:
            raise UsageError(f"the key {match[0]!r} is given twice in {self.text!r}")
        self.position = match.end()
        self.skip_space()
        from_files = self.next_is("@")
        if from_files:
            self.expect("@")
        self.expect("=")
        return match[0], _from_files if from_files else _as_it_is

    def value_of_pair(self) -> Any:
        if self.position == len(self.text):
            return ""
        if self.next_is("[{"):
            value = self.nested()
            self.skip_space()
            return value
        return self.comma_separated()

    def comma_separated(self) -> Any:
        """One plain value, or a list of them; ends before the comma of the next pair."""
        if self.next_is(","):
            return ""
        values = [self.scalar(_PLAIN)]
        self.skip_space()
        while self.next_is(","):
            comma = self.position
            self.expect(",")
            if not self.is_list_element():
                self.position = comma
                break
            values.append(self.scalar(_PLAIN_IN_LIST))
            self.skip_space()
        return values[0] if len(values) == 1 else values

    def is_list_element(self) -> bool:
        """Whether a further value of a list stands here, and not the key of the next pair."""
        match = _QUOTED.match(self.text, self.position)
        match = match or _PLAIN_IN_LIST.match(self.text, self.position)
        if match is None:
            return False
        after = _SPACE.match(self.text, match.end())
        end = after.end() if after else match.end()
        return end == len(self.text) or self.text[end] == ","

    def nested(self) -> Any:
        """A list in brackets, a structure in braces, or a scalar."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise UsageError(f"brackets are nested too deep in {self.text[:60]!r}…")
        if self.next_is("["):
            value: Any = self.bracketed_list()
        elif self.next_is("{"):
            value = self.braced_structure()
        else:
            value = self.scalar(_PLAIN)
        self.depth -= 1
        return value

    def bracketed_list(self) -> list[Any]:
        self.expect("[")
        values: list[Any] = []
        while not self.next_is("]"):
            values.append(self.nested())
            self.end_of_element("]")
        self.expect("]")
        return values

    def braced_structure(self) -> dict[str, Any]:
        self.expect("{")
        result: dict[str, Any] = {}
        while not self.next_is("}"):
            key, look_up = self.new_key(result)
            result[key] = look_up("" if self.next_is(",}") else self.nested())
            self.end_of_element("}")
        self.expect("}")
        return result

    def end_of_element(self, closing: str) -> None:
        self.skip_space()
        if not self.next_is(closing):
            self.expect(",")

    def scalar(self, plain: re.Pattern[str]) -> str:
        quoted = _QUOTED.match(self.text, self.position)
        if quoted:
            self.position = quoted.end()
            return _ESCAPED[quoted[0][0]].sub(r"\1", quoted[0][1:-1])
        match = plain.match(self.text, self.position)
        if match is None:
            raise self.error("a value")
        self.position = match.end()
        return match[0].replace("\\,", ",").rstrip()

    def next_is(self, characters: str) -> bool:
        return self.position < len(self.text) and self.text[self.position] in characters

    def expect(self, character: str) -> None:
        """Pass over `character` and the space around it."""
        self.skip_space()
        if not self.next_is(character):
            raise self.error(f"{character!r}")
        self.position += 1
        self.skip_space()

    def skip_space(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def error(self, expected: str) -> UsageError:
        found = repr(self.text[self.position]) if self.position < len(self.text) else "the end"
        return UsageError(
            f"expected {expected}, found {found} at column {self.position + 1} of {self.text!r}",
            hint="values with commas or spaces need quotes of their own: Key='a, b'",
        )


def _as_it_is(value: Any) -> Any:
    return value


def _from_files(value: Any) -> Any:
    """What the files hold that a text, or each text of a list, names."""
    if isinstance(value, list):
        return [_from_files(item) for item in value]
    return text_or_file(value) if isinstance(value, str) else value
