"""Snapshots served as disks: every byte where it belongs, every damage told."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amictl.errors import CorruptStoreError, KeyUnavailableError
from amictl.progress import Silent, Step
from amictl.store import catalog
from amictl.store.serving import ServedSnapshot
from tests.workshop import MIB, SEGMENT, Workshop, flip

SNAPSHOT_SIZE = 13 * SEGMENT + 1000
SIZE = SNAPSHOT_SIZE + 2 * SEGMENT
TAIL = SNAPSHOT_SIZE - 700


class Shop:
    """A snapshot with data, zeros, a wide hole and a tail, and what it holds."""

    def __init__(self, folder: Path) -> None:
        self.workshop = Workshop(folder)
        noise = self.workshop.noise(MIB)
        pieces = {0: noise, SEGMENT - MIB // 2: noise[::-1], 9 * SEGMENT: bytes(MIB), TAIL: b"end"}
        disk = self.workshop.file("disk", pieces, SNAPSHOT_SIZE)
        self.content = disk.read_bytes().ljust(SIZE, b"\0")
        self.snapshot_id = self.workshop.snapshot_id(disk)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def disk(shop: Shop) -> Iterator[ServedSnapshot]:
    with shop.workshop.open() as store:
        core = catalog.read_snapshot(store, shop.snapshot_id)
        with ServedSnapshot(store, core, SIZE, Silent()) as disk:
            yield disk


RANGES = st.tuples(st.integers(0, SIZE - 1), st.integers(1, 2 * SEGMENT) | st.just(SIZE)).map(
    lambda pair: (pair[0], min(pair[1], SIZE - pair[0]))
)


@settings(max_examples=50)
@given(span=RANGES)
def test_any_range_is_what_the_disk_held(
    shop: Shop, disk: ServedSnapshot, span: tuple[int, int]
) -> None:
    offset, length = span
    assert disk.read(offset, length) == shop.content[offset : offset + length]


@settings(max_examples=100)
@given(span=RANGES)
def test_extents_cover_their_range_and_tell_no_data_as_zeros(
    shop: Shop, disk: ServedSnapshot, span: tuple[int, int]
) -> None:
    offset, length = span
    extents = disk.extents(offset, length)
    assert sum(size for size, _ in extents) == length
    assert all(size > 0 for size, _ in extents)
    for size, is_zero in extents:
        assert not is_zero or shop.content.count(0, offset, offset + size) == size
        offset += size


def test_holes_are_told(disk: ServedSnapshot) -> None:
    extents = disk.extents(0, SIZE)
    assert extents[0] == (2 * SEGMENT, False)
    assert extents[1][1]
    assert extents[-1] == (SIZE - 14 * SEGMENT, True)


def test_progress_is_told_and_does_not_go_back(shop: Shop) -> None:
    class Kept(Silent):
        steps: list[Step] = []  # noqa: RUF012  (one object of it)

        def update(self, step: Step) -> None:
            self.steps.append(step)

    progress = Kept()
    with shop.workshop.open() as store:
        core = catalog.read_snapshot(store, shop.snapshot_id)
        with ServedSnapshot(store, core, SIZE, progress) as disk:
            disk.read(SEGMENT, 10)
            disk.read(0, 10)
            disk.read(SIZE - 10, 10)
    assert [step.done for step in progress.steps] == [SEGMENT + 10, SEGMENT + 10, SNAPSHOT_SIZE]


def test_damage_is_named_where_it_is_and_the_rest_can_be_read(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    flip(shop.workshop.packs(0)[0], 5000)
    with shop.workshop.open() as store:
        core = catalog.read_snapshot(store, shop.snapshot_id)
        with ServedSnapshot(store, core, SIZE, Silent()) as disk:
            with pytest.raises(CorruptStoreError, match=f"{shop.snapshot_id} is damaged at bytes"):
                disk.read(0, 2 * SEGMENT)
            assert disk.read(TAIL, 3) == b"end"


def test_a_lost_node_is_damage(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    pack = shop.workshop.packs(1)[0]
    os.truncate(pack, 10)
    with shop.workshop.open() as store:
        core = catalog.read_snapshot(store, shop.snapshot_id)
        with ServedSnapshot(store, core, SIZE, Silent()) as disk:
            with pytest.raises(CorruptStoreError, match=f"bytes 0 to {SEGMENT}"):
                disk.read(0, 4096)
            with pytest.raises(CorruptStoreError):
                disk.extents(0, SIZE)


def test_without_its_key_nothing_is_served(workshop: Workshop) -> None:
    workshop.encrypt_by_default(workshop.keys.new())
    snapshot_id = workshop.snapshot_id(workshop.file("disk", b"secret".ljust(9000)))
    workshop.keys.mislay()
    with workshop.open() as store, pytest.raises(KeyUnavailableError):
        ServedSnapshot(store, catalog.read_snapshot(store, snapshot_id), 9000, Silent())
