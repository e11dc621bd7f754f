"""Shorthand is read, and text is written, as the AWS CLI itself does it."""

import io
from typing import Any

from awscli.shorthand import ShorthandParseError, ShorthandParser
from awscli.text import format_text
from hypothesis import assume, given
from hypothesis import strategies as st

from amictl.cli import shorthand
from amictl.cli.text_output import text_of
from amictl.errors import UsageError

PIECES = ["a", "b=", "K=", "Key=v", "x y", "é", "@", "1", *",=[]{} '\"\\", "\\,"]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map(lambda pieces: "A=" + "".join(pieces)))
def test_what_both_read_means_the_same_to_the_aws_cli(text: str) -> None:
    try:
        theirs, ours = ShorthandParser().parse(text), shorthand.parse(text)
    except (ShorthandParseError, UsageError):
        assume(False)
    assert ours == theirs


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
NAMES = st.text("abcXYZ", min_size=1, max_size=3)
LISTS = st.recursive(SCALARS, lambda values: st.lists(values, max_size=4), max_leaves=8)


def structures(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Structures, and lists of them: the AWS CLI knows no list of structures and other things."""
    items = st.dictionaries(NAMES, values, max_size=4)
    return items | st.lists(items, max_size=4)


RESULTS = st.recursive(LISTS, structures, max_leaves=12)


@given(RESULTS)
def test_text_is_what_the_aws_cli_writes(value: Any) -> None:
    theirs = io.StringIO()
    format_text(value, theirs)
    assert text_of(value) == theirs.getvalue()
