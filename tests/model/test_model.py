"""Ids, times, tags and the arithmetic of block maps."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import MalformedIdError, UsageError
from amictl.model.blockmap import (
    FANOUT,
    SEGMENT_SIZE,
    child_span,
    segment_count,
    segment_length,
    slot_count,
    tree_height,
)
from amictl.model.ids import is_id, new_id, require_id
from amictl.model.tags import require_tags
from amictl.model.times import parse_timestamp, timestamp

SIZES = st.integers(1, 2**50)
MOMENTS = st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1))
KINDS = ["ami", "snap", "vol"]


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.binary(min_size=9, max_size=9))
def test_a_new_id_is_an_id_of_its_kind_only(kind: str, seed: bytes) -> None:
    found = new_id(kind, lambda size: seed[:size])
    assert [is_id(other, found) for other in KINDS] == [other == kind for other in KINDS]


@pytest.mark.parametrize(
    "text",
    ["", "snap-", "snap-1", "snap-" + "0" * 16, "snap-" + "0" * 18, "SNAP-" + "0" * 17,
     "snap-" + "A" * 17, "snap-" + "0" * 17 + "\n", " snap-" + "0" * 17, "snap-" + "٠" * 17],
)  # fmt: skip
def test_what_is_no_id_is_refused_with_the_code_of_ec2(text: str) -> None:
    with pytest.raises(MalformedIdError) as caught:
        require_id("snap", text)
    assert caught.value.code == "InvalidSnapshotID.Malformed"


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_of_8_digits_can_be_asked_for_and_is_none_of_ours(kind: str) -> None:
    assert require_id(kind, f"{kind}-4fa54026") == f"{kind}-4fa54026"
    assert not is_id(kind, f"{kind}-4fa54026")


@given(MOMENTS)
def test_a_time_comes_back_to_the_millisecond(moment: datetime) -> None:
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert parse_timestamp(timestamp(moment)) == cut


@given(st.lists(MOMENTS, max_size=9))
def test_times_sort_as_text(moments: list[datetime]) -> None:
    texts = [timestamp(moment) for moment in sorted(moments)]
    assert texts == sorted(texts)


@given(SIZES)
def test_segments_add_up_to_the_volume(size: int) -> None:
    count = segment_count(size)
    assert (count - 1) * SEGMENT_SIZE + segment_length(size, count - 1) == size


@given(SIZES)
def test_the_height_is_the_least_that_covers_the_volume(size: int) -> None:
    height = tree_height(size)
    assert SEGMENT_SIZE * FANOUT**height >= size
    assert height == 0 or SEGMENT_SIZE * FANOUT ** (height - 1) < size


@given(st.integers(1, 4), SIZES)
def test_slots_cover_what_the_node_does(level: int, size: int) -> None:
    slots, span = slot_count(level, size), child_span(level)
    assert (slots - 1) * span < size <= slots * span


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_child_covers_as_much_as_a_full_tree_of_its_height(level: int) -> None:
    assert child_span(level) == SEGMENT_SIZE * FANOUT ** (level - 1)


@pytest.mark.parametrize(
    "pairs",
    [
        [("", "x")],
        [("k" * 129, "x")],
        [("aws:name", "x")],
        [("k", "v" * 257)],
        [("k", "1"), ("k", "2")],
        [(f"k{number}", "") for number in range(51)],
    ],
    ids=["empty-key", "long-key", "aws", "long-value", "twice", "51"],
)
def test_tags_that_ec2_does_not_take_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(UsageError):
        require_tags(pairs)


def test_fifty_tags_are_taken() -> None:
    pairs = [(f"k{number}", "v" * 256) for number in range(50)]
    assert list(require_tags(pairs).items()) == pairs


@pytest.mark.parametrize("pair", [("a", "\udcff"), ("\udcff", "a")])
def test_a_tag_that_is_not_text_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="not UTF-8 text"):
        require_tags([pair])
