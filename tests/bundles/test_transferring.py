"""Trying again, and what is never tried again."""

import pytest

from amictl.bundles.transferring import ATTEMPTS, repeated
from amictl.errors import ConflictError, StorageError


class Failing:
    """Work that fails so often, and then gives the number of its attempt."""

    def __init__(self, failures: int, error: type[Exception] = StorageError) -> None:
        self.attempts = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> int:
        self.attempts += 1
        if self.attempts <= self._failures:
            raise self._error("the network fails")
        return self.attempts


def test_what_the_storage_refused_once_is_tried_again() -> None:
    assert repeated(Failing(1), ATTEMPTS) == 2


def test_without_retry_the_first_failure_counts() -> None:
    work = Failing(1)
    with pytest.raises(StorageError):
        repeated(work, 1)
    assert work.attempts == 1


def test_a_conflict_is_not_tried_again() -> None:
    work = Failing(1, ConflictError)
    with pytest.raises(ConflictError):
        repeated(work, ATTEMPTS)
    assert work.attempts == 1
