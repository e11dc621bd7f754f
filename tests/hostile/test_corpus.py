"""Every vector ends in its error: inside the bounds, and with nothing written anywhere."""

from collections.abc import Iterator

import pytest

from amictl import errors
from tests.hostile.corpus import Vector, by_name
from tests.hostile.keeper import Keeper, Outcome

VECTORS = by_name()
RIGHT = [vector for vector in VECTORS.values() if vector.error is None]
HOSTILE = [vector for vector in VECTORS.values() if vector.error is not None]
LEAST = 150


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    with Keeper() as keeper:
        yield keeper


def name_of(vector: Vector) -> str:
    return vector.name


@pytest.mark.parametrize("vector", RIGHT, ids=name_of)
def test_what_is_right_is_read(vector: Vector, keeper: Keeper) -> None:
    assert keeper.read(vector.name) == Outcome(None)


@pytest.mark.parametrize("vector", HOSTILE, ids=name_of)
def test_what_is_hostile_ends_in_its_error(vector: Vector, keeper: Keeper) -> None:
    outcome = keeper.read(vector.name)
    assert (outcome.error, outcome.signal) == (vector.error, 0), outcome.message
    assert vector.reason in outcome.message


def test_every_expected_error_is_one_of_ours() -> None:
    expected = {vector.error for vector in HOSTILE}
    ours = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert expected <= ours


def test_every_reader_has_right_input_and_hostile_input() -> None:
    right, hostile = ({vector.reader for vector in some} for some in (RIGHT, HOSTILE))
    assert right == hostile


def test_the_corpus_is_large_enough() -> None:
    assert len(HOSTILE) >= LEAST
