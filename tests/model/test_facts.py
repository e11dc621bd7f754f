"""What facts say is believed only if it can be so."""

from datetime import UTC, datetime

import pytest

from amictl.errors import CorruptStoreError
from amictl.model import facts
from amictl.model.records import Attributes, Tag

KEY = facts.PROTECTED_UNTIL


def having(text: str) -> Attributes:
    return Attributes("ami-0123456789abcdef0", 0, "available", "", (), (Tag(KEY, text),))


def test_a_time_is_given_in_utc() -> None:
    found = facts.moment(having("2026-11-22T13:00:00.000+01:00"), KEY)
    assert found == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "soon", "2026-11-22T12:00:00.000", "0001-01-01T00:00+05:00"])
def test_what_is_no_time_is_refused_with_record_and_fact(text: str) -> None:
    with pytest.raises(CorruptStoreError, match=f"{KEY} of ami-0123456789abcdef0"):
        facts.moment(having(text), KEY)


def test_a_number_has_digits() -> None:
    assert facts.count(having(str(2**63 - 1)), KEY) == 2**63 - 1


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "\u0661", str(2**63), "1" * 5000])
def test_what_is_no_number_is_refused_with_record_and_fact(text: str) -> None:
    with pytest.raises(CorruptStoreError, match=f"{KEY} of ami-0123456789abcdef0"):
        facts.count(having(text), KEY)


def test_an_unknown_word_is_refused_with_record_and_fact() -> None:
    assert facts.word(having("b"), KEY, ("a", "b")) == "b"
    with pytest.raises(CorruptStoreError, match=f"{KEY} of ami-0123456789abcdef0.*'c'"):
        facts.word(having("c"), KEY, ("a", "b"))


def test_a_fact_may_be_absent() -> None:
    assert facts.moment(having("soon"), facts.BIN_ENTER_TIME) is None
    assert facts.count(having("soon"), facts.BIN_ENTER_TIME) is None
    assert facts.word(having("soon"), facts.BIN_ENTER_TIME, ()) is None
