"""Locks as facts of a snapshot."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from amictl.model.locks import GOVERNANCE, Lock, lock_of, with_lock
from amictl.model.records import Attributes, Tag

BARE = Attributes("snap-0123456789abcdef0", 0, "completed", "", (), (Tag("another", "fact"),))

moments = st.integers(0, 4 * 10**12).map(
    lambda milliseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)
locks = st.builds(Lock, st.just(GOVERNANCE), st.integers(1, 36_500), moments, moments, moments)


@given(locks)
def test_a_lock_is_read_as_it_was_written(lock: Lock) -> None:
    assert lock_of(with_lock(BARE, lock)) == lock


@given(locks)
def test_a_lock_that_is_taken_away_leaves_nothing(lock: Lock) -> None:
    assert with_lock(with_lock(BARE, lock), None) == BARE
