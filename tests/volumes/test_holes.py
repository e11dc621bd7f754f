"""Data and holes of a sparse file."""

import pytest

from amictl.volumes.holes import next_data

BLOCK = 1 << 20


@pytest.fixture
def descriptor(tmpfs):
    """A hole of 1 MiB, 2 MiB of data, a hole of 1 MiB."""
    path = tmpfs / "sparse"
    with path.open("wb") as file:
        file.truncate(4 * BLOCK)
        file.seek(BLOCK)
        file.write(b"d" * 2 * BLOCK)
    with path.open("rb") as file:
        yield file.fileno()


def test_data_after_a_hole_is_found(descriptor):
    assert next_data(descriptor, 0, 4 * BLOCK, 8 * BLOCK) == (BLOCK, 3 * BLOCK)


def test_piece_is_not_longer_than_asked_for(descriptor):
    assert next_data(descriptor, 0, 4 * BLOCK, 4096) == (BLOCK, BLOCK + 4096)


def test_data_stops_at_the_end_that_was_asked_for(descriptor):
    assert next_data(descriptor, 0, 2 * BLOCK, 8 * BLOCK) == (BLOCK, 2 * BLOCK)


def test_data_beyond_the_end_does_not_count(descriptor):
    assert next_data(descriptor, 0, BLOCK, 8 * BLOCK) is None


def test_hole_at_the_end_holds_nothing(descriptor):
    assert next_data(descriptor, 3 * BLOCK, 4 * BLOCK, 8 * BLOCK) is None


def test_nothing_is_after_the_end(descriptor):
    assert next_data(descriptor, 4 * BLOCK, 4 * BLOCK, 8 * BLOCK) is None


def test_position_inside_data_is_data(descriptor):
    assert next_data(descriptor, 2 * BLOCK, 4 * BLOCK, 8 * BLOCK) == (2 * BLOCK, 3 * BLOCK)
